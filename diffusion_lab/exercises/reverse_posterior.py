"""The checks of the exercises of lessons/03_reverse_posterior."""

import math

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed
from diffusion_lab.sampling.chain import spaced

X_T = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
X_0 = torch.tensor([1.1, 0.3, -0.7, 0.4, -1.2], dtype=torch.float64)
EPS = torch.tensor([-1.3, 0.4, 2.1, -0.2, 0.9], dtype=torch.float64)
Y_T = torch.tensor([-1.6, 0.9, 0.3], dtype=torch.float64)
Y_0 = torch.tensor([0.2, 1.5, -0.6], dtype=torch.float64)
NOISE = torch.tensor([0.7, -1.4, 1.1], dtype=torch.float64)

LAST_STEP = ("your code stops in the last step, ᾱ_s = 1 ({error}). β tilde and 1-ᾱ_s are 0 there: they have a root, "
             "but no logarithm, and nothing can be divided by them.")
AT_0 = "your code stops at s = 0 ({error}). ᾱ_s is 1 there, so nothing can be divided by 1-ᾱ_s; the result is x_0."


def stopping(attempt, where, sentence):
    """The reader's function; raises Wrong, with the sentence and its error, where it stops on degenerate numbers."""

    def going_on(*case):
        try:
            return attempt(*case)
        except (ValueError, ZeroDivisionError) as error:
            if where(*case):
                raise Wrong(sentence, error=str(error).rstrip(".")) from error
            raise

    return going_on


@answers
def check_times(attempt):
    def listed(T, n):
        given = attempt(T, n)
        return given.tolist() if hasattr(given, "tolist") else given  # whole numbers are due, in no dtype

    def right(T, n):
        return spaced(T, n)

    def exact(T, n):
        return torch.tensor([T * (n - k) / n for k in range(n)], dtype=torch.float64)

    def between(T, n, end):
        """n evenly spaced numbers from T to the end, not rounded."""
        return torch.linspace(T, end, n, dtype=torch.float64)

    def stepping(step):
        """All times from T down by a step, as long as they are above 0."""
        return lambda T, n: torch.tensor(range(T, 0, -step(T / n)))

    def multiples(step, last):
        """n times by a step: multiples of it, up from the last one."""
        return lambda T, n: torch.tensor([last(T, n, step(T / n)) + (n - 1 - k) * step(T / n) for k in range(n)])

    ending = "time 0 is where the last step ends, no time to step from: leave it out."
    stepped = "you rounded the length of a step, and a rounded step length repeats, skips or ends early: round times."
    missing = "your last time is 1; one more step of the same length should end at 0."
    causes = [
        ("your times rise. The chain walks from T down.", lambda T, n: right(T, n).flip(0)),
        (ending, lambda T, n: torch.tensor([*right(T, n).tolist(), 0])),
        ("T is missing, and time 0 is in: begin at T, and end one step before 0.",
         lambda T, n: torch.tensor([*right(T, n)[1:].tolist(), 0])),
        ("T is missing, and time 0 is in. And your times rise: the chain walks from T down.",
         lambda T, n: torch.tensor([*right(T, n)[1:].tolist(), 0]).flip(0)),
        ("your first time is T-1: you count from 0. Here t runs from 1 to T.", lambda T, n: right(T, n) - 1),
        ("your first time is T-1: you count from 0. Here t runs from 1 to T.",
         multiples(math.floor, lambda T, n, step: T - 1 - (n - 1) * step)),
        ("your last time is 1, and you begin below T, so noise of time T is taken for that of another. This is the "
         "'leading' spacing; it never visits T.", multiples(math.floor, lambda T, n, step: 1)),
        ("your times are rounded down: int() and // cut the fraction off. Round to the nearest whole number.",
         lambda T, n: exact(T, n).floor()),
        ("your times are rounded up, as T - k*T//n does: // cuts off what is subtracted. Round to the nearest.",
         lambda T, n: exact(T, n).ceil()),
        ("your times are no whole numbers: round each to the nearest, with `round`.", exact),
    ]
    for length in (math.floor, round):
        causes += [(stepped, stepping(length)), (stepped, multiples(length, lambda T, n, step: step)),
                   (stepped, multiples(length, lambda T, n, step: T - (n - 1) * step))]
    for form in (torch.round, torch.floor, torch.clone):
        causes += [(ending, lambda T, n, form=form: form(between(T, n, 0))),
                   (missing, lambda T, n, form=form: form(between(T, n, 1)))]
    diagnosed(listed, right, causes, "From k = 0 on, the k-th time is T(n-k)/n, rounded to the nearest whole number.",
              [(1000, 6), (50, 30), (1000, 10), (10, 10)])
    return "First T, last a full step away from 0, whether n divides T or not."


