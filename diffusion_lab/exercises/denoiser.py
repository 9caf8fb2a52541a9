"""The checks of the exercises of lessons/05_denoiser."""

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


@answers
def check_training_example(attempt):
    schedule, generator = cosine(10), torch.Generator().manual_seed(2718)  # none that a reader would set
    x_0 = torch.randn(5000, 2, generator=generator, dtype=torch.float64) + 0.5
    state = generator.get_state()
    x_t, t, v = in_order(attempt(x_0, schedule, generator), x_0)
    check_times(t, schedule.T)
    if close(x_t, v_from_x_0(v, x_0, t, schedule)):
        raise Wrong("x_t and v are in each other's place: the order is x_t, t, v.")
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
    new_x_t, new_t, _ = attempt(x_0, schedule, generator)
    if close(new_t, t) or close((new_x_t - schedule.alpha_bar[new_t, None].sqrt() * x_0)
                                / (1 - schedule.alpha_bar[new_t, None]).sqrt(), eps):
        raise Wrong("a second batch has the same times or noise as the first: draw both afresh, and set no seed.")
    again = attempt(x_0, schedule, generator.set_state(state))
    if not (close(again[1], t) and close(again[0], x_t)):
        raise Wrong("the same seed gave another batch: draw the times and the noise with `generator=generator`.")
    return "Every time from 1 to T, normal noise, and a v that fits: a network can learn from these."


def in_order(given, x_0):
    """Return x_t, t, v as they were given; raise Wrong unless these are three, in this order, fit for x_0."""
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise Wrong("return three things: `return x_t, t, v`.")
    shapes = [tuple(tensor.shape) if torch.is_tensor(tensor) else None for tensor in given]
    if shapes[1] == x_0.shape and (len(x_0),) in shapes:
        raise Wrong(f"the order is x_t, t, v, but the times are the {'first' if len(shapes[0]) == 1 else 'last'}.")
    for tensor, like in zip(given, (x_0, x_0[:, 0], x_0)):
        tensor_like(tensor, like)
    for name, tensor in (("x_t", given[0]), ("v", given[2])):
        if tensor.dtype != x_0.dtype:
            raise Wrong(f"{name} should be {x_0.dtype}, as x_0 is, but yours is {tensor.dtype}.")
    return given


def check_times(t, T):
    """Raise Wrong unless t are 5000 whole numbers that look uniform on 1…T."""
    if t.dtype != torch.int64:
        raise Wrong(f"t must be whole numbers (int64), not {t.dtype}: `torch.randint` draws them.")
    if len(t.unique()) == 1:
        raise Wrong("all examples have the same t: draw one for each, shape (n,).")
    upper = "" if t.max() != T - 1 else "t = T never occurs, for `randint` leaves its upper end out"
    if t.min() == 0:
        more = f" Also, {upper}." if upper else ""
        raise Wrong(f"t = 0 occurs, and there is nothing to denoise at time 0: times go from 1 to T.{more}")
    if upper:
        raise Wrong(f"{upper}. So the end of the chain, where sampling starts, is never trained.")
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
    spread, (first, second) = eps.std(dim=0), (eps - eps.mean(dim=0)).T
    if float(spread.max()) < 1e-6:
        raise Wrong("all examples have the same noise. It broadcasts in silence: its shape must be that of x_0.")
    if float(((first * second).mean() / spread.prod()).abs()) > tolerance:
        raise Wrong("the noise of one coordinate tells that of the other: draw each number afresh, in the shape of "
                    "x_0. Shape (n, 1) broadcasts in silence, and both coordinates get the same number.")
    if float(eps.min()) >= -1e-9:
        raise Wrong("your noise is never negative: `rand_like` draws from 0 to 1. Normal noise comes from `randn`.")
    if float(eps.mean().abs()) > tolerance or float((eps.var() - 1).abs()) > 2 * tolerance:
        raise Wrong(f"your noise has mean {eps.mean():.2f} and variance {eps.var():.2f}, where 0 and 1 are right.")
    if float(eps.abs().max()) < 2.5:
        raise Wrong(f"among 10,000 draws none is beyond {eps.abs().max():.1f}: that is not the normal distribution.")
    if float((eps - eps.float()).abs().max()) < 1e-12:
        raise Wrong(f"your noise has the digits of float32 only, and the data are {x_0.dtype}: add `dtype=x_0.dtype`.")
