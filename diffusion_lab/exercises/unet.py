"""The checks of the exercises of lessons/06_unet."""

import torch
import torch.nn.functional as F

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, require_letters, several

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
        ("you return the two the other way round: first the rows, then the weights.", parameters_of),
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
        ("the weights: the biases are missing, one for each output channel.", lambda n, a, b, k, s, p: a * b * k**2),
        ("the weights: the biases belong to the output channels.", lambda n, a, b, k, s, p: a * b * k**2 + a),
        ("the weights: each output channel has a bias of its own.", lambda n, a, b, k, s, p: a * b * k**2 + 1),
        ("the weights: an output channel has one bias, and not one for each of its kernels.",
         lambda n, a, b, k, s, p: a * b * k**2 + a * b),
        ("the weights: an output channel has one bias; it has no kernel² entries.",
         lambda n, a, b, k, s, p: (a * b + b) * k**2),
        ("the weights: a kernel has kernel² numbers.", lambda n, a, b, k, s, p: a * b * k + b),
        ("the weights: a kernel has kernel² numbers, and yours has 1.", lambda n, a, b, k, s, p: a * b + b),
        ("the weights: each output channel has a kernel for each input channel.",
         lambda n, a, b, k, s, p: b * k**2 + b),
    ]
    diagnosed(part(attempt, 0), as_float(rows_of), rows_mistaken,
              "The rows of the result: (rows + 2 padding - kernel) moves of the kernel, divided by the stride and "
              "rounded down, and its first place.", CONVOLUTIONS)
    diagnosed(part(attempt, 1), as_float(parameters_of), parameters_mistaken,
              "The weights: kernel² for each pair of an input and an output channel, and the biases. They do not "
              "depend on rows, stride or padding.", CONVOLUTIONS)
    diagnosed(attempt, both, [], "Two whole numbers.", CONVOLUTIONS)
    return "Both numbers, for seven convolutions."


def part(attempt, i):
    """One of the reader's two numbers as a float, whole or not: a cause says more than that it should be whole."""

    def answer(*case):
        return float(several(attempt(*case), 2)[i])

    return answer


def as_float(whole):
    def due(rows, channels_in, channels_out, kernel, stride, padding):
        return float(whole(rows, channels_in, channels_out, kernel, stride, padding))

    return due


