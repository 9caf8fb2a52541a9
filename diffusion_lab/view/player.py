"""The player of a `Scrubber` as HTML: its frames, and the script that plays them without a kernel or a network."""

import json
import re
from base64 import b64decode, b64encode
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT, STYLE = ("".join(Path(__file__).with_name(name).read_text(encoding="utf-8") for name in names)
                 for names in (("controls.js", "scrubber.js"), ("controls.css",)))
MOUNTED = re.compile(r"^mount\(root, (\{\".*\})\);$", flags=re.MULTILINE)
LARGEST = 6  # how many pixels of a screen one pixel of an image may be wide
# The frame is as high as what is in it, also after the page has become narrower or a slide is turned up.
FIT = ("const frame = this, page = this.contentDocument.documentElement;"
       "new ResizeObserver(() => { frame.style.height = page.offsetHeight + 'px'; }).observe(page);")


def script(data):
    """The script that mounts a player into `root`. data: its frames in base64, scale, labels, caption, alt, value."""
    return f"{SCRIPT}mount(root, {json.dumps(data)});\n".replace("</", "<\\/")


def page(data):
    """A page that plays by itself: the same bytes each time."""
    return (f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(data["caption"])}</title>\n'
            f"<style>{STYLE}</style>\n<main></main>\n"
            f"<script type=\"module\">\nconst root = document.querySelector('main');\n{script(data)}</script></html>\n")


def in_a_frame(data):
    """The player's page in a frame of its own, so that it and the page around it do not disturb each other."""
    return (f'<iframe title="{escape(data["caption"])}" style="width: 100%; border: 0" onload="{escape(FIT)}" '
            f'srcdoc="{escape(page(data))}"></iframe>')


def in_a_notebook(data):
    """The player as a part of the page, with the colours and keys of JupyterLab."""
    return (f'<style>\n{STYLE}</style>\n<div class="scrubber"></div>\n<script>\n(() => {{\n'
            f"const root = document.currentScript.previousElementSibling;\n{script(data)}}})();\n</script>\n")


def data_of(html):
    """What a player in a notebook was made from; None if the HTML is no player."""
    found = MOUNTED.search(html)
    return json.loads(found[1]) if found else None


def reduced(data):
    """The data of a player with frames in fewer bytes: WebP without loss, but for colours, of which 24 are kept."""
    return data | {"frames": [webp(frame) for frame in data["frames"]]}


def thinned(data, every):
    """The data of a player with every so many of its frames, and the first, the last and the present one."""
    count = len(data["frames"])
    kept = sorted({*range(0, count, every), data["value"], count - 1})
    note = {"note": f"{len(kept)} of {count} pictures, to keep the notebook small. Run the cell for all of them."}
    return data | {"frames": [data["frames"][i] for i in kept], "labels": [data["labels"][i] for i in kept],
                   "value": kept.index(data["value"])} | (note if len(kept) < count else {})


def webp(frame):
    """A PNG as a WebP, both in base64."""
    image, buffer = Image.open(BytesIO(b64decode(frame))), BytesIO()
    if image.mode != "L":
        image = image.convert("RGB").quantize(24, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    image.convert("RGB").save(buffer, format="WEBP", lossless=True, quality=60, method=4)
    return b64encode(buffer.getvalue()).decode()


def scale_of(frames):
    """The largest scale at which all frames are enlarged images: arrays (H, W) or (H, W, 3) of blocks of one value."""
    return max(k for k in range(1, LARGEST + 1) if all(is_enlarged(frame, k) for frame in frames))


def is_enlarged(frame, k):
    height, width = frame.shape[:2]
    if height % k or width % k:
        return False
    small = frame[::k, ::k]
    return np.array_equal(frame, small.repeat(k, axis=0).repeat(k, axis=1))
