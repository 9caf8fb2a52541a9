"""Frames for a `Scrubber`: drawn on one figure, and several tracks put side by side."""

from time import perf_counter

import numpy as np
from IPython import get_ipython
from IPython.display import clear_output
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tqdm import tqdm

from diffusion_lab.view.pictures import check_picture
from diffusion_lab.view.style import BLACK

DELAY = 2  # seconds after which a drawing shows its progress


def painter(fig, artists):
    """A function that draws the figure as its artists are at that moment: uint8 array (H, W, 3).

    artists: lines, points or texts of the figure that change. Axes, ticks and all else are drawn once, here, so
    limits must be set beforehand, and are those of the first drawing; this takes a few milliseconds instead of
    fifty. Raises ValueError if there are no artists, or one is another figure's.
    """
    artists = list(artists)
    if not artists:
        raise ValueError("a figure needs at least one artist that changes, but got none.")
    if any(artist.get_figure() is not fig for artist in artists):
        raise ValueError("an artist is part of another figure: it cannot be drawn on this one.")
    for artist in artists:
        artist.set_animated(True)  # left out of the background
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    background = canvas.copy_from_bbox(fig.bbox)

    def paint():
        canvas.restore_region(background)
        for artist in sorted(artists, key=lambda artist: artist.get_zorder()):
            fig.draw_artist(artist)
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()

    return paint


def drawn(fig, artists, update, moments):
    """Draw one figure again and again: list of uint8 arrays (H, W, 3), one for each of `moments`.

    artists: as for `painter`. update: called with each moment; it sets the artists' data. A drawing that takes longer
    than two seconds shows its progress, and afterwards clears the cell's output, so that no trace of it is saved.
    Raises ValueError if there are no artists.
    """
    paint, frames, started = painter(fig, artists), [], perf_counter()
    for moment in tqdm(list(moments), desc="drawing", delay=DELAY, leave=False):
        update(moment)
        frames.append(paint())
    if perf_counter() - started > DELAY and get_ipython() is not None:
        clear_output()
    return frames


def with_marker(fig, ax, places):
    """A curve's figure with a vertical line that moves: one frame for each x in `places`, as from `drawn`."""
    line = ax.axvline(places[0], color=BLACK, linewidth=1.2)
    return drawn(fig, [line], lambda x: line.set_xdata([x, x]), places)


def beside(*tracks, gap=12):
    """Tracks of equally many frames (uint8, (H, W) or (H, W, 3)) put side by side, to be scrubbed together.

    gap: white pixels between them. Lower frames are centred on white. Returns a list of uint8 arrays.
    Raises ValueError for tracks of different length, other frames, or a gap that is no whole number.
    """
    if isinstance(gap, bool) or not isinstance(gap, int) or gap < 0:
        raise ValueError(f"gap must be a whole number of at least 0, but got {gap!r}.")
    lengths = [len(track) for track in tracks]
    if len(set(lengths)) != 1:
        raise ValueError(f"tracks need equally many frames, but got {lengths}.")
    return [row([np.asarray(frame) for frame in moment], gap) for moment in zip(*tracks)]


def row(pictures, gap):
    """Pictures in a row, centred in height, `gap` white pixels between them; grey unless one of them has colours."""
    for picture in pictures:
        check_picture(picture)
    height = max(len(picture) for picture in pictures)
    colours = (3,) if any(picture.ndim == 3 for picture in pictures) else ()
    width = sum(picture.shape[1] + gap for picture in pictures) - gap
    whole, left = np.full((height, width, *colours), 255, dtype=np.uint8), 0
    for picture in pictures:
        top, right = (height - len(picture)) // 2, left + picture.shape[1]
        whole[top : top + len(picture), left:right] = picture[..., None] if picture.ndim < whole.ndim else picture
        left = right + gap
    return whole
