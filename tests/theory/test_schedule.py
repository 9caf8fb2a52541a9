"""What any schedule must have, and the helper `at` that looks numbers up."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_lab.theory.schedule import Schedule, at, cosine, linear

steady = settings(deadline=None, derandomize=True)
both = pytest.mark.parametrize("make", [linear, cosine])
betas = st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=30)


@both
@steady
@given(T=st.integers(1, 1000))
def test_shapes_ends_and_order(make, T):
    schedule = make(T)
    assert schedule.T == T
    for table in (schedule.beta, schedule.alpha, schedule.alpha_bar, schedule.snr, schedule.log_snr):
        assert table.shape == (T + 1,)
        assert table.dtype == torch.float64
    assert (schedule.beta[0], schedule.alpha[0], schedule.alpha_bar[0]) == (0, 1, 1)
    assert schedule.snr[0] == schedule.log_snr[0] == torch.inf
    assert (schedule.alpha_bar.diff() < 0).all(), "the signal only shrinks"
    assert (schedule.beta[1:] > 0).all()
    assert (schedule.beta.diff() >= 0).all(), "the steps only grow"
    assert schedule.beta.max() <= 0.999
    assert schedule.alpha_bar[-1] > 0


@both
@steady
@given(T=st.integers(2, 1000))
def test_any_chain_ends_in_noise(make, T):
    """Keep β from 1e-4 to 0.02 while T shrinks to 50, and ᾱ_T is 0.6: this is why linear(T) rescales β by 1000/T."""
    assert make(T).alpha_bar[-1] < 1e-3


@pytest.mark.parametrize("T", [21, 100, 1000])
def test_linear_is_a_straight_line_with_the_papers_ends(T):
    beta = linear(T).beta[1:]
    assert beta[[0, -1]].tolist() == pytest.approx([0.1 / T, 20 / T], rel=1e-14)
    assert beta.diff().tolist() == pytest.approx([(20 - 0.1) / T / (T - 1)] * (T - 1), rel=1e-9)


def test_default_is_the_papers_thousand_steps():
    assert linear().T == cosine().T == 1000
    assert linear().beta[[1, -1]].tolist() == pytest.approx([1e-4, 0.02], rel=1e-14)


@steady
@given(beta=betas)
def test_tables_belong_together(beta):
    schedule, alpha_bar = Schedule([0.0, *beta]), 1.0
    for t, beta_t in enumerate(beta, start=1):
        alpha_bar *= 1 - beta_t
        assert schedule.beta[t].item() == beta_t
        assert schedule.alpha_bar[t].item() == pytest.approx(alpha_bar, rel=1e-14)
        assert schedule.log_snr[t].exp().item() == pytest.approx(alpha_bar / (1 - alpha_bar), rel=1e-9)


def test_schedule_keeps_a_table_of_its_own():
    beta = torch.tensor([0, 0.1, 0.2], dtype=torch.float64)
    schedule = Schedule(beta)
    beta[1] = 0.9
    assert schedule.beta[1] == 0.1


@steady
@given(shape=st.lists(st.integers(1, 4), max_size=3), times=st.lists(st.integers(0, 10), min_size=1, max_size=5))
def test_at_gives_each_example_its_own_number(shape, times):
    table, like = cosine(10).alpha_bar, torch.zeros(len(times), *shape)
    found = at(table, torch.tensor(times), like)
    assert found.dtype == torch.float64
    assert found.shape == (len(times), *[1] * len(shape))
    assert found.flatten().tolist() == [table[t].item() for t in times]
    assert at(table, torch.tensor(times)).tolist() == found.flatten().tolist()
    assert at(table, times[0], like).shape == (1, *[1] * len(shape))
    assert at(table, times[0], like).item() == at(table, times[0]).item() == table[times[0]].item()
