"""Wrong answers to the exercises of notebook 08, each with words that the check's message must contain."""

import math

import numpy as np
import torch

from diffusion_lab.exercises.sampling import (
    check_about_the_weight,
    check_five_times,
    check_heun,
    check_repaired_ddim,
    check_two_factors,
)


def factors(of_x_0=lambda a, b, v: math.sqrt(a * b) * v, of_eps=lambda a, b: math.sqrt((1 - a) * (1 - b)),
            over=lambda a, b, v: a * v + 1 - a, path=lambda c_t, c_s: math.sqrt(c_s / c_t),
            form=lambda one, two: (one, two)):
    """An answer to the exercise on the two factors, with one part exchanged. a, b: ᾱ_t and ᾱ_s."""
    def answer(a, b, v):
        return form((of_x_0(a, b, v) + of_eps(a, b)) / over(a, b, v), path(a * v + 1 - a, b * v + 1 - b))
    return answer


def twice(D=lambda one, two: (one + two) / 2, ask=lambda denoise, x_t, x_s, t, s: denoise(x_s, s),
          start=lambda x_t, x_s: x_t, share=lambda e: 1 - e, shrink=lambda a: a**0.5,
          ends=lambda times: times[1:] + [0], last=False):
    """A sampler that asks twice, with one part exchanged."""
    def answer(denoise, x_T, times, alpha_bar):
        x = x_T
        for t, s in zip(times, ends(times)):
            a, b = alpha_bar[t], alpha_bar[s]
            e = ((1 - b) * a / ((1 - a) * b)) ** 0.5
            kept = ((1 - b) / (1 - a)) ** 0.5
            first = denoise(x, t)
            end = kept * x + shrink(b) * share(e) * first
            if s > 0 or last:
                both = D(first, ask(denoise, x, end, t, s))
                end = kept * start(x, end) + shrink(b) * share(e) * both
            x = end
        return x
    return answer


def of_y(scaled):
    """A sampler that asks twice, and asks with y."""
    def answer(denoise, x_T, times, alpha_bar):
        y = x_T / alpha_bar[times[0]] ** 0.5 if scaled else x_T
        for t, s in zip(times, times[1:] + [0]):
            e = ((1 - alpha_bar[s]) * alpha_bar[t] / ((1 - alpha_bar[t]) * alpha_bar[s])) ** 0.5
            D = denoise(y, t)
            if s > 0:
                D = (D + denoise(e * y + (1 - e) * D, s)) / 2
            y = e * y + (1 - e) * D
        return y
    return answer


def thrifty(denoise, x_T, times, alpha_bar):
    """A sampler that asks once a step, and keeps the second answer as the first of the next."""
    x, first = x_T, denoise(x_T, times[0])
    for t, s in zip(times, times[1:] + [0]):
        a, b = alpha_bar[t], alpha_bar[s]
        kept, towards = ((1 - b) / (1 - a)) ** 0.5, b**0.5 * (1 - ((1 - b) * a / ((1 - a) * b)) ** 0.5)
        second = denoise(kept * x + towards * first, s) if s > 0 else first
        x, first = kept * x + towards * (first + second) / 2, second
    return x


def repaired(eps_hat=lambda x, o, a: (x - a**0.5 * o) / (1 - a) ** 0.5, amount=lambda eta, var: eta**2 * var,
             less=lambda var: var, alpha=lambda a, t, s: a[t] / a[s], root=lambda var: var**0.5):
    """A step of DDIM for a network that predicts x_0, with one part exchanged."""
    def answer(x, o, t, s, a, eta, eps):
        var = amount(eta, (1 - a[s]) / (1 - a[t]) * (1 - alpha(a, t, s)))
        return a[s] ** 0.5 * o + (1 - a[s] - less(var)).clamp(min=0) ** 0.5 * eps_hat(x, o, a[t]) + root(var) * eps
    return answer


