"""The course's decks for the tests: made of the lessons' slides and notebooks, with players of our making."""

import re

import build_notebooks
import build_slides
import nbformat
import numpy as np
import pytest

from diffusion_lab.view.scrubber import Scrubber

LAST = 30
LESSONS = {lesson.name: lesson for lesson in build_notebooks.lessons() if build_slides.slides_file(lesson).exists()}


def source(name):
    return build_slides.slides_file(LESSONS[name]).read_text(encoding="utf-8")


def notebook(name):
    """The executed notebook of a lesson."""
    return nbformat.read(build_notebooks.notebook_of(LESSONS[name]), as_version=4)


def player(height, width):
    """The HTML that a scrubber brings along where pages are made; its frames have this size."""
    return bundle(height, width)[0]["text/html"]


def bundle(height, width):
    """What a scrubber shows where pages are made, and its metadata."""
    frames = [np.full((height, width), 8 * i, dtype=np.uint8) for i in range(LAST + 1)]
    scrubber = Scrubber(frames, [f"t = {i} · a long label" for i in range(LAST + 1)], "Grey.", "A grey picture.")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DIFFUSION_LAB_PLAYER", "1")
        return scrubber._repr_mimebundle_()


def with_players(name, height, width):
    """The executed notebook of a lesson whose scrubbers are players of frames of this size."""
    made = notebook(name)
    for cell in made.cells:
        if cell.cell_type == "code" and re.search(r"^Scrubber\(", cell.source, flags=re.MULTILINE):
            data, metadata = bundle(height, width)
            cell.outputs = [nbformat.v4.new_output("display_data", data, metadata=metadata)]
    return made
