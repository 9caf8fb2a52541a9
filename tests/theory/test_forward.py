"""The forward kernels agree with each other and with what they say of their samples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_lab.theory.forward import q_sample, q_step
from diffusion_lab.theory.posterior import reverse_var
from diffusion_lab.theory.schedule import cosine, linear

steady = settings(deadline=None, derandomize=True)
both = pytest.mark.parametrize("make", [linear, cosine])
N = 200_000


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def assert_moments(sample, mean, var):
    """Mean and variance within 4.5 standard errors; the variance of a Gaussian's variance is 2 var²/n."""
    n = len(sample)
    assert abs(sample.mean().item() - mean) < 4.5 * (var / n) ** 0.5
    assert abs(sample.var().item() - var) < 4.5 * var * (2 / n) ** 0.5


@both
@pytest.mark.parametrize("T", [1, 5, 60])
def test_the_jump_is_the_product_of_all_steps(make, T):
    """Send one unit of signal, or one unit of noise at one step, through the chain: that is the whole linear map."""
    schedule = make(T)
    x = torch.zeros(T + 1, dtype=torch.float64)
    x[0] = 1  # example 0 carries the signal, example i the noise of step i
    for t in range(1, T + 1):
        eps = torch.zeros(T + 1, dtype=torch.float64)
        eps[t] = 1
        x = q_step(x, t, eps, schedule)
        one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        assert x[0].item() == pytest.approx(q_sample(one, t, zero, schedule).item(), rel=1e-12)
        assert (x[1:] ** 2).sum().item() == pytest.approx(q_sample(zero, t, one, schedule).item() ** 2, rel=1e-10)


@both
@steady
@given(data=st.data())
def test_kernels_compose(make, data):
    """s → t and then t → u is s → u: signals multiply, and the first kernel's variance shrinks by the second's α."""
    T = data.draw(st.integers(2, 1000))
    s, t, u = sorted(data.draw(st.lists(st.integers(0, T), min_size=3, max_size=3, unique=True)))
    schedule = make(T)
    st_, tu, su = (reverse_var(late, schedule, "large", early).item() for early, late in ((s, t), (t, u), (s, u)))
    assert (1 - st_) * (1 - tu) == pytest.approx(1 - su, rel=1e-10)
    assert (1 - tu) * st_ + tu == pytest.approx(su, rel=1e-10)


@both
@pytest.mark.parametrize("t", [1, 30, 100])
def test_moments_of_the_jump(make, t):
    schedule = make(100)
    x_t = q_sample(torch.full((N,), 0.7, dtype=torch.float64), t, normal(N), schedule)
    assert_moments(x_t, 0.7 * schedule.alpha_bar[t].item() ** 0.5, 1 - schedule.alpha_bar[t].item())


@both
def test_data_of_variance_one_keeps_it(make):
    """The chain is variance-preserving, step by step and in one jump."""
    schedule, x = make(10), normal(N, seed=1)
    assert_moments(q_sample(x, 7, normal(N, seed=2), schedule), 0, 1)
    for t in range(1, 11):
        x = q_step(x, t, normal(N, seed=2 + t), schedule)
    assert_moments(x, 0, 1)


@both
def test_a_thousand_steps_have_the_moments_of_one_jump(make):
    schedule, generator, t = make(1000), torch.Generator().manual_seed(3), 600
    x = torch.full((20_000,), 1.5, dtype=torch.float64)
    for i in range(1, t + 1):
        x = q_step(x, i, torch.randn(x.shape, generator=generator, dtype=x.dtype), schedule)
    assert_moments(x, 1.5 * schedule.alpha_bar[t].item() ** 0.5, 1 - schedule.alpha_bar[t].item())


@steady
@given(shape=st.lists(st.integers(1, 3), min_size=1, max_size=4), data=st.data())
def test_each_example_has_its_own_time_in_any_shape(shape, data):
    schedule, x, eps = cosine(20), normal(*shape), normal(*shape, seed=1)
    times = data.draw(st.lists(st.integers(1, 20), min_size=shape[0], max_size=shape[0]))
    for kernel in (q_sample, q_step):
        x_t = kernel(x, torch.tensor(times), eps, schedule)
        assert x_t.shape == x.shape
        for i, t in enumerate(times):
            assert torch.equal(x_t[i : i + 1], kernel(x[i : i + 1], t, eps[i : i + 1], schedule))


@pytest.mark.parametrize("kernel", [q_sample, q_step])
def test_float32_data_is_rounded_once_at_the_end(kernel):
    """Near t = 1 a float32 √(1-ᾱ_t) has lost half its digits: coefficients stay float64."""
    schedule, x, eps = linear(), normal(1000, dtype=torch.float32), normal(1000, seed=1, dtype=torch.float32)
    x_t = kernel(x, 1, eps, schedule)
    assert x_t.dtype == torch.float32
    assert torch.equal(x_t, kernel(x.double(), 1, eps.double(), schedule).float())


def test_time_0_is_the_data():
    x = normal(4, 2)
    assert torch.equal(q_sample(x, 0, normal(4, 2, seed=1), linear()), x)


def test_inputs_are_left_alone():
    x, eps = normal(4), normal(4, seed=1)
    for kernel in (q_sample, q_step):
        kernel(x, 3, eps, linear())
    assert torch.equal(x, normal(4))
    assert torch.equal(eps, normal(4, seed=1))
