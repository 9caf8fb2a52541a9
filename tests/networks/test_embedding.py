"""The time embedding against its definition, at high precision and by the identity that makes it useful."""

import math

import mpmath
import pytest
import torch

from diffusion_lab.networks.embedding import time_embedding


@pytest.mark.parametrize("dim", [2, 8, 32])
def test_entries_are_sines_and_cosines_of_the_paper(dim):
    t = torch.tensor([0, 1, 37, 1000])
    embedding = time_embedding(t, dim)
    assert embedding.dtype == torch.float64
    assert embedding.shape == (4, dim)
    for row, time in enumerate(t.tolist()):
        for i in range(dim // 2):
            angle = time / mpmath.mpf(10_000) ** (mpmath.mpf(2 * i) / dim)
            assert abs(embedding[row, i].item() - float(mpmath.sin(angle))) < 1e-12
            assert abs(embedding[row, dim // 2 + i].item() - float(mpmath.cos(angle))) < 1e-12


def test_likeness_depends_on_the_distance_of_the_times_alone():
    embedding = time_embedding(torch.arange(1001), 32)
    product = embedding @ embedding.T
    for distance in (0, 1, 10, 500):
        expected = sum(math.cos(distance * 10_000 ** (-i / 16)) for i in range(16))
        along = product.diagonal(distance)
        assert torch.allclose(along, torch.full_like(along, expected), rtol=0, atol=1e-10)


def test_each_row_is_the_embedding_of_its_own_time_and_of_nothing_else():
    t = torch.tensor([5, 900, 5, 1])
    embedding = time_embedding(t, 16)
    assert torch.equal(embedding[0], embedding[2])
    for row, time in enumerate(t):
        assert torch.allclose(embedding[row], time_embedding(time[None], 16)[0], rtol=0, atol=1e-15)


def test_all_times_of_a_chain_can_be_told_apart():
    embedding = time_embedding(torch.arange(1001), 32)
    assert torch.pdist(embedding).min() > 0.5


def test_whole_and_broken_numbers_agree_and_the_slowest_speed_can_be_chosen():
    assert torch.equal(time_embedding(torch.tensor([3]), 8), time_embedding(torch.tensor([3.0]), 8))
    slowest = time_embedding(torch.tensor([1.0]), 4, max_period=100)[0, 1]
    assert abs(slowest.item() - math.sin(1 / 10)) < 1e-7