def random(*shape, seed=0):
    """Standard normal float64 numbers, the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def attend_once(h):
    """An attention that looks at all positions, without weights of its own."""
    return torch.softmax(h @ h.mT / h.shape[2] ** 0.5, dim=2) @ h


def mlp_once(h):
    """A small network that looks at each position by itself."""
    return torch.tanh(2 * h) - 0.3 * h.square()


@answers
def check_transformer_block(attempt):
    def with_functions(x, modulation):
        given = attempt(x, modulation, attend_once, mlp_once)
        if torch.is_tensor(given) and given.shape == (len(x), x.shape[2] * x.shape[3], x.shape[1]) != x.shape:
            raise Wrong("your result still has a row for each position, {given}: turn it back into a picture, "
                        "{expected}.", given=tuple(given.shape), expected=tuple(x.shape))
        return given

    def norm(places):
        return F.layer_norm(places, places.shape[2:])

    def half(places, scale, shift, gate, f, change=norm):
        return places + gate * f((1 + scale) * change(places) + shift)

    def block(one=half, other=half, order=(0, 1, 2, 3, 4, 5), first=attend_once, second=mlp_once, parts=None):
        """The right block, with something exchanged: a half, the order of the six parts, the functions."""

        def built(x, modulation):
            places = x.flatten(2).transpose(1, 2)
            six = parts(modulation) if parts else modulation[:, None].chunk(6, dim=2)
            six = [six[k] for k in order]
            places = one(places, *six[:3], first)
            return other(places, *six[3:], second).transpose(1, 2).reshape(x.shape)

        return built

    def both(half):
        return block(half, half)

    def interleaved(modulation):
        return modulation[:, None].unflatten(2, (-1, 6)).unbind(dim=3)

    def side_by_side(x, modulation):
        """Both halves see the block's input, and are added."""
        places = x.flatten(2).transpose(1, 2)
        six = modulation[:, None].chunk(6, dim=2)
        added = half(places, *six[:3], attend_once) + half(places, *six[3:], mlp_once) - places
        return added.transpose(1, 2).reshape(x.shape)

    def not_turned(x, modulation):
        """Positions cut by reshape, without a transpose."""
        n, channels, height, width = x.shape
        turned = x.reshape(n, height * width, channels).transpose(1, 2).reshape(x.shape)
        return block()(turned, modulation)

    def not_turned_back(x, modulation):
        return block()(x, modulation).flatten(2).transpose(1, 2).reshape(x.shape)

    def never_turned(x, modulation):
        return not_turned(x, modulation).flatten(2).transpose(1, 2).reshape(x.shape)

    mixes = ("`reshape` alone cuts a picture into rows that mix positions and channels: flatten the positions, then "
             "`transpose(1, 2)`.")

    causes = [
        ("the gates are missing: each f is multiplied by its gate before it is added, so that gates of 0 leave x as "
         "it was.", both(lambda x, scale, shift, gate, f: x + f((1 + scale) * norm(x) + shift))),
        ("the shortcuts are missing: a block adds to its input.",
         both(lambda x, scale, shift, gate, f: gate * f((1 + scale) * norm(x) + shift))),
        ("the second shortcut is missing: both halves add.",
         block(other=lambda x, scale, shift, gate, f: gate * f((1 + scale) * norm(x) + shift))),
        ("the norm is missing.", both(lambda x, scale, shift, gate, f: x + gate * f((1 + scale) * x + shift))),
        ("the norm is missing in the second half.",
         block(other=lambda x, scale, shift, gate, f: x + gate * f((1 + scale) * x + shift))),
        ("the 1 is missing: with scale 0, which is how a block begins, f would see nothing but the shift.",
         both(lambda x, scale, shift, gate, f: x + gate * f(scale * norm(x) + shift))),
        ("the gate is 0 at the start, and yours is 1 + gate.",
         both(lambda x, scale, shift, gate, f: x + (1 + gate) * f((1 + scale) * norm(x) + shift))),
        ("the shift is missing.", both(lambda x, scale, shift, gate, f: x + gate * f((1 + scale) * norm(x)))),
        ("the shift comes after the scaling, and here it was scaled, too.",
         both(lambda x, scale, shift, gate, f: x + gate * f((1 + scale) * (norm(x) + shift)))),
        ("the gate belongs outside: it multiplies what f returns.",
         both(lambda x, scale, shift, gate, f: x + f(gate * ((1 + scale) * norm(x) + shift)))),
        ("the gate multiplies what f returns, and not the shortcut.",
         both(lambda x, scale, shift, gate, f: gate * (x + f((1 + scale) * norm(x) + shift)))),
        ("the scaled and shifted norm was added on to, in place of x itself: the shortcut leads past the norm.",
         both(lambda x, scale, shift, gate, f: (1 + scale) * norm(x) + shift
              + gate * f((1 + scale) * norm(x) + shift))),
        ("scale and shift are swapped: the docstring has scale, shift, gate.", block(order=(1, 0, 2, 4, 3, 5))),
        ("the order of the six is scale, shift, gate, and once more; you took the gates first.",
         block(order=(1, 2, 0, 4, 5, 3))),
        ("the first three vectors belong to attend, the last three to mlp; yours are the other way round.",
         block(order=(3, 4, 5, 0, 1, 2))),
        ("the six are scale, shift, gate, and once more; you took them as two scales, two shifts, two gates.",
         block(order=(0, 2, 4, 1, 3, 5))),
        ("both halves got the first three vectors.", block(order=(0, 1, 2, 0, 1, 2))),
        ("each of the six is a block of `channels` numbers in a row; you took every sixth number.",
         block(parts=interleaved)),
        ("first attend, then mlp; yours are the other way round.", block(first=mlp_once, second=attend_once)),
        ("attend stands in both halves; the second is mlp's.", block(second=attend_once)),
        ("mlp stands in both halves; the first is attend's.", block(first=mlp_once)),
        ("the second half is missing.", block(other=lambda x, *_: x)),
        ("the second half sees the block's input; it should see what the first half has made.", side_by_side),
        ("all pictures got the modulation of the first one.",
         lambda x, modulation: block()(x, modulation[:1].expand(modulation.shape))),
        ("the norm runs over the channels of one position; yours runs over the positions.",
         both(lambda x, *rest: half(x, *rest, change=lambda h: F.layer_norm(h.mT, h.shape[1:2]).mT))),
        ("the norm runs over the channels of one position; yours runs over all positions together.",
         both(lambda x, *rest: half(x, *rest, change=lambda h: F.layer_norm(h, h.shape[1:])))),
        (mixes, not_turned),
        (mixes, never_turned),
        ("the way back lacks its transpose: (n, positions, channels) must be turned before it is reshaped.",
         not_turned_back),
    ]
    look = ("Make a row of each position; then twice: norm, times 1 + scale, plus shift, through f, times gate, added "
            "to what there was; then a picture again.")
    diagnosed(with_functions, block(), causes, look,
              [(random(2, 3, 2, 3), random(2, 18, seed=1)), (random(3, 4, 3, 2), random(3, 24, seed=2))])
    return "With gates of 0 it changes nothing; with others, each position has heard of all."


