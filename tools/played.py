"""Executed copies of the notebooks in which scrubbers and live pictures bring along what they need without a kernel.

They lie in build/played/ and are run anew where the notebooks would be: when a notebook's code, a module that it uses
or data beside such a module has changed. Their text is always that of the lesson as it is now.
"""

import build_notebooks
import framed
import nbformat
from build_notebooks import ROOT
from lives import has_live

FOLDER = ROOT / "build" / "played"


def played(lesson):
    """The executed copy of a lesson's notebook, as nbformat reads it."""
    notebook = build_notebooks.inputs(lesson)
    moves = any(has_live(cell.source) for cell in build_notebooks.code_cells(notebook))
    if moves:
        notebook.cells.append(nbformat.v4.new_code_cell(framed.CELL, id="frames"))
    print(f"{lesson.name} …", flush=True)
    build_notebooks.run(notebook, FOLDER / f"{lesson.name}.ipynb", DIFFUSION_LAB_PLAYER="1")
    if moves:
        framed.hand_over(notebook)
    return notebook


def all_played():
    """{name: executed copy} of the whole course, in its order."""
    return {lesson.name: played(lesson) for lesson in build_notebooks.lessons()}
