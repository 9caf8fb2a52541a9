"""The mixture's density, score, samples, marginals and denoiser, against scipy, autograd, quadrature and sampling."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

steady = settings(deadline=None, derandomize=True)
both = pytest.mark.parametrize("make", [linear, cosine])
LINE = GaussianMixture([0.3, 0.5, 0.2], [[-2.0], [0.5], [1.8]], [0.04, 0.25, 0.01])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixture(d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.rand(4, generator=generator, dtype=torch.float64) + 0.1
    var = torch.rand(4, generator=generator, dtype=torch.float64) + 0.05
    return GaussianMixture(weight / weight.sum(), normal(4, d, seed=seed), var)


def joint_on_the_line(x, alpha_bar_t):
    """x_0 on a fine grid, and q(x_t = x given x_0) p(x_0) there, by scipy. For bells much wider than a grid cell,
    adding up the cells is as exact as floating point allows."""
    x_0 = np.linspace(-7, 7, 40_001)
    data = sum(w * stats.norm.pdf(x_0, m[0], v**0.5) for w, m, v in
               zip(LINE.weight.tolist(), LINE.mean.tolist(), LINE.var.tolist()))
    return x_0, stats.norm.pdf(x, alpha_bar_t**0.5 * x_0, (1 - alpha_bar_t) ** 0.5) * data


@pytest.mark.parametrize("d", [1, 2, 5])
@steady
@given(seed=st.integers(0, 10_000))
def test_log_prob_is_scipys(d, seed):
    gaussians, x = mixture(d, seed), 3 * normal(7, d, seed=seed + 1)
    parts = [np.log(w) + stats.multivariate_normal.logpdf(x.numpy(), m, v * np.eye(d)) for w, m, v in
             zip(gaussians.weight.tolist(), gaussians.mean.numpy(), gaussians.var.tolist())]
    assert gaussians.log_prob(x).numpy() == pytest.approx(special.logsumexp(parts, axis=0), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("d", [1, 2, 5])
@steady
@given(seed=st.integers(0, 10_000))
def test_score_is_the_gradient(d, seed):
    gaussians, x = mixture(d, seed), normal(7, d, seed=seed + 1).requires_grad_()
    gradient, = torch.autograd.grad(gaussians.log_prob(x).sum(), x)
    assert torch.allclose(gaussians.score(x.detach()), gradient, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("d", [1, 3])
def test_samples_have_the_moments_of_the_mixture(d):
    """E[x] = Σ w m and Cov = Σ w (m mᵀ + v I) - E E^T, within 4.5 standard errors; so has the share of each part."""
    gaussians, n = mixture(d, seed=5), 200_000
    x = gaussians.sample(n, torch.Generator().manual_seed(0))
    assert x.shape == (n, d)
    assert x.dtype == torch.float64
    w, m, v = gaussians.weight.numpy(), gaussians.mean.numpy(), gaussians.var.numpy()
    mean = w @ m
    covariance = np.einsum("k,ki,kj->ij", w, m, m) + (w @ v) * np.eye(d) - np.outer(mean, mean)
    assert np.all(abs(x.mean(dim=0).numpy() - mean) < 4.5 * np.sqrt(np.diag(covariance) / n))
    products = np.einsum("ni,nj->nij", x.numpy() - mean, x.numpy() - mean)
    assert np.all(abs(products.mean(axis=0) - covariance) < 4.5 * products.std(axis=0) / n**0.5)


def test_samples_come_from_each_component_as_often_as_its_weight_says():
    far = GaussianMixture([0.1, 0.2, 0.7], [[-100.0], [0.0], [100.0]], [1.0, 4.0, 0.25])
    x, n = far.sample(100_000, torch.Generator().manual_seed(1)).flatten(), 100_000
    for weight, mean, var in ((0.1, -100, 1), (0.2, 0, 4), (0.7, 100, 0.25)):
        mine = x[(x - mean).abs() < 50]
        assert abs(len(mine) - n * weight) < 4.5 * (n * weight * (1 - weight)) ** 0.5
        assert abs(mine.var().item() - var) < 4.5 * var * (2 / len(mine)) ** 0.5
        assert abs((mine < mean).double().mean().item() - 0.5) < 4.5 * 0.5 / len(mine) ** 0.5


def test_sampling_with_a_generator_repeats_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    first, second = (LINE.sample(10, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


@both
@pytest.mark.parametrize("t", [1, 40, 80, 100])
@pytest.mark.parametrize("x", [-1.9, 0.2, 2.5])
def test_marginal_is_the_integral_over_the_data(make, t, x):
    """q(x_t) = ∫ q(x_t given x_0) p(x_0) dx_0, by quadrature."""
    schedule, at = make(100), torch.tensor([[x]], dtype=torch.float64)
    x_0, joint = joint_on_the_line(x, schedule.alpha_bar[t].item())
    expected = integrate.trapezoid(joint, x_0)
    assert LINE.marginal(t, schedule).log_prob(at).exp().item() == pytest.approx(expected, rel=1e-9)


@both
@steady
@given(t=st.integers(1, 50), seed=st.integers(0, 10_000))
def test_marginal_by_many_single_steps(make, t, seed):
    """Means shrink by √(1-β) and variances become (1-β) v + β at each step, t times."""
    schedule, gaussians = make(50), mixture(2, seed)
    mean, var = gaussians.mean, gaussians.var
    for i in range(1, t + 1):
        mean, var = (1 - schedule.beta[i]).sqrt() * mean, (1 - schedule.beta[i]) * var + schedule.beta[i]
    marginal = gaussians.marginal(t, schedule)
    assert torch.allclose(marginal.mean, mean, rtol=1e-12, atol=0)
    assert torch.allclose(marginal.var, var, rtol=1e-12, atol=0)
    assert torch.allclose(marginal.weight, gaussians.weight, rtol=1e-14)


def test_marginal_at_time_0_is_the_data():
    at_0 = LINE.marginal(0, cosine())
    assert torch.equal(at_0.mean, LINE.mean)
    assert torch.equal(at_0.var, LINE.var)


def test_noised_samples_follow_the_marginal():
    """The distribution function of a million jumps, at five places, within 4.5 standard errors."""
    schedule, n, t = linear(100), 1_000_000, 30
    x_0 = LINE.sample(n, torch.Generator().manual_seed(0))
    x_t = q_sample(x_0, t, normal(n, 1, seed=1), schedule).flatten()
    marginal = LINE.marginal(t, schedule)
    for x in (-2.0, -1.0, 0.0, 0.7, 1.5):
        below = sum(w * stats.norm.cdf(x, m[0], v**0.5) for w, m, v in
                    zip(marginal.weight.tolist(), marginal.mean.tolist(), marginal.var.tolist()))
        assert abs((x_t < x).double().mean().item() - below) < 4.5 * (below * (1 - below) / n) ** 0.5


@both
@pytest.mark.parametrize("t", [1, 10, 50, 90, 100])
@pytest.mark.parametrize("x", [-2.1, 0.0, 1.2, 3.0])
def test_denoiser_is_the_mean_of_the_data_given_x_t(make, t, x):
    """E[x_0 given x_t] = ∫ x_0 q(x_t given x_0) p(x_0) dx_0 / ∫ q(x_t given x_0) p(x_0) dx_0, by quadrature."""
    schedule, at = make(100), torch.tensor([[x]], dtype=torch.float64)
    x_0, joint = joint_on_the_line(x, schedule.alpha_bar[t].item())
    expected = integrate.trapezoid(x_0 * joint, x_0) / integrate.trapezoid(joint, x_0)
    assert LINE.denoiser(schedule)(at, t).item() == pytest.approx(expected, abs=1e-9)


@both
@steady
@given(t=st.integers(1, 1000), seed=st.integers(0, 10_000))
def test_denoiser_is_tweedies_formula(make, t, seed):
    """E[x_0 given x_t] = (x_t + (1-ᾱ_t) ∇log q(x_t))/√ᾱ_t, with the score of the marginal."""
    schedule, gaussians, x_t = make(), mixture(2, seed), normal(9, 2, seed=seed + 1)
    a = schedule.alpha_bar[t]
    tweedie = (x_t + (1 - a) * gaussians.marginal(t, schedule).score(x_t)) / a.sqrt()
    assert torch.allclose(gaussians.denoiser(schedule)(x_t, t), tweedie, rtol=1e-9, atol=1e-13 / a.sqrt().item())


@both
@steady
@given(T=st.integers(1, 1000), mean=st.floats(-3, 3), var=st.floats(0.01, 4), x=st.floats(-3, 3), data=st.data())
def test_denoiser_of_one_gaussian_is_a_straight_line(make, T, mean, var, x, data):
    """Two noisy views of x_0, the prior N(m, v) and x_t/√ᾱ_t of variance 1/SNR, weighed by their precisions."""
    t, schedule = data.draw(st.integers(1, T)), make(T)
    snr, a = schedule.snr[t].item(), schedule.alpha_bar[t].item()
    expected = (mean / var + snr * x / a**0.5) / (1 / var + snr)
    denoiser = GaussianMixture([1.0], [[mean]], [var]).denoiser(schedule)
    assert denoiser(torch.tensor([[x]], dtype=torch.float64), t).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@both
@pytest.mark.parametrize("t", [1, 300, 999])
def test_denoiser_of_points_is_their_weighted_average(make, t):
    """With v = 0 the mixture is a finite data set: weigh its points by exp(-|x_t - √ᾱ_t m|²/(2(1-ᾱ_t)))."""
    points, weight, x_t = normal(5, 3).numpy(), np.array([0.1, 0.2, 0.3, 0.3, 0.1]), normal(4, 3, seed=1)
    schedule = make()
    a = schedule.alpha_bar[t].item()
    distance = ((x_t.numpy()[:, None] - a**0.5 * points) ** 2).sum(axis=2)
    share = special.softmax(np.log(weight) - distance / (2 * (1 - a)), axis=1)
    data = GaussianMixture(weight, points, np.zeros(5))
    assert data.denoiser(schedule)(x_t, t).numpy() == pytest.approx(share @ points, rel=1e-9, abs=1e-11)
    sample = data.sample(50, torch.Generator().manual_seed(0)).numpy()
    assert (sample[:, None] == points).all(axis=2).any(axis=1).all(), "samples are the points themselves"


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_denoiser_keeps_shape_and_dtype_and_reads_each_examples_time(shape, dtype):
    d = int(np.prod(shape[1:]))
    gaussians, schedule, x_t = mixture(d), cosine(), normal(*shape).to(dtype)
    denoiser, t = gaussians.denoiser(schedule), torch.tensor([1, 20, 700, 1000])
    x_0_hat = denoiser(x_t, t)
    assert x_0_hat.shape == shape
    assert x_0_hat.dtype == dtype
    rounding = {torch.float32: 1e-6, torch.float64: 1e-12}[dtype]
    for i in range(4):
        alone = denoiser(x_t[i].double().reshape(1, d), t[i].item())
        assert torch.allclose(x_0_hat[i].double().flatten(), alone.flatten(), rtol=rounding)
    assert denoiser.schedule is schedule


def test_near_points_are_told_apart_far_from_the_origin():
    """Forty points, a hundredth from a centre at 1e6: |x|² + |m|² - 2 x m would lose the distance to rounding."""
    x = 1e6 + 0.01 * normal(40, 1)
    far = GaussianMixture([1.0], [[1e6]], [1e-4])
    assert far.log_prob(x).numpy() == pytest.approx(stats.norm.logpdf(x[:, 0].numpy(), 1e6, 0.01), abs=1e-6)


def test_far_away_everything_stays_finite():
    x = torch.tensor([[1e5], [-1e5]])
    nearest = torch.tensor([[1.8], [-2.0]])
    assert torch.isfinite(LINE.log_prob(x)).all()
    assert torch.isfinite(LINE.score(x)).all()
    assert torch.isfinite(LINE.denoiser(cosine())(x, 1000)).all()
    points = GaussianMixture(LINE.weight, LINE.mean, torch.zeros(3))
    assert torch.allclose(points.denoiser(cosine())(x.double(), 1), nearest.double())


def test_weights_in_float32_are_welcome():
    weight = torch.full((3,), 1 / 3)
    assert GaussianMixture(weight, LINE.mean, LINE.var).weight.sum().item() == pytest.approx(1, abs=1e-15)
