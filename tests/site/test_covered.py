"""Answers are covered until they are asked for: in every lesson, on the site, and in the copies that are handed out."""

import build_notebooks
import build_site
import covered
import nbformat
import pytest
from course import NOTEBOOKS
from references import Known
from render import Formulas
from working_copy import editions


def of(*cells):
    made = [nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output("stream", text="42\n")])
            if kind == "code" else nbformat.v4.new_markdown_cell(source) for kind, source in cells]
    return nbformat.v4.new_notebook(cells=made)


@pytest.mark.parametrize("lesson", build_notebooks.lessons(), ids=lambda lesson: lesson.name)
def test_each_lesson_has_its_answers_covered(lesson):
    notebook = build_notebooks.inputs(lesson)
    covered.cover_lesson(lesson.name, notebook)
    said = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert said.count(covered.GUESS) >= 1
    assert said.count("<details") == said.count("</details>")
    first = said.index("## Predict first")
    assert said.index(covered.GUESS) > first, "nothing is covered before it is asked"


def test_a_picture_its_caption_and_what_follows_open_at_one_click():
    notebook = of(("code", "draw()"), ("text", "**Figure 1.** Forty-two.\n\nSo it is 42.\n\nGo on."))
    covered.cover(notebook, guess=["Figure 1", "So it is"])
    page = build_site.lesson_page(build_site.COURSE.lessons[1].name, notebook, Formulas(), Known()).body
    assert page.count("<details") == page.count("</details>") == 1
    places = [page.index(part) for part in ("<details", "42", "So it is", "</details>", "Go on")]
    assert places == sorted(places)


def test_what_was_there_to_see_is_asked_for_in_other_words_and_ends_where_it_ends():
    notebook = of(("text", "Look.\n\n```python\na = 1\n\nb = 2\n```\n\nYou saw\nred.\n\n## Next"))
    covered.cover(notebook, seen=["You saw red"])
    source = notebook.cells[0].source
    assert source.startswith("Look.\n\n```python\na = 1\n\nb = 2\n```\n\n<details")
    assert source.endswith("You saw\nred.\n\n</details><!-- covered -->\n\n## Next")
    assert covered.SEEN in source


@pytest.mark.parametrize("text", ["Nothing of it.", "So it is 42.\n\nSo it is 43."])
def test_a_beginning_that_no_paragraph_has_or_two_have_is_an_error(text):
    with pytest.raises(ValueError, match=r"must be there once: So it is \([02] times\)"):
        covered.cover(of(("text", text)), guess=["So it is"])


def test_the_copies_of_make_lab_start_without_the_pictures_that_answer(tmp_path):
    editions(NOTEBOOKS[0].parent, tmp_path)
    for path in NOTEBOOKS:
        handed_out = nbformat.read(tmp_path / path.name, as_version=4)
        hidden = [cell for cell in handed_out.cells if covered.TAG in cell.metadata.get("tags", [])]
        whole = {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}
        assert all(not cell.outputs and whole[cell.id].outputs for cell in hidden), path.name
        assert [cell.source for cell in handed_out.cells if cell.cell_type == "code"] == [
            cell.source for cell in whole.values() if cell.cell_type == "code"]
