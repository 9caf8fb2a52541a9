"""Wrong answers to the exercises of notebook 05, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.denoiser import (
    check_best_width,
    check_expected_rate,
    check_from_memory,
    check_target_weight,
    check_training_example,
    check_what_it_learned,
)
from diffusion_lab.theory.forward import q_sample, q_step
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.parameterization import v_from_x_0


def example(low=1, high=1, rand=torch.randn, noisy=q_sample, target=v_from_x_0, times=None):
    """An answer to the exercise on training examples, with one part exchanged. Times: low…T-1+high."""

    def attempt(x_0, schedule, generator):
        n = len(x_0)
        t = times(n, schedule, generator) if times else torch.randint(low, schedule.T + high, (n,), generator=generator)
        eps = rand(x_0.shape, generator=generator, dtype=x_0.dtype)
        x_t = noisy(x_0, t, eps, schedule)
        return x_t, t, target(x_t, x_0, t, schedule) if int(t.min()) > 0 else eps

    return attempt


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


def divided(largest=lambda exponent: 0.0, of=lambda weights: weights, below=lambda total: total):
    """An answer to the last exercise without softmax: densities, divided by their sum."""

    def attempt(p, x, a):
        exponent = -torch.cdist(x, a**0.5 * p) ** 2 / (2 * (1 - a))
        density = torch.exp(exponent - largest(exponent))
        return of(density / below(density.sum(dim=1, keepdim=True))) @ p

    return attempt


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


def k_of(p, first):
    return torch.arange(first, first + len(p) - 1, dtype=torch.float64)


def snr(alpha_bar_t):
    return alpha_bar_t / (1 - alpha_bar_t)


def halves(x_0, schedule, generator, times=True, noise=True):
    """Times, noise or both of one half of the batch, copied to the other."""
    n = len(x_0)
    t = torch.randint(1, schedule.T + 1, (n // 2,) if times else (n,), generator=generator)
    eps = torch.randn(n // 2 if noise else n, x_0.shape[1], generator=generator, dtype=x_0.dtype)
    t, eps = (t.repeat(2) if times else t), (eps.repeat(2, 1) if noise else eps)
    x_t = q_sample(x_0, t, eps, schedule)
    return x_t, t, v_from_x_0(x_t, x_0, t, schedule)


def log_prob(points, x, var):
    n = len(points)
    return GaussianMixture(torch.full((n,), 1 / n), points, torch.full((n,), var)).log_prob(x)


def best(points, x, widths, power=2, sign=1, of=lambda log_p: log_p):
    return max(widths, key=lambda h: sign * of(log_prob(points, x, h**power)).mean().item())


WRONG = {
    check_expected_rate: [
        (lambda p: p[1:] / p[:-1], "its factor is missing"),
        (lambda p: k_of(p, 0) * p[1:] / p[:-1], "the factor is k+1, not k"),
        (lambda p: k_of(p, 1) * p[:-1] / p[1:], "upside down"),
        (lambda p: p[1:] / p[:-1] / k_of(p, 1), "it belongs above"),
        (lambda p: k_of(p, 0), "the count itself"),
        (lambda p: k_of(p, 1), "the count plus one"),
        (lambda p: k_of(p, 1) * p[1:], "did not divide by p(k)"),
        (lambda p: (torch.arange(len(p)) * p).sum().expand(len(p) - 1), "the mean of all counts"),
        (lambda p: k_of(p, 1) * p[1:] / p[1:].sum(), "divide each by p(k)"),
        (lambda p: k_of(p, 1) * (p[1:].log() - p[:-1].log()), "you took a logarithm"),
        (lambda p: k_of(p, 0) + p[1:].log() - p[:-1].log(), "plus the slope of log p"),
        (lambda p: k_of(p, 0) + p[1:] / p[:-1] - 1, "plus a slope of p over p"),
        (lambda p: torch.arange(len(p)) * p, "the shape should be"),
        (lambda p: [None] * (len(p) - 1), "entry 0 of the 6 in a list that your function returned is None"),
        (lambda p: (k_of(p, 1) * p[1:] / p[:-1]).float(), "yours is float32"),
        (lambda p: k_of(p, 1) * p[1:].div_(p[:-1].clone()), "changed p itself"),
    ],
    check_target_weight: [
        (lambda a, b, c: a - b * snr(c) ** 0.5, "the factor of e. The loss"),
        (lambda a, b, c: (a - b * snr(c) ** 0.5).abs(), "without its sign"),
        (lambda a, b, c: (a - b * snr(c) ** 0.5) ** 4, "squared twice"),
        (lambda a, b, c: (a + b * snr(c) ** 0.5) ** 2, "a sign"),
        (lambda a, b, c: a**2 + b**2 * snr(c), "added the squares"),
        (lambda a, b, c: (a - b * snr(c)) ** 2, "the SNR itself"),
        (lambda a, b, c: (a - b / snr(c) ** 0.5) ** 2, "upside down"),
        (lambda a, b, c: (a - b * c**0.5) ** 2, "divided by √(1-ᾱ_t)"),
        (lambda a, b, c: (a - b) ** 2, "change by -e"),
        (lambda a, b, c: (a + b) ** 2, "change by e:"),
        (lambda a, b, c: a**2, "held ε fixed"),
        (lambda a, b, c: b**2 * snr(c), "the error of x_0 itself"),
        (lambda a, b, c: (b - a * snr(c) ** 0.5) ** 2, "changed places"),
        (lambda a, b, c: (a / snr(c) ** 0.5 - b) ** 2, "the error of ε"),
        (lambda a, b, c: (a * c**0.5 - b * snr(c) ** 0.5) ** 2, "is too much"),
        (lambda a, b, c: snr(c) + 1, "the weight for v"),
        (lambda a, b, c: 2 * (a - b * snr(c) ** 0.5) ** 2, "By how much do"),
        (lambda a, b, c: (a - b * snr(c) ** 0.5).float() ** 2, "yours is float32"),
        (lambda a, b, c: ((a - b * snr(c) ** 0.5) ** 2).mean(), "the shape should be"),
        (lambda a, b, c: a.sub_(b * snr(c) ** 0.5) ** 2, "changed a itself"),
    ],
    check_best_width: [
        (lambda p, x, w: best(p, p, w), "the smallest of the widths"),
        (lambda p, x, w: min(w), "do you judge by `held_out`?"),
        (lambda p, x, w: w[0], "the first of the widths"),
        (lambda p, x, w: max(w), "the largest of the widths"),
        (lambda p, x, w: {h: log_prob(p, x, h**2).mean() for h in w}, "numbers were expected"),
        (lambda p, x, w: best(p, x, w, power=1), "h², not h"),
        (lambda p, x, w: best(p, x, w, power=0.5), "h², not √h"),
        (lambda p, x, w: best(p, x, w, sign=-1), "the worst width"),
        (lambda p, x, w: float(w.index(best(p, x, w))), "the place of the width"),
        (lambda p, x, w: best(p, x, w) ** 2, "that is a variance"),
        (lambda p, x, w: best(x, p, w), "the other way round"),
        (lambda p, x, w: best(p, x, w, of=torch.exp), "not their logarithms"),
        (lambda p, x, w: log_prob(p, x, best(p, x, w) ** 2).mean().item(), "the log-density of the best width"),
        (lambda p, x, w: w[2], "For each width"),
    ],
    check_what_it_learned: [
        (lambda: {"A", "B", "C", "E"}, "A does not follow"),
        (lambda: "BCDE", "D does not follow"),
        (lambda: "ABDE", "3 letters are wrong or missing"),
        (lambda: ["B", "C", "E", "F"], "F does not follow"),
        (lambda: ("C", "E"), "the number 0.72"),
        (lambda: {"b", "e"}, "which denoiser alone"),
        (lambda: {"B", "C"}, "about the gap"),
        (lambda: {"B", "G"}, "A to F"),
        (lambda: 3, "A to F"),
    ],
    check_training_example: [
        (example(rand=torch.rand), "never negative"),
        (example(low=0, high=0), "T never occurs"),
        (example(high=0), "Not yet: t = T never occurs"),
        (example(low=0), "nothing to denoise at time 0"),
        (example(noisy=with_variance_as_deviation), "used it as a standard deviation"),
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
        (halves, "the times repeat after 2500 examples"),
        (lambda *three: halves(*three, noise=False), "the times repeat after 2500 examples"),
        (lambda *three: halves(*three, times=False), "share a number of their noise"),
        (example(times=lambda n, s, g: torch.randint(1, s.T + 1, (n,), generator=g).sort().values), "they sorted?"),
    ],
    check_from_memory: [
        (lambda p, x, a: torch.softmax(-(torch.cdist(x, p) ** 2) / (2 - 2 * a), dim=0) @ p, "still the faulty"),
        (lambda p, x, a: torch.softmax(-(torch.cdist(x, p) ** 2) / (2 * (1 - a)), dim=1) @ p, "have shrunk"),
        (weighted(lambda d, var: d / (2 * var)), "needs a minus"),
        (weighted(lambda d, var: -d / var), "the 2 in the exponent"),
        (weighted(lambda d, var: -d / (2 * var**0.5)), "divided by the standard deviation"),
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
        (divided(), "and 0/0 is not a number. Take"),
        (divided(of=torch.nan_to_num), "and so are your weights"),
        (divided(below=lambda total: total.clamp(min=1e-300)), "and so are your weights"),
        (divided(below=lambda total: total + 1e-12), "and so are your weights"),
        (divided(largest=lambda exponent: exponent.max()), "one largest exponent for all x_t together"),
        (divided(largest=lambda exponent: exponent.max(), of=torch.nan_to_num), "In one far from all points"),
        (lambda p, x, a: divided()(p, x, a).where(~divided()(p, x, a).isnan(), p.mean(0)), "far from all of them"),
    ],
}
