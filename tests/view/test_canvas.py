"""A drawing becomes an image like the course's digits; the pad is a control of a live picture."""

import lives
import numpy as np
import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.judge import load_judge, read_digits
from diffusion_lab.view.canvas import EXAMPLES, Canvas, as_digit
from diffusion_lab.view.live import Live

SEVEN = [[[0.3, 0.2], [0.7, 0.22], [0.45, 0.8]]]
ZERO = [[[0.5 + 0.2 * np.sin(a), 0.5 - 0.3 * np.cos(a)] for a in np.linspace(0, 2 * np.pi, 40)]]


def ink(image):
    return (image[0, 0] + 1) / 2


def centre(image):
    rows, columns = np.indices((28, 28))
    return [float((ink(image) * place).sum() / ink(image).sum()) for place in (rows, columns)]


@pytest.mark.parametrize("strokes", [*EXAMPLES.values(), SEVEN, ZERO])
def test_it_is_a_grey_picture_in_the_middle(strokes):
    image = as_digit(strokes)
    assert image.shape == (1, 1, 28, 28)
    assert image.dtype == np.float32
    assert image.min() == -1
    assert image.max() > 0.9
    assert centre(image) == pytest.approx([13.5, 13.5], abs=0.1)
    rows, columns = np.nonzero(ink(image) > 0.5)
    assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21, "the longer side of the box has 20 pixels"


@pytest.mark.parametrize("change", [lambda points: 0.5 * points, lambda points: 0.5 * points + 0.45])
def test_the_size_of_a_drawing_and_its_place_do_not_matter(change):
    moved = [change(np.array(stroke)).tolist() for stroke in SEVEN]
    assert np.abs(as_digit(moved) - as_digit(SEVEN)).mean() < 0.01


def test_a_shape_is_kept_and_a_dot_stays_a_dot():
    rows, columns = np.nonzero(ink(as_digit([[[0.5, 0.1], [0.5, 0.9]]])) > 0.5)
    assert np.ptp(rows) > 5 * np.ptp(columns)
    dot = ink(as_digit([[[0.5, 0.5]]]))
    assert 3 < dot.sum() < 9


def test_nothing_leaves_the_picture():
    """Nearly all ink on one side: its centre of mass cannot come to the middle."""
    lopsided = [[[0.1, y], [0.15, y]] for y in np.linspace(0.1, 0.9, 30)] + [[[0.1, 0.5], [0.9, 0.5]]]
    columns = np.nonzero(ink(as_digit(lopsided)).sum(axis=0) > 0.5)[0]
    assert np.ptp(columns) + 1 >= 20, "the whole width is there"
    assert np.diff(columns).max() == 1, "nothing comes round"


def test_nothing_drawn_is_black_and_the_same_strokes_are_the_same_image():
    assert (as_digit([]) == -1).all()
    assert np.array_equal(as_digit(ZERO), as_digit(ZERO))


def test_it_looks_like_the_course_s_digits():
    """Ink, greys at the edges, and what the judge reads."""
    digits, labels = load_digits("train")
    drawn = torch.from_numpy(np.concatenate([as_digit(strokes) for strokes in (EXAMPLES["a three"], SEVEN, ZERO)]))
    assert read_digits(load_judge(), drawn).tolist() == [3, 7, 0]
    for kind, image in zip((3, 7, 0), drawn):
        real = digits[labels == kind]
        amounts = (real + 1).sum(dim=(1, 2, 3)).quantile(torch.tensor([0.02, 0.98]))
        assert amounts[0] < (image + 1).sum() < amounts[1]
        grey = [float(((x > -0.9) & (x < 0.9)).sum() / (x > -0.9).sum()) for x in (image, real)]
        assert grey[0] == pytest.approx(grey[1], abs=0.15)


@pytest.mark.parametrize("strokes", [[[[0.5, 1.2]]], [[[0.1, 0.2, 0.3]]], [[0.1, 0.2]], [[[float("nan"), 0.5]]], [[]]])
def test_what_is_no_drawing_is_refused(strokes):
    with pytest.raises(ValueError, match="a stroke is a list of points"):
        as_digit(strokes)
    with pytest.raises(ValueError, match="a stroke is a list of points"):
        Canvas().value = strokes


def test_the_pad_is_a_control_and_says_its_value_in_words():
    pad = Canvas("mine", EXAMPLES)
    made = Live(lambda drawing: ((as_digit(drawing)[0, 0] + 1) * 127).astype(np.uint8), "A caption.", "An alt text.",
                drawing=pad)
    lives.try_one(made)
    assert made._repr_mimebundle_()[0]["text/plain"] == "Live(drawing=a three)"
    before = made._array
    pad.value = SEVEN
    assert (made._array != before).any()
    assert pad.told == "a drawing"
    pad.value = []
    assert (made._array == 0).all()
