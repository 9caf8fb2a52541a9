"""Frames drawn on one figure, and tracks side by side, have the pixels that they should have."""

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from diffusion_lab.view import frames
from diffusion_lab.view.frames import beside, drawn, painter, with_marker
from diffusion_lab.view.pictures import pixels
from diffusion_lab.view.style import figure

X = np.linspace(0, 1, 100)


def sines(moment=0):
    fig, ax = figure(width=4, height=2)
    line, = ax.plot(X, np.sin(6 * X + moment))
    text = ax.set_title(f"t = {moment}")
    ax.set(xlim=(0, 1), ylim=(-1.5, 1.5))
    return fig, line, text


def test_a_frame_is_what_a_new_figure_would_show():
    fig, line, text = sines()

    def update(moment):
        line.set_ydata(np.sin(6 * X + moment))
        text.set_text(f"t = {moment}")

    made = drawn(fig, [line, text], update, [0, 1, 2])
    for moment, frame in enumerate(made):
        anew = pixels(sines(moment)[0])
        assert frame.shape == anew.shape
        # The one difference allowed: a line that is drawn last lies above the frame of the axes.
        assert (np.abs(frame.astype(int) - anew).max(axis=2) > 40).mean() < 0.002
    assert (made[0] != made[1]).any(axis=2).mean() > 0.01, "no frame repeats the one before"


@pytest.mark.parametrize(("delay", "words"), [(3600, ""), (0, "drawing")])
def test_a_drawing_that_takes_long_shows_its_progress(monkeypatch, capsys, delay, words):
    monkeypatch.setattr(frames, "DELAY", delay)
    fig, line, _ = sines()
    drawn(fig, [line], lambda moment: None, range(3))
    shown = capsys.readouterr().err
    assert words in shown
    assert bool(words) == bool(shown)


def test_no_trace_of_the_progress_is_left_in_a_notebook():
    """A slow machine must not save another output than a fast one."""
    slow = nbformat.v4.new_code_cell("""from diffusion_lab.view import frames
from diffusion_lab.view.style import figure
frames.DELAY = 0
fig, ax = figure()
line, = ax.plot([0, 1])
len(frames.drawn(fig, [line], lambda moment: None, range(5)))""")
    NotebookClient(nbformat.v4.new_notebook(cells=[slow]), kernel_name="python3").execute()
    assert [output.output_type for output in slow.outputs] == ["execute_result"]


def test_a_figure_without_artists_is_refused():
    for draw in (lambda fig: drawn(fig, [], print, [1]), lambda fig: painter(fig, [])):
        with pytest.raises(ValueError, match="at least one artist"):
            draw(sines()[0])


def test_an_artist_of_another_figure_is_refused():
    with pytest.raises(ValueError, match="part of another figure"):
        painter(sines()[0], [sines()[1]])


def test_a_painter_shows_its_artists_as_they_are_now():
    fig, line, text = sines()
    paint = painter(fig, [line, text])
    first = paint()
    line.set_ydata(0 * X)
    flat = paint()
    line.set_ydata(np.sin(6 * X))
    assert (paint() == first).all(), "nothing is left of the drawing between"
    assert (flat != first).any()


def test_what_lies_above_is_drawn_last():
    fig, ax = figure(width=2, height=2)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    above, = ax.plot([0, 1], [0.5, 0.5], color="red", linewidth=20, zorder=5)
    below, = ax.plot([0, 1], [0.5, 0.5], color="blue", linewidth=20, zorder=4)
    for artists in ([above, below], [below, above]):
        frame = painter(fig, artists)()
        left, middle = ax.transData.transform((0.5, 0.5)).round().astype(int)
        assert frame[len(frame) - middle, left].tolist() == [255, 0, 0]


def test_the_marker_stands_where_it_should():
    fig, line, _ = sines()
    places = [0.25, 0.5, 0.75]
    for place, frame in zip(places, with_marker(fig, line.axes, places)):
        left, right = line.axes.transData.transform([(0, 0), (1, 0)])[:, 0]
        dark = np.flatnonzero((frame < 60).all(axis=2).mean(axis=0) > 0.6)
        assert any(abs(dark - (left + place * (right - left))) <= 1)


def test_tracks_stand_side_by_side_centred_on_white():
    grey = [np.full((2, 3), shade, dtype=np.uint8) for shade in (10, 20)]
    red = [np.full((6, 4, 3), (shade, 0, 0), dtype=np.uint8) for shade in (100, 200)]
    first, second = beside(grey, red, gap=5)
    assert first.shape == (6, 3 + 5 + 4, 3)
    assert (first[2:4, :3] == 10).all()
    assert (first[:2, :8] == 255).all()
    assert (first[4:, :8] == 255).all()
    assert (first[:, 3:8] == 255).all()
    assert (second[:, 8:] == (200, 0, 0)).all()
    assert beside(grey, grey)[0].shape == (2, 3 + 12 + 3), "grey beside grey stays grey"


def test_tracks_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        beside([np.zeros((2, 2), np.uint8)], [np.zeros((2, 2), np.uint8)] * 2)


@pytest.mark.parametrize(("frame", "gap", "words"), [
    (np.zeros((2, 2)), 12, "a uint8 array, .* but got float64"), (np.zeros(2, np.uint8), 12, "but got uint8, .2,."),
    (np.zeros((2, 2), np.uint8), -3, "gap must be a whole number of at least 0, but got -3")])
def test_what_cannot_stand_side_by_side_is_refused(frame, gap, words):
    with pytest.raises(ValueError, match=words):
        beside([frame], [frame], gap=gap)