@answers
def check_attend(attempt):
    def scores(q, k):
        return q @ k.mT / q.shape[3] ** 0.5

    def side_by_side(found):
        return found.transpose(1, 2).flatten(2)

    def mixed(weigh, join=side_by_side):
        return lambda q, k, v: join(weigh(q, k) @ v)

    def softmax(q, k, dim=3):
        return torch.softmax(scores(q, k), dim=dim)

    def reshaped(found):
        n, heads, positions, d = found.shape
        return found.reshape(n, positions, heads * d)

    def channels_first(found):
        return found.permute(0, 2, 3, 1).flatten(2)

    def unsafe(q, k):
        exp = scores(q, k).exp()
        return exp / exp.sum(dim=3, keepdim=True)

    def from_the_largest_of_all(q, k):
        exp = (scores(q, k) - scores(q, k).max()).exp()
        return exp / exp.sum(dim=3, keepdim=True)

    wrong_axis = ("the softmax still runs over the positions that ask. In each row, for one that asks, the weights of "
                  "those that answer must add up to 1.")
    wrong_join = ("the softmax is right now. But `reshape` reads the numbers head by head, so that positions and heads "
                  "get mixed: `transpose(1, 2)` first.")
    causes = [
        ("that is still the faulty function: both faults are in it.", mixed(lambda q, k: softmax(q, k, 2), reshaped)),
        (wrong_axis, mixed(lambda q, k: softmax(q, k, 2))),
        (wrong_join, mixed(softmax, reshaped)),
        ("your softmax runs over the heads.", mixed(lambda q, k: softmax(q, k, 1))),
        ("your softmax runs over the pictures of the batch.", mixed(lambda q, k: softmax(q, k, 0))),
        ("the numbers of the heads lie interleaved; each head's d numbers belong side by side.",
         mixed(softmax, channels_first)),
        ("the root was right: d is the length of a query in one head, not of all heads together.",
         mixed(lambda q, k: torch.softmax(q @ k.mT / (q.shape[1] * q.shape[3]) ** 0.5, dim=3))),
        ("1/√d is missing.", mixed(lambda q, k: torch.softmax(q @ k.mT, dim=3))),
        ("you divided by d; it is its root.", mixed(lambda q, k: torch.softmax(q @ k.mT / q.shape[3], dim=3))),
        ("queries and keys are swapped: each row belongs to one query.", mixed(lambda q, k: softmax(k, q))),
        ("the weights are turned round: each row of them, one query's, mixes the values.",
         mixed(lambda q, k: softmax(q, k).mT)),
        ("the heads were averaged; they stand side by side.",
         lambda q, k, v: (softmax(q, k) @ v).mean(dim=1).repeat(1, 1, q.shape[1])),
        ("the softmax is missing.", mixed(scores)),
        ("a sigmoid weighs each key by itself; weights that add up to 1 come from the softmax.",
         mixed(lambda q, k: scores(q, k).sigmoid())),
        ("you mixed the keys. They say how much of each position is taken; what is taken are the values.",
         lambda q, k, v: side_by_side(softmax(q, k) @ k)),
    ]
    look = ("Weights: softmax over the last axis of q kᵀ / √d. Then weights times v, and the heads side by side: "
            "transpose, then flatten.")
    numbers = [tuple(random(3, 2, 2, 5, 3)), tuple(random(3, 2, 3, 3, 4, seed=1))]
    diagnosed(attempt, mixed(softmax), causes, look, numbers)
    large = [(60 * q, 60 * k, v) for q, k, v in numbers]
    diagnosed(attempt, mixed(softmax),
              [("right for small numbers. For large ones exp overflows, and ∞/∞ is not a number: subtract the largest "
                "of each row first, or let `torch.softmax` do it.", mixed(unsafe)),
               ("right for small numbers. For large ones exp overflows: subtract the largest of each *row*, or let "
                "`torch.softmax` do it.", mixed(from_the_largest_of_all))],
              f"Right for small numbers, but not for large ones. {look}", large)
    return "Each row of weights adds up to 1, and each head's answer lies where it belongs."


class Toy:
    """A denoiser of known reach: the middle pixel listens to its neighbours, less the further away, and to all."""

    def __init__(self, falls, whole):
        far = (torch.arange(28, dtype=torch.float64) - 14).abs()
        sign = torch.where(far[:, None] + far == 1, -1.0, 1.0)  # next to the middle the slopes are negative
        self.near = torch.exp(-falls * torch.maximum(far[:, None], 1.3 * far)) * sign
        self.whole = whole

    def __call__(self, x_t, t):
        near = (x_t[:, 0] * self.near).sum(dim=(1, 2))
        answer = torch.tanh(x_t).roll((1, 2), dims=(2, 3)) * 0.5
        answer[:, 0, 14, 14] = near + near.square() / 7 + self.whole * t / 1000 * x_t.mean(dim=(1, 2, 3)) * 28
        return answer


