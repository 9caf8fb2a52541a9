"""Wrong answers to the exercises of notebook 08, each with words that the check's message must contain."""

import math

import numpy as np
import torch

from diffusion_lab.exercises.sampling import check_better_guess, check_ddim_step, check_guide, check_noise_shares


def step(eps=lambda x, y, a, b: (x - a**0.5 * y) / (1 - a) ** 0.5,
         mix=lambda y, e, a, b: b**0.5 * y + (1 - b) ** 0.5 * e):
    """An answer to the exercise on DDIM, with one part exchanged. a, b: ᾱ_t and ᾱ_s."""
    return lambda x_t, x_0_hat, a, b: mix(x_0_hat, eps(x_t, x_0_hat, a, b), a, b)


def shares(amount=lambda eta: eta**2, beta=lambda a, b: 1 - a / b, total=lambda a, b: 1 - b,
           beta_tilde=lambda beta, a, b: beta * (1 - b) / (1 - a), kept=lambda total, var: total - var,
           roots=lambda kept, fresh: (kept**0.5, fresh**0.5)):
    """An answer to the exercise on the factors, with one part exchanged. a, b: ᾱ_t and ᾱ_s."""
    def answer(a, b, eta):
        var = amount(eta) * beta_tilde(beta(a, b), a, b)
        return roots(kept(total(a, b), var), var)
    return answer


def by_logarithms(log, back, number=float):
    """A step of DDIM with log(ᾱ_s/(1-ᾱ_s)), which is infinite at the data."""
    def answer(x, y, a, b):
        a, b = number(a), number(b)
        alpha_bar_s = back(log(b / (1 - b)))
        return alpha_bar_s**0.5 * y + ((1 - alpha_bar_s) / (1 - a)) ** 0.5 * (x - a**0.5 * y)
    return answer


