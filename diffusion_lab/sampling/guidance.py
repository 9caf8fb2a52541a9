"""Classifier-free guidance: go further in the direction in which the label pulls.

Taught in: lessons/08_sampling
"""

import torch

from diffusion_lab.guard import check_denoiser, check_number, check_times
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.schedule import at


def guided(denoiser, guidance_weight, until=None):
    """A denoiser that overdoes the label:  (1 + w) x̂_0(x_t, label) - w x̂_0(x_t)   (Ho & Salimans 2022, eq. 6).

    Written there for ε; x̂_0 is an affine function of ε, and the weights add up to 1, so it says the same.
    guidance_weight: w, finite, at least 0; 0 is the plain conditional denoiser. until: guide at times t <= until
    alone, an int within 0…T; None is at all of them (Kynkäänniemi et al. 2024, without a lower end).
    Costs two evaluations where it guides, and one elsewhere. Raises ValueError for another weight or time. Without a
    label the denoiser is left as it is: there is nothing to overdo.
    """
    check_denoiser(denoiser)
    check_number(guidance_weight, "guidance_weight", 0)
    schedule = denoiser.schedule
    until = schedule.T if until is None else until
    check_times(until, schedule.T)
    weight = guidance_weight * (torch.arange(schedule.T + 1) <= until).double()  # w at each time

    def answer(x_t, t, label):
        x_0_hat = denoiser(x_t, t, label)
        if label is None or not bool(at(weight, t).any()):
            return x_0_hat
        w = at(weight, t, like=x_t).to(x_t.dtype)
        return x_0_hat + w * (x_0_hat - denoiser(x_t, t))

    return Denoiser(answer, schedule)
