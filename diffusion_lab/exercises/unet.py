"""Checks for the exercises of notebooks/06_unet.ipynb."""

import torch
import torch.nn.functional as F

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like

CONVOLUTIONS = [(14, 4, 6, 3, 2, 1), (28, 1, 8, 3, 1, 1), (7, 6, 4, 1, 1, 0), (28, 3, 5, 5, 2, 0), (9, 2, 2, 3, 1, 0)]


@answers
def check_convolution(attempt):
    for rows, channels_in, channels_out, kernel, stride, padding in CONVOLUTIONS:
        given = attempt(rows, channels_in, channels_out, kernel, stride, padding)
        if not isinstance(given, tuple) or len(given) != 2 or not all(isinstance(x, (int, float)) for x in given):
            raise Wrong("return two numbers: `return result, parameters`.")
        layer = torch.nn.Conv2d(channels_in, channels_out, kernel, stride, padding)
        expected = layer(torch.zeros(1, channels_in, rows, rows)).shape[2], sum(p.numel() for p in layer.parameters())
        case = (f"for {rows} rows, {channels_in} → {channels_out} channels, a {kernel}×{kernel} kernel, "
                f"stride {stride} and padding {padding}")
        check_rows(given[0], expected[0], rows + 2 * padding - kernel, stride, padding, case)
        check_parameters(given[1], expected[1], channels_in, channels_out, kernel, case)
    return "Both numbers, for five convolutions, as PyTorch has them."


def check_rows(given, expected, room, stride, padding, case):
    """Raise Wrong unless the number of rows is right; room: the places beyond the first at which the kernel fits."""
    if given == expected:
        return
    if given == room / stride + 1:
        raise Wrong(f"{case} you get {given} rows: a kernel that no longer fits is not counted. Round down, with `//`.")
    if given == expected - 1:
        raise Wrong(f"{case} you get {given} rows, one too few: the kernel's first place counts, too (the + 1).")
    if padding and given in ((room - padding) // stride + 1, (room - 2 * padding) // stride + 1):
        raise Wrong(f"{case} you get {given} rows: the padding lies on both sides, so it counts twice.")
    if given == room + 1:
        raise Wrong(f"{case} you get {given} rows: the stride is missing; with stride 2 every other place is left out.")
    raise Wrong(f"{case} the result has {expected} rows, but you get {given}.")


def check_parameters(given, expected, channels_in, channels_out, kernel, case):
    """Raise Wrong unless the number of parameters is right."""
    for wrong, cause in (
        (expected - channels_out, "the biases are missing, one for each output channel."),
        (expected - channels_out + channels_in, "the biases belong to the output channels."),
        (expected - channels_out + 1, "each output channel has a bias of its own."),
        (channels_out * channels_in * kernel + channels_out, "a kernel has kernel² numbers."),
        (channels_out * kernel**2 + channels_out, "each output channel has a kernel for each input channel."),
    ):
        if given == wrong != expected:
            raise Wrong(f"{case} you count {given} parameters: {cause}")
    if given != expected:
        raise Wrong(f"{case} there are {expected} parameters, but you count {given}. "
                    "They do not depend on rows, stride or padding.")


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


@answers
def check_attend(attempt):
    q, k, v = random(3, 2, 5, 3)
    scores, root = q @ k.transpose(1, 2), 3**0.5
    given, expected = attempt(q, k, v), F.scaled_dot_product_attention(q, k, v)
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
    if close(given, scores / root @ v) or close(given, scores @ v):
        raise Wrong("the softmax is missing: the likenesses must become shares that add up to 1.")
    if close(given, torch.softmax(scores / root, 2) @ k):
        raise Wrong("you mixed the keys. They say how much of each place is taken; what is taken are the values.")
    if not close(given, expected):
        raise Wrong("compare each query with all keys (q kᵀ), divide by √d, softmax over the keys, mix the values.")
    return "The same as the library's, which is faster and needs less memory."


def random(*shape):
    """Standard normal float64 numbers, the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
