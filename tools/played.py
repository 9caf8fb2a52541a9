"""Executed copies of the notebooks in which every scrubber brings along a player that needs no kernel.

They lie in build/played/ and are run anew where the notebooks would be: when a notebook's code, a module that it uses
or data beside such a module has changed. Their text is always that of the lesson as it is now.
"""

import build_notebooks
from build_notebooks import ROOT

FOLDER = ROOT / "build" / "played"


def played(lesson):
    """The executed copy of a lesson's notebook, as nbformat reads it."""
    notebook = build_notebooks.inputs(lesson)
    print(f"{lesson.name} …", flush=True)
    build_notebooks.run(notebook, FOLDER / f"{lesson.name}.ipynb", DIFFUSION_LAB_PLAYER="1")
    return notebook


def all_played():
    """{name: executed copy} of the whole course, in its order."""
    return {lesson.name: played(lesson) for lesson in build_notebooks.lessons()}
