"""The checks of the exercises of lessons/08_sampling."""

import math

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)


@answers
def check_guide(attempt):
    given = tensor_like(attempt(X, Y, 2.0), X)
    for other, cause in (
        (3 * Y - 2 * X, "the two are swapped: the answer *with* the label gets the weight above 1."),
        (2 * X - Y, "at w = 0 yours ignores the label: you used w and 1 - w. In (4) they are 1 + w and -w."),
        (-1 * X + 2 * Y, "this goes towards the answer without the label. Go away from it."),
        (3 * X + 2 * Y, "the weights must add up to 1: subtract the answer without the label."),
        (X + 2 * Y, "add w times the *difference*, the answer with the label minus the one without."),
        (2 * (X - Y), "that is the difference alone. It is added to the answer with the label."),
        (X, "w has no effect."),
    ):
        if close(given, other):
            raise Wrong(cause)
    if not close(given, 3 * X - 2 * Y):
        raise Wrong("at w = 0 the answer with the label is left; each unit of w adds the difference of the two once.")
    if not close(attempt(X, Y, 0.0), X):
        raise Wrong("at w = 0 there must be no guidance at all.")
    return "One line: most programs that draw from a text use it."


@answers
def check_noise_shares(attempt):
    for a_t, a_s, eta in ((0.3, 0.8, 0.5), (0.3, 0.8, 1.0), (0.3, 0.8, 0.0), (0.05, 0.4, 0.8), (0.6, 1.0, 0.7)):
        given = attempt(a_t, a_s, eta)
        if given is None:
            raise Wrong("your function returned None: is the `return` missing?")
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise Wrong("two numbers were expected: the factor of ε̂, then that of the fresh noise.")
        if any(isinstance(share, complex) or math.isnan(share) for share in given):
            raise Wrong("you took the root of a negative number: your fresh noise has more variance than 1-ᾱ_s, all "
                        "that there is. Is the fraction in β tilde upside down, or a deviation taken for a variance?")
        kept, fresh = (float(share) for share in given)
        total, beta = 1 - a_s, 1 - a_t / a_s
        var = eta**2 * beta * (1 - a_s) / (1 - a_t)
        right = (total - var) ** 0.5, var**0.5
        if same((kept, fresh), right):
            continue
        for other, cause in (
            ((total - var, var), "these are the variances. The factors in (1) are their roots."),
            ((var**0.5, (total - var) ** 0.5), "the two are swapped: first the old noise, ε̂, then the fresh one."),
            ((total**0.5, var**0.5), "the two variances must add up to 1-ᾱ_s: what is fresh, the old noise gives up."),
            ((total**0.5 - var**0.5, var**0.5), "variances are subtracted, not deviations: √(1-ᾱ_s-σ²)."),
            (shares(total, eta * beta * total / (1 - a_t)), "σ² is η² times β tilde, and you have η."),
            (shares(total, eta**2 * beta), "you took β for β tilde: it must be multiplied by (1-ᾱ_s)/(1-ᾱ_t)."),
            (shares(total, eta**2 * total), "the step starts at t and ends at s, so β = 1 - ᾱ_t/ᾱ_s, not 1-ᾱ_t."),
            (shares(total, beta * total / (1 - a_t)), "η has no effect."),
            (shares(1 - a_t, var), "the noise is that of time s, where its variance is 1-ᾱ_s, not 1-ᾱ_t."),
        ):
            if other and same((kept, fresh), other):
                raise Wrong(cause)
        raise Wrong(f"for ᾱ_t = {a_t}, ᾱ_s = {a_s} and η = {eta} the factors are {right[0]:.3f} and {right[1]:.3f}, "
                    f"but yours are {kept:.3f} and {fresh:.3f}.")
    return "Their squares add up to 1-ᾱ_s, for any η; and on the last step, where ᾱ_s = 1, both are 0."


def shares(total, var):
    """The two factors, if `var` of the variance `total` is fresh; None if there is not so much."""
    return ((total - var) ** 0.5, var**0.5) if var <= total else None


def same(given, expected):
    return all(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-6) for a, b in zip(given, expected))


@answers
def check_ddim_step(attempt):
    a_t, a_s = 0.3, 0.8
    given = tensor_like(attempt(X, Y, a_t, a_s), X)
    if not close(given, attempt(X, Y, a_t, a_s)):
        raise Wrong("two calls with the same numbers differ: with η = 0 there is no fresh noise, only ε̂.")
    eps = (X - a_t**0.5 * Y) / (1 - a_t) ** 0.5
    for other, cause in (
        (a_s**0.5 * Y + (1 - a_s) * eps, "1 - ᾱ_s is a variance: the factor of the noise is its root."),
        (a_s * Y + (1 - a_s) ** 0.5 * eps, "the factor of x̂_0 is √ᾱ_s, not ᾱ_s."),
        (Y + (1 - a_s) ** 0.5 * eps, "at time s the digit is still shrunk: √ᾱ_s times x̂_0."),
        (a_s**0.5 * Y + (1 - a_s) ** 0.5 * X, "the noise is not x_t itself; take √ᾱ_t x̂_0 out of it and rescale."),
        (a_s**0.5 * Y + (1 - a_s) ** 0.5 * (X - a_t**0.5 * Y), "ε̂ is not rescaled: divide by √(1-ᾱ_t)."),
        (a_s**0.5 * Y + (1 - a_s) ** 0.5 * (X - Y) / (1 - a_t) ** 0.5, "in x_t the digit is shrunk: √ᾱ_t x̂_0."),
        # taking ε̂ out and mixing it in at one and the same time gives x_t back, whichever of the two times it is
        (X, "you are back at x_t: take ε̂ out of it with ᾱ_t, and mix as at time s, with ᾱ_s."),
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
        (Y + (Y - X) * h_prev / (2 * h), "the slope is divided by the wrong length: by that of the previous step."),
        (Y + (Y - X) / 2, "your steps are taken to be equally long; here they are not."),
        (Y - (Y - X) * h / (2 * h_prev), "the sign is turned: this goes back towards the previous answer."),
        (X + (Y - X) * h / (2 * h_prev), "start from the present answer, not from the previous one."),
        ((X + Y) / 2, "that is the mean of the two, which lies in the past. Draw the line on, into the step."),
        (Y, "that is DDIM: the previous answer is not used."),
    ):
        if close(given, other):
            raise Wrong(cause)
    if not close(given, Y + (Y - X) * h / (2 * h_prev)):
        raise Wrong("slope = difference of the answers / difference of their times; then half a step from the present.")
    return "That is all that makes DPM-Solver++ second order."
