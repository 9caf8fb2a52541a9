"""Checks for the exercises of notebooks/08_sampling.ipynb."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.sampling.timesteps import spaced

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)


@answers
def check_guide(attempt):
    given = tensor_like(attempt(X, Y, 2.0), X)
    for other, cause in (
        (3 * Y - 2 * X, "the two are swapped: the answer *with* the label gets the weight above 1."),
        (2 * X - Y, "you used w and 1 - w: at w = 0 the label would be ignored. With this paper's w, 1 + w and -w."),
        (-1 * X + 2 * Y, "this goes towards the answer without the label. Go away from it."),
        (3 * X + 2 * Y, "the weights must add up to 1: subtract the answer without the label."),
        (X + 2 * Y, "add w times the *difference*, the answer with the label minus the one without."),
        (2 * (X - Y), "that is the difference alone. It is added to the answer with the label."),
        (Y + 2 * (X - Y), "you start from the answer without the label: then w = 0 ignores the label."),
        (X, "w has no effect."),
    ):
        if close(given, other):
            raise Wrong(cause)
    if not close(given, 3 * X - 2 * Y):
        raise Wrong("at w = 0 the answer with the label is left; each unit of w adds the difference of the two once.")
    if not close(attempt(X, Y, 0.0), X):
        raise Wrong("at w = 0 there must be no guidance at all.")
    return "One line, and all text-to-image programs use it."


@answers
def check_times(attempt):
    for T, n in ((1000, 10), (1000, 7), (50, 50), (10, 1), (1000, 999), (1000, 300)):
        given = attempt(T, n)
        if given is None:
            raise Wrong("your function returned None: is the `return` missing?")
        given, expected = [float(t) for t in given], spaced(T, n).tolist()
        told = f"for T = {T} and n = {n}"
        if len(given) != n:
            raise Wrong(f"{told} there should be {n} times, but yours are {len(given)}.")
        if any(t != int(t) for t in given):
            raise Wrong(f"{told} some of your times are no whole numbers: the tables have none between.")
        if given == sorted(given) and n > 1:
            raise Wrong("your times rise. A sampler goes from noise to data: from T down.")
        if 0 in given:
            raise Wrong(f"{told} your list contains 0. That is where the last step goes *to*; there is nothing to ask.")
        if max(given) != T:
            raise Wrong(f"{told} your first time is {given[0]:.0f}. The first state is pure noise, which is t = T: "
                        "this is the \"leading\" spacing.")
        if any(a <= b for a, b in zip(given, given[1:])):
            raise Wrong(f"{told} a time occurs twice, so a step goes nowhere. Round T (n - k) / n, not the step.")
        if n > 1 and max(abs(a - b) for a, b in zip(given, expected)) > 1:
            last = given[-1]
            raise Wrong(f"{told} the distances are not equal: your last time is {last:.0f}, where about {T / n:.0f} is "
                        "right. The step from there to 0 must be as long as the others.")
    return "From T down, and the last step is as long as the others, whether n divides T or not."


@answers
def check_ddim_step(attempt):
    a_t, a_s = 0.3, 0.8
    given = tensor_like(attempt(X, Y, a_t, a_s), X)
    eps = (X - a_t**0.5 * Y) / (1 - a_t) ** 0.5
    for other, cause in (
        (a_s**0.5 * Y + (1 - a_s) * eps, "1 - ᾱ_s is a variance: the factor of the noise is its root."),
        (a_s * Y + (1 - a_s) ** 0.5 * eps, "the factor of x̂_0 is √ᾱ_s, not ᾱ_s."),
        (Y + (1 - a_s) ** 0.5 * eps, "at time s the digit is still shrunk: √ᾱ_s times x̂_0."),
        (a_s**0.5 * Y + (1 - a_s) ** 0.5 * X, "the noise is not x_t itself; take √ᾱ_t x̂_0 out of it and rescale."),
        (a_s**0.5 * Y + (1 - a_s) ** 0.5 * (X - a_t**0.5 * Y), "ε̂ is not rescaled: divide by √(1-ᾱ_t)."),
        (a_s**0.5 * Y + (1 - a_s) ** 0.5 * (X - Y) / (1 - a_t) ** 0.5, "in x_t the digit is shrunk: √ᾱ_t x̂_0."),
        (a_s**0.5 * Y + (1 - a_s) ** 0.5 * (X - a_s**0.5 * Y) / (1 - a_s) ** 0.5,
         "ε̂ is made from x_t, so it needs ᾱ_t; you used ᾱ_s."),
        (a_t**0.5 * Y + (1 - a_t) ** 0.5 * eps, "you are back at x_t: mix as at time s, with ᾱ_s."),
        (a_s**0.5 * Y, "the noise is missing: that is the middle of the place where x_s may lie."),
    ):
        if close(given, other):
            raise Wrong(cause)
    if not close(given, a_s**0.5 * Y + (1 - a_s) ** 0.5 * eps):
        raise Wrong("find ε̂ from equation (1) of notebook 05 at time t; then use the same equation at time s.")
    return "The noise that was there stays; only its share becomes smaller."


@answers
def check_better_guess(attempt):
    before, now, after = -2.0, -1.5, -0.3
    h, h_prev = after - now, now - before
    given = tensor_like(attempt(X, Y, before, now, after), Y)
    for other, cause in (
        (Y + (Y - X) * h / h_prev, "that is the line at the *end* of the step. Its middle is half as far."),
        (Y + (Y - X) * h_prev / (2 * h), "the slope is divided by the wrong length: by that of the last step."),
        (Y + (Y - X) / 2, "your steps are taken to be equally long; here they are not."),
        (Y - (Y - X) * h / (2 * h_prev), "the sign is turned: this goes back towards the last answer."),
        (X + (Y - X) * h / (2 * h_prev), "start from the present answer, not from the last one."),
        ((X + Y) / 2, "that is the mean of the two, which lies in the past. Draw the line on, into the step."),
        (Y, "that is DDIM: the last answer is not used."),
    ):
        if close(given, other):
            raise Wrong(cause)
    if not close(given, Y + (Y - X) * h / (2 * h_prev)):
        raise Wrong("slope = difference of the answers / difference of their times; then half a step from the present.")
    return "That is all that makes DPM-Solver++ second order."
