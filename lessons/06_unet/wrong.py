"""Wrong answers to the exercises of notebook 06, each with words that the check's message must contain."""

import torch
import torch.nn.functional as F

from diffusion_lab.exercises.unet import check_attend, check_convolution, check_join, check_modulate


def convolution(rows=lambda n, k, s, p: (n + 2 * p - k) // s + 1, weights=lambda a, b, k: a * b * k**2 + b):
    """An answer to the first exercise, with one part exchanged: rows of the result, or number of parameters."""

    def attempt(n, channels_in, channels_out, kernel, stride, padding):
        return rows(n, kernel, stride, padding), weights(channels_in, channels_out, kernel)

    return attempt


def modulated(change):
    """An answer to the second exercise: a function of h, scale and shift, the last two of shape (n, c, 1, 1)."""
    return lambda h, scale, shift: change(h, scale[:, :, None, None], shift[:, :, None, None])


def joined(grow=lambda x: F.interpolate(x, scale_factor=2), put=lambda a, b: torch.cat([a, b], dim=1)):
    """An answer to the third exercise, with one part exchanged."""
    return lambda coarse, fine: put(grow(coarse), fine)


def attended(scores=lambda q, k: q @ k.transpose(1, 2), divide_by=lambda q: q.shape[2] ** 0.5, dim=2):
    """An answer to the last exercise, with one part exchanged."""
    return lambda q, k, v: torch.softmax(scores(q, k) / divide_by(q), dim=dim) @ v

def root(q):
    return q.shape[2] ** 0.5


WRONG = {
    check_convolution: [
        (convolution(rows=lambda n, k, s, p: (n + 2 * p - k) / s + 1), "Round down"),
        (convolution(rows=lambda n, k, s, p: (n + 2 * p - k) // s), "the + 1"),
        (convolution(rows=lambda n, k, s, p: (n + 2 * p - k + 1) // s), "divide first, then add 1"),
        (convolution(rows=lambda n, k, s, p: (n + p - k) // s + 1), "counts twice"),
        (convolution(rows=lambda n, k, s, p: (n - k) // s + 1), "counts twice"),
        (convolution(rows=lambda n, k, s, p: n + 2 * p - k + 1), "stride is missing"),
        (convolution(rows=lambda n, k, s, p: n), "should be 7, but yours is 14"),
        (convolution(weights=lambda a, b, k: a * b * k**2), "biases are missing"),
        (convolution(weights=lambda a, b, k: a * b * k**2 + a), "belong to the output channels"),
        (convolution(weights=lambda a, b, k: a * b * k**2 + 1), "a bias of its own"),
        (convolution(weights=lambda a, b, k: a * b * k + b), "kernel² numbers"),
        (convolution(weights=lambda a, b, k: b * k**2 + b), "a kernel for each input channel"),
        (lambda n, a, b, k, s, p: (((n + 2 * p - k) // s + 1), n * n * a * b * k**2 + b), "do not depend on rows"),
        (lambda n, a, b, k, s, p: (a * b * k**2 + b, (n + 2 * p - k) // s + 1), "the other way round"),
        (lambda n, a, b, k, s, p: (n + 2 * p - k) // s + 1, "2 results were expected"),
        (lambda n, a, b, k, s, p: ((n + 2 * p - k) // s + 1, a * b * k**2 + b, 0), "your function returned 3 results"),
        (lambda n, a, b, k, s, p: ((n + 2 * p - k) // s + 1, None), "entry 1 of the 2 in a tuple"),
        (convolution(rows=lambda n, k, s, p: round((n + 2 * p - k) / s) + 1), "not to the nearest"),
        (convolution(rows=lambda n, k, s, p: -((k - n - 2 * p) // s) + 1), "not up"),
        (convolution(rows=lambda n, k, s, p: n // s), "that is rows // stride"),
        (convolution(rows=lambda n, k, s, p: (n + 2 * p - k) * s + 1), "you multiplied"),
        (convolution(rows=lambda n, k, s, p: float((n + 2 * p - k) // s + 1)), "a whole number (int)"),
        (convolution(weights=lambda a, b, k: a * b * k**2 + a * b), "not one for each of its kernels"),
        (convolution(weights=lambda a, b, k: (a + 1) * b * k**2), "no kernel² entries"),
        (convolution(weights=lambda a, b, k: a * b + b), "yours has 1"),
    ],
    check_modulate: [
        (modulated(lambda h, scale, shift: scale * h + shift), "the 1 is missing"),
        (modulated(lambda h, scale, shift: (1 + shift) * h + scale), "swapped"),
        (modulated(lambda h, scale, shift: h + shift), "the scale is missing"),
        (modulated(lambda h, scale, shift: (1 + scale) * h), "the shift is missing"),
        (modulated(lambda h, scale, shift: scale.exp() * h + shift), "exp(scale)"),
        (modulated(lambda h, scale, shift: (1 + scale) * (h + shift)), "first scale, then shift"),
        (modulated(lambda h, scale, shift: (1 + scale.mean(0)) * h + shift.mean(0)), "average over the batch"),
        (modulated(lambda h, scale, shift: (1 + scale[0]) * h + shift[0]), "of the first one"),
        (lambda h, scale, shift: (1 + scale) * h + shift, "broadcasting begins at the right"),
        (lambda h, scale, shift: (1 + scale[:, None, None]) * h + shift[:, None, None], "went along the width"),
        (lambda h, scale, shift: (1 + scale.T[:, :, None, None]) * h + shift.T[:, :, None, None], "swapped"),
        (modulated(lambda h, scale, shift: 1 + scale * h + shift), "without brackets"),
        (modulated(lambda h, scale, shift: (1 - scale) * h + shift), "1 - scale"),
        (modulated(lambda h, scale, shift: (1 + scale) * h - shift), "subtracted"),
        (modulated(lambda h, scale, shift: h + scale + shift), "you added the scale"),
        (modulated(lambda h, scale, shift: (1 + scale[:, :1]) * h + shift[:, :1]), "all channels got"),
        (modulated(lambda h, scale, shift: h.mul_(1 + scale).add_(shift)), "changed h itself"),
        (modulated(lambda h, scale, shift: ((1 + scale) * h + shift).float()), "should be float64"),
        (modulated(lambda h, scale, shift: (1 + 2 * scale) * h + shift), "add shift[n, c]. With h ="),
        (lambda h, scale, shift: (1 + scale.view(h.shape[0], -1, 1, 1)) * h + shift.view(h.shape[1], -1, 1, 1),
         "size of tensor"),
    ],
    check_join: [
        (joined(grow=lambda x: x.repeat(1, 1, 2, 2)), "side by side. Each place"),
        (joined(grow=lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")), "mixes neighbours"),
        (joined(grow=lambda x: x.repeat_interleave(4, 3).reshape(*x.shape[:2], -1, 2 * x.shape[3])),
         "belongs at rows 2i, 2i+1"),
        (joined(put=lambda a, b: torch.cat([b, a], dim=1)), "the fine channels come first"),
        (joined(put=lambda a, b: torch.cat([a, b])), "the pictures of the batch"),
        (joined(put=lambda a, b: torch.cat([a, b], dim=2)), "along the rows"),
        (joined(put=lambda a, b: torch.cat([a, b], dim=-1)), "along the columns"),
        (joined(put=lambda a, b: a + b), "add nothing up"),
        (joined(grow=lambda x: x), "Sizes of tensors must match"),
        (joined(grow=lambda x: F.interpolate(x, scale_factor=2, mode="bicubic")), "bicubic"),
        (joined(grow=lambda x: F.interpolate(x, scale_factor=2) / 4), "unchanged. With coarse ="),
        (joined(put=lambda a, b: torch.stack([a, b], dim=1)), "an axis of its own"),
        (joined(put=lambda a, b: (a, b)), "two things"),
        (joined(put=lambda a, b: torch.cat([a, b[:, : a.shape[1]]], dim=1)), "should be (1, 7, 4, 6)"),
        (lambda coarse, fine: torch.cat([coarse, F.avg_pool2d(fine, 2)], dim=1), "the coarse ones are to grow"),
        (lambda coarse, fine: F.interpolate(coarse, scale_factor=2), "add nothing up"),
    ],
    check_attend: [
        (attended(divide_by=lambda q: 1), "1/√d is missing"),
        (attended(divide_by=lambda q: q.shape[2]), "you divided by d"),
        (attended(divide_by=lambda q: q.shape[1] ** 0.5), "not the number of places"),
        (attended(divide_by=lambda q: q.shape[2] ** -0.5), "you multiplied by √d"),
        (attended(dim=1), "over those that answer"),
        (attended(dim=0), "over the examples"),
        (attended(scores=lambda q, k: k @ q.transpose(1, 2)), "queries and keys are swapped"),
        (attended(scores=lambda q, k: -q @ k.transpose(1, 2)), "the sign is turned"),
        (F.scaled_dot_product_attention, "the library's own function"),
        (lambda q, k, v: F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0], "own function"),
        (lambda q, k, v: torch.softmax(q @ k.T / root(q), dim=2) @ v, "`k.transpose(1, 2)`"),
        (lambda q, k, v: torch.softmax(q @ k.transpose(1, 2), dim=2) / root(q) @ v, "before the softmax, not after"),
        (lambda q, k, v: torch.softmax(q @ v.transpose(1, 2) / root(q), dim=2) @ v, "compared with the values"),
        (lambda q, k, v: q @ k.transpose(1, 2) / root(q) @ v, "the softmax is missing"),
        (lambda q, k, v: torch.softmax(q @ k.transpose(1, 2) / root(q), dim=2) @ k, "you mixed the keys"),
        (lambda q, k, v: torch.softmax(q @ k.transpose(1, 2) / root(q), dim=2), "those are the shares"),
        (lambda q, k, v: torch.softmax(q.flatten(0, 1) @ k.flatten(0, 1).T / root(q), 1).unflatten(0, q.shape[:2])
         @ v.flatten(0, 1), "keys of all examples"),
        (attended(divide_by=lambda q: len(q) ** 0.5), "not the number of examples"),
        (attended(scores=lambda q, k: q @ q.transpose(1, 2)), "compared with themselves"),
        (lambda q, k, v: torch.softmax(q @ k.mT / root(q), dim=2).mT @ v, "turned round"),
        (lambda q, k, v: torch.sigmoid(q @ k.mT / root(q)) @ v, "a sigmoid"),
        (lambda q, k, v: torch.exp(q @ k.mT / root(q)) @ v, "exp alone"),
        (lambda q, k, v: torch.log_softmax(q @ k.mT / root(q), dim=2) @ v, "logarithms"),
        (lambda q, k, v: torch.softmax(q[:1] @ k[:1].mT / root(q), dim=2) @ v, "of the first one"),
        (lambda q, k, v: torch.softmax(q, dim=2) @ k.mT @ v, "With q ="),
    ],
}