def by_logarithms(x, o, t, s, a, eta, eps):
    """Right in between; at s = 0 it takes the logarithm of 0, and infinity less infinity is not a number."""
    log_snr = torch.log(a) - torch.log(1 - a)
    ratio = torch.exp((log_snr[t] - log_snr[s]) / 2) * (a[s] / a[t]).sqrt()
    var = eta**2 * (1 - a[s]) / (1 - a[t]) * (1 - a[t] / a[s])
    kept = (1 - var / (1 - a[s])).sqrt() * ratio
    return a[s].sqrt() * o + kept * (x - a[t].sqrt() * o) + var.sqrt() * eps


WRONG = {
    check_two_factors: [
        (factors(form=lambda one, two: (two, one)), "in each other's place"),
        (factors(form=lambda one, two: [one**2, two**2]), "factors of the variance"),
        (lambda a, b, v: factors()(b, a, v), "the wrong way"),
        (lambda a, b, v: factors()(a, b, 1.0), "that is the answer for v = 1"),
        (lambda a, b, v: factors()(a, b, v**2), "v is a variance"),
        (factors(of_eps=lambda a, b: 0.0), "the noise is missing"),
        (factors(of_x_0=lambda a, b, v: 0.0), "x̂_0 is missing"),
        (factors(of_x_0=lambda a, b, v: math.sqrt(a * b)), "v is missing from x̂_0"),
        (factors(over=lambda a, b, v: 1.0), "not divided by c_t"),
        (factors(over=lambda a, b, v: b * v + 1 - b), "divided by c_s"),
        (factors(of_x_0=lambda a, b, v: a**0.5 * v), "√ᾱ_s is missing"),
        (factors(of_x_0=lambda a, b, v: a * b * v, of_eps=lambda a, b: (1 - a) * (1 - b)), "left out the roots"),
        (lambda a, b, v: (math.cos(math.acos(a**0.5) - math.acos(b**0.5)), factors()(a, b, v)[1]), "that for v = 1"),
        (lambda a, b, v: (math.sqrt(a * b) * v / (a * v + 1 - a) + math.sqrt((1 - a) * (1 - b)), factors()(a, b, v)[1]),
         "you took ε̂ = √(1-ᾱ_t) x_t"),
        (lambda a, b, v: (math.sqrt(a * b) + math.sqrt((1 - a) * (1 - b)) / (a * v + 1 - a), factors()(a, b, v)[1]),
         "you took x̂_0 = √ᾱ_t x_t"),
        (lambda a, b, v: (math.sqrt(b / a), factors()(a, b, v)[1]), "as if there were no noise"),
        (factors(of_eps=lambda a, b: -math.sqrt((1 - a) * (1 - b))), "a sign is turned"),
        (lambda a, b, v: (factors()(a, b, v**2)[0], factors()(a, b, v)[1]), "v is squared"),
        (factors(path=lambda c_t, c_s: c_s / c_t), "take the root"),
        (factors(path=lambda c_t, c_s: math.sqrt(c_t / c_s)), "upside down"),
        (factors(path=lambda c_t, c_s: 1.0), "stands still"),
        (factors(form=lambda one, two: (one, one)), "not DDIM in one step"),
        (lambda a, b, v: (factors()(a, b, v)[0], math.sqrt(b / a)), "forgot the noise"),
        (lambda a, b, v: torch.tensor([factors()(a, b, v)[0], math.sqrt((1 - b) / (1 - a))]), "forgot the data"),
        (lambda a, b, v: factors()(a, b, v)[0], "2 results were expected"),
    ],
    check_heun: [
        (twice(D=lambda one, two: one), "that is DDIM: the second answer is not used, or both"),
        (twice(D=lambda one, two: two), "the second answer alone"),
        (twice(D=lambda one, two: one + two), "take their mean"),
        (twice(ask=lambda denoise, x_t, x_s, t, s: denoise(x_t, s)), "the state where the step begins"),
        (twice(ask=lambda denoise, x_t, x_s, t, s: denoise(x_s, t)), "asked at time t"),
        (twice(start=lambda x_t, x_s: x_s), "*anew*"),
        (twice(ends=lambda times: times[1:]), "you stopped at times[-1]"),
        (twice(share=lambda e: e), "that is e^{-h}"),
        (twice(share=lambda e: e - 1), "a sign is turned"),
        (twice(share=lambda e: 1 - e**2), "h is half the difference"),
        (twice(shrink=lambda a: 1.0), "√ᾱ_s is missing"),
        (of_y(scaled=True), "the network wants x_t"),
        (of_y(scaled=False), "you took x_t for it"),
        (thrifty, "ask again"),
        (twice(last=True), "you asked the network at t = 0"),
        (lambda denoise, x_T, times, alpha_bar: None, "is the `return` missing"),
    ],
    check_five_times: [
        (lambda: [1000, 800, 600, 400, 200], "these are the times even in t"),
        (lambda: torch.tensor([1000, 908, 625, 196, 39]), "these are off by 0.0"),
        (lambda: [1000, 800, 600, 400, 80], "Another last time hardly helps"),
        (lambda: [1000, 850, 700, 550, 20], "in place of 20"),
        (lambda: [200, 400, 600, 800, 1000], "turn your list around"),
        (lambda: [801, 601, 401, 201, 1], "your walk starts at t = 801"),
        (lambda: [1000, 750, 500, 250], "five times were asked for"),
        (lambda: [1000, 700, 500, 300, 100, 0], "five times were asked for"),
        (lambda: [1000, 700, 400, 100, 0], "0 is no time to ask at"),
        (lambda: np.array([1000, 700.5, 400, 100, 50]), "whole numbers"),
        (lambda: [1000, 700, 700, 400, 100], "smaller than the one before"),
        (lambda: 5, "a list of five whole numbers was expected"),
        (lambda: [1001, 700, 500, 300, 100], "within 1…1000"),
    ],
    check_repaired_ddim: [
        (repaired(eps_hat=lambda x, o, a: o, less=lambda var: var**0.5), "both faults"),
        (repaired(eps_hat=lambda x, o, a: o), "still stands where ε̂ is due"),
        (repaired(less=lambda var: var**0.5), "a standard deviation is subtracted"),
        (repaired(less=lambda var: 0 * var), "nothing is subtracted"),
        (repaired(eps_hat=lambda x, o, a: (x - a**0.5 * o) / (1 - a)), "divided by 1-ᾱ_t"),
        (repaired(eps_hat=lambda x, o, a: x - a**0.5 * o), "not rescaled"),
        (repaired(eps_hat=lambda x, o, a: (x - o) / (1 - a) ** 0.5), "take √ᾱ_t x̂_0 out of it"),
        (repaired(eps_hat=lambda x, o, a: (x - a * o) / (1 - a) ** 0.5), "not by ᾱ_t"),
        (repaired(eps_hat=lambda x, o, a: x), "not x_t itself"),
        (repaired(eps_hat=lambda x, o, a: a**0.5 * o + (1 - a) ** 0.5 * x), "as if it were v"),
        (repaired(eps_hat=lambda x, o, a: (a**0.5 * o - x) / (1 - a) ** 0.5), "a sign is turned"),
        (repaired(eps_hat=lambda x, o, a: (a**0.5 * x - o) / (1 - a) ** 0.5), "that is v where"),
        (repaired(alpha=lambda a, t, s: a[t] / a[t - 1]), "one step of the full chain"),
        (repaired(alpha=lambda a, t, s: a[t]), "you took 1-ᾱ_t"),
        (repaired(amount=lambda eta, var: (eta * var) ** 2), "take the root of β̃"),
        (repaired(amount=lambda eta, var: eta**4 * var), "η² √β̃"),
        (by_logarithms, "in the last step, to s = 0"),
    ],
    check_about_the_weight: [
        (lambda: {"A", "B", "D"}, "F is true"),
        (lambda: {"A", "D", "F"}, "B is true"),
        (lambda: "ABDFC", "C is false"),
        (lambda: ["A", "B", "D", "E", "F"], "E is false"),
        (lambda: {"A", "B", "D", "F", "G"}, "G is false"),
        (lambda: {"C", "E", "G"}, "7 letters are wrong or missing"),
    ],
}