def posterior_mean(x_0, x_t, t, s):
    """Equation (2) with α = ᾱ_t/ᾱ_s multiplied out. t, s: floats, ᾱ at these times."""
    return ((s - t) * x_0 + t**0.5 * (1 - s) * x_t) / (s**0.5 * (1 - t))


@answers
def check_posterior_mean(attempt):
    def right(x_0, x_t, t, s, alpha_bar):
        return posterior_mean(x_0, x_t, alpha_bar[t], alpha_bar[s])

    def of_two(factors):
        """The function whose factors of x_0 and x_t, over 1-ᾱ_t, are made from ᾱ_t, ᾱ_s and ᾱ_t/ᾱ_s."""
        def wrong(x_0, x_t, t, s, alpha_bar):
            t, s = alpha_bar[t], alpha_bar[s]
            of_x_0, of_x_t = factors(t, s, t / s)
            return (of_x_0 * x_0 + of_x_t * x_t) / (1 - t)
        return wrong

    def with_alpha(alpha):
        def wrong(x_0, x_t, t, s, alpha_bar):
            a, bar_s = alpha(t, s, alpha_bar), alpha_bar[s]
            return (bar_s**0.5 * (1 - a) * x_0 + a**0.5 * (1 - bar_s) * x_t) / (1 - alpha_bar[t])
        return wrong

    causes = [
        ("x_0 and x_t are swapped: the factor √ᾱ_s β belongs to x_0.",
         lambda x_0, x_t, t, s, alpha_bar: right(x_t, x_0, t, s, alpha_bar)),
        ("t and s are swapped: t is the later, noisier time, and α = ᾱ_t/ᾱ_s is below 1.",
         lambda x_0, x_t, t, s, alpha_bar: right(x_0, x_t, s, t, alpha_bar)),
        ("you stepped from t to t-1, whatever s is. The step from t to s takes ᾱ_s and α = ᾱ_t/ᾱ_s.",
         lambda x_0, x_t, t, s, alpha_bar: right(x_0, x_t, t, t - 1, alpha_bar)),
        ("you took the α of a single step between neighbours. The step from t to s has α = ᾱ_t/ᾱ_s.",
         with_alpha(lambda t, s, alpha_bar: alpha_bar[t] / alpha_bar[t - 1])),
        ("you took the α of a single step between neighbours. The step from t to s has α = ᾱ_t/ᾱ_s.",
         with_alpha(lambda t, s, alpha_bar: alpha_bar[s] / alpha_bar[s - 1])),
        ("you used ᾱ_t as α. The step from s to t has α = ᾱ_t/ᾱ_s.", with_alpha(lambda t, s, alpha_bar: alpha_bar[t])),
        ("α is upside down: it is ᾱ_t/ᾱ_s, which is below 1.",
         with_alpha(lambda t, s, alpha_bar: alpha_bar[s] / alpha_bar[t])),
        ("the roots are missing: √ᾱ_s and √α.", of_two(lambda t, s, alpha: (s * (1 - alpha), alpha * (1 - s)))),
        ("the factor of x_0 has ᾱ_s where it should have its root.",
         of_two(lambda t, s, alpha: (s * (1 - alpha), alpha**0.5 * (1 - s)))),
        ("the factor of x_t has α where it should have its root.",
         of_two(lambda t, s, alpha: (s**0.5 * (1 - alpha), alpha * (1 - s)))),
        ("the factor of x_0 has √ᾱ_t where it should have √ᾱ_s: x_0 speaks about x_s.",
         of_two(lambda t, s, alpha: (t**0.5 * (1 - alpha), alpha**0.5 * (1 - s)))),
        ("the factor of x_t has 1-ᾱ_t where it should have 1-ᾱ_s.",
         of_two(lambda t, s, alpha: (s**0.5 * (1 - alpha), alpha**0.5 * (1 - t)))),
        ("the factor of x_t has √ᾱ_t where it should have √α, with α = ᾱ_t/ᾱ_s.",
         of_two(lambda t, s, alpha: (s**0.5 * (1 - alpha), t**0.5 * (1 - s)))),
        ("α is right, but you took 1-ᾱ_t for β. The step from s to t has β = 1-α, with α = ᾱ_t/ᾱ_s.",
         of_two(lambda t, s, alpha: (s**0.5 * (1 - t), alpha**0.5 * (1 - s)))),
        ("β is 1-α, with α = ᾱ_t/ᾱ_s, and not the difference ᾱ_s - ᾱ_t.",
         of_two(lambda t, s, alpha: (s**0.5 * (s - t), alpha**0.5 * (1 - s)))),
        ("you divided by 1-ᾱ_s; the denominator is 1-ᾱ_t.", of_two(
            lambda t, s, alpha: (s**0.5 * (1 - alpha) * (1 - t) / (1 - s), alpha**0.5 * (1 - t)))),
        ("you divided by β = 1-α; the denominator is 1-ᾱ_t.", of_two(
            lambda t, s, alpha: (s**0.5 * (1 - t), alpha**0.5 * (1 - s) * (1 - t) / (1 - alpha)))),
        ("all is right but s = 0, where your result is NaN: ᾱ_s is 1 there, so nothing can be divided by 1-ᾱ_s; the "
         "result is x_0.",
         lambda x_0, x_t, t, s, alpha_bar: right(x_0, x_t, t, s, alpha_bar) * (1 if s else torch.nan)),
        ("the denominator 1-ᾱ_t is missing.", of_two(
            lambda t, s, alpha: (s**0.5 * (1 - alpha) * (1 - t), alpha**0.5 * (1 - s) * (1 - t)))),
        ("that is where x_0 alone puts x_s; x_t speaks, too.", of_two(lambda t, s, alpha: (s**0.5 * (1 - t), 0))),
        ("only x_0's share is there; x_t speaks, too.", of_two(lambda t, s, alpha: (s**0.5 * (1 - alpha), 0))),
        ("only x_t's share is there; x_0 speaks, too.", of_two(lambda t, s, alpha: (0, alpha**0.5 * (1 - s)))),
    ]
    # none of ᾱ is 1-ᾱ of another; at s = 0 the result is x_0
    alpha_bar = torch.tensor([1.0, 0.9, 0.7, 0.45, 0.31, 0.2], dtype=torch.float64)
    other = torch.tensor([1.0, 0.97, 0.83, 0.62, 0.27, 0.11, 0.02], dtype=torch.float64)
    diagnosed(stopping(attempt, lambda x_0, x_t, t, s, alpha_bar: s == 0, AT_0), right, causes,
              "Compare with equation (2); the step from s to t has α = ᾱ_t/ᾱ_s and β = 1-α.",
              [(X_0, X_T, 5, 2, alpha_bar), (Y_0, Y_T, 6, 3, other), (Y_0, Y_T, 4, 0, other)])
    return "It works for any two times, so for strided samplers, too."


