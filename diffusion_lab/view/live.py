"""Sliders for parameters that need computing: one picture, drawn anew in its place at each change."""

import ipywidgets as widgets

from diffusion_lab.view.pictures import pixels, png, quick_png
from diffusion_lab.view.still import with_still


class Live(widgets.VBox):
    """One picture and the controls that change it; while it is drawn, later values wait, and only the last is drawn.

    draw: called with the value of each control by name; returns a matplotlib figure or a uint8 array. Fastest is one
    figure whose artists it updates: the second time that a figure comes back, its layout is left as it is.
    controls: ipywidgets, by the name of draw's argument. caption and alt: as for `Scrubber`.
    """

    def __init__(self, draw, caption, alt, **controls):
        self._draw_picture, self._controls, self._alt, self._figure = draw, controls, alt, None
        # An ipywidgets image has no alt text; its tooltip is what a screen reader says instead.
        self._image = widgets.Image(tooltip=alt, layout=widgets.Layout(max_width="100%", align_self="flex-start"))
        super().__init__([*controls.values(), self._image, widgets.HTML(f"<i>{caption}</i>")])
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
        text = f"Live({', '.join(f'{name}={control.value}' for name, control in self._controls.items())})"
        return with_still(super()._repr_mimebundle_(**kwargs), text, png(self._array), self._alt)
