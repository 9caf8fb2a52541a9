"""Wrong answers to the exercises of notebook 03, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.reverse_posterior import (
    check_denoised_mean,
    check_repaired_step,
    check_sampler,
    check_table_back,
    check_two_variances,
    check_what_follows,
    one_that_fits,
)
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.schedule import cosine


def shrink(y, noise_var, m, v):
    return (1 - v / (v + noise_var)) * m + v / (v + noise_var) * y


def columns(joint):
    return joint / joint.sum(dim=0)


def of_the_data(mixture):
    mean = mixture.weight @ mixture.mean[:, 0]
    return float(mixture.weight @ (mixture.var + mixture.mean[:, 0] ** 2) - mean**2)


def variance(mixture, n, answer, size=20_000, of=torch.var, start=lambda x_T: x_T, schedule=None, **how):
    schedule = cosine() if schedule is None else schedule
    denoiser = Denoiser(lambda x_t, t, label: answer(mixture, x_t, t), schedule)
    x_T = start(torch.randn(size, 1, dtype=torch.float64))
    return of(last(ddpm(denoiser, x_T, spaced(schedule.T, n), **how))).item()


def both(mixture, n, **how):
    return variance(mixture, n, average, **how), variance(mixture, n, draw, **how)


def average(mixture, x_t, t):
    return mixture.expected_x_0(x_t, t, cosine())


def draw(mixture, x_t, t):
    return one_that_fits(mixture, x_t, t, cosine())


def without_spread(mixture, x_t, t):
    return one_that_fits(mixture, x_t, t, cosine(), spread=0.0)


def one_for_all(mixture, x_t, t):
    return draw(mixture, x_t[:1], t).expand_as(x_t)


def drawn_once():
    """An answer to the second walk of exercise 3 that draws at the first time, and keeps what it drew."""
    kept = []

    def answer(mixture, x_t, t):
        if not kept:
            kept.append(draw(mixture, x_t, t))
        return kept[0]

    return answer


def of_the_tables(mixture, x_t, t):
    """A point of the data, whatever x_t is, without mixture.sample."""
    k = torch.multinomial(mixture.weight, len(x_t), replacement=True)
    return mixture.mean[k] + mixture.var[k, None] ** 0.5 * torch.randn_like(x_t)


def with_schedule_of(n, T, mixture):
    """Both variances with another schedule, of T steps."""
    schedule = cosine(T)
    fits = lambda mixture, x_t, t: one_that_fits(mixture, x_t, t, schedule)  # noqa: E731
    return (variance(mixture, n, lambda mixture, x_t, t: mixture.expected_x_0(x_t, t, schedule), schedule=schedule),
            variance(mixture, n, fits, schedule=schedule))


def likeliest(mixture, x_t, t):
    return one_that_fits(mixture, x_t, t, cosine(), sure=True)


def step(x_t, x_0, t, s, a, eps, alpha=None, std=None):
    alpha = a[t] / a[s] if alpha is None else alpha
    std = ((1 - a[s]) / (1 - a[t]) * (1 - alpha)) ** 0.5 if std is None else std
    return (a[s] ** 0.5 * (1 - alpha) * x_0 + alpha**0.5 * (1 - a[s]) * x_t) / (1 - a[t]) + std * eps


def walk(change=step, end=True, asked=lambda t, s: t, stuck=False):
    def sampler(denoise, x_T, times, a, noise):
        x_t = x_T
        steps = list(zip(times, times[1:] + [0]))
        for i, (t, s) in enumerate(steps if end else steps[:-1]):
            x_t = change(x_t, denoise(x_T if stuck else x_t, asked(t, s)), t, s, a, noise[i])
        return x_t
    return sampler


def beta_tilde(t, s, a):
    return (1 - a[s]) / (1 - a[t]) * (1 - a[t] / a[s])


def drift(x_t, x_0, t, s, a, eps):
    return step(x_t, x_0, t, s, a, 0 * eps)


WRONG = {
    check_table_back: [
        (lambda q, p: columns(p[:3, None] * q[:3, :3]).T, "the shape should be (4, 4), but yours is (3, 3)"),
        (lambda q, p: columns(p[:, None] * q), "turned over: a row belongs"),
        (lambda q, p: q.T, "the forward table turned over"),
        (lambda q, p: q, "the way forward again"),
        (lambda q, p: (p[:, None] * q) / (p[:, None] * q).sum(dim=1, keepdim=True), "the way forward again"),
        (lambda q, p: columns(q).T, "if all rooms were equally likely"),
        (lambda q, p: columns(q * p).T, "if all rooms were equally likely"),
        (lambda q, p: (p[:, None] * q).T, "the joint law. Given the end"),
        (lambda q, p: p[:, None] * q, "with the start in the rows"),
        (lambda q, p: torch.linalg.inv(q), "negative entries"),
        (lambda q, p: p.repeat(len(p), 1), "forgets where the walk ended"),
        (lambda q, p: (p[:, None] * q).T / p[:, None], "the probability of *ending*"),
        (lambda q, p: torch.eye(len(p), dtype=torch.float64), "Each row must sum to 1"),
        (lambda q, p: p @ q, "the shape should be"),
        (lambda q, p: columns(p[:, None] * q).T.float(), "yours is float32"),
        (lambda q, p: columns(q.mul_(p[:, None])).T, "changed q itself"),
    ],
    check_denoised_mean: [
        (lambda x, a, m, v: x / a**0.5, "noisy measurement"),
        (lambda x, a, m, v: shrink(x, (1 - a) / a, m, v), "divide x_t by"),
        (lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, 0.0, v), "is missing"),
        (lambda x, a, m, v: m + x / a**0.5 - shrink(x / a**0.5, (1 - a) / a, m, v), "weights are swapped"),
        (lambda x, a, m, v: shrink(x / a**0.5, 1 - a, m, v), "not 1-ᾱ_t"),
        (lambda x, a, m, v: shrink(x / a**0.5, a / (1 - a), m, v), "upside down"),
        (lambda x, a, m, v: shrink(x / a**0.5, ((1 - a) / a) ** 0.5, m, v), "took a root"),
        (lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, m, v**0.5), "took a root"),
        (lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, m, v**2), "do not square it"),
        (lambda x, a, m, v: shrink(x / a, (1 - a) / a, m, v), "shrunk by the root"),
        (lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a**0.5, m, v), "a variance by ᾱ_t"),
        (lambda x, a, m, v: m + a**0.5 * v / (a * v + 1 - a) * (x - m), "you subtracted m itself"),
        (lambda x, a, m, v: m + v / (v + (1 - a) / a) * x / a**0.5, "m enters whole"),
        (lambda x, a, m, v: m / v + x * a**0.5 / (1 - a), "Test it"),
        (lambda x, a, m, v: (m + x / a**0.5) / 2, "Test it"),
        (lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, m, v).float(), "yours is float32"),
        (lambda x, a, m, v: shrink(x.div_(a**0.5), (1 - a) / a, m, v), "changed x itself"),
    ],
    check_two_variances: [
        (lambda m, n: (variance(m, n, average), variance(m, n, average)), "the second walk must be answered"),
        (lambda m, n: (variance(m, n, draw), variance(m, n, draw)), "The first walk must be answered"),
        (lambda m, n: (variance(m, n, draw), variance(m, n, average)), "the two are swapped"),
        (lambda m, n: (variance(m, n, average) ** 0.5, variance(m, n, draw) ** 0.5), "standard deviations"),
        (lambda m, n: (variance(m, n, average), variance(m, n, without_spread)), "the average of it"),
        (lambda m, n: (variance(m, n, average), variance(m, n, likeliest)), "the likeliest component"),
        (lambda m, n: (variance(m, n, average, variance="large"), variance(m, n, draw, variance="large")), '"large"'),
        (lambda m, n: (0.0, 1.3), "one of your variances is 0"),
        (lambda m, n: (0.4, 1.3), "First the variance of the samples"),
        (lambda m, n: variance(m, n, draw), "2 results were expected"),
        (lambda m, n: (variance(m, 1, average), variance(m, 1, draw)), "went through 1 times"),
        (lambda m, n: both(m, n, size=200), "ask the mixture about 40000 numbers at each time; yours asked about 400"),
        (lambda m, n: both(m, n, size=10_000), "yours asked about 20000"),
        (lambda m, n: (variance(m, n, average), variance(m, n, lambda m, x_t, t: m.sample(len(x_t)))),
         "your second number is the variance of the data"),
        (lambda m, n: (variance(m, n, average), variance(m, n, of_the_tables)), "its x_0 do not look at x_t"),
        (lambda m, n: (variance(m, n, average), m.sample(20_000).var().item()), "the variance of the data"),
        (lambda m, n: (variance(m, n, average), variance(m, n, drawn_once())), "draw the x_0 of the second walk anew"),
        (lambda m, n: (variance(m, n, average), variance(m, n, one_for_all)), "needs noise and an x_0 of its own"),
        (lambda m, n: both(m, n, start=lambda x_T: 2 * x_T), "start from numbers with mean -0.01 and variance 4.0"),
        (lambda m, n: both(m, n, start=torch.zeros_like), "different numbers that your walks start from: 1."),
        (lambda m, n: both(m, n, start=lambda x_T: x_T[:1].expand_as(x_T)), "walks start from: 2."),
        (lambda m, n: both(m, n, start=lambda x_T: 12**0.5 * (torch.rand_like(x_T) - 0.5)), "but are not normal"),
        (lambda m, n: with_schedule_of(n, n, m), "cosine(), of a thousand steps, whatever n is"),
        (lambda m, n: (variance(m, n, average), of_the_data(m)), "computed and not measured"),
        (lambda m, n: (0.9 * variance(m, n, average), 0.9 * variance(m, n, draw)), "First the variance of the samples"),
        (lambda m, n: (1.1 * variance(m, n, average), 1.1 * variance(m, n, draw)), "First the variance of the samples"),
        (lambda m, n: (variance(m, n, average, of=lambda x: (x**2).mean()),
                       variance(m, n, draw, of=lambda x: (x**2).mean())), "the averages of the squares"),
        (lambda m, n: (m.var.mul_(2), variance(m, n, average), variance(m, n, draw))[1:], "the tables of the mixture "
                                                                                          "itself"),
    ],
    check_sampler: [
        (walk(drift), "no noise is added"),
        (lambda denoise, x_T, times, a, noise: walk()(denoise, x_T, times, a.float(), noise), "only the first digits"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=beta_tilde(t, s, a))), "as a standard deviation"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[t] / a[s]) ** 0.5)), "in every step"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[t] / a[s]) ** 0.5 * (s > 0))),
         "β tilde has the factor"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[s]) ** 0.5)), "if only x_0 is known"),
        (walk(end=False), "stops one step early"),
        (lambda denoise, x_T, times, a, noise: walk()(denoise, x_T, [len(a) - 1, *times[1:]], a, noise), "Print each"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, alpha=a[t] / a[t - 1])), "the α of neighbours"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, alpha=a[t])), "used ᾱ_t as α"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, t - 1, a, e)), "from t to t-1 each time"),
        (walk(asked=lambda t, s: s), "asked about time s"),
        (walk(asked=lambda t, s: t - 1), "you count from 0"),
        (walk(stuck=True), "always sees x_T"),
        (walk(lambda x, y, t, s, a, e: y + beta_tilde(t, s, a) ** 0.5 * e), "you stepped to x_0_hat itself"),
        (walk(lambda x, y, t, s, a, e: a[s] ** 0.5 * y + (1 - a[s]) ** 0.5 * e), "noised x_0_hat afresh"),
        (walk(lambda x, y, t, s, a, e: step(y, x, t, s, a, e)), "are swapped in the mean"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, torch.randn_like(e))), "two calls with the same numbers"),
        (walk(lambda x, y, t, s, a, e: x), "Print each state"),
        (lambda denoise, x_T, times, a, noise: walk()(denoise, x_T, times, a, noise).float(), "yours is float32"),
        (lambda denoise, x_T, times, a, noise: x_T.add_(1), "changed x_T itself"),
        (lambda denoise, x_T, times, a, noise: (times.append(0), walk()(denoise, x_T, times[:-1], a, noise))[1],
         "changed times itself"),
        (lambda denoise, x_T, times, a, noise: (walk()(denoise, x_T, times, a, noise), times.clear())[0],
         "times.copy()"),
    ],
    check_repaired_step: [
        (lambda x, y, t, s, a, e:
            step(x, y, t, s, a, e, a[t] / a[t - 1], (1 - a[s]) / (1 - a[t]) * (1 - a[t] / a[t - 1])),
         "still the faulty step"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, a[t] / a[t - 1]), "The other is in α"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=beta_tilde(t, s, a)), "The other is in the last line"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[t] / a[s]) ** 0.5), "if x_0 is not known at all"),
        (drift, "dropped the noise"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, alpha=a[t]), "not ᾱ_t itself"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, alpha=a[s] / a[t]), "upside down"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, a[t] / a[t - 1], beta_tilde(t, s, a) ** 0.5),
         "in the noise α is right"),
        (lambda x, y, t, s, a, e: drift(x, y, t, s, a, e) + step(0 * x, 0 * y, t, s, a, e, a[t] / a[t - 1]),
         "in the mean α is right"),
        (lambda x, y, t, s, a, e: step(x, y, t, t - 1, a, e), "Compare each line"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[s]) ** 0.5), "in the factor of eps"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[t] / a[s]) * 2), "in the factor of eps"),
        (lambda x, y, t, s, a, e: drift(y, x, t, s, a, e) + beta_tilde(t, s, a) ** 0.5 * e, "left is in the mean"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e, a[t], beta_tilde(t, s, a) ** 0.5), "left is in the mean"),
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e).float(), "yours is float32"),
    ],
    check_what_follows: [
        (lambda: {"A", "B", "C", "F"}, "A is false"),
        (lambda: {"B", "C", "D", "F"}, "D is false"),
        (lambda: "BCEF", "E is false"),
        (lambda: ["C", "F"], "about the shape of a long step"),
        (lambda: ("b", "f"), "about the width"),
        (lambda: {"B", "C"}, "what did exercise 3 find"),
        (lambda: {"A", "C", "F"}, "2 letters are wrong or missing"),
        (lambda: {"B", "G"}, "letters from A to F"),
        (lambda: 3, "your function returned int"),
    ],
}
