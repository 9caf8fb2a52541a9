"""Where the answer is known, the samplers give it, and as their steps become more, they come nearer at the right rate.

For data from N(m, v) the marginal at t is N(√ᾱ_t m, c_t) with c_t = ᾱ_t v + 1-ᾱ_t. A path without fresh noise keeps its
place in it: z = (x_t - √ᾱ_t m)/√c_t never changes. With fresh noise the state stays Gaussian, so that its variance says
everything. In more than one dimension, and for mixtures, samples are compared.
"""

from functools import cache
from itertools import combinations

import pytest
import torch
from samplers import SAMPLERS, gaussian, normal, seeded, waves
from scipy import optimize, stats

from diffusion_lab.sampling.chain import pairs, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

both = pytest.mark.parametrize("make", [linear, cosine])
MEAN, VAR = 0.7, 0.25


def leading(T, n):
    """The spacing that never visits T: what a common mistake does."""
    return [T // n * k + 1 for k in range(n)][::-1]


@both
@pytest.mark.parametrize("T", [1, 2, 50])
def test_ddim_with_eta_1_over_all_steps_is_ddpm(make, T):
    """Step by step, with the same noise."""
    one = list(ddim(waves(make(T)), normal(5, 3), eta=1, generator=seeded(1)))
    other = list(ddpm(waves(make(T)), normal(5, 3), variance="small", generator=seeded(1)))
    assert len(one) == len(other) == T
    for a, b in zip(one, other):
        assert torch.allclose(a.x_s, b.x_s, rtol=1e-9, atol=1e-9)
        assert torch.allclose(a.mean, b.mean, rtol=1e-9, atol=1e-9)
    if T == 50:
        *_, less = ddim(waves(make(T)), normal(5, 3), eta=0.99, generator=seeded(1))
        assert not torch.allclose(less.x_s, other[-1].x_s, rtol=1e-4, atol=1e-4)


@both
def test_ddim_with_eta_1_over_all_thousand_steps_is_ddpm(make):
    *_, one = ddim(waves(make()), normal(5, 3), eta=1, generator=seeded(1))
    *_, other = ddpm(waves(make()), normal(5, 3), variance="small", generator=seeded(1))
    assert torch.allclose(one.x_s, other.x_s, rtol=1e-7, atol=1e-7)


@both
@pytest.mark.parametrize("n", [1, 5, 10])
def test_ddim_is_eulers_step_in_the_noise_level(make, n):
    """y = x_t/√ᾱ_t and σ = √((1-ᾱ_t)/ᾱ_t) obey dy/dσ = ε̂, whatever the denoiser says."""
    a = make().alpha_bar
    for step in ddim(waves(make()), normal(5, 3), spaced(1000, n)):
        y, sigma = step.x_t / a[step.t].sqrt(), ((1 - a) / a).sqrt()
        eps_hat = (y - step.x_0_hat) / sigma[step.t]
        y = y + (sigma[step.s] - sigma[step.t]) * eps_hat
        assert torch.allclose(step.x_s, a[step.s].sqrt() * y, rtol=1e-9, atol=1e-9)


@both
@pytest.mark.parametrize("n", [1, 5, 10, 50])
def test_on_the_normal_distribution_ddim_loses_the_cosines_of_the_angles_it_turns_by(make, n):
    """The exact path stands still; a step multiplies x_t by cos(θ_t - θ_s), with cos θ = √ᾱ."""
    angle, x_T = torch.acos(make().alpha_bar.sqrt()), normal(5, 3)
    *_, step = ddim(gaussian(make(), 0.0, 1.0), x_T, spaced(1000, n))
    kept = torch.stack([torch.cos(angle[t] - angle[s]) for t, s in pairs(spaced(1000, n), 1000)]).prod()
    assert torch.allclose(step.x_s, kept * x_T, rtol=1e-9, atol=1e-9)
    assert n == 50 or kept < 0.95


@both
@pytest.mark.parametrize("T", [3, 14])
def test_the_first_order_form_of_dpm_solver_is_ddim(make, T):
    """Where there is no answer before, or the answers do not change, the line is flat: at every step of every chain."""
    for t, s in combinations(range(T, -1, -1), 2):
        times = [t, s] if s else [t]
        one, other = (next(sampler(waves(make(T)), normal(3, 2), times)).x_s for sampler in (dpm_solver, ddim))
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-10), (t, s)
    for n in (1, 2, T):
        def same(x_t, t, label=None):
            return torch.full_like(x_t, 0.3)

        same.schedule = make(T)
        for one, other in zip(dpm_solver(same, normal(3, 2), spaced(T, n)), ddim(same, normal(3, 2), spaced(T, n))):
            assert torch.allclose(one.x_s, other.x_s, rtol=1e-9, atol=1e-9)
    two = [list(sampler(waves(make(T)), normal(3, 2), [T, 1]))[-1].x_s for sampler in (dpm_solver, ddim)]
    assert torch.allclose(*two, rtol=1e-9, atol=1e-9), "two steps are a first and a last one"


