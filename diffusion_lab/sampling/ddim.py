"""DDIM: the same marginals as the forward chain, with as much fresh noise as you ask for, down to none.

Taught in: notebooks/08_sampling.ipynb
"""

import torch

from diffusion_lab.sampling.timesteps import Step, pairs
from diffusion_lab.theory.check import between_0_and_1
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
    schedule, x_t = denoiser.schedule, x_T
    between_0_and_1(eta, "eta must be a number from 0 (no fresh noise) to 1 (as much as ddpm)")
    for t, s in pairs(timesteps, schedule.T):
        alpha_bar_s, var = schedule.alpha_bar[s], eta**2 * posterior_var(t, schedule, s)
        x_0_hat = denoiser(x_t, t, label)
        eps_hat = eps_from_x_0(x_t, x_0_hat, t, schedule)
        mean = alpha_bar_s.sqrt() * x_0_hat + (1 - alpha_bar_s - var).clamp(min=0).sqrt() * eps_hat
        noise = torch.randn(x_t.shape, generator=generator, dtype=x_t.dtype, device=x_t.device) if var > 0 else 0.0
        x_s = (mean + var.sqrt() * noise).to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s
