"""Thickness and slant of bars that are drawn by hand: their width and their shear are known."""

import math

import pytest
import torch
import torch.nn.functional as F

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.strokes import edges, slant, thickness, third

DIGITS, LABELS = (part[::40] for part in load_digits("train"))


def bar(width, length, angle=0.0, shear=0.0, fine=8):
    """A bar in the middle, float32 (1, 1, 28, 28), each pixel the mean of 8 × 8: turned by an angle, or sheared."""
    place = (torch.arange(28 * fine) + 0.5) / fine - 14
    y, x = torch.meshgrid(place, place, indexing="ij")
    x = x + shear * y  # y grows downwards: to the right for what is up
    along = y * math.cos(angle) - x * math.sin(angle)
    across = x * math.cos(angle) + y * math.sin(angle)
    ink = ((across.abs() < width / 2) & (along.abs() < length / 2)).float()
    return 2 * F.avg_pool2d(ink[None, None], fine) - 1


@pytest.mark.parametrize("width", [1.5, 2.0, 2.6, 3.3, 4.0, 5.5])
@pytest.mark.parametrize("angle", [0.1, 0.3, math.pi / 4, 1.4])
def test_the_thickness_of_a_bar_is_its_width_but_for_its_ends(width, angle):
    """The distance to the edge, averaged over a bar of width w and length l, is w/4 - w²/(12 l)."""
    exact = width - width**2 / (3 * 20)
    assert thickness(bar(width, 20, angle)).item() == pytest.approx(exact, abs=0.3)


def test_thickness_follows_the_width_in_small_steps():
    widths = torch.linspace(1.5, 5, 15)
    found = torch.cat([thickness(bar(width.item(), 20, 0.2)) for width in widths])
    assert torch.corrcoef(torch.stack([widths.double(), found]))[0, 1] > 0.998


def test_a_faint_stroke_is_as_thick_as_a_bright_one():
    bright = bar(3.0, 20, 0.3)
    faint = 0.6 * (bright + 1) - 1
    assert thickness(faint).item() == pytest.approx(thickness(bright).item(), abs=1e-6)


@pytest.mark.parametrize("shear", [-0.5, -0.2, 0.0, 0.3, 0.7])
def test_the_slant_of_a_sheared_bar_is_its_shear(shear):
    assert slant(bar(3, 18, shear=shear)).item() == pytest.approx(shear, abs=0.01)


@pytest.mark.parametrize("angle", [-0.5, -0.1, 0.25, 0.6])
def test_the_slant_of_a_turned_bar(angle):
    """Its ink has the covariance l²/12 along and w²/12 across; -μ_11/μ_02 is a regression on y."""
    width, length = 2.0, 18.0
    sin, cos = math.sin(angle), math.cos(angle)
    exact = (length**2 - width**2) * sin * cos / (length**2 * cos**2 + width**2 * sin**2)
    assert slant(bar(width, length, angle)).item() == pytest.approx(exact, abs=0.02)


def test_a_shear_of_a_digit_adds_to_its_slant():
    """A shear of whole rows about the middle one, by whole pixels, is exact."""
    rows = [torch.roll(DIGITS[:, :, row], (14 - row) // 4, dims=-1) for row in range(28)]
    sheared = torch.stack(rows, dim=2)
    assert (slant(sheared) - slant(DIGITS) - 0.25).abs().max() < 0.04


def test_mirrored_digits_lean_the_other_way():
    assert torch.allclose(slant(DIGITS.flip(-1)), -slant(DIGITS))
    assert torch.allclose(thickness(DIGITS.flip(-1)), thickness(DIGITS))


def test_thirds_of_each_digit_are_thirds():
    labels = torch.arange(600) % 10
    values = torch.rand(600, generator=torch.Generator().manual_seed(0)) + labels  # each digit has a range of its own
    thirds = third(values, labels, edges(values, labels))
    for kind in range(10):
        assert thirds[labels == kind].bincount().tolist() == [20, 20, 20]
    assert values[(thirds == 0) & (labels == 3)].max() < values[(thirds == 1) & (labels == 3)].min()


@pytest.mark.parametrize(("call", "words"), [
    (lambda: slant(-torch.ones(2, 1, 28, 28)), "some of these images are black"),
    (lambda: thickness(-torch.ones(2, 1, 28, 28)), "some of these images are black"),
    (lambda: slant(torch.zeros(28, 28)), "must have shape"),
    (lambda: edges(torch.zeros(10), torch.arange(10)), "at least three of each digit"),
    (lambda: third(torch.zeros(10), torch.arange(9), torch.zeros(10, 2)), "one label for each"),
])
def test_what_cannot_be_measured_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
