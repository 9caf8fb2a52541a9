"""The checks of the exercises of lessons/12_editing."""

import numpy as np
import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, several
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.editing import invert
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@answers
def check_alpha_bar_for(attempt):
    def right(share, v):
        return share**2 / (share**2 + v * (1 - share**2))

    causes = [
        ("that is for fresh noise, where ρ itself stands in the place of ρ². The smooth path keeps the root.",
         lambda share, v: share / (share + v * (1 - share))),
        ("that is the share of variance that is lost to noise, 1-ᾱ.", lambda share, v: 1 - right(share, v)),
        ("that is ᾱ/(1-ᾱ), the signal-to-noise ratio.", lambda share, v: share**2 / (v * (1 - share**2))),
        ("that is √ᾱ: square it.", lambda share, v: right(share, v) ** 0.5),
        ("v is on the wrong side: that is what ρ² would be if ᾱ were the square of the share. Solve (3) for ᾱ.",
         lambda share, v: share**2 * v / (share**2 * v + 1 - share**2)),
        ("that is right for v = 1 alone: v has no part in it.", lambda share, v: share**2),
        ("you took the root twice: ρ is already the root, so square it once.",
         lambda share, v: share**4 / (share**4 + v * (1 - share**4))),
        ("v is the variance; you squared it.", lambda share, v: share**2 / (share**2 + v**2 * (1 - share**2))),
    ]
    diagnosed(attempt, right, causes, "ρ² (ᾱv + 1-ᾱ) = ᾱv, solved for ᾱ.", [(0.5, 0.5), (0.8, 0.1), (0.3, 2.0)])
    return "And the narrower the data, the less noise is allowed."


@answers
def check_slerp(attempt):
    def angle_of(a, b):
        cosine_of = torch.cosine_similarity(a.flatten(1), b.flatten(1))
        return torch.acos(cosine_of).reshape(-1, *[1] * (a.ndim - 1))

    def on_arc(a, b, share, angle):
        return (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()

    def right(a, b, share):
        return on_arc(a, b, share, angle_of(a, b))

    def unscaled(a, b, share):
        angle = angle_of(a, b)
        return ((1 - share) * angle).sin() * a + (share * angle).sin() * b

    def one_angle(a, b, share):
        return on_arc(a, b, share, angle_of(a.reshape(1, -1), b.reshape(1, -1)).reshape(1, *[1] * (a.ndim - 1)))

    def each_row(a, b, share):
        return on_arc(a, b, share, torch.acos(torch.cosine_similarity(a, b, dim=-1))[..., None])

    def without_norms(a, b, share):
        dot = (a.flatten(1) * b.flatten(1)).sum(dim=1).reshape(-1, *[1] * (a.ndim - 1))
        return on_arc(a, b, share, torch.acos(dot))

    causes = [
        ("that is the straight line, which leaves the shell.", lambda a, b, share: (1 - share) * a + share * b),
        ("the shares are in each other's place: at u = 0 it should be a.", lambda a, b, share: right(a, b, 1 - share)),
        ("the division by sin θ is missing: at u = 0 it should be a itself.", unscaled),
        ("the angle is in degrees, but `sin` takes it in radians, as `acos` gives it.",
         lambda a, b, share: on_arc(a, b, share, torch.rad2deg(angle_of(a, b)))),
        ("all pairs have the same angle; each has its own. Flatten with `flatten(1)`, which keeps the first axis.",
         one_angle),
        ("each row of a picture has an angle of its own; a picture has one. Flatten it first.", each_row),
        ("to be a cosine, the product of a and b must be divided by both norms.", without_norms),
        ("√(1-u) and √u keep the norm only where a and b are at right angles. Here they are not.",
         lambda a, b, share: (1 - share) ** 0.5 * a + share**0.5 * b),
        ("cos and sin of 90° u keep the norm only where a and b are at right angles. Here they are not.",
         lambda a, b, share: np.cos(np.pi / 2 * share) * a + np.sin(np.pi / 2 * share) * b),
        ("that is the cosine in the place of the angle: take `acos` of it.",
         lambda a, b, share: on_arc(a, b, share, angle_of(a, b).cos())),
    ]
    a, b = drawn(3, 1, 2, 2), drawn(3, 1, 2, 2, seed=1)
    numbers = [(a, b, 0.3), (a, b + a, 0.8), (drawn(2, 4), drawn(2, 4, seed=2), 0.25)]
    diagnosed(attempt, right, causes, "sin((1-u)θ)/sin θ a + sin(uθ)/sin θ b, with the angle θ of each pair.", numbers)
    return "All the way it stays on the shell."


MIXTURE = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.05, 0.2])
QUESTIONS, ERROR = 60, 0.0006