@cache
def map_of(make, sampler, t, s):
    """One step from t to s as x_s = factor x_t + shift + deviation ε: the three, measured on the sampler itself."""
    x_T = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    step = next(sampler(gaussian(schedule_of(make), MEAN, VAR), x_T, [t, s] if s else [t], generator=seeded(3)))
    shift, factor = step.mean[0].item(), (step.mean[1] - step.mean[0]).item()
    return factor, shift, ((step.x_s - step.mean) / normal(2, 1, seed=3))[0].item()


@cache
def schedule_of(make):
    return make()


def ends(make, sampler, times):
    """A chain's sample as x_0 = factor x_T + shift + …, and the variance that N(0, 1) has become."""
    factor, shift, var = 1.0, 0.0, 1.0
    for t, s in pairs(times, 1000):
        a, b, deviation = map_of(make, sampler, t, s)
        factor, shift, var = a * factor, a * shift + b, a**2 * var + deviation**2
    return factor, shift, var


def error_of_the_path(make, sampler, times):
    """The largest distance from the exact end of the path, over the places z from -2 to 2."""
    factor, shift, _ = ends(make, sampler, times)
    a = schedule_of(make).alpha_bar[1000].item()
    start_mean, start_std = a**0.5 * MEAN, (a * VAR + 1 - a) ** 0.5
    return max(abs(factor * (start_mean + start_std * z) + shift - (MEAN + VAR**0.5 * z)) for z in (-2.0, 2.0))


@both
@pytest.mark.parametrize("name", [name for name in SAMPLERS if name != "dpm_solver"])
def test_steps_that_are_measured_one_by_one_make_the_chain(make, name):
    """What the two functions above rely on: a step depends on t and s alone. (dpm_solver looks back.)"""
    sampler, times = SAMPLERS[name], spaced(1000, 37)
    x_T = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    steps = list(sampler(gaussian(make(), MEAN, VAR), x_T, times, generator=seeded(8)))
    noise, x = seeded(8), x_T
    for step in steps:
        a, b, deviation = map_of(make, sampler, step.t, step.s)
        x = a * x + b
        if deviation:
            x = x + deviation * torch.randn(5, 1, generator=noise, dtype=torch.float64)
    assert torch.allclose(x, steps[-1].x_s, rtol=1e-9, atol=1e-9)


def steps_of_T_over_n(n):
    """Times with T // n between them: right only where n divides T; otherwise the last step is longer."""
    return [1000 - k * (1000 // n) for k in range(n)]


@pytest.mark.slow
@pytest.mark.parametrize(("make", "counts"), [
    (cosine, range(20, 1001)), (linear, [*range(20, 100), *range(100, 1000, 57), 1000])])
def test_n_times_the_error_of_ddim_stays_bounded(make, counts):
    """For every n from 20 to 1000, divisor of T or not; a wrong last step, or a wrong first one, is seen at once."""
    sampler = SAMPLERS["ddim 0.0"]
    scaled = [n * error_of_the_path(make, sampler, spaced(1000, n)) for n in counts]
    assert max(scaled) < 1.25 * max(scaled[:20])
    assert min(scaled) > 0.5 * max(scaled), "it is of first order, neither more nor less"
    for wrong in (steps_of_T_over_n, lambda n: leading(1000, n)):
        assert 350 * error_of_the_path(make, sampler, wrong(350)) > 1.25 * max(scaled)


@both
@pytest.mark.parametrize("name", ["ddpm small", "ddpm large", "ddpm 0.4", "ddim 1.0"])
def test_the_variance_of_a_chain_with_fresh_noise_converges(make, name):
    """n × relative error stays bounded for n ≥ 100, divisor of T or not, so that it falls below 2 %."""
    counts = (100, 101, 250, 333, 700, 1000)
    scaled = {n: n * abs(ends(make, SAMPLERS[name], spaced(1000, n))[2] / VAR - 1) for n in counts}
    assert max(scaled.values()) < 1.5 * scaled[100]
    assert min(scaled.values()) > 0.9 * scaled[100], "it is of first order"
    assert scaled[1000] / 1000 < 0.02


def place_in_marginal(mixture, schedule, t, x):
    """The share of a one-dimensional mixture's marginal q(x_t) below x: the place that a path without noise keeps."""
    q = mixture.marginal(t, schedule)
    return (q.weight * torch.special.ndtr((x - q.mean.T) / q.var.sqrt())).sum(dim=1, keepdim=True)


TWO = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.2, 0.1])


def at_place(mixture, schedule, t, places):
    """The numbers below which those shares lie."""
    def below(x, place):
        return place_in_marginal(mixture, schedule, t, torch.tensor([[x]], dtype=torch.float64)).item() - place

    found = [optimize.brentq(below, -20, 20, args=(place,), xtol=1e-14) for place in places.flatten().tolist()]
    return torch.tensor(found, dtype=torch.float64)[:, None]


@pytest.mark.parametrize(("make", "data"), [
    (linear, GaussianMixture([1.0], [[0.7]], [0.04])), (cosine, GaussianMixture([1.0], [[0.7]], [0.25])),
    (linear, TWO), (cosine, TWO)], ids=["linear one", "cosine one", "linear two", "cosine two"])
