"""Wrong answers to the exercises of notebook 03, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.reverse_posterior import (
    check_ancestral_step,
    check_denoised_mean,
    check_posterior_mean,
    check_times,
)
from diffusion_lab.theory.gaussian import product


def mean(x_0, x_t, t, s):
    return (s**0.5 * (1 - t / s) * x_0 + (t / s) ** 0.5 * (1 - s) * x_t) / (1 - t)


def with_alpha(x_0, x_t, t, s, alpha):
    return (s**0.5 * (1 - alpha) * x_0 + alpha**0.5 * (1 - s) * x_t) / (1 - t)


def var(t, s):
    return (1 - s) / (1 - t) * (1 - t / s)


def shrink(y, noise_var, m, v):
    return (1 - v / (v + noise_var)) * m + v / (v + noise_var) * y


WRONG = {
    check_times: [
        (lambda T, n: [T - 1 - k * (T // n) for k in range(n)], "you count from 0"),
        (lambda T, n: [1 + (n - 1 - k) * (T // n) for k in range(n)], "never visits T"),
        (lambda T, n: [round(T * (k + 1) / n) for k in range(n)], "your times rise"),
        (lambda T, n: [round(T * (n - k) / n) for k in range(n + 1)], "time 0"),
        (lambda T, n: list(range(T, 0, -(T // n))), "rounded step length"),
        (lambda T, n: [T - k * round(T / n) for k in range(n)], "you rounded the length of a step"),
        (lambda T, n: [T - k * (T // n) for k in range(n)], "you rounded the length of a step"),
        (lambda T, n: [T * (n - k) // n for k in range(n)], "cut the fraction off"),
        (lambda T, n: [int(T - k * T / n) for k in range(n)], "cut the fraction off"),
        (lambda T, n: [T - k * T // n for k in range(n)], "rounded up"),
        (lambda T, n: torch.linspace(T, 1, n).round().long().tolist(), "your last time is 1"),
        (lambda T, n: torch.linspace(T, 1, n), "your last time is 1"),
        (lambda T, n: [T * (n - k) / n for k in range(n)], "no whole numbers"),
        (lambda T, n: [float(round(T * (n - k) / n)) for k in range(n)], "should be int64, but yours is float64"),
        (lambda T, n: [math.ceil(T * (n - k) / n) for k in range(n)], "rounded up"),
        (lambda T, n: list(range(T, 0, -T // n)), "rounded the length of a step"),
        (lambda T, n: [round(T / n) * k for k in range(n, 0, -1)], "rounded the length of a step"),
        (lambda T, n: [round(T * (n - k) / n) for k in range(1, n + 1)], "T is missing"),
        (lambda T, n: [round(T * k / n) for k in range(n)], "T is missing"),
        (lambda T, n: torch.linspace(T, 0, n).round().int().tolist(), "time 0 is where"),
        (lambda T, n: (round(T * (n - k) / n) for k in range(n)), "numbers were expected"),
        (lambda T, n: [round(T * 2**-k) for k in range(n)], "the k-th time is"),
        (lambda T, n: [max(1, t) for t in range(T, T - n, -1)], "the k-th time is"),
    ],
    check_posterior_mean: [
        (lambda x_0, x_t, t, s, a: mean(x_t, x_0, a[t], a[s]), "x_0 and x_t are swapped"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a[s], a[t]), "t and s are swapped"),
        (lambda x_0, x_t, t, s, a: with_alpha(x_0, x_t, a[t], a[s], a[t] / a[t - 1]), "between neighbours"),
        (lambda x_0, x_t, t, s, a: with_alpha(x_0, x_t, a[t], a[s], a[s] / a[s - 1]), "between neighbours"),
        (lambda x_0, x_t, t, s, a: ((a[s] - a[t]) * x_0 + a[t] / a[s] * (1 - a[s]) * x_t) / (1 - a[t]), "the roots"),
        (lambda x_0, x_t, t, s, a: mean((a[t] / a[s]) ** 0.5 * x_0, x_t, a[t], a[s]), "√ᾱ_t where"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a[t], a[s]) * (1 - a[t]) / (1 - a[s]), "divided by 1-ᾱ_s"),
        (lambda x_0, x_t, t, s, a: with_alpha(x_0, x_t, a[t], a[s], a[t]), "used ᾱ_t as α"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a[t], a[s]) + a[s] ** 0.5 * (a[t] / a[s] - a[t]) / (1 - a[t]) * x_0,
         "1-ᾱ_t for β"),
        (lambda x_0, x_t, t, s, a: a[s] ** 0.5 * x_0, "x_0 alone"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a[t], a[t - 1]), "whatever s is"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a[t], a[s]) * (1 - a[t]), "denominator 1-ᾱ_t is missing"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a[t], a[s]) * (1 - a[t]) / (1 - a[t] / a[s]), "divided by β"),
        (lambda x_0, x_t, t, s, a: with_alpha(x_0, x_t, a[t], a[s], a[s] / a[t]), "upside down"),
        (lambda x_0, x_t, t, s, a: (a[s] ** 0.5 * (1 - a[t] / a[s]) * x_0 + (a[t] / a[s]) ** 0.5 * (1 - a[t]) * x_t)
         / (1 - a[t]), "1-ᾱ_t where"),
        (lambda x_0, x_t, t, s, a: (a[s] ** 0.5 * (a[s] - a[t]) * x_0 + (a[t] / a[s]) ** 0.5 * (1 - a[s]) * x_t)
         / (1 - a[t]), "not the difference"),
        (lambda x_0, x_t, t, s, a: a[s] ** 0.5 * x_0 + (1 - a[s]) ** 0.5 * x_t, "Compare with equation (2)"),
        (lambda x_0, x_t, t, s, a: product(a[s] ** 0.5 * x_0, 1 - a[s], x_t * (a[s] / a[t]) ** 0.5, a[s] / a[t] - 1)[0],
         "your code stops at s = 0"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a[t], a[s]) * (1 - a[s]) / (1 - a[s]), "all is right but s = 0"),
        (lambda x_0, x_t, t, s, a: (x_0 + x_t) / 2, "Compare with equation (2)"),
        (lambda x_0, x_t, t, s, a: mean(x_0.float(), x_t.float(), a[t].item(), a[s].item()), "yours is float32"),
        (lambda x_0, x_t, t, s, a: mean(x_0, x_t, a.sqrt_()[t], a[s]), "changed a itself"),
    ],
    check_denoised_mean: [
        (lambda x, a, m, v: x / a**0.5, "noisy measurement"),
        (lambda x, a, m, v: shrink(x, (1 - a) / a, m, v), "divide x_t by"),
        (lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, 0.0, v), "is missing"),
        (lambda x, a, m, v: m + x / a**0.5 - shrink(x / a**0.5, (1 - a) / a, m, v), "shares are swapped"),
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
    check_ancestral_step: [
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s), "no noise is added"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + var(t, s) * e, "used it as a deviation"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + (1 - t / s) ** 0.5 * e, "the 'large' variance"),
        (lambda x_t, x_0, t, s, e: x_0 + var(t, s) ** 0.5 * e, "stepped to x_0_hat itself"),
        (lambda x_t, x_0, t, s, e: s**0.5 * x_0 + (1 - s) ** 0.5 * e, "noised x_0_hat afresh"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + max(var(t, s), 0.01) ** 0.5 * e, "in the last step"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + var(t, s) ** 0.5 * torch.rand_like(e),
         "two calls with the same numbers"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + math.exp(math.log(var(t, s)) / 2) * e, "no logarithm"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + torch.tensor(var(t, s)).log().sqrt() * e, "√ of a negative"),
        (lambda x_t, x_0, t, s, e: mean(x_t, x_0, t, s) + var(t, s) ** 0.5 * e, "are swapped"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) - var(t, s) ** 0.5 * e, "noise is subtracted"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + (1 - s) ** 0.5 * e, "if only x_0 is known"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + (1 - t / s) * e, "left out its root"),
        (lambda x_t, x_0, t, s, e: x_t + var(t, s) ** 0.5 * e, "added noise to x_t"),
        (lambda x_t, x_0, t, s, e: x_t if s == 1 else mean(x_0, x_t, t, s) + var(t, s) ** 0.5 * e, "in the last step"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + ((1 - t) / (1 - s) * (1 - t / s)) ** 0.5 * e,
         "in the last step"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + (1 - t) ** 0.5 * e, "Check the mean"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + e.mul_(var(t, s) ** 0.5), "changed e itself"),
        (lambda x_t, x_0, t, s, e: (mean(x_0, x_t, t, s) + var(t, s) ** 0.5 * e).float(), "yours is float32"),
    ],
}
