"""The checks of the exercises of lessons/09_engineering."""

import torch

from diffusion_lab.exercises.feedback import answers, diagnosed, require_letters


@answers
def check_step_length(attempt):
    causes = [
        ("that is the root of the number of singular values; the factor √max(1, m/n) is missing, which matters where "
         "there are more rows than columns.", lambda m, n, lr: lr * min(m, n) ** 0.5),
        ("you took mn singular values, but there are only min(m, n) of them.", lambda m, n, lr: lr * (m * n) ** 0.5),
        ("rows and columns are swapped: m counts the rows, and max(1, m/n) is above 1 for tall matrices.",
         lambda m, n, lr: lr * n**0.5),
        ("that is the largest stretch of the step, for a wide matrix. Asked is the root of the sum of all squares.",
         lambda m, n, lr: lr),
        ("that is one stretch of the step. There are min(m, n) of them: asked is the root of the sum of their squares.",
         lambda m, n, lr: lr * max(1, m / n) ** 0.5),
        ("you added the singular values up. The norm is the root of the sum of their squares.",
         lambda m, n, lr: lr * min(m, n) * max(1, m / n) ** 0.5),
        ("that has the right size, but the square of the norm has no root yet.", lambda m, n, lr: lr * m),
        ("you have √max(m, n). With m ≤ n there are m singular values of 1, and the factor is 1.",
         lambda m, n, lr: lr * max(m, n) ** 0.5),
        ("the rate is missing.", lambda m, n, lr: m**0.5),
        ("the factor max(1, m/n) has a root.", lambda m, n, lr: lr * min(m, n) ** 0.5 * max(1, m / n)),
    ]
    diagnosed(attempt, lambda m, n, lr: lr * m**0.5, causes,
              "How many singular values are there, and what is the sum of their squares? Then the root, the factor and "
              "the rate.", [(9, 4, 0.1), (5, 20, 0.03), (48, 3, 2.0)])
    return "√m times the rate: each row moves by `lr`, whatever the shape. One rate serves all layers."


def in_pieces(of_a_piece, clear=False, at_the_end=lambda total, n, pieces: total):
    """A way to add up gradients: of_a_piece(squares, n) is the loss of a piece."""

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


def right_gradient(w, x, y, piece):
    return 2 / len(x) * x.T @ (x @ w - y)


def without_rest(w, x, y, piece):
    whole = len(x) // piece * piece
    return right_gradient(w, x[:whole], y[:whole], piece)


def last_as_if_full(w, x, y, piece):
    return sum(right_gradient(w, x[first:first + piece], y[first:first + piece], piece) * piece / len(x)
               for first in range(0, len(x), piece))


def of_the_whole(squares, n):
    return squares.sum() / n


def of_itself(squares, n):
    return squares.mean()


