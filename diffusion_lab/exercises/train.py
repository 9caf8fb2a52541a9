"""The checks of the exercises of lessons/07_train."""

import math
from functools import cache

import numpy as np
import torch

from diffusion_lab.exercises.feedback import Wrong, answers, as_tensor, diagnosed, require_letters
from diffusion_lab.theory.schedule import cosine, linear
from diffusion_lab.training.recipe import Recipe, rate


def mu(k, decay):
    """Equation (3)."""
    return min(decay, (1 + k) / (10 + k))


@answers
def check_left_of_the_start(attempt):
    def by(share, first=0, end=0):
        """An answer in which the warm μ is another function of k and decay, and k goes from `first` to n-1+end."""
        return lambda n, decay: (decay**n, math.prod(share(k, decay) for k in range(first, n + end)))

    causes = [
        ("the two are in the wrong order: first with μ = decay, then by (3).",
         lambda n, decay: by(mu)(n, decay)[::-1]),
        ("those are the fractions that are *new*: 1 minus what is left. What is left is a product of the μ.",
         lambda n, decay: tuple(1 - left for left in by(mu)(n, decay))),
        ("1-μ is the weight of what comes in at a step. What was there before is multiplied by μ.",
         lambda n, decay: ((1 - decay) ** n, math.prod(1 - mu(k, decay) for k in range(n)))),
        ("the second one is μ of the last step alone; each step multiplies by its own.",
         lambda n, decay: (decay**n, mu(n - 1, decay))),
        ("both are μ of the last step alone; each step multiplies by its own.",
         lambda n, decay: (decay, mu(n - 1, decay))),
        ("the second one takes μ of the last step for all; each step has its own.",
         lambda n, decay: (decay**n, mu(n - 1, decay) ** n)),
        ("the second one takes one μ, that of step n, for all; each step has its own, and n steps end at k = n-1.",
         lambda n, decay: (decay**n, mu(n, decay) ** n)),
        ("right at first; but μ does not grow beyond decay: μ is the smaller of the two.",
         by(lambda k, decay: (1 + k) / (10 + k))),
        ("μ is the smaller of the two, `min`, and you took the larger.",
         by(lambda k, decay: max(decay, (1 + k) / (10 + k)))),
        ("decay limits μ, `min`; you multiplied by it.", by(lambda k, decay: decay * (1 + k) / (10 + k))),
        ("steps are counted from 0: at the first one μ is 1/10.", by(mu, first=1, end=1)),
        ("n steps are k = 0, …, n-1; the first one is missing.", by(mu, first=1)),
        ("n steps are k = 0, …, n-1; yours are one more.", by(mu, end=1)),
        ("both are the plain average: by (3), μ is smaller at first.", lambda n, decay: (decay**n, decay**n)),
        ("the weight of the start is a product, and you added up.",
         lambda n, decay: (n * decay, sum(mu(k, decay) for k in range(n)))),
    ]
    diagnosed(attempt, by(mu), causes,
              "Each step multiplies what is left by its μ: decay, or min(decay, (1+k)/(10+k)).",
              [(3, 0.99), (30, 0.6), (12, 0.5), (1, 0.05)], tolerance=1e-9)
    return "A product of n factors. The warm one forgets its start within a few steps."


# A problem with two tensors of weights: a line through 3 points in the plane, other points in each step.
X = torch.tensor([[[1.0, 0.5], [2.0, -1.0], [-1.0, 0.2]], [[0.3, 1.2], [-0.8, 0.4], [1.5, 1.0]],
                  [[-0.5, 2.0], [0.9, -0.6], [0.1, 0.7]]], dtype=torch.float64)
Y = torch.tensor([[2.0, 1.0, 0.5], [-1.0, 0.3, 2.2], [0.7, -0.4, 1.1]], dtype=torch.float64)


def in_order(*parts, share=rate, average=mu, later=0, swapped=False):
    """A loop: in each step these parts, in this order; `later` is added to k in the average."""

    def fit(weights, averages, loss_of, optimizer, recipe):
        losses = []
        for k in range(recipe.steps):
            loss = loss_of(k)
            losses.append(loss.item())
            for part in parts:
                if part == "rate":
                    optimizer.param_groups[0]["lr"] = optimizer.defaults["lr"] * share(k, recipe)
                elif part == "average":
                    new = 1 - average(k + later, recipe.decay)
                    for old, weight in zip(averages, weights):
                        old.lerp_(weight.detach(), 1 - new if swapped else new)
                else:
                    PARTS[part](weights, loss, optimizer)
            if "loss after" in parts:
                losses[-1] = loss_of(k).item()
        return losses

    return fit