@answers
def check_denoised_mean(attempt):
    def right(x_t, alpha_bar_t, m, v):
        y, noise_var = x_t / alpha_bar_t**0.5, (1 - alpha_bar_t) / alpha_bar_t
        return shrink(y, noise_var, m, v)

    def shrink(y, noise_var, m, v):
        gain = v / (v + noise_var)
        return (1 - gain) * m + gain * y

    def shrink_by(noise_var, var=lambda v: v):
        return lambda x, a, m, v: shrink(x / a**0.5, noise_var(a), m, var(v))

    causes = [
        ("x_t/√ᾱ_t is the noisy measurement of x_0. You also know that x_0 is drawn from N(m, v).",
         lambda x, a, m, v: x / a**0.5),
        ("you mixed m with x_t, whose signal is shrunk: divide x_t by √ᾱ_t first.",
         lambda x, a, m, v: shrink(x, (1 - a) / a, m, v)),
        ("you mixed m with x_t, whose signal is shrunk: divide x_t by √ᾱ_t first.",
         lambda x, a, m, v: shrink(x, 1 - a, m, v)),
        ("you divided x_t by ᾱ_t; the signal in it is shrunk by the root, √ᾱ_t.",
         lambda x, a, m, v: shrink(x / a, (1 - a) / a, m, v)),
        ("the gain is right, but the share 1-g of the mean m is missing.",
         lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, 0.0, v)),
        ("the gain is right, but m enters whole: its share is 1-g.",
         lambda x, a, m, v: m + shrink(x / a**0.5, (1 - a) / a, 0.0, v)),
        ("the two shares are swapped: with much noise the answer should be near m.",
         lambda x, a, m, v: m + x / a**0.5 - right(x, a, m, v)),
        ("the mean of x_t is √ᾱ_t m; you subtracted m itself from x_t.",
         lambda x, a, m, v: m + a**0.5 * v / (a * v + 1 - a) * (x - m)),
        ("after dividing by √ᾱ_t the noise has the variance (1-ᾱ_t)/ᾱ_t, not 1-ᾱ_t.", shrink_by(lambda a: 1 - a)),
        ("the variance of the noise is upside down: it is 1/SNR = (1-ᾱ_t)/ᾱ_t, large where ᾱ_t is small.",
         shrink_by(lambda a: a / (1 - a))),
        ("the variance of the noise is (1-ᾱ_t)/ᾱ_t: a deviation is divided by √ᾱ_t, a variance by ᾱ_t.",
         shrink_by(lambda a: (1 - a) / a**0.5)),
        ("the gain compares variances; you took a root.", shrink_by(lambda a: ((1 - a) / a) ** 0.5)),
        ("the gain compares variances; you took a root.", shrink_by(lambda a: (1 - a) / a, lambda v: v**0.5)),
        ("the gain compares variances, and v is one already: do not square it.",
         shrink_by(lambda a: (1 - a) / a, lambda v: v**2)),
    ]
    diagnosed(attempt, right, causes, "Test it: with v near 0 the answer is near m, with ᾱ_t near 1 near x_t.",
              [(X_T, 0.3, 0.5, 0.8), (Y_T, 0.75, -1.2, 0.35)])
    return "This is equation (7), and the exact denoiser for Gaussian data."


