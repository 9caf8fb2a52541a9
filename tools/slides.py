"""Slides as HTML: what lessons/NN_name/slides.md says, with the pictures, players, code and numbers that it names.

CONTRIBUTING.md says how a slide is written.
"""

import ast
import re
import struct
from base64 import b64decode
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import nbformat
from build_notebooks import level, tags, without_navigation
from render import code, output, results, shown

IN_PLAYER = (Path(__file__).parent / "web" / "slides.player.html").read_text(encoding="utf-8")
SEPARATOR = re.compile(r"^---$", flags=re.MULTILINE)
TEXT = re.compile(r"^Text: (.+)\n?", flags=re.MULTILINE)
NOTE = re.compile(r"^Note:\s*", flags=re.MULTILINE)
PLACE = re.compile(r"<p>\{(\w+)(?: (.*?))?\}</p>\s*")
HEADING = re.compile(r"\s*(<h([12])>.*?</h\2>)", flags=re.DOTALL)
TALL = 1.6  # a picture that is less than this many times as wide as high stands beside the text, not below it


@dataclass
class Slide:
    """A slide as its author wrote it; the sections of the lesson that it sums up, by heading; the lesson's cells."""

    source: str
    sections: list
    cells: list

    @property
    def heading(self):
        return self.source.splitlines()[0]

    def wrong(self, what):
        return ValueError(f"slide “{self.heading}”: {what}")

    def the_one(self, found, anchor, meant):
        """What an anchor names. Raises ValueError if it names nothing, or several things."""
        if len(found) == 1:
            return found[0]
        raise self.wrong(f"{anchor} must name one thing, but the lesson has {len(found) or 'no'} {meant}.")

    def code_cells(self):
        return [cell for cell in self.cells if cell.cell_type == "code"]


def slides_of(source, notebook):
    """The slides of a lesson's slides.md, beside its executed notebook. One without sections has those before it."""
    found, sections, cells = [], [], shown(notebook)
    for text in SEPARATOR.split(source):
        sections = TEXT.findall(text) or sections
        found.append(Slide(TEXT.sub("", text).strip(), sections, cells))
    return found


def pictures(cell):
    """The pictures and players that a cell shows."""
    return [result for result in results(cell) if {"text/html", "image/png"} & set(result.get("data", {}))]


def figure(slide, number):
    """The last picture above the caption "**Figure 3.**", and its width over its height."""
    is_caption = re.compile(rf"^\*\*Figure {re.escape(number)}\.\*\*", flags=re.MULTILINE)
    captions = [place for place, cell in enumerate(slide.cells) if cell.cell_type == "markdown"
                for _ in is_caption.findall(cell.source)]
    anchor = f"{{figure {number}}}"
    place = slide.the_one(captions, anchor, f"captions **Figure {number}.**")
    above = [result for cell in slide.cells[:place] for result in pictures(cell)]
    return picture_of(slide.the_one(above[-1:], anchor, "picture above its caption"))


def player(slide, words):
    """The player, or live picture, whose caption begins with some words."""
    found = [cell for cell in slide.code_cells() if any(begins(text, words) for text in captions(cell))]
    cell = slide.the_one(found, f'{{player "{words}"}}', "players whose caption begins so")
    return picture_of(slide.the_one(pictures(cell)[-1:], f'{{player "{words}"}}', "picture of it"))


