"""Mixtures with full covariances, and the posterior of x_0 given x_t: against scipy, a grid, autograd and sampling."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samplers import SAMPLERS, seeded
from scipy import special, stats
from torch.autograd.functional import hessian, jacobian

from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import FullMixture, GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

steady = settings(deadline=None, derandomize=True, max_examples=40)
both = pytest.mark.parametrize("make", [linear, cosine])
PAIR = [[1.0, 0.8], [0.8, 1.0]]  # a correlation of 0.8
CROSS = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [0.6, -0.2]], [PAIR, [[0.5, -0.35], [-0.35, 0.4]]])
ROUND = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [0.6, -0.2]], [0.3, 0.6])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def mixture(d, seed=0, K=3):
    """K components with random axes and with widths from 0.2 to 1.5."""
    generator = seeded(seed)
    weight = torch.rand(K, generator=generator, dtype=torch.float64) + 0.1
    axes = torch.linalg.qr(torch.randn(K, d, d, generator=generator, dtype=torch.float64)).Q
    width = 0.2 + 1.3 * torch.rand(K, 1, d, generator=generator, dtype=torch.float64)
    return GaussianMixture(weight / weight.sum(), normal(K, d, seed=seed), (axes * width**2) @ axes.mT)


def close(a, b, tolerance=1e-9):
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("d", [1, 2, 5])
@steady
@given(seed=st.integers(0, 10_000))
def test_log_prob_is_scipys_and_the_score_its_gradient(d, seed):
    full, x = mixture(d, seed), 2 * normal(7, d, seed=seed + 1).requires_grad_()
    points = x.detach().numpy()
    parts = [np.log(w) + stats.multivariate_normal.logpdf(points, m, C) for w, m, C in
             zip(full.weight.tolist(), full.mean.numpy(), full.var.numpy())]
    log_prob = full.log_prob(x)
    assert log_prob.detach().numpy() == pytest.approx(special.logsumexp(parts, axis=0), rel=1e-10, abs=1e-10)
    gradient, = torch.autograd.grad(log_prob.sum(), x)
    assert close(full.score(x.detach()), gradient)


@both
def test_covariances_that_are_round_are_the_same_as_variances(make):
    schedule, var, x = make(), torch.tensor([0.3, 0.0, 0.7], dtype=torch.float64), normal(4, 5)
    mean, weight = normal(3, 5, seed=1), [0.2, 0.5, 0.3]
    one = GaussianMixture(weight, mean, var)
    other = GaussianMixture(weight, mean, var[:, None, None] * torch.eye(5))
    assert (type(one), type(other)) == (GaussianMixture, FullMixture)
    assert close(one.sample(20, seeded(1)), other.sample(20, seeded(1)), 1e-14)
    for t in (1, 300, 1000, torch.tensor([1, 20, 700, 999])):
        assert close(one.denoiser(schedule)(x, t), other.denoiser(schedule)(x, t), 1e-12)
        assert all(close(a, b, 1e-12) for a, b in zip(one.posterior(x, t, schedule), other.posterior(x, t, schedule)))
    one, other = one.marginal(40, schedule), other.marginal(40, schedule)
    assert close(one.log_joint(x), other.log_joint(x), 1e-11)
    assert close(one.score(x), other.score(x), 1e-11)


def test_samples_have_the_moments_of_the_mixture():
    """E[x] = Σ w m and Cov = Σ w (m mᵀ + C) - E Eᵀ, within 4.5 standard errors, and so for each component alone."""
    apart = GaussianMixture([0.2, 0.8], [[-50.0, 0.0, 0.0], [50.0, 0.0, 0.0]], mixture(3, seed=5, K=2).var)
    for full in (mixture(3, seed=5), apart):
        n = 200_000
        x = full.sample(n, seeded()).numpy()
        w, m, C = full.weight.numpy(), full.mean.numpy(), full.var.numpy()
        mean = w @ m
        covariance = np.einsum("k,kij->ij", w, np.einsum("ki,kj->kij", m, m) + C) - np.outer(mean, mean)
        assert np.all(abs(x.mean(axis=0) - mean) < 4.5 * np.sqrt(np.diag(covariance) / n))
        products = np.einsum("ni,nj->nij", x - mean, x - mean)
        assert np.all(abs(products.mean(axis=0) - covariance) < 4.5 * products.std(axis=0) / n**0.5)
    for k, mine in enumerate((x[x[:, 0] < 0], x[x[:, 0] > 0])):
        products = np.einsum("ni,nj->nij", mine - m[k], mine - m[k])
        assert np.all(abs(products.mean(axis=0) - C[k]) < 4.5 * products.std(axis=0) / len(mine) ** 0.5)


@both
def test_marginal_by_single_steps_and_by_sampling(make):
    """(1-β) C + β I at each step; and the share of noisy samples on one side of a line, within 4.5 standard errors."""
    schedule, n, t = make(50), 200_000, 20
    mean, var, one = CROSS.mean, CROSS.var, torch.eye(2, dtype=torch.float64)
    for beta in schedule.beta[1 : t + 1]:
        mean, var = (1 - beta).sqrt() * mean, (1 - beta) * var + beta * one
    marginal = CROSS.marginal(t, schedule)
    assert close(marginal.mean, mean, 1e-12)
    assert close(marginal.var, var, 1e-12)
    x_t = q_sample(CROSS.sample(n, seeded()), t, normal(n, 2, seed=1), schedule)
    for angle in (0.3, 0.8, 2.4):
        across = torch.tensor([np.cos(angle), np.sin(angle)])
        scale = (across @ var @ across).sqrt()
        for place in (-0.8, 0.1, 0.9):
            below = (marginal.weight * torch.special.ndtr((place - mean @ across) / scale)).sum().item()
            found = (x_t @ across < place).double().mean().item()
            assert abs(found - below) < 4.5 * (below * (1 - below) / n) ** 0.5
    assert torch.equal(CROSS.marginal(0, schedule).var, CROSS.var)


def on_a_grid(data, alpha_bar_t, x_t):
    """Mean and covariance of p(x_0) q(x_t given x_0), by adding up 601² cells, with scipy's densities."""
    line = np.linspace(-9, 9, 601)
    x_0 = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    covariances = data.var.numpy() if data.var.ndim == 3 else data.var.numpy()[:, None, None] * np.eye(2)
    density = sum(w * stats.multivariate_normal.pdf(x_0, m, C) for w, m, C in
                  zip(data.weight.tolist(), data.mean.numpy(), covariances))
    density *= stats.multivariate_normal.pdf(x_t - alpha_bar_t**0.5 * x_0, np.zeros(2), (1 - alpha_bar_t) * np.eye(2))
    share = density / density.sum()
    mean = np.einsum("ab,abi->i", share, x_0)
    return mean, np.einsum("ab,abi,abj->ij", share, x_0 - mean, x_0 - mean)


