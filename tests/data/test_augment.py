"""Augmented and shifted digits are the same digits, moved a little."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffusion_lab.data.augment import augmented, shifted
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.judge import load_judge, read_digits


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def digits(n=50):
    return load_digits("train")[0][:n]


def dot(row=13.5, column=13.5, width=1.5):
    """A soft white dot on black, (1, 1, 28, 28)."""
    y, x = torch.meshgrid(torch.arange(28.0), torch.arange(28.0), indexing="ij")
    return 2 * torch.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))[None, None] - 1


def centres(images):
    """The centre of mass (row, column) of the white in each image."""
    return np.array([ndimage.center_of_mass(image.double().numpy() + 1) for image in images[:, 0]])


def drawn_as(monkeypatch, turn=0.0, slant=0.0, wide=0.0, high=0.0, x=0.0, y=0.0):
    """Let the six numbers be these, from -1 to 1, instead of random ones."""
    numbers = (torch.tensor([turn, slant, wide, high, x, y]) + 1) / 2
    monkeypatch.setattr(torch, "rand", lambda *size, generator: numbers[:, None].expand(size))


def test_strength_0_changes_nothing():
    assert torch.allclose(augmented(digits(), seeded(), strength=0), digits(), atol=1e-4)


def test_what_comes_out():
    images = digits()
    kept = images.clone()
    found = augmented(images, seeded())
    assert (found.shape, found.dtype) == (images.shape, torch.float32)
    assert found.min() >= -1.00001
    assert found.max() <= 1.00001
    assert torch.equal(images, kept), "the images are left alone"
    assert (found - images).abs().amax((1, 2, 3)).min() > 0.1, "each is changed"


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 1, 20, 28), (1, 1, 8, 8)], ids=str)
def test_black_stays_black(shape):
    assert torch.equal(augmented(torch.full(shape, -1.0), seeded()), torch.full(shape, -1.0))


def test_what_comes_in_from_outside_is_black():
    """White images: inside they stay white, and at some corner black comes in, grey at most where they meet."""
    found = augmented(torch.ones(200, 1, 28, 28), seeded())
    assert torch.allclose(found[:, :, 10:18, 10:18], torch.tensor(1.0), atol=1e-4)
    corners = found[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.amin() < -0.99
    assert (corners.amin(1) < -0.9).double().mean() > 0.5


def test_a_generator_fixes_the_amounts():
    images, state = digits(), torch.get_rng_state()
    assert torch.equal(augmented(images, seeded(1)), augmented(images, seeded(1)))
    assert not torch.equal(augmented(images, seeded(1)), augmented(images, seeded(2)))
    assert torch.equal(torch.get_rng_state(), state)


def test_images_do_not_mix():
    """What becomes of one image does not depend on the others, and equal images go different ways."""
    images = digits(6)
    found = augmented(images, seeded(3))
    other = images.flip(0).clone()
    other[2] = images[2]
    assert torch.equal(augmented(other, seeded(3))[2], found[2])
    same = augmented(images[:1].expand(6, -1, -1, -1), seeded(3))
    assert all(not torch.equal(same[0], same[k]) for k in range(1, 6))


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_centre_moves_at_most_as_far_as_said(strength):
    """A dot in the middle is moved by the shift alone: 1.4 pixels each way at strength 1, of any sign."""
    moved = centres(augmented(dot().expand(400, -1, -1, -1), seeded(), strength)) - 13.5
    reach = 1.4 * strength * 1.35  # stretch and turn act on the shift, too
    assert np.abs(moved).max() < reach
    for axis in (0, 1):
        assert moved[:, axis].max() > strength
        assert moved[:, axis].min() < -strength
        assert abs(moved[:, axis].mean()) < 0.25 * strength


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_each_amount_alone(monkeypatch, sign):
    """A dot beside the middle and one below it go where elementary geometry says, for the full amount of each."""
    right, below = dot(13.5, 19.5), dot(19.5, 13.5)

    def ends(**amount):
        with monkeypatch.context() as patch:
            drawn_as(patch, **amount)
            return centres(torch.cat([augmented(right, None), augmented(below, None)])) - 13.5

    assert np.allclose(ends(), [[0, 6], [6, 0]], atol=0.01)
    assert np.allclose(ends(x=sign), [[0, 6 - 1.4 * sign], [6, -1.4 * sign]], atol=0.05)
    assert np.allclose(ends(y=sign), [[-1.4 * sign, 6], [6 - 1.4 * sign, 0]], atol=0.05)
    assert np.allclose(ends(wide=sign), [[0, 6 / (1 + 0.12 * sign)], [6, 0]], atol=0.05)
    assert np.allclose(ends(high=sign), [[0, 6], [6 / (1 + 0.12 * sign), 0]], atol=0.05)
    c, s = 6 * np.cos(0.2), 6 * np.sin(0.2) * sign
    assert np.allclose(ends(turn=sign), [[-s, c], [c, s]], atol=0.1)
    assert np.allclose(ends(slant=sign), [[0, 6], [6, -6 * 0.2 * sign]], atol=0.1)


def test_strength_scales_every_amount(monkeypatch):
    """Half the strength for the full amounts is the full strength for half the amounts."""
    full = {"turn": 1.0, "slant": -1.0, "wide": 1.0, "high": -1.0, "x": 1.0, "y": -1.0}
    with monkeypatch.context() as patch:
        drawn_as(patch, **full)
        half_strength = augmented(digits(5), None, strength=0.5)
    with monkeypatch.context() as patch:
        drawn_as(patch, **{name: value / 2 for name, value in full.items()})
        half_amounts = augmented(digits(5), None)
    assert torch.allclose(half_strength, half_amounts, atol=1e-5)


def test_they_remain_the_digits_that_they_were():
    """The judge reads at least 96 of 100 as before, at the strength of training and at full strength."""
    images, judge = load_digits("test")[0][:200], load_judge()
    before = read_digits(judge, images)
    for strength in (0.5, 1.0):
        after = read_digits(judge, augmented(images, seeded(), strength))
        assert (after == before).double().mean() > 0.96


def moved(image, down, right):
    """An image (c, h, w), moved: by hand, pixel by pixel."""
    found = torch.full_like(image, -1.0)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                found[:, row, column] = image[:, row - down, column - right]
    return found


@pytest.mark.parametrize("most", [1, 2])
def test_each_image_is_shifted_by_whole_pixels_drawn_for_it_alone(most):
    """Every shift occurs, all as often; a pixel keeps its value to the last bit, and all channels move together."""
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(2, 5, 7, generator=generator) * 2 - 1
    one = shifted(image.expand(2000, -1, -1, -1), seeded(), most)
    shifts = [(down, right) for down in range(-most, most + 1) for right in range(-most, most + 1)]
    counts = [(one == moved(image, *shift)).all(dim=(1, 2, 3)).sum().item() for shift in shifts]
    assert sum(counts) == 2000
    due = 2000 / len(shifts)
    assert max(abs(count - due) for count in counts) < 5 * due**0.5


def test_shifted_images_depend_on_the_generator_alone():
    images, state = digits(), torch.get_rng_state()
    kept = images.clone()
    found = shifted(images, seeded(1))
    assert torch.equal(found, shifted(images, seeded(1)))
    assert not torch.equal(found, shifted(images, seeded(2)))
    assert torch.equal(images, kept), "the images are left alone"
    assert (found.shape, found.dtype, found.is_contiguous()) == (images.shape, torch.float32, True)
    assert torch.equal(torch.get_rng_state(), state)
