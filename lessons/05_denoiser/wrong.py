"""Wrong answers to the exercises of notebook 05, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.denoiser import check_eps_from_v, check_from_memory, check_gradient, check_training_example
from diffusion_lab.theory.forward import q_sample, q_step
from diffusion_lab.theory.parameterization import v_from_x_0


def gradient(loss_of, backward=lambda loss: loss.backward(), clear=True, after=lambda g: g):
    """An answer to the first exercise, with one part exchanged."""

    def attempt(w, x, y):
        if clear:
            w.grad = None
        backward(loss_of(w, x, y))
        return after(w.grad)

    return attempt


def squared(w, x, y):
    return ((w * x - y) ** 2).mean()


def example(low=1, high=1, rand=torch.randn, noisy=q_sample, target=v_from_x_0, times=None):
    """An answer to the exercise on training examples, with one part exchanged. Times: low…T-1+high."""

    def attempt(x_0, schedule, generator):
        n = len(x_0)
        t = times(n, schedule, generator) if times else torch.randint(low, schedule.T + high, (n,), generator=generator)
        eps = rand(x_0.shape, generator=generator, dtype=x_0.dtype)
        x_t = noisy(x_0, t, eps, schedule)
        return x_t, t, target(x_t, x_0, t, schedule) if int(t.min()) > 0 else eps

    return attempt


def divided_by_noise(x, v, a):
    x_0 = a**0.5 * x - (1 - a) ** 0.5 * v
    return (x - a**0.5 * x_0) / (1 - a) ** 0.5


def divided_by_signal(x, v, a):
    x_0 = a**0.5 * x - (1 - a) ** 0.5 * v
    return (v + (1 - a) ** 0.5 * x_0) / a**0.5


def times_first(*three):
    x_t, t, v = example()(*three)
    return t, x_t, v


def times_last(*three):
    x_t, t, v = example()(*three)
    return x_t, v, t


def v_first(*three):
    return example()(*three)[::-1]


def seeded(*three):
    torch.manual_seed(0)
    return example(rand=lambda shape, generator, dtype: torch.randn(shape, dtype=dtype))(*three)


def with_a_seed_of_its_own(x_0, schedule, _):
    return example()(x_0, schedule, torch.Generator().manual_seed(1))


def in_float32(*three):
    x_t, t, v = example()(*three)
    return x_t.float(), t, v.float()


def with_variance_as_deviation(x_0, t, eps, schedule):
    alpha_bar_t = schedule.alpha_bar[t, None]
    return alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t) * eps


def without_root(x_0, t, eps, schedule):
    alpha_bar_t = schedule.alpha_bar[t, None]
    return alpha_bar_t * x_0 + (1 - alpha_bar_t).sqrt() * eps


def eps_instead(x_t, x_0, t, schedule):
    alpha_bar_t = schedule.alpha_bar[t, None]
    return (x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t).sqrt()


def new_noise(x_t, x_0, t, schedule):
    alpha_bar_t = schedule.alpha_bar[t, None]
    return alpha_bar_t.sqrt() * torch.randn_like(x_0) - (1 - alpha_bar_t).sqrt() * x_0


def weighted(exponent, dim=1):
    """An answer to the last exercise with this exponent: a function of squared distance and 1-ᾱ_t."""

    def attempt(p, x, a):
        return torch.softmax(exponent(torch.cdist(x, a**0.5 * p) ** 2, 1 - a), dim=dim) @ p

    return attempt


WRONG = {
    check_gradient: [
        (gradient(squared, backward=lambda loss: loss.backward(loss)), "multiplied by the loss"),
        (gradient(squared, clear=False), "twice the gradient"),
        (gradient(lambda w, x, y: ((w * x - y) ** 2).sum()), "take the mean"),
        (lambda w, x, y: squared(w, x, y), "that is the loss"),
        (lambda w, x, y: ((w * x - y) * x).mean(), "the slope of a square"),
        (gradient(squared, after=lambda g: -g), "the sign is turned"),
        (lambda w, x, y: (2 * x * (w * x - y)).mean(), "by hand"),
        (lambda w, x, y: (2 * x * (w.item() * x - y)).mean(), "by hand"),
    ],
    check_eps_from_v: [
        (lambda x, v, a: a**0.5 * x - (1 - a) ** 0.5 * v, "that is x_0"),
        (lambda x, v, a: a**0.5 * v - (1 - a) ** 0.5 * x, "a sign is wrong"),
        (lambda x, v, a: (1 - a) ** 0.5 * v + a**0.5 * x, "swapped"),
        (lambda x, v, a: a * v + (1 - a) * x, "the factors are roots"),
        (lambda x, v, a: (x - a**0.5 * v) / (1 - a) ** 0.5, "as if it were x_0"),
        (divided_by_noise, "at ᾱ_t = 1 it fails"),
        (lambda x, v, a: divided_by_noise(x, v, a) if a < 1 else 1 / 0, "at ᾱ_t = 1 it fails"),
        (divided_by_signal, "at ᾱ_t = 0 it fails"),
    ],
    check_training_example: [
        (example(rand=torch.rand), "never negative"),
        (example(low=0, high=0), "T never occurs"),
        (example(high=0), "Not yet: t = T never occurs"),
        (example(low=0), "nothing to denoise at time 0"),
        (example(noisy=with_variance_as_deviation), "used it as a deviation"),
        (example(noisy=q_step), "that is one step"),
        (example(noisy=without_root), "is not √ᾱ_t"),
        (example(target=eps_instead), "the third is ε"),
        (example(target=lambda x_t, x_0, t, s: x_0), "the third is x_0"),
        (example(target=new_noise), "draw eps once"),
        (example(target=lambda *four: -v_from_x_0(*four)), "wrong sign"),
        (example(times=lambda n, s, g: torch.randint(1, s.T + 1, (1,), generator=g).expand(n)), "the same t"),
        (example(rand=lambda *a, **k: 2 * torch.rand(*a, **k) - 1), "where 0 and 1 are right"),
        (example(rand=lambda *a, **k: 12**0.5 * (torch.rand(*a, **k) - 0.5)), "not the normal distribution"),
        (example(rand=lambda s, **k: torch.randn(s[0], 1, **k).expand(s)), "both coordinates get the same number"),
        (example(rand=lambda s, **k: torch.randn(s[1], **k).expand(s)), "the same noise"),
        (example(rand=lambda s, generator, dtype: torch.randn(s, dtype=dtype)), "the same seed gave another batch"),
        (example(times=lambda n, s, g: torch.randint(1, s.T + 1, (n,))), "the same seed gave another batch"),
        (example(times=lambda n, s, g: torch.arange(n) % s.T + 1), "draw both afresh"),
        (seeded, "draw both afresh"),
        (with_a_seed_of_its_own, "draw both afresh"),
        (example(rand=lambda s, generator, dtype: torch.randn(s, generator=generator)), "the digits of float32"),
        (in_float32, "should be torch.float64"),
        (times_first, "the times are the first"),
        (times_last, "the times are the last"),
        (v_first, "in each other's place"),
    ],
    check_from_memory: [
        (lambda p, x, a: torch.softmax(-(torch.cdist(x, p) ** 2) / (2 * (1 - a)), dim=1) @ p, "have shrunk"),
        (weighted(lambda d, var: d / (2 * var)), "needs a minus"),
        (weighted(lambda d, var: -d / var), "the 2 in the exponent"),
        (weighted(lambda d, var: -d / (2 * var**0.5)), "divided by the deviation"),
        (weighted(lambda d, var: -(d**0.5) / (2 * var)), "square the distance"),
        (weighted(lambda d, var: -d / (2 * var), dim=0), "over the training points"),
        (lambda p, x, a: p[torch.cdist(x, a**0.5 * p).argmin(dim=1)], "the nearest training point"),
        (lambda p, x, a: torch.softmax(-(torch.cdist(x, a**0.5 * p) ** 2) / (2 - 2 * a), 1), "those are the weights"),
    ],
}
