"""Two bounds on -log p(x_0), in bits per dimension, with their parts: of the chain as it draws, and a tighter one.

`chain_bound` is that of the T steps of `sampling.ddpm`, from some of its terms, chosen where they are large:

-log p(x_0) <= L_T + Σ_{t=2..T} L_{t-1} + L_0   (Ho et al. 2020, eq. 5; `theory.elbo`)

`bound` asks the same denoiser in infinitely many steps, and leaves the last one, to the pixels, to Bayes' rule:

-log p(x_0) <= L_T + ½ ∫ SNR E|x_0 - x̂_0|² d log SNR + E[-log p(x_0 given x_1)]   (Kingma et al. 2021, eqs. 11 and 18)

from the log SNR of t = T to that of t = 1. Both draw one random time in each of some strata, and let its term count for
the whole stratum: an estimate without bias, with little variance where the terms of a stratum are alike.

Taught in: lessons/08_sampling
"""

import math
from dataclasses import dataclass

import torch

from diffusion_lab.guard import check_count, check_data, check_denoiser, check_pixels, require, same_shape
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.elbo import bits_per_dim, kl_prior, kl_t, nll_recon
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.gaussian import log_prob
from diffusion_lab.theory.schedule import at

EDGES = [*range(2, 21), *range(22, 60, 4), *range(60, 200, 14), *range(200, 1000, 50)]  # wider and wider
BINS = 128  # of x̂_0, for `calibrated`


