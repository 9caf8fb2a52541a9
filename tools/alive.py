"""The network alive on the pages of the site: what a browser needs to draw digits with the weights of the course.

It is written out in tools/web/network.js, since ONNX's runtime for browsers weighs more than twice as much as all of
this, cannot be loaded by a page that was opened from a file, and is no faster on a network so small.
"""

import json
from base64 import b64encode
from gzip import compress
from pathlib import Path

import bundled
from build_notebooks import ROOT

from diffusion_lab.view.canvas import BOX, CONTROLS, EXAMPLES, FINE, PEN, SCRIPT, SIZE, SMALLEST
from diffusion_lab.weights.pretrained import HERE, read_facts

WEB = ROOT / "tools" / "web"
OWN = ("network.js", "alive.js")
NOSCRIPT = ("Here a small network draws digits in your browser, once scripts may run: allow them, or open the "
            "notebook, where the same network runs in Python.")
PLACE = f'<div class="alive"><noscript><p>{NOSCRIPT}</p></noscript></div>\n'  # with half a digit on the pad
EMPTY = PLACE.replace(">", " data-empty>", 1)  # with an empty pad, and steps, guidance and η in the open


def weights():
    """The script with the weights as they are shipped, in base64: a page opened from a file can fetch scripts alone."""
    shipped = (HERE / "mnist" / "weights.safetensors").read_bytes()
    return f'window.WEIGHTS = "{b64encode(shipped).decode()}";\n'


def script():
    """What draws, samples and shows: the script of the pages that have a place for it."""
    numbers = {"EXAMPLES": EXAMPLES, "PEN": PEN, "SIZE": SIZE, "BOX": BOX, "SMALLEST": SMALLEST, "FINE": FINE,
               "T": read_facts("mnist")["T"], "MEGABYTES": round(len(compress(weights().encode())) / 1e6, 1)}
    parts = [f"const {name} = {json.dumps(value)};" for name, value in numbers.items()]
    binary = list(bundled.assembled((WEB / "product.wat").read_text(encoding="utf-8")))
    parts.append(f"const PRODUCT = new Uint8Array({json.dumps(binary)});")
    return "\n".join([*parts, CONTROLS, SCRIPT, *((WEB / name).read_text(encoding="utf-8") for name in OWN)])


def write(folder):
    """Put alive.js into a folder, whose names stay its own, and weights.js, which it fetches when it needs it."""
    Path(folder, "alive.js").write_text(f"(() => {{\n{script()}}})();\n", encoding="utf-8")
    Path(folder, "weights.js").write_text(weights(), encoding="utf-8")
