"""The checks of the exercises of lessons/03_reverse_posterior."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.sampling.chain import spaced
from diffusion_lab.theory.gaussian import product

X_T = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
X_0 = torch.tensor([1.1, 0.3, -0.7, 0.4, -1.2], dtype=torch.float64)
EPS = torch.tensor([-1.3, 0.4, 2.1, -0.2, 0.9], dtype=torch.float64)


@answers
def check_times(attempt):
    for T, n in ((1000, 10), (1000, 6), (10, 10), (50, 30)):
        given, expected = attempt(T, n), spaced(T, n).tolist()
        if not isinstance(given, list) or not all(type(t) is int for t in given):
            raise Wrong("return a list of whole numbers (ints), for instance by a list comprehension.")
        if given == expected[::-1]:
            raise Wrong("your times rise. The chain walks from T down.")
        if 0 in given:
            raise Wrong("time 0 is where the last step ends, no time to step from: leave it out.")
        if len(given) != n:
            raise Wrong(f"for T = {T} and n = {n} you return {len(given)} times. A rounded step length "
                        "repeats or skips: round each time instead.")
        if given[0] == T - 1:
            raise Wrong(f"your first time is {T - 1}: you count from 0. Here t runs from 1 to T = {T}.")
        if given[0] != T:
            raise Wrong(f"your first time is {given[0]}, so noise of time {T} is taken for that of {given[0]}. This "
                        "is the 'leading' spacing; it never visits T.")
        if len(set(given)) < n:
            raise Wrong(f"for T = {T} and n = {n} a time occurs twice.")
        steps, late = [t - s for t, s in zip(given, given[1:])], [t - T * (n - k) / n for k, t in enumerate(given)]
        if given != expected and len(set(steps)) == 1 and abs(steps[0] - T / n) < 1:
            raise Wrong(f"for T = {T} and n = {n} each of your steps is {steps[0]} long: you rounded the step, and the "
                        "error adds up. Round each time instead.")
        if given != expected and max(map(abs, late)) < 1 and (min(late) >= 0 or max(late) <= 0):
            raise Wrong(f"for T = {T} and n = {n} your times begin {given[:3]}: you cut the fraction off, as int() and "
                        "// do. Round to the nearest whole number.")
        if given != expected:
            raise Wrong(f"for T = {T} and n = {n} the times are {expected[:3]} … {expected[-1]}, and yours are "
                        f"{given[:3]} … {given[-1]}: the last step should be as long as the others.")
    return "First T, last a full step away from 0, whether n divides T or not."


def posterior_mean(x_0, x_t, t, s):
    """Equation (2) with α = ᾱ_t/ᾱ_s multiplied out. t, s: floats, ᾱ at these times."""
    return ((s - t) * x_0 + t**0.5 * (1 - s) * x_t) / (s**0.5 * (1 - t))


@answers
def check_posterior_mean(attempt):
    table = torch.tensor([1.0, 0.9, 0.7, 0.45, 0.3, 0.2], dtype=torch.float64)  # ᾱ_0 … ᾱ_5
    t, s = table[5].item(), table[2].item()
    given, expected, alpha = tensor_like(attempt(X_0, X_T, 5, 2, table), X_0), posterior_mean(X_0, X_T, t, s), t / s
    if close(given, posterior_mean(X_T, X_0, t, s)):
        raise Wrong("x_0 and x_t are swapped: the factor √ᾱ_s β belongs to x_0.")
    if close(given, posterior_mean(X_0, X_T, s, t)):
        raise Wrong("t and s are swapped: t is the later, noisier time, and α = ᾱ_t/ᾱ_s is below 1.")
    for neighbour in (0.2 / 0.3, 0.7 / 0.9):
        if close(given, (s**0.5 * (1 - neighbour) * X_0 + neighbour**0.5 * (1 - s) * X_T) / (1 - t)):
            raise Wrong("you took the α of a single step between neighbours. The step from t to s has α = ᾱ_t/ᾱ_s.")
    if close(given, (s * (1 - alpha) * X_0 + alpha * (1 - s) * X_T) / (1 - t)):
        raise Wrong("the roots are missing: √ᾱ_s and √α.")
    if close(given, (t**0.5 * (1 - alpha) * X_0 + alpha**0.5 * (1 - s) * X_T) / (1 - t)):
        raise Wrong("the factor of x_0 has √ᾱ_t where it should have √ᾱ_s: x_0 speaks about x_s.")
    if close(given, (s**0.5 * (1 - alpha) * X_0 + alpha**0.5 * (1 - s) * X_T) / (1 - s)):
        raise Wrong("you divided by 1-ᾱ_s; the denominator is 1-ᾱ_t.")
    if close(given, (s**0.5 * (1 - t) * X_0 + t**0.5 * (1 - s) * X_T) / (1 - t)):
        raise Wrong("you used ᾱ_t as α. The step from s to t has α = ᾱ_t/ᾱ_s.")
    if close(given, (s**0.5 * (1 - t) * X_0 + alpha**0.5 * (1 - s) * X_T) / (1 - t)):
        raise Wrong("α is right, but you took 1-ᾱ_t for β. The step from s to t has β = 1-α, with α = ᾱ_t/ᾱ_s.")
    if close(given, s**0.5 * X_0):
        raise Wrong("that is where x_0 alone puts x_s; x_t speaks, too.")
    if not close(given, expected):
        raise Wrong("compare with equation (2), and test s = 0: the result must then be x_0.")
    return "It works for any two times, so for strided samplers, too."


@answers
def check_denoised_mean(attempt):
    alpha_bar, m, v = 0.3, 0.5, 0.8
    y, noise_var = X_T / alpha_bar**0.5, (1 - alpha_bar) / alpha_bar
    gain, expected = 1 / (1 + noise_var / v), product(m, v, y, noise_var)[0]
    given = tensor_like(attempt(X_T, alpha_bar, m, v), X_T)
    if close(given, y):
        raise Wrong("x_t/√ᾱ_t is the noisy measurement of x_0. You also know that x_0 is drawn from N(m, v).")
    if close(given, (1 - gain) * m + gain * X_T):
        raise Wrong("you mixed m with x_t, whose signal is shrunk: divide x_t by √ᾱ_t first.")
    if close(given, gain * y):
        raise Wrong("the gain is right, but the share 1-g of the mean m is missing.")
    if close(given, gain * m + (1 - gain) * y):
        raise Wrong("the two shares are swapped: with much noise the answer should be near m.")
    wrong_gain = v / (v + 1 - alpha_bar)
    if close(given, (1 - wrong_gain) * m + wrong_gain * y):
        raise Wrong("after dividing by √ᾱ_t the noise has the variance (1-ᾱ_t)/ᾱ_t, not 1-ᾱ_t.")
    wrong_gain = v / (v + 1 / noise_var)
    if close(given, (1 - wrong_gain) * m + wrong_gain * y):
        raise Wrong("the variance of the noise is upside down: it is 1/SNR = (1-ᾱ_t)/ᾱ_t, large where ᾱ_t is small.")
    wrong_gain = v / (v + noise_var**0.5)
    if close(given, (1 - wrong_gain) * m + wrong_gain * y):
        raise Wrong("the gain compares variances; you took a root.")
    if not close(given, expected):
        raise Wrong("test it: with v = 0 the answer is m, with ᾱ_t = 1 it is x_t.")
    return "This is equation (7), and the exact denoiser for Gaussian data."


@answers
def check_ancestral_step(attempt):
    t, s = 0.2, 0.7
    alpha, mean = t / s, posterior_mean(X_0, X_T, t, s)
    var = 1 / (alpha / (1 - alpha) + 1 / (1 - s))  # precisions add
    given = tensor_like(attempt(X_T, X_0, t, s, EPS), X_T)
    if close(given, mean):
        raise Wrong("the mean is right, but no noise is added; that belongs to the last step alone.")
    if close(given, mean + var * EPS):
        raise Wrong("β tilde is a variance, and you used it as a deviation: the factor of eps is its root.")
    if close(given, mean + (1 - alpha) ** 0.5 * EPS):
        raise Wrong("you used β, the 'large' variance; β tilde has the factor (1-ᾱ_s)/(1-ᾱ_t).")
    if close(given, X_0 + var**0.5 * EPS):
        raise Wrong("you stepped to x_0_hat itself. The mean of x_s is equation (2), between x_0_hat and x_t.")
    if close(given, s**0.5 * X_0 + (1 - s) ** 0.5 * EPS):
        raise Wrong("you noised x_0_hat afresh to time s and forgot x_t. The posterior uses both.")
    if not close(given, mean + var**0.5 * EPS):
        raise Wrong("check the mean by equation (2), the variance by equation (3), and use the eps that you are given.")
    try:
        last = tensor_like(attempt(X_T, X_0, t, 1.0, EPS), X_T)
    except (ValueError, ZeroDivisionError) as error:
        raise Wrong(f"your code stops in the last step, ᾱ_s = 1 ({error}). β tilde is 0 there: it has a root, but no "
                    "logarithm, and nothing can be divided by it.") from error
    if not close(last, X_0):
        raise Wrong("in the last step (ᾱ_s = 1) the result must be x_0_hat, without noise, but yours differs.")
    return "Without noise at the end, because β tilde is 0 there."