@pytest.mark.parametrize(("sampler", "order"), [(dpm_solver, 2), (ddim, 1)])
def test_the_order_between_nine_tenths_and_one_tenth_of_T(make, data, sampler, order):
    """Twice the steps, a quarter of the error (DDIM: half); with one Gaussian and with two, where nothing is linear."""
    schedule, places = make(10_000), torch.tensor([[0.05], [0.2], [0.31], [0.5], [0.8], [0.97]], dtype=torch.float64)
    start, end = (at_place(data, schedule, t, places) for t in (9000, 1000))
    errors = []
    for n in (40, 80, 160):
        times = torch.arange(9000, 999, -8000 // n)
        step = list(sampler(data.denoiser(schedule), start, times))[-2]
        assert step.s == 1000
        errors.append((step.x_s - end).abs().max().item())
    slopes = [torch.log2(torch.tensor(a / b)).item() for a, b in zip(errors, errors[1:])]
    assert slopes == pytest.approx([order, order], abs=0.2)


CLOUDS = GaussianMixture([0.2, 0.3, 0.5], [[-1.5, 0.0], [1.0, 1.0], [0.5, -1.0]], [0.04, 0.09, 0.25])
POINTS = 1500


def energy_p_value(x, y, rounds=300):
    """Two-sample permutation test by the energy distance, 2 E|x-y| - E|x-x'| - E|y-y'| (Székely & Rizzo 2013).

    The share of random divisions of all points into two sets that are at least as far apart as x and y.
    """
    both = torch.cat([x, y])
    distance, generator = torch.cdist(both, both), seeded(77)
    sides = [torch.cat([torch.ones(len(x)), -torch.ones(len(y))])]
    sides += [sides[0][torch.randperm(len(both), generator=generator)] for _ in range(rounds)]
    signs = torch.stack(sides, dim=1).double()
    energy = -(signs * (distance @ signs)).sum(dim=0)  # for sets of one size, a positive multiple of the distance
    return (energy[1:] >= energy[0]).double().mean().item()


def p_value(x, y):
    """Two tests in one: of the points, which sees large shapes, and of their log densities, which sees grain."""
    log_density = [CLOUDS.log_prob(points).numpy() for points in (x, y)]
    return min(1, 2 * min(energy_p_value(x, y), stats.ks_2samp(*log_density).pvalue))


def samples(sampler, times, schedule):
    return list(sampler(CLOUDS.denoiser(schedule), normal(POINTS, 2, seed=5), times, generator=seeded(6)))[-1].x_s


@both
@pytest.mark.parametrize(("name", "n"), [("ddpm small", 200), ("ddpm large", 200), ("ddpm 0.4", 200), ("ddim 0.0", 100),
                                         ("ddim 0.6", 200), ("ddim 1.0", 200), ("dpm_solver", 50)])
def test_noise_becomes_a_mixture(make, name, n):
    """1,500 points and 1,500 of the mixture's own cannot be told apart."""
    assert p_value(samples(SAMPLERS[name], spaced(1000, n), make()), CLOUDS.sample(POINTS, seeded(7))) > 0.001


def noise_at_the_end(denoiser, x_T, timesteps, generator):
    """ddpm with noise of deviation 0.2 left in, which is that of the narrowest cloud: grain."""
    *_, step = ddpm(denoiser, x_T, timesteps, generator=generator)
    yield step._replace(x_s=step.x_s + 0.2 * torch.randn(x_T.shape, generator=generator, dtype=x_T.dtype))


def beta_as_deviation(denoiser, x_T, timesteps, generator):
    """ddpm whose noise has the deviation β instead of √β."""
    x_t = x_T
    for t, s in pairs(timesteps, denoiser.schedule.T):
        step = next(ddpm(denoiser, x_t, [t, s] if s else [t], "large", generator=generator))
        beta = 1 - denoiser.schedule.alpha_bar[t] / denoiser.schedule.alpha_bar[s]
        x_t = step.mean + beta.sqrt() * (step.x_s - step.mean)
        yield step._replace(x_s=x_t)


@pytest.mark.parametrize(("sampler", "times"), [
    (ddpm, spaced(1000, 8)), (SAMPLERS["ddim 0.0"], spaced(1000, 5)), (SAMPLERS["ddim 0.0"], leading(1000, 10)),
    (noise_at_the_end, spaced(1000, 200)), (beta_as_deviation, spaced(1000, 200)),
], ids=["eight steps", "five steps", "leading", "noise at the end", "beta as deviation"])
def test_the_two_sample_test_can_tell(sampler, times):
    assert p_value(samples(sampler, times, cosine()), CLOUDS.sample(POINTS, seeded(7))) < 0.0001


def test_the_two_sample_test_is_fair():
    """Two samples of the mixture are called different (p < 0.1) in a tenth of all cases, or a little less."""
    found = [p_value(CLOUDS.sample(200, seeded(k)), CLOUDS.sample(200, seeded(1000 + k))) for k in range(150)]
    assert 0.02 < sum(p < 0.1 for p in found) / 150 < 0.18
    assert sum(p > 0.5 for p in found) > 30
