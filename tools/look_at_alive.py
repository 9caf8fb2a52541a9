"""Take pictures of the network on a page, before and after it drew, and say what it costs: seconds and bytes.

    python tools/look_at_alive.py build/look
"""

import gzip
import sys
from pathlib import Path

import alive
from browser import browser
from build_notebooks import ROOT

from diffusion_lab.view.canvas import STYLE

SIZES = {"1440": (1440, 900), "1280": (1280, 720), "390": (390, 844)}
RUNS = 20
TEN_STEPS = """(runs) => {
  const predict = network.unet(network.read(window.WEIGHTS)), schedule = network.cosine(T), took = [];
  for (let run = 0; run < runs; run++) {
    const began = performance.now(), ask = network.denoiser(predict, schedule, run % 10);
    for (const _ of network.dpmSolver(ask, schedule, network.noise(run)(), network.spaced(schedule, 10)));
    took.push((performance.now() - began) / 1000);
  }
  return took.sort((a, b) => a - b);
}"""


def page_alone(folder):
    """Write a page with the network and nothing else into a folder, in the style of the site."""
    lines = (alive.WEB / "site.css").read_text(encoding="utf-8").splitlines()
    style = "\n".join(line for line in lines if not line.startswith("@import")) + STYLE
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>The network</title><style>{style}</style>'
    page = f'{head}<main class="index">{alive.PLACE}</main><script src="alive.js"></script>'
    Path(folder, "index.html").write_text(page, encoding="utf-8")
    alive.write(folder)


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    page_alone(folder)
    for name in ("alive.js", "weights.js"):
        content = (folder / name).read_bytes()
        sent = gzip.compress(content)
        print(f"{name}: {len(content) / 1e6:.3f} MB, {len(sent) / 1e6:.3f} MB as a server compresses it")
    with browser() as chromium:
        page = chromium.new_page()
        for content in (alive.weights(), alive.script()):
            page.add_script_tag(content=content)
        took = page.evaluate(TEN_STEPS, RUNS)
        print(f"ten steps, {RUNS} times: {took[0]:.2f} s the fastest, {took[RUNS // 2]:.2f} s the middle one")
        for name, (width, height) in SIZES.items():
            page = chromium.new_page(viewport={"width": width, "height": height})
            page.goto((folder / "index.html").resolve().as_uri())
            page.screenshot(path=folder / f"alive-{name}-before.png", full_page=True)
            page.get_by_role("button", name="5", exact=True).click()
            page.get_by_text("Finished").wait_for()
            page.screenshot(path=folder / f"alive-{name}-after.png", full_page=True)
    print(f"look at {folder}/alive-*.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "look")
