"""Editing where the answer is known: quantile maps, Gaussians, and there and back."""

from functools import partial

import pytest
import torch
from samplers import gaussian, normal, seeded, waves

from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.denoiser import clipped
from diffusion_lab.sampling.editing import bridge, invert, labelled, sdedit, slerp
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

SCHEDULE = cosine()
TWO = GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], [0.2, 0.1])
POINTS = TWO.sample(100, seeded())
both_schedules = pytest.mark.parametrize("schedule", [cosine(), linear()], ids=["cosine", "linear"])


def there_and_back(denoiser, x_0, timesteps, repeats):
    *_, first = invert(denoiser, x_0, timesteps, repeats=repeats)
    return last(ddim(denoiser, first.x_t, timesteps))


# Inversion

@both_schedules
def test_the_usual_inversion_is_off_by_an_error_of_order_one(schedule):
    denoiser = TWO.denoiser(schedule)
    error = {n: (there_and_back(denoiser, POINTS, spaced(1000, n), 1) - POINTS).abs().mean() for n in (50, 100, 200)}
    assert error[50] > 5e-3
    for n in (50, 100):
        assert error[n] / error[2 * n] == pytest.approx(2, rel=0.08)


@both_schedules
@pytest.mark.parametrize("n", [50, 200])
def test_the_fixed_point_is_the_very_path_of_ddim(schedule, n):
    denoiser, timesteps = TWO.denoiser(schedule), spaced(1000, n)
    inverted = list(invert(denoiser, POINTS, timesteps, repeats=20))
    path = list(ddim(denoiser, inverted[-1].x_t, timesteps))
    for back, step in zip(reversed(inverted), path, strict=True):
        assert (back.t, back.s) == (step.t, step.s)
        assert torch.allclose(back.x_t, step.x_t, rtol=0, atol=1e-9)
        assert torch.allclose(back.x_s, step.x_s, rtol=0, atol=1e-9)
        assert torch.allclose(back.x_0_hat, step.x_0_hat, rtol=0, atol=1e-8)
    assert (path[-1].x_s - POINTS).abs().max() < 1e-9


def test_more_repeats_come_nearer():
    error = [(there_and_back(TWO.denoiser(SCHEDULE), POINTS, spaced(1000, 50), k) - POINTS).abs().max()
             for k in (1, 2, 3, 5, 10)]
    assert all(b < a / 4 for a, b in zip(error, error[1:]))


def test_once_is_a_turn_backwards_with_what_is_said_of_the_old_state():
    """x_t = (x_s + sin δ v̂)/cos δ, v̂ = (√ᾱ_t x - x̂_0)/√(1-ᾱ_t), with δ from cos(φ_t - φ_s)."""
    denoiser = waves(linear(12))
    a = linear(12).alpha_bar
    for step in invert(denoiser, normal(5, 2), [12, 7, 3]):
        v = (a[step.t].sqrt() * step.x_s - denoiser(step.x_s, step.t)) / (1 - a[step.t]).sqrt()
        cos = (a[step.t] * a[step.s]).sqrt() + ((1 - a[step.t]) * (1 - a[step.s])).sqrt()
        assert torch.allclose(step.x_t, (step.x_s + (1 - cos**2).sqrt() * v) / cos, rtol=1e-9)


def test_each_repeat_costs_one_evaluation_and_the_label_is_passed_on():
    denoiser, label = waves(linear(12)), torch.tensor([[1], [2]])
    steps = list(invert(denoiser, normal(2, 3), [12, 7, 3], label, repeats=4))
    assert [(step.t, step.s) for step in steps] == [(3, 0), (7, 3), (12, 7)]
    assert [t for _, t, _ in denoiser.calls] == [3] * 4 + [7] * 4 + [12] * 4
    assert all(given is label for _, _, given in denoiser.calls)


POINT = GaussianMixture([0.5, 0.5], [[-0.9], [0.9]], [0.01, 0.01])


def labelled_point(x_t, t, label):
    """Of two bumps, all that a label does is to choose the right one."""
    return POINT.denoiser(SCHEDULE)(x_t, t) if label is None else gaussian(SCHEDULE, 0.9, 0.01)(x_t, t, None)


def test_guidance_on_the_way_back_alone_is_another_way():
    """And where it guides both ways, the usual inversion is further off."""
    x_0, timesteps = 0.9 + 0.1 * normal(200, 1), spaced(1000, 50)
    plain = labelled(Denoiser(labelled_point, SCHEDULE), 1)
    strong = labelled(guided(Denoiser(labelled_point, SCHEDULE), 3.0), 1)
    assert (there_and_back(plain, x_0, timesteps, 10) - x_0).abs().mean() < 1e-4
    *_, first = invert(plain, x_0, timesteps, repeats=10)
    assert (last(ddim(strong, first.x_t, timesteps)) - x_0).abs().mean() > 0.01
    usual = [(there_and_back(one, x_0, timesteps, 1) - x_0).abs().mean() for one in (plain, strong)]
    assert usual[1] > 1.5 * usual[0]


