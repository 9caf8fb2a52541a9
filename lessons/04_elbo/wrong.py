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


def ends_by_place(prob, k, mean, std):
    """The same probabilities, with the first and the last entry open, whatever pixels they are."""
    x = k / 127.5 - 1
    prob[0], prob[-1] = phi((x[0] + 1 / 255 - mean) / std), 1 - phi((x[-1] - 1 / 255 - mean) / std)
    return prob


WRONG = {
    check_to_bits: [
        (lambda nats, d: nats / math.log(2), "bits of the whole image"),
        (lambda nats, d: nats / d, "nats per dimension"),
        (lambda nats, d: nats * math.log(2) / d, "multiplied by log 2"),
        (lambda nats, d: -nats / (d * math.log(2)), "sign is turned"),
        (lambda nats, d: nats / (d * math.log(10)), "8 bits for each pixel"),
        (lambda nats, d: nats / (d * math.log(256)), "number of bytes"),
        (lambda nats, d: nats / d / 2, "divided by 2 itself"),
        (lambda nats, d: torch.log2(nats) / d, "logarithm of the nats"),
        (lambda nats, d: nats / (len(nats) * math.log(2)), "number of images"),
        (lambda nats, d: (nats / (d * math.log(2))).mean(), "do not average"),
        (lambda nats, d: nats * d / math.log(2), "you multiplied by d"),
        (lambda nats, d: nats / d**0.5 / math.log(2), "A bit is log 2 nats"),
        (lambda nats, d: 2 ** (nats / d), "A bit is log 2 nats"),
        (lambda nats, d: (nats / (d * math.log(2))).float(), "yours is float32"),
        (lambda nats, d: nats.div_(d * math.log(2)), "changed nats itself"),
    ],
    check_step_term: [
        (lambda m, v, n, w: 0.5 * (w / v + (m - n) ** 2 / v - 1 - torch.log(w / v)), "q comes first"),
        (lambda m, v, n, w: 0.5 * (m - n) ** 2 / w, "means only"),
        (lambda m, v, n, w: v / w + (m - n) ** 2 / w - 1 - torch.log(v / w), "factor ½"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w - torch.log(v / w)), "-1 is missing"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w - 1 + torch.log(v / w)), "wrong sign"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / v - 1 - torch.log(v / w)), "divided by p_var"),
        (lambda m, v, n, w: 0.5 * (v / v + (m - m) ** 2 / v - 1 - torch.log(v / v)),
         "one of them is compared with itself"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w**2 - 1 - torch.log(v / w)), "variances already"),
        (lambda m, v, n, w: 0.5 * ((v / w) ** 2 + ((m - n) / w) ** 2 - 1 - 2 * torch.log(v / w)), "variances already"),
        (lambda m, v, n, w: 0.5 * (v**0.5 / w**0.5 + (m - n) ** 2 / w - 1 - torch.log(v / w)), "root of a variance"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w - 1) - torch.log(v / w), "outside your brackets"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w - 1 - 0.5 * torch.log(v / w)),
         "halved the logarithm twice"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n).abs() / w - 1 - torch.log(v / w)), "enters squared"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 - 1 - torch.log(v / w)), "not divided by p_var"),
        (lambda m, v, n, w: 0.5 * (v + m**2 - 1 - torch.log(v)), "p does not appear"),
        (lambda m, v, n, w: (m - n) ** 2, "squared distance of the means alone"),
        (lambda m, v, n, w: (0.5 * (v / w + (m - n) ** 2 / w - 1 - torch.log(v / w))).sum(), "do not add them up"),
        (lambda m, v, n, w: 0.5 * (v / w + (m + n) ** 2 / w - 1 - torch.log(v / w)), "term by term"),
        (lambda m, v, n, w: 0.5 * (v / w + (m - n) ** 2 / w - 1 - torch.log(v) / torch.log(w)), "term by term"),
        (lambda m, v, n, w: 0.5 * (v.float() / w + (m - n) ** 2 / w - 1 - torch.log(v / w)).float(),
         "yours is float32"),
        (lambda m, v, n, w: 0.5 * (v.div_(w) + (m - n) ** 2 / w - 1 - torch.log(v)), "changed v itself"),
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
        (lambda b, a, v: b**2 * (1 - b) / (2 * v * (1 - a)), "multiplied by α_t"),
        (lambda b, a, v: b**2 / 2 * v * (1 - b) * (1 - a), "stands in brackets"),
        (lambda b, a, v: b**2 / (2 * v) * (1 - b) * (1 - a), "stands in brackets"),
        (lambda b, a, v: b**2 / (2 * v), "α_t = 1-β_t and 1-ᾱ_t are missing"),
        (lambda b, a, v: b**2 / (2 * (1 - b) * (1 - a)), "p_var is missing"),
        (lambda b, a, v: b**2 / (2 * v * b * (1 - a)), "divided by β_t"),
        (lambda b, a, v: b**2 / (2 * v * (1 - b) * b), "has a bar"),
        (lambda b, a, v: b / (2 * v * (1 - b) * (1 - a)).sqrt(), "root of the weight"),
        (lambda b, a, v: (1 - a) / a, "Compare with equation (7)"),
        (lambda b, a, v: (b**2 / (2 * v * (1 - b) * (1 - a))).mean(), "do not average"),
        (lambda b, a, v: (b**2 / (2 * v * (1 - b) * (1 - a))).float(), "yours is float32"),
        (lambda b, a, v: b.square_() / (2 * v * (1 - b) * (1 - a)), "changed b itself"),
    ],
    check_pixel_prob: [
        (lambda k, m, s: between(k, m, s, open_ends=False), "open to the outside"),
        (lambda k, m, s: between(k, m, s, half=2 / 255), "the bins overlap"),
        (lambda k, m, s: between(k, m, s, half=0.5 / 255), "leave gaps"),
        (lambda k, m, s: -between(k, m, s, open_ends=False), "negative"),
        (lambda k, m, s: between(k, m, s**2), "std is no variance"),
        (lambda k, m, s: torch.exp(-0.5 * ((k / 127.5 - 1 - m) / s) ** 2) / (s * math.sqrt(2 * math.pi)), "density"),
        (lambda k, m, s: torch.exp(-0.5 * ((k / 127.5 - 1 - m) / s) ** 2) / (s * math.sqrt(2 * math.pi)) * 2 / 255,
         "density times width"),
        (lambda k, m, s: phi(((k + 0.5) / 255 - m) / s) - phi(((k - 0.5) / 255 - m) / s), "scaled to [-1, 1]"),
        (lambda k, m, s: phi((k / 128 - 1 + 1 / 255 - m) / s) - phi((k / 128 - 1 - 1 / 255 - m) / s), "k/127.5 - 1"),
        (lambda k, m, s: between(k, m + 0.1, s), "Take Φ at the upper edge"),
        (lambda k, m, s: between(k, m, s).log(), "logarithm of the probability"),
        (lambda k, m, s: between(k, m, s**0.5), "you took its root"),
        (lambda k, m, s: phi((k / 127.5 - 1 + 1 / 255 - m) / s), "all that is below"),
        (lambda k, m, s: phi((k / 127.5 - 1 - m) / s), "Φ at the pixel"),
        (lambda k, m, s: torch.where(k == 0, phi((k / 127.5 - 1 + 1 / 255 - m) / s), between(k, m, s, open_ends=False)),
         "but that of 255"),
        (lambda k, m, s: phi((k + 0.5 - m) / s) - phi((k - 0.5 - m) / s), "not scaled"),
        (lambda k, m, s: between(k, 0.0, 1.0), "Take Φ at the upper edge"),
        (lambda k, m, s: between(k, m, s, open_ends=False) / between(k, m, s, open_ends=False).sum(), "Take Φ at the"),
        (lambda k, m, s: between(k, m, s).round(decimals=2), "Take Φ at the upper edge"),
        (lambda k, m, s: between(k, m, s / 2**0.5), "erf is not Φ"),
        (lambda k, m, s: ends_by_place(between(k, m, s, open_ends=False), k, m, s), "k == 0 and k == 255"),
        (lambda k, m, s: between(k, m, s).float(), "yours is float32"),
        (lambda k, m, s: between(k.clamp_(1, 254), m, s), "changed k itself"),
    ],
}
