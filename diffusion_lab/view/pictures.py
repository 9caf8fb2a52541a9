"""Pictures as small PNGs: of a figure, or of a batch of images."""

from io import BytesIO

import numpy as np
from PIL import Image


def pixels(fig):
    """Draw a matplotlib figure into a uint8 array (H, W, 3)."""
    if not hasattr(fig, "savefig"):
        raise ValueError(f"a picture is a matplotlib figure or a uint8 array, but got {type(fig).__name__}.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: who has an array needs no matplotlib

    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def mosaic(images, columns=None, scale=3, gap=2):
    """Put images side by side in a grid: float (n, 1, H, W) in [-1, 1] to one uint8 array (H', W').

    columns: images in a row, all in one row if None. scale: screen pixels for each image pixel. Values beyond
    [-1, 1] are shown as black or white. Raises ValueError for other images, or for numbers that make no grid.
    """
    if hasattr(images, "detach"):
        images = images.detach().cpu().double()
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != 1 or images.dtype.kind != "f" or images.size == 0:
        raise ValueError(f"images must be floats, (n, 1, H, W), but got {images.dtype}, {images.shape}.")
    if not np.isfinite(images).all():
        raise ValueError("the images hold NaN or infinite values.")
    for name, value, least in (("columns", 1 if columns is None else columns, 1), ("scale", scale, 1), ("gap", gap, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, but got {value!r}.")
    images = images.astype(np.float64)[:, 0]
    n, height, width = images.shape
    columns = n if columns is None else columns
    grid = np.full((-(-n // columns) * (height + gap) - gap, columns * (width + gap) - gap), 255, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        grid[top : top + height, left : left + width] = np.clip((image + 1) * 127.5, 0, 255).round()
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)


def check_picture(array):
    """Raise ValueError unless array is uint8, (H, W) or (H, W, 3)."""
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.ndim != 2 and array.shape[2:] != (3,):
        given = f"{array.dtype}, {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise ValueError(f"a picture must be a uint8 array, (H, W) or (H, W, 3), but got {given}.")


def png(array, colours=64):
    """A uint8 array (H, W) or (H, W, 3) as PNG bytes; colour pictures are reduced to a palette, to keep files small."""
    check_picture(array)
    image = Image.fromarray(array)
    if image.mode == "RGB":
        image = image.quantize(colours, dither=Image.Dither.NONE)
    buffer = BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def quick_png(array):
    """As `png`, but made in a tenth of the time, and a little larger: for pictures that are sent, not stored."""
    check_picture(array)
    image = Image.fromarray(array)
    if image.mode == "RGB":
        image = image.quantize(64, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    buffer = BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
