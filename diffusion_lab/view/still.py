"""Still pictures that stand in for a widget where none can live: on GitHub, in print, in a notebook not yet run."""

from base64 import b64encode
from io import BytesIO
from math import ceil
from pathlib import Path
from textwrap import wrap

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffusion_lab.view.pictures import png

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")  # Pillow's own font lacks Greek letters
UPRIGHT, SLANTED = (ImageFont.truetype(FONTS / f"DejaVuSans{kind}.ttf", 12) for kind in ("", "-Oblique"))
LINE, LETTER = 17, 6.8  # pixels: height of a line of text, width of a letter on average


def with_still(bundle, text, still, alt):
    """A widget's display data with a fixed text form and a still PNG, and the metadata that carries its alt text."""
    bundle = dict(bundle or {}) | {"text/plain": text, "image/png": b64encode(still).decode()}
    return bundle, {"image/png": {"alt": alt}}


def film_strip(frames, labels, caption, most=6, width=900, gap=8):
    """Some of the frames (PNG bytes or arrays), first and last among them, as one PNG: labels and caption beneath."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    images = [picture(frames[i]) for i in chosen]
    labels = [labels[i].replace("\n", " ") for i in chosen]  # there is room for one line
    column = max(min(images[0].width, (width - gap) // 2), *(ceil(UPRIGHT.getlength(label)) for label in labels))
    columns = max(1, min(len(images), (width + gap) // (column + gap)))
    shrink = min(1, (width - gap * (columns - 1)) / columns / images[0].width)
    size = round(images[0].width * shrink), round(images[0].height * shrink)
    step_x, step_y = max(size[0], column) + gap, size[1] + LINE + gap
    whole = max(columns * step_x - gap, width // 2)
    lines, below = wrap(caption, int(whole / LETTER)), -(-len(images) // columns) * step_y
    strip = Image.new("RGB", (whole, below + LINE * len(lines)), "white")
    draw = ImageDraw.Draw(strip)
    for place, (label, image) in enumerate(zip(labels, images)):
        left, top = place % columns * step_x, place // columns * step_y
        strip.paste(image.resize(size, Image.Resampling.LANCZOS), (left, top))
        draw.text((left, top + size[1] + 2), label, fill="black", font=UPRIGHT)
    draw.text((0, below), "\n".join(lines), fill="black", font=SLANTED, spacing=LINE - 15)
    return png(np.asarray(strip))


def picture(frame):
    """A frame, PNG bytes or an array, as a picture with colours."""
    return (Image.open(BytesIO(frame)) if isinstance(frame, bytes) else Image.fromarray(frame)).convert("RGB")
