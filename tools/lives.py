"""The live pictures of the lessons, tried where all cells have run: later cells may have used their names again.

As a plugin of pytest (-p tools.lives) it tries them in the run that nbval makes of a notebook: behind the last cell
comes one more, which is in no notebook.
"""

import contextlib
import gc
import io
import re
from collections import defaultdict
from pathlib import Path

import jupytext
import nbformat

from diffusion_lab.view.live import Live

TRY = f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\nimport lives\nlives.try_all()"


def alive():
    """The live pictures of this process."""
    return [thing for thing in gc.get_objects() if issubclass(type(thing), Live)]  # anywidget makes a class for each


def has_live(code):
    return re.search(r"\bLive\(", code) is not None


def lives_of(source):
    """Run all code of a lesson's source (a path); gives its live pictures."""
    before, namespace = {id(live) for live in alive()}, {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in jupytext.read(source, fmt="py:percent").cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, source.name, "exec"), namespace)
    return [live for live in alive() if id(live) not in before]


def ends_of(control):
    """The values of a control that are furthest apart."""
    if isinstance(control.value, bool):
        return False, True
    if hasattr(control, "options"):
        return control.options[0], control.options[-1]
    return control.min, control.max


def try_all():
    """Move each control of each live picture through its ends and back: AssertionError where the picture fails."""
    found = alive()
    assert found, "there should be live pictures here, but none was found"
    for live in found:
        try_one(live)


def try_one(live):
    """Each end of a control gives a picture of its own, of one size; back where it was, the picture is as before."""
    first = live._array
    for name, control in live._controls.items():
        if isinstance(control.value, str) and not hasattr(control, "options"):
            continue  # nobody knows what may be typed
        before, seen = control.value, []
        for value in ends_of(control):
            control.value = value
            assert live._array.shape == first.shape, (live._caption, name, value)
            seen.append(live._array)
        assert (seen[0] != seen[1]).any(), f"{name} changes nothing: {live._caption}"
        control.value = before
        assert (live._array == first).all(), f"{name} moved there and back: {live._caption}"


def pytest_collection_modifyitems(items):
    """Add the cell behind the last one of each notebook that has a live picture."""
    last = {item.parent: item for item in items if hasattr(item, "cell")}
    for notebook, item in last.items():
        if any(has_live(cell.source) for cell in notebook.nb.cells if cell.cell_type == "code"):
            more = type(item).from_parent(notebook, name="Live pictures", cell_num=item.cell_num + 1,
                                          cell=nbformat.v4.new_code_cell(TRY), options=defaultdict(bool))
            items.insert(items.index(item) + 1, more)
