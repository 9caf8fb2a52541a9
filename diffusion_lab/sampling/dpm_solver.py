"""DPM-Solver++(2M): DDIM's path, followed with the help of the step before, so that few steps are enough.

Taught in: lessons/08_sampling
"""

import torch

from diffusion_lab.guard import check_data, check_denoiser, same_shape
from diffusion_lab.sampling.chain import Step, pairs


def dpm_solver(denoiser, x_T, timesteps=None, label=None):
    """Yield each step from noise x_T to a sample, which is the last step's `x_s`. No noise is added.

    x_s = √((1-ᾱ_s)/(1-ᾱ_t)) x_t + √ᾱ_s (1 - e^{-h}) D,   h = (log SNR_s - log SNR_t) / 2
    D = x̂_0 + (h / 2h_prev) (x̂_0 - x̂_0,prev), and D = x̂_0 on the first and the last step
    (Lu et al. 2022, "DPM-Solver++", algorithm 2)

    denoiser: x_0_hat = denoiser(x_t, t, label) with attribute `schedule`. x_T: float, (n, …), standard normal.
    timesteps: strictly decreasing within 1…T; None is every one.
    Yields Step(t, s, x_t, x_0_hat, mean, x_s). Raises ValueError at the first step for arguments that do not fit.
    """
    check_denoiser(denoiser)
    check_data(x_T)
    schedule = denoiser.schedule
    alpha_bar = schedule.alpha_bar
    x_t = x_T
    previous = None
    for t, s in pairs(timesteps, schedule.T):
        x_0_hat = denoiser(x_t, t, label)
        same_shape(x_t=x_t, x_0_hat=x_0_hat)

        # Where will the answer be in the middle of the step? On the line through the last two.
        h = (schedule.log_snr[s] - schedule.log_snr[t]) / 2
        D = x_0_hat
        if previous is not None and s > 0:
            previous_x_0_hat, previous_h = previous
            D = x_0_hat + h / (2 * previous_h) * (x_0_hat - previous_x_0_hat)

        # The step, exact for an answer that stays at D.
        noise_kept = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()
        mean = noise_kept * x_t - alpha_bar[s].sqrt() * torch.expm1(-h) * D
        x_s = mean.to(x_t.dtype)
        yield Step(t, s, x_t, x_0_hat, mean, x_s)
        x_t = x_s
        previous = x_0_hat, h
