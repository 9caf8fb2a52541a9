"""Both bounds: without bias beside all terms; and where the answer is known, for pixels, the bound is their entropy."""

import itertools
import math

import numpy as np
import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation import likelihood
from diffusion_lab.evaluation.likelihood import (
    EDGES,
    bound,
    calibrated,
    chain_bound,
    cost_at,
    grey_levels,
    level_log_prob,
    nll_levels,
    strata,
)
from diffusion_lab.results import files as results
from diffusion_lab.sampling.denoiser import clipped
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.elbo import bits_per_dim, elbo_terms, kl_prior, kl_t
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import Schedule, cosine, linear

DATA = GaussianMixture([0.6, 0.4], [[-0.8, 0.2, 0.5], [0.4, -0.5, 0.9]], [0.05, 0.02])
X_0 = (torch.tensor([[10, 200, 130], [180, 60, 250]]) / 127.5 - 1).double()  # pixels: two examples of three
LEVEL = torch.arange(256, dtype=torch.float64) / 127.5 - 1


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def even(T, first=10.0, last=-16.0):
    """A schedule whose log SNR falls in equal steps."""
    alpha_bar = torch.cat([torch.ones(1), torch.sigmoid(torch.linspace(first, last, T, dtype=torch.float64))])
    return Schedule(torch.cat([torch.zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]]))


def of_pixels(prior, schedule):
    """The exact denoiser of independent pixels whose levels have these probabilities: Bayes' rule, pixel by pixel."""
    chosen = prior > 0
    level, log_prior = LEVEL[chosen], prior[chosen].log()

    def answer(x_t, t, label):
        alpha_bar_t = schedule.alpha_bar[torch.as_tensor(t)].reshape(-1, *[1] * x_t.ndim)
        seen = -(x_t.double()[..., None] - alpha_bar_t.sqrt() * level) ** 2 / (2 * (1 - alpha_bar_t))
        return (torch.softmax(log_prior + seen, dim=-1) @ level).to(x_t.dtype)

    return Denoiser(answer, schedule)


def few_levels():
    """Black, white, and two greys that are neighbours: a prior (256,) of 1.5 bits."""
    prior = torch.zeros(256, dtype=torch.float64)
    prior[[0, 127, 128, 255]] = torch.tensor([0.6, 0.1, 0.05, 0.25], dtype=torch.float64)
    return prior


def entropy(prior):
    """In bits."""
    return -torch.xlogy(prior, prior).sum().item() / math.log(2)


class Nodes:
    """Gauss-Hermite nodes in place of noise: each level that occurs at each node, as examples of one pixel."""

    def __init__(self, prior, n, monkeypatch):
        nodes, weight = (torch.from_numpy(part) for part in np.polynomial.hermite_e.hermegauss(n))
        level = prior.nonzero()[:, 0]
        self.x_0 = LEVEL[level].repeat_interleave(n)[:, None]
        self.eps = nodes.repeat(len(level))[:, None]
        self.weight = prior[level].repeat_interleave(n) * (weight / weight.sum()).repeat(len(level))
        monkeypatch.setattr(likelihood, "noise_like", lambda x, generator: self.eps)

    def mean_bits(self, nats):
        return (self.weight @ nats).item() / math.log(2)


def costs(nodes, denoiser, log_snr):
    """½ SNR E|x_0 - x̂_0|² in bits, by `cost_at`, at each log SNR."""
    found = [nodes.mean_bits(cost_at(denoiser, nodes.x_0, value.expand(len(nodes.x_0)))) for value in log_snr]
    return torch.tensor(found, dtype=torch.float64)


# The decoder by Bayes' rule