def test_what_is_clipped_cannot_be_told_apart_on_the_way_back():
    """A sampler that clips takes many states to one picture; an inversion finds one of them."""
    denoiser, timesteps = clipped(gaussian(SCHEDULE, 0.9, 0.04)), spaced(1000, 50)
    x_T = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    x_0 = last(ddim(denoiser, x_T, timesteps))
    assert torch.equal(x_0, torch.ones(2, 1, dtype=torch.float64))
    *_, first = invert(denoiser, x_0, timesteps, repeats=20)
    assert (first.x_t - x_T).abs().max() > 0.3


# Bridges

def test_in_one_dimension_a_bridge_is_the_quantile_map():
    source = GaussianMixture([0.4, 0.6], [[-1.0], [0.8]], [0.05, 0.2])
    target = GaussianMixture([0.7, 0.3], [[0.0], [2.0]], [0.3, 0.02])
    x_0 = torch.linspace(-1.6, 2.0, 25, dtype=torch.float64)[:, None]

    def cdf(mixture, x):
        return (mixture.weight * torch.special.ndtr((x - mixture.mean[:, 0]) / mixture.var.sqrt())).sum(dim=1)

    share = cdf(source, x_0)
    low, high = torch.full_like(x_0, -10), torch.full_like(x_0, 10)
    for _ in range(60):  # bisection
        middle = (low + high) / 2
        below = (cdf(target, middle) < share)[:, None]
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    error = [(last(bridge(source.denoiser(SCHEDULE), target.denoiser(SCHEDULE), x_0, spaced(1000, n), 5)) - low).abs()
             for n in (125, 250, 500)]
    assert error[-1].max() < 0.03
    assert error[-1].mean() < 0.004
    assert error[0].mean() / error[1].mean() == pytest.approx(2, rel=0.25)
    assert error[1].mean() / error[2].mean() == pytest.approx(2, rel=0.25)


def root(cov):
    value, vector = torch.linalg.eigh(cov)
    return vector * value.sqrt() @ vector.mT


def test_between_gaussians_it_is_the_symmetric_roots_and_not_optimal_transport():
    C_A = torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=torch.float64)
    C_B = torch.tensor([[0.3, -0.2], [-0.2, 0.8]], dtype=torch.float64)
    m_A, m_B = torch.tensor([[0.5, 0.0]]).double(), torch.tensor([[-1.0, 1.0]]).double()
    source, target = GaussianMixture([1.0], m_A, C_A[None]), GaussianMixture([1.0], m_B, C_B[None])
    x_0 = source.sample(50, seeded())
    found = last(bridge(source.denoiser(SCHEDULE), target.denoiser(SCHEDULE), x_0, spaced(1000, 1000), 3))
    expected = m_B + (x_0 - m_A) @ torch.linalg.inv(root(C_A)).mT @ root(C_B).mT
    assert (found - expected).abs().max() < 0.01
    inverse = torch.linalg.inv(root(C_A))
    transport = m_B + (x_0 - m_A) @ (inverse @ root(root(C_A) @ C_B @ root(C_A)) @ inverse).mT
    assert (transport - expected).abs().max() > 0.1


def test_there_and_back_by_two_bridges_is_where_it_began():
    target = GaussianMixture([1.0], [[0.0, 2.0]], [0.5]).denoiser(SCHEDULE)
    there = last(bridge(TWO.denoiser(SCHEDULE), target, POINTS, spaced(1000, 50), 12))
    again = last(bridge(target, TWO.denoiser(SCHEDULE), there, spaced(1000, 50), 12))
    assert (again - POINTS).abs().max() < 1e-7


def test_labelled_asks_for_its_own_label():
    denoiser = waves(linear(12))
    x_t = normal(2, 3)
    assert torch.equal(labelled(denoiser, 2)(x_t, 5, 7), denoiser(x_t, 5, 2))
    assert torch.equal(labelled(denoiser, 2)(x_t, 5), denoiser(x_t, 5, 2))


# SDEdit

