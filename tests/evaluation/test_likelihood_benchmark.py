"""benchmarks/likelihood.py estimates the bound without bias: each time is in one stratum, and the sum fits."""

import importlib.util
import json

import pytest
import torch
from course import ROOT

from diffusion_lab.theory.elbo import elbo_terms, kl_prior
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear
from diffusion_lab.training.pretrained import SHIPPED

DATA = GaussianMixture([0.6, 0.4], [[-0.8, 0.2, 0.5], [0.4, -0.5, 0.9]], [0.05, 0.02])
X_0 = (torch.tensor([[10, 200, 130], [180, 60, 250]]) / 127.5 - 1).double()  # pixels: two examples of three


@pytest.fixture(scope="module")
def likelihood():
    spec = importlib.util.spec_from_file_location("likelihood", ROOT / "benchmarks" / "likelihood.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_strata_hold_each_time_from_2_to_T_once(likelihood):
    assert [t for first, last in likelihood.strata() for t in range(first, last + 1)] == list(range(2, 1001))


def exact_terms(schedule):
    """Each example's kl_prior, kl_t and nll_recon, means over the noise, and the standard error of their sum."""
    copies = 1500
    terms = elbo_terms(DATA.denoiser(schedule), X_0.repeat(copies, 1), decoder="discretised",
                       generator=torch.Generator().manual_seed(1))
    kl_t, recon = (part.reshape(copies, 2, -1) for part in (terms.kl_t, terms.nll_recon))
    error = (kl_t.sum(dim=2) + recon[..., 0]).std(dim=0) / copies**0.5
    return terms.kl_prior[:2], kl_t.mean(dim=0), recon.mean(dim=(0, 2)), error


@pytest.mark.parametrize("make", [cosine, linear])
def test_its_mean_over_draws_is_the_whole_bound(likelihood, make):
    """Against all 1,000 terms of theory.elbo, to four standard errors; and these are small enough to tell."""
    schedule, generator, copies, draws = make(), torch.Generator().manual_seed(0), 50, 60
    prior, kl_t, recon, error = exact_terms(schedule)
    truth = prior + kl_t.sum(dim=1) + recon
    found = torch.stack([likelihood.bound(DATA.denoiser(schedule), X_0.repeat(copies, 1), generator)
                         .reshape(copies, 2).mean(dim=0) for _ in range(draws)])
    error = (error**2 + found.var(dim=0) / draws).sqrt()
    assert ((found.mean(dim=0) - truth).abs() < 4 * error).all()
    assert (4 * error < 0.05 * truth).all()
    assert (4 * error < kl_t[:, 199:].sum(dim=1)).all(), "a part that is left out would be seen"


def test_with_a_stratum_for_each_time_it_is_the_bound_itself(likelihood, monkeypatch):
    """Nothing is left to chance but the noise, which both draw from one generator in one order but for t = 1."""
    monkeypatch.setattr(likelihood, "strata", lambda: [(t, t) for t in range(2, 1001)])
    noise = iter(torch.randn(1000, *X_0.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    same = [next(noise) for _ in range(1000)]

    def drawn(shape, **_):
        return next(noise)

    monkeypatch.setattr(torch, "randn", drawn)
    noise = iter(same)
    found = likelihood.bound(DATA.denoiser(cosine()), X_0, torch.Generator())
    noise = iter(same)
    terms = elbo_terms(DATA.denoiser(cosine()), X_0, decoder="discretised")
    assert torch.allclose(found, terms.kl_prior + terms.kl_t.sum(dim=1) + terms.nll_recon, rtol=1e-12)
    assert torch.equal(terms.kl_prior, kl_prior(X_0, cosine()))


def test_the_committed_figures_are_of_the_shipped_weights(likelihood):
    facts = json.loads(likelihood.FILE.read_text(encoding="utf-8"))
    assert facts["weights"] == json.loads((SHIPPED["mnist"] / "checkpoint.json").read_text(encoding="utf-8"))["sha256"]
    assert facts["terms"] == len(likelihood.strata()) + 2
