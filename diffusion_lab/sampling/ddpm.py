"""Ancestral sampling: the reverse chain of Ho et al. 2020, algorithm 2, over all times or a strided choice of them.

Taught in: lessons/03_reverse_posterior
"""

import torch

from diffusion_lab.guard import check_data, check_denoiser
from diffusion_lab.sampling.chain import Step, pairs
from diffusion_lab.theory.forward import noise_like
from diffusion_lab.theory.posterior import posterior_mean, reverse_var


def ddpm(denoiser, x_T, timesteps=None, variance="small", label=None, generator=None):
    """Yield each step from noise x_T to a sample, which is the last step's `x_s`.

    x_s = μ̃(x̂_0, x_t) + √var ε   (Ho et al. 2020, algorithm 2), with no noise on the step to s = 0

    denoiser: x_0_hat = denoiser(x_t, t, label) with attribute `schedule`. x_T: float, (n, …), standard normal.
    timesteps: strictly decreasing within 1…T; None is every one. variance: as in `reverse_var`.
    Yields Step(t, s, x_t, x_0_hat, mean, x_s). Raises ValueError at the first step for arguments that do not fit.
    """
    check_denoiser(denoiser)
    check_data(x_T)
    schedule = denoiser.schedule
    x_t = x_T
    for t, s in pairs(timesteps, schedule.T):
        std = reverse_var(t, schedule, variance, s).sqrt()
        x_0_hat = denoiser(x_t, t, label)
        mean = posterior_mean(x_0_hat, x_t, t, schedule, s)

        # The last step adds no noise: its mean is the sample.
        eps = noise_like(x_t, generator) if s > 0 else torch.zeros_like(x_t)
        x_s = (mean + std * eps).to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s
