"""Build a deck, say what does not fit on its slides, and take a picture of each, to be looked at.

    python tools/look_at_slides.py FOLDER 02 [03 …]

Writes FOLDER/02-01.png and so on, and FOLDER/02.png with all of them at once. Needs Chromium.
"""

import sys
from pathlib import Path

import build_slides
from browser import CHROMIUM, HOW_TO_INSTALL, browser
from fits import misfits
from PIL import Image


def opened(chromium, path, ready="window.Reveal && Reveal.isReady()"):
    """A deck at projector size (or a page, with what says that it is ready), without a network.

    Gives it, and lists of what it asked for and of its errors.
    """
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.wait_for_function(ready)
    return page, asked, errors


def each_slide(page):
    """Step through a deck by key; yields the number of each slide, from 1, and what does not fit on it."""
    total = page.evaluate("Reveal.getTotalSlides()")
    for number in range(1, total + 1):
        page.wait_for_function(f"Reveal.getIndices().h === {number - 1}")
        yield number, misfits(page, on_slide=True)
        page.keyboard.press("ArrowRight")


def contact_sheet(pictures, columns=3, width=640):
    """All slides as one picture."""
    height = width * 720 // 1280
    sheet = Image.new("RGB", (columns * (width + 8), -(-len(pictures) // columns) * (height + 8)), "#888")
    for i, picture in enumerate(pictures):
        small = Image.open(picture).convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(small, (i % columns * (width + 8), i // columns * (height + 8)))
    return sheet


def main(folder, *chosen):
    if CHROMIUM is None:
        sys.exit(HOW_TO_INSTALL)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    build_slides.main(*chosen)
    with browser() as chromium:
        for path in sorted(build_slides.TARGET.glob("[0-9][0-9]_*.html")):
            if path.name.endswith(".notes.html") or (chosen and path.name[:2] not in chosen):
                continue
            page, _, errors = opened(chromium, path)
            pictures = []
            for number, wrong in each_slide(page):
                pictures.append(folder / f"{path.name[:2]}-{number:02}.png")
                page.screenshot(path=pictures[-1])
                print("".join(f"{path.name[:2]}, slide {number}: {sentence}\n" for sentence in wrong), end="")
            print("".join(f"{path.name[:2]}: {error}\n" for error in errors), end="")
            contact_sheet(pictures).save(folder / f"{path.name[:2]}.png")
            page.context.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
