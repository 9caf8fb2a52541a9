"""A sampler's chain: which times it visits, what it tells you at each step, and what comes out of it.

Taught in: lessons/03_reverse_posterior, lessons/08_sampling
"""

from typing import NamedTuple

import torch

from diffusion_lab.guard import check_count, check_number, check_schedule, require


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
    check_count(n, "n")
    check_count(T, "T")
    require(n <= T, f"a chain of T = {T} times has at most {T} steps, but got n = {n}.")
    return torch.tensor([round(T * (n - k) / n) for k in range(n)])


def spaced_in_log_snr(schedule, n, first=-2.7, end=3.4):
    """n times from T down: after T, the middles of n-1 equal parts of λ = ½ log SNR between two ends.

    λ_k = first + (end - first) (k - ½) / (n - 1), and t_k is the time whose λ lies nearest, for k = 1, …, n-1. So the
    times crowd where little noise is left. Where two would fall together (many steps, or a schedule that passes an end
    in one step), the later ones move on, to the next times that leave room for the rest: n = T gives T, …, 1.
    n: int, 1 <= n <= T. first, end: floats. Returns int64 (n,), strictly decreasing. Raises ValueError otherwise.
    """
    check_schedule(schedule)
    check_count(n, "n")
    require(n <= schedule.T, f"a chain of T = {schedule.T} times has at most {schedule.T} steps, but got n = {n}.")
    check_number(first, "first")
    check_number(end, "end", first)
    half_log_snr = schedule.log_snr[1:] / 2
    times = [schedule.T]
    for k in range(1, n):
        wanted = first + (end - first) * (k - 0.5) / (n - 1)
        nearest = 1 + (half_log_snr - wanted).abs().argmin().item()
        times.append(max(min(nearest, times[-1] - 1), n - k))
    return torch.tensor(times)


def pairs(timesteps, T):
    """The steps (t, s) that a sampler takes through `timesteps`, as ints; the last s is 0. None means T, T-1, …, 1.

    timesteps: ints or int64 (n,), strictly decreasing, within 1…T. Raises ValueError otherwise.
    """
    try:
        times = list(range(T, 0, -1)) if timesteps is None else torch.as_tensor(timesteps).tolist()
    except (RuntimeError, TypeError, ValueError):  # what makes no tensor makes no chain
        times = timesteps
    fits = isinstance(times, list) and times and all(type(t) is int and 1 <= t <= T for t in times)
    require(fits and all(t > s for t, s in zip(times, times[1:])),
            f"timesteps must be whole numbers in a list, falling strictly, within 1…{T}, but got {times}.")
    return list(zip(times, times[1:] + [0]))


def last(steps):
    """The sample: the state in which a sampler's last step ends. Earlier steps are not kept.

    steps: what a sampler yields, at least one Step.
    """
    for step in steps:
        x_s = step.x_s
    return x_s


@torch.no_grad()
def draw(denoiser, labels, sampler, timesteps=None, seed=0, batch=64):
    """One digit for each label: float32 (n, 1, 28, 28), clamped to [-1, 1].

    labels: int64 (n,). sampler: called as sampler(denoiser, x_T, timesteps, label=…); one that adds noise of its own is
    given with its generator, partial(ddpm, generator=…). seed: of the first noise x_T, the same for every sampler.
    batch: digits at a time, which only memory limits. Without noise of its own, a sampler makes the same digits, but
    for rounding, whatever the batch; fresh noise is drawn batch by batch, and so goes to other digits.
    """
    require(torch.is_tensor(labels) and labels.dtype == torch.int64 and labels.ndim == 1 and len(labels) > 0,
            f"labels must be int64, shape (n,), at least one, but got {labels!r}.")
    check_count(batch, "batch")
    generator = torch.Generator().manual_seed(seed)
    digits = []
    for label in labels.split(batch):
        x_T = torch.randn(len(label), 1, 28, 28, generator=generator)
        digits.append(last(sampler(denoiser, x_T, timesteps, label=label)).clamp(-1, 1))
    return torch.cat(digits)
