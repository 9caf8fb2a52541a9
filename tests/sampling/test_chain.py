"""Which times a sampler visits: as even as whole numbers can be, from T to 0, none twice. And what comes out of it."""

import weakref
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samplers import seeded

from diffusion_lab.networks.unet import UNet
from diffusion_lab.sampling.chain import Step, draw, last, pairs, spaced, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.denoiser import Denoiser, as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.schedule import cosine, linear

steady = settings(deadline=None, derandomize=True, max_examples=300)


@st.composite
def chains(draw):
    T = draw(st.integers(1, 2000))
    return T, draw(st.integers(1, T))


@steady
@given(chain=chains())
def test_spaced_is_strict_even_and_starts_at_T(chain):
    T, n = chain
    times = spaced(T, n)
    assert times.dtype == torch.int64
    assert times.shape == (n,)
    assert times[0] == T
    steps = -torch.diff(torch.cat([times, torch.tensor([0])]))
    assert steps.sum() == T
    assert steps.min() >= 1
    for k, t in enumerate(times.tolist()):
        assert abs(t - Fraction(T * (n - k), n)) <= Fraction(1, 2), "each time is the whole number nearest its place"


@pytest.mark.parametrize("T", [1, 2, 7, 10, 61])
def test_spaced_where_the_answer_is_plain(T):
    assert spaced(T, 1).tolist() == [T]
    assert spaced(T, T).tolist() == list(range(T, 0, -1))
    for n in range(1, T + 1):
        if T % n == 0:
            assert spaced(T, n).tolist() == list(range(T, 0, -T // n))


@settings(deadline=None, derandomize=True, max_examples=60)
@given(T=st.integers(1, 300), data=st.data())
def test_spaced_in_log_snr_is_strict_and_starts_at_T(T, data):
    n = data.draw(st.integers(1, T))
    for schedule in (cosine(T), linear(T)):
        times = spaced_in_log_snr(schedule, n)
        assert (times.dtype, times.shape, times[0].item()) == (torch.int64, (n,), T)
        assert len(pairs(times, T)) == n, "it falls strictly, and stays within 1…T"


@pytest.mark.parametrize("schedule", [cosine(), linear(), cosine(50)], ids=["cosine", "linear", "cosine 50"])
def test_spaced_in_log_snr_where_the_answer_is_plain(schedule):
    """n = T is every time; n = 1 is T alone; n = 2 has one more, nearest the middle of the two ends."""
    T, half = schedule.T, (schedule.log_snr / 2).tolist()
    assert spaced_in_log_snr(schedule, T).tolist() == list(range(T, 0, -1))
    assert spaced_in_log_snr(schedule, 1).tolist() == [T]
    one, other = spaced_in_log_snr(schedule, 2, first=-1.0, end=2.0).tolist()
    assert one == T
    assert abs(half[other] - 0.5) == min(abs(value - 0.5) for value in half[1:])


@pytest.mark.parametrize("n", [4, 5, 10, 20])
def test_spaced_in_log_snr_is_even_in_half_log_snr(n):
    """After T, λ rises by (end - first)/(n-1), but for rounding to whole times; the last is half a part from end."""
    schedule, first, end = cosine(), -2.5, 2.5
    half = schedule.log_snr[spaced_in_log_snr(schedule, n, first, end)[1:]] / 2
    part = (end - first) / (n - 1)
    assert torch.allclose(half.diff(), torch.tensor(part).double(), atol=0.04)
    assert half[[0, -1]].tolist() == pytest.approx([first + part / 2, end - part / 2], abs=0.02)


def test_spaced_in_log_snr_moves_on_where_times_would_fall_together():
    """All wanted at one place: the first there, the others one below the other, as far as there is room above 0."""
    schedule = linear(20)
    place = schedule.log_snr[3].item() / 2
    assert spaced_in_log_snr(schedule, 4, place, place).tolist() == [20, 3, 2, 1]
    assert spaced_in_log_snr(schedule, 6, place, place).tolist() == [20, 5, 4, 3, 2, 1]
    assert spaced_in_log_snr(schedule, 4, -99.0, -99.0).tolist() == [20, 19, 18, 17]


@steady
@given(chain=chains())
def test_pairs_lead_from_T_to_0_without_a_gap(chain):
    T, n = chain
    steps = pairs(spaced(T, n), T)
    assert len(steps) == n
    assert (steps[0][0], steps[-1][1]) == (T, 0)
    assert all(s == t for (_, s), (t, _) in zip(steps, steps[1:]))
    assert all(type(t) is type(s) is int and s < t for t, s in steps)


def test_pairs_of_every_time_and_of_a_choice():
    assert pairs(None, 3) == [(3, 2), (2, 1), (1, 0)]
    for choice in ([8, 5, 1], (8, 5, 1), torch.tensor([8, 5, 1]), np.array([8, 5, 1])):
        assert pairs(choice, 10) == [(8, 5), (5, 1), (1, 0)]


def test_last_is_the_last_state_and_keeps_no_other():
    alive = []

    def steps():
        for k in range(9):
            x_s = torch.full((3,), float(k))
            alive.append(weakref.ref(x_s))
            yield Step(9 - k, 8 - k, None, None, None, x_s)
            del x_s
            assert sum(ref() is not None for ref in alive) <= 2

    assert last(steps()).tolist() == [8, 8, 8]


def denoiser_of(T):
    """It pulls each digit towards a grey that its label says, up to 1.5, and depends on the state, too."""
    return Denoiser(lambda x_t, t, label: label.view(-1, 1, 1, 1) / 6 + 0.2 * torch.sin(x_t + t), cosine(T))


LABELS = torch.arange(10)


@pytest.mark.parametrize("sampler", [ddim, dpm_solver])
def test_draw_gives_the_same_digits_whatever_the_batch(sampler):
    digits = draw(denoiser_of(1000), LABELS, sampler, spaced(1000, 5), seed=3)
    assert (digits.shape, digits.dtype) == ((10, 1, 28, 28), torch.float32)
    for batch in (1, 4, 10):
        assert torch.equal(draw(denoiser_of(1000), LABELS, sampler, spaced(1000, 5), seed=3, batch=batch), digits)
    assert not torch.equal(draw(denoiser_of(1000), LABELS, sampler, spaced(1000, 5)), digits), "another seed"


def test_draw_is_the_samplers_end_from_the_seeds_noise_clamped():
    x_T = torch.randn(10, 1, 28, 28, generator=seeded(3))
    *_, step = ddim(denoiser_of(20), x_T, label=LABELS)
    assert step.x_s.max() > 1
    assert torch.equal(draw(denoiser_of(20), LABELS, ddim, seed=3), step.x_s.clamp(-1, 1))


def test_draw_takes_a_sampler_with_its_generator_and_a_network():
    """All of the noise comes from the two seeds, and nothing is kept for a gradient."""
    network = UNet(8, 8)
    denoiser, before = as_denoiser(network, cosine(4)), torch.get_rng_state()
    digits = [draw(denoiser, LABELS[:3], partial(ddpm, variance="large", generator=seeded(seed))) for seed in (1, 1, 2)]
    assert torch.equal(digits[0], digits[1])
    assert not torch.equal(digits[0], digits[2])
    assert not digits[0].requires_grad
    assert torch.equal(torch.get_rng_state(), before)
