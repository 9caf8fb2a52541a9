"""The bound on -log p(x_0) in bits per dimension, from some of its terms, chosen where they are large.

-log p(x_0) <= L_T + Σ_{t=2..T} L_{t-1} + L_0   (Ho et al. 2020, eq. 5; `theory.elbo`)

The times 2…T are cut into strata. One random time is drawn in each, and its term counts for the whole stratum: an
estimate without bias, with little variance where the terms of a stratum are alike.

Taught in: lessons/08_sampling
"""

import math
from dataclasses import dataclass

import torch

from diffusion_lab.guard import require
from diffusion_lab.theory.elbo import bits_per_dim, kl_prior, kl_t, nll_recon
from diffusion_lab.theory.forward import noise_like, q_sample

EDGES = [*range(2, 21), *range(22, 60, 4), *range(60, 200, 14), *range(200, 1000, 50)]  # wider and wider


@dataclass(frozen=True)
class Bound:
    """The bound's parts for n examples, each float64 (n,), in bits per dimension.

    kl_prior: L_T. kl: for each stratum (first, last), its share of the sum over t. nll_recon: L_0.
    group: how many examples, one after the other, share their random times.
    """

    kl_prior: torch.Tensor
    kl: dict
    nll_recon: torch.Tensor
    group: int

    @property
    def total(self):
        """The bound for each example: float64 (n,)."""
        return self.kl_prior + sum(self.kl.values()) + self.nll_recon

    @property
    def standard_error(self):
        """Of the mean over examples, from the means of the groups: a float, nan for one group alone."""
        means = torch.stack([some.mean() for some in self.total.split(self.group)])
        return (means.std() / len(means) ** 0.5).item() if len(means) > 1 else math.nan


def strata(T, edges=EDGES):
    """(first, last) of each stratum: it begins at an edge, and ends before the next one or at T."""
    edges = [*(edge for edge in edges if edge <= T), T + 1]
    require(edges[0] == 2 and all(a < b for a, b in zip(edges, edges[1:])),
            f"edges must rise strictly from 2, but got {edges}.")
    return [(first, following - 1) for first, following in zip(edges, edges[1:])]


@torch.no_grad()
def bound(denoiser, x_0, generator, edges=EDGES, group=20):
    """An estimate of the bound for each example: small variance, discretised decoder, x̂_0 as the denoiser gives it.

    x_0: float (n, …), 8-bit pixels scaled to [-1, 1]. Each group of examples draws its times anew. Returns `Bound`.
    Raises ValueError for other values, or edges that do not rise from 2.
    """
    parts = [bound_of_group(denoiser, some, generator, strata(denoiser.schedule.T, edges)) for some in x_0.split(group)]
    prior, kl, recon = zip(*parts)
    together = {key: torch.cat([some[key] for some in kl]) for key in kl[0]}
    return Bound(torch.cat(prior), together, torch.cat(recon), group)


def bound_of_group(denoiser, x_0, generator, chosen):
    """The three parts for examples that share their times: kl_prior (n,), {stratum: (n,)}, nll_recon (n,)."""
    schedule = denoiser.schedule
    d = x_0[0].numel()

    def noisy(t):
        return q_sample(x_0, t, noise_like(x_0, generator), schedule)

    recon = bits_per_dim(nll_recon(x_0, noisy(1), denoiser, decoder="discretised"), d)
    kl = {}
    for low, high in chosen:
        t = int(torch.randint(low, high + 1, (1,), generator=generator))
        kl[low, high] = bits_per_dim((high - low + 1) * kl_t(x_0, noisy(t), t, denoiser), d)
    return bits_per_dim(kl_prior(x_0, schedule), d), kl, recon
