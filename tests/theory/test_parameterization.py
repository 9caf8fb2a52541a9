"""ε, v, x_0 and the score say one thing: each is defined here anew, and all conversions must agree."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal

from diffusion_lab.theory import parameterization as convert
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

steady = settings(deadline=None, derandomize=True)
both = pytest.mark.parametrize("make", [linear, cosine])
TO_X_0 = {"eps": convert.x_0_from_eps, "v": convert.x_0_from_v, "score": convert.x_0_from_score}
FROM_X_0 = {"eps": convert.eps_from_x_0, "v": convert.v_from_x_0, "score": convert.score_from_x_0}


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def four_ways(x_0, t, eps, schedule):
    """x_t, and the three others at (x_0, ε), from their definitions.

    With cos φ = √ᾱ_t, noising is a rotation of the complex number x_0 + iε by -φ: it becomes x_t + iv. The score is
    the gradient of log q(x_t given x_0), by automatic differentiation.
    """
    alpha_bar_t = schedule.alpha_bar[t]
    phi = torch.atan2((1 - alpha_bar_t).sqrt(), alpha_bar_t.sqrt())
    rotated = torch.polar(torch.ones_like(phi), -phi) * torch.complex(x_0, eps)
    x_t, v = rotated.real, rotated.imag
    x = x_t.clone().requires_grad_()
    Normal(alpha_bar_t.sqrt() * x_0, (1 - alpha_bar_t).sqrt()).log_prob(x).sum().backward()
    return x_t, {"eps": eps, "v": v, "score": x.grad}


@both
@steady
@given(T=st.integers(1, 1000), data=st.data())
def test_conversions_agree_with_the_definitions(make, T, data):
    t, schedule = data.draw(st.integers(1, T)), make(T)
    x_0, eps = normal(6, 2), normal(6, 2, seed=1)
    x_t, others = four_ways(x_0, t, eps, schedule)
    assert torch.allclose(x_t, q_sample(x_0, t, eps, schedule), rtol=1e-12, atol=1e-12)
    # Dividing by √ᾱ_t on the way to x_0, or by √(1-ᾱ_t) on the way from it, magnifies rounding, and no more than that.
    signal, noise = schedule.alpha_bar[t].sqrt().item(), (1 - schedule.alpha_bar[t]).sqrt().item()
    for name, value in others.items():
        error_in = (TO_X_0[name](x_t, value, t, schedule) - x_0).abs().max().item()
        assert error_in < 1e-13 / signal, name
        error_out = (FROM_X_0[name](x_t, x_0, t, schedule) - value).abs().max().item()
        assert error_out < 1e-13 / noise**2, name


@both
@pytest.mark.parametrize("name", TO_X_0)
@steady
@given(data=st.data())
def test_round_trips(make, name, data):
    T = data.draw(st.integers(1, 1000))
    t, schedule = data.draw(st.integers(1, T)), make(T)
    x_t, value = normal(5), normal(5, seed=1)
    there = TO_X_0[name](x_t, value, t, schedule)
    back = FROM_X_0[name](x_t, there, t, schedule)
    # The score is ε/√(1-ᾱ_t): on its way it is multiplied by 1-ᾱ_t, and the rounding is divided by it on the way back.
    assert torch.allclose(back, value, rtol=1e-10, atol=1e-14 / (1 - schedule.alpha_bar[t].item()))


@pytest.mark.parametrize("name", TO_X_0)
def test_at_time_0_the_data_is_there_already(name):
    x, anything = normal(4, 3), normal(4, 3, seed=1)
    assert torch.equal(TO_X_0[name](x, anything, 0, linear()), x)


@pytest.mark.parametrize("function", [*TO_X_0.values(), *FROM_X_0.values()])
def test_each_example_has_its_own_time_and_float32_is_rounded_once(function):
    schedule, t = cosine(), torch.tensor([1, 400, 1000])
    x, value = normal(3, 1, 2, 2).float(), normal(3, 1, 2, 2, seed=1).float()
    together = function(x, value, t, schedule)
    assert together.dtype == torch.float32
    assert together.shape == x.shape
    for i in range(3):
        alone = function(x[i : i + 1].double(), value[i : i + 1].double(), t[i].item(), schedule)
        assert torch.equal(together[i : i + 1], alone.float())


@both
@pytest.mark.parametrize("t", [1, 250, 700, 1000])
def test_tweedie_by_automatic_differentiation(make, t):
    """From the gradient of log q(x_t) to E[x_0 given x_t], without the package's own score."""
    schedule = make()
    mixture = GaussianMixture([0.2, 0.5, 0.3], normal(3, 2), [0.1, 0.02, 0.3])
    x_t = normal(20, 2, seed=1).requires_grad_()
    score, = torch.autograd.grad(mixture.marginal(t, schedule).log_prob(x_t).sum(), x_t)
    x_t = x_t.detach()
    x_0_hat = convert.x_0_from_score(x_t, score, t, schedule)
    assert torch.allclose(x_0_hat, mixture.denoiser(schedule)(x_t, t), rtol=1e-9, atol=1e-9)
    assert torch.allclose(convert.score_from_x_0(x_t, x_0_hat, t, schedule), score, rtol=1e-9, atol=1e-9)
