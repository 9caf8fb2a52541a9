"""How well sliders keep up: frames in the browser, frames made beforehand, and pictures drawn anew at each change.

    python benchmarks/sliders.py [browser] [frames] [live]      all three if none is named

browser: an arrow key is pressed 30 times at 30 Hz while the picture is looked at in each animation frame; the peer is
ipywidgets' `interact` with a new figure each time. Needs Chromium. live: every live picture of the notebooks; each of
its controls goes through its values. Of several rounds the worst is printed, for making frames the median.
"""

import sys
import tempfile
from io import BytesIO
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tools"))
from browser import CHROMIUM, HOW_TO_INSTALL, browser, jupyter_lab, open_and_run, press_and_watch, write_notebook
from build_notebooks import lessons, source_of
from lives import has_live, lives_of

from diffusion_lab.data.digits import load_digits
from diffusion_lab.view.frames import drawn
from diffusion_lab.view.pictures import mosaic
from diffusion_lab.view.scrubber import Scrubber
from diffusion_lab.view.style import figure

ROUNDS = 3
SCRUBBER = """import numpy as np
from diffusion_lab.view.scrubber import Scrubber
Scrubber([np.full((200, 300), 8 * i, dtype=np.uint8) for i in range(31)], [f"t = {i}" for i in range(31)],
         "Grey grows lighter.", "A grey square.")"""
# Both plots are filled to their edge, so that a pixel of the picture tells which one it is.
LIVE = """import ipywidgets
from diffusion_lab.view.frames import painter
from diffusion_lab.view.live import Live
from diffusion_lab.view.style import figure
fig, axes = figure(width=3, height=2)
axes.set_position([0, 0, 1, 1])
fig.set_layout_engine("none")
axes.set_axis_off()
image = axes.imshow([[0]], cmap="gray", vmin=0, vmax=255, aspect="auto")
paint = painter(fig, [image])
def draw(i):
    image.set_data([[8 * i]])
    return paint()
Live(draw, "Grey grows lighter.", "A grey square.", i=ipywidgets.IntSlider(min=0, max=30))"""
INTERACT = """%matplotlib inline
import ipywidgets
import matplotlib.pyplot as plt
def draw(i):
    axes = plt.figure(figsize=(3, 2)).add_axes([0, 0, 1, 1])
    axes.imshow([[8 * i]], cmap="gray", vmin=0, vmax=255, aspect="auto")
    axes.set_axis_off()
    plt.show()
_ = ipywidgets.interact(draw, i=ipywidgets.IntSlider(min=0, max=30))"""
IN_LAB = {
    "Scrubber in JupyterLab": (SCRUBBER, ".scrubber-picture", ".scrubber-slider"),
    "Live in JupyterLab, one figure": (LIVE, ".live-picture", ".live-slider"),
    "interact in JupyterLab, new figures": (INTERACT, ".jp-RenderedImage img", ".widget-slider .noUi-handle"),
}


def watch(page, picture, slider):
    """ROUNDS times from the first picture to the last: (pictures shown of 30, blank animation frames, ms too late)."""
    rounds = []
    for _ in range(ROUNDS):
        page.locator(slider).first.focus()
        page.keyboard.press("Home")
        page.wait_for_timeout(1500)
        seen, pressed = press_and_watch(page, picture)
        shown = {frame for _, frame, _ in seen if frame}
        last = next((ms for ms, frame, _ in seen if frame == 30), float("inf"))
        rounds.append((len(shown), sum(frame is None for _, frame, _ in seen), last - pressed[-1]))
    shown, blank, late = zip(*rounds)
    return min(shown), max(blank), max(late)


def in_lab(chromium, source, picture, slider):
    with tempfile.TemporaryDirectory() as folder, jupyter_lab(folder) as address:
        write_notebook(Path(folder) / "slider.ipynb", source)
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        open_and_run(page, address, "slider.ipynb", picture)
        return watch(page, picture, slider)


