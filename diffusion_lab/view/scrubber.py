"""A slider through frames that are all made beforehand: moving it computes nothing."""

from base64 import b64encode
from io import BytesIO

import ipywidgets as widgets
import numpy as np
import traitlets
from PIL import Image, ImageDraw, ImageFont

from diffusion_lab.view.pictures import png


class Scrubber(widgets.VBox):
    """Scrub through `frames` with a slider, the arrow keys or the play button; `value` is the frame's index.

    frames: equal-sized uint8 arrays (H, W) or (H, W, 3), or PNG bytes. labels: one string for each frame.
    caption: what to see; alt: the same for those who cannot see it. Where no kernel runs (GitHub, print), a film
    strip of some of the frames stands in its place. Raises ValueError for no frames, or frames or labels that
    do not match.
    """

    value = traitlets.Int(0)

    def __init__(self, frames, labels, caption, alt, value=0):
        self._frames, self._labels, self._alt = as_pngs(frames), list(labels), alt
        if len(self._labels) != len(self._frames):
            raise ValueError(f"each frame needs one label, but got {len(self._frames)} frames and "
                             f"{len(self._labels)} labels.")
        if not 0 <= value < len(self._frames):
            raise ValueError(f"value must be the index of a frame, 0…{len(self._frames) - 1}, but got {value}.")
        last = len(self._frames) - 1
        self._image = widgets.Image(layout=widgets.Layout(max_width="100%", align_self="flex-start"))
        self._label = widgets.Label()
        slider = widgets.IntSlider(max=last, readout=False, layout=widgets.Layout(width="20em"))
        play = widgets.Play(max=last, interval=100, show_repeat=False)
        super().__init__([self._image, widgets.HBox([play, slider, self._label]), widgets.HTML(f"<i>{caption}</i>")])
        self.observe(self._draw, "value")
        self.value = value
        self._draw()
        widgets.link((self, "value"), (slider, "value"))
        widgets.jslink((play, "value"), (slider, "value"))

    def _draw(self, _=None):
        self._image.value, self._label.value = self._frames[self.value], self._labels[self.value]

    def _repr_mimebundle_(self, **kwargs):
        return with_still(super()._repr_mimebundle_(**kwargs), f"Scrubber({len(self._frames)} frames)",
                          film_strip(self._frames, self._labels), self._alt)


def with_still(bundle, text, still, alt):
    """A widget's display data with a fixed text form, and a still picture for places where no widget can live."""
    bundle = bundle | {"text/plain": text, "image/png": b64encode(still).decode()}
    return bundle, {"image/png": {"alt": alt}}


def as_pngs(frames):
    """The frames as PNG bytes; raise ValueError if there are none, or their sizes differ."""
    frames = [frame if isinstance(frame, bytes) else png(np.asarray(frame)) for frame in frames]
    sizes = {Image.open(BytesIO(frame)).size for frame in frames}
    if len(sizes) != 1:
        raise ValueError("a scrubber needs at least one frame, but got none." if not sizes else
                         f"all frames must have the same size, but got {sorted(sizes)} (width, height).")
    return frames


def film_strip(frames, labels, most=6, width=900, gap=8, text_height=18):
    """Some of the frames, first and last among them, as one PNG with their labels beneath."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    images = [Image.open(BytesIO(frames[i])).convert("RGB") for i in chosen]
    columns = max(1, min(len(images), width // max(140, min(images[0].width, width // 2))))
    shrink = min(1, (width - gap * (columns - 1)) / columns / images[0].width)
    size = round(images[0].width * shrink), round(images[0].height * shrink)
    step_x, step_y = max(size[0], 140) + gap, size[1] + text_height + gap
    strip = Image.new("RGB", (columns * step_x - gap, -(-len(images) // columns) * step_y - gap), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(size=12)
    for place, (i, image) in enumerate(zip(chosen, images)):
        left, top = place % columns * step_x, place // columns * step_y
        strip.paste(image.resize(size, Image.Resampling.LANCZOS), (left, top))
        draw.text((left, top + size[1] + 2), labels[i], fill="black", font=font)
    return png(np.asarray(strip))
