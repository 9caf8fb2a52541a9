"""Sliders for parameters that need computing: one picture, drawn anew in its place at each change."""

from base64 import b64encode
from html import escape
from pathlib import Path

import anywidget
import ipywidgets as widgets
import traitlets

from diffusion_lab.view.pictures import pixels, quick_png
from diffusion_lab.view.still import film_strip, with_still


class Picture(anywidget.AnyWidget):
    """A PNG in base64, shown anew when it changes, with an alt text, which the image of ipywidgets cannot have."""

    _esm = Path(__file__).with_name("live.js").read_text(encoding="utf-8")
    _png = traitlets.Unicode().tag(sync=True)
    _alt = traitlets.Unicode().tag(sync=True)


class Live(widgets.VBox):
    """One picture and the controls that change it; while it is drawn, later values wait, and only the last is drawn.

    draw: called with the value of each control by name; returns a uint8 array (fastest is what a `painter` draws) or a
    matplotlib figure (whose layout is left as it is when the same figure comes back).
    controls: ipywidgets or a `Canvas`, by the name of draw's argument. caption and alt: as for `Scrubber`. Where no
    kernel runs, a still of the picture stands in its place, with the values that it was drawn for (of a control that
    has `told`, its words for its value).
    """

    def __init__(self, draw, caption, alt, **controls):
        self._draw_picture, self._controls, self._figure = draw, controls, None
        self._caption, self._alt = caption, alt
        self._picture = Picture(_alt=alt)
        super().__init__([*controls.values(), self._picture, widgets.HTML(f"<i>{escape(caption)}</i>")])
        for control in controls.values():
            control.observe(self._draw, "value")
        self._draw()

    def _draw(self, _=None):
        picture = self._draw_picture(**{name: control.value for name, control in self._controls.items()})
        if hasattr(picture, "savefig"):
            if picture is self._figure:
                picture.set_layout_engine("none")
            self._figure, picture = picture, pixels(picture)
        self._array = picture
        self._picture._png = b64encode(quick_png(picture)).decode()

    def _repr_mimebundle_(self, **kwargs):
        values = [(name, control.description or name, getattr(control, "told", control.value))
                  for name, control in self._controls.items()]
        text = f"Live({', '.join(f'{name}={value}' for name, _, value in values)})"
        shown = ", ".join(f"{shown} = {value}" for _, shown, value in values)
        still = film_strip([self._array], [f"Drawn for {shown}. Run the notebook to change it."], self._caption)
        return with_still(super()._repr_mimebundle_(**kwargs), text, still, self._alt)
