"""A slider through frames that are all made beforehand: moving it computes nothing and asks no kernel."""

import json
from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from PIL import Image

from diffusion_lab.view.pages import for_pages
from diffusion_lab.view.pictures import quick_png
from diffusion_lab.view.still import film_strip, with_still

SCRIPT, STYLE = (Path(__file__).with_name(f"scrubber.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
# The frame is as high as what is in it, also after the page has become narrower or a slide is turned up.
FIT = ("const frame = this, page = this.contentDocument.documentElement;"
       "new ResizeObserver(() => { frame.style.height = page.offsetHeight + 'px'; }).observe(page);")


class Scrubber(anywidget.AnyWidget):
    """Scrub through `frames` with mouse or keys (arrows, Home, End, Page Up/Down, space); `value` is the frame's index.

    frames: equal-sized uint8 arrays (H, W) or (H, W, 3), or PNG bytes. labels: one string for each frame.
    caption: what to see. alt: the same for those who cannot see it. Where no kernel runs (GitHub, print), a film
    strip of some of the frames stands in its place; on the site and slides, the player of `to_html`. Raises ValueError
    for no frames, for frames or labels that do not match, or a value that is no frame.
    """

    _esm, _css = SCRIPT, STYLE
    value = traitlets.Int(0).tag(sync=True)
    _frames = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _caption = traitlets.Unicode().tag(sync=True)
    _alt = traitlets.Unicode().tag(sync=True)

    def __init__(self, frames, labels, caption, alt, value=0):
        frames, labels = [frame if isinstance(frame, bytes) else np.asarray(frame) for frame in frames], list(labels)
        pngs = as_pngs(frames)
        if len(labels) != len(pngs):
            raise ValueError(f"each frame needs one label, but got {len(pngs)} frames and {len(labels)} labels.")
        check_value(value, pngs)
        super().__init__(_frames=[b64encode(frame).decode() for frame in pngs], _labels=labels, _caption=caption,
                         _alt=alt, value=value)
        self._still = film_strip(frames, labels, caption)

    @traitlets.validate("value")
    def _is_a_frame(self, proposal):
        check_value(proposal.value, self._frames)
        return proposal.value

    def to_html(self):
        """A page that plays the same frames by itself, with mouse and keys: no network, the same bytes each time."""
        data = {"frames": self._frames, "labels": self._labels, "caption": self._caption, "alt": self._alt,
                "value": self.value}
        start = f"mount(document.querySelector('main'), {{...{json.dumps(data)}, onValue() {{}}}});"
        script = (SCRIPT + start).replace("</", "<\\/")
        return (f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(self._caption)}</title>\n'
                f"<style>{STYLE}</style>\n<main></main>\n<script type=\"module\">\n{script}\n</script></html>\n")

    def _repr_mimebundle_(self, **kwargs):
        bundle, _ = super()._repr_mimebundle_(**kwargs) or ({}, {})
        if for_pages():
            bundle = dict(bundle) | {"text/html": self._in_a_page()}
        return with_still(bundle, f"Scrubber({len(self._frames)} frames)", self._still, self._alt)

    def _in_a_page(self):
        """The player in a frame of its own, so that its page and the page around it do not disturb each other."""
        return (f'<iframe title="{escape(self._caption)}" style="width: 100%; border: 0" onload="{escape(FIT)}" '
                f'srcdoc="{escape(self.to_html())}"></iframe>')


def check_value(value, frames):
    if not 0 <= value < len(frames):
        raise ValueError(f"value must be the index of a frame, 0…{len(frames) - 1}, but got {value}.")


def as_pngs(frames):
    """The frames as PNG bytes; raise ValueError if there are none, or their sizes differ."""
    frames = [frame if isinstance(frame, bytes) else quick_png(frame) for frame in frames]
    sizes = {Image.open(BytesIO(frame)).size for frame in frames}
    if len(sizes) != 1:
        raise ValueError("a scrubber needs at least one frame, but got none." if not sizes else
                         f"all frames must have the same size, but got {sorted(sizes)} (width, height).")
    return frames
