"""Pictures have the pixels that they should have."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image

from diffusion_lab.view.pictures import mosaic, pixels, png, show
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


def test_png_keeps_a_grey_picture_exactly():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (np.asarray(Image.open(BytesIO(png(array)))) == array).all()


def test_png_and_figure_are_the_same_each_time():
    def draw():
        fig, ax = figure(width=3, height=2)
        ax.plot([0, 1], color=BLUE)
        return png(pixels(fig))

    assert draw() == draw()


def test_show_displays_one_png_with_its_alt_text(monkeypatch):
    shown = []
    monkeypatch.setattr("diffusion_lab.view.pictures.display", shown.append)
    show(np.zeros((4, 4), dtype=np.uint8), alt="A black square.")
    data, metadata = shown[0]._repr_mimebundle_()
    assert Image.open(BytesIO(shown[0].data)).size == (4, 4)
    assert metadata["image/png"]["alt"] == "A black square."
