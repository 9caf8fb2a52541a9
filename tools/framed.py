"""Frames of live pictures, made beforehand: with them they move where no kernel runs, on the site and on slides.

`played` puts CELL behind the last cell of a notebook, where it draws each live picture for some of the values of each
of its controls. Numbers are thinned until there are at most MOST frames, or as many as are drawn in PATIENCE seconds of
a processor, since a site should be built in minutes; choices and drawings are all kept. A text, the controls beyond the
first THREE, and those for which too few frames are left stay as they are.
"""

import json
import sys
import time
from base64 import b64encode
from hashlib import sha256
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
from IPython.display import display
from lives import alive
from PIL import Image

from diffusion_lab.view.canvas import CONTROLS, Canvas
from diffusion_lab.view.pictures import pixels

KIND = "application/vnd.diffusion-lab.frames+json"
MOST, THREE, FEW, PATIENCE = 120, 3, 4, 60
HEAVY = 1_600_000  # bytes: a picture whose frames are more is drawn with fewer
SCRIPT = Path(__file__).parent / "web" / "moves.js"
CELL = (f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\n"
        f"import framed\nframed.show_all({MOST}, {PATIENCE})")


def axis_of(live, name):
    """A control as an axis: its values, their labels, the place of its value, and whether all values are kept.

    None for a text, of which nobody knows what may be typed.
    """
    control, told = live._controls[name], live._told[name]
    if isinstance(control, Canvas):
        values, labels, chosen = control.options, list(control._examples), True
    elif live._values[name] is None:
        return None
    else:
        values, labels = live._values[name], told["labels"]
        chosen = told["list"] or not all(isinstance(value, (int, float)) for value in values)
    at = live._places[name] if live._values[name] is not None else values.index(control.value)
    return {"name": name, "description": told["description"], "values": values, "labels": labels, "value": at,
            "list": isinstance(control, Canvas) or told["list"], "kept": chosen}


def counts(lengths, kept, most):
    """How many values of each axis are drawn: the longest that is not kept loses one, until there are `most` frames."""
    numbers = list(lengths)
    while np.prod(numbers) > most:
        free = [place for place in range(len(numbers)) if not kept[place] and numbers[place] > 2]
        if not free:
            break
        numbers[max(free, key=lambda place: numbers[place])] -= 1
    return numbers


def thinned(axis, count):
    """An axis with `count` of its values: both ends, the present one, and others evenly between."""
    last, at = len(axis["values"]) - 1, axis["value"]
    places = np.linspace(0, last, count).round().astype(int)
    inner = range(1, count - 1) if count > 2 and 0 < at < last else [0 if at < last / 2 else count - 1]
    if at not in places:
        places[min(inner, key=lambda place: abs(places[place] - at))] = at
    places = [int(place) for place in places]
    return axis | {"values": [axis["values"][place] for place in places], "value": places.index(at),
                   "labels": [axis["labels"][place] for place in places], "of": last + 1}


def moved(axes, most):
    """Those of the first THREE axes that all keep FEW places, or what they must, in `most` frames.

    While they are too many, the one that asks for most is left out; the last one stays.
    """
    asked = [(len(axis["values"]) if axis["kept"] else min(FEW, len(axis["values"])), axis) for axis in axes[:THREE]]
    while len(asked) > 1 and np.prod([count for count, _ in asked]) > most:
        asked.remove(max(asked, key=lambda one: one[0]))
    return [axis for _, axis in asked]


