"""The bound from some of its terms is that of all terms, without bias: each time is in one stratum; the sum fits."""

import math

import pytest
import torch

from diffusion_lab.evaluation.likelihood import EDGES, bound, strata
from diffusion_lab.results import files as results
from diffusion_lab.theory.elbo import bits_per_dim, elbo_terms, kl_prior
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

DATA = GaussianMixture([0.6, 0.4], [[-0.8, 0.2, 0.5], [0.4, -0.5, 0.9]], [0.05, 0.02])
X_0 = (torch.tensor([[10, 200, 130], [180, 60, 250]]) / 127.5 - 1).double()  # pixels: two examples of three


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("T", [1000, 2000, 57, 20, 2])
def test_strata_hold_each_time_from_2_to_T_once(T):
    assert [t for first, last in strata(T) for t in range(first, last + 1)] == list(range(2, T + 1))
    assert all(first == last for first, last in strata(T) if last <= 20), "the largest terms stand alone"


@pytest.mark.parametrize("edges", [[3, 5], [2, 2], [2, 9, 5], [1, 4]])
def test_edges_that_do_not_rise_from_2_are_refused(edges):
    with pytest.raises(ValueError, match="edges must rise strictly from 2, but got"):
        bound(DATA.denoiser(cosine()), X_0, seeded(0), edges=edges)


def test_with_a_stratum_for_each_time_it_is_the_bound_itself():
    """Nothing is left to chance but the noise: both mean over much of it, for every part alike."""
    schedule, copies = cosine(40), 3000
    terms = elbo_terms(DATA.denoiser(schedule), X_0.repeat(copies, 1), decoder="discretised", generator=seeded(1))
    found = bound(DATA.denoiser(schedule), X_0.repeat(copies, 1), seeded(2), edges=range(2, 41), group=2 * copies)
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
    found = bound(DATA.denoiser(schedule), X_0.repeat(40 * draws, 1), seeded(0), group=80).total
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

    found = bound(Noting(), X_0.repeat(6, 1), seeded(0), edges=[2, 10, 20], group=4)
    assert len(times) == 3 * 4, "t = 1 and one time in each stratum, once for each group"
    assert times[::4] == [1] * 3
    assert all(first <= t <= last for k, t in enumerate(times) if k % 4
               for first, last in [[(2, 9), (10, 19), (20, 30)][k % 4 - 1]])
    assert len({*zip(*[iter(times)] * 4)}) > 1, "groups draw anew"
    times.clear()
    bound(Noting(), X_0.repeat(20, 1), seeded(0), edges=[2, 4, 28], group=1)
    assert {2, 3, 28, 29, 30} <= set(times), "a stratum's first and last times have their turn"
    means = found.total.reshape(3, 4).mean(dim=1)
    assert found.standard_error == pytest.approx((means.std() / 3**0.5).item())
    assert math.isnan(bound(Noting(), X_0, seeded(0), edges=[2]).standard_error)


def test_bits_per_dimension_of_pictures_and_other_pixels_refused():
    denoiser = DATA.denoiser(cosine(5))
    with pytest.raises(ValueError, match="8-bit pixels"):
        bound(denoiser, X_0 + 0.003, seeded(0))
    found = bound(denoiser, X_0, seeded(0))
    assert found.total.dtype == torch.float64
    assert found.total.shape == (2,)


def test_the_committed_figures_have_as_many_terms():
    assert results.read("likelihood")["terms"] == len(strata(1000, EDGES)) + 2
