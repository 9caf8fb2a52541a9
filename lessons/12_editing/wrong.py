"""Wrong answers to the exercises of notebook 12, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.editing import (
    check_about_the_report,
    check_alpha_bar_for,
    check_edit_inside,
    check_repaired_noise,
    check_steps_and_repeats,
)


def alpha_bar(share, v):
    return share**2 / (share**2 + v * (1 - share**2))


def inside_only(begin=None, paste=lambda noised, x_0, t, s: noised(s), choose=torch.where):
    """SDEdit of a part, with one part exchanged."""
    def answer(denoise, x_0, inside, times, eps, alpha_bar):
        def noised(t):
            return alpha_bar[t].sqrt() * x_0 + (1 - alpha_bar[t]).sqrt() * eps

        x = noised(times[0]) if begin is None else begin(x_0, eps)
        for t, s in zip(times, [*times[1:], 0]):
            x_0_hat = denoise(x, t)
            eps_hat = (x - alpha_bar[t].sqrt() * x_0_hat) / (1 - alpha_bar[t]).sqrt()
            x = alpha_bar[s].sqrt() * x_0_hat + (1 - alpha_bar[s]).sqrt() * eps_hat
            pasted = paste(noised, x_0, t, s)
            x = x if pasted is None else choose(inside, x, pasted)
        return x
    return answer


def pasted_at_the_end(denoise, x_0, inside, times, eps, alpha_bar):
    x = inside_only(paste=lambda noised, x_0, t, s: None)(denoise, x_0, inside, times, eps, alpha_bar)
    return torch.where(inside, x, x_0)


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
    check_edit_inside: [
        (inside_only(choose=lambda mask, a, b: torch.where(mask, b, a)), "in each other's place"),
        (inside_only(paste=lambda noised, x_0, t, s: noised(t)), "*before* the step"),
        (inside_only(paste=lambda noised, x_0, t, s: x_0), "put back as it is"),
        (inside_only(paste=lambda noised, x_0, t, s: None), "nothing is put back"),
        (pasted_at_the_end, "after each step"),
        (inside_only(paste=lambda noised, x_0, t, s: noised(s) if s else None), "to s = 0"),
        (inside_only(begin=lambda x_0, eps: eps), "pure noise"),
        (inside_only(begin=lambda x_0, eps: x_0), "without noise"),
        (lambda denoise, x_0, inside, times, eps, alpha_bar: x_0, "Noise to times[0]"),
        (lambda denoise, x_0, inside, times, eps, alpha_bar: None, "is the `return` missing"),
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
        (noise(moves=False), "from where it stands"),
        (lambda denoise, x_0, times, alpha_bar: x_0, "nothing turns"),
        (noise(lambda i, t, s: s), "where the step begins"),
        (noise(order=list), "begins with the last of them"),
        (noise(turn=lambda x, v, d: d.cos() * x - d.sin() * v), "turns the wrong way"),
        (noise(turn=lambda x, v, d: x + d * v), "from the smallest time"),
    ],
    check_about_the_report: [
        (lambda: {"A", "B", "D", "E"}, "G is true"),
        (lambda: "ABCDEG", "C is false"),
        (lambda: {"B", "D", "E", "G"}, "A is true"),
        (lambda: ["A", "D", "E", "G"], "B is true"),
        (lambda: {"A", "B", "D", "E", "F", "G"}, "F is false"),
        (lambda: "ABDEGH", "H is false"),
        (lambda: {"C", "F", "H"}, "8 letters are wrong or missing"),
    ],
}
