"""The live pictures of a notebook, as they are after all its cells have run."""

import contextlib
import io

import jupytext

from diffusion_lab.view.live import Live


def lives_of(twin):
    """Run all code of a text twin; gives [(caption, controls by name, live picture)], in order."""
    made, plain = [], Live.__init__

    def noting(self, draw, caption, alt, **controls):
        plain(self, draw, caption, alt, **controls)
        made.append((caption, controls, self))

    Live.__init__ = noting
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            namespace = {"__name__": "__main__"}
            for cell in jupytext.read(twin, fmt="py:percent").cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, twin.name, "exec"), namespace)
    finally:
        Live.__init__ = plain
    return made


def ends_of(control):
    """The values of a control that are furthest apart."""
    if hasattr(control, "options"):
        return control.options[0], control.options[-1]
    return control.min, control.max


def has_live(twin):
    return "\nLive(" in twin.read_text(encoding="utf-8")
