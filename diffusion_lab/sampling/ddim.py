"""DDIM: the same marginals as the forward chain, with as much fresh noise as you ask for, down to none.

Taught in: lessons/08_sampling
"""

import torch

from diffusion_lab.guard import check_data, check_denoiser, check_number
from diffusion_lab.sampling.chain import Step, pairs
from diffusion_lab.theory.forward import noise_like
from diffusion_lab.theory.parameterization import eps_from_x_0
from diffusion_lab.theory.posterior import posterior_var


def ddim(denoiser, x_T, timesteps=None, eta=0.0, label=None, generator=None):
    """Yield each step from noise x_T to a sample, which is the last step's `x_s`.

    x_s = √ᾱ_s x̂_0 + √(1-ᾱ_s-σ²) ε̂ + σ ε,   σ² = η² β̃   (Song et al. 2021, eq. 12 and 16)

    η = 0 adds no noise: the sample is a function of x_T alone. η = 1 is `ddpm` with the variance "small".
    denoiser: x_0_hat = denoiser(x_t, t, label) with attribute `schedule`. x_T: float, (n, …), standard normal.
    timesteps: strictly decreasing within 1…T; None is every one. eta: from 0 to 1.
    Yields Step(t, s, x_t, x_0_hat, mean, x_s). Raises ValueError at the first step for arguments that do not fit.
    """
    check_number(eta, "eta", 0, 1)
    check_denoiser(denoiser)
    check_data(x_T)
    schedule = denoiser.schedule
    x_t = x_T
    for t, s in pairs(timesteps, schedule.T):
        x_0_hat = denoiser(x_t, t, label)
        eps_hat = eps_from_x_0(x_t, x_0_hat, t, schedule)

        # The fresh noise has the variance σ²; the old noise keeps what is left of 1 - ᾱ_s.
        var = eta**2 * posterior_var(t, schedule, s)
        kept = (1 - schedule.alpha_bar[s] - var).clamp(min=0)
        mean = schedule.alpha_bar[s].sqrt() * x_0_hat + kept.sqrt() * eps_hat
        eps = noise_like(x_t, generator) if var > 0 else torch.zeros_like(x_t)
        x_s = (mean + var.sqrt() * eps).to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s
