"""One step back with the data known: Bayes' rule, conservation of the marginals, and the choice of variance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from diffusion_lab.theory.forward import q_sample, q_step
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var
from diffusion_lab.theory.schedule import cosine, linear

steady = settings(deadline=None, derandomize=True, max_examples=200)
both = pytest.mark.parametrize("make", [linear, cosine])
unit = st.floats(-3, 3)


@st.composite
def steps(draw, earliest=0):
    """(T, t, s) with earliest <= s < t <= T."""
    T = draw(st.integers(earliest + 1, 1000))
    s = draw(st.integers(earliest, T - 1))
    return T, draw(st.integers(s + 1, T)), s


def one(value):
    return torch.tensor([value], dtype=torch.float64)


def weights(t, schedule, s):
    """The weights of x_0 and of x_t in the posterior mean."""
    return (posterior_mean(one(1.0), one(0.0), t, schedule, s).item(),
            posterior_mean(one(0.0), one(1.0), t, schedule, s).item())


@both
@steady
@given(step=steps(earliest=1), x_0=unit, z_s=unit, z_t=unit)
def test_bayes_rule_in_log_density(make, step, x_0, z_s, z_t):
    """q(x_t given x_s) q(x_s given x_0) = q(x_s given x_t, x_0) q(x_t given x_0), at any three points."""
    T, t, s = step
    schedule = make(T)
    a_s, a_t = schedule.alpha_bar[s].item(), schedule.alpha_bar[t].item()
    x_s = a_s**0.5 * x_0 + (1 - a_s) ** 0.5 * z_s
    x_t = (a_t / a_s) ** 0.5 * x_s + (1 - a_t / a_s) ** 0.5 * z_t
    left = [stats.norm.logpdf(x_t, (a_t / a_s) ** 0.5 * x_s, (1 - a_t / a_s) ** 0.5),
            stats.norm.logpdf(x_s, a_s**0.5 * x_0, (1 - a_s) ** 0.5)]
    mean = posterior_mean(one(x_0), one(x_t), t, schedule, s).item()
    right = [stats.norm.logpdf(x_s, mean, posterior_var(t, schedule, s).item() ** 0.5),
             stats.norm.logpdf(x_t, a_t**0.5 * x_0, (1 - a_t) ** 0.5)]
    assert sum(left) == pytest.approx(sum(right), abs=1e-8)


@both
@steady
@given(step=steps())
def test_a_step_back_restores_the_earlier_marginal(make, step):
    """Draw x_t from q(x_t given x_0), then x_s from the posterior: mean √ᾱ_s x_0 and variance 1-ᾱ_s must come out."""
    T, t, s = step
    schedule = make(T)
    a_s, a_t = schedule.alpha_bar[s].item(), schedule.alpha_bar[t].item()
    of_x_0, of_x_t = weights(t, schedule, s)
    assert of_x_0 + of_x_t * a_t**0.5 == pytest.approx(a_s**0.5, rel=1e-10)
    assert of_x_t**2 * (1 - a_t) + posterior_var(t, schedule, s).item() == pytest.approx(1 - a_s, rel=1e-9, abs=1e-15)


@both
@steady
@given(data=st.data())
def test_two_steps_back_are_one_long_step(make, data):
    """u → t → s is u → s: the means compose, and the first variance enters through the second's weight of x_t."""
    T = data.draw(st.integers(2, 1000))
    s, t, u = sorted(data.draw(st.lists(st.integers(0, T), min_size=3, max_size=3, unique=True)))
    schedule = make(T)
    ut, ts, us = weights(u, schedule, t), weights(t, schedule, s), weights(u, schedule, s)
    assert ts[1] * ut[1] == pytest.approx(us[1], rel=1e-9, abs=1e-15)
    assert ts[0] + ts[1] * ut[0] == pytest.approx(us[0], rel=1e-9)
    var = posterior_var(t, schedule, s).item() + ts[1] ** 2 * posterior_var(u, schedule, t).item()
    assert var == pytest.approx(posterior_var(u, schedule, s).item(), rel=1e-9, abs=1e-15)