def test_the_prior_counts_grey_levels_and_forgets_none():
    images = load_digits("train")[0]
    prior = grey_levels(images)
    pixels = ((images + 1) * 127.5).round().to(torch.uint8).numpy()
    counts = np.unique(pixels, return_counts=True)
    expected = torch.ones(256, dtype=torch.float64)
    expected[torch.from_numpy(counts[0].astype(int))] += torch.from_numpy(counts[1])
    assert torch.allclose(prior, expected / (images.numel() + 256), rtol=1e-12)
    assert abs(prior.sum() - 1) < 1e-12
    assert (grey_levels(X_0) > 0).all()


@pytest.mark.parametrize("prior", [few_levels(), torch.ones(256) / 256])
def test_its_256_probabilities_add_up_to_1_wherever_x_1_lies(prior):
    x_1 = torch.linspace(-3, 3, 600, dtype=torch.float64).reshape(2, 3, 100)
    for schedule in (cosine(), linear(20)):
        p = level_log_prob(x_1, prior, schedule).exp()
        assert p.shape == (2, 3, 100, 256)
        assert (p.sum(dim=-1) - 1).abs().max() < 1e-12


def test_it_is_bayes_rule():
    """Against the joint histogram of many pixels and what was seen of them, in narrow windows of x_1."""
    schedule, prior = Schedule([0, 0.3, 0.5]), torch.zeros(256, dtype=torch.float64)  # so much noise at t = 1
    prior[[0, 60, 128, 190, 255]] = torch.tensor([0.1, 0.4, 0.2, 0.1, 0.2], dtype=torch.float64)
    k = torch.multinomial(prior, 400_000, replacement=True, generator=seeded(0))
    x_1 = q_sample(LEVEL[k], 1, torch.randn(len(k), generator=seeded(1), dtype=torch.float64), schedule)
    for centre in (-0.8, 0.1, 0.9):
        near = (x_1 - centre).abs() < 0.01
        found = torch.bincount(k[near], minlength=256) / near.sum()
        expected = level_log_prob(torch.tensor([centre]), prior, schedule)[0].exp()
        assert torch.allclose(found[prior > 0].double(), expected[prior > 0], atol=0.03)
    p = level_log_prob(X_0, grey_levels(X_0), schedule)
    expected = torch.stack([-(p[i, 0, a] + p[i, 1, b] + p[i, 2, c])
                            for i, (a, b, c) in enumerate([(10, 200, 130), (180, 60, 250)])])
    assert torch.allclose(nll_levels(X_0, X_0, grey_levels(X_0), schedule), expected, rtol=1e-12)


@pytest.mark.parametrize("prior", [torch.ones(255) / 255, torch.ones(256), few_levels() - 1e-3, [1 / 256] * 256])
def test_other_priors_are_refused(prior):
    with pytest.raises(ValueError, match="prior must be a tensor with a probability for each of the 256 grey levels"):
        bound(DATA.denoiser(cosine(5)), X_0, prior)


# Where the answer is known

def test_a_pixel_of_the_digits_costs_its_entropy_however_far_the_integral_goes(monkeypatch):
    """I-MMSE (Guo, Shamai & Verdú 2005): ½ ∫ mmse dSNR = entropy, over all SNR: 1.98 bits for all 256 levels.

    And where the integral stops at t = 1, at a log SNR of 10 or of 8, the decoder pays exactly what is left.
    """
    prior = grey_levels(load_digits("train")[0])
    schedule = even(105, 16.0, -10.0)  # four times for one unit of log SNR
    nodes, log_snr = Nodes(prior, 16, monkeypatch), schedule.log_snr[1:].flip(0)
    cost = costs(nodes, of_pixels(prior, schedule), log_snr)
    assert entropy(prior) == pytest.approx(1.98, abs=0.005)
    assert torch.trapezoid(cost, log_snr) == pytest.approx(entropy(prior), abs=3e-4)
    for last, least in ((10, 0.2), (8, 0.5)):
        stopped = even(100, last, -10.0)
        recon = nodes.mean_bits(nll_levels(nodes.x_0, q_sample(nodes.x_0, 1, nodes.eps, stopped), prior, stopped))
        start = nodes.mean_bits(kl_prior(nodes.x_0, stopped))
        before = log_snr < last + 1e-6
        assert recon > least
        assert start + torch.trapezoid(cost[before], log_snr[before]) + recon == pytest.approx(entropy(prior), abs=1e-3)