@dataclass(frozen=True)
class Bound:
    """A bound's parts for n examples, each float64 (n,), in bits per dimension.

    kl_prior: L_T. kl: for each stratum (first, last), of t or of log SNR, what it adds. nll_recon: the last step.
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


@torch.no_grad()
def bound(denoiser, x_0, prior, generator=None, steps=30):
    """An estimate, for each example, of the bound with infinitely many steps and the decoder by Bayes' rule.

    It bounds what this model gives to pixels: infinitely many steps from noise to x_1, and then each pixel takes a grey
    level by `level_log_prob`. Any function of x_t may stand for x̂_0 (`clipped`, `calibrated`), and a better one makes
    the bound tighter. For independent pixels and the exact one it is -log2 of their probability.

    x_0: float (n, …), 8-bit pixels scaled to [-1, 1]. prior: float64 (256,), as from `grey_levels` of *training* data.
    steps: how many strata, of equal length in log SNR; each example draws a log SNR of its own in each.
    Returns `Bound`, with strata of log SNR. Raises ValueError for other pixels, priors or steps.
    """
    check_denoiser(denoiser)
    check_data(x_0)
    check_pixels(x_0)
    check_count(steps, "steps")
    schedule = denoiser.schedule
    edges = torch.linspace(schedule.log_snr[-1], schedule.log_snr[1], steps + 1, dtype=torch.float64)
    width = edges[1] - edges[0]
    parts = []
    for some in x_0.split(20):  # 256 numbers for each pixel: a few at a time
        d = some[0].numel()
        kl = {}
        for low in edges[:-1]:
            log_snr = low + width * torch.rand(len(some), generator=generator, dtype=torch.float64)
            cost = width * cost_at(denoiser, some, log_snr, generator)
            kl[low.item(), (low + width).item()] = bits_per_dim(cost, d)
        x_1 = q_sample(some, 1, noise_like(some, generator), schedule)
        recon = bits_per_dim(nll_levels(some, x_1, prior, schedule), d)
        parts.append((bits_per_dim(kl_prior(some, schedule), d), kl, recon))
    return joined(parts, group=1)


def cost_at(denoiser, x_0, log_snr, generator=None):
    """½ SNR |x_0 - x̂_0|², what one unit of log SNR adds to the bound, at one draw of the noise: float64 (n,), nats.

    (Kingma et al. 2021, eq. 18, with d SNR = SNR d log SNR.) A denoiser knows whole times only. So y = x_0 + ε/√SNR is
    handed to it as the state √ᾱ_t y of the t whose log SNR is nearest. That is a function of y like any other, and so
    the bound stays one, by half a step of the table less tight than with a denoiser that knew all times.

    x_0: float, (n, …). log_snr: float64 (n,), one for each example.
    """
    schedule = denoiser.schedule
    t = (schedule.log_snr[1:] - log_snr[:, None]).abs().argmin(dim=1) + 1
    noise_std = torch.exp(-log_snr / 2).reshape(-1, *[1] * (x_0.ndim - 1))
    y = x_0.double() + noise_std * noise_like(x_0, generator)
    x_t = (at(schedule.alpha_bar, t, like=x_0).sqrt() * y).to(x_0.dtype)
    error = x_0.double() - denoiser(x_t, t).double()
    return 0.5 * log_snr.exp() * error.square().flatten(1).sum(dim=1)


def grey_levels(images):
    """How often each of the 256 grey levels occurs: float64 (256,), adds up to 1.

    Each is counted once more than it occurs, so that none has probability 0.
    images: float, 8-bit pixels scaled to [-1, 1]. Raises ValueError for other values.
    """
    check_data(images)
    check_pixels(images)
    levels = ((images.double() + 1) * 127.5).round().long()
    counts = torch.bincount(levels.flatten(), minlength=256).double() + 1
    return counts / counts.sum()


def level_log_prob(x_1, prior, schedule):
    """log p(level given x_1) for each pixel and each of its 256 levels, by Bayes' rule:

    p(level given x_1) ∝ prior(level) N(x_1; √ᾱ_1 level, 1-ᾱ_1)   (Kingma et al. 2021, eq. 8, whose prior is flat)

    x_1: float, (n, …). prior: (256,), none negative, adds up to 1. Returns float64 (n, …, 256), nats; the 256
    probabilities add up to 1. No network is asked.
    """
    check_data(x_1)
    require(torch.is_tensor(prior) and prior.shape == (256,) and bool((prior >= 0).all())
            and abs(prior.sum().item() - 1) < 1e-6,
            "prior must be a tensor with a probability for each of the 256 grey levels, adding up to 1; "
            "grey_levels(images) makes one.")
    level = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    alpha_bar_1 = schedule.alpha_bar[1]
    seen = log_prob(x_1.double()[..., None], alpha_bar_1.sqrt() * level, 1 - alpha_bar_1)
    return torch.log_softmax(prior.double().log() + seen, dim=-1)


def nll_levels(x_0, x_1, prior, schedule):
    """-log p(x_0 given x_1) by `level_log_prob`, summed over the pixels of an example: float64 (n,), nats."""
    same_shape(x_0=x_0, x_1=x_1)
    level = ((x_0.double() + 1) * 127.5).round().long()
    log_p = level_log_prob(x_1, prior, schedule).gather(-1, level[..., None])
    return -log_p.flatten(1).sum(dim=1)


@torch.no_grad()
def calibrated(denoiser, x_0, generator=None):
    """The denoiser with its average error taken off:  x̂_0 + E[x_0 - x̂_0 given x̂_0 and t], clipped to [-1, 1].

    The average stands in a table, by the unit of log SNR in which t lies, and by bins of the clipped x̂_0 that are
    narrow near -1 and 1, where most pixels are. It is measured on x_0, at one noisy state of each example for each
    unit; where few pixels fall into a bin, it is drawn towards 0. x_0: float, (n, …), *training* data.
    """
    check_denoiser(denoiser)
    check_data(x_0)
    schedule = denoiser.schedule
    unit = (schedule.log_snr[1:] - schedule.log_snr[-1]).long()  # of t = 1…T
    table = torch.zeros(int(unit.max()) + 1, BINS, dtype=torch.float64)

    def asked(x_t, t, label=None):
        x_0_hat = denoiser(x_t, t, label).clamp(-1, 1)
        place = torch.asin(x_0_hat.double()) / torch.pi + 0.5
        return x_0_hat, (BINS * place).long().clamp(max=BINS - 1).flatten(1)

    for k in unit.unique():
        times = (unit == k).nonzero()[:, 0] + 1
        t = times[torch.randint(len(times), (len(x_0),), generator=generator)]
        x_0_hat, bins = asked(q_sample(x_0, t, noise_like(x_0, generator), schedule), t)
        error = (x_0 - x_0_hat).double().flatten()
        pixels = torch.bincount(bins.flatten(), minlength=BINS)
        table[k] = torch.bincount(bins.flatten(), error, minlength=BINS) / (pixels + 10)

    def answer(x_t, t, label):
        x_0_hat, bins = asked(x_t, t, label)
        rows = table[unit[torch.as_tensor(t).expand(len(x_t)) - 1]]
        return (x_0_hat + rows.gather(1, bins).reshape(x_t.shape)).clamp(-1, 1).to(x_t.dtype)

    return Denoiser(answer, schedule)


def strata(T, edges=EDGES):
    """(first, last) of each stratum: it begins at an edge, and ends before the next one or at T."""
    edges = [*(edge for edge in edges if edge <= T), T + 1]
    require(edges[0] == 2 and all(a < b for a, b in zip(edges, edges[1:])),
            f"edges must rise strictly from 2, but got {edges}.")
    return [(first, following - 1) for first, following in zip(edges, edges[1:])]


@torch.no_grad()
def chain_bound(denoiser, x_0, generator=None, edges=EDGES, group=20):
    """An estimate of the chain's bound: small variance, discretised decoder, x̂_0 as the denoiser gives it.

    x_0: float (n, …), 8-bit pixels scaled to [-1, 1]. Each group of examples draws its times anew. Returns `Bound`,
    with strata of t. Raises ValueError for other values, or edges that do not rise from 2.
    """
    check_denoiser(denoiser)
    chosen = strata(denoiser.schedule.T, edges)
    return joined([bound_of_group(denoiser, some, generator, chosen) for some in x_0.split(group)], group)


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


def joined(parts, group):
    """The parts of some examples after those of others, as a `Bound`."""
    prior, kl, recon = zip(*parts)
    together = {stratum: torch.cat([some[stratum] for some in kl]) for stratum in kl[0]}
    return Bound(torch.cat(prior), together, torch.cat(recon), group)
