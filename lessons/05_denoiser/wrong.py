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


def moves_w(w, x, y):
    w.grad = None
    squared(w, x, y).backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
    return w.grad


def clears_what_it_returns(w, x, y):
    squared(w, x, y).backward()
    slope = w.grad
    w.grad.zero_()
    return slope


def kept_from_0(x, v, a):
    x_0 = a**0.5 * x - (1 - a) ** 0.5 * v
    return (x - a**0.5 * x_0) / max(1 - a, 1e-5) ** 0.5


def v_of(factors, eps_and_x_0=lambda eps, x_0, x_t: (eps, x_0)):
    """A target made of ε and x_0 with these factors, a function of ᾱ_t."""

    def target(x_t, x_0, t, schedule):
        a, eps = factors(schedule.alpha_bar[t, None]), eps_instead(x_t, x_0, t, schedule)
        one, other = eps_and_x_0(eps, x_0, x_t)
        return a[0] * one - a[1] * other

    return target


def in_place(x_0, schedule, generator):
    x_t, t, v = example()(x_0, schedule, generator)
    return x_0.copy_(x_t), t, v


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
        (gradient(lambda w, x, y: (w * x - y).mean()), "the mean of w x - y"),
        (gradient(lambda w, x, y: (w * x - y).mean() ** 2), "squared the mean"),
        (gradient(lambda w, x, y: (w * x - y).abs().mean()), "not absolute values"),
        (lambda w, x, y: torch.autograd.grad(squared(w, x, y), w), "its first entry, [0]"),
        (lambda w, x, y: squared(w, x, y).backward(), "returned None"),
        (gradient(squared, after=lambda g: g.float()), "should be float64"),
        (gradient(squared, after=lambda g: 1.1 * g), "the result should be -0.6948, but yours is -0.7643"),
        (clears_what_it_returns, "what you are about to return"),
        (moves_w, "changed w itself"),
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
        (lambda x, v, a: a * v + (1 - a) ** 0.5 * x, "the factor of v is a root"),
        (lambda x, v, a: a**0.5 * v + (1 - a) * x, "the factor of x_t is a root"),
        (lambda x, v, a: a**0.5 * v + (1 - a**0.5) * x, "subtract first"),
        (lambda x, v, a: (v + (1 - a) ** 0.5 * x) / a**0.5, "in place of x_0"),
        (lambda x, v, a: x - v, "entry [3] should be -2.147, but yours is 1.2"),
        (kept_from_0, "not at both ends"),
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
        (in_float32, "should be float64"),
        (times_first, "the times are the first"),
        (times_last, "the times are the last"),
        (v_first, "in each other's place"),
        (example(target=v_of(lambda a: ((1 - a).sqrt(), a.sqrt()))), "the two factors are swapped"),
        (example(target=v_of(lambda a: (a.sqrt(), -(1 - a).sqrt()))), "is subtracted"),
        (example(target=v_of(lambda a: (a, 1 - a))), "the factors in v are roots"),
        (example(target=v_of(lambda a: (a.sqrt(), (1 - a).sqrt()), lambda e, x_0, x_t: (e, x_t))),
         "x_t in place of x_0"),
        (example(target=lambda *four: v_from_x_0(*four).float().double()), "in the first digits only"),
        (example(rand=lambda s, generator, **k: torch.randn(s, generator=generator, **k)
                 * (2 * torch.rand(s, generator=generator, **k)).sqrt()), "the fourth powers"),
        (example(target=v_of(lambda a: (a.sqrt(), 0.9 * (1 - a).sqrt()))), "For x_0 ="),
        (example(noisy=lambda x_0, t, eps, s: s.alpha_bar[t, None].sqrt() * x_0), "there is no noise in x_t"),
        (example(noisy=lambda x_0, t, eps, s: q_sample(x_0, t - 1, eps, s)), "it depends on x_0"),
        (example(rand=lambda *a, **k: torch.randn(*a, **k).abs()), "both signs alike"),
        (example(times=lambda n, s, g: torch.randint(1, s.T + 1, (n, 1), generator=g)), "a time for each"),
        (example(times=lambda n, s, g: torch.randint(1, s.T + 1, (2,), generator=g).repeat(n // 2)),
         "equally frequent"),
        (in_place, "changed x_0 itself"),
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
        (lambda p, x, a: torch.exp(-(torch.cdist(x, a**0.5 * p) ** 2) / (2 - 2 * a)) @ p, "do not add up to 1"),
        (lambda p, x, a: weighted(lambda d, var: -d / (2 * var))(p, x, a) * a**0.5, "averaged the shrunk points"),
        (lambda p, x, a: torch.softmax(-(torch.cdist(x, a * p) ** 2) / (2 - 2 * a), 1) @ p, "not by ᾱ_t"),
        (lambda p, x, a: torch.softmax(-(torch.cdist(x / a**0.5, p) ** 2) / (2 - 2 * a), 1) @ p,
         "divided x_t by √ᾱ_t"),
        (weighted(lambda d, var: -d / (2 * var**2)), "you squared 1-ᾱ_t"),
        (weighted(lambda d, var: -d / 2 * var), "write brackets"),
        (lambda p, x, a: p.mean(0).expand(len(x), -1), "the mean of all training points"),
        (weighted(lambda d, var: -d / (3 * var)), "With points ="),
    ],
}
