"""Wrong answers to the exercises of lesson 09, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.engineering import (
    check_best_decay,
    check_gradient_in_pieces,
    check_repaired_training,
    check_step_length,
    check_what_follows,
)


def in_pieces(of_a_piece, clear=False, at_the_end=lambda gradient, n, pieces: gradient):
    """An answer to exercise 2: the gradient of each piece by of_a_piece(squares, n), added up or cleared."""

    def attempt(w, x, y, piece):
        total = torch.zeros_like(w)
        starts = range(0, len(x), piece)
        for first in starts:
            weight = w.clone().requires_grad_()
            squares = (x[first:first + piece] @ weight - y[first:first + piece]).square()
            of_a_piece(squares, len(x)).backward()
            total = weight.grad if clear else total + weight.grad
        return at_the_end(total, len(x), len(starts))

    return attempt


def trained(share=lambda k, n: min(1, (k + 1) / n), kind=torch.float32, sign=-1):
    """An answer to exercise 3, with one part exchanged."""

    def attempt(weight, gradients, lr, warm_up):
        weight = weight.to(kind)
        for k, gradient in enumerate(gradients):
            weight = weight + (sign * lr * share(k, warm_up) * gradient).to(kind)
        return weight.float()

    return attempt


def rounding(weight, gradients, lr, warm_up):
    for k, gradient in enumerate(gradients):
        weight = weight - (lr * min(1, (k + 1) / warm_up) * gradient).bfloat16()
    return weight


def averaged(path, decay, start=None, swapped=False):
    average = path[0] if start is None else start
    for weights in path[1:]:
        mu = 1 - decay if swapped else decay
        average = mu * average + (1 - mu) * weights
    return average


def chosen(of=averaged, sign=1):
    return lambda path, goal, decays: min(decays, key=lambda decay: sign * (of(path, decay) - goal).norm().item())


def along_the_way(path, goal, decays):
    def total(decay):
        average, distance = path[0], 0.0
        for weights in path:
            average = decay * average + (1 - decay) * weights
            distance += (average - goal).norm().item()
        return distance

    return min(decays, key=total)


WRONG = {
    check_step_length: [
        (lambda m, n, lr: lr * min(m, n) ** 0.5, "the factor √max(1, m/n) is missing"),
        (lambda m, n, lr: lr * (m * n) ** 0.5, "there are only min(m, n) of them"),
        (lambda m, n, lr: lr * n**0.5, "rows and columns are swapped"),
        (lambda m, n, lr: lr, "the largest stretch"),
        (lambda m, n, lr: lr * max(1, m / n) ** 0.5, "one stretch"),
        (lambda m, n, lr: lr * min(m, n) * max(1, m / n) ** 0.5, "added the singular values up"),
        (lambda m, n, lr: lr * m, "the square of the norm has no root yet"),
        (lambda m, n, lr: lr * max(m, n) ** 0.5, "max(m, n)"),
        (lambda m, n, lr: m**0.5, "the rate is missing"),
        (lambda m, n, lr: lr * min(m, n) ** 0.5 * max(1, m / n), "has a root"),
        (lambda m, n, lr: lr * m**0.5 / 2, "How many singular values"),
    ],
    check_gradient_in_pieces: [
        (in_pieces(lambda squares, n: squares.mean()), "added up without a weight"),
        (in_pieces(lambda squares, n: squares.mean(), at_the_end=lambda g, n, k: g / k), "the last piece is smaller"),
        (in_pieces(lambda squares, n: squares.sum()), "nothing divides by n"),
        (in_pieces(lambda squares, n: squares.sum() / n, clear=True), "only the last piece"),
        (in_pieces(lambda squares, n: squares.mean(), clear=True), "only the last piece"),
        (in_pieces(lambda squares, n: squares.sum() / n, at_the_end=lambda g, n, k: g / k), "divided twice"),
        (in_pieces(lambda squares, n: squares.sum() / n, at_the_end=lambda g, n, k: -g), "the sign"),
        (lambda w, x, y, p: x.T @ (x @ w - y) / len(x), "a factor of 2"),
        (lambda w, x, y, p: in_pieces(lambda squares, n: squares.mean() * p / n)(w, x, y, p), "as if it were full"),
        (lambda w, x, y, p: in_pieces(lambda s, n: s.sum() / n)(w, x[:len(x) // p * p], y[:len(x) // p * p], p),
         "the last, smaller piece was left out."),
        (lambda w, x, y, p: ((x @ w - y) ** 2).mean(), "the shape should be"),
        (lambda w, x, y, p: in_pieces(lambda s, n: s.sum() / n)(w, x, y, p).float(), "yours is float32"),
    ],
    check_repaired_training: [
        (trained(lambda k, n: min(1, (k + 1) // n)), "the rate is still 0 during the warm-up"),
        (trained(kind=torch.bfloat16), "the weight is still kept in 16 bits"),
        (trained(lambda k, n: min(1, (k + 1) // n), torch.bfloat16), "that is still the faulty training"),
        (trained(lambda k, n: min(1, k / n)), "counted from 0"),
        (trained(lambda k, n: (k + 1) / n), "goes on rising"),
        (trained(lambda k, n: 1), "there is no warm-up"),
        (trained(sign=1), "uphill"),
        (rounding, "each step is still rounded"),
        (trained(kind=torch.float16), "float16"),
        (lambda w, g, lr, n: trained()(w, g, lr, n).double(), "yours is float64"),
        (lambda w, g, lr, n: w - lr * g.sum(0) / 3, "After all steps"),
    ],
    check_best_decay: [
        (chosen(sign=-1), "the farthest"),
        (chosen(lambda path, decay: averaged(path, decay, swapped=True)), "the two weights are swapped"),
        (chosen(lambda path, decay: averaged(path, decay, start=torch.zeros_like(path[0]))), "began at 0"),
        (along_the_way, "along the whole way"),
        (lambda path, goal, decays: decays.index(chosen()(path, goal, decays)), "the place of the decay"),
        (lambda path, goal, decays: (averaged(path, chosen()(path, goal, decays)) - goal).norm().item(),
         "the distance of the best average"),
        (lambda path, goal, decays: max(decays), "the longest"),
        (lambda path, goal, decays: min(decays), "the shortest"),
        (lambda path, goal, decays: None, "returned None"),
    ],
    check_what_follows: [
        (lambda: {"A", "B", "C", "F"}, "A is not true"),
        (lambda: "BCDF", "D is not true"),
        (lambda: ["B", "C", "E", "F"], "E is not true"),
        (lambda: ("C", "F"), "takes longer"),
        (lambda: {"B", "F"}, "the rate of the original code"),
        (lambda: {"b", "c"}, "evidence"),
        (lambda: "AD", "letters are wrong or missing"),
        (lambda: 3, "A to F"),
    ],
}