def test_the_bound_of_independent_pixels_is_their_entropy():
    """By `bound` itself, level for level: each costs its own -log2 p, and all together what the entropy says."""
    prior, schedule, n = few_levels(), even(521), 250
    levels = prior.nonzero()[:, 0]
    x_0 = LEVEL[levels].repeat_interleave(n)[:, None].expand(-1, 50)  # each example: 50 pixels of one level
    found = bound(of_pixels(prior, schedule), x_0, prior, seeded(0), steps=60).total.reshape(4, n)
    error = found.std(dim=1) / n**0.5
    p = prior[levels]
    assert ((found.mean(dim=1) + p.log2()).abs() < 4 * error).all()
    mean_error = ((p * error) ** 2).sum().sqrt().item()
    assert mean_error < 0.01
    assert p @ found.mean(dim=1) == pytest.approx(entropy(prior), abs=4 * mean_error)


def test_more_steps_cost_less_and_infinitely_many_cost_the_integral(monkeypatch):
    """The chain's step terms, exactly, for 13 to 416 steps between the same two noises (Kingma et al. 2021, app. F)."""
    prior = few_levels()
    nodes = Nodes(prior, 40, monkeypatch)

    def steps(n):
        schedule = even(n + 1)
        denoiser = of_pixels(prior, schedule)
        return sum(nodes.mean_bits(kl_t(nodes.x_0, q_sample(nodes.x_0, t, nodes.eps, schedule), t, denoiser))
                   for t in range(2, n + 2))

    fine = even(521)
    log_snr = fine.log_snr[1:].flip(0)
    limit = torch.trapezoid(costs(nodes, of_pixels(prior, fine), log_snr), log_snr).item()
    above = [steps(n) - limit for n in (13, 26, 52, 104, 208, 416)]
    assert all(2.2 > more / fewer > 1.7 for more, fewer in itertools.pairwise(above[2:])), "half as much, each time"
    assert above == sorted(above, reverse=True)
    assert 0 < above[-1] < 0.05 < 0.5 < above[0]
    assert 2 * above[-1] - above[-2] == pytest.approx(0, abs=3e-3), "what is left halves, too: it goes to 0"


def test_a_coarse_table_of_times_makes_the_bound_looser_and_never_wrong():
    prior, x_0 = few_levels(), LEVEL[[0, 127, 128, 255]].repeat(400, 1)
    p = prior[prior > 0]
    means = []
    for T in (6, 27, 521):
        found = bound(of_pixels(prior, even(T)), x_0, prior, seeded(0))
        x_1 = q_sample(x_0, 1, torch.randn(x_0.shape, generator=seeded(1), dtype=torch.float64), even(T))
        recon = bits_per_dim(nll_levels(x_0, x_1, prior, even(T)), 4)
        error = ((recon.var() + found.nll_recon.var()) / 400).sqrt()
        assert abs(recon.mean() - found.nll_recon.mean()) < 4 * error
        means.append(found.total.mean().item())
    assert means[0] > means[1] > means[2] - 0.01
    assert means[2] == pytest.approx((-p.log2()).mean().item(), abs=0.05)


def test_a_wrong_denoiser_costs_more():
    prior, schedule = few_levels(), even(131)
    exact = of_pixels(prior, schedule)
    x_0 = LEVEL[torch.multinomial(prior, 16_000, replacement=True, generator=seeded(1))].reshape(80, 200)

    def cost(denoiser):
        return bound(denoiser, x_0, prior, seeded(2)).total.mean()

    off = Denoiser(lambda x_t, t, label: exact(x_t, t) + 0.01, schedule)
    assert cost(off) > cost(exact) + 0.1
    assert cost(clipped(off)) < cost(off)
    flat = torch.ones(256, dtype=torch.float64) / 256
    assert bound(exact, x_0, flat, seeded(2)).nll_recon.mean() > bound(exact, x_0, prior, seeded(2)).nll_recon.mean()


