"""Take pictures of pages of the built site, and say what sticks out: at three widths, light and dark, and for paper.

    python tools/look_at_site.py build/look                      every page at every width, its first screens
    python tools/look_at_site.py build/look 03 index --screens 9 these pages, nine screens each
    python tools/look_at_site.py build/look 03 --paper           as PDF
"""

import argparse
from pathlib import Path

from browser import browser, new_page
from build_site import TARGET

SIZES = {1440: 900, 1280: 800, 390: 844}
STICKS_OUT = """() => {
  const out = [], wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) out.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const node of document.querySelectorAll("main *")) {
    const box = node.getBoundingClientRect();
    const scrolled = node.closest("pre, .wide, .katex-display, .katex, iframe, .katex-mathml");
    if (!scrolled && box.width && box.right > wide + 1) out.push(`${node.tagName} ${node.className}: ${box.right}`);
  }
  return [...new Set(out)].slice(0, 5);
}"""


def main(folder, names, site, screens, paper):
    folder.mkdir(parents=True, exist_ok=True)
    pages = sorted(path for path in site.glob("*.html") if not names or path.stem.startswith(tuple(names)))
    with browser() as chromium:
        for path in pages:
            if paper:
                page = new_page(chromium)
                page.goto(path.as_uri())
                page.wait_for_timeout(500)
                page.pdf(path=folder / f"{path.stem}.pdf", prefer_css_page_size=True)
                page.close()
                continue
            for width, height in SIZES.items():
                for scheme in ("light", "dark"):
                    page = new_page(chromium, viewport={"width": width, "height": height}, color_scheme=scheme)
                    problems = []
                    page.on("console", lambda said, found=problems: found.append(said.text))
                    page.goto(path.as_uri())
                    for screen in range(screens):
                        page.evaluate("(y) => scrollTo(0, y)", screen * (height - 80))
                        page.wait_for_timeout(250)
                        page.screenshot(path=folder / f"{path.stem}-{width}-{scheme}-{screen}.png")
                    if problems := problems + page.evaluate(STICKS_OUT):
                        print(path.stem, width, scheme, problems)
                    page.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--site", type=Path, default=TARGET)
    parser.add_argument("--screens", type=int, default=1)
    parser.add_argument("--paper", action="store_true")
    given = parser.parse_args()
    main(given.folder, given.names, given.site, given.screens, given.paper)
