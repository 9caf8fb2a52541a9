"""Pictures have the pixels that they should have."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion_lab.view.pages import SWITCH
from diffusion_lab.view.pictures import mosaic, pixels, png, quick_png
from diffusion_lab.view.show import Watch, show
from diffusion_lab.view.style import BLUE, figure


def test_mosaic_places_and_scales_each_image():
    images = torch.stack([torch.full((1, 2, 3), value) for value in (-1.0, 0.0, 1.0)])
    grid = mosaic(images, columns=2, scale=2, gap=1)
    assert grid.dtype == np.uint8
    assert grid.shape == (2 * (2 + 1 + 2), 2 * (3 + 1 + 3))
    assert (grid[:4, :6] == 0).all()
    assert (grid[:4, 8:] == 128).all()
    assert (grid[6:, :6] == 255).all()
    assert (grid[4:6] == 255).all(), "gaps are white"


def test_mosaic_shows_values_beyond_the_range_as_black_or_white():
    images = torch.tensor([-7.0, 7.0]).reshape(2, 1, 1, 1)
    assert mosaic(images, scale=1, gap=0).tolist() == [[0, 255]]


def test_mosaic_takes_what_training_gives():
    """A tensor that needs a gradient, or in half precision, is shown as any other."""
    images = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)
    for some in (images.requires_grad_(), images.bfloat16(), images.detach().numpy()):
        assert mosaic(some, scale=1, gap=0).tolist() == [[0, 255]]


@pytest.mark.parametrize(("changes", "words"), [
    *(({"images": images}, f"images must be floats, \\(n, 1, H, W\\), but got {words}") for words, images in {
        "float64, \\(2, 3, 4, 4\\)": np.zeros((2, 3, 4, 4)), "float64, \\(4, 4\\)": np.zeros((4, 4)),
        "uint8": np.zeros((2, 1, 4, 4), np.uint8), "float64, \\(0, 1, 4, 4": np.zeros((0, 1, 4, 4))}.items()),
    *(({"images": np.full((2, 1, 4, 4), value)}, "NaN or infinite") for value in (np.nan, np.inf)),
    *(({name: value}, f"{name} must be a whole number of at least {least}, but got {value}") for name, least, value in (
        ("columns", 1, 0), ("columns", 1, True), ("scale", 1, 0), ("scale", 1, 1.5), ("gap", 0, -1))),
])
def test_what_makes_no_mosaic_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        mosaic(**{"images": np.zeros((2, 1, 4, 4))} | changes)


@pytest.mark.parametrize("array", [
    np.zeros(4, np.uint8), np.zeros((4, 4), bool), np.zeros((4, 4), np.uint16), np.zeros((4, 4)),
    np.zeros((4, 4, 2), np.uint8), np.zeros((2, 4, 4, 3), np.uint8), [[0, 255]]],
    ids=["1-d", "bool", "uint16", "float", "2 colours", "4-d", "list"])
@pytest.mark.parametrize("encode", [png, quick_png])
def test_what_is_no_picture_is_refused(encode, array):
    with pytest.raises(ValueError, match=r"a picture must be a uint8 array, \(H, W\) or \(H, W, 3\), but got"):
        encode(array)


@pytest.mark.parametrize("see", [lambda it: show(it, alt="Nothing."), lambda it: Watch("nothing").show(it), pixels])
def test_what_is_no_figure_is_refused(see):
    with pytest.raises(ValueError, match="a matplotlib figure or a uint8 array, but got NoneType"):
        see(None)


def test_png_keeps_a_grey_picture_exactly():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (np.asarray(Image.open(BytesIO(png(array)))) == array).all()


@pytest.mark.parametrize("encode", [png, quick_png])
def test_colours_stay_close_to_what_they_were(encode):
    colours = ["#0072B2", "#767676", "#D55E00", "#000000", "#ffffff", "#009E73", "#CC79A7", "#e6e6e6"]
    array = np.array([[list(bytes.fromhex(colour[1:]))] * 4 for colour in colours], dtype=np.uint8)
    shown = np.asarray(Image.open(BytesIO(encode(array))).convert("RGB"))
    assert np.abs(shown.astype(int) - array).max() < 20


def test_png_and_figure_are_the_same_each_time():
    def draw():
        fig, ax = figure(width=3, height=2)
        ax.plot([0, 1], color=BLUE)
        return png(pixels(fig))

    assert draw() == draw()


@pytest.mark.parametrize(("pages", "size"), [("0", (300, 200)), ("1", (600, 400))])
def test_a_figure_is_sharper_where_pages_are_made_and_as_wide(monkeypatch, pages, size):
    shown = []
    monkeypatch.setattr("diffusion_lab.view.show.display", shown.append)
    monkeypatch.setenv(SWITCH, pages)
    fig, _ = figure(width=3, height=2)
    show(fig, alt="An empty figure.")
    _, metadata = shown[0]._repr_mimebundle_()
    assert Image.open(BytesIO(shown[0].data)).size == size
    assert metadata["image/png"].get("width", 300) == 300
    assert ("width" in metadata["image/png"]) == (pages == "1")


def test_show_displays_one_png_with_its_alt_text(monkeypatch):
    shown = []
    monkeypatch.setattr("diffusion_lab.view.show.display", shown.append)
    show(np.zeros((4, 4), dtype=np.uint8), alt="A black square.")
    data, metadata = shown[0]._repr_mimebundle_()
    assert Image.open(BytesIO(shown[0].data)).size == (4, 4)
    assert metadata["image/png"]["alt"] == "A black square."


def test_a_watched_picture_is_replaced_in_its_place_and_the_last_one_stays(monkeypatch):
    shown = []

    class Handle:
        def update(self, image):
            shown[-1] = image

    def display(image, display_id):
        assert display_id
        shown.append(image)
        return Handle()

    monkeypatch.setattr("diffusion_lab.view.show.display", display)
    watch = Watch("a white square that was black")
    for value in (0, 128, 255):
        watch.show(np.full((4, 4), value, dtype=np.uint8))
    assert len(shown) == 1
    assert np.asarray(Image.open(BytesIO(shown[0].data))).min() == 255
    assert shown[0].alt == "a white square that was black"


def test_who_has_an_array_needs_neither_ipython_nor_matplotlib():
    code = """import sys
import numpy as np
from diffusion_lab.view.pictures import mosaic, png
png(mosaic(np.zeros((1, 1, 2, 2))))
print(sorted({"IPython", "matplotlib", "torch"} & set(sys.modules)))"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