# What it asks, and what it gives back

def test_each_example_draws_a_log_snr_of_its_own_in_each_stratum():
    schedule, asked = cosine(), []

    def answer(x_t, t, label):
        asked.append(t)
        return torch.zeros_like(x_t)

    x_0 = X_0.repeat(15, 1)
    found = bound(Denoiser(answer, schedule), x_0, grey_levels(X_0), seeded(0), steps=40)
    strata_ = list(found.kl)
    assert strata_[0][0] == schedule.log_snr[-1]
    assert strata_[-1][1] == pytest.approx(schedule.log_snr[1].item())
    assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(strata_))
    assert len(asked) == 2 * 40, "20 examples, and then ten"
    assert [len(t) for t in asked] == [20] * 40 + [10] * 40
    for (low, high), t in zip(strata_, asked[:40]):
        nearest = schedule.log_snr[t]
        gap = (schedule.log_snr[t - 1] - schedule.log_snr[(t + 1).clamp(max=1000)]).clamp(max=8)
        assert ((nearest > low - gap) & (nearest < high + gap)).all()
    assert any(len(t.unique()) > 5 for t in asked)
    expected = torch.stack(list(found.kl.values())).sum(0) + found.kl_prior + found.nll_recon
    assert torch.allclose(found.total, expected)
    assert found.standard_error == pytest.approx((found.total.std() / 30**0.5).item())


@pytest.mark.parametrize("log_snr", [9.9, 3.0, -2.0])
def test_a_state_between_two_times_is_that_of_the_nearer_one(log_snr):
    """With x̂_0 = x_t/√ᾱ_t, what is paid is the noise alone: ½ SNR |ε|²/SNR."""
    schedule, times = cosine(), []

    def answer(x_t, t, label):
        times.append(t)
        return x_t / schedule.alpha_bar[t].sqrt()[:, None]

    cost = cost_at(Denoiser(answer, schedule), X_0, torch.tensor([log_snr, log_snr]).double(), seeded(3))
    eps = torch.randn(2, 3, generator=seeded(3), dtype=torch.float64)
    assert torch.allclose(cost, 0.5 * (eps**2).sum(dim=1), rtol=1e-9)
    assert times[0].tolist() == [int((schedule.log_snr[1:] - log_snr).abs().argmin()) + 1] * 2


@pytest.mark.parametrize("bad", [X_0 + 0.003, X_0 * 3])
def test_other_pixels_are_refused(bad):
    for refused in (lambda: bound(DATA.denoiser(cosine(5)), bad, few_levels()),
                    lambda: chain_bound(DATA.denoiser(cosine(5)), bad), lambda: grey_levels(bad)):
        with pytest.raises(ValueError, match="8-bit pixels"):
            refused()
    with pytest.raises(ValueError, match="steps must be a whole number"):
        bound(DATA.denoiser(cosine(5)), X_0, few_levels(), steps=0)
    with pytest.raises(ValueError, match="a denoiser is due here"):
        bound(cosine(5), X_0, few_levels())


# The table of average errors

