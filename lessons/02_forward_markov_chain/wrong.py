"""Wrong answers to the exercises of notebook 02, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.forward_markov_chain import (
    check_betas,
    check_first_time,
    check_forward_step,
    check_jump_between,
)

ZERO = torch.zeros(1, dtype=torch.float64)


def table(beta):
    return torch.cat([ZERO, beta.clamp(max=0.999)])


def first(condition):
    return int(condition.nonzero()[0])


WRONG = {
    check_forward_step: [
        (lambda x, b, e: (1 - b) ** 0.5 * x + b * e, "used it as a deviation"),
        (lambda x, b, e: x + b**0.5 * e, "without shrinking"),
        (lambda x, b, e: (1 - b) * x + b**0.5 * e, "should be its root"),
        (lambda x, b, e: (1 - b**0.5) * x + b**0.5 * e, "subtract first"),
        (lambda x, b, e: b**0.5 * x + (1 - b) ** 0.5 * e, "swapped"),
        (lambda x, b, e: (1 - b) * x + b * e, "should be its root"),
        (lambda x, b, e: (1 - b) ** 0.5 * x + b**0.5 * torch.rand_like(e), "two calls with the same numbers"),
        (lambda x, b, e: (1 - b) ** 0.5 * x + b**0.5 * torch.randn_like(e), "two calls with the same numbers"),
        (lambda x, b, e: (1 + b) ** 0.5 * x + b**0.5 * e, "Compare with equation (1)"),
        (lambda x, b, e: torch.sqrt(1 - b) * x + b**0.5 * e, "x ** 0.5"),
    ],
    check_betas: [
        (lambda a: (1 - a[1:] / a[:-1]).clamp(max=0.999), "put β_0 = 0 in front"),
        (lambda a: 1 - a, "of all steps up to t"),
        (lambda a: torch.cat([(1 - a[1:] / a[:-1]).clamp(max=0.999), ZERO]), "off by one"),
        (lambda a: table(1 - a[:-1] / a[1:]), "upside down"),
        (lambda a: table(a[1:] / a[:-1]), "that ratio is α_t"),
        (lambda a: table(1 - (a[1:] / a[:-1]).sqrt()), "the root of the ratio"),
        (lambda a: torch.cat([ZERO, 1 - a[1:] / a[:-1]]), "above 0.999: limit them"),
        (lambda a: torch.cat([ZERO, 1 - a[1:] / a[:-1]]).clamp(1e-4, 0.999), "should be 0, but yours is 0.0001"),
        (lambda a: table(a[:-1] - a[1:]), "divide by that"),
        (lambda a: table((a[:-1] - a[1:]) / a[1:]), "you divided by ᾱ_t"),
        (lambda a: table((1 - a.float()[1:] / a.float()[:-1]).double()), "Do all steps stay in float64"),
        (lambda a: table(1 - a[1:] / a[:-1]).float(), "yours is float32"),
    ],
    check_first_time: [
        (lambda a, snr: first(a / (1 - a) < snr) - 1, "one step early"),
        (lambda a, snr: first(a / (1 - a) < snr) + 1, "one step late"),
        (lambda a, snr: first((a / (1 - a))[1:] < snr), "left out index 0"),
        (lambda a, snr: int((a / (1 - a) < snr).sum()), "counted the times"),
        (lambda a, snr: first(a < snr), "compared ᾱ_t with snr"),
        (lambda a, snr: first(a / (1 - a) <= snr), "the sign is <"),
        (lambda a, snr: int((a / (1 - a) - snr).abs().argmin()), "nearest to the value"),
        (lambda a, snr: first((a / (1 - a)).sqrt() < snr), "take no roots"),
        (lambda a, snr: first(a / (1 - a) > snr), "you return time 0"),
        (lambda a, snr: (a / (1 - a) < snr).nonzero()[0], "a whole number (int) was expected"),
    ],
    check_jump_between: [
        (lambda x, s, t, e: t**0.5 * x + (1 - t) ** 0.5 * e, "the jump from x_0"),
        (lambda x, s, t, e: (t / s) ** 0.5 * x + (1 - t) ** 0.5 * e, "noise is too strong"),
        (lambda x, s, t, e: (t / s) ** 0.5 * x + (s - t) ** 0.5 * e, "no difference"),
        (lambda x, s, t, e: t / s * x + (1 - t / s) ** 0.5 * e, "its root"),
        (lambda x, s, t, e: (t / s) ** 0.5 * x + (1 - t / s) * e, "as a deviation"),
        (lambda x, s, t, e: t**0.5 * x + (s - t) ** 0.5 * e, "neither factor starts at s"),
        (lambda x, t, s, e: (t / s) ** 0.5 * x + (1 - t / s) ** 0.5 * e, "upside down"),
        (lambda x, s, t, e: x.mul_((t / s) ** 0.5).add_((1 - t / s) ** 0.5 * e), "changed x itself"),
    ],
}
