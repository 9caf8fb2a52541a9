"""Each notebook is what its text twin makes, built with the package as it is now."""

import re

import build_notebooks
import nbformat
import pytest
from course import NOTEBOOKS

TWINS = build_notebooks.twins()


def test_each_twin_has_a_notebook_and_each_notebook_a_twin():
    assert [twin.stem for twin in TWINS] == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.stem)
def test_notebook_equals_its_twin(twin):
    def parts(cells):
        return [(cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", []), cell.metadata.get("slides", []))
                for cell in cells]

    built = nbformat.read(build_notebooks.notebook_of(twin), as_version=4)
    assert parts(built.cells) == parts(build_notebooks.inputs(twin).cells)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.stem)
def test_make_notebooks_has_nothing_to_do(twin):
    assert build_notebooks.is_current(twin), "the twin, the package or the data changed: run `make notebooks`"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one tiny notebook, in a folder of its own."""
    (tmp_path / "notebooks" / "text").mkdir(parents=True)
    (tmp_path / "diffusion_lab").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/a/b"\n')
    monkeypatch.setattr(build_notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(build_notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    twin = tmp_path / "notebooks" / "text" / "00_tiny.py"
    twin.write_text("# %% [markdown]\n# # Tiny\n\n# %%\nprint(1 + 1)\n\n# %% tags=[\"check\"]\nprint(3)\n")
    return twin


def test_building_again_changes_no_byte_and_ids_survive_an_edit(course):
    build_notebooks.build(course)
    target = build_notebooks.notebook_of(course)
    first = target.read_bytes()
    assert build_notebooks.is_current(course)
    build_notebooks.build(course)
    assert target.read_bytes() == first

    ids = {cell.source: cell.id for cell in nbformat.reads(first.decode(), as_version=4).cells}
    course.write_text(course.read_text().replace("# %%\nprint(1", "# %%\nprint(0)\n\n# %%\nprint(1"))
    assert not build_notebooks.is_current(course)
    build_notebooks.build(course)
    after = {cell.source: cell.id for cell in nbformat.read(target, as_version=4).cells}
    assert {source: after[source] for source in ids} == ids
    assert len(set(after.values())) == len(after) == len(ids) + 1


def test_slides_go_into_the_metadata_of_the_cell_before_and_can_be_taken_away(course):
    without = course.read_text()
    slides = ["## One\n\n- a point\n\n{picture}", "## Two"]
    written = "".join(f"# %% slide [markdown]\n{''.join(f'# {line}'.rstrip() + chr(10) for line in s.splitlines())}\n"
                      for s in slides)
    course.write_text(without.replace("# %%\nprint(1", f"{written}# %%\nprint(1"))
    build_notebooks.build(course)
    cells = nbformat.read(build_notebooks.notebook_of(course), as_version=4).cells
    assert [cell.metadata.get("slides") for cell in cells] == [slides, None, None, None]
    assert "## One" not in "".join(cell.source for cell in cells)
    course.write_text(without)
    build_notebooks.build(course)
    cells = nbformat.read(build_notebooks.notebook_of(course), as_version=4).cells
    assert not any("slides" in cell.metadata for cell in cells)


def test_a_change_of_package_or_data_makes_a_notebook_stale(course, tmp_path):
    build_notebooks.build(course)
    (tmp_path / "diffusion_lab" / "new.py").write_text("x = 1\n")
    assert not build_notebooks.is_current(course)
    build_notebooks.build(course)
    (tmp_path / "diffusion_lab" / "new.npz").write_bytes(b"1")
    assert not build_notebooks.is_current(course)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.stem)
def test_a_line_that_begins_a_cell_holds_no_text(twin):
    """Text there would become part of the cell's title, and be seen nowhere."""
    begins = re.findall(r"^# %%.*$", twin.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [line for line in begins if not re.fullmatch(r"# %%( slide)?( \[markdown\])?( tags=\[[^]]+\])?", line)] == []
