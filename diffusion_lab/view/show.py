"""Pictures in a notebook: shown once, or replaced in their place while a loop runs."""

import numpy as np
from IPython.display import Image, display

from diffusion_lab.view.pages import for_pages
from diffusion_lab.view.pictures import pixels, png


def show(picture, alt):
    """Display a matplotlib figure or a uint8 array as a PNG with the text `alt` for those who cannot see it.

    Where pages are made, a figure has twice as many pixels on each side, for projectors.
    """
    sharp = for_pages() and not isinstance(picture, np.ndarray)
    if sharp:
        picture.set_dpi(200)
    array = picture if isinstance(picture, np.ndarray) else pixels(picture)
    display(Image(data=png(array), alt=alt, retina=sharp))


class Watch:
    """One picture that is replaced in its place while a loop runs.

    alt: for those who cannot see it. What stays in the cell's output is the last picture.
    """

    def __init__(self, alt):
        self._alt, self._handle = alt, None

    def show(self, picture):
        """Put a matplotlib figure or a uint8 array in the place of the picture before."""
        array = picture if isinstance(picture, np.ndarray) else pixels(picture)
        image = Image(data=png(array), alt=self._alt)
        if self._handle is None:
            self._handle = display(image, display_id=True)
        else:
            self._handle.update(image)
