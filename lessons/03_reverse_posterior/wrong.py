"""Wrong answers to the exercises of notebook 03, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.reverse_posterior import (
    check_ancestral_step,
    check_denoised_mean,
    check_posterior_mean,
    check_times,
)


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
        (lambda T, n: [T - k * round(T / n) for k in range(n)], "you rounded the step"),
        (lambda T, n: [T - k * (T // n) for k in range(n)], "you rounded the step"),
        (lambda T, n: [T * (n - k) // n for k in range(n)], "cut the fraction off"),
        (lambda T, n: [int(T - k * T / n) for k in range(n)], "cut the fraction off"),
        (lambda T, n: [T - k * T // n for k in range(n)], "cut the fraction off"),
        (lambda T, n: torch.linspace(T, 1, n).round().long().tolist(), "the last step should be as long"),
        (lambda T, n: torch.linspace(T, 1, n), "list of whole numbers"),
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
    ],
    check_denoised_mean: [
        (lambda x, a, m, v: x / a**0.5, "noisy measurement"),
        (lambda x, a, m, v: shrink(x, (1 - a) / a, m, v), "divide x_t by"),
        (lambda x, a, m, v: shrink(x / a**0.5, (1 - a) / a, 0.0, v), "is missing"),
        (lambda x, a, m, v: m + x / a**0.5 - shrink(x / a**0.5, (1 - a) / a, m, v), "shares are swapped"),
        (lambda x, a, m, v: shrink(x / a**0.5, 1 - a, m, v), "not 1-ᾱ_t"),
        (lambda x, a, m, v: shrink(x / a**0.5, a / (1 - a), m, v), "upside down"),
        (lambda x, a, m, v: shrink(x / a**0.5, ((1 - a) / a) ** 0.5, m, v), "took a root"),
    ],
    check_ancestral_step: [
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s), "no noise is added"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + var(t, s) * e, "used it as a deviation"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + (1 - t / s) ** 0.5 * e, "the 'large' variance"),
        (lambda x_t, x_0, t, s, e: x_0 + var(t, s) ** 0.5 * e, "stepped to x_0_hat itself"),
        (lambda x_t, x_0, t, s, e: s**0.5 * x_0 + (1 - s) ** 0.5 * e, "noised x_0_hat afresh"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + max(var(t, s), 0.01) ** 0.5 * e, "in the last step"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + var(t, s) ** 0.5 * torch.rand_like(e), "the eps that you"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + math.exp(math.log(var(t, s)) / 2) * e, "no logarithm"),
        (lambda x_t, x_0, t, s, e: mean(x_0, x_t, t, s) + torch.tensor(var(t, s)).log().sqrt() * e, "√ of a negative"),
    ],
}
