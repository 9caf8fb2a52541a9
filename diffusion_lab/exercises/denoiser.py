"""Checks for the exercises of notebooks/05_denoiser.ipynb."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)


@answers
def check_gradient(attempt):
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    loss, expected = ((0.7 * X - Y) ** 2).mean(), (2 * X * (0.7 * X - Y)).mean()
    sent_back = []
    w.register_hook(sent_back.append)  # called whenever autograd arrives at w, by `backward` or `torch.autograd.grad`
    first = tensor_like(attempt(w, X, Y), expected).detach().clone()
    if close(first, loss * expected):
        raise Wrong("the gradient is multiplied by the loss: `loss.backward(loss)` does that; leave it empty.")
    if close(first, len(X) * expected):
        raise Wrong(f"{len(X)} times too large: that is the gradient of the sum; take the mean over the examples.")
    if close(first, loss):
        raise Wrong("that is the loss. Its slope is in `w.grad`, after `loss.backward()`.")
    if close(first, expected / 2):
        raise Wrong("half of it: the slope of a square is two times what is squared.")
    if close(first, -expected):
        raise Wrong("the sign is turned: this is the way down; the gradient points up.")
    if not close(first, expected):
        raise Wrong(f"for the check's numbers the slope is {expected.item():.4f}, but yours is {first.item():.4f}.")
    if not sent_back:
        raise Wrong("the number is right, but autograd was not asked for the slope of this `w`. Do not work it out by "
                    "hand: compute the loss and call `loss.backward()`, which needs no formula for the slope.")
    second = attempt(w, X, Y)
    if close(second, 2 * expected):
        raise Wrong("a second call returns twice the gradient: `backward` adds to what `w.grad` holds. Clear it first.")
    if not close(second, expected):
        raise Wrong("the first call is right, but a second one with the same numbers returns something else.")
    return "The same slope from autograd at every call, as a training loop needs."


@answers
def check_eps_from_v(attempt):
    alpha_bar_t, x_t, v, signal, noise = 0.8, X, Y, 0.8**0.5, 0.2**0.5
    given = tensor_like(attempt(x_t, v, alpha_bar_t), x_t)
    if close(given, signal * x_t - noise * v):
        raise Wrong("that is x_0, the other half of the rotation. The noise takes the other two factors.")
    if close(given, signal * v - noise * x_t) or close(given, noise * x_t - signal * v):
        raise Wrong("a sign is wrong. Put v = √ᾱ_t ε - √(1-ᾱ_t) x_0 in: the terms with x_0 must cancel.")
    if close(given, noise * v + signal * x_t):
        raise Wrong("the two factors are swapped: where there is almost no noise (ᾱ_t = 1), v is ε itself.")
    if close(given, alpha_bar_t * v + (1 - alpha_bar_t) * x_t):
        raise Wrong("the factors are roots: √ᾱ_t and √(1-ᾱ_t).")
    if close(given, (x_t - signal * v) / noise):
        raise Wrong("you used v as if it were x_0: equation (1) solved for ε needs x_0, which you do not have.")
    if not close(given, signal * v + noise * x_t):
        raise Wrong("write x_t and v with x_0 and ε, equations (1) and (2), and combine them so that x_0 drops out.")
    for end, expected, root in ((1.0, v, "√(1-ᾱ_t)"), (0.0, x_t, "√ᾱ_t")):
        if not finite_and_close(attempt, (x_t, v, end), expected):
            raise Wrong(f"right in between, but at ᾱ_t = {end:.0f} it fails: you divide by {root}, which is 0 there. "
                        "Write x_t and v with x_0 and ε, and combine them so that x_0 drops out; no division is left.")
    return "No division: v can be turned into ε at every time, ᾱ_t = 0 and ᾱ_t = 1 included."


def finite_and_close(attempt, arguments, expected):
    """Whether an attempt gives the expected tensor where a division by 0 would give NaN, infinity or an exception."""
    try:
        return close(attempt(*arguments), expected)
    except ZeroDivisionError:
        return False


@answers
def check_from_memory(attempt):
    schedule, t = cosine(100), 40
    points = torch.stack([Y, X.flip(0)], dim=1)
    x_t, alpha_bar_t = torch.stack([X, Y], dim=1)[:4], schedule.alpha_bar[t].item()
    given = attempt(points, x_t, alpha_bar_t)
    expected = GaussianMixture(torch.full((5,), 0.2), points, torch.zeros(5)).denoiser(schedule)(x_t, t)
    if torch.is_tensor(given) and given.shape == (len(x_t), len(points)):
        raise Wrong("those are the weights of the training points. Average the points with them: `weights @ points`.")
    tensor_like(given, expected)
    distance = torch.cdist(x_t, alpha_bar_t**0.5 * points) ** 2

    twice_var = 2 * (1 - alpha_bar_t)
    for exponent, cause in (
        (-(torch.cdist(x_t, points) ** 2) / twice_var,
         "at time t the training points have shrunk: compare x_t with √ᾱ_t times each point."),
        (distance / twice_var, "the far points get the large weights: the exponent needs a minus."),
        (-2 * distance / twice_var, "the 2 in the exponent of the Gaussian density is missing."),
        (-distance / (2 * twice_var) ** 0.5, "you divided by the deviation; the exponent has the variance, 1-ᾱ_t."),
        (-distance.sqrt() / twice_var, "square the distance: you used its root."),
    ):
        if close(given, torch.softmax(exponent, dim=1) @ points):
            raise Wrong(cause)
    if close(given, torch.softmax(-distance / twice_var, dim=0) @ points):
        raise Wrong("your weights add up to 1 over the noisy points. They must do so over the training points: dim=1.")
    if close(given, points[distance.argmin(dim=1)]):
        raise Wrong("that is the nearest training point. The mean weighs all of them, near ones more.")
    if not close(given, expected):
        raise Wrong("weigh each training point by softmax(-‖x_t - √ᾱ_t x_i‖² / (2 (1-ᾱ_t))), then average the points.")
    return "This function, fed into `ddpm`, returns training points and nothing else."
