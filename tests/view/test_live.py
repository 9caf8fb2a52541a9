"""A live picture is drawn anew when a control moves; and those of the lessons are tried where all cells have run."""

import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import ipywidgets as widgets
import lives
import nbformat
import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from diffusion_lab.view.live import Live
from diffusion_lab.view.style import figure

ROOT = Path(__file__).parents[2]
CELL = """import ipywidgets
import numpy as np
from diffusion_lab.view.live import Live
dark = 10
def draw(shade):
    return np.full((4, 4), dark + shade, dtype=np.uint8)
Live(draw, "Shades.", "A square.", shade=ipywidgets.IntSlider(max=9))"""


def pixels_of(data):
    return np.asarray(Image.open(BytesIO(b64decode(data))))


def live(draw):
    return Live(draw, "A caption.", "An alt text.", shade=widgets.IntSlider(value=10, max=200, description="grey"))


def shades(shade):
    return np.full((5, 5), shade, dtype=np.uint8)


def test_it_is_drawn_anew_when_a_control_moves():
    made = live(shades)
    made._controls["shade"].value = 99
    picture = made.children[1].get_state()
    assert (pixels_of(picture["_png"]) == 99).all()
    assert picture["_alt"] == "An alt text.", "what a screen reader says for the picture"


def test_its_still_tells_its_values_and_its_caption(monkeypatch):
    strip = []
    monkeypatch.setattr("diffusion_lab.view.live.film_strip", lambda *parts: strip.extend(parts) or b"")
    data, metadata = live(shades)._repr_mimebundle_()
    assert data["text/plain"] == "Live(shade=10)"
    assert metadata["image/png"]["alt"] == "An alt text."
    assert strip[1:] == [["Drawn for grey = 10. Run the notebook to change it."], "A caption."]


def test_it_leaves_the_layout_of_a_figure_that_comes_back():
    fig, ax = figure(width=2, height=1)
    line, = ax.plot([0, 1], [0, 0])

    def draw(shade):
        line.set_ydata([0, shade])
        return fig

    made = live(draw)
    before = made._array
    made._controls["shade"].value = 99
    assert not isinstance(fig.get_layout_engine(), ConstrainedLayoutEngine)
    assert (made._array != before).any()


def growing(shade):
    return np.zeros((shade + 1, 5), dtype=np.uint8)


def failing(shade):
    return shades(100 // (200 - shade))


drawn = []


def remembering(shade):
    drawn.append(shade)
    return shades(len(drawn))


@pytest.mark.parametrize(("draw", "error", "words"), [
    (lambda shade: shades(7), AssertionError, "shade changes nothing"),
    (growing, AssertionError, "A caption"),
    (failing, ZeroDivisionError, None),
    (remembering, AssertionError, "there and back"),
])
def test_a_live_picture_that_fails_is_found_out(draw, error, words):
    with pytest.raises(error, match=words):
        lives.try_one(live(draw))


def test_one_that_works_is_as_before():
    made = live(shades)
    lives.try_one(made)
    assert (made._array == 10).all()


def test_in_nbvals_run_a_name_that_a_later_cell_uses_again_is_found_out(tmp_path):
    for name, later in (("kept", "light = 200"), ("spoilt", "dark = 200")):
        cells = [nbformat.v4.new_code_cell(source) for source in (CELL, later)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-c", "tests/nbval.ini", "--rootdir=.", "-p", "no:cacheprovider", "-q",
               "--color=no", tmp_path]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "1 failed, 5 passed" in run.stdout, run.stdout + run.stderr
    assert "spoilt.ipynb::Live pictures" in run.stdout
    assert "shade moved there and back: Shades." in run.stdout
