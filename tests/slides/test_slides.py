"""What a deck is made of: how many slides, each with heading and notes, little code; and what is refused."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
import slides
from render import Formulas, Text, plain

sys.path.insert(0, str(Path(__file__).parent))
from decks import NOTEBOOKS, player

each_deck = pytest.mark.parametrize("name", NOTEBOOKS)


def pages(name):
    """[(slide, its HTML)], formulas left as holes."""
    return [(slide, slides.rendered(slide, Text(Formulas()))) for slide in slides.slides_of(NOTEBOOKS[name])]


@each_deck
def test_a_deck_has_12_to_20_slides_from_title_to_summary(name):
    deck = pages(name)
    assert 12 <= len(deck) <= 20, "each notebook of notebooks/text has a deck"
    levels = [slides.HEADING.match(page)[2] for _, page in deck]
    assert levels == ["1"] + ["2"] * (len(deck) - 1)
    assert 'class="picture-place"' in deck[0][1]
    assert "Summary" in deck[-1][0].heading
    headings = [slide.heading for slide, _ in deck]
    assert len(set(headings)) == len(headings)
    assert any("mistake" in heading for heading in headings)
    assert any(heading.startswith("## In class") for heading in headings)


@each_deck
def test_every_slide_says_something_and_has_notes(name):
    for slide, page in pages(name):
        assert plain(slides.HEADING.sub("", page, count=1)) or "<img" in page or "<iframe" in page, slide.heading
        assert len(plain(slides.notes_of(slide, Text(Formulas()))).split()) > 10, slide.heading


@each_deck
def test_a_slide_shows_at_most_14_lines_of_code(name):
    for slide, page in pages(name):
        for block in re.findall(r'<div class="code">.*?</div>|<pre class="output">.*?</pre>', page, flags=re.DOTALL):
            assert len(re.sub("<[^>]+>", "", block).strip().splitlines()) <= 14, slide.heading


CODE = 'def half(x):\n    """Half of x."""\n    return x / 2  # exact\n\n\nprint(half(3))'


def notebook(*sources, outputs=()):
    """A notebook of a text cell and a code cell that carries the slides."""
    code = nbformat.v4.new_code_cell(CODE, metadata={"slides": list(sources)}, outputs=list(outputs))
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("About $x$ and halves."), code])


def only(source, outputs=()):
    """The HTML of the one slide of a notebook."""
    [slide] = slides.slides_of(notebook(source, outputs=outputs))
    return slides.rendered(slide, Text(Formulas()))


def text(page):
    return re.sub("<[^>]+>", "", page)


def test_code_is_shown_without_docstrings_and_by_name():
    assert text(only("## A\n\n{code}")).strip().endswith("def half(x):\n    return x / 2  # exact\n\n\nprint(half(3))")
    assert text(only("## A\n\n{code half}")).strip().endswith("def half(x):\n    return x / 2  # exact")


def test_printed_numbers_and_the_last_picture_or_player():
    printed = nbformat.v4.new_output("stream", text="1.5 < 2\n")
    assert '<pre class="output">1.5 &lt; 2</pre>' in only("## A\n\n{printed}", [printed])
    html = {"text/html": player(10, 10), "text/plain": "Scrubber(31 frames)", "image/png": "film strip"}
    page = only("## A\n\nText.\n\n{picture}", [nbformat.v4.new_output("display_data", html)])
    assert page.count("<iframe") == 1
    assert "film strip" not in page
    assert "Escape" in page
    assert 'class="body beside"' in page, "a square picture stands beside the text"
    html["text/html"] = player(10, 30)
    page = only("## A\n\nText.\n\n{picture}", [nbformat.v4.new_output("display_data", html)])
    assert 'class="body beside"' not in page


@pytest.mark.parametrize(("source", "words"), [
    ("A text.", "does not begin with a heading"), ("### Too deep", "does not begin with a heading"),
    ("## A\n\n{picture}", "no cell before it shows one"), ("## A\n\n{printed}", "no cell before it prints"),
    ("## A\n\n{code third}", "asks for the code of third"), ("## A\n\n{film}", "{film} is none of {picture}"),
    ("## A\n\nHere: {picture}", "must stand alone"),
    ("## A\n\n```python\nreturn x / 3\n```", "in no cell before it: return x / 3"),
])
def test_what_cannot_be_shown_is_said(source, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        only(source)
    assert "slide “" in str(error.value)


def test_quoted_lines_of_the_notebook_are_fine():
    assert "return x" in text(only("## A\n\n```python\n…\nreturn x / 2  # exact\n```"))


def test_notes_are_what_the_author_adds_and_the_text_since_the_slide_before():
    first, second = slides.slides_of(notebook("## A\n\nSeen.\n\nNote: Ask the room.", "## B\n\nSeen."))
    notes = [plain(slides.notes_of(slide, Text(Formulas()))) for slide in (first, second)]
    assert notes[0].startswith("Ask the room. About")
    assert notes[1].startswith("About")
    assert "Ask" not in slides.rendered(first, Text(Formulas()))
