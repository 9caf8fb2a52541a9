"""What a deck is made of: slides with heading and notes, little code, what the anchors name; and what is refused."""

import re
from base64 import b64encode
from functools import cache

import nbformat
import numpy as np
import pytest
import slides
from decks import LESSONS, notebook, player, source
from render import Formulas, Text, plain

from diffusion_lab.view.pictures import png

each_deck = pytest.mark.parametrize("name", LESSONS)


@cache
def pages(name):
    """[(slide, its HTML)], formulas left as holes."""
    return [(slide, slides.rendered(slide, Text(Formulas())))
            for slide in slides.slides_of(source(name), notebook(name))]


@each_deck
def test_a_deck_has_12_to_20_slides_from_title_to_summary(name):
    deck = pages(name)
    assert 12 <= len(deck) <= 20
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
        notes = slides.added(slide, Text(Formulas())) + slides.lesson_text(slide, Text(Formulas()))
        assert len(plain(notes).split()) > 10, slide.heading


@each_deck
def test_the_notes_have_the_whole_text_of_the_lesson(name):
    deck = [slide for slide, _ in pages(name)]
    named = {heading for slide in deck for heading in slide.sections}
    missing = [heading for level, heading, _ in slides.sections(deck[0].cells) if level < 3 and heading not in named]
    assert missing == [], "put a line `Text: …` on the first slide that sums up the section"


@each_deck
def test_a_slide_shows_at_most_14_lines_of_code(name):
    for slide, page in pages(name):
        for block in re.findall(r'<div class="code">.*?</div>|<pre class="output">.*?</pre>', page, flags=re.DOTALL):
            assert len(re.sub("<[^>]+>", "", block).strip().splitlines()) <= 14, slide.heading


# What anchors name, shown with a tiny lesson

CODE = 'def half(x):\n    """Half of x."""\n    return x / 2  # exact\n\n\nprint(half(3))'
MARKDOWN, PYTHON = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell


def printed(text):
    return nbformat.v4.new_output("stream", text=text)


def shown(html=None, alt="A grey square."):
    data = {"image/png": b64encode(png(np.full((10, 10), 99, dtype=np.uint8))).decode()}
    return nbformat.v4.new_output("display_data", data | ({"text/html": html} if html else {}),
                                  metadata={"image/png": {"alt": alt}})


def lesson(frames=(10, 10)):
    return nbformat.v4.new_notebook(cells=[
        MARKDOWN("[navigation]\n\n# Halves\n\nAbout $x$ and halves.\n\n## One\n\nThe first.",
                 metadata={"tags": ["navigation"]}),
        PYTHON(CODE, outputs=[printed("1.5 < 2,  and  so on\n")]),
        PYTHON("def hidden(x):\n    pass", metadata={"tags": ["claim"]}, outputs=[printed("guards\n")]),
        PYTHON("show(1)", outputs=[shown(alt="The first of two."), shown(alt="The second of two.")]),
        MARKDOWN("**Figure 1.** Two squares.\n\n### Deeper: why\n\n```\n# no heading\n```\n\n## Two\n\nThe second."),
        PYTHON('Scrubber(frames, labels, f"Grey grows in {n} steps.",\n         "A square.")',
               outputs=[shown(player(*frames), alt="A square.")]),
        PYTHON('Scrubber(frames, labels, "Twice.", "x")\nScrubber(frames, labels, "Twice.", "y")'),
        PYTHON("def twice(x):\n    pass"), PYTHON("def twice(x):\n    pass\nprint('half of it')",
                                                  outputs=[printed("half of it\n")]),
        PYTHON("print('another half')", outputs=[printed("another half\n")]),
        PYTHON("raise NotImplementedError", metadata={"tags": ["exercise"]}),
        MARKDOWN("**Figure 3.** One.\n\n**Figure 3.** Again.")])


def only(text, **how):
    """The HTML of the one slide of a deck."""
    [slide] = slides.slides_of(text, lesson(**how))
    return slides.rendered(slide, Text(Formulas()))


def text(page):
    return re.sub("<[^>]+>", "", page)


def test_code_is_shown_by_name_and_without_docstrings():
    assert text(only("## A\n\n{code half}")).strip().endswith("def half(x):\n    return x / 2  # exact")