@answers
def check_gradient_in_pieces(attempt):
    causes = [
        ("the means of the pieces were added up without a weight, so that the gradient is several times too long. "
         "Divide each sum by n, the size of the whole batch.", in_pieces(of_itself)),
        ("you averaged the means of the pieces as if all were equally large, but the last piece is smaller and must "
         "count less: divide each sum by n.", in_pieces(of_itself, at_the_end=lambda total, n, pieces: total / pieces)),
        ("these are sums, and nothing divides by n: the loss is a mean over the whole batch.",
         in_pieces(lambda squares, n: squares.sum())),
        ("only the last piece is left: was the gradient cleared before each? They must add up.",
         in_pieces(of_the_whole, clear=True)),
        ("only the last piece is left, as the mean over itself. The gradients must add up, each sum divided by n.",
         in_pieces(of_itself, clear=True)),
        ("it was divided twice, by n and by the number of pieces.",
         in_pieces(of_the_whole, at_the_end=lambda total, n, pieces: total / pieces)),
        ("the sign is wrong. Asked is the gradient itself; the optimiser goes against it.",
         in_pieces(of_the_whole, at_the_end=lambda total, n, pieces: -total)),
        ("the derivative of a square has a factor of 2, which is missing.",
         lambda w, x, y, piece: right_gradient(w, x, y, piece) / 2),
        ("the last piece counts as if it were full: its mean was multiplied by `piece`, and not by the rows it has.",
         last_as_if_full),
        ("the last, smaller piece was left out.", without_rest),
        ("the last, smaller piece was left out, though n counts its rows.",
         lambda w, x, y, piece: without_rest(w, x, y, piece) * (len(x) // piece * piece) / len(x)),
    ]
    generator = torch.Generator().manual_seed(0)
    cases = []
    for n, d, piece in ((10, 3, 4), (7, 2, 3), (9, 2, 5)):
        w, x, y = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((d,), (n, d), (n,)))
        cases.append((w, x, y, piece))
    diagnosed(attempt, right_gradient, causes,
              "For each piece: the sum of the squares, divided by the size of the whole batch; then add the gradients "
              "up.", cases)
    return "The gradient of the whole batch. How many rows you took at a time, this check cannot see."


def trained(share=lambda k, n: min(1, (k + 1) / n), kind=torch.float32, sign=-1):
    """A way to train: share(k, warm_up) of the rate in step k, and the weight kept as `kind`."""

    def attempt(weight, gradients, lr, warm_up):
        weight = weight.to(kind)
        for k, gradient in enumerate(gradients):
            weight = weight + (sign * lr * share(k, warm_up) * gradient).to(kind)
        return weight.float()

    return attempt


def with_rounded_steps(weight, gradients, lr, warm_up):
    for k, gradient in enumerate(gradients):
        weight = weight - (lr * min(1, (k + 1) / warm_up) * gradient).bfloat16().float()
    return weight


def whole_numbers(k, n):
    return min(1, (k + 1) // n)


@answers
def check_repaired_training(attempt):
    causes = [
        ("that is still the faulty training.", trained(whole_numbers, torch.bfloat16)),
        ("the weight is in 32 bits now. But the rate is still 0 during the warm-up: // rounds down.",
         trained(whole_numbers)),
        ("the rate is right now. But the weight is still kept in 16 bits, where most steps are too small to be seen.",
         trained(kind=torch.bfloat16)),
        ("the weight is in 32 bits now. But each step is still rounded to 16 before it is subtracted.",
         with_rounded_steps),
        ("float16 keeps three digits: small steps vanish there, too. Keep the weight in 32 bits.",
         trained(kind=torch.float16)),
        ("steps are counted from 0, so that step k has the share (k+1)/warm_up. Yours takes no step at first.",
         trained(lambda k, n: min(1, k / n))),
        ("your rate goes on rising after the warm-up: min(1, …) stops it at lr.", trained(lambda k, n: (k + 1) / n)),
        ("there is no warm-up: all steps are taken at the full rate.", trained(lambda k, n: 1)),
        ("you go uphill: the gradient is subtracted.", trained(sign=1)),
    ]
    generator = torch.Generator().manual_seed(1)
    cases = [(torch.tensor([1.0, -2.0, 0.7]), 0.2 + torch.rand(300, 3, generator=generator), 1e-3, 40),
             (torch.tensor([0.5, 3.0]), 0.2 + torch.rand(60, 2, generator=generator), 4e-3, 25)]
    diagnosed(attempt, trained(), causes, "After all steps the weight should have moved by the sum of lr times the "
                                          "share times the gradient, in 32 bits.", cases, tolerance=1e-5)
    return "A step of a thousandth is small beside a weight. Three hundred of them are not."


def averaged(path, decay, start=None):
    average = path[0] if start is None else start
    for weights in path[1:]:
        average = decay * average + (1 - decay) * weights
    return average


def nearest_of(distance, sign=1):
    return lambda path, goal, decays: min(decays, key=lambda decay: sign * distance(path, goal, decay))


def at_the_end(path, goal, decay):
    return (averaged(path, decay) - goal).norm().item()


def on_the_way(path, goal, decay):
    average, total = path[0], 0.0
    for weights in path:
        average = decay * average + (1 - decay) * weights
        total += (average - goal).norm().item()
    return total


def path_to(goal, speed, jitter, generator, steps=120):
    """A path of weights that starts at 0, travels to the goal, and jitters."""
    k = torch.arange(steps, dtype=torch.float64)[:, None]
    noise = torch.randn(steps, len(goal), generator=generator, dtype=torch.float64)
    return goal * (1 - torch.exp(-speed * k)) + jitter * noise


@answers
def check_best_decay(attempt):
    decays = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.995]
    causes = [
        ("that one ends the farthest from the goal: look for the smallest distance.", nearest_of(at_the_end, -1)),
        ("the two weights are swapped: decay is the share of the *old* average.",
         nearest_of(lambda path, goal, decay: at_the_end(path, goal, 1 - decay))),
        ("your average began at 0. It begins with the first weights, path[0].",
         nearest_of(lambda path, goal, decay: (averaged(path, decay, 0 * path[0]) - goal).norm().item())),
        ("that one is nearest along the whole way. Asked is where the average *ends*.", nearest_of(on_the_way)),
        ("that is the place of the decay in the list, not the decay.",
         lambda path, goal, decays: float(decays.index(nearest_of(at_the_end)(path, goal, decays)))),
        ("that is the distance of the best average; asked is its decay.",
         lambda path, goal, decays: at_the_end(path, goal, nearest_of(at_the_end)(path, goal, decays))),
        ("that is the longest average whatever the path is: it may still remember the start.",
         lambda path, goal, decays: max(decays)),
        ("that is the shortest average whatever the path is: it jitters as the last weights do.",
         lambda path, goal, decays: min(decays)),
    ]
    generator = torch.Generator().manual_seed(2)
    away = torch.randn(40, generator=generator, dtype=torch.float64)
    cases = [(path_to(away, speed, jitter, generator, steps) + shift, away + shift, decays)
             for speed, jitter, steps, shift in ((0.1, 0.6, 300, -1.5), (0.03, 0.1, 120, 2.0), (0.3, 1.0, 40, 30.0))]
    diagnosed(attempt, nearest_of(at_the_end), causes,
              "For each decay: begin with path[0], average to the end, and take the norm of the difference to the "
              "goal.", cases)
    return "More jitter wants a longer average, more way to go a shorter one."


REASONS = {
    "A": "A is not true: a step of one may take longer than a step of the other, and you pay for seconds.",
    "B": "look at B again: if a step of the new one takes longer, equal steps give the new one more time.",
    "C": "look at C again: the rate of the original code was found for other data, and the new one was tuned here.",
    "D": "D is not true: the mean over images is steady for these weights, but another seed ends at other weights.",
    "E": "E is not true: in notebook 07 the loss was nearly flat while the digits still got better. Ask a judge.",
    "F": "look at F again: what else would be evidence? Equal seconds, both tuned, several seeds.",
}


@answers
def check_what_follows(attempt):
    require_letters(attempt(), "BCF", REASONS)
    return "Equal seconds, both at their best rate, several seeds, and images that nobody trained on."
