"""Sliders for parameters that need computing: one picture, drawn anew in its place at each change."""

import ipywidgets as widgets

from diffusion_lab.view.pictures import pixels, png
from diffusion_lab.view.still import with_still


class Live(widgets.VBox):
    """One picture and the controls that change it.

    draw: called with the value of each control by name; returns a matplotlib figure or a uint8 array.
    controls: ipywidgets, by the name of draw's argument. caption and alt: as for `Scrubber`.
    """

    def __init__(self, draw, caption, alt, **controls):
        self._draw_picture, self._controls, self._alt = draw, controls, alt
        self._image = widgets.Image(layout=widgets.Layout(max_width="100%", align_self="flex-start"))
        super().__init__([*controls.values(), self._image, widgets.HTML(f"<i>{caption}</i>")])
        for control in controls.values():
            control.observe(self._draw, "value")
        self._draw()

    def _draw(self, _=None):
        picture = self._draw_picture(**{name: control.value for name, control in self._controls.items()})
        self._image.value = png(pixels(picture) if hasattr(picture, "savefig") else picture)

    def _repr_mimebundle_(self, **kwargs):
        text = f"Live({', '.join(f'{name}={control.value}' for name, control in self._controls.items())})"
        return with_still(super()._repr_mimebundle_(**kwargs), text, self._image.value, self._alt)
