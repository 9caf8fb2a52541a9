"""Wrong answers to the exercises of notebook 04, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.elbo import check_eps_weight, check_pixel_prob, check_step_term, check_to_bits


def phi(z):
    return torch.special.ndtr(z.double())


def between(k, mean, std, half=1 / 255, open_ends=True):
    """The probability of each pixel's bin, with a given half width."""
    x = k / 127.5 - 1
    below, above = phi((x - half - mean) / std), phi((x + half - mean) / std)
    if open_ends:
        above, below = torch.where(k == 255, 1.0, above), torch.where(k == 0, 0.0, below)
    return above - below


WRONG = {
    check_to_bits: [
        (lambda nats, d: nats / math.log(2), "bits of the whole image"),
        (lambda nats, d: nats / d, "nats per dimension"),
        (lambda nats, d: nats * math.log(2) / d, "multiplied by log 2"),
        (lambda nats, d: -nats / (d * math.log(2)), "sign is turned"),
        (lambda nats, d: nats / (d * math.log(10)), "8 bits for each pixel"),
    ],
    check_step_term: [
        (lambda m, v, n, w: 0.5 * (w / v + (m - n) ** 2 / v - 1 - torch.log(w / v)), "q comes first"),
        (lambda m, v, n, w: 0.5 * (m - n) ** 2 / w, "means only"),
        (lambda m, v, n, w: v / w + (m - n) ** 2 / w - 1 - torch.log(v / w), "factor ½"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w - torch.log(v / w)), "-1 is missing"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w - 1 + torch.log(v / w)), "wrong sign"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / v - 1 - torch.log(v / w)), "divided by p_var"),
        (lambda m, v, n, w: 0.5 * (v / v + (m - m) ** 2 / v - 1 - torch.log(v / v)), "one of them with itself"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w**2 - 1 - torch.log(v / w)), "variances already"),
        (lambda m, v, n, w: 0.5 * ((v / w) ** 2 + ((m - n) / w) ** 2 - 1 - 2 * torch.log(v / w)), "variances already"),
        (lambda m, v, n, w: 0.5 * (v**0.5 / w**0.5 + (m - n) ** 2 / w - 1 - torch.log(v / w)), "the answer is"),
    ],
    check_eps_weight: [
        (lambda b, a, v: b**2 / (v * (1 - b) * (1 - a)), "2 of the Gaussian"),
        (lambda b, a, v: b / (2 * v * (1 - b) * (1 - a)), "enters squared"),
        (lambda b, a, v: b**2 / (2 * v * (1 - a)), "α_t = 1-β_t"),
        (lambda b, a, v: b**2 / (2 * v * (1 - b)), "1-ᾱ_t is missing"),
        (lambda b, a, v: b**2 / (2 * v * (1 - b) * a), "divided by ᾱ_t"),
        (lambda b, a, v: b**2 / (2 * v * (1 - b) * (1 - a).sqrt()), "no roots"),
        (lambda b, a, v: b**2 / (2 * v * a * (1 - a)), "has no bar"),
        (lambda b, a, v: b**2 / (2 * v**2 * (1 - b) * (1 - a)), "squared p_var"),
        (lambda b, a, v: b**2 * (1 - b) / (2 * v * (1 - a)), "compare with equation (7)"),
    ],
    check_pixel_prob: [
        (lambda k, m, s: between(k, m, s, open_ends=False), "open to the outside"),
        (lambda k, m, s: between(k, m, s, half=2 / 255), "the bins overlap"),
        (lambda k, m, s: between(k, m, s, half=0.5 / 255), "leave gaps"),
        (lambda k, m, s: -between(k, m, s, open_ends=False), "negative"),
        (lambda k, m, s: between(k, m, s**2), "std no variance"),
        (lambda k, m, s: torch.exp(-0.5 * ((k / 127.5 - 1 - m) / s) ** 2) / (s * math.sqrt(2 * math.pi)), "density"),
        (lambda k, m, s: torch.exp(-0.5 * ((k / 127.5 - 1 - m) / s) ** 2) / (s * math.sqrt(2 * math.pi)) * 2 / 255,
         "density times width"),
        (lambda k, m, s: phi(((k + 0.5) / 255 - m) / s) - phi(((k - 0.5) / 255 - m) / s), "scaled to [-1, 1]"),
        (lambda k, m, s: phi((k / 128 - 1 + 1 / 255 - m) / s) - phi((k / 128 - 1 - 1 / 255 - m) / s), "k/127.5 - 1"),
        (lambda k, m, s: between(k, m + 0.1, s), "likeliest pixel of 1…254"),
    ],
}
