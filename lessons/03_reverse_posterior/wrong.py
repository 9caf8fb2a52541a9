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


def variance(mixture, n, answer, **how):
    denoiser = Denoiser(lambda x_t, t, label: answer(mixture, x_t, t), cosine())
    x_T = torch.randn(20_000, 1, dtype=torch.float64)
    return last(ddpm(denoiser, x_T, spaced(1000, n), **how)).var().item()


def average(mixture, x_t, t):
    return mixture.expected_x_0(x_t, t, cosine())


def draw(mixture, x_t, t):
    return one_that_fits(mixture, x_t, t, cosine())


def without_spread(mixture, x_t, t):
    return one_that_fits(mixture, x_t, t, cosine(), spread=0.0)


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
        (lambda m, n: (variance(m, n, draw), variance(m, n, draw)), "the first walk must be answered"),
        (lambda m, n: (variance(m, n, draw), variance(m, n, average)), "the two are swapped"),
        (lambda m, n: (variance(m, n, average) ** 0.5, variance(m, n, draw) ** 0.5), "standard deviations"),
        (lambda m, n: (variance(m, n, average), variance(m, n, without_spread)), "the average of it"),
        (lambda m, n: (variance(m, n, average), variance(m, n, likeliest)), "the likeliest component"),
        (lambda m, n: (variance(m, n, average, variance="large"), variance(m, n, draw, variance="large")), '"large"'),
        (lambda m, n: (0.0, 1.02), "First the variance of the samples"),
        (lambda m, n: variance(m, n, draw), "2 results were expected"),
    ],
    check_sampler: [
        (walk(drift), "no noise is added"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=beta_tilde(t, s, a))), "as a standard deviation"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[t] / a[s]) ** 0.5)), "in every step"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[t] / a[s]) ** 0.5 * (s > 0))),
         "β tilde has the factor"),
        (walk(lambda x, y, t, s, a, e: step(x, y, t, s, a, e, std=(1 - a[s]) ** 0.5)), "if only x_0 is known"),
        (walk(end=False), "stops one step early"),
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
        (lambda x, y, t, s, a, e: step(x, y, t, s, a, e).float(), "yours is float32"),
    ],
    check_what_follows: [
        (lambda: {"A", "B", "C", "F"}, "A does not follow"),
        (lambda: {"B", "C", "D", "F"}, "D does not follow"),
        (lambda: "BCEF", "E does not follow"),
        (lambda: ["C", "F"], "about the shape of a long step"),
        (lambda: ("b", "f"), "about the width"),
        (lambda: {"B", "C"}, "what did exercise 3 find"),
        (lambda: {"B", "G"}, "you named G"),
        (lambda: 3, "your function returned int"),
    ],
}
