"""Run notebooks in a real JupyterLab and take a picture of each slider in both themes, to be looked at.

    python tools/look_at_sliders.py FOLDER [00 01 …]      all notebooks if none is named

Needs Chromium. The notebooks themselves stay as they are. 07 takes the shipped weights instead of training.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from browser import CHROMIUM, HOW_TO_INSTALL, browser, choose_theme, jupyter_lab, open_and_run

ROOT = Path(__file__).parents[1]
SLIDERS = {"scrubber": ".jp-OutputArea-child:has(.scrubber)", "live": ".jp-OutputArea-child:has(.live-picture)"}


def look(chromium, address, name, target):
    """Write the pictures of one notebook's sliders."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    open_and_run(page, address, f"{name}.ipynb", ".scrubber, .live-picture")
    for theme in ("Light", "Dark"):
        choose_theme(page, theme)
        for kind, selector in SLIDERS.items():
            for i, slider in enumerate(page.locator(selector).all()):
                slider.scroll_into_view_if_needed()
                if kind == "scrubber":
                    slider.locator(".scrubber-slider").focus()
                    for key in ("Home", *["PageUp"] * 5):  # to the middle
                        page.keyboard.press(key)
                slider.screenshot(path=target / f"{name[:2]}_{kind}_{i}_{theme.lower()}.png")
    page.close()


def main(target, *chosen):
    if CHROMIUM is None:
        sys.exit(HOW_TO_INSTALL)
    Path(target).mkdir(parents=True, exist_ok=True)
    os.environ["DIFFUSION_LAB_SHIPPED"] = "1"
    with tempfile.TemporaryDirectory() as folder, jupyter_lab(folder) as address, browser() as chromium:
        settings = Path(folder) / ".settings" / "@jupyterlab" / "notebook-extension"
        settings.mkdir(parents=True)
        # all cells are on the page, also those out of sight
        (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}')
        for notebook in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
            if not chosen or notebook.name[:2] in chosen:
                shutil.copy(notebook, folder)
                print(f"looking at {notebook.stem} …", flush=True)
                look(chromium, address, notebook.stem, Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
