"""Canvases hold the digits that they say they hold, and clutter that neither threshold nor size tells from them."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from diffusion_lab.data.canvases import CLUTTER, DIGIT, canvases
from diffusion_lab.data.digits import load_digits


@pytest.fixture(scope="module")
def some():
    return canvases(60, seed=0)


def test_the_form(some):
    assert some.image.shape == (60, 1, 56, 56)
    assert some.image.dtype == some.box.dtype == torch.float32
    assert some.image.aminmax() == (-1, 1)
    assert some.mask.shape == (60, 56, 56)
    assert some.box.shape == (60, 4, 4)
    assert some.mask.dtype == some.count.dtype == some.label.dtype == torch.int64
    assert some.mask.unique().tolist() == [0, 1, 2]
    assert some.count.unique().tolist() == [1, 2, 3, 4]


def test_what_has_ink_is_digit_or_clutter(some):
    assert torch.equal(some.mask > 0, some.image[:, 0] > 0)


def test_boxes_are_disjoint_and_tight_around_all_digits(some):
    for mask, boxes, count in zip(some.mask, some.box.int().tolist(), some.count.tolist()):
        left = mask == DIGIT
        for x_0, y_0, x_1, y_1 in boxes[:count]:
            inside = (mask == DIGIT)[y_0:y_1, x_0:x_1]
            assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
            assert torch.equal(left[y_0:y_1, x_0:x_1], inside)  # no other box has taken any
            left[y_0:y_1, x_0:x_1] = False
        assert not left.any()
        assert boxes[count:] == [[0, 0, 0, 0]] * (4 - count)


def test_labels_are_those_of_the_digits(some):
    """Each box holds, pixel for pixel, a digit of the split with this label."""
    for split in ("train", "test"):
        images, labels = load_digits(split)
        found = canvases(10, seed=1, clutter=False, split=split)
        for i, count in enumerate(found.count.tolist()):
            assert (found.label[i] >= 0).sum() == count
            for box, label in zip(found.box[i, :count].int().tolist(), found.label[i].tolist()):
                x_0, y_0, x_1, y_1 = box
                ink = found.image[i, 0, y_0:y_1, x_0:x_1]
                assert any(holds(image[0], ink) for image in images[labels == label])


def holds(image, ink):
    y, x = (image > 0).nonzero(as_tuple=True)
    inside = image[y.min() : y.max() + 1, x.min() : x.max() + 1]
    return inside.shape == ink.shape and torch.equal(inside, ink)


def test_clutter_touches_no_digit(some):
    for mask in some.mask.numpy():
        pieces, n = ndimage.label(mask > 0)
        for i in range(1, n + 1):
            assert len(np.unique(mask[pieces == i])) == 1


def test_clutter_can_be_left_out():
    assert not (canvases(20, seed=0, clutter=False).mask == CLUTTER).any()


def test_the_digits_on_a_canvas_can_be_few():
    assert canvases(10, seed=0, digits=(2, 2)).count.tolist() == [2] * 10
    empty = canvases(5, seed=0, digits=(0, 0))
    assert not (empty.mask == DIGIT).any()
    assert (empty.mask == CLUTTER).any()


def test_a_seed_gives_the_same_again_and_more_of_it(some):
    fewer, other = canvases(5, seed=0), canvases(5, seed=1)
    for name in ("image", "mask", "box", "count", "label"):
        assert torch.equal(getattr(fewer, name), getattr(some, name)[:5])
    assert not torch.equal(fewer.image, other.image)


def test_neither_ink_nor_size_tells_a_piece_of_clutter_from_a_digit():
    """A classifier of connected pieces by area, height, width, brightness and thickness is right in less than 85 %."""
    facts, kinds = [], []
    made = canvases(150, seed=2)
    for image, mask in zip(made.image[:, 0].numpy(), made.mask.numpy()):
        pieces, _ = ndimage.label(mask > 0)
        for i, (rows, columns) in enumerate(ndimage.find_objects(pieces), start=1):
            here = pieces == i
            depth = ndimage.distance_transform_edt(here)[here].mean()
            facts.append([here.sum(), rows.stop - rows.start, columns.stop - columns.start, image[here].mean(), depth])
            kinds.append(mask[here][0] == DIGIT)
    facts, kinds = np.array(facts), np.array(kinds)
    scaled = (facts - facts.mean(axis=0)) / facts.std(axis=0)
    half = len(kinds) // 2
    right = LogisticRegression().fit(scaled[:half], kinds[:half]).score(scaled[half:], kinds[half:])
    assert right < 0.85


def test_what_cannot_be_made_is_refused():
    for arguments in [{"n": 0}, {"seed": -1}, {"digits": (3, 2)}, {"digits": (1, 5)}, {"digits": 2}, {"split": None}]:
        with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be"):
            canvases(**({"n": 2, "seed": 0} | arguments))
