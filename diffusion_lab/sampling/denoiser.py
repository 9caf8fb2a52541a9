"""From a network to a denoiser, and from a denoiser to another one.

Taught in: lessons/05_denoiser, lessons/08_sampling
"""

import torch

from diffusion_lab.guard import (
    check_choice,
    check_denoiser,
    check_label,
    check_schedule,
    check_times,
    same_shape,
)
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.parameterization import x_0_from_eps, x_0_from_score, x_0_from_v

TO_X_0 = {
    "eps": x_0_from_eps,
    "v": x_0_from_v,
    "score": x_0_from_score,
    "x_0": lambda x_t, x_0, t, schedule: x_0,
}


def as_denoiser(network, schedule, predicts="v"):
    """A denoiser that asks a network: network(x_t, t, label), whose output says ε, v, x_0 or the score.

    network: called with t int64 (n,) and label None, an int or int64 (n,); returns the shape of x_t.
    predicts: what the network returns: "eps", "v", "x_0" or "score". Raises ValueError for any other word.
    The denoiser takes t from 1 to T (at 0 there is nothing to denoise) and returns shape and dtype of x_t.
    """
    check_schedule(schedule)
    check_choice(predicts, "predicts", TO_X_0)

    def answer(x_t, t, label):
        check_times(t, schedule.T, first=1, like=x_t)
        check_label(label, len(x_t))
        times = torch.as_tensor(t, device=x_t.device).expand(len(x_t))
        output = network(x_t, times, label)
        same_shape(x_t=x_t, output=output)
        return TO_X_0[predicts](x_t, output, t, schedule).to(x_t.dtype)

    return Denoiser(answer, schedule)


def clipped(denoiser):
    """The denoiser with its answers limited to [-1, 1], the range of pixels (Ho et al. 2020's code does so)."""
    check_denoiser(denoiser)

    def answer(x_t, t, label):
        return denoiser(x_t, t, label).clamp(-1, 1)

    return Denoiser(answer, denoiser.schedule)
