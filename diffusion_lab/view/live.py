"""Sliders for parameters that need computing: one picture, drawn anew in its place at each change."""

import os
import sys
from base64 import b64encode
from pathlib import Path
from uuid import uuid4

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets
from IPython.display import display

from diffusion_lab.view.canvas import CONTROLS, Canvas
from diffusion_lab.view.canvas import SCRIPT as CANVAS
from diffusion_lab.view.canvas import STYLE as CANVAS_STYLE
from diffusion_lab.view.pages import for_pages
from diffusion_lab.view.pictures import pixels, quick_png
from diffusion_lab.view.player import STYLE
from diffusion_lab.view.still import film_strip, with_still

FINDS = """\
<style>
{style}</style>
<div class="live"></div>
<script>
(() => {{
const root = document.currentScript.previousElementSibling, id = "{id}";
const come = () => window.diffusionLabLives?.[id]?.(root);
document.addEventListener("diffusion-lab-live", (event) => event.detail === id && come());
come();
}})();
</script>
"""


class Live(anywidget.AnyWidget):
    """One picture and the controls that change it; while it is drawn, later values wait, and only the last is drawn.

    draw: called with the value of each control by name; returns a uint8 array (fastest is what a `painter` draws) or a
    matplotlib figure (whose layout is left as it is when the same figure comes back).
    controls: sliders, choices, check boxes and texts of ipywidgets, or a `Canvas`, by the name of draw's argument; each
    is called by its description. caption and alt: as for `Scrubber`. Where no kernel runs, a still of the picture
    stands in its place, with the values that it was drawn for (of a control that has `told`, its words for its value).
    Raises ValueError for another control.
    """

    _esm = CONTROLS + CANVAS + Path(__file__).with_name("live.js").read_text(encoding="utf-8")
    _css = STYLE + CANVAS_STYLE
    _id = traitlets.Unicode().tag(sync=True)
    _png = traitlets.Unicode().tag(sync=True)
    _alt = traitlets.Unicode().tag(sync=True)
    _caption = traitlets.Unicode().tag(sync=True)
    _told = traitlets.Dict().tag(sync=True)
    _places = traitlets.Dict().tag(sync=True)  # of each control: the index of its value, or a text or strokes

    def __init__(self, draw, caption, alt, **controls):
        self._draw_picture, self._controls, self._figure, self._moves = draw, controls, None, False
        self._values = {name: values_of(name, control)[0] for name, control in controls.items()}
        self._draw_png()
        super().__init__(_id=uuid4().hex, _alt=alt, _caption=caption, _png=self._sent, _places=self._now(),
                         _told={name: told(name, control) for name, control in controls.items()})
        for control in controls.values():
            control.observe(self._draw, "value")

    def _now(self):
        return {name: control.value if self._values[name] is None else nearest(self._values[name], control.value)
                for name, control in self._controls.items()}

    def _draw_png(self):
        picture = self._draw_picture(**{name: control.value for name, control in self._controls.items()})
        if hasattr(picture, "savefig"):
            if picture is self._figure:
                picture.set_layout_engine("none")
            self._figure, picture = picture, pixels(picture)
        self._array, self._sent = picture, b64encode(quick_png(picture)).decode()

    def _draw(self, _=None):
        if self._moves:  # other controls are still to be moved
            return
        self._draw_png()
        with self.hold_sync():
            self._png, self._places = self._sent, self._now()

    @traitlets.observe("_places")
    def _follow(self, change):
        """Move the controls to where the reader has moved them."""
        if not hasattr(self, "_values") or (now := self._now()) == change.new:
            return
        self._moves = True
        try:
            for name, place in change.new.items():
                if place != now[name]:
                    self._controls[name].value = place if self._values[name] is None else self._values[name][place]
        finally:
            self._moves = False
        self._draw()

    def _repr_mimebundle_(self, **kwargs):
        values = [(name, control.description or name, getattr(control, "told", control.value))
                  for name, control in self._controls.items()]
        text = f"Live({', '.join(f'{name}={value}' for name, _, value in values)})"
        shown = ", ".join(f"{shown} = {value}" for _, shown, value in values)
        still = film_strip([self._array], [f"Drawn for {shown}. Run the notebook to change it."], self._caption)
        bundle, _ = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return with_still(bundle, text, still, self._alt)

    def _ipython_display_(self):
        """The still, and in a notebook behind it an output that brings the style of its frame.

        In JupyterLab this output finds the live picture, too, which takes the still's place while the kernel is there.
        """
        data, metadata = self._repr_mimebundle_()
        finds = in_jupyter() and not for_pages()
        if finds:
            del data["application/vnd.jupyter.widget-view+json"]
        display(data, metadata=metadata, raw=True)
        if not for_pages():
            behind = FINDS.format(style=self._css, id=self._id) if finds else f"<style>\n{STYLE}</style>\n"
            display({"text/html": behind}, raw=True)


def in_jupyter():
    """Whether a Jupyter server has started this kernel: then all outputs are parts of one page."""
    return "JPY_SESSION_NAME" in os.environ and "google.colab" not in sys.modules


def values_of(name, control):
    """The values that a control can take, and their labels; (None, None) where they are free. Raises ValueError."""
    if isinstance(control, (Canvas, widgets.Text)):
        return None, None
    if isinstance(control, widgets.Checkbox):
        return [False, True], ["no", "yes"]
    if hasattr(control, "_options_values"):
        return list(control._options_values), list(control._options_labels)
    if not {"min", "max", "step"} <= set(control.trait_names()) or isinstance(control.value, tuple):
        raise ValueError("Live takes sliders, choices, check boxes, texts and a Canvas, but "
                         f"{name} is {type(control).__name__}.")
    steps = np.arange(round((control.max - control.min) / control.step) + 1) * control.step + control.min
    values = [round(float(value), 10) for value in steps]
    if isinstance(control, widgets.FloatLogSlider):
        values = [control.base**value for value in values]
    if isinstance(control.value, int):
        values = [int(value) for value in values]
    return values, [format(value, getattr(control, "readout_format", "")) for value in values]


def nearest(values, value):
    """The index of a value, or of the nearest if it is a number between two."""
    return values.index(value) if value in values else min(range(len(values)), key=lambda i: abs(values[i] - value))


def told(name, control):
    """What the front needs to show a control."""
    if isinstance(control, Canvas):
        return {"description": control.description, "_examples": control._examples, "_pen": control._pen}
    return {"description": control.description or name, "labels": values_of(name, control)[1],
            "list": isinstance(control, (widgets.Dropdown, widgets.Select, widgets.Checkbox, widgets.RadioButtons,
                                         widgets.ToggleButtons))}