PARTS = {
    "clear": lambda weights, loss, optimizer: optimizer.zero_grad(),
    "clear the first": lambda weights, loss, optimizer: setattr(weights[0], "grad", None),
    "backward": lambda weights, loss, optimizer: loss.backward(),
    "clip": lambda weights, loss, optimizer: torch.nn.utils.clip_grad_norm_(weights, 1.0),
    "clip each": lambda weights, loss, optimizer: [torch.nn.utils.clip_grad_norm_([weight], 1.0) for weight in weights],
    "clip entries": lambda weights, loss, optimizer: torch.nn.utils.clip_grad_value_(weights, 1.0),
    "stretch": lambda weights, loss, optimizer: torch._foreach_div_(
        [weight.grad for weight in weights], torch.cat([weight.grad for weight in weights]).norm().item()),
    "step": lambda weights, loss, optimizer: optimizer.step(),
    "loss after": lambda weights, loss, optimizer: None,
}
STEP = ("rate", "clear", "backward", "clip", "step", "average")


def without(part, instead=()):
    return [one for name in STEP for one in (instead if name == part else (name,))]


@answers
def check_fit(attempt):
    def run(loop):
        """A function of a setting: the losses that a loop returns, the weights, and the averages after it."""

        def outcome(left, scale, lr, momentum, steps, warm_up, decay):
            weights = [torch.nn.Parameter(torch.tensor(start, dtype=torch.float64)) for start in ([3.0, -1.0], [0.5])]
            averages = [weight.detach().clone() for weight in weights]
            optimizer = torch.optim.SGD(weights, lr=lr, momentum=momentum)
            for weight, entries in zip(weights, left or ()):
                weight.grad = torch.tensor(entries, dtype=torch.float64)  # what somebody has left behind

            def loss_of(k):
                return scale * ((X[k % 3] @ weights[0] + weights[1] - Y[k % 3]) ** 2).mean()

            recipe = Recipe(steps=steps, warm_up=warm_up, decay=decay)
            losses = loop(weights, averages, loss_of, optimizer, recipe)
            return (losses, torch.cat([weight.detach() for weight in weights]), torch.cat(averages))

        return outcome

    def mine(weights, averages, loss_of, optimizer, recipe):
        return losses(attempt(weights, averages, loss_of, optimizer, recipe), recipe.steps)

    def right(*setting):
        due = run(in_order(*STEP))(*setting)
        return (torch.tensor(due[0], dtype=torch.float64), *due[1:])

    def cause(words, loop):
        def outcome(*setting):
            found = run(loop)(*setting)
            return (torch.tensor(found[0], dtype=torch.float64), *found[1:])

        return words, outcome

    causes = [
        cause("the weights have not moved: is `optimizer.step()` missing, or the gradient cleared before it?",
              in_order("rate", "average")),
        cause("the gradients of earlier steps are added: `optimizer.zero_grad()` before `backward`.",
              in_order(*without("clear"))),
        cause("at the first step a gradient that was left behind is added: clear before `backward`, and not after the "
              "step.", in_order("rate", "backward", "clip", "step", "clear", "average")),
        cause("one of the weights keeps its earlier gradients: `optimizer.zero_grad()` clears all of them.",
              in_order(*without("clear", ["clear the first"]))),
        cause("the gradient is not clipped: `clip_grad_norm_(weights, 1.0)` between `backward` and the step.",
              in_order(*without("clip"))),
        cause("each tensor is clipped by itself, which turns the gradient. The numbers of all tensors together have "
              "one norm: one call, with the whole list.",
              in_order(*without("clip", ["clip each"]))),
        cause("each entry is clipped, which turns the gradient. Its norm is to be clipped: all entries are divided by "
              "one number.", in_order(*without("clip", ["clip entries"]))),
        cause("a gradient shorter than 1 was stretched to 1. Clipping shortens long ones only.",
              in_order(*without("clip", ["stretch"]))),
        cause("the rate stays at its peak: `optimizer.param_groups[0][\"lr\"]` must be set in each step.",
              in_order(*without("rate"))),
        cause("the rate of a step is set after it, and serves the next: set it before `optimizer.step()`.",
              in_order("clear", "backward", "clip", "step", "rate", "average")),
        cause("the rates are those of the next step: k goes from 0.",
              in_order(*STEP, share=lambda k, recipe: rate(k + 1, recipe))),
        cause("the rate was multiplied by each share in turn. It is the *peak*, optimizer.defaults[\"lr\"], times the "
              "share of this step.",
              in_order(*STEP, share=lambda k, recipe: math.prod(rate(i, recipe) for i in range(k + 1)))),
        cause("the averages have not moved: (3) is missing, or it made new tensors; `lerp_`, with its underscore, "
              "changes them in place.", in_order(*without("average"))),
        cause("the averages take in the weights from before the step: average after it.",
              in_order("rate", "clear", "backward", "clip", "average", "step")),
        cause("old and new are swapped in the average: μ is the weight of the old one. `a.lerp_(b, w)` is "
              "(1-w) a + w b.",
              in_order(*STEP, swapped=True)),
        cause("the averages use μ_max from the start: μ = min(μ_max, (1 + k) / (10 + k)).",
              in_order(*STEP, average=lambda k, decay: decay)),
        cause("μ goes on to 1; recipe.decay is its limit.",
              in_order(*STEP, average=lambda k, decay: (1 + k) / (10 + k))),
        cause("in μ, steps are counted from 0: at the first one it is 1/10.", in_order(*STEP, later=1)),
        cause("the averages are the weights themselves: μ of the old ones stays.",
              in_order(*STEP, average=lambda k, decay: 0.0)),
        cause("weights and averages are right; but the losses are those after each step, and asked are those before.",
              in_order(*STEP, "loss after")),
    ]
    settings = [(None, 1.0, 0.1, 0.0, 5, 2, 0.99), ([[-100.0, 50.0], [20.0]], 1.0, 0.1, 0.0, 6, 3, 0.25),
                ([[30.0, 0.0], [-7.0]], 0.05, 0.05, 0.9, 14, 4, 0.4)]  # long gradients and short ones; with a memory
    diagnosed(run(mine), right, causes,
              "In each step: rate, loss, clear, backward, clip, step, average. (Results 1, 2 and 3 are the losses, the "
              "weights, and the averages; `left` are gradients from before, `scale` multiplies the loss.)", settings)
    return "That is a training loop. The one of this notebook does the same, with two optimisers."


