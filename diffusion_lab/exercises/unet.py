"""The checks of the exercises of lessons/06_unet."""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from diffusion_lab.exercises.feedback import NONE, NOT_SO_MANY, Wrong, answers, diagnosed, how_many, require_no_none

CONVOLUTIONS = [(28, 1, 8, 3, 1, 1), (14, 4, 6, 3, 2, 1), (7, 6, 4, 1, 1, 0), (28, 3, 5, 5, 2, 0), (9, 2, 2, 3, 1, 0),
                (7, 6, 4, 3, 2, 1), (20, 5, 7, 4, 3, 1)]


@answers
def check_convolution(attempt):
    def rows_of(rows, channels_in, channels_out, kernel, stride, padding):
        return (rows + 2 * padding - kernel) // stride + 1

    def parameters_of(rows, channels_in, channels_out, kernel, stride, padding):
        return channels_out * channels_in * kernel**2 + channels_out

    def both(*case):
        return rows_of(*case), parameters_of(*case)

    rows_mistaken = [
        ("you return the two the other way round: first the rows, then the parameters.", parameters_of),
        ("the rows of the result: a kernel that no longer fits is not counted. Round down, with `//`.",
         lambda n, a, b, k, s, p: (n + 2 * p - k) / s + 1),
        ("the rows of the result: a kernel that no longer fits is not counted. Round down, with `//`, not up.",
         lambda n, a, b, k, s, p: -((k - 2 * p - n) // s) + 1),
        ("the rows of the result: a kernel that no longer fits is not counted. Round down, with `//`, not to "
         "the nearest.",
         lambda n, a, b, k, s, p: round((n + 2 * p - k) / s) + 1),
        ("the rows of the result: one too few each time: the kernel's first place counts, too (the + 1).",
         lambda n, a, b, k, s, p: (n + 2 * p - k) // s),
        ("the rows of the result: divide first, then add 1: what is divided are the kernel's moves.",
         lambda n, a, b, k, s, p: (n + 2 * p - k + 1) // s),
        ("the rows of the result: the padding lies on both sides, so it counts twice.",
         lambda n, a, b, k, s, p: (n + p - k) // s + 1),
        ("the rows of the result: the padding is missing; it lies on both sides, so it counts twice.",
         lambda n, a, b, k, s, p: (n - k) // s + 1),
        ("the rows of the result: the stride is missing: with stride 2, every other place is left out.",
         lambda n, a, b, k, s, p: n + 2 * p - k + 1),
        ("the rows of the result: the stride divides the kernel's moves; you multiplied.",
         lambda n, a, b, k, s, p: (n + 2 * p - k) * s + 1),
        ("the rows of the result: that is rows // stride. Kernel and padding count, too.",
         lambda n, a, b, k, s, p: n // s),
        ("the rows of the result: the kernel takes its whole length of the rows, not half of it.",
         lambda n, a, b, k, s, p: (n + 2 * p - k // 2) // s + 1),
    ]
    parameters_mistaken = [
        ("the parameters: the biases are missing, one for each output channel.", lambda n, a, b, k, s, p: a * b * k**2),
        ("the parameters: the biases belong to the output channels.", lambda n, a, b, k, s, p: a * b * k**2 + a),
        ("the parameters: each output channel has a bias of its own.", lambda n, a, b, k, s, p: a * b * k**2 + 1),
        ("the parameters: an output channel has one bias, and not one for each of its kernels.",
         lambda n, a, b, k, s, p: a * b * k**2 + a * b),
        ("the parameters: an output channel has one bias; it has no kernel² entries.",
         lambda n, a, b, k, s, p: (a * b + b) * k**2),
        ("the parameters: a kernel has kernel² numbers.", lambda n, a, b, k, s, p: a * b * k + b),
        ("the parameters: a kernel has kernel² numbers, and yours has 1.", lambda n, a, b, k, s, p: a * b + b),
        ("the parameters: each output channel has a kernel for each input channel.",
         lambda n, a, b, k, s, p: b * k**2 + b),
    ]
    diagnosed(part(attempt, 0), as_float(rows_of), rows_mistaken,
              "The rows of the result: (rows + 2 padding - kernel) moves of the kernel, divided by the stride and "
              "rounded down, and its first place.", CONVOLUTIONS)
    diagnosed(part(attempt, 1), as_float(parameters_of), parameters_mistaken,
              "The parameters: kernel² for each pair of an input and an output channel, and the biases. They do not "
              "depend on rows, stride or padding.", CONVOLUTIONS)
    diagnosed(attempt, both, [], "Two whole numbers.", CONVOLUTIONS)
    return "Both numbers, for seven convolutions."


def part(attempt, i):
    """One of the reader's two numbers as a float, whole or not: a cause says more than that it should be whole."""

    def answer(*case):
        given = attempt(*case)
        if given is None:
            raise Wrong(NONE)
        if not hasattr(given, "__len__") or len(given) != 2:
            raise Wrong(NOT_SO_MANY, n=2, kind=how_many(given))
        require_no_none(given)
        return float(given[i])

    return answer


def as_float(whole):
    def due(rows, channels_in, channels_out, kernel, stride, padding):
        return float(whole(rows, channels_in, channels_out, kernel, stride, padding))

    return due


@answers
def check_modulate(attempt):
    def right(h, scale, shift):
        return modulated(1 + scale, shift)(h)

    def modulated(factor, term):
        """h times a factor plus a term, two tensors (n, c) or fewer."""
        return lambda h: factor.expand(h.shape[:2])[:, :, None, None] * h + term.expand(h.shape[:2])[:, :, None, None]

    causes = [
        ("the 1 is missing: with scale 0, which is how a block begins, all would be 0.",
         lambda h, scale, shift: modulated(scale, shift)(h)),
        ("scale and shift are swapped.", lambda h, scale, shift: right(h, shift, scale)),
        ("the scale is missing.", lambda h, scale, shift: right(h, 0 * scale, shift)),
        ("the shift is missing.", lambda h, scale, shift: right(h, scale, 0 * shift)),
        ("the shift is added, and you subtracted it.", lambda h, scale, shift: right(h, scale, -shift)),
        ("the factor is 1 + scale, and yours is 1 - scale.", lambda h, scale, shift: right(h, -scale, shift)),
        ("that is exp(scale); here it is 1 + scale.", lambda h, scale, shift: modulated(scale.exp(), shift)(h)),
        ("without brackets, only scale is multiplied with h, and 1 is added: write (1 + scale) * h.",
         lambda h, scale, shift: 1 + modulated(scale, shift)(h)),
        ("you added the scale; h is multiplied by 1 + scale.",
         lambda h, scale, shift: modulated(torch.ones_like(scale), scale + shift)(h)),
        ("first scale, then shift: here the shift was scaled, too.",
         lambda h, scale, shift: modulated(1 + scale, (1 + scale) * shift)(h)),
        ("each picture has a time of its own: do not average over the batch.",
         lambda h, scale, shift: modulated(1 + scale.mean(0), shift.mean(0))(h)),
        ("you averaged scale and shift; each channel of each picture has its own.",
         lambda h, scale, shift: modulated(1 + scale.mean(), shift.mean())(h)),
        ("all pictures got the scale and shift of the first one.",
         lambda h, scale, shift: modulated(1 + scale[:1], shift[:1])(h)),
        ("all channels got the scale and shift of the first one.",
         lambda h, scale, shift: modulated(1 + scale[:, :1], shift[:, :1])(h)),
        ("(n, c) was aligned with (height, width), for broadcasting begins at the right. It raised no error only "
         "because all sizes are equal here. Add two axes: `scale[:, :, None, None]`.",
         lambda h, scale, shift: (1 + scale) * h + shift),
        ("the channels' numbers went along the width: the two new axes belong behind, not between.",
         lambda h, scale, shift: (1 + scale)[:, None, None] * h + shift[:, None, None]),
        ("pictures and channels are swapped: scale has shape (n, c), as the first two axes of h.",
         lambda h, scale, shift: right(h, scale.T, shift.T)),
    ]
    look = "Multiply channel c of picture n by 1 + scale[n, c], then add shift[n, c]."
    equal = [(random(4, 4, 4, 4), *random(2, 4, 4)), (random(3, 3, 3, 3), *random(2, 3, 3))]
    diagnosed(attempt, right, causes, look, equal)
    diagnosed(attempt, right, [], f"Right where all sizes are equal, but not where they differ. {look}",
              [(random(2, 3, 5, 4), *random(2, 2, 3)), (random(3, 1, 2, 6), *random(2, 3, 1))])
    return "Zeros change nothing, and each channel of each picture has a dial of its own."


@answers
def check_join(attempt):
    def right(coarse, fine):
        return torch.cat([grown(coarse), fine], dim=1)

    def grown(coarse):
        return coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)

    def with_zeros(coarse):
        return grown(coarse) * torch.tensor([[1.0, 0], [0, 0]]).repeat(*coarse.shape[2:])

    def resized(mode, **how):
        return lambda coarse, fine: torch.cat([F.interpolate(coarse, scale_factor=2, mode=mode, **how), fine], dim=1)

    single = ("that has the channels of one of the two. Lay them side by side, `torch.cat`, and add nothing up: the "
              "next block decides what to take from each.")
    mixes = "that is bilinear upsampling, which mixes neighbours. Repeat each place 2×2, unmixed."
    causes = [
        (single, lambda coarse, fine: grown(coarse) + fine),
        (single, lambda coarse, fine: grown(coarse)),
        (single, lambda coarse, fine: fine),
        ("you put them together along the pictures of the batch. The channels are axis 1.",
         lambda coarse, fine: torch.cat([grown(coarse), fine])),
        ("you put them together along the rows. The channels are axis 1.",
         lambda coarse, fine: torch.cat([grown(coarse), fine], dim=2)),
        ("you put them together along the columns. The channels are axis 1.",
         lambda coarse, fine: torch.cat([grown(coarse), fine], dim=3)),
        ("`torch.stack` makes an axis of its own for the two; `torch.cat` lays them along one that is there, dim=1.",
         lambda coarse, fine: torch.stack([grown(coarse), fine], dim=1)),
        ("`torch.stack` makes an axis of its own for the two; `torch.cat` lays them along one that is there, dim=1.",
         lambda coarse, fine: torch.stack([grown(coarse), fine])),
        ("the fine channels come first; the weights of the next block expect the coarse ones there.",
         lambda coarse, fine: torch.cat([fine, grown(coarse)], dim=1)),
        ("`repeat` lays four copies of the picture side by side. Each place must be repeated where it is: "
         "`repeat_interleave`.", lambda coarse, fine: torch.cat([coarse.repeat(1, 1, 2, 2), fine], dim=1)),
        ("the fine channels are right, but of each 2×2 places of the coarse ones only the first is filled. Repeat it.",
         lambda coarse, fine: torch.cat([with_zeros(coarse), fine], dim=1)),
        ("you made the fine channels small; the coarse ones are to grow.",
         lambda coarse, fine: torch.cat([coarse, F.avg_pool2d(fine, 2)], dim=1)),
        ("you made the fine channels small; the coarse ones are to grow.",
         lambda coarse, fine: torch.cat([coarse, F.max_pool2d(fine, 2)], dim=1)),
        (mixes, resized("bilinear")), (mixes, resized("bilinear", align_corners=True)),
        ("that is bicubic upsampling, which mixes neighbours. Repeat each place 2×2, unmixed.", resized("bicubic")),
    ]
    look = ("The first channels are the coarse ones, grown, so that place (i, j) belongs at rows 2i, 2i+1 and columns "
            "2j, 2j+1; the others are the fine ones, unchanged.")
    diagnosed(joined(attempt), right, causes, look,
              [(random(3, 3, 2, 4), random(3, 3, 4, 8)), (random(2, 2, 3, 2), random(2, 2, 6, 4))])
    diagnosed(joined(attempt), right, [], f"Right for as many coarse channels as fine ones, but not else. {look}",
              [(random(2, 4, 3, 2), random(2, 1, 6, 4)), (random(1, 2, 2, 3), random(1, 5, 4, 6))])
    return "What is there, and where exactly, side by side for the next block."


def joined(attempt):
    """The reader's function; raises Wrong where the two parts were left apart (a list of two may be a batch of two)."""

    def answer(coarse, fine):
        given = attempt(coarse, fine)
        if isinstance(given, (tuple, list)) and len(given) == 2 and len(coarse) != 2:
            raise Wrong("one tensor was expected, but your function returned two things. `torch.cat` lays tensors side "
                        "by side.")
        return given

    return answer


def random(*shape):
    """Standard normal float64 numbers, the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class ByHand(TorchFunctionMode):
    """While it is active: the library's own attention is refused, and so is `.T` of a tensor of three axes."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.scaled_dot_product_attention:
            raise Wrong("that is the library's own function. Write out what it does: likenesses, shares, mixture.")
        if function == torch.Tensor.T.__get__ and args[0].ndim == 3:
            raise Wrong("`.T` turns round all three axes. The batch must stay first: `k.transpose(1, 2)`.")
        return function(*args, **(kwargs or {}))


@answers
def check_attend(attempt):
    def by_hand(*case):
        with ByHand():
            return attempt(*case)

    def shared(likeness, dim=2):
        """The mixture of the values with shares from another likeness, a function of q, k and v."""
        return lambda q, k, v: torch.softmax(likeness(q, k, v), dim=dim) @ v

    def scores(q, k):
        return q @ k.transpose(1, 2)

    def scaled(q, k, v):
        return scores(q, k) / q.shape[2] ** 0.5

    def shares(q, k, v):
        return torch.softmax(scaled(q, k, v), dim=2)

    def right(q, k, v):
        return shares(q, k, v) @ v

    no_softmax = "the softmax is missing: the likenesses must become shares that add up to 1."
    causes = [
        ("those are the shares. Mix the values with them: `shares @ v`.", shares),
        ("1/√d is missing.", shared(lambda q, k, v: scores(q, k))),
        ("you divided by d; its root is the deviation of the inner products.",
         shared(lambda q, k, v: scores(q, k) / q.shape[2])),
        ("d is the length of a query, not the number of places.",
         shared(lambda q, k, v: scores(q, k) / q.shape[1] ** 0.5)),
        ("d is the length of a query, not the number of examples.",
         shared(lambda q, k, v: scores(q, k) / len(q) ** 0.5)),
        ("you multiplied by √d; divide.", shared(lambda q, k, v: scores(q, k) * q.shape[2] ** 0.5)),
        ("your shares add up to 1 over the places that ask. They must do so over those that answer.",
         shared(scaled, dim=1)),
        ("your softmax runs over the examples of the batch.", shared(scaled, dim=0)),
        ("queries and keys are swapped: each row belongs to one query.", shared(lambda q, k, v: scaled(k, q, v))),
        ("the shares are turned round: each row of them, one query's, mixes the values.",
         lambda q, k, v: shares(q, k, v).transpose(1, 2) @ v),
        ("the likest places get the smallest shares: the sign is turned.", shared(lambda q, k, v: -scaled(q, k, v))),
        ("the queries are compared with the values; compare them with the keys.",
         shared(lambda q, k, v: scores(q, v) / q.shape[2] ** 0.5)),
        ("the queries are compared with themselves; compare them with the keys.",
         shared(lambda q, k, v: scores(q, q) / q.shape[2] ** 0.5)),
        ("you made all queries and keys of length 1, and compared angles alone; asked are inner products over √d.",
         shared(lambda q, k, v: scores(F.normalize(q, dim=2), F.normalize(k, dim=2)))),
        ("every example got the shares of the first one.", lambda q, k, v: shares(q[:1], k[:1], v) @ v),
        ("each query is compared with the keys of all examples, not with those of its own: the batch stays an axis.",
         lambda q, k, v: right(*(part.flatten(0, 1)[None] for part in (q, k, v)))[0].unflatten(0, q.shape[:2])),
        ("divide by √d before the softmax, not after: shares that are divided no longer add up to 1.",
         lambda q, k, v: torch.softmax(scores(q, k), dim=2) @ v / q.shape[2] ** 0.5),
        ("that is the softmax of a softmax: once is enough.", shared(shares)),
        (no_softmax, lambda q, k, v: scaled(q, k, v) @ v),
        (no_softmax, lambda q, k, v: scores(q, k) @ v),
        ("exp alone makes no shares: divide each row by its sum, as softmax does.",
         lambda q, k, v: scaled(q, k, v).exp() @ v),
        ("a sigmoid weighs each key by itself; shares that add up to 1 come from the softmax.",
         lambda q, k, v: scaled(q, k, v).sigmoid() @ v),
        ("those are the logarithms of the shares (log_softmax); mix with the shares themselves.",
         lambda q, k, v: shares(q, k, v).log() @ v),
        ("you mixed the keys. They say how much of each place is taken; what is taken are the values.",
         lambda q, k, v: shares(q, k, v) @ k),
    ]
    diagnosed(by_hand, right, causes,
              "Compare each query with all keys (q kᵀ), divide by √d, softmax over the keys, mix the values.",
              [tuple(random(3, 2, 5, 3)), tuple(random(3, 3, 4, 6))])
    return "The same as the library's, which is faster and needs less memory."
