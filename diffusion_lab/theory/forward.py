"""The forward chain: from data to noise, one step at a time or in one jump. Nothing here is learned.

Taught in: lessons/02_forward_markov_chain
"""

import torch

from diffusion_lab.guard import check_data, check_generator, check_schedule, check_times, same_shape
from diffusion_lab.theory.schedule import at


def q_step(x_s, t, eps, schedule):
    """One step of the chain, from s = t-1 to t:  x_t = √(1-β_t) x_s + √β_t ε   (Ho et al. 2020, eq. 2).

    x_s: float, shape (n, …), the state at t-1. t: int or int64 (n,), 1…T. eps: standard normal, shape of x_s.
    Returns x_t, shape and dtype of x_s. Raises ValueError for t out of range or shapes that differ.
    """
    check_schedule(schedule)
    same_shape(x_s=x_s, eps=eps)
    check_times(t, schedule.T, first=1)
    beta_t = at(schedule.beta, t, like=x_s)
    x_t = (1 - beta_t).sqrt() * x_s + beta_t.sqrt() * eps
    return x_t.to(x_s.dtype)


def q_sample(x_0, t, eps, schedule):
    """The jump from the data to any time:  x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε   (Ho et al. 2020, eq. 4).

    x_0: float, shape (n, …). t: int or int64 (n,), 0…T; t = 0 gives x_0 back. eps: standard normal, shape of x_0.
    Returns x_t, shape and dtype of x_0. Raises ValueError for t out of range or shapes that differ.
    """
    check_schedule(schedule)
    same_shape(x_0=x_0, eps=eps)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_0)
    x_t = alpha_bar_t.sqrt() * x_0 + (1 - alpha_bar_t).sqrt() * eps
    return x_t.to(x_0.dtype)


def noise_like(x, generator=None):
    """Standard normal ε of the shape and dtype of x, on its device. The numbers are drawn on the CPU, and then moved.

    So one seed gives the same noise wherever x is. generator: on the CPU; None is PyTorch's own.
    """
    check_data(x)
    check_generator(generator)
    return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
