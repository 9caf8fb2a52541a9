"""A notebook is opened where no kernel knows its pictures: players play, live pictures show their still."""

import os

import build_notebooks
import nbformat
import pytest
import working_copy
from browser import (
    CHROMIUM,
    HOW_TO_INSTALL,
    browser,
    choose_theme,
    menu,
    new_page,
    open_and_run,
    open_notebook,
)
from course import NOTEBOOKS
from nbformat.sign import NotebookNotary

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)

MAKE = """import ipywidgets
import numpy as np
from diffusion_lab.view.live import Live
from diffusion_lab.view.scrubber import Scrubber
def draw(shade):
    return np.full((40, 60), 8 * shade, dtype=np.uint8)"""
SCRUBBER = """frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
Scrubber(frames, [f"t = {i}" for i in range(31)], "Grey grows lighter.", "A grey square.")"""
LIVE = 'Live(draw, "Shades.", "A square of one shade.", shade=ipywidgets.IntSlider(max=30))'


@pytest.fixture
def page():
    with browser() as chromium:
        yield new_page(chromium, viewport={"width": 1280, "height": 900})


def small():
    """A notebook as the course's are: executed when it is built."""
    cells = [nbformat.v4.new_code_cell(source) for source in (MAKE, SCRUBBER, LIVE)]
    return nbformat.v4.new_notebook(cells=cells, metadata=build_notebooks.METADATA)


def trust(notebook, folder):
    """As `make lab` does with the copies that it hands out."""
    NotebookNotary(data_dir=os.fspath(folder / ".data")).sign(notebook)


def plays(page, last="t = 30"):
    page.locator(".scrubber-slider").first.press("End")
    assert page.locator(".scrubber-label span").first.inner_text() == last
    page.locator(".scrubber [aria-label='One step back']").first.click()
    assert page.locator(".scrubber-label span").first.inner_text() != last


def no_widget_is_dead(page):
    assert page.get_by_text("Error displaying widget").count() == 0
    assert page.get_by_text("Loading widget").count() == 0


def test_run_saved_and_opened_another_day(page, folder, lab):
    nbformat.write(small(), folder / "day.ipynb")
    open_and_run(page, lab, "day.ipynb", ".live-picture")
    plays(page)
    assert page.locator(".jp-RenderedImage img").first.is_hidden(), "the still makes room for the player"
    menu(page, "File", "Save Notebook")
    page.wait_for_function("document.querySelector('.jp-mod-dirty') === null")
    menu(page, "Kernel", "Shut Down Kernel")
    page.get_by_text("No Kernel").first.wait_for()
    plays(page)

    page.goto("about:blank")
    open_notebook(page, lab, "day.ipynb")  # with a new kernel
    page.locator(".scrubber-slider").wait_for()
    plays(page)
    no_widget_is_dead(page)
    assert page.locator(".live-picture").count() == 0
    assert [image.is_visible() for image in page.locator(".jp-RenderedImage img").all()] == [False, True]
    assert "widget-view" not in (folder / "day.ipynb").read_text()


@pytest.mark.parametrize("trusted", [True, False])
def test_opened_for_the_first_time_before_a_cell_has_run(page, folder, lab, trusted):
    notebook, name = small(), f"first_{trusted}.ipynb"
    build_notebooks.execute(notebook)
    nbformat.write(notebook, folder / name)
    if trusted:
        trust(notebook, folder)
    open_notebook(page, lab, name)
    page.locator(".jp-RenderedImage img").last.wait_for()
    no_widget_is_dead(page)
    if trusted:
        page.locator(".scrubber-slider").wait_for()
        plays(page)
    assert [image.is_visible() for image in page.locator(".jp-RenderedImage img").all()] == [not trusted, True]
    assert page.locator(".scrubber-slider").count() == trusted


def test_in_the_dark_a_live_picture_that_was_never_run_has_its_quiet_frame(page, folder, lab):
    """Pictures are made on white; where no player brings the style of their frame, a live picture must."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(MAKE), nbformat.v4.new_code_cell(LIVE)],
                                        metadata=build_notebooks.METADATA)
    build_notebooks.execute(notebook)
    nbformat.write(notebook, folder / "dark.ipynb")
    trust(notebook, folder)
    open_notebook(page, lab, "dark.ipynb")
    picture = page.locator(".jp-RenderedImage img")
    width = "node => getComputedStyle(node).borderTopWidth"
    assert picture.evaluate(width) == "0px", "in the light it needs none"
    choose_theme(page, "Dark")
    assert picture.evaluate(width) == "6px"
    no_widget_is_dead(page)


@pytest.mark.slow
def test_a_readers_copy_is_not_marked_unsaved_on_opening_and_nothing_lies_over_it(page, folder, lab):
    working_copy.editions(NOTEBOOKS[0].parent, folder)
    name = NOTEBOOKS[1].name
    trust(nbformat.read(folder / name, as_version=4), folder)
    open_notebook(page, lab, name)
    page.wait_for_timeout(3000)
    assert page.locator(".jp-mod-dirty").count() == 0
    assert page.locator(".Toastify__toast, .jp-Dialog").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_as_it_is_committed(page, folder, lab, path):
    """All its players play, and all its live pictures show their still, on the day on which nothing has been run."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop(build_notebooks.CLOSED, None)  # closed sections are opened, so that all is in sight
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [data.get("text/plain", "") for data in shown if "image/png" in data]
    players = sum(text.startswith("Scrubber(") for text in pictures)
    settings = folder / ".settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text('{"windowingMode": "none"}')  # all cells are on the page, also those out of sight
    nbformat.write(notebook, folder / path.name)
    trust(notebook, folder)
    open_notebook(page, lab, path.name)
    page.wait_for_function("([selector, least]) => document.querySelectorAll(selector).length >= least",
                           arg=[".scrubber-slider", players])
    for place in range(players):
        player = page.locator(".scrubber").nth(place)
        seen = set()
        for key in ("Home", "End"):
            player.locator(".scrubber-slider").press(key)
            seen.add(player.locator(".scrubber-picture").get_attribute("src"))
        assert len(seen) == 2, player.get_attribute("aria-label")
    images = page.locator(".jp-RenderedImage img").all()
    assert sum(image.is_visible() for image in images) == len(pictures) - players, "a player's still makes room"
    assert page.locator(".live-picture").count() == 0
    no_widget_is_dead(page)
