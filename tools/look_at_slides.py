"""Build a deck, say what does not fit on its slides, and take a picture of each, to be looked at.

    python tools/look_at_slides.py FOLDER 02 [03 …]

Writes FOLDER/02-01.png and so on, and FOLDER/02.png with all of them at once. Needs Chromium.
"""

import sys
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
import build_slides
from lab import CHROMIUM, HOW_TO_INSTALL, browser

# What is wrong with the slide that is shown, as sentences. Boxes are in the slide's own pixels.
WRONG = """async () => {
  await document.fonts.ready;
  const slide = Reveal.getCurrentSlide().querySelector(".slide"), wrong = [];
  await Promise.all([...slide.querySelectorAll("img")].map((image) => image.decode()));
  const scale = 1280 / slide.getBoundingClientRect().width, edge = slide.getBoundingClientRect();
  const box = (node) => {
    const { left, top, right, bottom } = node.getBoundingClientRect();
    return { left: (left - edge.left) * scale, top: (top - edge.top) * scale,
             right: (right - edge.left) * scale, bottom: (bottom - edge.top) * scale };
  };
  const name = (node) => `<${node.tagName.toLowerCase()}> “${node.textContent.trim().slice(0, 30)}”`;
  const hidden = (node) => node.closest(".katex-mathml, svg, .katex-html .vlist-t, .live");
  for (const node of slide.querySelectorAll("*")) {
    if (hidden(node)) continue;
    const { left, top, right, bottom } = box(node);
    if (left < 40 || right > 1241 || top < 0 || bottom > 690)
      wrong.push(`${name(node)} leaves the slide: ${[left, top, right, bottom].map(Math.round)}`);
    if (/^(PRE|DIV)$/.test(node.tagName) && node.scrollWidth > node.clientWidth + 1)
      wrong.push(`${name(node)} is ${node.scrollWidth - node.clientWidth} px too wide`);
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (own && !node.closest(".katex, code") && parseFloat(getComputedStyle(node).fontSize) < 28)
      wrong.push(`${name(node)} is set in ${getComputedStyle(node).fontSize}`);
  }
  const parts = [...slide.querySelectorAll(":scope > h1, :scope > h2, .body > *")];
  for (const [i, one] of parts.entries()) for (const other of parts.slice(i + 1)) {
    const a = box(one), b = box(other);
    const [across, down] = [["left", "right"], ["top", "bottom"]].map(([from, to]) =>
      Math.min(a[to], b[to]) - Math.max(a[from], b[from]));
    if (across > 1 && down > 1)
      wrong.push(`${name(one)} overlaps ${name(other)}`);
  }
  for (const frame of slide.querySelectorAll("iframe")) {
    const inside = frame.contentDocument, root = inside.documentElement;
    const [bar, label] = ["bar", "label"].map((part) =>
      inside.querySelector(`.scrubber-${part}`).getBoundingClientRect());
    if (bar.right > root.clientWidth || bar.bottom > root.clientHeight || label.height > 40)
      wrong.push("the player's controls do not fit");
    if (inside.querySelector(".scrubber-picture").getBoundingClientRect().height < 230)
      wrong.push("the player's picture is less than 230 px high");
  }
  return wrong;
}"""


def opened(chromium, path):
    """A deck at projector size, without a network; and lists of what it asked for and of its errors."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    return page, asked, errors


def each_slide(page):
    """Step through a deck by key; yields the number of each slide, from 1, and what is wrong with it."""
    total = page.evaluate("Reveal.getTotalSlides()")
    for number in range(1, total + 1):
        page.wait_for_function(f"Reveal.getIndices().h === {number - 1}")
        page.wait_for_timeout(60)  # a player that was out of sight takes its height
        yield number, page.evaluate(WRONG)
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
