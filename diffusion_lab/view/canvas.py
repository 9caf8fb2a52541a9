"""A pad to draw a digit on, with mouse, finger or pen, and the drawing as an image like the course's digits."""

from pathlib import Path

import anywidget
import numpy as np
import traitlets
from PIL import Image, ImageDraw

CONTROLS, SCRIPT, STYLE = (Path(__file__).with_name(name).read_text(encoding="utf-8")
                           for name in ("controls.js", "canvas.js", "canvas.css"))
SIZE, BOX = 28, 20  # pixels of an image, and of the square into which MNIST's makers fitted each digit
PEN = 2.8  # pixels: the width of a stroke, as in the course's digits
FINE = 8  # a drawing is made this many times as large, and then reduced: its edges become grey
SMALLEST = 0.15  # of the pad: what is smaller is not enlarged to fill the box, so that a dot stays a dot

# A stroke is a list of points [x, y], from 0 (left, top) to 1 (right, bottom).
EXAMPLES = {
    "a three": [[[0.33, 0.25], [0.42, 0.19], [0.54, 0.18], [0.63, 0.24], [0.65, 0.33], [0.59, 0.42], [0.46, 0.47],
                 [0.60, 0.51], [0.68, 0.60], [0.67, 0.72], [0.58, 0.81], [0.44, 0.82], [0.33, 0.76]]],
    "half a digit": [[[0.62, 0.18], [0.47, 0.24], [0.37, 0.38], [0.34, 0.55], [0.38, 0.70]]],
    "a house": [[[0.28, 0.82], [0.28, 0.45], [0.50, 0.22], [0.72, 0.45], [0.72, 0.82], [0.28, 0.82]]],
}


class Canvas(anywidget.AnyWidget):
    """A pad to draw on; `value` is the drawing: a list of strokes, each a list of points [x, y] from 0 to 1.

    It is a control for `Live`. While the pen moves, the drawing is sent as it grows; what comes while the kernel
    computes is kept, and only the last is sent. description: its name. examples: drawings to choose from by button,
    also for those who cannot draw here; the first of them is there at the start. A first stroke replaces an example.
    """

    _esm, _css = CONTROLS + SCRIPT + "export default canvas;", STYLE
    value = traitlets.List().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    _examples = traitlets.Dict().tag(sync=True)
    _pen = traitlets.Float(PEN / SIZE).tag(sync=True)

    def __init__(self, description="your digit", examples=EXAMPLES):
        super().__init__(description=description, value=next(iter(examples.values())), _examples=dict(examples))

    @property
    def options(self):
        """The examples, as the values that a control of `Live` can take."""
        return list(self._examples.values())

    @property
    def told(self):
        """The drawing in words."""
        names = [name for name, strokes in self._examples.items() if strokes == self.value]
        return names[0] if names else "a drawing"

    @traitlets.validate("value")
    def _is_a_drawing(self, proposal):
        points_of(proposal.value)
        return proposal.value


def points_of(strokes):
    """The strokes as float64 arrays (n, 2). Raises ValueError unless they are strokes."""
    arrays = [np.asarray(stroke, dtype=float) for stroke in strokes]
    for points in arrays:
        if points.ndim != 2 or points.shape[1] != 2 or not ((points >= 0) & (points <= 1)).all():
            raise ValueError("a stroke is a list of points [x, y], from 0 (left, top) to 1 (right, bottom), but got "
                             f"{points.tolist()}.")
    return arrays


def as_digit(strokes):
    """A drawing as an image like the course's digits: float32 (1, 1, 28, 28), -1 for black and 1 for white.

    As MNIST's makers did (LeCun et al. 1998, section III-A): the drawing is fitted into 20×20 pixels, keeping its
    shape, with grey edges, and put so that the centre of its mass is the centre of the image, or as near as the margin
    allows. The pen has one width, whatever the size of the drawing. Raises ValueError for strokes that leave the pad.
    """
    arrays = points_of(strokes)
    if not arrays:
        return np.full((1, 1, SIZE, SIZE), -1, dtype=np.float32)
    every = np.concatenate(arrays)
    low, high = every.min(axis=0), every.max(axis=0)
    scale = (BOX - PEN) / max((high - low).max(), SMALLEST)
    ink = inked([(points - (low + high) / 2) * scale + SIZE / 2 for points in arrays])
    rows, columns = np.indices(ink.shape)
    off = [ink.shape[0] / 2 - 0.5 - (ink * place).sum() / ink.sum() for place in (rows, columns)]
    margin = (SIZE - BOX) / 2 * FINE  # no further: nothing may leave the picture
    ink = np.roll(ink, np.clip(off, -margin, margin).round().astype(int), axis=(0, 1))
    grey = Image.fromarray(ink).reduce(FINE)
    return (np.asarray(grey, dtype=np.float32) / 127.5 - 1)[None, None]


def inked(arrays):
    """Strokes, in pixels of an image, drawn white on black, `FINE` times as large: uint8 array."""
    picture = Image.new("L", (SIZE * FINE, SIZE * FINE))
    draw, radius = ImageDraw.Draw(picture), PEN * FINE / 2
    for points in arrays:
        places = [tuple(point) for point in points * FINE - 0.5]
        draw.line(places, fill=255, width=round(2 * radius))
        for x, y in places:  # round ends and bends
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(picture)