@answers
def check_reach(attempt):
    toys = {"a": Toy(0.4, 3.0), "b": Toy(1.1, 1.0)}
    states = {"a": random(3, 1, 28, 28), "b": random(2, 1, 28, 28, seed=1)}

    def of_toy(case, t, radius):
        given = attempt(toys[case], states[case].clone(), t, radius)
        return given.item() if torch.is_tensor(given) and given.numel() == 1 else given

    def slopes_of(case, t, of=lambda answers: answers[:, 0, 14, 14].sum()):
        x = states[case].clone().requires_grad_()
        (slopes,) = torch.autograd.grad(of(toys[case](x, t)), x)
        return slopes

    def share(size=torch.square, low=0, high=1, of=lambda answers: answers[:, 0, 14, 14].sum(), middle=14):
        """The right share, with something exchanged."""

        def measured(case, t, radius):
            values = size(slopes_of(case, t, of))
            window = slice(middle - radius - low, middle + radius + high)
            return (values[:, 0, window, window].sum() / values.sum()).item()

        return measured

    def each(case, t, radius):
        squares = slopes_of(case, t).square()
        window = slice(14 - radius, 15 + radius)
        return (squares[:, 0, window, window].sum(dim=(1, 2)) / squares.sum(dim=(1, 2, 3))).mean().item()

    def round_window(case, t, radius):
        squares = slopes_of(case, t).square()
        far = (torch.arange(28) - 14).square()
        return (squares[:, 0, far[:, None] + far <= radius**2].sum() / squares.sum()).item()

    right = share()
    causes = [
        ("that is the fraction outside of the window; asked is the one inside.", lambda *case: 1 - right(*case)),
        ("the slopes are to be squared; you took their absolute values.", share(torch.abs)),
        ("the slopes are to be squared, or those of both signs cancel.", share(lambda slopes: slopes)),
        ("your window lacks its last row and column: a slice leaves its upper end out, so it goes to 14 + radius + 1.",
         share(high=0)),
        ("your window is one row and column too large on each side.", share(low=1, high=2)),
        ("your window is twice as wide: radius counts from the middle to one side.",
         lambda case, t, radius: right(case, t, 2 * radius)),
        ("your window is half as wide: radius counts from the middle to each side.",
         lambda case, t, radius: right(case, t, radius // 2)),
        ("those are the slopes of the sum of all pixels of the answer; take one pixel's, row 14 and column 14.",
         share(of=lambda answers: answers.sum())),
        ("those are the slopes of the loss; take those of one pixel of the answer.",
         share(of=lambda answers: answers.square().mean())),
        ("that is all of it, as for pixel 13; of row 14 and column 14 a part lies outside of the window.",
         share(of=lambda answers: answers[:, 0, 13, 13].sum(), middle=13)),
        ("you squared the pixel's answer: its slope is then another one.",
         share(of=lambda answers: answers[:, 0, 14, 14].square().sum())),
        ("you took the first picture alone.", share(of=lambda answers: answers[0, 0, 14, 14])),
        ("you averaged the fractions of the pictures; asked is that of all their squared slopes together.", each),
        ("your window is round; asked is a square: at most radius rows *and* at most radius columns away.",
         round_window),
        ("that is the sum inside the window; divide by the sum of all.",
         lambda case, t, radius: right(case, t, radius) * slopes_of(case, t).square().sum().item()),
        ("the time is not handed on as it was given.", lambda case, t, radius: right(case, 1000, radius)),
    ]
    diagnosed(of_toy, right, causes,
              "Slopes of answer[:, 0, 14, 14], summed over the pictures, with respect to x_t; squared; those in rows "
              "and columns 14 - radius to 14 + radius, over all.",
              [("a", 200, 2), ("b", 700, 3), ("a", 900, 4)], tolerance=1e-5)
    return "The rest of the slopes lies further away. Now ask the trained network, at little noise and at much."


REASONS = {
    "A": "A is justified: a sixth of the weights is a second difference, and either may be the cause.",
    "B": "B is justified: after a tenth of the steps the whole network, too, would be far from done.",
    "C": "C is justified: without a second seed nobody knows how far apart two equal networks come out.",
    "D": "D is not justified: the training loss looks at known digits, and at no drawn one.",
    "E": "E is justified: a row holds for what was tried.",
    "F": "F is not justified: networks that differ in one part, with all else equal, are what one wants to compare.",
    "G": "G is justified: a rate that was chosen for one network favours that one.",
}


@answers
def check_justified(attempt):
    require_letters(attempt(), "ABCEG", REASONS)
    return "All else equal, long enough, more than one seed; and then it answers for what was tried."
