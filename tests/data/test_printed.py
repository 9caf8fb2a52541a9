"""Printed digits look like MNIST's in size and place, and their splits share no font."""

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.data.printed import FONTS, glyph, load_printed
from diffusion_lab.evaluation.distances import label_accuracy
from diffusion_lab.evaluation.judge import load_judge


@pytest.fixture(scope="module", params=["train", "test"])
def printed(request):
    return request.param, *load_printed(request.param)


def test_they_have_the_form_of_the_handwritten_digits(printed):
    split, images, labels = printed
    written, names = load_digits(split)
    assert images.shape == written.shape
    assert images.dtype == torch.float32
    assert images.aminmax() == (-1, 1)
    assert torch.equal(labels.bincount(), names.bincount())


def centre(images):
    """The centre of mass from the middle, in pixels: float (n, 2)."""
    ink = (images[:, 0] + 1) / 2
    place = torch.arange(28) - 13.5
    return torch.stack([ink.sum(dim=1) @ place, ink.sum(dim=2) @ place], dim=1) / ink.sum(dim=(1, 2))[:, None]


def test_they_have_the_size_and_the_place_of_the_handwritten_digits(printed):
    split, images, labels = printed
    assert centre(images).abs().max() < 1.5
    heights = [(some[:, 0] > 0).any(dim=2).sum(dim=1).float() for some in (images, load_digits("train")[0])]
    assert heights[0].mean().item() == pytest.approx(heights[1].mean().item(), abs=1)
    assert heights[0].max() <= 24


def test_a_judge_of_handwriting_reads_them(printed):
    """It would not, were a digit drawn in the place of another, upside down, or cut off."""
    _, images, labels = printed
    assert label_accuracy(load_judge(), images[::3], labels[::3]) > 0.97


def test_no_two_are_alike_and_all_come_out_the_same_again():
    images, _ = load_printed("test")
    assert len(images.flatten(1).unique(dim=0)) == len(images)
    assert torch.equal(load_printed("test")[0], images)


def test_the_splits_share_no_font():
    assert not set(FONTS["train"]) & set(FONTS["test"])


def test_a_glyph_fills_twenty_pixels_and_has_its_centre_in_the_middle():
    for digit in range(10):
        [ink] = glyph("DejaVuSans", digit)
        assert ink.shape == (112, 112)
        assert max((ink > 0).any(dim=0).sum(), (ink > 0).any(dim=1).sum()) == 80
        place = torch.arange(112) - 55.5
        assert abs(ink.sum(dim=0) @ place / ink.sum()) < 0.51
        assert abs(ink.sum(dim=1) @ place / ink.sum()) < 0.51


def test_another_split_is_refused():
    with pytest.raises(ValueError, match='must be "train" or "test", but got None'):
        load_printed(None)