@pytest.mark.parametrize("t_star", [200, 500, 800])
@pytest.mark.parametrize(("sampler", "power"), [(ddpm, 1.0), (ddim, 0.5)], ids=["ddpm", "ddim"])
def test_sdedit_keeps_the_share_that_it_should_of_a_gaussian(t_star, sampler, power):
    """A deviation of one from the mean, given to 40,000 pictures: how much of it is left on average."""
    mean, var = 0.3, 0.5
    x_0 = torch.full((40_000, 1), mean + 1.0, dtype=torch.float64)
    if sampler is ddpm:
        sampler = partial(ddpm, generator=seeded(1))
    left = last(sdedit(gaussian(SCHEDULE, mean, var), x_0, spaced(t_star, t_star), sampler, generator=seeded()))
    a = SCHEDULE.alpha_bar[t_star].item()
    share = (a * var / (a * var + 1 - a)) ** power
    assert (left - mean).mean().item() == pytest.approx(share, abs=0.015)


def test_sdedit_starts_at_the_first_of_its_times():
    denoiser, x_0 = waves(linear(12)), normal(2, 3)
    first = next(sdedit(denoiser, x_0, [7, 3], label=4, generator=seeded(5)))
    a = linear(12).alpha_bar[7]
    assert torch.allclose(first.x_t, a.sqrt() * x_0 + (1 - a).sqrt() * normal(2, 3, seed=5))
    assert (first.t, first.s, denoiser.calls[0][2]) == (7, 3, 4)


# Between two

def test_slerp_keeps_the_length_where_a_straight_line_does_not():
    a, b = normal(2, 500, 4), normal(2, 500, 4, seed=1)
    for share in (0.0, 0.25, 0.5, 1.0):
        between = slerp(a, b, share)
        assert between.shape == a.shape
        assert between.std().item() == pytest.approx(1, abs=0.03)
    assert torch.allclose(slerp(a, b, 0.0), a)
    assert torch.allclose(slerp(a, b, 1.0), b)
    assert ((a + b) / 2).var().item() == pytest.approx(0.5, abs=0.03)


def test_slerp_divides_the_angle_of_each_pair():
    a = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    b = torch.tensor([[0.0, 1.0], [2**0.5, 2**0.5]])
    third = slerp(a, b, 1 / 3)
    cos = torch.cosine_similarity(a, third)
    assert torch.allclose(cos.acos(), torch.tensor([torch.pi / 2, torch.pi / 4]) / 3)
    assert third.dtype == torch.float32


@pytest.mark.parametrize(("call", "words"), [
    (lambda x: slerp(x, x, 0.5), "same or in opposite"), (lambda x: slerp(x, -x, 0.5), "same or in opposite"),
    (lambda x: slerp(x, x[:1], 0.5), "same shape"), (lambda x: slerp(x, x, 2), "share must be"),
    (lambda x: next(invert(waves(SCHEDULE), x, repeats=0)), "repeats must be"),
    (lambda x: next(invert(waves, x)), "a denoiser is due"), (lambda x: labelled(waves, 3), "a denoiser is due"),
    (lambda x: next(sdedit(waves(SCHEDULE), x, 500)), "in a list, falling strictly"),
    (lambda x: next(sdedit(waves(SCHEDULE), x.long(), [5])), "floating-point"),
])
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(normal(2, 3))


# A grain

def test_a_grain_goes_the_first_step_with_fresh_noise_and_the_rest_as_before():
    denoiser, x_0, grain = waves(linear(12)), normal(2, 3), normal(2, 3, seed=7)
    first, *rest = invert(denoiser, x_0, [12, 7, 3], repeats=2, grain=grain)
    a = linear(12).alpha_bar[3]
    assert (first.t, first.s) == (3, 0)
    assert torch.allclose(first.x_t, a.sqrt() * x_0 + (1 - a).sqrt() * grain)
    assert [t for _, t, _ in denoiser.calls] == [7, 7, 12, 12]
    assert rest[0].x_s is first.x_t


def test_where_data_has_no_width_only_a_grain_gives_it_noise():
    """A pixel that is always -1, beside one that varies: its noise is that of the grain, and both come back."""
    cov = torch.diag(torch.tensor([0.0, 0.5], dtype=torch.float64))
    denoiser = GaussianMixture([1.0], [[-1.0, 0.2]], cov[None]).denoiser(SCHEDULE)
    x_0 = torch.cat([torch.full((2000, 1), -1.0, dtype=torch.float64), 0.2 + 0.5**0.5 * normal(2000, 1)], dim=1)
    grain, timesteps = normal(2000, 2, seed=1), spaced(1000, 50)
    *_, bare = invert(denoiser, x_0, timesteps, repeats=10)
    *_, grained = invert(denoiser, x_0, timesteps, repeats=10, grain=grain)
    assert bare.x_t[:, 0].std() < 1e-6
    assert grained.x_t[:, 0].std().item() == pytest.approx(1, abs=0.05)
    assert (last(ddim(denoiser, grained.x_t, timesteps))[:, 0] + 1).abs().max() < 1e-9


def test_a_grain_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="same shape"):
        next(invert(waves(linear(12)), normal(2, 3), [12, 7], grain=normal(1, 3)))