@both
@pytest.mark.parametrize("data", [CROSS, ROUND], ids=["correlated", "round"])
@pytest.mark.parametrize("t", [8, 40, 100])
def test_posterior_is_the_mean_and_covariance_on_a_grid(make, data, t):
    schedule, x_t = make(100), torch.tensor([[-0.4, 0.9], [0.0, 0.1], [2.0, 1.0]], dtype=torch.float64)
    mean, covariance = data.posterior(x_t, t, schedule)
    assert (mean.shape, covariance.shape) == ((3, 2), (3, 2, 2))
    for i in range(3):
        expected_mean, expected_covariance = on_a_grid(data, schedule.alpha_bar[t].item(), x_t[i].numpy())
        assert mean[i].numpy() == pytest.approx(expected_mean, abs=1e-9)
        assert covariance[i].numpy() == pytest.approx(expected_covariance, abs=1e-9)


@both
@pytest.mark.parametrize("data", [mixture(3), mixture(1), GaussianMixture([0.5, 0.5], normal(2, 3), [0.2, 0.0])],
                         ids=["full", "full in one dimension", "round, and a point"])
@pytest.mark.parametrize("t", [1, 30, 500, 900])
def test_posterior_by_automatic_differentiation(make, data, t):
    """Differentiate Tweedie's formula: E[x_0] = (x + (1-ᾱ) ∇log q)/√ᾱ has the Jacobian (I + (1-ᾱ) ∇∇log q)/√ᾱ.

    On the other hand, d/dx of ∫ x_0 q(x given x_0) p / ∫ q(x given x_0) p is √ᾱ/(1-ᾱ) Cov[x_0 given x]. So
    Cov = (1-ᾱ)/√ᾱ dE/dx = (1-ᾱ)/ᾱ (I + (1-ᾱ) ∇∇log q).
    """
    schedule = make()
    a, q = schedule.alpha_bar[t], data.marginal(t, schedule)
    x_t = q.sample(4, seeded(3))
    mean, covariance = data.posterior(x_t, t, schedule)
    assert close(mean, data.denoiser(schedule)(x_t, t), 1e-12)
    for x, found in zip(x_t, covariance):
        slope = jacobian(lambda x: data.expected_x_0(x[None], t, schedule)[0], x)
        if isinstance(data, FullMixture):
            curvature = hessian(lambda x: q.log_prob(x[None])[0], x)
        else:  # PyTorch differentiates its distances once
            curvature = jacobian(lambda x: q.score(x[None])[0], x)
        tolerance = 1e-14 / a.item() ** 1.5 + 1e-11
        assert torch.allclose(found, (1 - a) / a.sqrt() * slope, rtol=1e-8, atol=tolerance)
        second = (1 - a) / a * (torch.eye(len(x)) + (1 - a) * curvature)
        assert torch.allclose(found, second, rtol=1e-8, atol=tolerance)