def test_what_was_printed_is_named_by_words_of_it_whatever_its_spaces():
    page = only('## A\n\n{printed "1.5 < 2, and"}')
    assert '<pre class="output">1.5 &lt; 2,  and  so on</pre>' in page


def test_a_picture_is_named_by_its_figure_or_by_its_alternative_text():
    assert 'alt="The second of two."' in only("## A\n\n{figure 1}"), "the last above the caption"
    page = only('## A\n\n{picture "The first"}')
    assert 'alt="The first of two."' in page
    assert 'class="picture pixels"' in page, "a picture of grey levels"


def test_a_player_is_named_by_its_caption_and_stands_beside_the_text_if_it_is_not_wide():
    page = only('## A\n\nText.\n\n{player "Grey grows"}')
    assert page.count("<iframe") == 1
    assert page.count("<img") == page.count('class="still"') == 1, "for paper"
    assert "Escape" in page
    assert 'class="body beside"' in page
    assert 'class="body beside"' not in only('## A\n\nText.\n\n{player "Grey grows"}', frames=(10, 30))


@pytest.mark.parametrize(("source", "words"), [
    ("A text.", "does not begin with a heading"), ("### Too deep", "does not begin with a heading"),
    ("## A\n\n{figure 2}", "{figure 2} must name one thing, but the lesson has no captions **Figure 2.**"),
    ("## A\n\n{figure 3}", "{figure 3} must name one thing, but the lesson has 2 captions"),
    ('## A\n\n{picture "A circle"}', '{picture "A circle"} must name one thing, but the lesson has no pictures'),
    ('## A\n\n{picture "The"}', '{picture "The"} must name one thing, but the lesson has 2 pictures'),
    ('## A\n\n{player "Black"}', "the lesson has no players"), ('## A\n\n{player "Twice"}', "has no picture of it"),
    ('## A\n\n{printed "nothing"}', "has no cells that printed"),
    ('## A\n\n{printed "half"}', "has 2 cells that printed"),
    ('## A\n\n{printed "guards"}', "has no cells that printed"), ("## A\n\n{code hidden}", "has no definitions"),
    ("## A\n\n{code third}", "has no definitions"), ("## A\n\n{code twice}", "has 2 definitions"),
    ("## A\n\n{film 1}", "{film 1} is none of {figure 3}"), ("## A\n\n{code}", "{code} is none of {figure 3}"),
    ("## A\n\nHere: {figure 1}", "must stand alone"),
    ("## A\n\n```python\nreturn x / 3\n```", "in no cell of the lesson: return x / 3"),
])
def test_what_cannot_be_shown_is_said(source, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        only(source)
    assert "slide “" in str(error.value)


def test_quoted_lines_of_the_lesson_are_fine():
    assert "return x" in text(only("## A\n\n```python\n…\nreturn x / 2  # exact\n```"))


# Notes


def notes(source):
    """What a lecturer has for each slide: the author's note, and the lesson's text."""
    return [(plain(slides.added(slide, Text(Formulas()))), plain(slides.lesson_text(slide, Text(Formulas()))))
            for slide in slides.slides_of(source, lesson())]


def test_notes_are_what_the_author_adds_and_the_sections_that_are_summed_up():
    first, second, third = notes("# A\n\nSeen.\n\nNote: Ask the room.\n\nText: Halves\nText: One\n\n---\n\n"
                                 "## B\n\nSeen.\n\n---\n\n## C\n\nText: Two")
    assert first[0] == "Ask the room."
    expected = r"Halves About .* halves\. One The first\. .*so on Figure 1\. Two squares\. Deeper: why # no heading"
    assert re.fullmatch(expected, first[1]), "with subsections, without the navigation and what guards the text"
    assert second == ("", first[1]), "a slide that names no section has those of the slide before"
    assert re.fullmatch(r"Two The second\. half of it another half raise NotImplementedError Figure 3.*", third[1])


def test_nothing_of_the_notes_is_on_the_slide():
    [slide] = slides.slides_of("## A\n\nSeen.\n\nNote: Ask.\n\nText: One", lesson())
    assert text(slides.rendered(slide, Text(Formulas()))).split() == ["A", "Seen."]


def test_a_section_that_is_not_there_is_said():
    with pytest.raises(ValueError, match="“Text: Three” must name one thing, but the lesson has no sections"):
        notes("## A\n\nText: Three")
