"""Build a deck of slides for each lesson that has a slides.md, in build/slides/: pages that open without a network.

    python tools/build_slides.py           all decks (what `make slides` runs)
    python tools/build_slides.py 02 03     these
"""

import re
import shutil
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

import bundled
import framed
from build_notebooks import ROOT, lessons
from played import played
from pygments.formatters import HtmlFormatter
from render import Formulas, Text, plain
from slides import HEADING, added, lesson_text, rendered, slides_of

TARGET = ROOT / "build" / "slides"
WEB = ROOT / "tools" / "web"
DECK, NOTES, INDEX = (Template((WEB / f"slides.{name}.html").read_text(encoding="utf-8"))
                      for name in ("deck", "notes", "index"))


@dataclass
class Leaf:
    """A slide as HTML, and what its lecturer has: its heading, the author's note, and the text of the lesson."""

    page: str
    heading: str
    added: str
    text: str


def slides_file(lesson):
    return ROOT / "lessons" / lesson.name / "slides.md"


def deck(source, notebook, typeset=bundled.typeset):
    """The leaves of a deck: of a slides.md and the executed notebook. typeset: as `bundled.typeset`."""
    slides, seen, spoken = slides_of(source, notebook), Formulas(), Formulas()
    pages = [rendered(slide, Text(seen)) for slide in slides]
    first = {tuple(slide.sections): slide for slide in reversed(slides)}  # slides in a row share their text
    texts = {sections: lesson_text(slide, Text(spoken)) for sections, slide in first.items()}
    notes = [(Text(spoken).render(slide.heading.lstrip("# ")), added(slide, Text(spoken)),
              texts[tuple(slide.sections)]) for slide in slides]
    filled = typeset(seen.found + spoken.found)
    # The speaker's window has no stylesheet of ours, so formulas are given to it as MathML, which a browser typesets.
    maths = [re.search(r"<math.*?</math>", formula, flags=re.DOTALL)[0] for formula in filled[len(seen.found) :]]
    leaves = []
    for page, note in zip(pages, notes):
        heading, own, text = (spoken.fill(part, maths) for part in note)
        leaves.append(Leaf(seen.fill(page, filled), re.sub("</?p>", "", heading), own, text))
    return leaves


def write(target, name, leaves):
    """Write a deck and its notes, for paper, into `target`. On paper, slides that share a text have it once."""
    sections = [f'<section><div class="slide{" title" if HEADING.match(leaf.page)[2] == "1" else ""}">{leaf.page}</div>'
                f'\n<aside class="notes">{leaf.added}{leaf.text}</aside></section>\n' for leaf in leaves]
    on_paper, before = [], None
    for number, leaf in enumerate(leaves, 1):
        text = "" if leaf.text == before else leaf.text
        on_paper.append(f"<article><h2>{number} · {leaf.heading}</h2>{leaf.added}{text}</article>\n")
        before = leaf.text
    title = escape(plain(leaves[0].heading))
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
    framed.write(target)
    colours = HtmlFormatter(style="default", cssclass="code").get_style_defs(".code")
    style = (WEB / "slides.css").read_text(encoding="utf-8")
    (target / "slides.css").write_text(style + colours + "\n", encoding="utf-8")


def main(*chosen, target=TARGET):
    bundled.installed()  # says at once what is missing, before anything is run
    if not chosen:
        shutil.rmtree(target, ignore_errors=True)
    Path(target).mkdir(parents=True, exist_ok=True)
    copy_assets(target)
    for lesson in lessons():
        if (not chosen or lesson.number in chosen) and slides_file(lesson).exists():
            notebook = played(lesson)
            leaves = deck(slides_file(lesson).read_text(encoding="utf-8"), notebook)
            write(target, lesson.name, leaves)
            framed.write(target, [notebook])
            print(f"{lesson.name}: {len(leaves)} slides", flush=True)
    write_index(target)
    print(f"the slides are in {target.relative_to(ROOT)}/: open index.html")


if __name__ == "__main__":
    main(*sys.argv[1:])
