"""The nearest known image, small moves included: against brute force, and against copies that were planted."""

import math

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.memorisation import TURNS, moved, nearest


@pytest.fixture(scope="module")
def digits():
    return load_digits("train")[0][:200], load_digits("test")[0][:12]


def brute_force(image, known, shift, turns):
    """The smallest distance over all moves and known images, one after the other, in float64."""
    best = math.inf
    for turn in turns:
        for right in range(-shift, shift + 1):
            for down in range(-shift, shift + 1):
                mine = moved(image[None], turn, right, down).double()
                for i, other in enumerate(known.double()):
                    distance = (mine[0] - other).square().sum().sqrt().item()
                    if distance < best:
                        best, index, winner = distance, i, mine[0]
    return best, index, winner


@pytest.mark.parametrize(("shift", "turns"), [(0, (0,)), (1, (0,)), (1, (-8, 0, 5))])
def test_it_is_what_brute_force_finds(digits, shift, turns):
    known, images = digits[0][:40], digits[1][:4]
    found = nearest(images, known, shift, turns)
    for i, image in enumerate(images):
        distance, index, winner = brute_force(image, known, shift, turns)
        assert found.distance[i].item() == pytest.approx(distance, rel=1e-12)
        assert found.index[i] == index
        assert torch.equal(found.moved[i].double(), winner)


def test_many_images_are_searched_in_parts_and_the_parts_fit(digits, monkeypatch):
    known, images = digits
    whole = nearest(images, known, 1)
    monkeypatch.setattr("diffusion_lab.evaluation.memorisation.AT_ONCE", 20)
    parts = nearest(images, known, 1)
    assert all(torch.equal(a, b) for a, b in zip(whole, parts))
    assert whole.distance.shape == whole.index.shape == (12,)
    assert whole.moved.shape == images.shape


def test_a_copy_has_distance_0_and_a_shifted_one_too_once_shifts_are_searched(digits):
    known, _ = digits
    for right, down, shift in [(0, 0, 0), (1, 0, 1), (-2, 2, 2)]:
        copies = moved(known[:10], right=right, down=down)
        found = nearest(copies, known, shift)
        assert (found.distance == 0).all(), "exactly, not but for rounding"
        assert found.index.tolist() == list(range(10))
        assert torch.equal(found.moved, known[:10])
    assert nearest(moved(known[:10], right=1), known).distance.min() > 4, "without shifts it is far away"
    assert nearest(moved(known[:10], right=3), known, 2).distance.min() > 4, "further than the search goes"


def test_a_turned_copy_is_found_among_turns_and_not_without(digits):
    known, images = load_digits("train")[0], digits[1]
    copies = moved(known[:30], turn=7, right=1, down=-1)
    plain, searched = nearest(copies, known), nearest(copies, known, 2, TURNS)
    assert (plain.index == torch.arange(30)).double().mean() < 0.4, "among thousands, others are nearer"
    assert (searched.index == torch.arange(30)).double().mean() > 0.95
    assert plain.distance.median() > 0.9 * nearest(images, known).distance.median()
    assert searched.distance.median() < 0.6 * nearest(images, known, 2, TURNS).distance.median()


def test_a_turn_is_counter_clockwise_and_a_shift_goes_where_it_says():
    image = torch.full((1, 1, 28, 28), -1.0)
    image[0, 0, 13:15, 20] = 1.0  # to the right of the middle
    assert torch.allclose(moved(image, turn=90), torch.rot90(image, 1, (2, 3)), atol=1e-5)
    assert torch.equal(moved(image, right=2, down=-3), image.roll((-3, 2), (2, 3)))
    assert moved(image, right=10).max() == -1, "what leaves the picture does not come round"
    assert torch.equal(moved(image), image)


@pytest.mark.parametrize(("change", "words"), [
    ({"images": torch.zeros(2, 28, 28)}, "digits must have shape"),
    ({"images": torch.full((2, 1, 28, 28), 255.0)}, "within"),
    ({"known": torch.full((2, 1, 28, 28), torch.nan)}, "NaN"),
    ({"shift": 14}, "from 0 to 13"),
    ({"shift": 1.5}, "whole number of pixels"),
    ({"shift": True}, "whole number of pixels"),
    ({"turns": ()}, "at least one angle"),
    ({"turns": (0, math.nan)}, "a turn, in degrees"),
])
def test_bad_input_is_refused(digits, change, words):
    arguments = {"images": digits[1], "known": digits[0]} | change
    with pytest.raises(ValueError, match=words):
        nearest(**arguments)
