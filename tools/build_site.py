"""Build the whole course as a site of static pages in build/site, which opens from a file, without a network.

    python tools/build_site.py      what `make site` runs
"""

import json
import re
import shutil
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

import addresses
import bundled
from build_notebooks import ROOT, without_navigation
from played import all_played
from pygments.formatters import HtmlFormatter
from render import Formulas, Text, code, outputs, plain

TARGET = ROOT / "build" / "site"
WEB = ROOT / "tools" / "web"
TEMPLATE = Template((WEB / "page.html").read_text(encoding="utf-8"))


@dataclass
class Page:
    """One page: its file's name without the ending, its HTML, and its headings (level, anchor, HTML)."""

    name: str
    body: str
    headings: list = field(default_factory=list)

    @property
    def title(self):
        return self.headings[0][2]

    @property
    def sections(self):
        return [(anchor, text) for level, anchor, text in self.headings if level == 2]


def rewritten(url):
    """Links between notebooks lead to their pages; other files of the repository are read at its address."""
    path, _, anchor = url.partition("#")
    if re.match(r"[a-z][a-z0-9+.-]*:", url) or not path:
        return url
    if path == "../NOTATION.md":
        return "notation.html" + ("#" + anchor if anchor else "")
    if match := re.fullmatch(r"(\d\d_\w+)\.ipynb", path):
        return match[1] + ".html" + ("#" + anchor if anchor else "")
    return addresses.source(path.removeprefix("../"))


def notebook_page(name, notebook, formulas):
    """The page of an executed notebook."""
    text, parts = Text(formulas, rewritten), []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            source = without_navigation(cell.source) if "navigation" in tags else cell.source
            parts.append(text.render(source))
        elif "colab" not in tags:
            parts.append(f'<div class="cell" id="cell-{cell.id}">{code(cell.source)}{outputs(cell)}</div>\n')
    return Page(name, "".join(parts), text.headings)


def document_page(name, path, formulas):
    """The page of a Markdown document."""
    text = Text(formulas, rewritten)
    return Page(name, text.render(path.read_text(encoding="utf-8")), text.headings)


def index_page(pages, formulas):
    """The front page: every notebook with its first words."""
    rows = []
    for page in pages:
        first = re.search(r"</h1>\s*<p>(.*?)</p>", page.body, flags=re.DOTALL)
        rows.append(f'<li><a href="{page.name}.html"><b>{page.name[:2]}</b> {page.title}</a>'
                    f'<p>{first[1] if first else ""}</p></li>')
    opening = Text(formulas, rewritten)
    body = opening.render((WEB / "front.md").read_text(encoding="utf-8"))
    return Page("index", f'{body}<ol class="contents">{"".join(rows)}</ol>', opening.headings)


def search_entries(page, formulas):
    """What the search knows of a page: one entry for each section, with its address, headings and text."""
    starts = [(match.start(), match[1]) for match in re.finditer(r'<h[12] id="([^"]+)">', page.body)]
    ends = [start for start, _ in starts[1:]] + [len(page.body)]
    headings = {anchor: text for _, anchor, text in page.headings}
    for (start, anchor), end in zip(starts, ends):
        text = re.sub(r"<h[12] id.*?</h[12]>|data:image[^\"]*|<(script|style|iframe).*?</\1>", " ",
                      page.body[start:end], flags=re.DOTALL)
        yield {"url": f"{page.name}.html#{anchor}", "page": plain(formulas.words(page.title)),
               "title": plain(formulas.words(headings[anchor])), "text": plain(formulas.words(text))}


def menu(pages, here):
    """The list of pages; the present one with its sections."""
    items = []
    for page in pages:
        inside = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in page.sections)
        current = ' aria-current="page"' if page is here else ""
        label = f"<b>{page.name[:2]}</b> {page.title}" if page.name[:2].isdigit() else page.title
        items.append(f'<li><a href="{page.name}.html"{current}>{label}</a>'
                     f'{"<ol>" + inside + "</ol>" if page is here else ""}</li>')
    return f"<ol>{''.join(items)}</ol>"


def neighbours(pages, page):
    """Links to the page before and the page after."""
    place = pages.index(page)
    before = [f'<a rel="prev" href="{p.name}.html">← {p.title}</a>' for p in pages[max(0, place - 1) : place]]
    after = [f'<a rel="next" href="{p.name}.html">{p.title} →</a>' for p in pages[place + 1 : place + 2]]
    return "".join((before or ["<span></span>"]) + after)


def whole(page, pages):
    """A page with all that stands around it."""
    lesson = page.name[:2].isdigit()
    run = (f'<p class="run"><a href="{escape(addresses.binder(page.name))}">Run it on Binder</a> · '
           f'<a href="{addresses.colab(page.name)}">in Colab</a> · '
           f'<a href="{addresses.source(f"notebooks/{page.name}.ipynb")}">the notebook</a></p>') if lesson else ""
    beside = neighbours(pages, page) if page in pages else ""
    return TEMPLATE.substitute(title=escape(plain(page.title)), menu=menu(pages, page), run=run, body=page.body,
                               neighbours=beside, repository=addresses.REPOSITORY)


def build(target, notebooks, typeset=bundled.typeset):
    """Write the site of {name: executed notebook} into `target`. typeset: as `bundled.typeset`."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    formulas = Formulas()
    lessons = [notebook_page(name, notebook, formulas) for name, notebook in notebooks.items()]
    pages = [*lessons, document_page("notation", ROOT / "NOTATION.md", formulas)]
    front = index_page(lessons, formulas)
    made = [(page, whole(page, pages)) for page in [front, *pages]]
    filled = typeset(formulas.found)
    for page, text in made:
        (target / f"{page.name}.html").write_text(formulas.fill(text, filled), encoding="utf-8")
    entries = [entry for page in pages for entry in search_entries(page, formulas)]
    index = f"window.SEARCH_INDEX = {json.dumps(entries, ensure_ascii=False)};\n"
    (target / "search-index.js").write_text(index, encoding="utf-8")
    shutil.copy(WEB / "site.js", target)
    colours = HtmlFormatter(style="default", cssclass="code").get_style_defs(".code")
    (target / "site.css").write_text((WEB / "site.css").read_text(encoding="utf-8") + colours + "\n", encoding="utf-8")


def main(target=TARGET):
    bundled.installed()  # says at once what is missing, before anything is run
    build(target, all_played())
    bundled.copy_katex(target)
    print(f"the site is in {Path(target).relative_to(ROOT)}/: open index.html")


if __name__ == "__main__":
    main()
