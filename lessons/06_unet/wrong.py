"""Wrong answers to the exercises of notebook 06, each with words that the check's message must contain."""

import torch
import torch.nn.functional as F

from diffusion_lab.exercises.unet import (
    check_attend,
    check_convolution,
    check_justified,
    check_reach,
    check_transformer_block,
)


def convolution(rows=lambda n, k, s, p: (n + 2 * p - k) // s + 1, weights=lambda a, b, k: a * b * k**2 + b):
    """An answer to the first exercise, with one part exchanged: rows of the result, or number of parameters."""

    def attempt(n, channels_in, channels_out, kernel, stride, padding):
        return rows(n, kernel, stride, padding), weights(channels_in, channels_out, kernel)

    return attempt


def layer_norm(places):
    return F.layer_norm(places, places.shape[2:])


def change(x, scale, shift, gate, f):
    """Equation (6), right."""
    return x + gate * f((1 + scale) * layer_norm(x) + shift)


def block(first=change, second=change, order=(0, 1, 2, 3, 4, 5), there=lambda x: x.flatten(2).transpose(1, 2),
          back=lambda places, x: places.transpose(1, 2).reshape(x.shape)):
    """An answer to the second exercise, with one part exchanged."""

    def attempt(x, modulation, attend, mlp):
        six = modulation[:, None].chunk(6, dim=2)
        six = [six[k] for k in order]
        places = first(there(x), *six[:3], attend)
        return back(second(places, *six[3:], mlp), x)

    return attempt


def twice(half):
    return block(half, half)


def both_from_the_input(x, modulation, attend, mlp):
    places = x.flatten(2).transpose(1, 2)
    a, b, c, d, e, f = modulation[:, None].chunk(6, dim=2)
    places = change(places, a, b, c, attend) + f * mlp((1 + d) * layer_norm(places) + e)
    return places.transpose(1, 2).reshape(x.shape)


def attended(weigh=lambda scores: torch.softmax(scores, dim=3), root=lambda q: q.shape[3] ** 0.5,
             join=lambda found: found.transpose(1, 2).flatten(2)):
    """An answer to the third exercise, with one part exchanged."""
    return lambda q, k, v: join(weigh(q @ k.transpose(2, 3) / root(q)) @ v)


def reshaped(found):
    n, heads, positions, d = found.shape
    return found.reshape(n, positions, heads * d)


def exp_alone(scores):
    return scores.exp() / scores.exp().sum(dim=3, keepdim=True)


def from_the_largest_of_all(scores):
    exp = (scores - scores.max()).exp()
    return exp / exp.sum(dim=3, keepdim=True)


def reach(size=torch.square, window=lambda r: slice(14 - r, 15 + r), pixel=lambda answers: answers[:, 0, 14, 14].sum(),
          result=lambda inside, everywhere: (inside / everywhere).item()):
    """An answer to the fourth exercise, with one part exchanged."""

    def attempt(denoiser, x_t, t, radius):
        x = x_t.clone().requires_grad_()
        (slopes,) = torch.autograd.grad(pixel(denoiser(x, t)), x)
        values, rows = size(slopes), window(radius)
        return result(values[:, 0, rows, rows].sum(), values.sum())

    return attempt


def no_slopes(denoiser, x_t, t, radius):
    with torch.no_grad():
        answers = denoiser(x_t, t)
    (slopes,) = torch.autograd.grad(answers[:, 0, 14, 14].sum(), x_t)
    return slopes


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
        (lambda n, a, b, k, s, p: {"rows": (n + 2 * p - k) // s + 1, "weights": a * b * k**2 + b}, "returned dict"),
        (lambda n, a, b, k, s, p: {(n + 2 * p - k) // s + 1, a * b * k**2 + b}, "returned set"),
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
    check_transformer_block: [
        (twice(lambda x, scale, shift, gate, f: x + f((1 + scale) * layer_norm(x) + shift)), "the gates are missing"),
        (twice(lambda x, scale, shift, gate, f: gate * f((1 + scale) * layer_norm(x) + shift)),
         "the shortcuts are missing"),
        (block(second=lambda x, scale, shift, gate, f: gate * f((1 + scale) * layer_norm(x) + shift)),
         "the second shortcut"),
        (twice(lambda x, scale, shift, gate, f: x + gate * f((1 + scale) * x + shift)), "the norm is missing."),
        (twice(lambda x, scale, shift, gate, f: x + gate * f(scale * layer_norm(x) + shift)), "the 1 is missing"),
        (twice(lambda x, scale, shift, gate, f: x + (1 + gate) * f((1 + scale) * layer_norm(x) + shift)),
         "yours is 1 + gate"),
        (twice(lambda x, scale, shift, gate, f: x + gate * f((1 + scale) * (layer_norm(x) + shift))),
         "it was scaled, too"),
        (twice(lambda x, scale, shift, gate, f: gate * (x + f((1 + scale) * layer_norm(x) + shift))),
         "not the shortcut"),
        (block(order=(1, 0, 2, 4, 3, 5)), "scale and shift are swapped"),
        (block(order=(0, 2, 4, 1, 3, 5)), "two scales, two shifts"),
        (block(order=(0, 1, 2, 0, 1, 2)), "the first three vectors"),
        (both_from_the_input, "what the first half has made"),
        (block(back=lambda places, x: places.reshape(x.shape)), "the way back lacks its transpose"),
        (block(there=lambda x: x.reshape(len(x), -1, x.shape[1])), "mix positions and channels"),
        (block(there=lambda x: x.reshape(len(x), -1, x.shape[1]), back=lambda places, x: places.reshape(x.shape)),
         "mix positions and channels"),
        (block(back=lambda places, x: places), "turn it back into a picture"),
        (block(second=lambda x, *_: x), "the second half is missing"),
        (twice(lambda x, scale, shift, gate, f: x + gate * f((1 + scale) * F.layer_norm(x, x.shape[1:]) + shift)),
         "all positions together"),
        (lambda x, m, attend, mlp: block()(x, m.float(), attend, mlp).float(), "should be float64"),
        (lambda x, m, attend, mlp: block()(x, 0.9 * m, attend, mlp), "With x ="),
        (lambda x, m, attend, mlp: block()(x.mul_(1.5), m, attend, mlp), "changed x itself"),
        (lambda x, m, attend, mlp: None, "returned None"),
    ],
    check_attend: [
        (attended(lambda scores: torch.softmax(scores, dim=2), join=reshaped), "still the faulty"),
        (attended(lambda scores: torch.softmax(scores, dim=2)), "those that answer"),
        (attended(join=reshaped), "`transpose(1, 2)` first"),
        (attended(lambda scores: torch.softmax(scores, dim=1)), "over the heads"),
        (attended(join=lambda found: found.permute(0, 2, 3, 1).flatten(2)), "interleaved"),
        (attended(root=lambda q: (q.shape[1] * q.shape[3]) ** 0.5), "of all heads together"),
        (attended(root=lambda q: 1), "1/√d is missing"),
        (attended(root=lambda q: q.shape[3]), "you divided by d"),
        (attended(lambda scores: scores), "the softmax is missing"),
        (attended(exp_alone), "exp overflows, and"),
        (attended(from_the_largest_of_all), "the largest of each *row*"),
        (attended(lambda scores: torch.softmax(scores, dim=3).mT), "turned round"),
        (attended(join=lambda found: found.transpose(1, 2)), "the shape should be"),
        (attended(join=lambda found: found.transpose(1, 2).flatten(2).float()), "should be float64"),
        (attended(lambda scores: torch.softmax(scores, dim=3) ** 2), "With q ="),
    ],
    check_reach: [
        (reach(torch.abs), "absolute values"),
        (reach(lambda slopes: slopes), "are to be squared, or"),
        (reach(window=lambda r: slice(14 - r, 14 + r)), "last row and column"),
        (reach(window=lambda r: slice(13 - r, 16 + r)), "too large on each side"),
        (reach(window=lambda r: slice(14 - r // 2, 15 + r // 2)), "half as wide"),
        (reach(pixel=lambda answers: answers.sum()), "of all pixels"),
        (reach(pixel=lambda answers: answers[0, 0, 14, 14]), "the first picture alone"),
        (reach(result=lambda inside, everywhere: (1 - inside / everywhere).item()), "outside of the window"),
        (reach(result=lambda inside, everywhere: inside.item()), "divide by the sum of all"),
        (reach(pixel=lambda answers: answers[:, 0, 14, 14].square().sum()), "squared the pixel's answer"),
        (reach(result=lambda inside, everywhere: (inside / everywhere).item() ** 0.5), "With case ="),
        (lambda denoiser, x_t, t, radius: reach()(denoiser, x_t, 1000, radius), "handed on"),
        (no_slopes, "your code stopped with RuntimeError"),
    ],
    check_justified: [
        (lambda: "ABCDEG", "D is not justified"),
        (lambda: "ABCEFG", "F is not justified"),
        (lambda: "BCEG", "A is justified"),
        (lambda: {"A", "C", "E", "G"}, "B is justified"),
        (lambda: "ABEG", "C is justified"),
        (lambda: "ABC", "2 letters are wrong or missing"),
        (lambda: "H", "letters from A to G"),
    ],
}