@answers
def check_ancestral_step(attempt):
    def right(x_t, x_0_hat, alpha_bar_t, alpha_bar_s, eps):
        return mean(x_t, x_0_hat, alpha_bar_t, alpha_bar_s) + var(alpha_bar_t, alpha_bar_s) ** 0.5 * eps

    def mean(x_t, x_0_hat, t, s):
        return posterior_mean(x_0_hat, x_t, t, s)

    def var(t, s):
        return (1 - s) / (1 - t) * (1 - t / s)

    causes = [
        ("the mean is right, but no noise is added; that belongs to the last step alone.",
         lambda x_t, x_0, t, s, eps: mean(x_t, x_0, t, s)),
        ("the mean is right, but the noise is subtracted.",
         lambda x_t, x_0, t, s, eps: mean(x_t, x_0, t, s) - var(t, s) ** 0.5 * eps),
        ("β tilde is a variance, and you used it as a deviation: the factor of eps is its root.",
         lambda x_t, x_0, t, s, eps: mean(x_t, x_0, t, s) + var(t, s) * eps),
        ("you used β, the 'large' variance; β tilde has the factor (1-ᾱ_s)/(1-ᾱ_t).",
         lambda x_t, x_0, t, s, eps: mean(x_t, x_0, t, s) + (1 - t / s) ** 0.5 * eps),
        ("you used β, the 'large' variance, and left out its root; β tilde has the factor (1-ᾱ_s)/(1-ᾱ_t).",
         lambda x_t, x_0, t, s, eps: mean(x_t, x_0, t, s) + (1 - t / s) * eps),
        ("1-ᾱ_s is the noise in x_s if only x_0 is known. Given x_t, too, its variance is β tilde.",
         lambda x_t, x_0, t, s, eps: mean(x_t, x_0, t, s) + (1 - s) ** 0.5 * eps),
        ("the variance is right, but x_t and x_0_hat are swapped in the mean.",
         lambda x_t, x_0, t, s, eps: mean(x_0, x_t, t, s) + var(t, s) ** 0.5 * eps),
        ("you stepped to x_0_hat itself. The mean of x_s is equation (2), between x_0_hat and x_t.",
         lambda x_t, x_0, t, s, eps: x_0 + var(t, s) ** 0.5 * eps),
        ("you noised x_0_hat afresh to time s and forgot x_t. The posterior uses both.",
         lambda x_t, x_0, t, s, eps: s**0.5 * x_0 + (1 - s) ** 0.5 * eps),
        ("you added noise to x_t; the mean of x_s is equation (2), between x_0_hat and x_t.",
         lambda x_t, x_0, t, s, eps: x_t + var(t, s) ** 0.5 * eps),
    ]
    diagnosed(stopping(attempt, lambda x_t, x_0, t, s, eps: s == 1, LAST_STEP), right, causes,
              "Check the mean by equation (2), and the variance by equation (3); in the last step (ᾱ_s = 1) the result "
              "is x_0_hat, without noise.", [(X_T, X_0, 0.2, 0.7, EPS), (Y_T, Y_0, 0.45, 0.85, NOISE),
                                          (X_T, X_0, 0.2, 1.0, EPS)])
    return "Without noise at the end, because β tilde is 0 there."
