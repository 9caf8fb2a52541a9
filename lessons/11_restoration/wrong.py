"""Wrong answers to the exercises of notebook 11, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.restoration import (
    check_about_the_paper,
    check_db_lost,
    check_rank_counts,
    check_repaint_again,
    check_spread,
    check_two_stds,
)


def ranks(first=lambda below, equal: below, last=lambda below, equal: below + equal, each=lambda ties: 1 / ties):
    """Counts of ranks, with one part exchanged."""
    def count(answers, truth):
        counts = torch.zeros(answers.shape[1] + 1, dtype=torch.float64)
        for row, x in zip(answers, truth):
            below, equal = int((row < x).sum()), int((row == x).sum())
            low, high = first(below, equal), last(below, equal)
            counts[low:high + 1] += each(high - low + 1)
        return counts
    return count


def repainted(paste=lambda a, t, s: a[s], again=lambda a, t, s: a[t] / a[s], root=torch.sqrt, where=lambda seen: seen):
    """Half a repetition of RePaint, with one part exchanged."""
    def step(x_s, seen, y, t, s, alpha_bar, eps, more_eps):
        level, kept = paste(alpha_bar, t, s), again(alpha_bar, t, s)
        x_s = torch.where(where(seen), root(level) * y + root(1 - level) * eps, x_s)
        return root(kept) * x_s + root(1 - kept) * more_eps
    return step


def pasted_alone(x_s, seen, y, t, s, alpha_bar, eps, more_eps):
    return torch.where(seen, alpha_bar[s].sqrt() * y + (1 - alpha_bar[s]).sqrt() * eps, x_s)


def not_shrunk(*case):
    t, s, alpha_bar, more_eps = case[3], case[4], case[5], case[7]
    return pasted_alone(*case) + (1 - alpha_bar[t] / alpha_bar[s]).sqrt() * more_eps


def noise_of_difference(*case):
    t, s, alpha_bar, more_eps = case[3], case[4], case[5], case[7]
    kept = alpha_bar[t] / alpha_bar[s]
    return kept.sqrt() * pasted_alone(*case) + (alpha_bar[s] - alpha_bar[t]).sqrt() * more_eps


def at_t(alpha_bar, t, s):
    return alpha_bar[t]


WRONG = {
    check_db_lost: [
        (lambda K: -10 * math.log10(1 + 1 / K), "the sign is turned"),
        (lambda K: 3.0103, "whatever K"),
        (lambda K: 1 + 1 / K, "the ratio of the errors"),
        (lambda K: 20 * math.log10(1 + 1 / K), "for amplitudes"),
        (lambda K: 10 * math.log(1 + 1 / K), "to base 10"),
        (lambda K: 10 * math.log10(K), "nothing but the samples"),
        (lambda K: 10 * math.log10(2 / K), "that is 2/K"),
        (lambda K: 10 * math.log10(2 / (1 + 1 / K)), "gained"),
        (lambda K: 10 * math.log10(2) / K, "does not fall as 1/K"),
        (lambda K: 0.5, "Add two squared errors"),
    ],
    check_spread: [
        (lambda v, a: 1 - a, "the case v = 1"),
        (lambda v, a: (1 - a) / a, "known beforehand"),
        (lambda v, a: v, "before x_t is seen"),
        (lambda v, a: a * v + 1 - a, "the variance of x_t."),
        (lambda v, a: a * v / (a * v + 1 - a), "that x_t explains, the gain"),
        (lambda v, a: (1 - a) / (a * v + 1 - a), "times v."),
        (lambda v, a: a * v**2 / (a * v + 1 - a), "what is left of v"),
        (lambda v, a: v * (1 - a), "do not scale so"),
        (lambda v, a: (v * (1 - a) / (a * v + 1 - a)) ** 0.5, "standard deviation"),
        (lambda v, a: 1 / v + a / (1 - a), "the precision"),
        (lambda v, a: v * (1 - a) / (v + 1 - a), "that of x_t itself"),
        (lambda v, a: 0.3, "of which variance"),
    ],
    check_rank_counts: [
        (ranks(last=lambda below, equal: below), "to the lowest rank"),
        (ranks(first=lambda below, equal: below + equal), "to the highest rank"),
        (lambda answers, truth: ranks()(answers, truth).flip(0), "counted from above"),
        (lambda answers, truth: ranks(last=lambda below, equal: below)(answers, truth).flip(0), "counted from above"),
        (lambda answers, truth: ranks()(answers, truth) / len(truth), "do not divide by n"),
        (ranks(each=lambda ties: 1.0), "counts once in all"),
        (lambda answers, truth: ranks()(answers, truth)[:-1], "the last is missing"),
        (lambda answers, truth: torch.zeros(answers.shape[1] + 1, dtype=torch.float64), "the ranks b…b+e"),
    ],
    check_repaint_again: [
        (repainted(paste=at_t, again=at_t), "both faults"),
        (repainted(again=at_t), "not from 0 to t"),
        (repainted(paste=at_t), "still pasted as noisy as t"),
        (repainted(paste=lambda a, t, s: torch.ones((), dtype=torch.float64)), "without noise"),
        (repainted(where=lambda seen: ~seen), "*not* seen"),
        (repainted(root=lambda variance: variance), "the roots are missing"),
        (pasted_alone, "made as noisy as t, too"),
        (noise_of_difference, "and not ᾱ_s - ᾱ_t"),
        (not_shrunk, "is not shrunk"),
        (repainted(again=lambda a, t, s: a[s]), "it is ᾱ_s"),
        (repainted(again=lambda a, t, s: a[t] / a[t - 1]), "one step of the chain"),
        (lambda *case: repainted()(*case[:7], case[6]), "used again"),
        (repainted(again=lambda a, t, s: (a[t] / a[s]) ** 2), "Paste y at time s"),
    ],
    check_two_stds: [
        (lambda: (0.43, 0.61), "each other's place"),
        (lambda: (0.43, 0.60), "each other's place"),
        (lambda: (0.3, 0.43), "a larger std"),
        (lambda: (0.9, 0.43), "a smaller std"),
        (lambda: (0.61, 0.3), "the variance is"),
        (lambda: (0.61, 0.61), "a smaller std"),
        (lambda: (0.0, 0.43), "within 0.05…5"),
        (lambda: ("a", 0.43), "a pair of numbers"),
        (lambda: 0.5, "2 results were expected"),
    ],
    check_about_the_paper: [
        (lambda: {"A", "C", "E"}, "G is true"),
        (lambda: {"A", "B", "C", "E", "G"}, "B is false"),
        (lambda: "ACDEG", "D is false"),
        (lambda: ["A", "C", "E", "F", "G"], "F is false"),
        (lambda: "ACEGH", "H is false"),
        (lambda: {"C", "E", "G"}, "A is true"),
        (lambda: {"B", "D"}, "letters are wrong or missing"),
    ],
}
