"""The design's measures of a lesson: order, folded and visible code, captions, alt texts, exercises."""

import ast
import re

import nbformat
import pytest
from build_notebooks import in_deeper, lessons, notebook_of, parsed
from course import NOTEBOOKS, cells
from measure_lessons import is_folded, measure

SECTIONS = ["Predict first", "Exercises", "A common mistake", "Summary", "Check yourself", "Further reading", "Next"]
DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def text_of(path):
    return "\n".join(cell.source for cell in cells(path, "markdown"))


def all_cells(path):
    return nbformat.read(path, as_version=4).cells


def tags(cell):
    return cell.metadata.get("tags", [])


# A whole lesson

@each_notebook
def test_it_is_executed_without_error_and_carries_no_widget_state(path):
    assert "widgets" not in nbformat.read(path, as_version=4).metadata
    assert [cell.execution_count for cell in cells(path)] == list(range(1, len(cells(path)) + 1))
    outputs = [output for cell in cells(path) for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@each_notebook
def test_it_begins_and_ends_as_every_lesson_does(path):
    assert tags(cells(path, "markdown")[0]) == ["navigation"]
    text = text_of(path)
    assert re.match(r"\[!\[Open on Binder\].*\n+# \S", text)
    for words in ["You will be able to", "You need", "Time to read", "to run", "Paper sections"]:
        assert words in text, words
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS
    questions = text.split("## Check yourself")[1].split("## Further reading")[0]
    assert questions.count("<details>") == questions.count("</details>") == 3


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.name)
def test_the_time_to_read_is_that_of_the_list(lesson):
    said = re.search(r"\*\*Time to read\*\*\s+(\d+)\s+minutes", text_of(notebook_of(lesson)))
    assert int(said[1]) == lesson.minutes["main"]


@each_notebook
def test_the_file_is_small(path):
    assert path.stat().st_size < 900_000


@each_notebook
def test_it_has_something_to_scrub(path):
    shown = [output.get("data", {}).get("text/plain", "") for cell in cells(path) for output in cell.outputs]
    assert any(re.match(r"(Scrubber|Live)\(", text) for text in shown)


@each_notebook
def test_a_deeper_section_is_closed_and_in_no_way_of_the_story(path):
    """Exercises, mistake and summary stand in the main lane."""
    for cell, deep in zip(all_cells(path), in_deeper(all_cells(path))):
        if deep:
            assert not re.search(r"^## ", cell.source, flags=re.MULTILINE)
            assert "exercise" not in tags(cell)


# Code

COMPUTED = (ast.Call, ast.BinOp, ast.Compare, ast.IfExp, ast.comprehension, ast.Lambda)


def packed(source):
    """The statements of a cell that hold more than one fact, as text.

    A tuple is for a pair: two names for what one value holds, a swap, two plain values side by side. Refused are calls
    or arithmetic side by side (x, y = f(), g()), more than two values that are no constants, a tuple that only gathers
    calls (_ = f(), g(), or f(), g() that is not shown), and two statements in a line.
    """
    found = []
    last = parsed(source).body[-1]
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            values = node.value.elts
            named = isinstance(node.targets[0], ast.Tuple)
            constant = all(isinstance(part, (ast.Constant, ast.UnaryOp, ast.USub)) for value in values
                           for part in ast.walk(value))
            plain = not any(isinstance(part, COMPUTED) for value in values for part in ast.walk(value))
            thrown_away = ast.unparse(node.targets[0]) == "_"
            if thrown_away or (named and not constant and not (plain and len(values) == 2)):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Tuple) and node.lineno != last.lineno:
            found.append(ast.unparse(node))
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(node, block, [])
            if isinstance(statements, list):
                found += [ast.unparse(after) for before, after in zip(statements, statements[1:])
                          if before.end_lineno == after.lineno]
    return found


@pytest.mark.parametrize("source", [
    "mean_p, var_p = f()", "a, b = b, a", "low, high = -1, 1", "a, b, c = 0, 1, 2", "x, y = points[0], points[1]",
    "shape = (n, d + 1)", "mean(x), var(x)", "for x, y in pairs:\n    z = x + y",
])
def test_a_genuine_pair_is_no_packing(source):
    assert packed(source) == []


@pytest.mark.parametrize("source", [
    "x, y = f(), g()", "n, mean = 3, f(x)", "a, b = b, a + b", "x, y, z = u, v, w", "_ = f(), g()", "_ = a, b, c",
    "f(), g()\nx = 1", "x = 1; y = 2", "if x:\n    a, b = f(), g()",
])
def test_packing_is_found(source):
    assert len(packed(source)) == 1


@each_notebook
def test_no_cell_packs_statements(path):
    assert [found for cell in cells(path) if "colab" not in tags(cell) for found in packed(cell.source)] == []


@each_notebook
def test_no_line_of_visible_code_is_long(path):
    assert [line for cell in cells(path) if not is_folded(cell) for line in cell.source.splitlines()
            if len(line) > 100] == []


@each_notebook
def test_no_cell_both_defines_and_draws(path):
    for cell in cells(path):
        tree = parsed(cell.source).body
        defines = any(isinstance(node, DEFINITIONS) for node in tree)
        shows = any("show(" in ast.unparse(node) for node in tree if isinstance(node, ast.Expr))
        assert not (defines and shows), cell.source


def is_picture(output):
    return "image/png" in output.get("data", {})


