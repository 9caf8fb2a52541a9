"""How well a slider keeps up in JupyterLab: our scrubber beside ipywidgets' `interact` with a new figure each time.

    python benchmarks/sliders.py

An arrow key is pressed 30 times at 30 Hz while the picture is looked at in each animation frame. Needs Chromium.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from lab import CHROMIUM, HOW_TO_INSTALL, browser, jupyter_lab, open_and_run, press_and_watch, write_notebook

SCRUBBER = """import numpy as np
from diffusion_lab.view.scrubber import Scrubber
Scrubber([np.full((200, 300), 8 * i, dtype=np.uint8) for i in range(31)], [f"t = {i}" for i in range(31)],
         "Grey grows lighter.", "A grey square.")"""
INTERACT = """%matplotlib inline
import ipywidgets
import matplotlib.pyplot as plt
def draw(i):
    axes = plt.figure(figsize=(3, 2)).add_axes([0, 0, 1, 1])
    axes.imshow([[8 * i]], cmap="gray", vmin=0, vmax=255, aspect="auto")
    axes.set_axis_off()
    plt.show()
_ = ipywidgets.interact(draw, i=ipywidgets.IntSlider(min=0, max=30))"""
PEERS = {
    "Scrubber": (SCRUBBER, ".scrubber-picture", ".scrubber-slider"),
    "interact, new figure": (INTERACT, ".jp-RenderedImage img", ".widget-slider .noUi-handle"),
}


def measure(chromium, source, picture, slider):
    """(frames shown of 30, blank animation frames, lateness of the last frame in ms)."""
    with tempfile.TemporaryDirectory() as folder, jupyter_lab(folder) as address:
        write_notebook(Path(folder) / "slider.ipynb", source)
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        open_and_run(page, address, "slider.ipynb", picture)
        page.locator(slider).first.focus()
        seen, pressed = press_and_watch(page, picture)
        page.close()
    shown = {frame for _, frame, _ in seen if frame is not None}
    blanks = sum(frame is None for _, frame, _ in seen)
    last = next((ms for ms, frame, _ in seen if frame == 30), float("inf"))
    return len(shown - {0}), blanks, last - pressed[-1]


def main():
    if CHROMIUM is None:
        sys.exit(HOW_TO_INSTALL)
    print("| slider | pictures shown of 30 | blank frames | last picture after last key, ms |\n|---|---|---|---|")
    with browser() as chromium:
        for name, peer in PEERS.items():
            shown, blanks, late = measure(chromium, *peer)
            print(f"| {name} | {shown} | {blanks} | {late:.0f} |", flush=True)


if __name__ == "__main__":
    main()
