"""Slides as HTML: what a notebook's author wrote, with the pictures, players, code and numbers that it asks for.

CONTRIBUTING.md says how a slide is written; `build_notebooks` puts it into the metadata of the cell before it.
"""

import ast
import re
import struct
from base64 import b64decode
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

from build_notebooks import without_navigation
from render import code, output

IN_PLAYER = (Path(__file__).parent / "web" / "slides.player.html").read_text(encoding="utf-8")
NOTE = re.compile(r"^Note:\s*", flags=re.MULTILINE)
PLACE = re.compile(r"<p>\{(\w+)(?: (\w+))?\}</p>\s*")
HEADING = re.compile(r"\s*(<h([12])>.*?</h\2>)", flags=re.DOTALL)
TALL = 1.6  # a picture that is less than this many times as wide as high stands beside the text, not below it


@dataclass
class Slide:
    """A slide as its author wrote it, the cells since the slide before, and all cells up to here."""

    source: str
    since: list
    before: list

    @property
    def heading(self):
        return self.source.splitlines()[0]

    def wrong(self, what):
        return ValueError(f"slide “{self.heading}”: {what}")


def slides_of(notebook):
    """The slides that the cells of an executed notebook declare, in order. Several after one cell share its notes."""
    found, since = [], []
    for i, cell in enumerate(notebook.cells):
        since.append(cell)
        sources = cell.metadata.get("slides", [])
        found += [Slide(source, since, notebook.cells[: i + 1]) for source in sources]
        since = [] if sources else since
    return found


def picture(slide, _):
    """The last picture or player up to the slide, and its width over its height."""
    for cell in reversed(slide.before):
        for result in reversed(cell.get("outputs", [])):
            data, metadata = result.get("data", {}), result.get("metadata", {})
            if frame := re.search(r"&quot;frames&quot;: \[&quot;(.*?)&quot;", data.get("text/html", "")):
                return player(output(data, metadata)), ratio(frame[1])
            if "image/png" in data:
                shown = output(data, metadata)
                if b64decode(data["image/png"])[25] == 0:  # grey levels: a mosaic, whose pixels are to be seen
                    shown = shown.replace('class="picture"', 'class="picture pixels"')
                return shown, ratio(data["image/png"])
    raise slide.wrong("it asks for a picture, but no cell before it shows one.")


def player(html):
    """A player in its frame, with the looks and the Escape key that it has on slides."""
    def mended(match):
        return f'srcdoc="{escape(unescape(match[1]).replace("<main>", IN_PLAYER + "<main>", 1))}"'
    return re.sub(r'srcdoc="([^"]*)"', mended, html)


def ratio(png):
    """Width over height of a PNG in base64."""
    width, height = struct.unpack(">II", b64decode(png[:64])[16:24])
    return width / height


def listing(slide, name):
    """The last code cell up to the slide, or in the last that defines `name` that definition; without docstrings."""
    cells = [cell.source for cell in slide.before if cell.cell_type == "code"]
    if name is None:
        return code(without_docstrings(cells[-1])), None
    for source in reversed(cells):
        for node in parsed(source).body:
            if getattr(node, "name", None) == name:
                lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
                return code(without_docstrings("\n".join(lines))), None
    raise slide.wrong(f"it asks for the code of {name}, but no cell before it defines that.")


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


def printed(slide, _):
    """What the last code cell that printed something printed."""
    for cell in reversed(slide.before):
        if text := printed_by(cell):
            return f'<pre class="output">{escape(text)}</pre>\n', None
    raise slide.wrong("it asks for what was printed, but no cell before it prints.")


def printed_by(cell):
    return "".join(result.text for result in cell.get("outputs", []) if result.output_type == "stream").rstrip()


PLACES = {"picture": picture, "code": listing, "printed": printed}


def check_quoted(slide, source):
    """Raise ValueError if a line of code that a slide writes out stands in no cell up to it."""
    known = {line.strip() for cell in slide.before for line in cell.source.splitlines()} | {"", "…", "..."}
    for block in re.findall(r"^```python\n(.*?)^```", source, flags=re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.strip() not in known:
                raise slide.wrong(f"this line of code is in no cell before it: {line}")


def rendered(slide, text):
    """The HTML of a slide. text: a `render.Text`."""
    source = NOTE.split(slide.source, maxsplit=1)[0]
    check_quoted(slide, source)
    page = without_anchors(text.render(source))
    heading = HEADING.match(page)
    if not heading:
        raise slide.wrong("it does not begin with a heading: # for the first slide, ## for the others.")
    rest, words, shown, wide = page[heading.end() :], [], [], True
    while place := PLACE.search(rest):
        kind, name = place.groups()
        if kind not in PLACES:
            raise slide.wrong(f"{{{kind}}} is none of {{picture}}, {{code}}, {{code NAME}}, {{printed}}.")
        html, shape = PLACES[kind](slide, name)
        wide = wide and (shape is None or shape >= TALL)
        words.append(rest[: place.start()])
        shown.append(f'<div class="{kind}-place">{html}</div>')
        rest = rest[place.end() :]
    words.append(rest)
    if missed := re.search(r"\{(picture|code|printed)\b", plain_parts(words)):
        raise slide.wrong(f"{{{missed[1]}}} must stand alone, between blank lines.")
    return heading[1] + body(words, shown, wide)


def plain_parts(parts):
    return re.sub(r"<pre.*?</pre>", "", " ".join(parts), flags=re.DOTALL)


def body(words, shown, wide):
    """What stands below a heading. words: the text before, between and after what is shown."""
    said = [f'<div class="words">{part}</div>' if part.strip() else "" for part in words]
    if not wide and any(said):
        return f'<div class="body beside"><div>{"".join(said)}</div>{"".join(shown)}</div>'
    inside = "".join(part + place for part, place in zip(said, [*shown, ""]))
    kind = "only" if not shown else "" if any("picture-place" in place for place in shown) else "listing"
    return f'<div class="body {kind}">{inside}</div>'


def notes_of(slide, text):
    """The HTML of a slide's notes: what its author adds, then the notebook's text since the slide before."""
    parts = [f'<div class="added">{text.render(note)}</div>' for note in NOTE.split(slide.source, maxsplit=1)[1:]]
    for cell in slide.since:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            source = without_navigation(cell.source) if "navigation" in tags else cell.source
            parts.append(text.render(source.replace("<details>", "<details open>")))
        elif "exercise" in tags:
            parts.append(f"<pre>{escape(cell.source)}</pre>")
        elif printed_by(cell) and "check" not in tags:
            parts.append(f"<pre>{escape(printed_by(cell))}</pre>")
    return without_anchors("".join(parts))


def without_anchors(page):
    return re.sub(r'<(h\d) id="[^"]*">', r"<\1>", page)