def frames_of(live, most=MOST):
    """What a page needs to show a live picture: its axes, and a frame (WebP, base64) for each combination of places.

    The last axis moves fastest; `order` has the index of each combination's frame.
    """
    axes = moved([axis for name in live._controls if (axis := axis_of(live, name))], most)
    numbers = counts([len(axis["values"]) for axis in axes], [axis["kept"] for axis in axes], most)
    axes = [thinned(axis, number) for axis, number in zip(axes, numbers)]
    values = {name: control.value for name, control in live._controls.items()}
    frames, order = {}, []
    for choice in product(*(axis["values"] for axis in axes)):
        drawn = live._draw_picture(**values | {axis["name"]: value for axis, value in zip(axes, choice)})
        array = pixels(drawn) if hasattr(drawn, "savefig") else drawn
        order.append(frames.setdefault(webp(array), len(frames)))
    fixed = [live._told[name]["description"] for name in live._controls if name not in {axis["name"] for axis in axes}]
    shown = ("description", "labels", "value", "list", "of")
    return {"axes": [{key: axis[key] for key in shown} for axis in axes], "order": order, "frames": list(frames),
            "caption": live._caption, "alt": live._alt, "fixed": fixed}


def seconds(live):
    """What one frame costs of a processor: the second one, since the first may load something."""
    values = {name: control.value for name, control in live._controls.items()}
    live._draw_picture(**values)
    began = time.process_time()
    for name in values:
        ends = [axis["values"][0], axis["values"][-1]] if (axis := axis_of(live, name)) else [values[name]]
        for value in ends:
            live._draw_picture(**values | {name: value})
    return (time.process_time() - began) / (2 * len(values))


def webp(array):
    """A picture as WebP without loss, but for colours, of which 32 are kept, in base64."""
    image = Image.fromarray(array)
    if image.mode != "L":
        image = image.quantize(32, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        # The paper is white in the picture, and must be on the page, where a shade less is seen as a slab.
        image.putpalette([255 if value > 247 else value for value in image.getpalette()])
    buffer = BytesIO()
    image.convert("RGB").save(buffer, format="WEBP", lossless=True, quality=60, method=4)
    return b64encode(buffer.getvalue()).decode()


def show_all(most=MOST, patience=PATIENCE):
    """Display the frames of all live pictures of this process, and say what they weigh."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)  # on a busy machine two threads wait for each other, and waiting would count as work
    for live in alive():
        began = time.perf_counter()
        made = frames_of(live, number := min(most, max(1, round(patience / seconds(live)))))
        if (heavy := sum(map(len, made["frames"]))) > HEAVY:
            made = frames_of(live, round(number * HEAVY / heavy))
        sizes = " × ".join(f"{axis['description']} {len(axis['labels'])}" for axis in made["axes"])
        told = (f"{sizes}: {len(made['frames'])} frames, {sum(map(len, made['frames'])) / 1e6:.2f} MB, "
                f"{time.perf_counter() - began:.0f} s · {made['caption'][:50]}")
        display({KIND: made, "text/plain": told}, raw=True)


def hand_over(notebook):
    """Take CELL out of an executed notebook, and give the frames that it showed to the outputs that they belong to."""
    last = notebook.cells.pop()
    by_alt = {}
    for output in last.outputs:
        if made := output.get("data", {}).get(KIND):
            by_alt[made["alt"]] = made
        print(f"    {output.get('data', {}).get('text/plain', '')}", flush=True)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if data.get("text/plain", "").startswith("Live(") and alt in by_alt:
                data[KIND] = by_alt.pop(alt)
    if by_alt:
        raise ValueError(f"no cell shows these live pictures: {', '.join(by_alt)}")


def name_of(made):
    """The name of the file with the frames of a picture: a fingerprint of them."""
    return sha256(json.dumps(made).encode()).hexdigest()[:12]


def write(folder, notebooks=()):
    """Put into a folder what its pages need: moves.js, and in frames/ a file for each picture that moves."""
    Path(folder, "frames").mkdir(parents=True, exist_ok=True)
    script = f"(() => {{\n{CONTROLS}\n{SCRIPT.read_text(encoding='utf-8')}}})();\n"
    Path(folder, "moves.js").write_text(script, encoding="utf-8")
    for notebook in notebooks:
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                if made := output.get("data", {}).get(KIND):
                    name = name_of(made)  # a page opened from a file can fetch scripts alone
                    Path(folder, "frames", f"{name}.js").write_text(f'FRAMES["{name}"] = {json.dumps(made)};\n')
