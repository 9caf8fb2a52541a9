"""Wrong answers to the exercises of notebook 12, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.editing import (
    check_alpha_bar_for,
    check_repaired_noise,
    check_slerp,
    check_steps_and_repeats,
)


def alpha_bar(share, v):
    return share**2 / (share**2 + v * (1 - share**2))


def arc(a, b, share, angle, scaled=True):
    on_it = ((1 - share) * angle).sin() * a + (share * angle).sin() * b
    return on_it / angle.sin() if scaled else on_it


def angles(a, b):
    return torch.acos(torch.cosine_similarity(a.flatten(1), b.flatten(1))).reshape(-1, *[1] * (a.ndim - 1))


def noise(time=lambda i, t, s: t, moves=True, order=reversed, turn=lambda x, v, d: (x + d.sin() * v) / d.cos()):
    """The inversion, with one part exchanged."""
    def answer(denoise, x_0, times, alpha_bar):
        phi = alpha_bar.sqrt().acos()
        x, s = x_0, 0
        for i, t in enumerate(order(times)):
            v = (phi[t].cos() * x - denoise(x, time(i, t, s))) / phi[t].sin()
            x = turn(x, v, phi[t] - phi[s])
            s = t if moves else 0
        return x
    return answer


WRONG = {
    check_alpha_bar_for: [
        (lambda share, v: share / (share + v * (1 - share)), "for fresh noise"),
        (lambda share, v: 1 - alpha_bar(share, v), "lost to noise"),
        (lambda share, v: share**2 / (v - v * share**2), "signal-to-noise ratio"),
        (lambda share, v: math.sqrt(alpha_bar(share, v)), "√ᾱ: square it"),
        (lambda share, v: v * share**2 / (v * share**2 + 1 - share**2), "Solve (3) for ᾱ"),
        (lambda share, v: share * share, "v = 1 alone"),
        (lambda share, v: share**4 / (share**4 + v - v * share**4), "root twice"),
        (lambda share, v: share**2 / (share**2 + v * v * (1 - share**2)), "you squared it"),
        (lambda share, v: 0.5, "solved for ᾱ"),
    ],
    check_slerp: [
        (lambda a, b, u: torch.lerp(a, b, u), "straight line"),
        (lambda a, b, u: arc(b, a, u, angles(a, b)), "at u = 0 it should be a."),
        (lambda a, b, u: arc(a, b, u, angles(a, b), scaled=False), "division by sin θ"),
        (lambda a, b, u: arc(a, b, u, angles(a, b) * 180 / math.pi), "in degrees"),
        (lambda a, b, u: arc(a, b, u, torch.acos((a * b).sum() / (a.norm() * b.norm()))), "each has its own"),
        (lambda a, b, u: arc(a, b, u, torch.acos(torch.cosine_similarity(a, b, dim=-1)).unsqueeze(-1)), "each row"),
        (lambda a, b, u: arc(a, b, u, torch.acos((a * b).flatten(1).sum(1)).reshape(-1, *[1] * (a.ndim - 1))),
         "divided by both norms"),
        (lambda a, b, u: math.sqrt(1 - u) * a + math.sqrt(u) * b, "at right angles"),
        (lambda a, b, u: math.cos(u * math.pi / 2) * a + math.sin(u * math.pi / 2) * b, "at right angles"),
        (lambda a, b, u: arc(a, b, u, torch.cos(angles(a, b))), "take `acos`"),
        (lambda a, b, u: arc(a, b, u, angles(a, b)).float(), "float64"),
        (lambda a, b, u: None, "is the `return` missing"),
    ],
    check_steps_and_repeats: [
        (lambda: (60, 1), "Ask more often"),
        (lambda: (30, 2), "Ask more often"),
        (lambda: (5, 12), "too long for so many questions"),
        (lambda: (10, 6), "too long for so many questions"),
        (lambda: (1000, 20), "and there are 60"),
        (lambda: (10, 3), "spend the rest"),
        (lambda: (3, 20), "too long for so many questions"),
        (lambda: (0, 3), "at least 1"),
        (lambda: (7.5, 8), "whole numbers"),
        (lambda: 60, "2 results were expected"),
    ],
    check_repaired_noise: [
        (noise(lambda i, t, s: i, moves=False), "both faults"),
        (noise(lambda i, t, s: i), "tell it the time t"),
        (noise(moves=False), "s = t"),
        (noise(lambda i, t, s: s), "where the step begins"),
        (noise(order=list), "begins with the last of them"),
        (noise(turn=lambda x, v, d: d.cos() * x - d.sin() * v), "turns the wrong way"),
        (noise(turn=lambda x, v, d: x + d * v), "from the smallest time"),
    ],
}
