"""The bound on -log p(x_0): three kinds of terms, each for one example, in nats.

-log p(x_0) <= L_T + Σ_{t=2..T} L_{t-1} + L_0   (Ho et al. 2020, eq. 5)

The model p takes the reverse steps of `sampling.ddpm`: mean μ̃(x̂_0, x_t) from a denoiser, without clipping.

Taught in: notebooks/04_elbo.ipynb
"""

import math
from typing import NamedTuple

import torch

from diffusion_lab.theory.check import between_0_and_1, one_of, pixel_values, same_shape, steps_at_least
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.gaussian import kl, log_prob
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var
from diffusion_lab.theory.schedule import at


class Terms(NamedTuple):
    """The bound's terms for n examples, float64, nats: kl_prior (n,), kl_t (n, T-1) for t = 2…T, nll_recon (n,)."""

    kl_prior: torch.Tensor
    kl_t: torch.Tensor
    nll_recon: torch.Tensor


def kl_prior(x_0, schedule):
    """L_T = KL(q(x_T given x_0) ‖ N(0, I)), summed over dimensions   (Ho et al. 2020, eq. 5).

    x_0: float, (n, …). Returns float64 (n,), nats. Nothing in it is learned.
    """
    alpha_bar_T = schedule.alpha_bar[-1]
    return kl(alpha_bar_T.sqrt() * x_0.double(), 1 - alpha_bar_T, 0.0, 1.0).flatten(1).sum(dim=1)


def kl_t(x_0, x_t, t, denoiser, variance="small"):
    """L_{t-1} = KL(q(x_{t-1} given x_t, x_0) ‖ p(x_{t-1} given x_t)), summed over dimensions   (Ho et al. 2020, eq. 5).

    x_0, x_t: float, (n, …). t: int, 2…T (at t = 1 the posterior has no width: that is `nll_recon`). variance: as in
    `reverse_var`. Returns float64 (n,), nats. Raises ValueError for t out of range or shapes that differ.
    """
    schedule = denoiser.schedule
    at(schedule.beta, t, like=x_t, first=2)  # refuses t = 1, where the posterior has no width
    q_var, p_var = posterior_var(t, schedule), reverse_var(t, schedule, variance)
    q_mean = posterior_mean(x_0.double(), x_t.double(), t, schedule)
    p_mean = posterior_mean(denoiser(x_t, t).double(), x_t.double(), t, schedule)
    return kl(q_mean, q_var, p_mean, p_var).flatten(1).sum(dim=1)


def decoder_var(schedule, variance="small"):
    """Variance of the last step p(x_0 given x_1): β_1 for "large", β̃_2 for "small" (as β̃_1 is 0), or between.

    log var = w log β_1 + (1-w) log β̃_2, w as in `reverse_var`. Returns float64, shape (). Needs T of at least 2.
    """
    steps_at_least(schedule, 2)
    w = {"small": 0.0, "large": 1.0}.get(variance, variance)
    w = between_0_and_1(w, 'variance must be "small", "large" or a number from 0 to 1')
    return schedule.beta[1] ** w * posterior_var(2, schedule) ** (1 - w)


def discretised_log_prob(x, mean, var):
    """log of the probability that N(mean, var) gives to each pixel's bin   (Ho et al. 2020, eq. 13).

    x: 8-bit pixel values scaled to [-1, 1]; a bin reaches 1/255 to each side, and the bins of -1 and 1 are open.
    Uses log Φ(b) + log(1 - Φ(a)/Φ(b)), reflected so that a is never deep in the upper tail, where 1 - Φ loses its
    digits. x, mean, var: broadcast. Returns float64, nats. Raises ValueError if x holds other values than pixels.
    """
    x, std = pixel_values(x), torch.as_tensor(var, dtype=torch.float64).sqrt()
    a = torch.where(x < -0.999, -math.inf, (x - 1 / 255 - mean) / std)
    b = torch.where(x > 0.999, math.inf, (x + 1 / 255 - mean) / std)
    a, b = torch.where(a + b > 0, -b, a), torch.where(a + b > 0, -a, b)
    log_a, log_b = torch.special.log_ndtr(a), torch.special.log_ndtr(b)
    return log_b + torch.log(-torch.expm1(log_a - log_b))


def nll_recon(x_0, x_1, denoiser, variance="small", decoder="gaussian"):
    """L_0 = -log p(x_0 given x_1), summed over dimensions   (Ho et al. 2020, eq. 5; eq. 13 for "discretised").

    The decoder's mean is x̂_0(x_1), its variance `decoder_var`. decoder: "gaussian" (a density) or "discretised" (a
    probability, for 8-bit pixels). Returns float64 (n,), nats. Raises ValueError for another decoder.
    """
    same_shape(x_0=x_0, x_1=x_1)
    log_p = one_of({"gaussian": log_prob, "discretised": discretised_log_prob}, decoder, "decoder")
    log_p_x_0 = log_p(x_0.double(), denoiser(x_1, 1).double(), decoder_var(denoiser.schedule, variance))
    return -log_p_x_0.flatten(1).sum(dim=1)


def elbo_terms(denoiser, x_0, variance="small", decoder="gaussian", generator=None):
    """One Monte Carlo draw of every term: x_t is drawn once for each t and example   (Ho et al. 2020, eq. 5).

    x_0: float, (n, …). Returns `Terms`; the mean over draws of kl_prior + kl_t.sum(1) + nll_recon bounds -log p(x_0).
    """
    schedule = denoiser.schedule

    def draw(t):
        eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype, device=x_0.device)
        return q_sample(x_0, t, eps, schedule)

    recon = nll_recon(x_0, draw(1), denoiser, variance, decoder)
    steps = [kl_t(x_0, draw(t), t, denoiser, variance) for t in range(2, schedule.T + 1)]
    return Terms(kl_prior(x_0, schedule), torch.stack(steps, dim=1), recon)


def bits_per_dim(nats, d):
    """Nats for one example of d dimensions as bits per dimension: nats / (d log 2)."""
    return nats / (d * math.log(2))
