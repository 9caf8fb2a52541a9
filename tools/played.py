"""Executed copies of the notebooks in which every scrubber brings along a player that needs no kernel.

They lie in build/played/ and are made anew when a notebook's text, the package or its data has changed.
"""

import build_notebooks
import nbformat
from build_notebooks import ROOT

FOLDER = ROOT / "build" / "played"
PLAYER = {"DIFFUSION_LAB_PLAYER": "1"}


def played(twin):
    """The executed copy of a twin's notebook, as nbformat reads it."""
    target, digest = FOLDER / f"{twin.stem}.ipynb", build_notebooks.digest(twin)
    if target.exists():
        notebook = nbformat.read(target, as_version=4)
        if notebook.metadata.get("built_from") == digest:
            return notebook
    print(f"running {twin.stem} …", flush=True)
    notebook = build_notebooks.inputs(twin)
    build_notebooks.execute(notebook, **PLAYER)
    notebook.metadata["built_from"] = digest
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return notebook


def all_played():
    """{name: executed copy} of the whole course, in its order."""
    return {twin.stem: played(twin) for twin in build_notebooks.twins()}