def test_an_error_that_depends_on_the_answer_and_the_time_is_taken_off():
    prior, schedule = few_levels(), even(131)
    exact = of_pixels(prior, schedule)

    def off_by(x_0_hat, t):
        far = torch.as_tensor(t).expand(len(x_0_hat))[:, None] / 131
        return 0.3 * far * torch.cos(4 * x_0_hat)

    def answer(x_t, t, label):
        x_0_hat = exact(x_t, t)
        return x_0_hat + off_by(x_0_hat, t)

    x_0 = LEVEL[torch.multinomial(prior, 60_000, replacement=True, generator=seeded(1))].reshape(300, 200)
    wrong = Denoiser(answer, schedule)
    fitted = calibrated(wrong, x_0[:200], seeded(2))
    for t in (20, 50, 80, torch.arange(20, 120)):
        x_t = q_sample(x_0[200:], t, torch.randn(100, 200, generator=seeded(3), dtype=torch.float64), schedule)
        truth = exact(x_t, t)
        before, after = ((d(x_t, t) - truth).square().mean() for d in (wrong, fitted))
        assert after < 0.25 * before
    at_50 = q_sample(x_0[200:], 50, torch.randn(100, 200, generator=seeded(3), dtype=torch.float64), schedule)
    assert torch.equal(fitted(at_50, 50), fitted(at_50, torch.full((100,), 50)))
    assert fitted(at_50.float(), 50).dtype == torch.float32
    assert fitted(at_50, 50).abs().max() <= 1
    assert (bound(fitted, x_0[200:], prior, seeded(4)).total.mean()
            < bound(clipped(wrong), x_0[200:], prior, seeded(4)).total.mean())


def test_what_is_put_right_stays_within_the_range_of_pixels():
    schedule = even(20)
    short = Denoiser(lambda x_t, t, label: 0.9 + 0.005 * torch.sin(100 * x_t), schedule)  # the truth is 1
    fitted = calibrated(short, torch.ones(50, 50, dtype=torch.float64), seeded(0))
    x_0_hat = fitted(torch.randn(50, 50, generator=seeded(1), dtype=torch.float64), 10)
    assert x_0_hat.max() == 1
    assert x_0_hat.mean() == pytest.approx(1, abs=0.01)


def test_a_denoiser_that_is_right_is_left_nearly_as_it_is():
    prior, schedule = few_levels(), even(131)
    exact = of_pixels(prior, schedule)
    x_0 = LEVEL[torch.multinomial(prior, 60_000, replacement=True, generator=seeded(1))].reshape(300, 200)
    costs = [bound(d, x_0[200:], prior, seeded(4)).total.mean()
             for d in (exact, calibrated(exact, x_0[:200], seeded(2)))]
    assert 0 < costs[1] - costs[0] < 0.01


# The bound of the chain

@pytest.mark.parametrize("T", [1000, 2000, 57, 20, 2])
def test_strata_hold_each_time_from_2_to_T_once(T):
    assert [t for first, last in strata(T) for t in range(first, last + 1)] == list(range(2, T + 1))
    assert all(first == last for first, last in strata(T) if last <= 20), "the largest terms stand alone"


@pytest.mark.parametrize("edges", [[3, 5], [2, 2], [2, 9, 5], [1, 4]])
def test_edges_that_do_not_rise_from_2_are_refused(edges):
    with pytest.raises(ValueError, match="edges must rise strictly from 2, but got"):
        chain_bound(DATA.denoiser(cosine()), X_0, seeded(0), edges=edges)


def test_with_a_stratum_for_each_time_it_is_the_bound_itself():
    """Nothing is left to chance but the noise: both mean over much of it, for every part alike."""
    schedule, copies = cosine(40), 3000
    terms = elbo_terms(DATA.denoiser(schedule), X_0.repeat(copies, 1), decoder="discretised", generator=seeded(1))
    found = chain_bound(DATA.denoiser(schedule), X_0.repeat(copies, 1), seeded(2), edges=range(2, 41), group=2 * copies)
    assert torch.allclose(found.kl_prior[:2], bits_per_dim(kl_prior(X_0, schedule), 3), rtol=1e-12)

    def agree(ours, theirs):
        ours, theirs = ours.reshape(copies, 2), bits_per_dim(theirs, 3).reshape(copies, 2)
        error = ((ours.var(0) + theirs.var(0)) / copies).sqrt()
        return ((ours.mean(0) - theirs.mean(0)).abs() <= 4.5 * error + 1e-9).all()

    assert agree(found.nll_recon, terms.nll_recon)
    assert list(found.kl) == [(t, t) for t in range(2, 41)]
    assert all(agree(found.kl[t, t], terms.kl_t[:, t - 2]) for t in range(2, 41))
    assert torch.allclose(found.total, found.kl_prior + torch.stack([*found.kl.values()]).sum(0) + found.nll_recon)


