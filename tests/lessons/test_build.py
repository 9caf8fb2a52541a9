"""Each notebook is what its lesson makes, run with the package as it is now; and how the build does it."""

import re

import build_notebooks
import nbformat
import pytest
from build_notebooks import CLOSED, lessons, notebook_of, source_of, tags
from course import NOTEBOOKS, ROOT

each_lesson = pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.name)


def test_lessons_notebooks_and_the_list_are_the_same():
    names = [lesson.name for lesson in lessons()]
    assert [path.stem for path in NOTEBOOKS] == names
    assert sorted(path.name for path in (ROOT / "lessons").iterdir()) == names


@each_lesson
def test_make_notebooks_has_nothing_to_do(lesson):
    assert build_notebooks.is_current(lesson), "a lesson, or something that it uses, changed: run `make notebooks`"


@each_lesson
def test_a_line_that_begins_a_cell_holds_no_text(lesson):
    """Text there would become part of the cell's title, and be seen nowhere."""
    begins = re.findall(r"^# %%.*$", source_of(lesson).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [line for line in begins if not re.fullmatch(r"# %%( \[markdown\])?( tags=\[[^]]+\])?", line)] == []


# How the build does it, shown with a course of one tiny lesson in a folder of its own

TINY = """\
# %% [markdown]
# # Tiny

# %%
from diffusion_lab.room.one import x

# %% tags=["export:diffusion_lab.room.one"]
x = 1

# %% tags=["export:diffusion_lab.room.one"]
y = 2

# %% tags=["figure"]
print("a picture")

# %% tags=["claim"]
assert x == 1

# %% [markdown]
# Words.
#
# ### Deeper: a proof
#
# Its words.
#
# ```
# # no heading
# ```

# %%
print(x + 1)

# %% [markdown]
# Its end.
#
# ## Next
#
# The story goes on.
"""
LIST = """\
[[part]]
digit = "0"
title = "One"
rows = {}

[[lesson]]
name = "00_tiny"
title = "Tiny"
label = ["Tiny", "small"]
leaves = "little"
needs = []
minutes = { main = 1, core = 1, all = 1 }
seconds = 1
weights = []

[[document]]
path = "a.md"
page = "a"
title = "A"
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The one lesson of the tiny course. Its package has a module that it uses, and one that it does not."""
    modules = {"room/one.py": "from diffusion_lab.other.two import z\nx = 1\n", "other/two.py": "z = 3\n",
               "other/three.py": "", "room/table.json": "[]", "far/table.json": "[]"}
    for name, text in modules.items():
        path = tmp_path / "diffusion_lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for room in ("", "room", "other"):
        (tmp_path / "diffusion_lab" / room / "__init__.py").write_text("")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "course.toml").write_text(LIST)
    monkeypatch.setattr(build_notebooks, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    [lesson] = lessons()
    source_of(lesson).parent.mkdir(parents=True)
    source_of(lesson).write_text(TINY)
    return lesson


def edit(lesson, old, new):
    text = source_of(lesson).read_text()
    assert old in text
    source_of(lesson).write_text(text.replace(old, new))


def built_cells(lesson):
    return nbformat.read(notebook_of(lesson), as_version=4).cells


def test_building_again_changes_no_byte_and_ids_survive_an_edit(course):
    assert build_notebooks.build(course)
    first = notebook_of(course).read_bytes()
    assert build_notebooks.is_current(course)
    assert build_notebooks.build(course, again=True)
    assert notebook_of(course).read_bytes() == first

    ids = {cell.source: cell.id for cell in built_cells(course)}
    edit(course, "# %%\nprint(x", "# %%\nprint(0)\n\n# %%\nprint(x")
    assert not build_notebooks.is_current(course)
    assert build_notebooks.build(course)
    after = {cell.source: cell.id for cell in built_cells(course)}
    assert {source: after[source] for source in ids} == ids
    assert len(set(after.values())) == len(after) == len(ids) + 1


def test_new_words_are_taken_over_without_running(course):
    build_notebooks.build(course)
    before = [cell.outputs for cell in built_cells(course) if cell.cell_type == "code"]
    edit(course, "# Words.", "# Better words.")
    assert not build_notebooks.is_current(course)
    assert build_notebooks.build(course) is False
    assert build_notebooks.is_current(course)
    assert "Better words." in [cell.source for cell in built_cells(course)]
    assert [cell.outputs for cell in built_cells(course) if cell.cell_type == "code"] == before


@pytest.mark.parametrize(("name", "uses"), [
    ("room/one.py", True), ("other/two.py", True), ("room/table.json", True),  # itself, what it imports, its data
    ("other/three.py", False), ("far/table.json", False),
])
def test_a_notebook_is_out_of_date_if_something_that_it_uses_changed(course, tmp_path, name, uses):
    build_notebooks.build(course)
    (tmp_path / "diffusion_lab" / name).write_bytes((tmp_path / "diffusion_lab" / name).read_bytes() + b"\n")
    assert build_notebooks.is_current(course) is not uses


def test_of_results_and_weights_those_that_are_named_count(course, tmp_path):
    package = tmp_path / "diffusion_lab"
    for name in ("results/files.py", "results/asked.json", "results/other.json", "weights/pretrained.py",
                 "weights/asked/facts.json", "weights/other/facts.json"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("")
    code = 'import diffusion_lab.results.files\nimport diffusion_lab.weights.pretrained\nread("asked")'
    used = [path.relative_to(package).as_posix() for path in build_notebooks.used(code)]
    assert used == ["results/asked.json", "results/files.py", "weights/asked/facts.json", "weights/pretrained.py"]


def test_a_lesson_that_fails_is_named_and_keeps_no_other_back(course, tmp_path, capsys):
    """Of two lessons, the first raises: the second is built, and the answer to the shell says which was not."""
    (tmp_path / "course.toml").write_text(LIST + LIST[LIST.index("[[lesson]]"):LIST.index("[[document]]")]
                                          .replace("00_tiny", "01_other"))
    first, second = lessons()
    source_of(second).parent.mkdir()
    source_of(second).write_text(TINY)
    edit(first, "print(x + 1)", "raise ValueError('a fault of the lesson')")
    assert "These lessons failed: 00_tiny" in build_notebooks.main([])
    assert "a fault of the lesson" in capsys.readouterr().out
    assert notebook_of(second).exists()
    assert not notebook_of(first).exists()


def test_imports_are_found_in_every_form(course):
    for code in ("import diffusion_lab.room.one as o", "from diffusion_lab.room import one",
                 "from diffusion_lab.room.one import (\n    x,\n)", "def f():\n    import diffusion_lab.room.one"):
        used = [path.name for path in build_notebooks.used(code)]
        assert used == ["two.py", "one.py", "table.json"], code
    assert build_notebooks.used("x = 'diffusion_lab.room.one'") == []


def test_tags_do_what_they_say(course):
    build_notebooks.build(course)
    cells = built_cells(course)
    folded = {cell.source: cell.metadata.jupyter for cell in cells if "jupyter" in cell.metadata}
    assert folded == {
        build_notebooks.FOR_COLAB: {"source_hidden": True},
        '# draws the picture below\nprint("a picture")': {"source_hidden": True},
        "# checks what the text says\nassert x == 1": {"source_hidden": True, "outputs_hidden": True},
    }
    [place] = [i for i, cell in enumerate(cells) if "generated" in tags(cell)]
    assert cells[place - 1].source == "y = 2"  # one line under both cells of the module
    assert cells[place].source == "*This is [`diffusion_lab.room.one`](../diffusion_lab/room/one.py).*"

    edit(course, '# %% tags=["figure"]', "# %%")
    build_notebooks.build(course)
    assert "jupyter" not in next(cell for cell in built_cells(course) if "picture" in cell.source).metadata


def test_a_deeper_section_is_closed_and_ends_at_the_next_heading(course):
    notebook = build_notebooks.inputs(course)
    sections = [(cell.source, deep, cell.metadata.get(CLOSED)) for cell, deep
                in zip(notebook.cells, build_notebooks.in_deeper(notebook.cells))][-6:]
    assert sections == [
        ("Words.", False, None),
        ("### Deeper: a proof", True, True),
        ("Its words.\n\n```\n# no heading\n```", True, None),
        ("print(x + 1)", True, None),
        ("Its end.", True, None),
        ("## Next\n\nThe story goes on.", False, None),
    ]
