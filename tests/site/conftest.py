"""The site, built from the notebooks that are there, with a player in the first; and a small one, of a tiny lesson.

Without Node.js, formulas stay as they were typed.
"""

from html import escape

import alive
import build_site
import bundled
import nbformat
import numpy as np
import pytest
import tiny
from course import NOTEBOOKS

from diffusion_lab.view.scrubber import Scrubber


@pytest.fixture(scope="module")
def without_katex():
    """Why KaTeX cannot be used here, with what to do; None if it can."""
    try:
        bundled.installed()
    except SystemExit as reason:
        return str(reason)


@pytest.fixture(scope="module")
def site(without_katex, tmp_path_factory):
    """The folder of the site."""
    notebooks = {path.stem: nbformat.read(path, as_version=4) for path in NOTEBOOKS}
    frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
    player = Scrubber(frames, [f"t = {i}" for i in range(31)], "Grey grows lighter.", "A grey square.")
    shown = next(output for cell in notebooks["00_start_here"].cells for output in cell.get("outputs", [])
                 if output.get("data", {}).get("text/plain", "").startswith("Scrubber("))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DIFFUSION_LAB_PLAYER", "1")
        shown.data["text/html"] = player._repr_mimebundle_()[0]["text/html"]
    return built(tmp_path_factory.mktemp("built") / "site", notebooks, without_katex)


@pytest.fixture(scope="module")
def small_site(without_katex, tmp_path_factory):
    """The folder of a site of one lesson, which has all that is folded or hidden."""
    return built(tmp_path_factory.mktemp("small") / "site", {tiny.NAME: tiny.notebook()}, without_katex)


@pytest.fixture(scope="module")
def site_of(without_katex, tmp_path_factory):
    """What builds a site of {name: notebook}, and gives its folder."""
    return lambda notebooks: built(tmp_path_factory.mktemp("made") / "site", notebooks, without_katex)


def built(target, notebooks, without_katex):
    if without_katex:
        build_site.build(target, notebooks, typeset=lambda formulas: [f"<i>{escape(tex)}</i>" for tex, _ in formulas])
    else:
        build_site.build(target, notebooks)
        bundled.copy_katex(target)
        bundled.copy_fonts(target)
        alive.write(target)
    return target
