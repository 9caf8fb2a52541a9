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
import alive
import bundled
import covered
import framed
import references
from build_notebooks import DEEPER, ROOT, in_deeper, tags, without_navigation
from played import all_played
from pygments.formatters import HtmlFormatter
from render import Formulas, Text, code, outputs, plain, shown

from diffusion_lab.course.lessons import read
from diffusion_lab.view.canvas import STYLE

TARGET = ROOT / "build" / "site"
WEB = ROOT / "tools" / "web"
COURSE = read()
LESSONS = {lesson.name: lesson for lesson in COURSE.lessons}
DOCUMENTS = {document.path: document for document in COURSE.documents}
# Below which picture of a lesson, by the first words of its text, the network lives, and how it begins.
ALIVE = {"00_start_here": ("Live(drawing=", alive.PLACE), "08_sampling": ("Live(w=", alive.EMPTY)}
SCRIPTS = {"alive": "alive.js", "figure moves": "moves.js"}  # what a page with such a place needs
# Words of a notebook that would be false on a page, and what stands there in their place.
SAID_HERE = {"00_start_here": ("Click into the first grey cell, press **Shift + Enter**\nuntil a slider appears, and "
                               "drag it.", "Drag the slider below.")}
NOT_YET = re.compile(r'<pre class="output">Not attempted yet.*?</pre>\n', flags=re.DOTALL)  # of an exercise
GLOSSARY, READING = "glossary", "reading"
INLINE = r"</?(?:strong|em|a|code|span|b|i)\b[^>]*>"
TERM = re.compile(r'<tr id="(term-[^"]+)">\s*<td>(.*?)</td>\s*<td>.*?</td>\s*<td>(.*?)</td>(?:\s*<td>.*?(\d\d)\D)?',
                  flags=re.DOTALL)
TEMPLATE = Template((WEB / "page.html").read_text(encoding="utf-8"))


@dataclass
class Page:
    """One page: its file's name without the ending, its HTML, its headings (level, anchor, HTML), its name in menus."""

    name: str
    body: str
    headings: list = field(default_factory=list)
    label: str = ""
    papers: list = field(default_factory=list)

    @property
    def is_lesson(self):
        return self.name in LESSONS

    @property
    def description(self):
        """What the page is about, for search engines and for the card of a link to it: its HTML."""
        if self.is_lesson:
            return f"You leave with {escape(LESSONS[self.name].leaves)}."
        if self.name.endswith(".teaching"):
            return f"{self.title}: how to teach this notebook of Diffusion Lab in 90 minutes."
        return re.search(r"</h1>\s*<p>(.*?)</p>", self.body, flags=re.DOTALL)[1]

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
        elif match := re.fullmatch(r"lessons/(\d\d_\w+)/teaching\.md", path):
            page = plan_of(match[1])
        elif path in DOCUMENTS:
            page = DOCUMENTS[path].page
        else:
            return addresses.source(path)
        return f"{page}.html" + ("#" + anchor if anchor else "")
    return link


def lesson_page(name, notebook, formulas, known):
    """The page of an executed notebook, with links to what is known (`references.Known`).

    Folded are code that draws, sections headed "### Deeper: …", and answers.
    """
    text, parts, was_deeper = Text(formulas, rewritten("notebooks")), [], False
    cells = shown(notebook)
    for cell, deeper in zip(cells, in_deeper(cells)):
        heads_one = deeper and cell.cell_type == "markdown" and cell.source.startswith(DEEPER)
        if was_deeper and (heads_one or not deeper):
            parts.append("</details>\n")
        if cell.cell_type == "code":
            inside, below = NOT_YET.sub("", outputs(cell)), ""
            if covered.TAG in tags(cell):
                inside, below = "", covered.folded(inside)
            parts.append(f'<div class="cell" id="cell-{cell.id}">{listing(cell)}{inside}</div>\n{below}')
            beginning, place = ALIVE.get(name, (None, ""))
            parts.append(place if shows(cell, beginning) else "")
        else:
            source = without_navigation(cell.source) if "navigation" in tags(cell) else cell.source
            source = said_here(name, source) if not text.headings else source
            words = text.render(source)
            parts.append(f'<details class="deeper"><summary>{words}</summary>\n' if heads_one else words)
        was_deeper = deeper
    parts.append("</details>\n" if was_deeper else "")
    lesson = LESSONS[name]
    body = references.with_anchors(covered.merged("".join(parts)), formulas)
    body = references.linked(body, known, lesson.number)
    return Page(name, body, text.headings, f"<b>{lesson.number}</b> {escape(lesson.title)}")


