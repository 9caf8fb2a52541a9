"""Checks for the exercises of notebooks/05_denoiser.ipynb."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)


@answers
def check_gradient(attempt):
    w = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    loss, expected = ((0.7 * X - Y) ** 2).mean(), (2 * X * (0.7 * X - Y)).mean()
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
    second = attempt(w, X, Y)
    if close(second, 2 * expected):
        raise Wrong("a second call returns twice the gradient: `backward` adds to what `w.grad` holds. Clear it first.")
    if not close(second, expected):
        raise Wrong("the first call is right, but a second one with the same numbers returns something else.")
    return "The same slope at every call, as a training loop needs."


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
    return "No division: v can be turned into ε at every time, ᾱ_t = 0 and ᾱ_t = 1 included."


@answers
def check_training_example(attempt):
    schedule, generator = cosine(10), torch.Generator().manual_seed(0)
    x_0 = torch.randn(5000, 2, generator=generator, dtype=torch.float64) + 0.5
    given = attempt(x_0, schedule, generator)
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise Wrong("return three things: `return x_t, t, v`.")
    x_t, t, v = given
    for tensor, like in ((x_t, x_0), (t, x_0[:, 0]), (v, x_0)):
        tensor_like(tensor, like)
    check_times(t, schedule.T)
    signal, noise = schedule.alpha_bar[t, None].sqrt(), (1 - schedule.alpha_bar[t, None]).sqrt()
    check_noise((x_t - signal * x_0) / noise, x_0, x_t, t, schedule)
    eps, expected = (x_t - signal * x_0) / noise, v_from_x_0(x_t, x_0, t, schedule)
    for name, other in (("ε", eps), ("x_0", x_0)):
        if close(v, other):
            raise Wrong(f"x_t and t are right, but the third is {name}; the loss of this notebook is on v.")
    if close(v, -expected):
        raise Wrong("v has the wrong sign: it is √ᾱ_t ε - √(1-ᾱ_t) x_0.")
    if not close(v, expected):
        raise Wrong("v does not belong to x_t: draw eps once, and use the same eps for both.")
    return "Every time from 1 to T, normal noise, and a v that fits: a network can learn from these."


def check_times(t, T):
    """Raise Wrong unless t are 5000 whole numbers that look uniform on 1…T."""
    if t.dtype != torch.int64:
        raise Wrong(f"t must be whole numbers (int64), not {t.dtype}: `torch.randint` draws them.")
    if len(t.unique()) == 1:
        raise Wrong("all examples have the same t: draw one for each, shape (n,).")
    upper = "" if t.max() != T - 1 else " And t = T never occurs: `randint` leaves its upper end out."
    if t.min() == 0:
        raise Wrong(f"t = 0 occurs, and there is nothing to denoise at time 0: times go from 1 to T.{upper}")
    if upper:
        raise Wrong(f"The end of the chain, where sampling starts, is never trained.{upper}")
    if t.max() > T or t.min() < 1:
        raise Wrong(f"t must lie within 1…{T}, but yours reaches from {t.min().item()} to {t.max().item()}.")
    if float((torch.bincount(t, minlength=T + 1)[1:] - len(t) / T).abs().max()) > 5 * (len(t) / T) ** 0.5:
        raise Wrong("the times are not equally frequent: draw them uniformly from 1 to T.")


def check_noise(eps, x_0, x_t, t, schedule):
    """Raise Wrong unless what x_t has beyond √ᾱ_t x_0, divided by √(1-ᾱ_t), looks standard normal."""
    beta_t, alpha_bar_t = schedule.beta[t, None], schedule.alpha_bar[t, None]
    tolerance = 5 / len(eps) ** 0.5

    def of_variance_1(noise):
        return all(0.7 < float(noise[t == time].var()) < 1.3 for time in range(1, schedule.T + 1))

    if of_variance_1((x_t - (1 - beta_t).sqrt() * x_0) / beta_t.sqrt()):
        raise Wrong("that is one step, from t-1 to t, made with β_t. From the data to t it takes ᾱ_t: `q_sample`.")
    if of_variance_1((x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t)):
        raise Wrong("1-ᾱ_t is a variance, and you used it as a deviation: the factor of eps is √(1-ᾱ_t).")
    if float(((eps - eps.mean(0)) * (x_0 - x_0.mean(0))).mean().abs()) > tolerance:
        raise Wrong("the factor of x_0 in x_t is not √ᾱ_t.")
    if float(eps.min()) >= -1e-9:
        raise Wrong("your noise is never negative: `rand_like` draws from 0 to 1. Normal noise comes from `randn`.")
    if float(eps.mean().abs()) > tolerance or float((eps.var() - 1).abs()) > 2 * tolerance:
        raise Wrong(f"your noise has mean {eps.mean():.2f} and variance {eps.var():.2f}, where 0 and 1 are right.")
    if float(eps.abs().max()) < 2.5:
        raise Wrong(f"among 10,000 draws none is beyond {eps.abs().max():.1f}: that is not the normal distribution.")


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
