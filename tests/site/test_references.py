"""What a lesson mentions is a link on its page, and only where it leads somewhere."""

import pytest
from references import linked, with_anchors
from render import Formulas, Text

NAMES = {"01": "01_gaussian_pdf", "02": "02_forward_markov_chain"}


def page(source):
    formulas = Formulas()
    return linked(with_anchors(Text(formulas).render(source), formulas), NAMES, here="01")


SOURCE = "**Figure 3.** A curve.\n\n$$ x = 1 \\tag{5} $$\n\n"


@pytest.mark.parametrize(("words", "href"), [
    ("See Figure 3.", "#figure-3"), ("By equation (5), so.", "#equation-5"),
    ("In notebook 02 it was.", "02_forward_markov_chain.html"), ("Notebook 02", "02_forward_markov_chain.html"),
])
def test_what_is_mentioned_is_a_link(words, href):
    assert f'<a class="ref" href="{href}">' in page(SOURCE + words)


@pytest.mark.parametrize("words", [
    "See Figure 4.", "By equation (6).", "In notebook 01 itself, or notebook 77.", "`notebook 02`", "## Notebook 02",
    "[notebook 02](x.html)", "equation (5) of notebook 77",
])
def test_nothing_else_is(words):
    assert 'class="ref"' not in page(SOURCE + words)


def test_captions_and_numbered_equations_have_anchors_and_no_link_to_themselves():
    made = page(SOURCE)
    assert '<p id="figure-3"><strong>Figure 3.</strong>' in made
    assert 'id="equation-5"' in made
    assert "class=\"ref\"" not in made
