"""Build the whole course as a site of static pages in build/site, which opens from a file, without a network.

    python tools/build_site.py      what `make site` runs
"""

import json
import posixpath
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
DOCUMENTS = {  # pages beside the notebooks, in the order of the menu
    "NOTATION.md": "notation", "docs/glossary.md": "glossary", "docs/faq.md": "faq", "docs/reading.md": "reading",
    "docs/routes.md": "routes", "TEACHING.md": "teaching",
}
TEMPLATE = Template((WEB / "page.html").read_text(encoding="utf-8"))


@dataclass
class Page:
    """One page: its file's name without the ending, its HTML, and its headings (level, anchor, HTML)."""

    name: str
    body: str
    headings: list = field(default_factory=list)

    @property
    def is_lesson(self):
        return self.name[:2].isdigit()

    @property
    def title(self):
        return self.headings[0][2]

    @property
    def sections(self):
        return [(anchor, text) for level, anchor, text in self.headings if level == 2]


def rewritten(folder):
    """What maps the links of a text in `folder`: to a page of the site, or to a file at the repository's address."""
    def link(url):
        path, _, anchor = url.partition("#")
        if re.match(r"[a-z][a-z0-9+.-]*:", url) or not path:
            return url
        path = posixpath.normpath(posixpath.join(folder, path))
        if match := re.fullmatch(r"notebooks/(\d\d_\w+)\.ipynb", path):
            page = match[1]
        elif path in DOCUMENTS:
            page = DOCUMENTS[path]
        else:
            return addresses.source(path)
        return f"{page}.html" + ("#" + anchor if anchor else "")
    return link


def notebook_page(name, notebook, formulas):
    """The page of an executed notebook."""
    text, parts = Text(formulas, rewritten("notebooks")), []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            source = without_navigation(cell.source) if "navigation" in tags else cell.source
            parts.append(text.render(source))
        elif "colab" not in tags:
            parts.append(f'<div class="cell" id="cell-{cell.id}">{code(cell.source)}{outputs(cell)}</div>\n')
    return Page(name, "".join(parts), text.headings)


def document_page(name, path, formulas):
    """The page of a Markdown document of the repository."""
    text = Text(formulas, rewritten(posixpath.dirname(path)), (ROOT / path).parent)
    return Page(name, text.render((ROOT / path).read_text(encoding="utf-8")), text.headings)


def check_documents(root=ROOT):
    """Raise ValueError if a document has no page, or a page no document: the menu's order is written by hand."""
    there = {path.relative_to(root).as_posix() for path in [*root.glob("*.md"), *root.glob("docs/*.md")]}
    if wrong := (there - {"README.md", "CONTRIBUTING.md"}) ^ set(DOCUMENTS):
        raise ValueError(f"DOCUMENTS in tools/build_site.py, from which the site is made, must name all documents but "
                         f"README.md and CONTRIBUTING.md, and no others. Missing there or in the repository: "
                         f"{', '.join(sorted(wrong))}.")


def index_page(lessons, documents, formulas):
    """The front page: each notebook with what the README says that it gives, each document with its first words."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"\| \[[^\]]+\]\(notebooks/(\w+)\.ipynb\) \| (.+) \|$", readme, flags=re.MULTILINE))
    told = {page.name: f"<p>You leave with {plain(Text(formulas).render(told[page.name]))}.</p>" for page in lessons}
    for page in documents:
        told[page.name] = re.search(r"</h1>\s*(<p>.*?</p>)", page.body, flags=re.DOTALL)[1]

    def rows(pages):
        return "".join(f'<li><a href="{page.name}.html">{label(page)}</a>{told[page.name]}</li>' for page in pages)

    opening = Text(formulas, rewritten(""), ROOT)
    body = opening.render((WEB / "front.md").read_text(encoding="utf-8"))
    body += f'<ol class="contents">{rows(lessons)}</ol>\n<h2>Beside the notebooks</h2>\n'
    return Page("index", f'{body}<ol class="contents">{rows(documents)}</ol>', opening.headings)


def search_entries(page, formulas):
    """What the search knows of a page: one entry for each section, with its address, headings and text."""
    starts = [(match.start(), match[1]) for match in re.finditer(r'<h[123] id="([^"]+)">', page.body)]
    ends = [start for start, _ in starts[1:]] + [len(page.body)]
    headings = {anchor: text for _, anchor, text in page.headings}
    for (start, anchor), end in zip(starts, ends):
        text = re.sub(r"<h[123] id.*?</h[123]>|data:image[^\"]*|<(script|style|iframe).*?</\1>", " ",
                      page.body[start:end], flags=re.DOTALL)
        code = r'<div class="code">.*?</div>|<pre.*?</pre>'  # behind the prose, so that an excerpt shows prose first
        text = " ".join([re.sub(code, " ", text, flags=re.DOTALL), *re.findall(code, text, flags=re.DOTALL)])
        yield {"url": f"{page.name}.html#{anchor}", "page": plain(formulas.words(page.title)),
               "title": plain(formulas.words(headings[anchor])), "text": plain(formulas.words(text))}


def label(page):
    """A page's title for lists; a lesson's with its number."""
    return f"<b>{page.name[:2]}</b> {page.title}" if page.is_lesson else page.title


def menu(pages, here):
    """The list of pages; the present one with its sections."""
    items = []
    for page in pages:
        inside = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in page.sections)
        current = ' aria-current="page"' if page is here else ""
        items.append(f'<li><a href="{page.name}.html"{current}>{label(page)}</a>'
                     f'{"<ol>" + inside + "</ol>" if page is here else ""}</li>')
    return f"<ol>{''.join(items)}</ol>"


def neighbours(pages, page):
    """Links to the page before and the page after."""
    place = pages.index(page)
    before = [f'<a rel="prev" href="{p.name}.html">← {p.title}</a>' for p in pages[max(0, place - 1) : place]]
    after = [f'<a rel="next" href="{p.name}.html">{p.title} →</a>' for p in pages[place + 1 : place + 2]]
    return "".join((before or ["<span></span>"]) + after)


def whole(page, pages, formulas):
    """A page with all that stands around it."""
    notebook = addresses.source(f"notebooks/{page.name}.ipynb")
    run = (f'<p class="run">Run it: <a href="{escape(addresses.binder(page.name))}">on Binder</a> · '
           f'<a href="{addresses.colab(page.name)}">in Colab</a> · <a href="{notebook}">the notebook</a></p>')
    return TEMPLATE.substitute(name=page.name, title=escape(plain(formulas.words(page.title))), menu=menu(pages, page),
                               body=page.body, run=run if page.is_lesson else "", repository=addresses.REPOSITORY,
                               neighbours=neighbours(pages, page) if page in pages else "")


def build(target, notebooks, typeset=bundled.typeset):
    """Write the site of {name: executed notebook} into `target`. typeset: as `bundled.typeset`.

    Raises ValueError if the documents of the repository are not those that the menu lists.
    """
    check_documents()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    formulas = Formulas()
    lessons = [notebook_page(name, notebook, formulas) for name, notebook in notebooks.items()]
    documents = [document_page(name, path, formulas) for path, name in DOCUMENTS.items()]
    pages, front = [*lessons, *documents], index_page(lessons, documents, formulas)
    made = [(page, whole(page, pages, formulas)) for page in [front, *pages]]
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