@both
def test_the_noise_that_is_left_knows_nothing_of_x_t(make):
    """Simulate x_s → x_t: x_s - μ̃ has mean 0 and variance β̃, and is uncorrelated with x_t; all within 4.5 errors."""
    schedule, n, t = make(10), 200_000, 4
    generator = torch.Generator().manual_seed(0)
    x_0 = torch.full((n,), -1.2, dtype=torch.float64)
    eps = torch.randn(2, n, generator=generator, dtype=torch.float64)
    x_s = q_sample(x_0, t - 1, eps[0], schedule)
    x_t = q_step(x_s, t, eps[1], schedule)
    rest, var = x_s - posterior_mean(x_0, x_t, t, schedule), posterior_var(t, schedule).item()
    assert abs(rest.mean().item()) < 4.5 * (var / n) ** 0.5
    assert abs(rest.var().item() - var) < 4.5 * var * (2 / n) ** 0.5
    assert abs(torch.corrcoef(torch.stack([rest, x_t]))[0, 1].item()) < 4.5 / n**0.5


@both
@steady
@given(T=st.integers(1, 1000), data=st.data())
def test_the_step_to_0_gives_the_data_for_certain(make, T, data):
    t, schedule = data.draw(st.integers(1, T)), make(T)
    x_0, x_t = one(0.3), one(-2.0)
    assert posterior_mean(x_0, x_t, t, schedule, s=0).item() == pytest.approx(0.3, rel=1e-14)
    assert posterior_var(t, schedule, s=0).item() == 0
    assert reverse_var(t, schedule, "small", s=0).item() == reverse_var(t, schedule, 0.9, s=0).item() == 0
    assert reverse_var(t, schedule, "large", s=0).item() == pytest.approx(1 - schedule.alpha_bar[t].item(), rel=1e-14)


@both
@steady
@given(step=steps(earliest=1), w=st.floats(0, 1))
def test_the_variance_interpolates_logarithms(make, step, w):
    T, t, s = step
    schedule = make(T)
    small, large = reverse_var(t, schedule, "small", s), reverse_var(t, schedule, "large", s)
    assert small == posterior_var(t, schedule, s) == reverse_var(t, schedule, 0, s)
    assert large == reverse_var(t, schedule, 1, s)
    assert large.item() == pytest.approx(1 - (schedule.alpha_bar[t] / schedule.alpha_bar[s]).item(), rel=1e-12)
    between = reverse_var(t, schedule, w, s)
    assert between.log().item() == pytest.approx(w * large.log().item() + (1 - w) * small.log().item(), rel=1e-12)
    assert small.item() <= between.item() * (1 + 1e-12) <= large.item() * (1 + 1e-11)


def test_default_is_the_small_variance_of_the_step_to_t_minus_1():
    schedule, t, x = cosine(50), torch.tensor([2, 30, 50]), torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    assert torch.equal(reverse_var(t, schedule), posterior_var(t, schedule, t - 1))
    assert torch.equal(posterior_var(t, schedule), posterior_var(t, schedule, t - 1))
    assert torch.equal(posterior_mean(x, -x, t, schedule), posterior_mean(x, -x, t, schedule, t - 1))


def test_shapes_and_dtypes():
    schedule, t, s = linear(50), torch.tensor([50, 3]), torch.tensor([20, 0])
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    mean = posterior_mean(x, 2 * x, t, schedule, s)
    assert mean.dtype == torch.float32
    assert mean.shape == x.shape
    for i in range(2):
        alone = posterior_mean(x[i : i + 1].double(), 2 * x[i : i + 1].double(), t[i].item(), schedule, s[i].item())
        assert torch.equal(mean[i : i + 1], alone.float()), "computed in float64, rounded once"
    for function in (posterior_var, reverse_var):
        assert function(t, schedule, s=s).shape == (2,)
        assert function(50, schedule, s=20).shape == ()
        assert function(50, schedule, s=20).dtype == torch.float64
        assert function(t, schedule, s=s).tolist() == [function(50, schedule, s=20).item(), 0.0]
