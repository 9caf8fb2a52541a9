"""Every solution passes its check, and every check names the cause of the mistakes that readers make."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest
from course import NOTEBOOKS, cells, definitions

sys.path.insert(0, str(Path(__file__).parent))
MODULES = [importlib.import_module(path.stem) for path in sorted(Path(__file__).parent.glob("wrong_*.py"))]
WRONG = [(check, answer, words) for module in MODULES for check, cases in module.WRONG.items()
         for answer, words in cases]
CHECKS = [check for module in MODULES for check in module.WRONG]


def given_by(notebook):
    """The notebook's imports and definitions, exercises aside, ready for a solution to use."""
    namespace = {}
    for cell in cells(notebook):
        if "exercise" not in cell.metadata.get("tags", []):
            kept = [node for node in ast.parse(cell.source).body
                    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))]
            exec(compile(ast.Module(kept, type_ignores=[]), notebook.name, "exec"), namespace)
    return namespace


def exercises(notebook):
    """(check cell, solution) for each exercise of a notebook."""
    pairs = zip(cells(notebook, "code", "check"), cells(notebook, "markdown", "solution"))
    return [(check.source, re.search(r"```python\n(.*?)```", solution.source, re.DOTALL)[1])
            for check, solution in pairs]


SOLVED = [(notebook, *pair) for notebook in NOTEBOOKS for pair in exercises(notebook)]


@pytest.mark.parametrize(("notebook", "check", "solution"), SOLVED, ids=[f"{n.stem[:2]}-{c}" for n, c, _ in SOLVED])
def test_the_solution_passes(notebook, check, solution, capsys):
    namespace = given_by(notebook)
    exec(solution, namespace)
    exec(check, namespace)
    printed = capsys.readouterr().out
    assert printed.startswith("Correct."), printed


@pytest.mark.parametrize(("check", "answer", "words"), WRONG,
                         ids=[f"{check.__name__}-{i}" for i, (check, *_) in enumerate(WRONG)])
def test_a_wrong_answer_is_told_its_cause(check, answer, words, capsys):
    check(answer)
    printed = capsys.readouterr().out
    assert printed.startswith("Not yet:"), printed
    assert words in printed, printed


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_unattempted_exercise_says_so(check, capsys):
    def attempt(*_, **__):
        raise NotImplementedError

    check(attempt)
    assert capsys.readouterr().out.startswith("Not attempted yet")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nonsense_is_answered_not_raised(check, capsys):
    for nonsense in (lambda *_, **__: None, lambda *_, **__: "text", lambda: 0, lambda *_, **__: 1 / 0):
        check(nonsense)
        assert capsys.readouterr().out.startswith("Not yet:")


def test_every_check_in_a_notebook_is_tried_on_three_wrong_answers():
    tried = {check.__name__: len({words for _, words in cases})  # three causes, not one in three disguises
             for module in MODULES for check, cases in module.WRONG.items()}
    used = {name for notebook in NOTEBOOKS for cell in cells(notebook, "code", "check")
            for name in re.findall(r"check_\w+", cell.source)}
    assert used == set(tried)
    assert min(tried.values()) >= 3


def test_the_exercise_cell_and_its_solution_define_the_same_signature():
    for notebook in NOTEBOOKS:
        for exercise, (_, solution) in zip(cells(notebook, "code", "exercise"), exercises(notebook)):
            asked, solved = definitions(exercise.source), definitions(solution)
            for name, node in asked.items():
                assert ast.unparse(node.args) == ast.unparse(solved[name].args), name
