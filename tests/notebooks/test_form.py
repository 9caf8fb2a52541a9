"""The design's measures of a notebook: length, order, captions, alt texts, exercises."""

import ast
import re
from statistics import median

import nbformat
import pytest
from course import NOTEBOOKS, cells

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
SECTIONS = ["Predict first", "Exercises", "A common mistake", "Summary", "Check yourself", "Further reading", "Next"]


def code_lines(source):
    """The lines of a cell that count: not blank, no comment, no docstring."""
    lines = {i for i, line in enumerate(source.splitlines(), 1) if line.strip() and not line.strip().startswith("#")}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def text_of(path):
    return "\n".join(cell.source for cell in cells(path, "markdown"))


def tags(cell):
    return cell.metadata.get("tags", [])


def test_sizes(path):
    all_cells = nbformat.read(path, as_version=4).cells
    lengths = [code_lines(cell.source) for cell in cells(path)]
    assert len(all_cells) <= 60
    assert max(lengths) <= 25
    assert median(lengths) <= 6
    assert path.stat().st_size < 700_000
    assert len(text_of(path).split()) >= 4 * sum(lengths)


def test_it_is_executed_without_error_and_carries_no_widget_state(path):
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata
    assert [cell.execution_count for cell in cells(path)] == list(range(1, len(cells(path)) + 1))
    outputs = [output for cell in cells(path) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


def test_it_begins_and_ends_as_every_lesson_does(path):
    markdown = cells(path, "markdown")
    assert tags(markdown[0]) == ["navigation"]
    text = text_of(path)
    assert re.match(r"\[!\[Open on Binder\].*\n+# \S", text)
    for words in ["You will be able to", "You need", "Time to read", "to run", "Paper sections"]:
        assert words in text, words
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS
    questions = text.split("## Check yourself")[1].split("## Further reading")[0]
    assert questions.count("<details>") == questions.count("</details>") == 3


def test_every_picture_has_an_alt_text(path):
    for cell in cells(path):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 20, cell.source


def test_figures_have_captions_numbered_in_order(path):
    numbers = [int(n) for n in re.findall(r"^\*\*Figure (\d+)\.\*\*", text_of(path), flags=re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    shown = sum("show(" in cell.source and "def " not in cell.source for cell in cells(path))
    assert len(numbers) >= shown > 0


def test_it_has_something_to_scrub(path):
    assert any(re.match(r"(Scrubber|Live)\(", cell.outputs[-1].get("data", {}).get("text/plain", ""))
               for cell in cells(path) if cell.outputs)


def test_an_ignored_output_is_followed_by_an_assertion(path):
    code = cells(path)
    for cell, following in zip(code, code[1:]):
        if "nbval-ignore-output" in tags(cell) and "nbval-ignore-output" not in tags(following):
            assert "assert" in following.source


def test_no_cell_both_defines_and_draws(path):
    for cell in cells(path):
        tree = ast.parse(cell.source).body
        defines = any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree)
        shows = any("show(" in ast.unparse(node) for node in tree if isinstance(node, ast.Expr))
        assert not (defines and shows), cell.source


def test_exercises_have_check_and_solution(path):
    all_cells = nbformat.read(path, as_version=4).cells
    starts = [i for i, cell in enumerate(all_cells) if "exercise" in tags(cell)]
    assert len(starts) >= (1 if path.name.startswith("00") else 3)
    for i in starts:
        exercise, check, solution = all_cells[i : i + 3]
        assert exercise.source.rstrip().endswith("raise NotImplementedError")
        assert all(ast.get_docstring(node) for node in ast.parse(exercise.source).body
                   if isinstance(node, ast.FunctionDef))
        assert "check" in tags(check)
        assert check.outputs[0].text.startswith("Not attempted yet")
        assert "solution" in tags(solution)
        assert solution.source.count("<details>") == 2
        assert "```python" in solution.source