def test_posterior_reads_each_examples_time_and_any_shape():
    full, schedule, t = mixture(6), cosine(), torch.tensor([1, 20, 700, 1000])
    x_t = normal(4, 1, 2, 3)
    mean, covariance = full.posterior(x_t, t, schedule)
    for i in range(4):
        alone = full.posterior(x_t[i].reshape(1, 6), t[i].item(), schedule)
        assert close(mean[i], alone[0][0], 1e-11)
        assert close(covariance[i], alone[1][0], 1e-11)
    x_0_hat = full.denoiser(schedule)(x_t.float(), t)
    assert (x_0_hat.shape, x_0_hat.dtype) == (x_t.shape, torch.float32)
    assert close(x_0_hat.double().flatten(1), mean, 1e-4)


@pytest.mark.parametrize("name", ["ddim 0.0", "dpm_solver"])
def test_samplers_without_noise_treat_each_axis_alone(name):
    """One Gaussian, correlated: its samples are those of two independent coordinates, along its axes."""
    turn = torch.linalg.qr(normal(2, 2)).Q
    variances, x_T, schedule = torch.tensor([1.9, 0.1], dtype=torch.float64), normal(6, 2, seed=2), cosine()
    full = GaussianMixture([1.0], [[0.3, -0.5]], (turn * variances) @ turn.T[None])
    sample = last(SAMPLERS[name](full.denoiser(schedule), x_T, spaced(1000, 20)))
    for k in range(2):
        alone = GaussianMixture([1.0], [[full.mean[0] @ turn[:, k]]], variances[k : k + 1]).denoiser(schedule)
        expected = last(SAMPLERS[name](alone, (x_T @ turn)[:, k : k + 1], spaced(1000, 20)))
        assert close((sample @ turn)[:, k : k + 1], expected)


@pytest.mark.parametrize("name", SAMPLERS)
def test_noise_becomes_a_correlated_mixture(name):
    """Mean and covariance of 5,000 samples: 5 standard errors, and 2 % because 100 steps are not infinitely many."""
    n = 5000
    x = last(SAMPLERS[name](CROSS.denoiser(cosine()), normal(n, 2, seed=4), spaced(1000, 100), generator=seeded(5)))
    truth = CROSS.sample(500_000, seeded(6)).T
    products = torch.einsum("ni,nj->nij", x - x.mean(dim=0), x - x.mean(dim=0))
    assert torch.all((x.mean(dim=0) - truth.mean(dim=1)).abs() < 5 * (truth.var(dim=1) / n).sqrt() + 0.02)
    assert torch.all((products.mean(dim=0) - truth.cov()).abs() < 5 * products.std(dim=0) / n**0.5 + 0.02)


def test_a_covariance_may_be_flat():
    """A plane in three dimensions: it has samples, a denoiser and a posterior, but no density before noise is added."""
    spread = torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
    normal_to_it = torch.linalg.cross(*spread)
    flat = GaussianMixture([1.0], [[0.1, 0.2, 0.3]], (spread.T @ spread)[None])
    x, schedule = normal(5, 3), cosine()
    assert (flat.var_along > 0).sum() == 2
    assert ((flat.sample(100, seeded()) - flat.mean) @ normal_to_it).abs().max() < 1e-12
    mean, covariance = flat.posterior(x, 400, schedule)
    assert ((mean - flat.mean) @ normal_to_it).abs().max() < 1e-12
    assert (covariance @ normal_to_it).abs().max() < 1e-12
    thick = GaussianMixture([1.0], flat.mean, flat.var + 1e-9 * torch.eye(3))
    assert close(mean, thick.denoiser(schedule)(x, 400), 1e-7)
    assert torch.isfinite(flat.marginal(1, schedule).log_prob(x)).all()
    with pytest.raises(ValueError, match="variance 0 has no density"):
        flat.log_prob(x)
    points = GaussianMixture([0.5, 0.5], normal(2, 3), torch.zeros(2, 3, 3))
    assert close(points.denoiser(schedule)(points.mean, 1), points.mean)


def test_float32_covariances_are_welcome():
    """Of 4 points in 30 dimensions: 27 eigenvalues are 0, which float32 misses a little, on either side."""
    var = torch.cov(torch.randn(30, 4, generator=seeded()))[None]
    assert torch.linalg.eigvalsh(var.double()).min() < 0
    assert (GaussianMixture([1.0], torch.zeros(1, 30), var).var_along >= 0).all()


@pytest.mark.parametrize("var", [torch.tensor([PAIR], dtype=torch.float64), torch.ones(1, dtype=torch.float64)])
def test_a_mixture_keeps_tables_of_its_own_and_can_be_copied(var):
    weight, mean = torch.ones(1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    one = GaussianMixture(weight, mean, var)
    before = one.denoiser(cosine())(normal(3, 2), 500)
    for table in (weight, mean, var):
        table.fill_(7)
    for same in (one, copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert type(same) is type(one)
        assert torch.equal(same.denoiser(cosine())(normal(3, 2), 500), before)
