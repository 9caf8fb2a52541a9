"""Every solution passes its check, and every check names the cause of the mistakes that readers make."""

import ast
import importlib.util
import re
from functools import wraps

import numpy as np
import pytest
import torch
from build_notebooks import inputs, lessons, tags
from course import ROOT, definitions

NOTEBOOKS = {lesson.name: inputs(lesson).cells for lesson in lessons()}


def wrong_answers(name):
    """WRONG of a lesson's wrong.py: {check: [(answer, words that the check's message must contain)]}."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "lessons" / name / "wrong.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


LISTS = {name: wrong_answers(name) for name in NOTEBOOKS}
WRONG = [(name, check, answer, words) for name, wrong in LISTS.items() for check, cases in wrong.items()
         for answer, words in cases]
CHECKS = [check for wrong in LISTS.values() for check in wrong]


def exercises(name):
    """(exercise cell, call of the check, solution) for each exercise of a lesson."""
    cells = NOTEBOOKS[name]
    return [(cells[i].source, cells[i + 1].source, re.search(r"```python\n(.*?)```", cells[i + 2].source, re.DOTALL)[1])
            for i, cell in enumerate(cells) if "exercise" in tags(cell)]


def given_by(name):
    """The lesson's imports and definitions, exercises aside, ready for a solution to use."""
    namespace = {}
    for cell in NOTEBOOKS[name]:
        if cell.cell_type == "code" and "exercise" not in tags(cell):
            taught = any(tag.startswith("export:") for tag in tags(cell))  # constants, too: classes may need them
            kept = [node for node in ast.parse(cell.source).body
                    if taught or isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))]
            exec(compile(ast.Module(kept, type_ignores=[]), name, "exec"), namespace)
    return namespace


SOLVED = [(name, check, solution) for name in NOTEBOOKS for _, check, solution in exercises(name)]


@pytest.mark.parametrize(("name", "check", "solution"), SOLVED, ids=[f"{n}-{c}" for n, c, _ in SOLVED])
def test_the_solution_passes(name, check, solution, capsys):
    namespace = given_by(name)
    exec(solution, namespace)
    exec(check, namespace)
    printed = capsys.readouterr().out
    assert printed.startswith("Correct."), printed


FORMS = {"arrays": lambda tensor: tensor.detach().numpy(), "lists": lambda tensor: tensor.tolist(),
         "with gradients": lambda tensor: tensor.detach().clone().requires_grad_(tensor.is_floating_point())}


def in_form(value, form):
    """A result in another form, each part of a tuple for itself; a tuple becomes a list, numbers become numpy's."""
    if isinstance(value, tuple):
        return [in_form(part, form) for part in value]
    if isinstance(value, (int, float)):
        return np.asarray(value)[()]
    return form(value) if torch.is_tensor(value) else value


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "check", "solution"), SOLVED, ids=[f"{n}-{c}" for n, c, _ in SOLVED])
def test_so_it_does_in_another_form(name, check, solution, form, capsys):
    namespace = given_by(name)
    exec(solution, namespace)
    solved = re.search(r"check_\w+\((\w+)", check)[1]
    right = namespace[solved]
    namespace[solved] = wraps(right)(lambda *case: in_form(right(*case), FORMS[form]))
    exec(check, namespace)
    printed = capsys.readouterr().out
    assert printed.startswith("Correct."), printed


@pytest.mark.parametrize(("check", "answer", "words"), [case for _, *case in WRONG],
                         ids=[f"{name}-{check.__name__}-{i}" for i, (name, check, *_) in enumerate(WRONG)])
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


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_check_of_a_lesson_is_tried_on_three_wrong_answers(name):
    tried = {check.__name__: len({words for _, words in cases})  # three causes, not one in three disguises
             for check, cases in LISTS[name].items()}
    used = {called for _, check, _ in exercises(name) for called in re.findall(r"check_\w+(?=\()", check)}
    assert used == set(tried)
    assert min(tried.values()) >= 3


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_exercise_cell_and_its_solution_define_the_same_signature(name):
    for exercise, _, solution in exercises(name):
        asked, solved = definitions(exercise), definitions(solution)
        for function, node in asked.items():
            assert ast.unparse(node.args) == ast.unparse(solved[function].args), function
