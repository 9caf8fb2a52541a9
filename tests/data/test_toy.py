"""The 2-D clouds are standardised, repeat with their seed, and look like what they are called."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion_lab.data.toy import ring_of_gaussians, swiss_roll, two_moons

clouds = pytest.mark.parametrize("cloud", [two_moons, swiss_roll, ring_of_gaussians])


@clouds
@settings(deadline=None, derandomize=True)
@given(n=st.integers(2, 500), seed=st.integers(0, 2**32 - 1))
def test_form_and_moments(cloud, n, seed):
    points = cloud(n, seed)
    assert points.shape == (n, 2)
    assert points.dtype == torch.float32
    assert points.double().mean(dim=0).abs().max() < 1e-6
    assert (points.double().var(dim=0, correction=0) - 1).abs().max() < 1e-5
    assert torch.equal(points, cloud(n, seed))


@clouds
def test_seeds_differ_and_zero_is_the_default(cloud):
    assert not torch.equal(cloud(50, seed=1), cloud(50, seed=2))
    assert torch.equal(cloud(50), cloud(50, seed=0))


@clouds
def test_global_generators_are_left_alone(cloud):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    cloud(50)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_the_ring_has_eight_round_clouds_of_equal_size():
    """Cut the circle into eight slices around the cloud centres: all points lie near the centres."""
    points = ring_of_gaussians(8000).double()
    turns = torch.atan2(points[:, 1], points[:, 0]) / (2 * torch.pi) * 8
    assert torch.bincount(turns.round().long() % 8).tolist() == [1000] * 8
    for k in range(8):
        mine = points[turns.round().long() % 8 == k]
        assert mine.mean(dim=0).norm().item() == pytest.approx(2**0.5, rel=0.02), "variance 1 a coordinate: radius √2"
        assert mine.std(dim=0).tolist() == pytest.approx([0.14, 0.14], rel=0.1)


def test_two_moons_are_two_separate_arcs():
    """Single linkage at a small distance finds two pieces of equal size; each is an arc, not a blob."""
    points = two_moons(2000)
    near = torch.cdist(points, points) < 0.25
    piece = near[0]
    for _ in range(200):
        piece = near[piece].any(dim=0)
    assert piece.sum() == 1000
    assert torch.corrcoef(points[piece].T)[0, 1].abs() < 0.3, "one moon bends: its ends are level"


def test_swiss_roll_lies_along_its_spiral():
    """The spiral is (a cos a, a sin a) for a from 1.5π to 4.5π, all angles equally likely; standardise it by its own
    moments. Noise, 0.3 before that, keeps 99% of the points within three and a half deviations; no part is bare."""
    angle = torch.linspace(1.5 * torch.pi, 4.5 * torch.pi, 3000, dtype=torch.float64)
    spiral = torch.stack([angle * angle.cos(), angle * angle.sin()], dim=1)
    width = spiral.std(dim=0)
    spiral = (spiral - spiral.mean(dim=0)) / width
    apart = torch.cdist(swiss_roll(3000).double(), spiral)
    assert (apart.min(dim=1).values < 3.5 * 0.3 / width.min()).double().mean() > 0.99
    assert apart.min(dim=0).values.max() < 0.5, "no part of the spiral is bare"
