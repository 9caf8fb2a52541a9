"""Sliders for parameters that need computing: one picture, drawn anew in its place at each change."""

from html import escape

import ipywidgets as widgets

from diffusion_lab.view.pictures import pixels, quick_png
from diffusion_lab.view.still import film_strip, with_still


class Live(widgets.VBox):
    """One picture and the controls that change it; while it is drawn, later values wait, and only the last is drawn.

    draw: called with the value of each control by name; returns a uint8 array (fastest is what a `painter` draws) or a
    matplotlib figure (whose layout is left as it is when the same figure comes back).
    controls: ipywidgets, by the name of draw's argument. caption and alt: as for `Scrubber`. Where no kernel runs, a
    still of the picture stands in its place, with the values that it was drawn for.
    """

    def __init__(self, draw, caption, alt, **controls):
        self._draw_picture, self._controls, self._figure = draw, controls, None
        self._caption, self._alt = caption, alt
        # An ipywidgets image has no alt text; its tooltip is what a screen reader says instead.
        self._image = widgets.Image(tooltip=alt, layout=widgets.Layout(max_width="100%", align_self="flex-start"))
        super().__init__([*controls.values(), self._image, widgets.HTML(f"<i>{escape(caption)}</i>")])
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
        self._image.value = quick_png(picture)

    def _repr_mimebundle_(self, **kwargs):
        values = [(name, control.description or name, control.value) for name, control in self._controls.items()]
        text = f"Live({', '.join(f'{name}={value}' for name, _, value in values)})"
        shown = ", ".join(f"{shown} = {value}" for _, shown, value in values)
        still = film_strip([self._array], [f"Drawn for {shown}. Run the notebook to change it."], self._caption)
        return with_still(super()._repr_mimebundle_(**kwargs), text, still, self._alt)
