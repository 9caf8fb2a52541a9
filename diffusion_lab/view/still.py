"""Still pictures that stand in for a widget where none can live: on GitHub, in print, in a notebook not yet run."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffusion_lab.view.pictures import png


def with_still(bundle, text, still, alt):
    """A widget's display data with a fixed text form and a still PNG, and the metadata that carries its alt text."""
    bundle = dict(bundle or {}) | {"text/plain": text, "image/png": b64encode(still).decode()}
    return bundle, {"image/png": {"alt": alt}}


def film_strip(frames, labels, most=6, width=900, gap=8, text_height=18):
    """Some of the frames (PNG bytes or arrays), first and last among them, as one PNG with their labels beneath."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    stills = [frames[i] if isinstance(frames[i], bytes) else png(frames[i]) for i in chosen]
    images = [Image.open(BytesIO(still)).convert("RGB") for still in stills]
    columns = max(1, min(len(images), width // max(140, min(images[0].width, width // 2))))
    shrink = min(1, (width - gap * (columns - 1)) / columns / images[0].width)
    size = round(images[0].width * shrink), round(images[0].height * shrink)
    step_x, step_y = max(size[0], 140) + gap, size[1] + text_height + gap
    strip = Image.new("RGB", (columns * step_x - gap, -(-len(images) // columns) * step_y - gap), "white")
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(size=12)
    for place, (i, image) in enumerate(zip(chosen, images)):
        left, top = place % columns * step_x, place // columns * step_y
        strip.paste(image.resize(size, Image.Resampling.LANCZOS), (left, top))
        draw.text((left, top + size[1] + 2), labels[i], fill="black", font=font)
    return png(np.asarray(strip))