def said_here(name, source):
    """The first words of a lesson as they are true on a page, where no cell can be run. Raises ValueError."""
    before, here = SAID_HERE.get(name, ("", ""))
    if before not in source:
        raise ValueError(f"{name} does not begin with the words that the site replaces: {before}")
    return source.replace(before, here) if before else source


def shows(cell, beginning):
    """Whether a cell has an output whose text begins so; None is no text's beginning."""
    texts = [output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
    return beginning is not None and any(text.startswith(beginning) for text in texts)


def listing(cell):
    """The code of a cell, folded where it does nothing but draw, or begins with imports: nobody runs it here."""
    lines, folded = code(cell.source), "figure" in tags(cell) or cell.source.startswith(("import ", "from "))
    return f'<details class="folded"><summary>code</summary>{lines}</details>' if folded else lines


def markdown_page(name, path, formulas, label=""):
    """The page of a Markdown file of the repository."""
    text = Text(formulas, rewritten(posixpath.dirname(path)), (ROOT / path).parent)
    body = text.render((ROOT / path).read_text(encoding="utf-8"))
    body, papers = references.with_papers(body) if name == READING else (body, [])
    return Page(name, with_terms(body) if name == GLOSSARY else body, text.headings, label, papers)


def with_terms(body):
    """The glossary, with an anchor for each of its rows."""
    def named(match):
        anchor = re.sub(r"[^\w]+", "-", plain(match[1]).lower()).strip("-")
        return f'<tr id="term-{anchor}">\n  <td>{match[1]}</td>'
    return re.sub(r"<tr>\s*<td>(.*?)</td>", named, body, flags=re.DOTALL)


def known_of(documents, formulas):
    """What lessons link to: each other, the terms of the glossary and the papers of the reading list."""
    bodies, papers = "".join(page.body for page in documents if page.name == GLOSSARY), []
    for page in documents:
        papers += page.papers
    rows = [(f"{GLOSSARY}.html#{anchor}", plain(formulas.words(names)), number)
            for anchor, names, _, number in TERM.findall(bodies) if number]
    lessons = {lesson.number: (name, escape(f"{lesson.title}: you leave with {lesson.leaves}."))
               for name, lesson in LESSONS.items()}
    return references.Known(lessons, references.terms_of(rows), papers)


def plan_of(name):
    """The name of the page with the teaching plan of a lesson."""
    return f"{name}.teaching"


def plan_pages(names, formulas):
    """The teaching plans of lessons, each a page that its lesson links to, and TEACHING.md."""
    paths = {name: f"lessons/{name}/teaching.md" for name in names}
    return [markdown_page(plan_of(name), path, formulas) for name, path in paths.items() if (ROOT / path).exists()]


def check_documents(root=ROOT):
    """Raise ValueError if a document has no page, or a page no document: the menu's order is written by hand."""
    there = {path.relative_to(root).as_posix() for path in [*root.glob("*.md"), *root.glob("docs/*.md")]}
    if wrong := (there - {"README.md", "CONTRIBUTING.md"}) ^ set(DOCUMENTS):
        raise ValueError(f"course.toml, from which the site's menu is made, must name all documents but README.md and "
                         f"CONTRIBUTING.md, and no others. Missing there or in the repository: "
                         f"{', '.join(sorted(wrong))}.")


def index_page(lessons, documents, formulas):
    """The front page: each lesson, part by part, with what a reader leaves with; each document with its first words."""
    told = {name: f"<p>You leave with {plain(Text(formulas).render(lesson.leaves))}.</p>"
            for name, lesson in LESSONS.items()}
    for page in documents:
        first_words = re.search(r"</h1>\s*(<p>.*?</p>)", page.body, flags=re.DOTALL)[1]
        first_words = re.sub(r"(?<=[a-z0-9)>][.!?])\s.*", "</p>", first_words, flags=re.DOTALL)  # one sentence
        told[page.name] = first_words.replace('href="#', f'href="{page.name}.html#')

    def rows(pages):
        inside = "".join(f'<li><a href="{page.name}.html">{page.label}</a>{told[page.name]}</li>' for page in pages)
        return f'<ol class="contents">{inside}</ol>\n'

    opening = Text(formulas, rewritten(""), ROOT)
    body = opening.render((WEB / "front.md").read_text(encoding="utf-8")).replace("<!-- alive -->", alive.PLACE)
    for title, pages in by_part(lessons):
        body += f"<h2>{escape(title)}</h2>\n{rows(pages)}"
    return Page("index", f"{body}<h2>Beside the notebooks</h2>\n{rows(documents)}", opening.headings)


def by_part(pages):
    """The pages of lessons as [(title of a part, its pages)], without parts that have none."""
    parts = [(part.title, [page for page in pages if page.name[0] == part.digit]) for part in COURSE.parts]
    return [(title, inside) for title, inside in parts if inside]


def search_entries(page, formulas):
    """What the search knows of a page: one entry for each section, with its address, headings, text and new words.

    "defines" are the words in bold: the section that defines a term is found first, after the glossary, whose rows are
    entries of their own.
    """
    for paper in page.papers:
        yield {"url": f"{page.name}.html#{paper.anchor}", "page": plain(page.title),
               "title": f"{paper.cited} ({paper.year})", "text": plain(formulas.words(paper.words)), "defines": []}
    for anchor, term, meaning, _ in TERM.findall(page.body):
        term = plain(formulas.words(term))
        yield {"url": f"{page.name}.html#{anchor}", "page": plain(page.title), "title": term, "term": True,
               "text": plain(formulas.words(meaning)), "defines": term.split(", ")}
    starts = [(match.start(), match[1]) for match in re.finditer(r'<h[123] id="([^"]+)">', page.body)]
    ends = [start for start, _ in starts[1:]] + [len(page.body)]
    headings = {anchor: text for _, anchor, text in page.headings}
    for (start, anchor), end in zip(starts, ends):
        left_out = r'<h[123] id.*?</h[123]>|data:image[^"]*|<(script|style|iframe).*?</\1>|<summary>code</summary>'
        text = re.sub(left_out, " ", page.body[start:end], flags=re.DOTALL)
        marked, text = text, re.sub(INLINE, "", text)  # a word and its comma stay together
        code = r'<div class="code">.*?</div>|<pre.*?</pre>'  # behind the prose, so that an excerpt shows prose first
        text = " ".join([re.sub(code, " ", text, flags=re.DOTALL), *re.findall(code, text, flags=re.DOTALL)])
        bold = [] if page.name == GLOSSARY else re.findall(r"<strong>(.*?)</strong>", marked, flags=re.DOTALL)
        yield {"url": f"{page.name}.html#{anchor}", "page": plain(formulas.words(page.title)),
               "title": plain(formulas.words(headings[anchor])), "text": plain(formulas.words(text)),
               "defines": [plain(formulas.words(words)) for words in bold] if page.is_lesson else []}


def menu(pages, here):
    """The list of pages, lessons under the titles of their parts; the present one with its sections."""
    def items(pages):
        for page in pages:
            inside = "".join(f'<li><a href="#{anchor}">{text}</a></li>' for anchor, text in page.sections)
            current = ' aria-current="page"' if page is here else ""
            yield (f'<li><a href="{page.name}.html"{current}>{page.label}</a>'
                   f'{"<ol>" + inside + "</ol>" if page is here else ""}</li>')

    groups = by_part([page for page in pages if page.is_lesson])
    groups.append(("Beside the notebooks", [page for page in pages if not page.is_lesson]))
    return "".join(f"<p>{escape(title)}</p><ol>{''.join(items(inside))}</ol>" for title, inside in groups)


def neighbours(pages, page):
    """Links to the page before and the page after."""
    place = pages.index(page)
    before = [f'<a rel="prev" href="{p.name}.html">←&nbsp;{p.title}</a>' for p in pages[max(0, place - 1) : place]]
    after = [f'<a rel="next" href="{p.name}.html">{p.title}&nbsp;→</a>' for p in pages[place + 1 : place + 2]]
    return "".join((before or ["<span></span>"]) + after)


def shortened(text, most=200):
    """A text, cut after a word if it is long."""
    return text if len(text) <= most else text[:most].rpartition(" ")[0].rstrip(",;:") + " …"


def whole(page, pages, formulas, has_plan=False):
    """A page with all that stands around it."""
    notebook = addresses.source(f"notebooks/{page.name}.ipynb")
    plan = f' · Teach it: <a href="{plan_of(page.name)}.html">the plan</a>' if has_plan else ""
    run = (f'<p class="run">Run it: <a href="{escape(addresses.binder(page.name))}">on Binder</a> · '
           f'<a href="{addresses.colab(page.name)}">in Colab</a> · <a href="{notebook}">the notebook</a>{plan}</p>')
    if page.name.endswith(".teaching"):
        lesson = page.name.removesuffix(".teaching")
        run = (f'<p class="run"><a href="{lesson}.html">The notebook</a> · '
               '<a href="teaching.html">All about teaching</a></p>')
    description = escape(shortened(plain(formulas.words(page.description))))
    scripts = [f'<script src="{script}"></script>\n' for place, script in SCRIPTS.items()
               if f'class="{place}"' in page.body]
    return TEMPLATE.substitute(name=page.name, title=escape(plain(formulas.words(page.title))), menu=menu(pages, page),
                               description=description, address=addresses.SITE,
                               body=page.body, repository=addresses.REPOSITORY,
                               run=run if page.is_lesson or page.name.endswith(".teaching") else "",
                               neighbours=neighbours(pages, page) if page in pages else "",
                               scripts="".join(scripts))


def build(target, notebooks, typeset=bundled.typeset):
    """Write the site of {name: executed notebook} into `target`. typeset: as `bundled.typeset`.

    Raises ValueError if the documents of the repository are not those that course.toml lists.
    """
    check_documents()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    formulas = Formulas()
    documents = [markdown_page(document.page, document.path, formulas, escape(document.title))
                 for document in COURSE.documents]
    known = known_of(documents, formulas)
    for page in documents:  # of a document, only what it says of notebooks: its terms and papers are those of its own
        page.body = references.linked(page.body, references.Known(known.lessons))
    lessons = [lesson_page(name, notebook, formulas, known) for name, notebook in notebooks.items()]
    plans = plan_pages(notebooks, formulas)
    planned = {page.name for page in plans}
    pages, front = [*lessons, *documents], index_page(lessons, documents, formulas)
    made = [(page, whole(page, pages, formulas, plan_of(page.name) in planned)) for page in [front, *pages, *plans]]
    filled = typeset(formulas.found)
    for page, text in made:
        (target / f"{page.name}.html").write_text(formulas.fill(text, filled), encoding="utf-8")
    entries = [entry for page in [*pages, *plans] for entry in search_entries(page, formulas)]
    index = f"window.SEARCH_INDEX = {json.dumps(entries, ensure_ascii=False)};\n"
    (target / "search-index.js").write_text(index, encoding="utf-8")
    for name in ("site.js", "favicon.png", "share.png"):
        shutil.copy(WEB / name, target)
    framed.write(target, notebooks.values())
    light, dark = (HtmlFormatter(style=style).get_style_defs(place)
                   for style, place in (("default", ".code"), ("github-dark", "[data-theme=dark] .code")))
    style = "\n".join([(WEB / "site.css").read_text(encoding="utf-8"), STYLE, light, f"@media screen {{\n{dark}\n}}"])
    (target / "site.css").write_text(style + "\n", encoding="utf-8")


def main(target=TARGET):
    bundled.installed()  # says at once what is missing, before anything is run
    notebooks = all_played()
    for name, notebook in notebooks.items():
        covered.cover_lesson(name, notebook)
    build(target, notebooks)
    bundled.copy_katex(target)
    bundled.copy_fonts(target)
    alive.write(target)
    print(f"the site is in {Path(target).relative_to(ROOT)}/: open index.html")


if __name__ == "__main__":
    main()
