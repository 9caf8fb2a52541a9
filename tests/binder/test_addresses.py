"""Badges and the cell for Colab: one address, one release, the right notebook, and nothing done elsewhere."""

import re
import sys
import tomllib
from types import ModuleType

import addresses
import build_notebooks
import nbformat
import pytest
from course import NOTEBOOKS, ROOT

from diffusion_lab import __version__

LESSONS = build_notebooks.lessons()
README = (ROOT / "README.md").read_text(encoding="utf-8")


def colab_cells(notebook):
    return [cell for cell in notebook.cells if "colab" in cell.metadata.get("tags", [])]


def test_address_and_release_come_from_their_one_place():
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    assert f"git+{repository}@v{__version__}" == addresses.INSTALL
    owner_and_name = "/".join(repository.split("/")[3:])
    assert addresses.binder("x") == (
        f"https://mybinder.org/v2/gh/{owner_and_name}/v{__version__}?urlpath=lab/tree/notebooks/x.ipynb")
    assert addresses.colab("x") == (
        f"https://colab.research.google.com/github/{owner_and_name}/blob/v{__version__}/notebooks/x.ipynb")
    assert addresses.source("a/b.md") == f"{repository}/blob/v{__version__}/a/b.md"


def test_the_readme_has_both_badges_and_clones_from_the_same_address():
    for badge in addresses.badges(NOTEBOOKS[0].stem):
        assert badge in README
    assert set(re.findall(r"git clone (\S+)", README)) == {addresses.REPOSITORY}


def test_no_tool_spells_the_address_out():
    repository = addresses.OWNER_AND_NAME
    spelt = [path.name for folder in ("tools", "tests", "lessons", "diffusion_lab")
             for path in (ROOT / folder).rglob("*.py") if repository in path.read_text(encoding="utf-8")]
    assert spelt == []


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_notebook_opens_itself(lesson):
    first = build_notebooks.inputs(lesson).cells[0]
    badges, _, title = first.source.partition("\n\n")
    assert badges.startswith(" · ".join(addresses.badges(lesson.name)))
    assert title.startswith("# ")
    assert build_notebooks.without_navigation(first.source) == title


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_cell_for_colab_is_the_first_code(lesson):
    notebook = build_notebooks.inputs(lesson)
    assert colab_cells(notebook) == [next(cell for cell in notebook.cells if cell.cell_type == "code")]
    nbformat.validate(notebook)


class Shell:
    def __init__(self):
        self.asked = []

    def run_line_magic(self, name, line):
        self.asked.append((name, line))


def test_the_cell_does_nothing_elsewhere_and_installs_the_release_in_colab(monkeypatch):
    shell = Shell()
    exec(build_notebooks.FOR_COLAB, {"get_ipython": lambda: shell})
    assert shell.asked == []
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    exec(build_notebooks.FOR_COLAB, {"get_ipython": lambda: shell})
    assert shell.asked == [("pip", f"install --quiet {addresses.INSTALL}")]
