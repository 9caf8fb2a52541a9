"""A slider through frames that are all made beforehand: moving it computes nothing and asks no kernel."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from IPython.display import display
from PIL import Image

from diffusion_lab.view import player
from diffusion_lab.view.pages import for_pages
from diffusion_lab.view.pictures import check_picture, quick_png
from diffusion_lab.view.still import film_strip, with_still


class Scrubber:
    """Scrub through `frames` with mouse or keys (arrows, Home, End, Page Up/Down, space), beginning at frame `value`.

    frames: equal-sized uint8 arrays (H, W) or (H, W, 3), or PNG bytes. labels: one string for each frame; what stands
    before " = " is the slider's name. caption: what to see. alt: the same for those who cannot see it. What a cell
    shows is a player that needs no kernel, today or another day; where no script runs (GitHub, print, a notebook that
    is not trusted), a film strip of some of the frames stands in its place. Raises ValueError for no frames, for
    frames or labels that do not match, or a value that is no frame.
    """

    def __init__(self, frames, labels, caption, alt, value=0):
        frames, labels = [frame if isinstance(frame, bytes) else np.asarray(frame) for frame in frames], list(labels)
        scale, pngs = as_pngs(frames)
        if len(labels) != len(pngs):
            raise ValueError(f"each frame needs one label, but got {len(pngs)} frames and {len(labels)} labels.")
        if not 0 <= value < len(pngs):
            raise ValueError(f"value must be the index of a frame, 0…{len(pngs) - 1}, but got {value}.")
        self._data = {"frames": [b64encode(frame).decode() for frame in pngs], "scale": scale, "labels": labels,
                      "caption": caption, "alt": alt, "value": value}
        self._still = film_strip(frames, labels, caption)

    def to_html(self):
        """A page that plays the frames by itself, with mouse and keys: no network, the same bytes each time."""
        return player.page(self._data)

    def _repr_mimebundle_(self, **kwargs):
        """The still; where pages are made, with the player in a frame of its own."""
        bundle = {"text/html": player.in_a_frame(self._data)} if for_pages() else {}
        return with_still(bundle, f"Scrubber({len(self._data['frames'])} frames)", self._still, self._data["alt"])

    def _ipython_display_(self):
        """In a notebook the player is an output of its own, behind the still, whose place it takes where it runs."""
        data, metadata = self._repr_mimebundle_()
        display(data, metadata=metadata, raw=True)
        if not for_pages():
            display({"text/html": player.in_a_notebook(self._data)}, raw=True)


def as_pngs(frames):
    """How much larger the frames are shown, and these as PNG bytes. Raises ValueError for none, or if sizes differ."""
    arrays = [frame for frame in frames if not isinstance(frame, bytes)]
    for array in arrays:
        check_picture(array)
    scale = player.scale_of(arrays) if len(arrays) == len(frames) else 1
    pngs = [frame if isinstance(frame, bytes) else quick_png(np.ascontiguousarray(frame[::scale, ::scale]))
            for frame in frames]
    sizes = {Image.open(BytesIO(frame)).size for frame in pngs}
    if len(sizes) != 1:
        raise ValueError("a scrubber needs at least one frame, but got none." if not sizes else
                         f"all frames must have the same size, but got {sorted(sizes)} (width, height).")
    return scale, pngs
