"""The checks of the exercises of lessons/12_editing."""

import numpy as np
import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, require_letters, several
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
def check_edit_inside(attempt):
    def walked(denoise, x_0, inside, times, eps, alpha_bar, begin=None, place=lambda t, s: s, after=True, at_end=True,
               noisy=True, where=torch.where):
        def noised(t):
            kept = alpha_bar[t].sqrt() * x_0
            return kept + (1 - alpha_bar[t]).sqrt() * eps if noisy else kept

        x = noised(times[0]) if begin is None else begin(x_0, eps)
        for t, s in zip(times, times[1:] + [0]):
            x_0_hat = denoise(x, t)
            eps_hat = (x - alpha_bar[t].sqrt() * x_0_hat) / (1 - alpha_bar[t]).sqrt()
            x = alpha_bar[s].sqrt() * x_0_hat + (1 - alpha_bar[s]).sqrt() * eps_hat
            if after and (at_end or s > 0):
                x = where(inside, x, noised(place(t, s)))
        return x

    def wrong(**change):
        return lambda *case: walked(*case, **change)

    def only_at_the_end(denoise, x_0, inside, *rest):
        return torch.where(inside, walked(denoise, x_0, inside, *rest, after=False), x_0)

    def clean(denoise, x_0, inside, times, eps, alpha_bar):
        """The drawing is pasted as it is, without noise and without being scaled."""
        x = alpha_bar[times[0]].sqrt() * x_0 + (1 - alpha_bar[times[0]]).sqrt() * eps
        for t, s in zip(times, times[1:] + [0]):
            x_0_hat = denoise(x, t)
            eps_hat = (x - alpha_bar[t].sqrt() * x_0_hat) / (1 - alpha_bar[t]).sqrt()
            x = torch.where(inside, alpha_bar[s].sqrt() * x_0_hat + (1 - alpha_bar[s]).sqrt() * eps_hat, x_0)
        return x

    causes = [
        ("inside and outside are in each other's place.", wrong(where=lambda mask, a, b: torch.where(mask, b, a))),
        ("the outside is as noisy as the state was *before* the step, at t. After it, the state is at s.",
         wrong(place=lambda t, s: t)),
        ("the outside is put back as it is. It must be as noisy as the state: (1), with s.", clean),
        ("the outside is scaled by √ᾱ_s, and its noise is missing.",
         lambda denoise, x_0, inside, times, eps, alpha_bar: walked(
             denoise, x_0, inside, times, eps, alpha_bar, noisy=False,
             begin=lambda x, e: alpha_bar[times[0]].sqrt() * x + (1 - alpha_bar[times[0]]).sqrt() * e)),
        ("that is SDEdit of the whole picture: nothing is put back.", wrong(after=False)),
        ("the outside is put back at the end alone, so on the way the inside never sees it. Do it after each step.",
         only_at_the_end),
        ("after the last step, to s = 0, the outside is not put back: there it is the drawing itself.",
         wrong(at_end=False)),
        ("it begins with pure noise. Begin with (1) at times[0].", wrong(begin=lambda x_0, eps: eps)),
        ("it begins with the drawing itself, without noise.", wrong(begin=lambda x_0, eps: x_0)),
    ]

    def denoise(x, t):
        mixed = 0.6 * x + 0.4 * x.mean(dim=1, keepdim=True)  # what is outside has a say inside
        return torch.tanh(mixed) + t / 2000

    inside = torch.tensor([[True, False, True, False], [False, False, True, True]])
    numbers = [(denoise, drawn(2, 4), inside, [700, 450, 200], drawn(2, 4, seed=1), cosine().alpha_bar),
               (denoise, drawn(2, 4, seed=2), ~inside, [600, 100], drawn(2, 4, seed=3), linear().alpha_bar)]
    diagnosed(attempt, walked, causes, "Noise to times[0]; then, for each step, ddim, and outside (1) with s.",
              numbers)
    return "Outside it is your drawing, to the last digit."


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
               early=False):
        phi = alpha_bar.sqrt().acos()
        x, s = x_0, 0
        for i, t in enumerate(times if falling else reversed(times)):
            s = t if early else s
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
        ("the denoiser is told the time now. But `s` stays 0, so each step turns by the whole angle from 0 to t, "
         "and not from where it stands: after a step, s = t.", wrong(stays=True)),
        ("`s` becomes t before δ is taken, so δ is 0 and nothing turns. Move `s` on after the step.",
         wrong(early=True)),
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


@answers
def check_about_the_report(attempt):
    reasons = {
        "A": "A is true. It was told how far to go, and the score asks for nothing else.",
        "B": "B is true. Strokes are two or three pixels wide: moved by one, much of a stroke lies beside the old one.",
        "C": "C is false. PSNR asks how near a digit is to one answer. Another hand may look real, and be far away.",
        "D": "D is true. Nobody printed these digits, so there is nothing to compare pixel by pixel.",
        "E": "E is true. That is what the distance over its floor measures.",
        "F": "F is false. A judge of digits was never asked about style; measure the style itself.",
        "G": "G is true. A 1 leans further than a 0, and an 8 is thicker. Mixed, the kind would pass for style.",
        "H": "H is false. There and back is right to a few thousandths already. The network writes the digit anew.",
    }
    require_letters(attempt(), "ABDEG", reasons)
    return "A score says what it asks for."