def error_of(steps, repeats):
    """As in the lesson: there and back on the mixture, with times even in t."""
    exact, times = MIXTURE.denoiser(cosine()), spaced(1000, steps)
    points = MIXTURE.sample(500, torch.Generator().manual_seed(0))
    *_, step = invert(exact, points, times, repeats=repeats)
    return (last(ddim(exact, step.x_t, times)) - points).abs().mean().item()


@answers
def check_steps_and_repeats(attempt):
    pair = several(attempt(), 2)
    try:
        steps, repeats = (float(value) for value in pair)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("a pair of whole numbers (steps, repeats) was expected, but yours are {a} and {b}.",
                    a=pair[0], b=pair[1]) from None
    if not (steps >= 1 and repeats >= 1 and steps == np.round(steps) and repeats == np.round(repeats)):
        raise Wrong("both are whole numbers of at least 1, but yours are {a:g} and {b:g}.", a=steps, b=repeats)
    fields = {"steps": int(steps), "repeats": int(repeats), "n": int(steps * repeats)}
    if fields["n"] > QUESTIONS:
        raise Wrong("{steps} steps with {repeats} questions each are {n} questions, and there are 60.", **fields)
    error = error_of(fields["steps"], fields["repeats"])
    if error <= ERROR:
        return f"Off by {error:.5f} with {fields['n']} questions. One question a step, 60 steps: {error_of(60, 1):.5f}."
    fields["error"] = error
    if fields["n"] < 54:
        raise Wrong("off by {error:.5f}, and 0.0006 is wanted. You asked {n} times of 60: spend the rest.", **fields)
    if fields["repeats"] < 3:
        raise Wrong("off by {error:.5f}, and 0.0006 is wanted. Ask more often, in fewer steps.", **fields)
    raise Wrong("off by {error:.5f}, and 0.0006 is wanted. The steps are too long for so many questions to help: take "
                "more of them, with fewer questions.", **fields)


@answers
def check_repaired_noise(attempt):
    def walked(denoise, x_0, times, alpha_bar, index=False, stays=False, falling=False, inverse=False, asked_at=None,
               v_at=None):
        phi = alpha_bar.sqrt().acos()
        x, s = x_0, 0
        for i, t in enumerate(times if falling else reversed(times)):
            delta = phi[t] - phi[s]
            time = i if index else s if asked_at == "s" else t
            v_hat = (phi[t].cos() * x - denoise(x, time)) / phi[t].sin()
            x = delta.cos() * x - delta.sin() * v_hat if inverse else (x + delta.sin() * v_hat) / delta.cos()
            s = 0 if stays else t
        return x

    def wrong(**change):
        return lambda *case: walked(*case, **change)

    causes = [
        ("that is still the faulty one: both faults are in it.", wrong(index=True, stays=True)),
        ("`s` moves on now. But the denoiser is told the index i of the step: tell it the time t.", wrong(index=True)),
        ("the denoiser is told the time now. But `s` stays 0, so each turn begins at the picture again: after a step, "
         "s = t.", wrong(stays=True)),
        ("the denoiser is asked with the time s where the step begins. (5) wants v̂(x_t, t).", wrong(asked_at="s")),
        ("the times fall: an inversion begins with the last of them.", wrong(falling=True)),
        ("that turns the wrong way, as `ddim` does: (4) in the place of (5).", wrong(inverse=True)),
    ]

    def denoise(x, t):
        return torch.tanh(x * (0.4 + t / 900)) + t / 2000

    numbers = [(denoise, drawn(3, 2), [900, 600, 350, 100], cosine().alpha_bar),
               (denoise, drawn(2, 3, seed=1), [800, 500, 200], linear().alpha_bar)]
    diagnosed(attempt, walked, causes, "x_t = (x_s + sin δ v̂(x_s, t))/cos δ, from the smallest time to the largest.",
              numbers)
    return "There and back is what shows such faults: nothing stops, and nothing warns."
