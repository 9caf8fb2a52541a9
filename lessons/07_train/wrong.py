"""Wrong answers to the exercises of notebook 07, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.train import (
    check_fit,
    check_jitters,
    check_left_of_the_start,
    check_step_in_parts,
    check_what_follows,
)
from diffusion_lab.training.objective import spread_times, uniform_times
from diffusion_lab.training.recipe import rate


def warm(k, decay):
    return min(decay, (1 + k) / (10 + k))


def left(share, first=0, end=0):
    """An answer to the exercise on the start: with another μ, or other steps."""
    return lambda n, decay: (decay**n, math.prod(share(k, decay) for k in range(first, n + end)))


def loop(*order, share=rate, average=warm, lerp=True, give=lambda losses: losses):
    """An answer to the exercise on the loop: these parts, in this order."""

    def attempt(weights, averages, loss_of, optimizer, recipe):
        losses = []
        for k in range(recipe.steps):
            loss = loss_of(k)
            for part in order:
                if part == "rate":
                    optimizer.param_groups[0]["lr"] = optimizer.defaults["lr"] * share(k, recipe)
                elif part == "rate in turn":
                    optimizer.param_groups[0]["lr"] *= share(k, recipe)
                elif part == "clear":
                    optimizer.zero_grad()
                elif part == "zero the gradients":
                    for weight in weights:
                        weight.grad.zero_()
                elif part == "zero one":
                    if weights[0].grad is not None:
                        weights[0].grad.zero_()
                elif part == "backward":
                    loss.backward()
                elif part == "clip":
                    torch.nn.utils.clip_grad_norm_(weights, 1.0)
                elif part == "clip each":
                    for weight in weights:
                        torch.nn.utils.clip_grad_norm_([weight], 1.0)
                elif part == "clip entries":
                    torch.nn.utils.clip_grad_value_(weights, 1.0)
                elif part == "step":
                    optimizer.step()
                elif part == "average" and lerp:
                    with torch.no_grad():
                        for old, weight in zip(averages, weights):
                            old.lerp_(weight, 1 - average(k, recipe.decay))
                elif part == "average":
                    averages = [old.lerp(weight.detach(), 1 - average(k, recipe.decay))
                                for old, weight in zip(averages, weights)]
            losses.append(loss.item())
            if "tensors" in order:
                losses[-1] = loss
            if "later" in order:
                losses[-1] = loss_of(k).item()
        return give(losses)

    return attempt


ALL = ("rate", "clear", "backward", "clip", "step", "average")


def one_batch(u_of=None, times=None, of=lambda a: a.mean(), spread=lambda means: means.std().item(), order=(0, 1, 2)):
    """An answer to the exercise on times: with another third way, or another measure."""

    def third(n, schedule, generator):
        u = u_of(n, generator)
        return (schedule.T * (torch.arange(n) + u) / n).long() + 1

    def attempt(schedule, n, generator):
        found = []
        for way in (uniform_times, spread_times, times or third):
            means = [of(schedule.alpha_bar[way(n, schedule, generator)]) for _ in range(1000)]
            found.append(spread(torch.stack(means)))
        return [found[i] for i in order]

    return attempt


def each(n, generator):
    return torch.rand(n, generator=generator, dtype=torch.float64)


def of_time(schedule, n, generator):
    def third(n, schedule, generator):
        return (schedule.T * (torch.arange(n) + each(n, generator)) / n).long() + 1

    return [torch.stack([way(n, schedule, generator).double().mean() for _ in range(1000)]).std().item()
            for way in (uniform_times, spread_times, third)]


def step(clear="first", weigh=lambda m, n, parts: m / n, told=None, move="last", give=lambda total: total):
    """An answer to the exercise on parts."""

    def attempt(parts, loss_of, optimizer):
        n = sum(len(part) for part in parts)
        total = 0.0
        if clear == "first":
            optimizer.zero_grad()
        for part in parts:
            if clear == "each":
                optimizer.zero_grad()
            loss = loss_of(part)
            (loss * weigh(len(part), n, len(parts))).backward()
            total += loss.item() * (told or weigh)(len(part), n, len(parts))
            if move == "each":
                optimizer.step()
        if move == "last":
            optimizer.step()
        if clear == "last":
            optimizer.zero_grad()
        return give(total)

    return attempt


def alone(m, n, parts):
    return 1.0


def equal(m, n, parts):
    return 1 / parts


def right(m, n, parts):
    return m / n


WRONG = {
    check_left_of_the_start: [
        (lambda n, decay: left(warm)(n, decay)[::-1], "wrong order"),
        (lambda n, decay: tuple(1 - one for one in left(warm)(n, decay)), "that are *new*"),
        (lambda n, decay: (decay**n, warm(n - 1, decay)), "of the last step alone"),
        (lambda n, decay: (decay**n, warm(n - 1, decay) ** n), "each step has its own"),
        (lambda n, decay: (decay**n, warm(n, decay) ** n), "that of step n"),
        (left(lambda k, decay: (1 + k) / (10 + k)), "the smaller of the two"),
        (left(lambda k, decay: max(decay, (1 + k) / (10 + k))), "you took the larger"),
        (left(lambda k, decay: decay * (1 + k) / (10 + k)), "you multiplied by it"),
        (left(warm, first=1, end=1), "counted from 0"),
        (left(warm, first=1), "the first one is missing"),
        (left(warm, end=1), "one more"),
        (lambda n, decay: (decay**n, decay**n), "both are the plain average"),
        (lambda n, decay: math.factorial(9) * math.factorial(n) / math.factorial(n + 9), "2 results were expected"),
        (lambda n, decay: (decay**n, math.factorial(9) * math.factorial(n) / math.factorial(n + 9)), "right at first"),
        (lambda n, decay: ((1 - decay) ** n, math.prod(1 - warm(k, decay) for k in range(n))), "what comes in"),
    ],
    check_fit: [
        (loop("rate", "backward", "clip", "step", "average"), "of earlier steps are added"),
        (loop("rate", "backward", "clip", "step", "clear", "average"), "left behind is added"),
        (loop("rate", "zero the gradients", "backward", "clip", "step", "average"), "'NoneType'"),
        (loop("rate", "zero one", "backward", "clip", "step", "average"), "clears all of them"),
        (loop("rate", "clear", "backward", "step", "average"), "not clipped"),
        (loop("rate", "clear", "clip", "backward", "step", "average"), "not clipped"),
        (loop("rate", "clear", "backward", "clip each", "step", "average"), "clipped by itself"),
        (loop("rate", "clear", "backward", "clip entries", "step", "average"), "each entry is clipped"),
        (loop("clear", "backward", "clip", "step", "average"), "stays at its peak"),
        (loop("clear", "backward", "clip", "step", "rate", "average"), "set after it"),
        (loop(*ALL, share=lambda k, recipe: rate(k + 1, recipe)), "the next step"),
        (loop("rate in turn", *ALL[1:]), "in turn"),
        (loop("rate", "backward", "clear", "clip", "step", "average"), "have not moved"),
        (loop("rate", "clear", "backward", "clip", "average"), "have not moved"),
        (loop("rate", "clear", "backward", "clip", "step"), "the averages have not moved"),
        (loop(*ALL, lerp=False), "the averages have not moved"),
        (loop("rate", "clear", "backward", "clip", "average", "step"), "from before the step"),
        (loop(*ALL, average=lambda k, decay: 1 - warm(k, decay)), "swapped"),
        (loop(*ALL, average=lambda k, decay: decay), "from the start"),
        (loop(*ALL, average=lambda k, decay: (1 + k) / (10 + k)), "is its limit"),
        (loop(*ALL, average=lambda k, decay: warm(k + 1, decay)), "counted from 0"),
        (loop(*ALL, "later"), "those after each step"),
        (loop(*ALL, "tensors"), "loss.item()"),
        (loop(*ALL, give=lambda losses: losses[-1]), "one number"),
        (loop(*ALL, give=lambda losses: losses[1:]), "losses, one for each step"),
        (loop(*ALL, give=lambda losses: None), "returned None"),
    ],
    check_jitters: [
        (one_batch(each, spread=lambda means: means.var().item()), "variances"),
        (one_batch(times=uniform_times), "as much as uniform times"),
        (one_batch(lambda n, generator: torch.rand(1, generator=generator)), "one number moves"),
        (one_batch(lambda n, generator: each(n // 2, generator).repeat_interleave(2)), "two neighbouring"),
        (one_batch(lambda n, generator: each(n // 2, generator).repeat(2)), "i + n/2"),
        (one_batch(each, of=lambda a: a, spread=lambda means: means.std().item()), "single times"),
        (of_time, "the mean *time*"),
        (one_batch(each, order=(1, 0, 2)), "the first two"),
        (one_batch(each, order=(2, 1, 0)), "another order"),
        (one_batch(lambda n, generator: torch.rand(n, dtype=torch.float64)), "two equal generators"),
        (one_batch(each, order=(0, 1)), "three numbers"),
        (one_batch(lambda n, generator: each(n, generator) / 2), "number 3 should be near"),
    ],
    check_step_in_parts: [
        (step("never", alone), "the step as it was"),
        (step("never"), "The weights of the parts are right"),
        (step("never", equal), "not equally large"),
        (step("first", alone), "as if each were the whole"),
        (step("first", alone, right), "that you return is right"),
        (step("first", equal), "weigh by len(part) / n"),
        (step("first", lambda m, n, parts: m), "nothing divides by n"),
        (step("first", lambda m, n, parts: 1 / n), "as if its loss were a sum"),
        (step("first", right, alone), "a sum over the parts"),
        (step("first", right, equal), "of the returned loss"),
        (step("each"), "only the last part counts"),
        (step("each", alone), "only the last part counts"),
        (step("first", alone, right, "each"), "one step, after all of them"),
        (step("last"), "left behind"),
        (step(move="never"), "have not moved"),
        (step(give=lambda total: None), "returned None"),
        (step(give=lambda total: [total, total]), "as one number"),
    ],
    check_what_follows: [
        (lambda: {"B", "D", "F"}, "2 letters"),
        (lambda: {"D", "F"}, "A follows"),
        (lambda: {"A", "B", "D", "F"}, "B does not follow"),
        (lambda: {"A", "C", "D", "F"}, "C does not follow"),
        (lambda: {"A", "F"}, "D follows"),
        (lambda: {"A", "D", "E", "F"}, "E does not follow"),
        (lambda: {"A", "D"}, "F follows"),
        (lambda: 3, "letters from A to F"),
    ],
}
