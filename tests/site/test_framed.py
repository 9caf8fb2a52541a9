"""Frames of live pictures, made beforehand: which places of a control are kept, and what is shown there."""

from base64 import b64decode
from io import BytesIO
from itertools import product

import framed
import ipywidgets as widgets
import nbformat
import numpy as np
import pytest
from PIL import Image

from diffusion_lab.view.canvas import Canvas
from diffusion_lab.view.live import Live


def live(**controls):
    """A live picture whose grey tells the values of its numbers."""
    def draw(**values):
        grey = sum(10 * value for value in values.values() if isinstance(value, (int, float)))
        return np.full((10, 20), round(grey) % 256, dtype=np.uint8)
    return Live(draw, "A caption.", "Even grey.", **controls)


def grey(made, *places):
    place = np.ravel_multi_index(places, [len(axis["labels"]) for axis in made["axes"]])
    return Image.open(BytesIO(b64decode(made["frames"][made["order"][place]]))).convert("L").getpixel((0, 0))


def test_each_combination_of_places_has_the_frame_that_the_kernel_would_draw():
    made = framed.frames_of(live(a=widgets.IntSlider(value=2, min=0, max=4),
                                 b=widgets.IntSlider(value=1, min=0, max=3)))
    for a, b in product(range(5), range(4)):
        assert grey(made, a, b) == 10 * (a + b)
    assert len(made["frames"]) == 8, "equal frames are kept once"
    assert [axis["value"] for axis in made["axes"]] == [2, 1]


def test_long_controls_are_thinned_and_keep_both_ends_and_the_present_value():
    made = framed.frames_of(live(a=widgets.FloatSlider(value=0.7, min=-2, max=2, step=0.1),
                                 b=widgets.IntSlider(value=17, min=0, max=99)), most=60)
    for axis, first, present, last in zip(made["axes"], ("-2.00", "0"), ("0.70", "17"), ("2.00", "99")):
        assert (axis["labels"][0], axis["labels"][axis["value"]], axis["labels"][-1]) == (first, present, last)
        assert axis["labels"] == sorted(set(axis["labels"]), key=float)
        assert len(axis["labels"]) < axis["of"]
    assert len(made["order"]) <= 60


def test_choices_and_drawings_are_all_kept_and_texts_and_fourth_controls_stay():
    made = framed.frames_of(live(drawing=Canvas(), kind=widgets.Dropdown(options=["x", "y"], value="y"),
                                 own=widgets.Text(value="t"), n=widgets.IntSlider(value=5, min=0, max=900),
                                 more=widgets.IntSlider(value=1, min=0, max=5, description="m")))
    assert [axis["description"] for axis in made["axes"]] == ["your digit", "kind", "n"]
    assert [len(axis["labels"]) for axis in made["axes"]] == [3, 2, 20]
    assert [axis["list"] for axis in made["axes"]] == [True, True, False]
    assert made["fixed"] == ["own", "m"]


@pytest.mark.parametrize(("most", "names"), [(120, "dkn"), (32, "dkn"), (31, "kn"), (5, "k"), (1, "k")])
def test_a_slow_picture_has_few_frames_and_keeps_the_controls_that_ask_for_few(most, names):
    axes = [{"description": "d", "values": [1, 2, 3, 4], "kept": True},
            {"description": "k", "values": [1, 2], "kept": True},
            {"description": "n", "values": list(range(900)), "kept": False}]
    assert "".join(axis["description"] for axis in framed.moved(axes, most)) == names


@pytest.mark.parametrize(("lengths", "kept", "numbers"), [
    ([11, 8], [False, False], [11, 8]), ([36, 28], [False, False], [10, 11]),
    ([101, 10, 2], [False, True, True], [6, 10, 2]), ([200, 9], [True, True], [200, 9]),
])
def test_how_many_places_a_control_keeps(lengths, kept, numbers):
    assert framed.counts(lengths, kept, 120) == numbers


def test_white_paper_stays_white():
    array = np.full((30, 40, 3), 255, dtype=np.uint8)
    array[5:9] = np.random.default_rng(0).integers(0, 255, (4, 40, 3))
    back = np.asarray(Image.open(BytesIO(b64decode(framed.webp(array)))).convert("RGB"))
    assert (back[15:] == 255).all()


def test_frames_are_handed_over_to_the_picture_that_they_belong_to():
    made = framed.frames_of(live(a=widgets.IntSlider(value=2, min=0, max=4)))
    picture = nbformat.v4.new_output("display_data", {"text/plain": "Live(a=2)", "image/png": ""},
                                     metadata={"image/png": {"alt": "Even grey."}})
    last = nbformat.v4.new_output("display_data", {framed.KIND: made, "text/plain": "told"})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("Live()", outputs=[picture]),
                                               nbformat.v4.new_code_cell(framed.CELL, outputs=[last])])
    framed.hand_over(notebook)
    assert len(notebook.cells) == 1
    assert notebook.cells[0].outputs[0].data[framed.KIND] == made
    notebook.cells.append(nbformat.v4.new_code_cell(framed.CELL, outputs=[last]))
    notebook.cells[0].outputs[0].metadata["image/png"]["alt"] = "Another."
    with pytest.raises(ValueError, match="no cell shows these live pictures: Even grey."):
        framed.hand_over(notebook)
