"""The checks of the exercises of lessons/06_unet."""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like

CONVOLUTIONS = [(28, 1, 8, 3, 1, 1), (14, 4, 6, 3, 2, 1), (7, 6, 4, 1, 1, 0), (28, 3, 5, 5, 2, 0), (9, 2, 2, 3, 1, 0),
                (7, 6, 4, 3, 2, 1)]

ROWS_MISTAKEN = [
    (lambda n, k, s, p: (n + 2 * p - k) / s + 1, "a kernel that no longer fits is not counted. Round down, with `//`."),
    (lambda n, k, s, p: (n + 2 * p - k) // s, "one too few each time: the kernel's first place counts, too (the + 1)."),
    (lambda n, k, s, p: (n + 2 * p - k + 1) // s, "divide first, then add 1: what is divided are the kernel's moves."),
    (lambda n, k, s, p: (n + p - k) // s + 1, "the padding lies on both sides, so it counts twice."),
    (lambda n, k, s, p: (n - k) // s + 1, "the padding is missing; it lies on both sides, so it counts twice."),
    (lambda n, k, s, p: n + 2 * p - k + 1, "the stride is missing: with stride 2, every other place is left out."),
]
PARAMETERS_MISTAKEN = [
    (lambda a, b, k: a * b * k**2, "the biases are missing, one for each output channel."),
    (lambda a, b, k: a * b * k**2 + a, "the biases belong to the output channels."),
    (lambda a, b, k: a * b * k**2 + 1, "each output channel has a bias of its own."),
    (lambda a, b, k: a * b * k + b, "a kernel has kernel² numbers."),
    (lambda a, b, k: b * k**2 + b, "each output channel has a kernel for each input channel."),
]


@answers
def check_convolution(attempt):
    given = [attempt(*case) for case in CONVOLUTIONS]
    for pair in given:
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(x, (int, float)) for x in pair):
            raise Wrong("return two numbers: `return result, parameters`.")
    expected = [torch.nn.Conv2d(a, b, k, s, p)(torch.zeros(1, a, n, n)).shape[2] for n, a, b, k, s, p in CONVOLUTIONS]
    if [second for _, second in given] == expected:
        raise Wrong("you return the two the other way round: first the rows, then the parameters.")
    for mistaken, cause in ROWS_MISTAKEN:
        if [rows for rows, _ in given] == [mistaken(n, k, s, p) for n, _, _, k, s, p in CONVOLUTIONS]:
            raise Wrong(f"the rows of the result: {cause}")
    for mistaken, cause in PARAMETERS_MISTAKEN:
        if [parameters for _, parameters in given] == [mistaken(a, b, k) for _, a, b, k, _, _ in CONVOLUTIONS]:
            raise Wrong(f"the parameters: {cause}")
    for (rows, parameters), right, (n, a, b, k, s, p) in zip(given, expected, CONVOLUTIONS):
        weights = sum(w.numel() for w in torch.nn.Conv2d(a, b, k, s, p).parameters())
        case = f"rows={n}, {a} → {b} channels, kernel={k}, stride={s}, padding={p}"
        if rows != right:
            raise Wrong(f"with {case} the result has {right} rows, but you get {rows}.")
        if parameters != weights:
            raise Wrong(f"with {case} there are {weights} parameters, but you count {parameters}. "
                        "They do not depend on rows, stride or padding.")
    return "Both numbers, for six convolutions, as PyTorch has them."


@answers
def check_modulate(attempt):
    h, (scale, shift) = random(4, 4, 4, 4), random(2, 4, 4)
    per_channel, to_right = (lambda x: x[:, :, None, None]), (lambda x: x)
    given = tensor_like(attempt(h, scale, shift), h)
    for (a, b), cause in (
        ((scale, shift), "the 1 is missing: with scale 0, which is how a block begins, all would be 0."),
        ((1 + shift, scale), "scale and shift are swapped."),
        ((torch.ones_like(scale), shift), "the scale is missing."),
        ((1 + scale, torch.zeros_like(shift)), "the shift is missing."),
        ((scale.exp(), shift), "that is exp(scale); here it is 1 + scale."),
        ((1 + scale.mean(0), shift.mean(0)), "each picture has a time of its own: do not average over the batch."),
        ((1 + scale[:1], shift[:1]), "all pictures got the scale and shift of the first one."),
    ):
        if close(given, per_channel(a.expand(4, 4)) * h + per_channel(b.expand(4, 4))):
            raise Wrong(cause)
    if close(given, per_channel(1 + scale) * (h + per_channel(shift))):
        raise Wrong("first scale, then shift: here the shift was scaled, too.")
    if close(given, to_right(1 + scale) * h + to_right(shift)):
        raise Wrong("(n, c) was aligned with (height, width), for broadcasting begins at the right. It raised no error "
                    "only because all sizes are 4 here. Add two axes: `scale[:, :, None, None]`.")
    if close(given, (1 + scale)[:, None, None] * h + shift[:, None, None]):
        raise Wrong("the channels' numbers went along the width: the two new axes belong behind, not between.")
    if close(given, (1 + scale.T)[:, :, None, None] * h + shift.T[:, :, None, None]):
        raise Wrong("pictures and channels are swapped: scale has shape (n, c), as the first two axes of h.")
    if not close(given, per_channel(1 + scale) * h + per_channel(shift)):
        raise Wrong("multiply channel c of picture n by 1 + scale[n, c], then add shift[n, c].")
    return "Zeros change nothing, and each channel of each picture has a dial of its own."


@answers
def check_join(attempt):
    coarse, fine = random(3, 3, 2, 4), random(3, 3, 4, 8)
    grown = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    tiled, smooth = coarse.repeat(1, 1, 2, 2), F.interpolate(coarse, scale_factor=2, mode="bilinear")
    expected, given = torch.cat([grown, fine], dim=1), attempt(coarse, fine)
    if torch.is_tensor(given) and given.shape == fine.shape:
        raise Wrong("that has the channels of one of the two. Lay them side by side, `torch.cat`, and add nothing up: "
                    "the next block decides what to take from each.")
    for dim, axis in ((0, "the pictures of the batch"), (2, "the rows"), (3, "the columns")):
        if torch.is_tensor(given) and given.shape == torch.cat([grown, fine], dim=dim).shape:
            raise Wrong(f"you put them together along {axis}. The channels are axis 1.")
    tensor_like(given, expected)
    if close(given, torch.cat([fine, grown], dim=1)):
        raise Wrong("the fine channels come first; the weights of the next block expect the coarse ones there.")
    if close(given, torch.cat([tiled, fine], dim=1)):
        raise Wrong("`repeat` lays four copies of the picture side by side. Each place must be repeated where it is: "
                    "`repeat_interleave`.")
    if close(given, torch.cat([smooth, fine], dim=1)):
        raise Wrong("that is bilinear upsampling, which mixes neighbours. Repeat each place 2×2, unmixed.")
    if close(given[:, 3:], fine) and not close(given, expected):
        raise Wrong("the fine channels are right, but the coarse ones are not: place (i, j) belongs at rows 2i, 2i+1.")
    if not close(given, expected):
        raise Wrong("the first channels must be the grown coarse ones, the others the fine ones, unchanged.")
    return "What is there, and where exactly, side by side for the next block."


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
    q, k, v = random(3, 2, 5, 3)
    scores, root = q @ k.transpose(1, 2), 3**0.5
    with ByHand():
        given = attempt(q, k, v)
    expected = F.scaled_dot_product_attention(q, k, v)
    if torch.is_tensor(given) and given.shape == scores.shape:
        raise Wrong("those are the shares. Mix the values with them: `shares @ v`.")
    tensor_like(given, expected)
    for logits, dim, cause in (
        (scores, 2, "1/√d is missing."),
        (scores / 3, 2, "you divided by d; its root is the deviation of the inner products."),
        (scores / 5**0.5, 2, "d is the length of a query, not the number of places."),
        (scores * root, 2, "you multiplied by √d; divide."),
        (scores / root, 1, "your shares add up to 1 over the places that ask. They must do so over those that answer."),
        (scores / root, 0, "your softmax runs over the examples of the batch."),
        (scores.transpose(1, 2) / root, 2, "queries and keys are swapped: each row belongs to one query."),
        (-scores / root, 2, "the likest places get the smallest shares: the sign is turned."),
        (q @ v.transpose(1, 2) / root, 2, "the queries are compared with the values; compare them with the keys."),
    ):
        if close(given, torch.softmax(logits, dim=dim) @ v):
            raise Wrong(cause)
    if close(given, torch.softmax(scores, 2) @ v / root):
        raise Wrong("divide by √d before the softmax, not after: shares that are divided no longer add up to 1.")
    if close(given, scores / root @ v) or close(given, scores @ v):
        raise Wrong("the softmax is missing: the likenesses must become shares that add up to 1.")
    if close(given, torch.softmax(scores / root, 2) @ k):
        raise Wrong("you mixed the keys. They say how much of each place is taken; what is taken are the values.")
    if not close(given, expected):
        raise Wrong("compare each query with all keys (q kᵀ), divide by √d, softmax over the keys, mix the values.")
    return "The same as the library's, which is faster and needs less memory."