@pytest.mark.parametrize("make", [cosine, linear])
def test_its_mean_over_draws_is_the_whole_bound(make):
    """Against all 200 terms of theory.elbo, to four standard errors; and these are small enough to tell."""
    schedule, copies, draws = make(200), 3000, 100
    terms = elbo_terms(DATA.denoiser(schedule), X_0.repeat(copies, 1), decoder="discretised", generator=seeded(1))
    kl_t = bits_per_dim(terms.kl_t, 3).reshape(copies, 2, -1)
    sums = kl_t.sum(dim=2) + bits_per_dim(terms.nll_recon, 3).reshape(copies, 2)
    truth = bits_per_dim(terms.kl_prior[:2], 3) + sums.mean(dim=0)
    found = chain_bound(DATA.denoiser(schedule), X_0.repeat(40 * draws, 1), seeded(0), group=80).total
    found = found.reshape(draws, 40, 2).mean(dim=1)
    error = (sums.var(dim=0) / copies + found.var(dim=0) / draws).sqrt()
    assert ((found.mean(dim=0) - truth).abs() < 4 * error).all()
    assert (4 * error < 0.05 * truth).all()
    assert (4 * error < kl_t[:, :, 28:].sum(dim=2).mean(dim=0)).all(), "a part that is left out would be seen"


def test_examples_of_one_group_share_their_times_and_the_standard_error_knows():
    times = []

    class Noting:
        schedule = cosine(30)

        def __call__(self, x_t, t, label=None):
            times.append(t)
            return DATA.denoiser(self.schedule)(x_t, t)

    found = chain_bound(Noting(), X_0.repeat(6, 1), seeded(0), edges=[2, 10, 20], group=4)
    assert len(times) == 3 * 4, "t = 1 and one time in each stratum, once for each group"
    assert times[::4] == [1] * 3
    assert all(first <= t <= last for k, t in enumerate(times) if k % 4
               for first, last in [[(2, 9), (10, 19), (20, 30)][k % 4 - 1]])
    assert len({*zip(*[iter(times)] * 4)}) > 1, "groups draw anew"
    times.clear()
    chain_bound(Noting(), X_0.repeat(20, 1), seeded(0), edges=[2, 4, 28], group=1)
    assert {2, 3, 28, 29, 30} <= set(times), "a stratum's first and last times have their turn"
    means = found.total.reshape(3, 4).mean(dim=1)
    assert found.standard_error == pytest.approx((means.std() / 3**0.5).item())
    assert math.isnan(chain_bound(Noting(), X_0, seeded(0), edges=[2]).standard_error)


def test_a_network_in_the_place_of_a_denoiser_is_refused_by_the_chains_bound_too():
    with pytest.raises(ValueError, match="a denoiser is due here"):
        chain_bound(torch.nn.Identity(), torch.full((2, 1, 2, 2), -1.0))


def test_the_chains_bound_is_given_for_each_example():
    found = chain_bound(DATA.denoiser(cosine(5)), X_0, seeded(0))
    assert found.total.dtype == torch.float64
    assert found.total.shape == (2,)


def test_the_committed_figures_have_as_many_terms():
    rows = results.read("likelihood")["rows"]
    assert [row["terms"] for row in rows.values()] == [len(strata(1000, EDGES)) + 2] * 2 + [30 + 2] * 3
    for row in rows.values():
        assert row["bpd"] == pytest.approx(row["kl_prior"] + row["kl"] + row["nll_recon"])