WRONG = {
    check_guide: [
        (lambda x, y, w: (1 + w) * y - w * x, "swapped"),
        (lambda x, y, w: w * x + (1 - w) * y, "w and 1 - w"),
        (lambda x, y, w: y + w * (x - y), "ignores the label"),
        (lambda x, y, w: (1 - w) * x + w * y, "towards the answer without"),
        (lambda x, y, w: (1 + w) * x + w * y, "add up to 1"),
        (lambda x, y, w: x + w * y, "the *difference*"),
        (lambda x, y, w: w * (x - y), "the difference alone"),
        (lambda x, y, w: x, "no effect"),
        (lambda x, y, w: None, "return"),
        (lambda x, y, w: (1 + w) * (x - y), "add up to 0"),
        (lambda x, y, w: (1 + w) * x - y, "1 + w and -1"),
        (lambda x, y, w: w * x - (1 - w) * y, "w and w - 1"),
        (lambda x, y, w: x + w / 2 * (x - y), "entry [3] should be 1.6, but yours is 0.4"),
        (lambda x, y, w: ((1 + w) * x - w * y).float(), "should be float64"),
        (lambda x, y, w: x.mul_(1 + w).sub_(w * y), "changed x itself"),
    ],
    check_noise_shares: [
        (shares(roots=lambda kept, fresh: (kept, fresh)), "roots"),
        (shares(roots=lambda kept, fresh: (fresh**0.5, kept**0.5)), "swapped"),
        (shares(kept=lambda total, var: total), "add up"),
        (shares(roots=lambda kept, fresh: ((kept + fresh) ** 0.5 - fresh**0.5, fresh**0.5)), "not deviations"),
        (shares(kept=lambda total, var: total - var**0.5), "subtract σ²"),
        (shares(amount=lambda eta: eta), "you have η"),
        (shares(beta_tilde=lambda beta, a, b: beta), "β for β tilde"),
        (shares(beta_tilde=lambda beta, a, b: beta * (1 - a) / (1 - b)), "upside down"),
        (shares(beta_tilde=lambda beta, a, b: beta, roots=lambda *two: tuple(map(math.sqrt, two))), "β for β tilde"),
        (shares(beta_tilde=lambda beta, a, b: beta, roots=lambda *two: tuple(map(np.sqrt, two))), "β for β tilde"),
        (shares(beta_tilde=lambda beta, a, b: beta, roots=lambda *two: torch.tensor(two).sqrt()), "β for β tilde"),
        (shares(beta_tilde=lambda beta, a, b: beta * (1 - a) / (1 - b), roots=lambda *two: np.sqrt(two)),
         "upside down"),
        (lambda a, b, eta: (shares()(a, b, eta)[0], shares()(a, b, 1.0)[1] ** 2 * eta),
         "the old noise is right. For the fresh one a root"),
        (lambda a, b, eta: ((1 - b - shares()(a, b, 1.0)[1] ** 4 * eta**2) ** 0.5, shares()(a, b, 1.0)[1] ** 2 * eta),
         "a root is forgotten"),
        (lambda a, b, eta: ((1 - b) ** 0.5 * (1 - eta**2) ** 0.5, eta * (1 - b) ** 0.5), "your σ² is η² (1-ᾱ_s)"),
        (shares(beta=lambda a, b: 1 - a), "not 1-ᾱ_t"),
        (shares(amount=lambda eta: 1), "no effect"),
        (shares(total=lambda a, b: 1 - a), "that of time s"),
        (shares(beta=lambda a, b: 1 - a / b - 0.01), "but yours is"),
        (lambda a, b, eta: (1 - b) ** 0.5, "2 results were expected"),
        (lambda a, b, eta: (*shares()(a, b, eta), eta), "your function returned 3 results"),
        (shares(total=lambda a, b: 1), "subtracted σ² from 1"),
        (lambda a, b, eta: (shares()(a, b, eta)[0], eta * shares()(a, b, eta)[1]), "you have η²"),
        (lambda a, b, eta: (shares()(a, b, eta)[0], shares(beta_tilde=lambda beta, a, b: beta)(a, b, eta)[1]),
         "you took β for β tilde"),
        (lambda a, b, eta: (((1 - b) * (1 - eta**2)) ** 0.5, shares()(a, b, eta)[1]), "not η² (1-ᾱ_s)"),
        (shares(amount=lambda eta: eta**2 * 0.9), "With alpha_bar_t = 0.6"),
        (lambda a, b, eta: shares()(a, b - 1e-9, eta), "not where the step ends at the data"),
    ],
    check_ddim_step: [
        (step(mix=lambda y, e, a, b: b**0.5 * y + (1 - b) * e), "its root"),
        (step(mix=lambda y, e, a, b: b * y + (1 - b) ** 0.5 * e), "not ᾱ_s"),
        (step(mix=lambda y, e, a, b: y + (1 - b) ** 0.5 * e), "still shrunk"),
        (step(eps=lambda x, y, a, b: x), "not x_t itself"),
        (step(eps=lambda x, y, a, b: x - a**0.5 * y), "not rescaled"),
        (step(eps=lambda x, y, a, b: (x - y) / (1 - a) ** 0.5), "in x_t the digit is shrunk"),
        (step(eps=lambda x, y, a, b: (x - b**0.5 * y) / (1 - b) ** 0.5), "back at x_t"),
        (step(mix=lambda y, e, a, b: a**0.5 * y + (1 - a) ** 0.5 * e), "back at x_t"),
        (step(mix=lambda y, e, a, b: b**0.5 * y), "noise is missing"),
        (step(eps=lambda x, y, a, b: torch.randn_like(x)), "two calls with the same numbers"),
        (step(eps=lambda x, y, a, b: (x - a**0.5 * y) / (1 - a)), "divide by its root"),
        (step(eps=lambda x, y, a, b: (x - a * y) / (1 - a) ** 0.5), "you took out ᾱ_t x̂_0"),
        (lambda x, y, a, b: step()(x, y, b, a), "times are swapped"),
        (step(mix=lambda y, e, a, b: b**0.5 * y - (1 - b) ** 0.5 * e), "the sign of the noise"),
        (step(mix=lambda y, e, a, b: b**0.5 * y + (1 - b**0.5) * e), "subtract first, then take the root"),
        (step(mix=lambda y, e, a, b: b**0.5 * e + (1 - b) ** 0.5 * y), "factors of the mixture are swapped"),
        (by_logarithms(math.log, lambda snr: 1 / (1 + math.exp(-snr))), "stopped with ZeroDivisionError"),
        (by_logarithms(lambda ratio: torch.log(ratio), lambda snr: snr.exp() / (1 + snr.exp()), torch.tensor),
         "yours is not a number"),
        (lambda x, y, a, b: step()(x, y, a, min(b, 0.999)), "Right in between"),
        (lambda x, y, a, b: (b / a) ** 0.5 * x, "entry [1] should be -0.4478, but yours is -0.8165"),
    ],
    check_better_guess: [
        (lambda p, c, a, b, e: c + (c - p) * (e - b) / (b - a), "the *end* of the step"),
        (lambda p, c, a, b, e: c + (c - p) * (b - a) / (2 * (e - b)), "the wrong length"),
        (lambda p, c, a, b, e: c + (c - p) / 2, "equally long"),
        (lambda p, c, a, b, e: c - (c - p) * (e - b) / (2 * (b - a)), "the sign"),
        (lambda p, c, a, b, e: p + (c - p) * (e - b) / (2 * (b - a)), "present answer"),
        (lambda p, c, a, b, e: (p + c) / 2, "in the past"),
        (lambda p, c, a, b, e: c, "that is DDIM"),
        (lambda p, c, a, b, e: c + (c - p) / (b - a) * (b + e) / 2, "where the middle lies"),
        (lambda p, c, a, b, e: c + (c - p) / (b - a) / 2, "half a unit of λ"),
        (lambda p, c, a, b, e: c + (c - p) / (b - a) * (e - a) / 2, "the step begins at λ_t"),
        (lambda p, c, a, b, e: c + (c - p) / (e - a) * (e - b) / 2, "divided their difference by λ_s - λ_prev"),
        (lambda p, c, a, b, e: (c - p) / (b - a), "the slope alone"),
    ],
}
