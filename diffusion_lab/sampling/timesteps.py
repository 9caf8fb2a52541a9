"""Which times a sampler visits, and what it tells you at each step.

Taught in: notebooks/03_reverse_posterior.ipynb
"""

from typing import NamedTuple

import torch

from diffusion_lab.theory.check import positive_int


class Step(NamedTuple):
    """One step of a sampler, from time t back to time s < t. All tensors have the shape and dtype of the state."""

    t: int
    s: int
    x_t: torch.Tensor
    x_0_hat: torch.Tensor
    mean: torch.Tensor
    x_s: torch.Tensor


def spaced(T, n):
    """n times from T down, evenly spaced:  round(T (n-k)/n) for k = 0, …, n-1; the step after the last goes to 0.

    T, n: int, 1 <= n <= T. Returns int64 (n,), strictly decreasing, first entry T. Raises ValueError otherwise.
    """
    if positive_int(n, "n") > positive_int(T, "T"):
        raise ValueError(f"a chain of T = {T} times has at most {T} steps, but got n = {n}.")
    return torch.tensor([round(T * (n - k) / n) for k in range(n)])


def pairs(timesteps, T):
    """The steps (t, s) that a sampler takes through `timesteps`, as ints; the last s is 0. None means T, T-1, …, 1.

    timesteps: ints or int64 (n,), strictly decreasing, within 1…T. Raises ValueError otherwise.
    """
    times = list(range(T, 0, -1)) if timesteps is None else torch.as_tensor(timesteps).tolist()
    fits = isinstance(times, list) and times and all(type(t) is int and 1 <= t <= T for t in times)
    if not fits or any(t <= s for t, s in zip(times, times[1:])):
        raise ValueError(f"timesteps must be whole numbers in a list, falling strictly, within 1…{T}, but got {times}.")
    return list(zip(times, times[1:] + [0]))