def losses(given, steps):
    """The losses that a reader's loop returned, as float64 (steps,); raises Wrong where they cannot be that."""
    if given is None:
        raise Wrong("your function returned None: collect the losses in a list, and return it.")
    if any(torch.is_tensor(one) and one.requires_grad for one in (given if isinstance(given, (list, tuple)) else ())):
        raise Wrong("collect numbers, `loss.item()`: tensors with their record keep every step's memory alive.")
    if isinstance(given, (float, np.floating)) or getattr(given, "shape", None) == ():
        raise Wrong("one number was returned, where a list is due: the loss of each of the {steps} steps.", steps=steps)
    given = as_tensor(given, torch.zeros(steps, dtype=torch.float64)).double()
    if given.shape != (steps,):
        raise Wrong("there should be {steps} losses, one for each step, but yours have the shape {shape}.",
                    steps=steps, shape=tuple(given.shape))
    return given


@cache
def jitter_of(name, n):
    """Over many batches of n times: what there is to be found, and what a few mistakes find. {name: float}."""
    schedule, generator = SCHEDULES[name](), torch.Generator().manual_seed(11)
    T, batches, i = schedule.T, 20_000, torch.arange(n)
    u = torch.rand(batches, n, generator=generator, dtype=torch.float64)
    ways = {"uniform": u, "spread": (u[:, :1] + i / n) % 1, "stretches": (i + u) / n,
            "neighbours": (i + u[:, : n // 2].repeat_interleave(2, dim=1)) / n,
            "halves": (i + u[:, : n // 2].repeat(1, 2)) / n}
    found = {}
    for way, place in ways.items():
        t = (T * place).long().clamp(max=T - 1) + 1
        a = schedule.alpha_bar[t]
        found[way], found[f"{way}, of each"] = a.mean(dim=1).std().item(), a.std().item()
        found[f"{way}, of t"] = t.double().mean(dim=1).std().item()
    return found


SCHEDULES = {"cosine": cosine, "linear": linear}
SETS = (("cosine", 32), ("linear", 8))


@answers
def check_jitters(attempt):
    given = []
    for name, n in SETS:
        schedule, generator = SCHEDULES[name](), torch.Generator().manual_seed(3)
        mine = attempt(schedule, n, generator)
        if mine is None:
            raise Wrong("your function returned None: is the `return` missing?")
        if not hasattr(mine, "__len__") or isinstance(mine, (str, dict)) or len(mine) != 3:
            raise Wrong("return three numbers: for uniform_times, for spread_times, for one time in each stretch.")
        mine = as_tensor(list(mine), torch.zeros(3, dtype=torch.float64)).double()
        if mine.shape != (3,) or not bool(torch.isfinite(mine).all()):
            raise Wrong("three finite numbers were expected, but yours are {mine}.", mine=mine.tolist())
        given.append(mine)
    due = [torch.tensor([jitter_of(*one)[way] for way in ("uniform", "spread", "stretches")]) for one in SETS]
    for words, wrong in JITTER_CAUSES:
        values = [torch.tensor(wrong(jitter_of(*one)), dtype=torch.float64) for one in SETS]
        differ = [not near(value, right) for value, right in zip(values, due)]
        if any(differ) and all(near(mine, value) for mine, value in zip(given, values)):
            raise Wrong(words)
    for mine, right, (name, n) in zip(given, due, SETS):
        if not near(mine, right):
            i = int((mine / right - 1).abs().argmax())
            raise Wrong("with {n} times and the {name} schedule, number {i} should be near {due:.4f}, but yours is "
                        "{given:.4f}. Draw 1,000 batches; of each take the mean of schedule.alpha_bar[t]; of these "
                        "means the standard deviation. A stretch of your own: 1 + ⌊T (i + u_i) / n⌋.",
                        n=n, name=name, i=i + 1, due=right[i], given=mine[i])
    again = attempt(SCHEDULES["linear"](), 8, torch.Generator().manual_seed(3))
    if not torch.equal(as_tensor(list(again), torch.zeros(3, dtype=torch.float64)).double(), given[1]):
        raise Wrong("two equal generators gave different numbers: draw everything with `generator=generator`.")
    return "One time in each stretch is steadiest. With one number for all, the times still move together."


def near(given, due):
    """Whether numbers agree to within what 1,000 batches can tell."""
    return bool(((given / due - 1).abs() < 0.12).all())


JITTER_CAUSES = [
    ("those are variances; the standard deviation is the root.",
     lambda of: [of["uniform"] ** 2, of["spread"] ** 2, of["stretches"] ** 2]),
    ("your third one jumps as much as uniform times do: it draws each time from the whole chain.",
     lambda of: [of["uniform"], of["spread"], of["uniform"]]),
    ("your third one jumps as much as spread times do: one number moves all of its times together. Draw n of them.",
     lambda of: [of["uniform"], of["spread"], of["spread"]]),
    ("your second and third jump alike, as much as uniform times: are they drawn one by one?",
     lambda of: [of["uniform"], of["uniform"], of["uniform"]]),
    ("two neighbouring stretches share a random number in your third: draw n of them, and not n/2.",
     lambda of: [of["uniform"], of["spread"], of["neighbours"]]),
    ("the stretches i and i + n/2 share a random number in your third: draw n of them, and not n/2.",
     lambda of: [of["uniform"], of["spread"], of["halves"]]),
    ("that is how much ᾱ_t differs between single times. First the mean over each batch, then the deviation of these "
     "means.", lambda of: [of["uniform, of each"], of["spread, of each"], of["stretches, of each"]]),
    ("that is the jitter of the mean *time*; asked is that of the mean of ᾱ_t, `schedule.alpha_bar[t]`.",
     lambda of: [of["uniform, of t"], of["spread, of t"], of["stretches, of t"]]),
    ("the first two are in each other's place: uniform_times, spread_times, stretches.",
     lambda of: [of["spread"], of["uniform"], of["stretches"]]),
    ("the numbers come in another order: uniform_times, spread_times, stretches.",
     lambda of: [of["stretches"], of["spread"], of["uniform"]]),
]


@answers
def check_step_in_parts(attempt):
    def steps(step):
        """A function of a setting: the weight after each of three steps, and the losses that came back."""

        def outcome(lengths, left, lr, momentum):
            weight = torch.nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64))
            optimizer = torch.optim.SGD([weight], lr=lr, momentum=momentum)
            weight.grad = None if left is None else torch.tensor(left, dtype=torch.float64)
            returned, after = [], []
            for k in range(3):
                points = POINTS.roll(k, dims=0)[: sum(lengths)]
                parts = [part.clone() for part in points.split(lengths)]
                returned.append(step(parts, lambda part: ((part @ weight - 1) ** 2).mean(), optimizer))
                after.append(weight.detach().clone())
            return torch.stack(after), torch.tensor(returned, dtype=torch.float64)

        return outcome

    def mine(parts, loss_of, optimizer):
        loss = attempt(parts, loss_of, optimizer)
        if loss is None:
            raise Wrong("your function returned None: return the loss of the whole batch, a float.")
        if torch.is_tensor(loss) and loss.requires_grad:
            raise Wrong("return a number, `loss.item()`: a tensor with its record keeps every step's memory alive.")
        if not isinstance(loss, (int, float, np.floating)) and getattr(loss, "shape", None) != ():
            raise Wrong("return the loss as one number; your function returned {kind}.", kind=type(loss).__name__)
        return float(loss)

    def by(clear="first", weigh=lambda m, n, parts: m / n, told=None, step="last"):
        """A step: when it clears, how it weighs a part of m of n examples, how the returned loss does."""

        def one(parts, loss_of, optimizer):
            n, total = sum(map(len, parts)), 0.0
            if clear == "first":
                optimizer.zero_grad()
            for part in parts:
                if clear == "each":
                    optimizer.zero_grad()
                value = loss_of(part)
                (value * weigh(len(part), n, len(parts))).backward()
                total += value.item() * (told or weigh)(len(part), n, len(parts))
                if step == "each":
                    optimizer.step()
            if step == "last":
                optimizer.step()
            if clear == "last":
                optimizer.zero_grad()
            return total

        return one

    def alone(m, n, parts):
        return 1.0

    def equal(m, n, parts):
        return 1 / parts

    def right(m, n, parts):
        return m / n

    never = "gradients of earlier steps are never cleared: `optimizer.zero_grad()` once, before the first part."
    added = "the gradients of the parts are added up as if each were the whole: weigh each by len(part) / n."
    unequal = "each part has the weight 1/(number of parts), but they are not equally large: weigh by len(part) / n."
    cases = [
        ("that is the step as it was: earlier gradients are never cleared, and each part counts as a whole.",
         by("never", alone)),
        (f"{never} The weights of the parts are right.", by("never")),
        (f"{never} And {unequal}", by("never", equal)),
        (added, by("first", alone)),
        (f"{added} (The loss that you return is right.)", by("first", alone, right)),
        (f"{added} (The loss that you return has another weight, 1/(number of parts).)", by("first", alone, equal)),
        (f"the gradient is right. But of the returned loss: {unequal}", by("first", right, equal)),
        ("the gradient is right. But the returned loss is a sum over the parts, not the loss of the whole batch.",
         by("first", right, alone)),
        (unequal, by("first", equal)),
        ("each mean loss is made a sum, len(part) times itself, and nothing divides by n.",
         by("first", lambda m, n, parts: float(m))),
        ("each part is divided by n, as if its loss were a sum. It is a mean: weigh it by len(part) / n.",
         by("first", lambda m, n, parts: 1 / n)),
        ("cleared before each part, only the last part counts: clear once, before the first.", by("each")),
        ("cleared before each part, only the last part counts; and the weights of the parts are missing.",
         by("each", alone)),
        ("a step is taken after each part: one step, after all of them.", by("each", alone, right, "each")),
        ("a step is taken after each part: one step, after all of them.", by("first", right, right, "each")),
        ("a step is taken after each part: one step, after all of them.", by("first", alone, right, "each")),
        ("a step is taken after each part: one step, after all of them.", by("first", alone, alone, "each")),
        ("at the first step a gradient that was left behind is added: clear before the first part, and not at the end.",
         by("last")),
        ("the weights have not moved: is `optimizer.step()` missing?", by(step="never")),
    ]
    diagnosed(steps(mine), steps(by()), [(words, steps(wrong)) for words, wrong in cases],
              "Clear once; weigh the loss of each part by len(part) / n; step once. (Result 1: entry [k, j] is weight "
              "j after k+1 steps; result 2 are the losses returned.)",
              [([3, 2, 1], [-40.0, 20.0], 0.05, 0.0), ([4, 1], None, 0.02, 0.9), ([1, 1, 2, 1], [5.0, 5.0], 0.1, 0.0)])
    return "In parts or as a whole: the same step, to the last digit."


POINTS = torch.tensor([[1.0, 0.5], [2.0, -1.0], [-1.0, 0.2], [0.3, 1.2], [-0.8, 0.4], [1.5, 1.0]], dtype=torch.float64)

REASONS = {
    "A": "A follows: the fewer digits, the larger is the distance even of real ones. That is what the floor is for.",
    "B": "B does not follow: the two distances belong to different floors.",
    "C": "C does not follow: who draws the training digits themselves has which distance?",
    "D": "D follows: who draws well, and fails on digits that he has not seen, as in Figure 4?",
    "E": "E does not follow: who has the lowest loss that there is, and what does he draw?",
    "F": "F follows: how far down is the dashed line of Figure 3, and who can get below it?",
}


@answers
def check_what_follows(attempt):
    require_letters(attempt(), "ADF", REASONS)
    return "Two distances with two floors cannot be compared, and the lowest loss is not the aim."
