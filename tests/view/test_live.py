"""A live picture is drawn anew when a control moves; and those of the lessons are tried where all cells have run."""

import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import ipywidgets as widgets
import lives
import nbformat
import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from diffusion_lab.view.live import Live
from diffusion_lab.view.player import STYLE
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
    state = made.get_state()
    assert (pixels_of(state["_png"]) == 99).all()
    assert state["_places"] == {"shade": 99}
    assert state["_alt"] == "An alt text.", "what a screen reader says for the picture"


@pytest.mark.parametrize(("control", "labels", "place", "value"), [
    (widgets.IntSlider(value=20, min=10, max=40, step=10), ["10", "20", "30", "40"], 1, 40),
    (widgets.FloatSlider(value=0.3, min=0, max=0.3, step=0.1), ["0.00", "0.10", "0.20", "0.30"], 3, 0.3),
    (widgets.FloatLogSlider(value=0.5, base=2, min=-2, max=1, step=1), ["0.25", "0.5", "1", "2"], 1, 2.0),
    (widgets.SelectionSlider(options=[1, 5, 25, 125], value=5), ["1", "5", "25", "125"], 1, 125),
    (widgets.Dropdown(options=[("one", 1), ("two", 2), ("three", 3), ("ten", 10)], value=2),
     ["one", "two", "three", "ten"], 1, 10),
])
def test_each_kind_of_control_has_its_labels_and_goes_where_the_reader_moves_it(control, labels, place, value):
    seen = []
    made = Live(lambda which: seen.append(which) or shades(int(2 * which)), "", "", which=control)
    told = made.get_state()["_told"]["which"]
    assert told["labels"] == labels
    assert told["description"] == "which", "without a description, its own name"
    assert made._places == {"which": place}
    made.set_state({"_places": {"which": 3}})  # as the browser does
    assert control.value == seen[-1] == value
    assert (pixels_of(made._png) == int(2 * value)).all()


def test_two_controls_that_move_at_once_are_drawn_once():
    seen = []
    made = Live(lambda a, b: seen.append((a, b)) or shades(a + b), "", "", a=widgets.IntSlider(), b=widgets.IntSlider())
    made.set_state({"_places": {"a": 3, "b": 4}})
    assert seen == [(0, 0), (3, 4)]


def test_a_control_that_it_cannot_show_is_refused():
    with pytest.raises(ValueError, match="texts and a Canvas, but shade is IntRangeSlider"):
        Live(shades, "", "", shade=widgets.IntRangeSlider())


def test_a_text_is_as_it_was_typed():
    seen = []
    made = Live(lambda words: seen.append(words) or shades(len(words)), "", "", words=widgets.Text("one"))
    made.set_state({"_places": {"words": "three"}})
    assert seen == ["one", "three"]
    assert made._places == {"words": "three"}


def test_in_jupyterlab_no_output_names_a_widget_that_may_be_gone_another_day(monkeypatch):
    """An output that does is preferred to the still, and is an error message once the kernel has gone."""
    def shown():
        with patch("diffusion_lab.view.live.display") as display:
            live(shades)._ipython_display_()
        return [set(call.args[0]) for call in display.call_args_list]

    widget = "application/vnd.jupyter.widget-view+json"
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert shown() == [{"text/plain", "image/png", widget}, {"text/html"}], "elsewhere, as all widgets do"
    monkeypatch.setenv("JPY_SESSION_NAME", "/a/notebook.ipynb")
    assert shown() == [{"text/plain", "image/png"}, {"text/html"}]


def test_what_is_saved_brings_the_style_of_its_frame_and_is_the_same_each_time(monkeypatch):
    """A notebook that is built shows the still in a dark theme, too, before any cell has run."""
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    with patch("diffusion_lab.view.live.display") as display:
        live(shades)._ipython_display_()
        live(shades)._ipython_display_()
    first, second = (call.args[0]["text/html"] for call in display.call_args_list[1::2])
    assert first == second == f"<style>\n{STYLE}</style>\n"
    monkeypatch.setenv("DIFFUSION_LAB_PLAYER", "1")
    with patch("diffusion_lab.view.live.display") as display:
        live(shades)._ipython_display_()
    assert display.call_count == 1, "pages have a style of their own"


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
