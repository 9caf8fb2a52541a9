"""The numbers of the chain to 40 digits, derived in another way than the package derives them.

No running products: ᾱ of the linear schedule is a falling factorial (its factors fall in a straight line), ᾱ of the
cosine schedule is the cosine itself. The posterior is not Ho et al.'s eq. 7: it is the regression of x_s on x_t.
"""

from fractions import Fraction
from functools import cache

import mpmath
import numpy as np

mp = mpmath.MPContext()
mp.dps = 40
CAP = Fraction(999, 1000)  # the largest β
square_root = np.frompyfunc(mp.sqrt, 1, 1)
logarithm = np.frompyfunc(mp.log, 1, 1)


def number(fraction):
    """A Fraction with 40 digits."""
    return mp.mpf(fraction.numerator) / fraction.denominator


def linear_beta(t, T):
    """β_t on a straight line from 0.1/T to 20/T, before the cap. A chain of one step has the line's start."""
    slope = (Fraction(20, T) - Fraction(1, 10 * T)) / (T - 1) if T > 1 else 0
    return Fraction(1, 10 * T) + (t - 1) * slope


@cache
def linear_alpha_bar(t, T):
    """ᾱ_t: the factors 1-β_i fall by the slope b, so up to the cap they make b^k (c)(c-1)…(c-k+1), c = (1-β_1)/b."""
    if t == 0:
        return mp.mpf(1)
    first = linear_beta(1, T)
    if T == 1:
        return number(1 - first)
    slope = linear_beta(2, T) - first
    below_cap = min(t, (CAP - first) // slope + 1)
    product = number(slope) ** below_cap * mp.ff(number((1 - first) / slope), below_cap)
    return product * number(1 - CAP) ** (t - below_cap)


@cache
def cosine_alpha_bar(t, T):
    """ᾱ_t = cos²(a_t)/cos²(a_0): the product telescopes until the last step, where β is capped."""
    if t == T:
        return cosine_alpha_bar(T - 1, T) * number(1 - CAP)
    s = Fraction(8, 1000)
    angles = [number((Fraction(i, T) + s) / (1 + s) / 2) * mp.pi for i in (t, 0)]
    return (mp.cos(angles[0]) / mp.cos(angles[1])) ** 2


def alpha_bar(kind, t, T):
    """ᾱ_t of the schedule called `kind`."""
    return {"linear": linear_alpha_bar, "cosine": cosine_alpha_bar}[kind](int(t), T)


def beta(kind, t, T):
    """β_t of the schedule called `kind`."""
    if kind == "linear":
        return number(min(linear_beta(t, T), CAP))
    return 1 - alpha_bar(kind, t, T) / alpha_bar(kind, t - 1, T)


def table(function, kind, times, T):
    """`function` at many times, as an array of 40-digit numbers."""
    return np.array([function(kind, int(t), T) for t in times], dtype=object)


def posterior(alpha_bar_s, alpha_bar_t):
    """The variance of q(x_s given x_t, x_0) and the weights of x_0 and x_t in its mean: regress x_s on x_t.

    Given x_0, both have known means and variances, and their covariance is √α times the variance of x_s.
    """
    mean_s, mean_t = square_root(alpha_bar_s), square_root(alpha_bar_t)
    covariance = mean_t / mean_s * (1 - alpha_bar_s)
    weight_x_t = covariance / (1 - alpha_bar_t)
    weight_x_0 = mean_s - weight_x_t * mean_t
    return (1 - alpha_bar_s) - covariance * weight_x_t, weight_x_0, weight_x_t


def relative_error(given, exact):
    """The largest |given - exact|/|exact|; where the exact number is 0, anything else is an infinite error."""
    worst = 0.0
    for a, b in zip(np.ravel(given), np.ravel(exact), strict=True):
        error = abs(mp.mpf(float(a)) - b)
        if error:
            worst = max(worst, float(error / abs(b)) if b else np.inf)
    return worst if np.isfinite(np.asarray(given, dtype=float)).all() else np.inf
