"""The course's decks for the tests: made of the twins' slides and the committed outputs, with players of our making."""

import re

import build_notebooks
import nbformat
import numpy as np
import pytest

from diffusion_lab.view.scrubber import Scrubber

LAST = 30


def with_outputs(twin):
    """The notebook that a twin makes, with the outputs of the committed one."""
    notebook = build_notebooks.inputs(twin)
    committed = nbformat.read(build_notebooks.notebook_of(twin), as_version=4)
    known = {cell.source: cell.outputs for cell in committed.cells if cell.cell_type == "code"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = known.get(cell.source, [])
    return notebook


NOTEBOOKS = {twin.stem: with_outputs(twin) for twin in build_notebooks.twins()}


def player(height, width):
    """The HTML that a scrubber brings along where pages are made; its frames have this size."""
    frames = [np.full((height, width), 8 * i, dtype=np.uint8) for i in range(LAST + 1)]
    scrubber = Scrubber(frames, [f"t = {i} · a long label" for i in range(LAST + 1)], "Grey.", "A grey picture.")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DIFFUSION_LAB_PLAYER", "1")
        return scrubber._repr_mimebundle_()[0]["text/html"]


def with_players(notebook, height, width):
    """A copy of an executed notebook whose scrubbers are players of frames of this size."""
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and re.search(r"^Scrubber\(", cell.source, flags=re.MULTILINE):
            cell.outputs = [nbformat.v4.new_output("display_data", {"text/html": player(height, width)})]
    return notebook
