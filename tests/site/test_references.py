"""What a lesson mentions is a link on its page, and only where it leads somewhere."""

import pytest
from references import Known, linked, terms_of, with_anchors, with_papers
from render import Formulas, Text

READING = """\
- Ho, Jain & Abbeel (2020), *Denoising*. NeurIPS. [arXiv 2006.11239](https://arxiv.org/abs/2006.11239). The paper that
  the course follows. *Notebooks 00, 01.*
- Song, Meng & Ermon (2021), *Implicit*. ICLR. Section 4. *Notebook 01.*
- Song, Vahdat & Kautz (2021), *Scores*. ICLR. *After notebook 01.* Theis, van den Oord & Bethge (2016), *A note*. ICLR.
"""
LESSONS = {"01": ("01_gaussian_pdf", "a"), "02": ("02_forward_markov_chain", "The chain: you leave with a jump")}
TERMS = terms_of([("glossary.html#term-density-pdf", "density, PDF", "00"), ("glossary.html#term-law", "law", "00"),
                  ("glossary.html#term-nearest-upsampling", "nearest (upsampling)", "00"),
                  ("glossary.html#term-denoiser", "denoiser", "03")])
READ, PAPERS = with_papers(Text(Formulas()).render(READING))


def page(source):
    formulas = Formulas()
    made = with_anchors(Text(formulas).render(source), formulas)
    return linked(made, Known(LESSONS, TERMS, PAPERS), here="01")


SOURCE = "**Figure 3.** A curve.\n\n$$ x = 1 \\tag{5} $$\n\n"


@pytest.mark.parametrize(("words", "href"), [
    ("See Figure 3.", "#figure-3"), ("By equation (5), so.", "#equation-5"),
    ("By (5), so.", "#equation-5"), ("(by (5))", "#equation-5"), ("Put (5) into (6).", "#equation-5"),
    ("In notebook 02 it was.", "02_forward_markov_chain.html"), ("Notebook 02", "02_forward_markov_chain.html"),
    ("By Ho et al. 2020 it was.", "reading.html#paper-ho-2020"),
    ("Ho, Jain & Abbeel (2020)", "reading.html#paper-ho-2020"),
    ("(Song et al. 2021)", "reading.html#paper-song-2021"),
    ("(SNR, Song, Meng & Ermon 2021)", "reading.html#paper-song-2021"),
    ("Theis, van den Oord & Bethge (2016)", "reading.html#paper-theis-2016"),
    ("A density, and a density.", "glossary.html#term-density-pdf"),
])
def test_what_is_mentioned_is_a_link(words, href):
    assert page(SOURCE + words).count(f'<a class="ref" href="{href}"') == 1


def test_a_link_holds_what_is_cited_and_no_more():
    assert '(SNR, <a class="ref" href="reading.html#paper-song-2021">Song, Meng &amp; Ermon 2021</a>)' in page(
        "(SNR, Song, Meng & Ermon 2021)")
    assert ">Ho et al. (2020)</a>" in page("By Ho et al. (2020).")
    assert ">Ho et al.</a> (2020, eq. 7)" in page("By Ho et al. (2020, eq. 7).")


def test_several_are_a_link_each():
    made = page(SOURCE + "Figures 3 and 4 are those of notebooks 01, 02 and 77.")
    assert '<a class="ref" href="#figure-3">3</a> and 4' in made
    assert made.count('href="02_forward_markov_chain.html"') == 1


def test_a_figure_of_a_paper_is_not_ours():
    made = page(SOURCE + "## Further reading\n\nTheir Figure 3; our (5).\n\n## Next\n\nFigure 3.")
    assert made.count('href="#figure-3"') == made.count('href="#equation-5"') == 1


def test_a_term_is_a_link_where_it_stands_first_in_the_open_and_in_what_is_folded():
    fold = "<details><summary>a density</summary>\n\nA density.\n\nA density.\n\n</details>\n\n"
    made = page(f"{fold}{fold}A PDF. A density. A density.")
    assert [part.count("</a>") for part in made.split("</details>")] == [1, 0, 2]


def test_a_paper_has_an_anchor_and_words_of_its_own():
    ho, song, vahdat, theis = PAPERS
    assert (ho.cited, ho.year, ho.notebooks) == ("Ho, Jain & Abbeel", "2020", ["00", "01"])
    assert ho.words == "Denoising. NeurIPS. arXiv 2006.11239. The paper that the course follows."
    assert song.notebooks == ["01"]
    assert vahdat.notebooks == []  # it comes after 01, and is not what 01 cites
    assert theis.words == "A note. ICLR."
    assert all(f'id="{paper.anchor}"' in READ for paper in PAPERS)
    assert len({paper.anchor for paper in PAPERS}) == 4


def test_a_link_to_a_lesson_says_what_its_reader_leaves_with():
    assert 'data-card="The chain: you leave with a jump"' in page("In notebook 02.")


@pytest.mark.parametrize("words", [
    "See Figure 4.", "By equation (6).", "In notebook 01 itself, or notebook 77.", "`notebook 02`", "## Notebook 02",
    "[notebook 02](x.html)", "equation (5) of notebook 77", "(5) in notebook 77", "their eq. (5)", "His (2005)", "f(5)",
    "By Gu et al. 2020.", "Ho & Jain 2020", "By Ho et al. 2021.", "By law, a denoiser; the nearest.", "*On density*",
    "[a density](x.html)",
])
def test_nothing_else_is(words):
    assert 'class="ref"' not in page(SOURCE + words)


def test_captions_and_numbered_equations_have_anchors_and_no_link_to_themselves():
    made = page(SOURCE)
    assert '<p id="figure-3"><strong>Figure 3.</strong>' in made
    assert 'id="equation-5"' in made
    assert "class=\"ref\"" not in made
