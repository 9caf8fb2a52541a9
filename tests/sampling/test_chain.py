"""Which times a sampler visits: as even as whole numbers can be, from T to 0, none twice."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_lab.sampling.timesteps import pairs, spaced

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


@pytest.mark.parametrize("timesteps", [
    [], 5, [3, 3], [3, 4], [4, 0], [11, 3], [-1], [4.0, 2.0], [4, 2.5], [True], [[4, 2]], torch.tensor([4.0, 2.0]),
], ids=repr)
def test_pairs_refuses_what_does_not_fall(timesteps):
    """5 is what someone passes who means five steps."""
    with pytest.raises(ValueError, match="in a list, falling strictly, within 1…10, but got") as refused:
        pairs(timesteps, 10)
    assert str(torch.as_tensor(timesteps).tolist()) in str(refused.value)


@pytest.mark.parametrize(("T", "n", "words"), [
    (10, 11, "T = 10 .* at most 10 steps, but got n = 11"),
    (10, 0, "n must be a whole number of at least 1, but got 0"),
    (10, -2, "n .* but got -2"),
    (10, 2.0, "n .* but got 2.0"),
    (10, True, "n .* but got True"),
    (0, 1, "T must be a whole number of at least 1, but got 0"),
    (10.0, 1, "T .* but got 10.0"),
])
def test_spaced_refuses(T, n, words):
    with pytest.raises(ValueError, match=words):
        spaced(T, n)
