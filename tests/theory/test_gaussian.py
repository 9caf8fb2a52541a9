"""The Gaussian density, products and KL, against scipy, torch, quadrature and a grid."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from torch.distributions import Normal, kl_divergence

from diffusion_lab.theory.gaussian import kl, log_prob, product

means, variances = st.floats(-20, 20), st.floats(0.01, 50)
steady = settings(deadline=None, derandomize=True)


@steady
@given(x=means, mean=means, var=variances)
def test_log_prob_is_scipys(x, mean, var):
    assert log_prob(x, mean, var).item() == pytest.approx(stats.norm.logpdf(x, mean, var**0.5), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("mean", "var"), [(0.0, 1.0), (-3.0, 0.04), (2.0, 9.0)])
def test_density_adds_up_to_one(mean, var):
    total, error = integrate.quad(lambda x: log_prob(x, mean, var).exp().item(), mean - 40 * var**0.5,
                                  mean + 40 * var**0.5, points=[mean])
    assert total == pytest.approx(1, abs=max(1e-10, 4 * error))


@pytest.mark.parametrize(("mean_1", "var_1", "mean_2", "var_2"), [(0, 1, 2, 1), (-1, 0.25, 3, 4), (5, 2, 5, 0.1)])
def test_product_is_what_multiplying_on_a_grid_gives(mean_1, var_1, mean_2, var_2):
    x = np.linspace(-30, 30, 200_001)
    density = stats.norm.pdf(x, mean_1, var_1**0.5) * stats.norm.pdf(x, mean_2, var_2**0.5)
    density /= density.sum()
    mean, var = product(mean_1, var_1, mean_2, var_2)
    assert mean.item() == pytest.approx((x * density).sum(), abs=1e-10)
    assert var.item() == pytest.approx(((x - mean.item()) ** 2 * density).sum(), abs=1e-10)


@steady
@given(mean_1=means, var_1=variances, mean_2=means, var_2=variances, x=means, y=means)
def test_product_is_proportional_to_both_factors(mean_1, var_1, mean_2, var_2, x, y):
    """log N_1 + log N_2 - log N differs by the same constant wherever it is measured."""
    mean, var = product(mean_1, var_1, mean_2, var_2)
    here, there = ([log_prob(at, mean_1, var_1).item(), log_prob(at, mean_2, var_2).item(),
                    -log_prob(at, mean, var).item()] for at in (x, y))
    assert sum(here) == pytest.approx(sum(there), abs=1e-12 * (1 + max(map(abs, here + there))))


@steady
@given(mean_p=means, var_p=variances, mean_q=means, var_q=variances)
def test_kl_is_torchs_and_never_negative(mean_p, var_p, mean_q, var_q):
    p, q = (Normal(torch.tensor(mean, dtype=torch.float64), torch.tensor(var, dtype=torch.float64).sqrt())
            for mean, var in ((mean_p, var_p), (mean_q, var_q)))
    given_kl = kl(mean_p, var_p, mean_q, var_q).item()
    assert given_kl == pytest.approx(kl_divergence(p, q).item(), rel=1e-10, abs=1e-12)
    assert given_kl >= -1e-14
    assert kl(mean_p, var_p, mean_p, var_p).item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(("mean_p", "var_p", "mean_q", "var_q"), [(0, 1, 1, 2), (3, 0.1, 0, 1), (-2, 4, 1, 0.5)])
def test_kl_is_the_mean_of_the_log_ratio(mean_p, var_p, mean_q, var_q):
    p, q = stats.norm(mean_p, var_p**0.5), stats.norm(mean_q, var_q**0.5)
    low, high = mean_p - 12 * var_p**0.5, mean_p + 12 * var_p**0.5
    expected, error = integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), low, high, points=[mean_p])
    assert kl(mean_p, var_p, mean_q, var_q).item() == pytest.approx(expected, abs=max(1e-9, 4 * error))


def test_they_work_elementwise_on_tensors():
    x, mean, var = torch.tensor([[0.5], [2.0]]), torch.tensor([0.0, 1.0, -1.0]), torch.tensor([1.0, 4.0, 0.25])
    for i in range(2):
        for j in range(3):
            one = x[i, 0].item(), mean[j].item(), var[j].item()
            assert log_prob(x, mean, var)[i, j].item() == pytest.approx(log_prob(*one).item(), rel=1e-14)
            assert kl(x, 3.0, mean, var)[i, j].item() == pytest.approx(kl(one[0], 3.0, *one[1:]).item(), rel=1e-14)
            both, single = product(x, 3.0, mean, var), product(one[0], 3.0, *one[1:])
            assert both[0][i, j].item() == pytest.approx(single[0].item(), rel=1e-14)
            assert both[1][j].item() == pytest.approx(single[1].item(), rel=1e-14)


@pytest.mark.parametrize("var", [2.0, torch.tensor(2.0), torch.tensor([2.0])])
def test_answers_are_float64_also_for_float32_data(var):
    x = torch.tensor([0.1, 123.456, -7.7])
    assert log_prob(x, 0.3, var).dtype == torch.float64
    assert kl(x, var, 0.3, 1.0).dtype == torch.float64
    assert product(x, var, 0.3, 1.0)[0].dtype == torch.float64
    assert log_prob(x, 0.3, var).numpy() == pytest.approx(
        stats.norm.logpdf(x.double().numpy(), 0.3, 2.0**0.5), rel=1e-12)
