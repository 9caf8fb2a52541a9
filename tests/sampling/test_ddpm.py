"""Ancestral sampling does what algorithm 2 says, step by step and in distribution."""


import pytest
import torch
from exact import alpha_bar, posterior
from hypothesis import given, settings
from hypothesis import strategies as st
from samplers import normal, seeded
from scipy import stats

from diffusion_lab.sampling.chain import spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

both = pytest.mark.parametrize("make", [linear, cosine])
steady = settings(deadline=None, derandomize=True, max_examples=40)


def fixed_answer(schedule):
    """A denoiser that always says the same: whatever x_t is, the data was 0.5."""
    return Denoiser(lambda x_t, t, label: torch.full_like(x_t, 0.5), schedule)


@pytest.mark.parametrize(("kind", "make"), [("linear", linear), ("cosine", cosine)])
@pytest.mark.parametrize("timesteps", [None, [12, 7, 3], [9]])
@pytest.mark.parametrize("variance", ["small", "large", 0.3])
def test_each_step_is_algorithm_2(kind, make, timesteps, variance):
    """Mean and variance from an independent derivation; noise from a second generator with the same seed."""
    T, x_T, generator = 12, normal(5, 2), seeded(1)
    steps = list(ddpm(fixed_answer(make(T)), x_T, timesteps, variance, generator=seeded(1)))
    for step in steps:
        a_s, a_t = alpha_bar(kind, step.s, T), alpha_bar(kind, step.t, T)
        beta_tilde, of_x_0, of_x_t = posterior(a_s, a_t)
        assert torch.allclose(step.mean, float(of_x_0) * step.x_0_hat + float(of_x_t) * step.x_t, rtol=1e-11)
        if step.s == 0:
            assert torch.equal(step.x_s, step.mean), "the last step adds no noise"
            continue
        w = {"small": 0, "large": 1}.get(variance, variance)
        var = float((1 - a_t / a_s) ** w * beta_tilde ** (1 - w))
        eps = torch.randn(5, 2, generator=generator, dtype=torch.float64)
        assert torch.allclose(step.x_s, step.mean + var**0.5 * eps, rtol=1e-11)
    assert torch.equal(generator.get_state(), _state_after(len(steps) - 1))


def _state_after(draws):
    """The generator's state after that many draws of the size used above: no more noise is drawn than is added."""
    generator = seeded(1)
    for _ in range(draws):
        torch.randn(5, 2, generator=generator, dtype=torch.float64)
    return generator.get_state()


def test_without_a_generator_the_global_one_is_used():
    state = torch.get_rng_state()
    ends = []
    for _ in range(2):
        torch.manual_seed(3)
        ends.append(list(ddpm(fixed_answer(cosine(9)), normal(4, 2)))[-2].x_s)
    torch.set_rng_state(state)
    assert torch.equal(*ends)


def test_noise_is_standard_normal():
    """Never negative, or of another size: the bugs of rand for randn. Kolmogorov and Smirnov at 100,000 numbers."""
    first = next(ddpm(fixed_answer(linear(10)), normal(100_000), variance="large", generator=seeded(2)))
    std = float(1 - alpha_bar("linear", 10, 10) / alpha_bar("linear", 9, 10)) ** 0.5
    assert stats.kstest(((first.x_s - first.mean) / std).numpy(), "norm").pvalue > 1e-4


def variance_recursion(schedule, data_var, steps, variance):
    """Variance of a Gaussian chain whose denoiser knows that the data is N(m, v), from the definitions.

    x̂_0 moves with x_t by the regression weight g = √ᾱ_t v/(ᾱ_t v + 1-ᾱ_t), so x_s = (c_0 g + c_t) x_t + … + noise.
    The chain starts at variance 1.
    """
    V, v = 1.0, data_var
    for t, s in steps:
        a_t, a_s = schedule.alpha_bar[t].item(), schedule.alpha_bar[s].item()
        beta_tilde, of_x_0, of_x_t = (float(part) for part in posterior(a_s, a_t))
        g = a_t**0.5 * v / (a_t * v + 1 - a_t)
        noise = {"small": beta_tilde, "large": 1 - a_t / a_s}[variance] if s > 0 else 0
        V = (of_x_0 * g + of_x_t) ** 2 * V + noise
    return V


@both
@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("timesteps", [None, [40, 22, 9, 2], spaced(40, 7)], ids=["all", "chosen", "spaced"])
def test_exact_denoiser_of_a_gaussian_gives_the_variance_of_the_recursion(make, variance, timesteps):
    """Every marginal of the chain, within 4.5 standard errors; its mean moves from 0 to that of the data."""
    schedule, n, mean, data_var = make(40), 100_000, 1.5, 0.3
    denoiser = GaussianMixture([1.0], [[mean]], [data_var]).denoiser(schedule)
    steps = list(ddpm(denoiser, normal(n, 1), timesteps, variance, generator=seeded(4)))
    for i, step in enumerate(steps):
        V = variance_recursion(schedule, data_var, [(done.t, done.s) for done in steps[: i + 1]], variance)
        assert abs(step.x_s.var().item() - V) < 4.5 * V * (2 / n) ** 0.5, step.s
    start = schedule.alpha_bar[steps[0].t].item() ** 0.5 * mean  # x_T has mean 0: what that lacks is passed on
    for step in steps:
        a_t, a_s = schedule.alpha_bar[step.t].item(), schedule.alpha_bar[step.s].item()
        _, of_x_0, of_x_t = (float(part) for part in posterior(a_s, a_t))
        start *= of_x_0 * a_t**0.5 * data_var / (a_t * data_var + 1 - a_t) + of_x_t
    assert abs(steps[-1].x_s.mean().item() - (mean - start)) < 4.5 * (V / n) ** 0.5


@both
@steady
@given(data=st.data())
def test_when_which_variance_is_exactly_right(make, data):
    """ "large" keeps N(0, 1) data at variance 1; with "small", data that is one point comes out as that point."""
    T = data.draw(st.integers(1, 100))
    n = data.draw(st.integers(1, T))
    schedule, times = make(T), spaced(T, n).tolist()
    steps = list(zip(times, times[1:] + [0]))
    assert variance_recursion(schedule, 1.0, steps[:-1], "large") == pytest.approx(1, rel=1e-9)
    point = GaussianMixture([1.0], [[-0.7]], [0.0]).denoiser(schedule)
    last = list(ddpm(point, normal(3, 1), times, generator=seeded()))[-1]
    assert torch.allclose(last.x_s, torch.full((3, 1), -0.7, dtype=torch.float64), rtol=1e-12)


@pytest.mark.slow
@both
def test_noise_becomes_the_mixture(make):
    """Two clouds of weights 0.3 and 0.7, by 500 steps: the share, place and width of each, to five standard errors."""
    data, n = GaussianMixture([0.3, 0.7], [[-2.0], [1.0]], [0.04, 0.16]), 20_000
    x = list(ddpm(data.denoiser(make(500)), normal(n, 1), generator=seeded(1)))[-1].x_s.flatten()
    left, right = x[x < -1], x[x >= -1]
    assert abs(len(left) / n - 0.3) < 5 * (0.3 * 0.7 / n) ** 0.5
    for cloud, mean, var in ((left, -2.0, 0.04), (right, 1.0, 0.16)):
        assert abs(cloud.mean().item() - mean) < 5 * (var / len(cloud)) ** 0.5
        discretisation = 0.02  # 500 steps are not infinitely many
        assert abs(cloud.var().item() / var - 1) < 5 * (2 / len(cloud)) ** 0.5 + discretisation
