"""Wrong answers to the exercises of notebook 02, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.forward_markov_chain import (
    check_drowning,
    check_even_schedule,
    check_found_by,
    check_memory,
    check_what_follows,
)
from diffusion_lab.theory.spectrum import wave_power

ZERO = torch.zeros(1, dtype=torch.float64)
ONE = ZERO + 1


def line(first, last, n):
    return torch.linspace(first, last, n, dtype=torch.float64)


def from_alpha_bar(alpha_bar):
    return torch.cat([ZERO, 1 - alpha_bar[1:] / alpha_bar[:-1]])


def even(first, last, T):
    return from_alpha_bar(torch.cat([ONE, torch.sigmoid(line(first, last, T))]))


def enlarged(images):
    return images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def times(small, large, alpha_bar):
    return tuple(int((alpha_bar * power < 1 - alpha_bar).nonzero()[0]) for power in (small, large))


def drowning(images, alpha_bar, k):
    return times(wave_power(images)[k], wave_power(enlarged(images))[k], alpha_bar)


WRONG = {
    check_memory: [
        (lambda s, t: (t / s) ** 0.5, "Here x_0 is fixed"),
        (lambda s, t: t * (1 - s) / (s * (1 - t)), "root is missing"),
        (lambda s, t: t / s * ((1 - s) / (1 - t)) ** 0.5, "with its root"),
        (lambda s, t: (t / s) ** 0.5 * (1 - s), "that is the covariance"),
        (lambda s, t: (t / s) ** 0.5 / (1 - t), "variances in place of standard deviations"),
        (lambda s, t: (t / s) ** 0.5 * (1 - s) / (1 - t), "variance of x_t alone"),
        (lambda t, s: (t * (1 - s) / (s * (1 - t))) ** 0.5, "upside down"),
        (lambda s, t: (s * t) ** 0.5 + (t / s) ** 0.5 * (1 - s), "Here x_0 is fixed"),
        (lambda s, t: ((1 - s) / (1 - t)) ** 0.5, "shrinks on the way"),
        (lambda s, t: 1.0, "the same ε would give 1"),
        (lambda s, t: (t / s) ** 0.5 * ((1 - s) * (1 - t)) ** 0.5, "divide by both standard deviations"),
        (lambda s, t: round((t * (1 - s) / (s * (1 - t))) ** 0.5, 2), "Asked is the exact correlation"),
        (lambda s, t: [(t * (1 - s) / (s * (1 - t))) ** 0.5] * 2, "shape"),
    ],
    check_even_schedule: [
        (lambda a, b, T: even(a, a + (b - a) * (T - 1) / T, T), "at `last` one step after T"),
        (lambda a, b, T: even(a + (b - a) / T, b, T), "at t = 0 your line of log SNR is at `first`"),
        (lambda a, b, T: even(a, b, T)[1:], "put β_0 = 0 in front"),
        (lambda a, b, T: torch.cat([ONE, torch.sigmoid(line(a, b, T))]), "that is ᾱ"),
        (lambda a, b, T: 1 - even(a, b, T), "that is α, and asked is β"),
        (lambda a, b, T: torch.cat([ZERO, 1 - torch.sigmoid(line(a, b, T))]), "of all steps up to t"),
        (lambda a, b, T: from_alpha_bar(torch.sigmoid(line(a, b, T + 1))), "begins at time 0"),
        (lambda a, b, T: torch.cat([ZERO, from_alpha_bar(torch.sigmoid(line(a, b, T)))]), "your first step is missing"),
        (lambda a, b, T: from_alpha_bar(torch.cat([ONE, torch.sigmoid(line(torch.e**a, torch.e**b, T).log())])),
         "the SNR fall in a straight line"),
        (lambda a, b, T: from_alpha_bar(torch.cat([ONE, line(a, b, T).exp()])), "Solve for ᾱ"),
        (lambda a, b, T: from_alpha_bar(torch.cat([ONE, torch.sigmoid(line(a, b, T)).sqrt()])), "take no root"),
        (lambda a, b, T: even(-a, -b, T), "what noise has"),
        (lambda a, b, T: even(b, a, T), "swapped"),
        (lambda a, b, T: even(a, b, T).clamp(1e-4, 0.9), "should be"),
        (lambda a, b, T: even(a, b, T).clamp(max=0.999), "Nothing is to be clipped"),
        (lambda a, b, T: torch.cat([ZERO, even(a, b, T)[1:].clamp(min=1e-4)]), "Nothing is to be clipped"),
        (lambda a, b, T: even(a, b, T).float(), "yours is float32"),
        (lambda a, b, T: even(float(a), b, T).float().double(), "Do all steps stay in float64"),
    ],
    check_drowning: [
        (lambda x, a, k: tuple(int((a * wave_power(y)[k] - (1 - a)).abs().argmin()) for y in (x, enlarged(x))),
         "nearest to each other"),
        (lambda x, a, k: drowning(x, a, k)[::-1], "swapped"),
        (lambda x, a, k: times(wave_power(x)[k], wave_power(x)[k], a), "made from the enlarged"),
        (lambda x, a, k: times(wave_power(x)[k], wave_power(x.repeat_interleave(2, dim=2))[k], a), "(n, 1, H, H)"),
        (lambda x, a, k: times(wave_power(x)[k], wave_power(enlarged(x))[2 * k], a), "2k crests"),
        (lambda x, a, k: drowning(x, a, k + 1), "one too fine"),
        (lambda x, a, k: drowning(x, a, k - 1), "one too coarse"),
        (lambda x, a, k: tuple(int((p[k] < 1 - a).nonzero()[0]) if bool((p[k] < 1 - a).any()) else len(a) - 1
                               for p in (wave_power(x), wave_power(enlarged(x)))), "shrunk to ᾱ_t P_k"),
        (lambda x, a, k: tuple(int((a * p[k] < 1).nonzero()[0]) for p in (wave_power(x), wave_power(enlarged(x)))),
         "with 1"),
        (lambda x, a, k: times(wave_power(x)[k].sqrt(), wave_power(enlarged(x))[k].sqrt(), a), "take no root"),
        (lambda x, a, k: tuple(int((a.sqrt() * p[k] < (1 - a).sqrt()).nonzero()[0])
                               for p in (wave_power(x), wave_power(enlarged(x)))), "neither of P_k nor of"),
        (lambda x, a, k: (a * wave_power(x)[k] < 1 - a, 0), "but your function returned 1001 numbers"),
        (lambda x, a, k: tuple(t - 1 for t in drowning(x, a, k)), "one step early"),
        (lambda x, a, k: tuple(t + 1 for t in drowning(x, a, k)), "one step late"),
        (lambda x, a, k: drowning(x, a, k)[0], "2 results were expected"),
        (lambda x, a, k: tuple(t / len(a) for t in drowning(x, a, k)), "a whole number (int)"),
    ],
    check_found_by: [
        (lambda: {"A": "135", "B": "25", "C": "45"}, "the square of 1 is 1"),
        (lambda: {"A": {3, 5}, "B": {1, 2, 5}, "C": {4, 5}}, "nearly 0 as well"),
        (lambda: {"A": [3, 5], "B": [2, 5], "C": [1, 4, 5]}, "784 different draws"),
        (lambda: {"A": "35", "B": "235", "C": "45"}, "less than a percent"),
        (lambda: {"A": "35", "B": "25", "C": "345"}, "the right strength"),
        (lambda: {"A": "3", "B": "25", "C": "45"}, "a hundredth of that"),
        (lambda: {"A": "35", "B": "5", "C": "45"}, "the last entry of the table"),
        (lambda: {"A": "35", "B": "25", "C": "4"}, "gives each picture its own noise"),
        (lambda: {"A": "35", "B": "25"}, "a dict was expected"),
        (lambda: {"A": "36", "B": "25", "C": "45"}, "choose among"),
    ],
    check_what_follows: [
        (lambda: "ABCF", "far from even"),
        (lambda: {"A", "C", "D", "F"}, "no plot here shows a model"),
        (lambda: ["A", "C", "E", "F"], "in the digits' spectrum"),
        (lambda: ("a", "c", "f", "g"), "more power in its coarse waves"),
        (lambda: "CF", "left, at t = 250"),
        (lambda: "A, F", "the two rows"),
        (lambda: {"A", "C"}, "through ᾱ_t alone"),
        (lambda: "ABD", "4 letters are wrong or missing"),
        (lambda: "H", "A to G"),
        (lambda: 3, "A to G"),
    ],
}
