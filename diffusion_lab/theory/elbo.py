"""The bound on -log p(x_0): three kinds of terms, each for one example, in nats.

-log p(x_0) <= L_T + Σ_{t=2..T} L_{t-1} + L_0   (Ho et al. 2020, eq. 5)

The model p takes the reverse steps of `sampling.ddpm`: mean μ̃(x̂_0, x_t) from a denoiser, without clipping.

Taught in: lessons/04_elbo
"""

import math
from typing import NamedTuple

import torch

from diffusion_lab.guard import (
    check_choice,
    check_count,
    check_data,
    check_denoiser,
    check_pixels,
    check_positive,
    check_schedule,
    check_times,
    require,
    same_shape,
)
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.gaussian import kl, log_prob
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var, weight_of


class Terms(NamedTuple):
    """The bound's terms for n examples, float64, nats: kl_prior (n,), kl_t (n, T-1) for t = 2…T, nll_recon (n,)."""

    kl_prior: torch.Tensor
    kl_t: torch.Tensor
    nll_recon: torch.Tensor


def kl_prior(x_0, schedule):
    """L_T = KL(q(x_T given x_0) ‖ N(0, I)), summed over dimensions   (Ho et al. 2020, eq. 5).

    x_0: float, (n, …). Returns float64 (n,), nats. Nothing in it is learned.
    """
    check_data(x_0)
    check_schedule(schedule)
    alpha_bar_T = schedule.alpha_bar[-1]
    return kl(alpha_bar_T.sqrt() * x_0.double(), 1 - alpha_bar_T, 0.0, 1.0).flatten(1).sum(dim=1)


def kl_t(x_0, x_t, t, denoiser, variance="small"):
    """L_{t-1} = KL(q(x_{t-1} given x_t, x_0) ‖ p(x_{t-1} given x_t)), summed over dimensions   (Ho et al. 2020, eq. 5).

    x_0, x_t: float, (n, …). t: int, or int64 (n,), a time for each example, 2…T (at t = 1 the posterior has no width:
    that is `nll_recon`). variance: as in `reverse_var`. Returns float64 (n,), nats. Raises ValueError for t out of
    range or shapes that differ.
    """
    check_denoiser(denoiser)
    check_data(x_0)
    schedule = denoiser.schedule
    check_times(t, schedule.T, first=2, like=x_0)
    q_var = posterior_var(t, schedule).reshape(-1, 1).to(x_0.device)
    p_var = reverse_var(t, schedule, variance).reshape(-1, 1).to(x_0.device)
    q_mean = posterior_mean(x_0.double(), x_t.double(), t, schedule)
    p_mean = posterior_mean(denoiser(x_t, t).double(), x_t.double(), t, schedule)
    return kl(q_mean.flatten(1), q_var, p_mean.flatten(1), p_var).sum(dim=1)


def decoder_var(schedule, variance="small"):
    """Variance of the last step p(x_0 given x_1): β_1 for "large", β̃_2 for "small" (as β̃_1 is 0), or between.

    log var = w log β_1 + (1-w) log β̃_2, w as in `reverse_var`. Returns float64, shape (). Needs T of at least 2.
    """
    check_schedule(schedule)
    require(schedule.T >= 2, f"this needs a chain of at least 2 steps, but the schedule has T = {schedule.T}.")
    w = weight_of(variance)
    return schedule.beta[1] ** w * posterior_var(2, schedule) ** (1 - w)


def discretised_log_prob(x, mean, var):
    """log of the probability that N(mean, var) gives to each pixel's bin   (Ho et al. 2020, eq. 13).

    x: 8-bit pixel values scaled to [-1, 1]; a bin reaches 1/255 to each side, and the bins of -1 and 1 are open.
    Uses log Φ(b) + log(1 - Φ(a)/Φ(b)), reflected so that a is never deep in the upper tail, where 1 - Φ loses its
    digits. x, mean, var: broadcast. Returns float64, nats. Raises ValueError if x holds other values than pixels.
    """
    check_pixels(x)
    check_positive(var=var)
    x = torch.as_tensor(x).double()
    std = torch.as_tensor(var, dtype=torch.float64).sqrt()
    a = torch.where(x < -0.999, -math.inf, (x - 1 / 255 - mean) / std)
    b = torch.where(x > 0.999, math.inf, (x + 1 / 255 - mean) / std)
    upper = a + b > 0
    log_a = torch.special.log_ndtr(torch.where(upper, -b, a))
    log_b = torch.special.log_ndtr(torch.where(upper, -a, b))
    return log_b + torch.log(-torch.expm1(log_a - log_b))


def nll_recon(x_0, x_1, denoiser, variance="small", decoder="gaussian"):
    """L_0 = -log p(x_0 given x_1), summed over dimensions   (Ho et al. 2020, eq. 5; eq. 13 for "discretised").

    The decoder's mean is x̂_0(x_1), its variance `decoder_var`. decoder: "gaussian" (a density) or "discretised" (a
    probability, for 8-bit pixels). Returns float64 (n,), nats. Raises ValueError for another decoder.
    """
    check_denoiser(denoiser)
    check_data(x_0)
    same_shape(x_0=x_0, x_1=x_1)
    check_choice(decoder, "decoder", ("gaussian", "discretised"))
    log_p = {"gaussian": log_prob, "discretised": discretised_log_prob}[decoder]
    mean = denoiser(x_1, 1).double()
    same_shape(x_0=x_0, x_0_hat=mean)
    log_p_x_0 = log_p(x_0.double(), mean, decoder_var(denoiser.schedule, variance))
    return -log_p_x_0.flatten(1).sum(dim=1)


def elbo_terms(denoiser, x_0, variance="small", decoder="gaussian", generator=None):
    """One Monte Carlo draw of every term: x_t is drawn once for each t and example   (Ho et al. 2020, eq. 5).

    x_0: float, (n, …). Returns `Terms`; the mean over draws of kl_prior + kl_t.sum(1) + nll_recon bounds -log p(x_0).
    """
    check_denoiser(denoiser)
    schedule = denoiser.schedule

    def draw(t):
        return q_sample(x_0, t, noise_like(x_0, generator), schedule)

    recon = nll_recon(x_0, draw(1), denoiser, variance, decoder)
    steps = [kl_t(x_0, draw(t), t, denoiser, variance) for t in range(2, schedule.T + 1)]
    return Terms(kl_prior(x_0, schedule), torch.stack(steps, dim=1), recon)


def bits_per_dim(nats, d):
    """Nats for one example of d dimensions as bits per dimension: nats / (d log 2)."""
    check_count(d, "d")
    return nats / (d * math.log(2))
