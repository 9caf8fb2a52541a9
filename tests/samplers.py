"""What the tests of the samplers share: each sampler with each of its settings, and small denoisers to try them on."""

from functools import partial

import torch

from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.denoiser import Denoiser


def without_noise(denoiser, x_T, timesteps=None, label=None, generator=None):
    """`dpm_solver`, called as the others are: it needs no generator."""
    return dpm_solver(denoiser, x_T, timesteps, label)


SAMPLERS = {f"ddpm {variance}": partial(ddpm, variance=variance) for variance in ("small", "large", 0.4)}
SAMPLERS |= {f"ddim {eta}": partial(ddim, eta=eta) for eta in (0.0, 0.6, 1.0)}
SAMPLERS |= {"dpm_solver": without_noise}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def waves(schedule):
    """A denoiser that is neither linear nor constant in state, time or label. It notes how it was called."""
    def denoiser(x_t, t, label=None):
        denoiser.calls.append((x_t, t, label))
        return torch.sin(2 * x_t + 5 * t / schedule.T) + (0 if label is None else label)
    denoiser.schedule, denoiser.calls = schedule, []
    return denoiser


def gaussian(schedule, mean, var):
    """E[x_0 given x_t] for data from N(mean, var): the mean, moved by the regression weight of x_0 on x_t."""
    def answer(x_t, t, label):
        a = schedule.alpha_bar[t].item()
        return mean + a**0.5 * var / (a * var + 1 - a) * (x_t - a**0.5 * mean)
    return Denoiser(answer, schedule)
