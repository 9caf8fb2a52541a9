"""The loss of one batch: noise at times of every kind, and the network's answer beside the right one.

Taught in: lessons/07_train
"""

import torch

from diffusion_lab.guard import (
    check_choice,
    check_classes,
    check_count,
    check_data,
    check_generator,
    check_number,
    check_schedule,
    same_shape,
)
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.parameterization import v_from_x_0


def uniform_times(n, schedule, generator):
    """n times, each drawn from 1…T by itself  (Ho et al. 2020, algorithm 1). Returns int64 (n,)."""
    check_count(n, "n")
    check_schedule(schedule)
    check_generator(generator)
    return torch.randint(1, schedule.T + 1, (n,), generator=generator)


def spread_times(n, schedule, generator):
    """n times, one from each n-th part of 1…T: one draw shifts them all  (Kingma et al. 2021, appendix I.1).

    t_i = 1 + ⌊T ((u + i/n) mod 1)⌋, u uniform. Each t_i alone is uniform; the batch as a whole misses no part of the
    chain, so that its loss varies less from batch to batch. Returns int64 (n,).
    """
    check_count(n, "n")
    check_schedule(schedule)
    check_generator(generator)
    T = schedule.T
    u = torch.rand(1, generator=generator, dtype=torch.float64)
    u = u + torch.arange(n, dtype=torch.float64) / n
    return (T * (u % 1)).long().clamp(max=T - 1) + 1


def objective(network, batch, generator, schedule, predicts="v", times=spread_times, drop=0.1):
    """E ‖target - network(x_t, t, label)‖² / d,  target ε, v or x_0   (Ho et al. 2020, eq. 14; Salimans & Ho 2022).

    batch: the pair x_0, float (n, …), and label, int64 (n,). Each label is replaced by network.null_label with
    probability `drop` (Ho & Salimans 2022, algorithm 1), so that one network learns p(x_0 given label) and p(x_0).
    times: `spread_times` or `uniform_times`. Everything random is drawn by `generator` on the CPU, and moved to where
    x_0 is. Returns the mean over batch and pixels, shape (), with its gradient.
    Raises ValueError for another word in `predicts`, a `drop` outside 0…1 and labels or answers of other shapes.
    """
    x_0, label = batch
    check_data(x_0)
    check_schedule(schedule)
    check_choice(predicts, "predicts", ("eps", "v", "x_0"))
    check_number(drop, "drop", 0, 1)
    check_classes(label, len(x_0), network.null_label)
    t = times(len(x_0), schedule, generator).to(x_0.device)
    eps = noise_like(x_0, generator)
    x_t = q_sample(x_0, t, eps, schedule)
    target = {"eps": eps, "v": v_from_x_0(x_t, x_0, t, schedule), "x_0": x_0}[predicts]
    dropped = torch.rand(len(label), generator=generator) < drop
    label = label.masked_fill(dropped.to(label.device), network.null_label)
    answer = network(x_t, t, label)
    same_shape(answer=answer, target=target)
    return (answer - target).square().mean()
