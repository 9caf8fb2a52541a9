"""Cells as HTML, for the site and the slides: text with formulas, code with colours, pictures with their alt texts."""

import re
from html import escape, unescape

from framed import KIND, name_of
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from plain_tex import plain_tex
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

HOLE = re.compile("\x02(\\d+)\x03")
TOUCHED = re.compile("[(“]?\x02(\\d+)\x03[.,;:!?)”’]*")  # a hole with the punctuation that touches it
SHORT = 24  # characters of TeX; a formula that is no longer fits into one line, on a phone too
ALIGNED = re.compile(r"^.*\S {2,}\S", flags=re.MULTILINE)
LIVE = "This picture has controls that need Python. They work in the notebook, on your machine, on Binder or in Colab."


class Formulas:
    """Collects formulas while pages are made, so that all of them are typeset at once; holes stand for them."""

    def __init__(self):
        self.found = []

    def hole(self, tex, displayed):
        self.found.append((tex.strip(), displayed))
        return f"\x02{len(self.found) - 1}\x03"

    def fill(self, page, typeset):
        """The page with each hole filled; typeset: the formulas as HTML, in order. Short ones are never broken."""
        def filled(match):
            tex, displayed = self.found[int(match[1])]
            whole = HOLE.sub(lambda _: typeset[int(match[1])], match[0])
            return whole if displayed or len(tex) > SHORT else f'<span class="whole">{whole}</span>'

        return TOUCHED.sub(filled, page)

    def words(self, page):
        """The page with its formulas as plain text in the holes, for the search and for titles."""
        return HOLE.sub(lambda hole: escape(plain_tex(self.found[int(hole[1])][0]), quote=False), page)

    def letters(self, page):
        """The page with TeX's letters in the holes: of these GitHub makes the anchor of a heading."""
        return HOLE.sub(lambda hole: re.sub(r"[\\{}$&]+|tag", " ", self.found[int(hole[1])][0]), page)


class Text(IPythonRenderer):
    """Markdown to HTML. link: maps the target of a link. folder: where the pictures lie that the text names.

    Headings get the anchors that GitHub gives them, so that a link to one works there and here; they are noted in
    `headings`.
    """

    def __init__(self, formulas, link=str, folder=""):
        super().__init__(escape=False, exclude_anchor_links=True, path=str(folder))
        self.formulas, self.rewrite, self.headings = formulas, link, []

    def render(self, source):
        return MarkdownWithMath(renderer=self).render(source)

    def heading(self, text, level, **attributes):
        words = re.sub(r"[^\w\- ]", "", plain(self.formulas.letters(text)).lower()).replace(" ", "-")
        anchor, again = words, 0
        while anchor in {taken for _, taken, _ in self.headings}:
            again += 1
            anchor = f"{words}-{again}"
        self.headings.append((level, anchor, text))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def block_math(self, body):
        return self.formulas.hole(body, True)

    def inline_math(self, body):
        return self.formulas.hole(body, False)

    def block_html(self, html):
        """HTML is left as it is, but for formulas in it, as in the summary of what is folded."""
        return super().block_html(re.sub(r"\$([^$\n]+)\$", lambda match: self.inline_math(match[1]), html))

    def link(self, text, url, title=None):
        return super().link(text, self.rewrite(url), title)

    def image(self, text, url, title=None):
        return super().image(text, self._src_to_base64(url) or url, title)

    def table(self, text):
        return f'<div class="wide"><table>\n{text}</table></div>\n'

    def block_code(self, source, info=None):
        return code(source) if (info or "").startswith("python") else f"<pre>{escape(source)}</pre>\n"


def shown(notebook):
    """The cells that are for readers: not those tagged claim, which guard the text, nor that for Colab."""
    return [cell for cell in notebook.cells if not {"claim", "colab"} & set(cell.metadata.get("tags", []))]


def plain(page):
    """The text of some HTML."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))).strip()


def code(source):
    return highlight(source, PythonLexer(), HtmlFormatter(cssclass="code"))


def results(cell):
    """What a cell printed and showed, without the players and styles that are for notebooks: pages have their own."""
    return [result for result in cell.get("outputs", [])
            if not result.get("data", {}).get("text/html", "").startswith("<style>")]


def source_of(data):
    """The address of a picture, which holds all of it."""
    return "data:image/png;base64," + re.sub(r"\s", "", data["image/png"])


def output(data, metadata):
    """One result of a cell: the player that it brings along, with a still for paper; else its picture, or its text.

    A live picture whose frames were made beforehand is a place where a script lets it move.
    """
    known = metadata.get("image/png", {})
    alt = escape(known.get("alt", ""))
    if "text/html" in data:
        still = f'<img class="still" src="{source_of(data)}" alt="{alt}">' if "image/png" in data else ""
        return f'<div class="player">{data["text/html"]}{still}</div>\n'
    if "image/png" in data:
        width = f' width="{known["width"]}"' if "width" in known else ""  # it has more pixels than it is wide
        picture = f'<img class="picture"{width} src="{source_of(data)}" alt="{alt}">'
        live = f'<p class="live">{LIVE}</p>' if data.get("text/plain", "").startswith("Live(") else ""
        moves = f' moves" data-frames="{name_of(data[KIND])}' if KIND in data else ""
        return f'<div class="figure{moves}">{picture}{live}</div>\n'
    return f'<pre class="output">{escape(data.get("text/plain", ""))}</pre>\n'


def outputs(cell):
    """All that a code cell printed and showed."""
    parts = []
    for result in results(cell):
        if result.output_type == "stream":
            aligned = " aligned" if len(ALIGNED.findall(result.text)) > 1 else ""  # a table: it scrolls, as code does
            parts.append(f'<pre class="output{aligned}">{escape(result.text)}</pre>\n')
        elif "data" in result:
            parts.append(output(result.data, result.get("metadata", {})))
    return "".join(parts)