def in_a_page(chromium):
    """The HTML player of the same frames, from a file, with the network blocked."""
    frames = [np.full((200, 300), 8 * i, dtype=np.uint8) for i in range(31)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "player.html"
        path.write_text(Scrubber(frames, [str(i) for i in range(31)], "Grey.", "Grey.").to_html(), encoding="utf-8")
        page = chromium.new_context(offline=True).new_page()
        page.goto(path.as_uri())
        return watch(page, ".scrubber-picture", ".scrubber-slider")


def browser_table():
    if CHROMIUM is None:
        sys.exit(HOW_TO_INSTALL)
    print("\n| slider | pictures shown of 30 | blank frames | last picture after last key, ms |\n|---|---|---|---|")
    with browser() as chromium:
        for name, peer in IN_LAB.items():
            print("| {} | {} | {} | {:.0f} |".format(name, *in_lab(chromium, *peer)), flush=True)
        print("| HTML player, network blocked | {} | {} | {:.0f} |".format(*in_a_page(chromium)))


def timed(make):
    """What `make` returns, and the median of its seconds."""
    seconds = []
    for _ in range(ROUNDS):
        start = perf_counter()
        made = make()
        seconds.append(perf_counter() - start)
    return made, median(seconds)


def digit_chain():
    """100 frames of a digit on its way to noise."""
    digit, eps = load_digits("test")[0][:1].numpy(), np.random.default_rng(0).standard_normal((1, 1, 28, 28))
    shares = np.linspace(1, 0, 100)
    frames = [mosaic(share**0.5 * digit + (1 - share) ** 0.5 * eps) for share in shares]
    return Scrubber(frames, [f"share {share:.2f}" for share in shares], "A digit drowns.", "A digit drowns.")


def plotted_chain():
    """60 frames of a plot with a curve, a cloud and a title that change."""
    fig, (left, right) = figure(columns=2, width=8, height=3)
    x, cloud = np.linspace(-3, 3, 400), np.random.default_rng(0).standard_normal((1000, 2))
    line, dots = left.plot(x, np.exp(-x**2))[0], right.scatter(*cloud.T, s=6)

    def update(i):
        line.set_ydata(np.exp(-((x - i / 60) ** 2)))
        dots.set_offsets(cloud * i / 60)
        left.title.set_text(f"{i}")

    frames = drawn(fig, [line, dots, left.title], update, range(60))
    return Scrubber(frames, [f"t = {i}" for i in range(60)], "A plot.", "A plot.")


def frames_table():
    print("\n| frames | kB, the whole player | ready in s |\n|---|---|---|")
    for name, make in (("100 of a digit", digit_chain), ("60 of a plot", plotted_chain)):
        widget, seconds = timed(make)
        print(f"| {name} | {len(widget.to_html()) / 1000:.0f} | {seconds:.2f} |")


def changes(control, most=20):
    """Values of a control, from one end to the other."""
    if hasattr(control, "options"):
        return control.options
    return np.unique(np.linspace(control.min, control.max, most).round(2).astype(type(control.value))).tolist()


def new_figure():
    """What the peer does at each change: a new figure, as the inline backend saves it."""
    fig, ax = figure(width=7, height=2.8)
    ax.plot(np.linspace(-3, 3, 400), np.exp(-np.linspace(-3, 3, 400) ** 2))
    fig.savefig(BytesIO(), format="png", bbox_inches="tight")


def each_change(control):
    """ms that each change of a control takes until the new picture is ready to be sent."""
    before, took = control.value, []
    for value in changes(control):
        if value == control.value:
            continue  # nothing is drawn
        start = perf_counter()
        control.value = value
        took.append(1000 * (perf_counter() - start))
    control.value = before
    return took


def live_table():
    print("\n| lesson | control | ms for each change: median | slowest |\n|---|---|---|---|")
    for lesson in lessons():
        source = source_of(lesson)
        for live in lives_of(source) if has_live(source.read_text(encoding="utf-8")) else []:
            for name, control in live._controls.items():
                took = each_change(control)
                print(f"| {lesson.name[:2]} | {control.description or name} | {median(took):.0f} | {max(took):.0f} |")
    print(f"| the peer | one curve, a new figure | {1000 * timed(new_figure)[1]:.0f} | |")


if __name__ == "__main__":
    tables = {"frames": frames_table, "live": live_table, "browser": browser_table}
    for table in sys.argv[1:] or tables:
        tables[table]()
