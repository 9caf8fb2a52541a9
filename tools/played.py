"""Executed copies of the notebooks in which every scrubber brings along a player that needs no kernel.

They lie in build/played/ and are run anew when a notebook's code, a module that it uses or the package's data has
changed. Text and slides are always those of the twin as it is now.
"""

import re

import build_notebooks
import nbformat
from build_notebooks import ROOT

FOLDER = ROOT / "build" / "played"
PLAYER = {"DIFFUSION_LAB_PLAYER": "1"}


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def used(code):
    """The package's files that some code depends on: the modules that it imports, those that they import, all data."""
    files = build_notebooks.package()
    modules = {path for path in files if path.suffix == ".py"}
    found, texts = set(), [code]
    while texts:
        text = texts.pop()
        for path in modules - found:
            *room, name = path.relative_to(ROOT).with_suffix("").parts
            if re.search(rf"{'.'.join(room)}(\.| import \(?[\w\s,]*\b){name}\b", text):
                found.add(path)
                texts.append(path.read_text(encoding="utf-8"))
    return [path for path in files if path in found or path not in modules]


def played(twin):
    """The executed copy of a twin's notebook, as nbformat reads it."""
    target, notebook = FOLDER / f"{twin.stem}.ipynb", build_notebooks.inputs(twin)
    code = "\0".join(cell.source for cell in code_cells(notebook))
    digest = build_notebooks.digest_of(used(code), code)
    if target.exists():
        before = nbformat.read(target, as_version=4)
        if before.metadata.get("built_from") == digest:
            for cell, run in zip(code_cells(notebook), code_cells(before)):
                cell.outputs, cell.execution_count = run.outputs, run.execution_count
            return notebook
    print(f"running {twin.stem} …", flush=True)
    build_notebooks.execute(notebook, **PLAYER)
    notebook.metadata["built_from"] = digest
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return notebook


def all_played():
    """{name: executed copy} of the whole course, in its order."""
    return {twin.stem: played(twin) for twin in build_notebooks.twins()}