def asserts(source):
    return any(isinstance(node, ast.Assert) for node in ast.walk(parsed(source)))


def calls(source):
    """The names of the functions that some code calls."""
    return {node.func.id for node in ast.walk(parsed(source))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@each_notebook
def test_a_figure_is_drawn_in_a_cell_of_its_own(path):
    """`figure`: draws, and nothing else happens in it. Plots are made in such cells alone."""
    for cell in cells(path):
        if "figure" in tags(cell):
            assert any(is_picture(output) for output in cell.outputs), cell.source
            assert not asserts(cell.source), cell.source
        else:
            assert "figure" not in calls(cell.source), f"draws, but is not tagged figure:\n{cell.source}"


def from_figures(code):
    """The names that visible cells use although a folded cell, tagged figure, gave them their value; with the cell."""
    by, found = {}, []
    for cell in code:
        nodes = list(ast.walk(parsed(cell.source)))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        stored |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        stored |= {node.name for node in nodes if isinstance(node, DEFINITIONS)}
        found += [(name, cell.source) for name in sorted({node.id for node in names} - stored)
                  if by.get(name) and not is_folded(cell)]
        by |= dict.fromkeys(stored, "figure" in tags(cell))
    return found


@each_notebook
def test_what_a_visible_cell_uses_is_not_computed_in_a_folded_one(path):
    assert from_figures(cells(path)) == []


def test_a_name_from_a_folded_cell_is_found():
    drawn, new = {"tags": ["figure"]}, nbformat.v4.new_code_cell
    assert from_figures([new("x = 1"), new("y = x\nshow(y)", metadata=drawn), new("x + 1")]) == []
    assert from_figures([new("y = 2", metadata=drawn), new("y", metadata=drawn), new("y + 1")]) == [("y", "y + 1")]
    assert from_figures([new("def f(x): pass", metadata=drawn), new("f(1)")]) == [("f", "f(1)")]
    assert from_figures([new("x = 1\nshow(x)", metadata=drawn), new("def f(x): return x")]) == []


@each_notebook
def test_a_claim_asserts_and_shows_nothing(path):
    """And an assert in the open is a numeric check that the reader should see."""
    for cell in cells(path):
        if "claim" in tags(cell):
            assert asserts(cell.source), cell.source
            assert cell.outputs == [], cell.source
        elif "check" in tags(cell):  # it must be able to fail, unless it calls the check of an exercise
            assert asserts(cell.source) or re.match(r"(\w+\.)?check_", cell.source), f"checks nothing:\n{cell.source}"
        else:
            assert not asserts(cell.source), f"asserts, but is tagged neither check nor claim:\n{cell.source}"


@each_notebook
def test_an_ignored_output_is_followed_by_an_assertion(path):
    code = cells(path)
    for cell, following in zip(code, code[1:]):
        if "nbval-ignore-output" in tags(cell) and "nbval-ignore-output" not in tags(following):
            assert asserts(following.source), cell.source


# Pictures

@each_notebook
def test_every_picture_has_an_alt_text(path):
    for cell in cells(path):
        for output in filter(is_picture, cell.outputs):
            assert len(output.metadata["image/png"]["alt"]) > 20, cell.source


def figure_numbers(text):
    return re.findall(r"^\*\*Figure (D?\d+)\.\*\*", text, flags=re.MULTILINE)


@each_notebook
def test_figures_have_captions_numbered_in_order(path):
    """1, 2, … in the open; D1, D2, … in closed sections."""
    every = all_cells(path)
    inline, apart = ([number for cell, below in zip(every, in_deeper(every)) if below is deep
                      for number in figure_numbers(cell.source)] for deep in (False, True))
    assert inline == [str(n) for n in range(1, len(inline) + 1)], "in the open: 1, 2, …"
    assert apart == [f"D{n}" for n in range(1, len(apart) + 1)], "in sections headed ### Deeper: …: D1, D2, …"
    shown = sum("show(" in cell.source and "def " not in cell.source for cell in cells(path))
    assert len(inline + apart) >= shown > 0


@each_notebook
def test_equations_are_numbered_in_order(path):
    numbers = [int(n) for n in re.findall(r"\\tag\{(\d+)\}", text_of(path))]
    assert numbers == list(range(1, len(numbers) + 1)), f"\\tag numbers of {path.stem}, from top to bottom"


# Exercises

@each_notebook
def test_exercises_have_check_and_solution(path):
    every = all_cells(path)
    starts = [i for i, cell in enumerate(every) if "exercise" in tags(cell)]
    assert len(starts) >= (1 if path.name.startswith("00") else 3)
    for i in starts:
        exercise, check, solution = every[i : i + 3]
        assert exercise.source.rstrip().endswith("raise NotImplementedError")
        assert all(ast.get_docstring(node) for node in parsed(exercise.source).body
                   if isinstance(node, ast.FunctionDef))
        assert "check" in tags(check)
        assert check.outputs[0].text.startswith("Not attempted yet")
        assert "solution" in tags(solution)
        assert solution.source.count("<details>") == 2
        assert "```python" in solution.source


# Measures without a limit

@each_notebook
def test_measures_are_found(path):
    """What `python tools/measure_lessons.py` prints for each lesson; nothing there is a limit."""
    found = measure(path)
    assert found.visible > found.taught >= 0
    assert found.main_words > 0