def captions(cell):
    """The strings that a cell gives to `Scrubber` and `Live`."""
    calls = [node for node in ast.walk(parsed(cell.source))
             if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Scrubber", "Live")]
    return [node.value for call in calls for node in ast.walk(call)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def picture(slide, words):
    """The picture whose alternative text begins with some words."""
    found = [result for cell in slide.code_cells() for result in pictures(cell)
             if begins(result.metadata.get("image/png", {}).get("alt", ""), words)]
    return picture_of(slide.the_one(found, f'{{picture "{words}"}}', "pictures whose alt text begins so"))


def picture_of(result):
    """A picture or player as HTML, and its width over its height."""
    data, shape = result.data, None
    html = output(data, result.metadata)
    if frame := re.search(r"&quot;frames&quot;: \[&quot;(.*?)&quot;", data.get("text/html", "")):
        return on_a_slide(html), ratio(frame[1])
    if "image/png" in data:
        shape = ratio(data["image/png"])
        if b64decode(data["image/png"])[25] == 0:  # grey levels: a mosaic, whose pixels are to be seen
            html = html.replace('class="picture"', 'class="picture pixels"')
    return html, shape


def on_a_slide(html):
    """A player in its frame, with the looks and the Escape key that it has on slides."""
    def mended(match):
        return f'srcdoc="{escape(unescape(match[1]).replace("<main>", IN_PLAYER + "<main>", 1))}"'
    return re.sub(r'srcdoc="([^"]*)"', mended, html)


def ratio(png):
    """Width over height of a PNG in base64."""
    width, height = struct.unpack(">II", b64decode(png[:64])[16:24])
    return width / height


def spaced(text):
    """A text with its spaces and line breaks as single spaces."""
    return " ".join(text.split())


def begins(text, words):
    return spaced(text).startswith(words)


def listing(slide, name):
    """The definition of a name, without docstrings."""
    found = ["\n".join(cell.source.splitlines()[node.lineno - 1 : node.end_lineno])
             for cell in slide.code_cells() for node in parsed(cell.source).body if getattr(node, "name", None) == name]
    return code(without_docstrings(slide.the_one(found, f"{{code {name}}}", "definitions of this name"))), None


def parsed(source):
    """The syntax tree of a cell, whose lines for IPython count as empty statements."""
    return ast.parse(re.sub(r"^[%!].*$", "pass", source, flags=re.MULTILINE))


def without_docstrings(source):
    lines = dict(enumerate(source.splitlines(), 1))
    for node in ast.walk(parsed(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            last = node.body[0].end_lineno
            for i in range(node.body[0].lineno, last + 1 + (not lines.get(last + 1, "x").strip())):
                del lines[i]  # with the blank line after it
    return "\n".join(lines.values())


def printed(slide, words):
    """What the cell printed in whose output some words stand."""
    found = [text for cell in slide.code_cells() if words in spaced(text := printed_by(cell))]
    text = slide.the_one(found, f'{{printed "{words}"}}', "cells that printed these words")
    return f'<pre class="output">{escape(text)}</pre>\n', None


def printed_by(cell):
    return "".join(result.text for result in cell.get("outputs", []) if result.output_type == "stream").rstrip()


ANCHORS = {"figure": figure, "player": player, "picture": picture, "code": listing, "printed": printed}
SHOWN_AS = {"figure": "picture", "player": "picture"}  # the class of its place, where it is not the anchor's name


def check_quoted(slide, source):
    """Raise ValueError if a line of code that a slide writes out stands in no cell of the lesson."""
    known = {line.strip() for cell in slide.cells for line in cell.source.splitlines()} | {"", "…", "..."}
    for block in re.findall(r"^```python\n(.*?)^```", source, flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.strip() not in known:
                raise slide.wrong(f"this line of code is in no cell of the lesson: {line}")


def rendered(slide, text):
    """The HTML of a slide. text: a `render.Text`."""
    source = NOTE.split(slide.source, maxsplit=1)[0]
    check_quoted(slide, source)
    page = without_anchors(text.render(source))
    heading = HEADING.match(page)
    if not heading:
        raise slide.wrong("it does not begin with a heading: # for the first slide, ## for the others.")
    rest, words, places, wide = page[heading.end() :], [], [], True
    while place := PLACE.search(rest):
        kind, name = place[1], unescape(place[2] or "").strip('"')
        if kind not in ANCHORS or not name:
            raise slide.wrong(f"{unescape(place[0][3:]).partition('</p>')[0]} is none of {{figure 3}}, "
                              '{player "its caption"}, {picture "its alt text"}, {code NAME}, {printed "its words"}.')
        html, shape = ANCHORS[kind](slide, name)
        wide = wide and (shape is None or shape >= TALL)
        words.append(rest[: place.start()])
        places.append(f'<div class="{SHOWN_AS.get(kind, kind)}-place">{html}</div>')
        rest = rest[place.end() :]
    words.append(rest)
    if missed := re.search(rf"\{{({'|'.join(ANCHORS)})\b", plain_parts(words)):
        raise slide.wrong(f"{{{missed[1]} …}} must stand alone, between blank lines.")
    return heading[1] + body(words, places, wide)


def plain_parts(parts):
    return re.sub(r"<pre.*?</pre>", "", " ".join(parts), flags=re.DOTALL)


def body(words, places, wide):
    """What stands below a heading. words: the text before, between and after what is shown."""
    said = [f'<div class="words">{part}</div>' if part.strip() else "" for part in words]
    if not wide and any(said):
        return f'<div class="body beside"><div>{"".join(said)}</div>{"".join(places)}</div>'
    inside = "".join(part + place for part, place in zip(said, [*places, ""]))
    kind = "only" if not places else "" if any("picture-place" in place for place in places) else "listing"
    return f'<div class="body {kind}">{inside}</div>'


# The notes of the lecturer


def added(slide, text):
    """The HTML of what the author of a slide adds for the lecturer."""
    return "".join(f'<div class="added">{text.render(note)}</div>'
                   for note in NOTE.split(slide.source, maxsplit=1)[1:])


def lesson_text(slide, text):
    """The HTML of the sections of the lesson that a slide sums up: words, exercises, what was printed."""
    known, parts = sections(slide.cells), []
    for heading in slide.sections:
        found = [place for place, (_, name, _) in enumerate(known) if name == heading]
        place = slide.the_one(found, f"“Text: {heading}”", "sections with this heading")
        for cell in cells_of(known, place):
            if cell.cell_type == "markdown":
                parts.append(text.render(cell.source.replace("<details>", "<details open>")))
            elif "exercise" in tags(cell):
                parts.append(f"<pre>{escape(cell.source)}</pre>")
            elif printed_by(cell) and not printed_by(cell).startswith("Not attempted yet"):
                parts.append(f"<pre>{escape(printed_by(cell))}</pre>")
    return without_anchors("".join(parts))


def sections(cells):
    """The sections of a lesson [(level, heading, cells)], in order: a cell of text is cut before each heading in it."""
    found = []
    for cell in cells:
        if cell.cell_type != "markdown":
            found[-1][2].append(cell)
        elif "generated" not in tags(cell):
            source = without_navigation(cell.source) if "navigation" in tags(cell) else cell.source
            for depth, heading, text in cut(source):
                if heading:
                    found.append((depth, heading, []))
                found[-1][2].append(nbformat.v4.new_markdown_cell(text))
    return found


def cut(source):
    """A text, cut before each heading: [(level, heading, text)], without level and heading if it begins otherwise."""
    found, fenced = [], False
    for line in source.splitlines():
        fenced ^= line.startswith("```")
        if not fenced and level(line) < 7:
            found.append((level(line), line.lstrip("# ").rstrip(), [line]))
        elif found:
            found[-1][2].append(line)
        else:
            found.append((None, None, [line]))
    return [(depth, heading, "\n".join(lines)) for depth, heading, lines in found]


def cells_of(known, place):
    """The cells of a section with those of its subsections; the title's section ends at the next heading."""
    depth, _, found = known[place]
    for below, _, cells in known[place + 1 :]:
        if below <= depth or depth == 1:
            break
        found = found + cells
    return found


def without_anchors(page):
    return re.sub(r'<(h\d) id="[^"]*">', r"<\1>", page)
