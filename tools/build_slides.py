"""Build a deck of slides for each notebook that declares some, in build/slides/: pages that open without a network.

    python tools/build_slides.py           all decks (what `make slides` runs)
    python tools/build_slides.py 02 03     these
"""

import re
import shutil
import sys
from html import escape
from pathlib import Path
from string import Template

import bundled
from build_notebooks import ROOT, twins
from played import played
from pygments.formatters import HtmlFormatter
from render import Formulas, Text, plain
from slides import HEADING, notes_of, rendered, slides_of

TARGET = ROOT / "build" / "slides"
WEB = ROOT / "tools" / "web"
DECK, NOTES, INDEX = (Template((WEB / f"slides.{name}.html").read_text(encoding="utf-8"))
                      for name in ("deck", "notes", "index"))


def deck(notebook, typeset=bundled.typeset):
    """The slides [(HTML, heading and notes as HTML)] of an executed notebook. typeset: as `bundled.typeset`."""
    slides, seen, spoken = slides_of(notebook), Formulas(), Formulas()
    pages = [rendered(slide, Text(seen)) for slide in slides]
    headings = [Text(spoken).render(slide.heading.lstrip("# ")) for slide in slides]
    notes = [notes_of(slide, Text(spoken)) for slide in slides]
    filled = typeset(seen.found + spoken.found)
    # The speaker's window has no stylesheet of ours, so formulas are given to it as MathML, which a browser typesets.
    maths = [re.search(r"<math.*?</math>", formula, flags=re.DOTALL)[0] for formula in filled[len(seen.found) :]]
    return [(seen.fill(page, filled), re.sub("</?p>", "", spoken.fill(heading, maths)), spoken.fill(note, maths))
            for page, heading, note in zip(pages, headings, notes)]


def write(target, name, slides):
    """Write a deck and its notes, for paper, into `target`."""
    sections = [f'<section><div class="slide{" title" if HEADING.match(page)[2] == "1" else ""}">{page}</div>\n'
                f'<aside class="notes">{notes}</aside></section>\n' for page, _, notes in slides]
    on_paper = [f"<article><h2>{i} · {heading}</h2>{notes}</article>\n"
                for i, (_, heading, notes) in enumerate(slides, 1)]
    title = escape(plain(slides[0][1]))
    pages = {name: DECK.substitute(title=title, slides="".join(sections)),
             f"{name}.notes": NOTES.substitute(title=title, notes="".join(on_paper))}
    for file, page in pages.items():
        (target / f"{file}.html").write_text(page, encoding="utf-8")


def write_index(target):
    """Write the list of the decks that are in `target`."""
    rows = []
    for path in sorted(target.glob("[0-9][0-9]_*.notes.html")):
        title = re.search(r"<title>Notes: (.*?)</title>", path.read_text(encoding="utf-8"))[1]
        name = path.name.removesuffix(".notes.html")
        rows.append(f'<li><a href="{name}.html">{name[:2]} · {title}</a> (<a href="{path.name}">notes</a>)</li>\n')
    (target / "index.html").write_text(INDEX.substitute(decks="".join(rows)), encoding="utf-8")


def copy_assets(target):
    """Put beside the decks what they need, so that none of them asks a network."""
    bundled.copy_katex(target)
    bundled.copy_reveal(target)
    shutil.copy(WEB / "slides.js", target)
    colours = HtmlFormatter(style="default", cssclass="code").get_style_defs(".code")
    style = (WEB / "slides.css").read_text(encoding="utf-8")
    (target / "slides.css").write_text(style + colours + "\n", encoding="utf-8")


def main(*chosen, target=TARGET):
    bundled.installed()  # says at once what is missing, before anything is run
    if not chosen:
        shutil.rmtree(target, ignore_errors=True)
    Path(target).mkdir(parents=True, exist_ok=True)
    copy_assets(target)
    for twin in twins():
        if (not chosen or twin.name[:2] in chosen) and "\n# %% slide [markdown]" in twin.read_text(encoding="utf-8"):
            slides = deck(played(twin))
            write(target, twin.stem, slides)
            print(f"{twin.stem}: {len(slides)} slides", flush=True)
    write_index(target)
    print(f"the slides are in {target.relative_to(ROOT)}/: open index.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
