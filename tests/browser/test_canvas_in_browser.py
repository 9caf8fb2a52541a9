"""The pad in a real JupyterLab: mouse, finger and keys draw, and the picture follows; what comes last is drawn."""

import pytest
from browser import (
    CHROMIUM,
    HOW_TO_INSTALL,
    choose_theme,
    menu,
    new_page,
    open_and_run,
    write_notebook,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)

# The grey level of the picture says how many strokes the drawing has.
MAKE = """import time
from pathlib import Path
import numpy as np
from diffusion_lab.view.canvas import Canvas, as_digit
from diffusion_lab.view.live import Live
def draw(strokes):
    with Path("drawn").open("a") as notes:
        print(len(strokes), sum(map(len, strokes)), file=notes)
    while Path("wait").exists():
        time.sleep(0.05)
    return np.full((40, 60), 8 * len(strokes), dtype=np.uint8)
pad = Canvas("my digit", {"a stroke": [[[0.2, 0.5], [0.8, 0.5]]], "two": [[[0.2, 0.4], [0.8, 0.4]], [[0.5, 0.1]]]})
Live(draw, "Strokes.", "A grey square.", strokes=pad)"""
SAY = "print(len(pad.value), round(float(as_digit(pad.value).mean()), 4))"
PAINTED = """() => {
  const pad = document.querySelector(".canvas-pad"), ink = pad.getContext("2d");
  const values = [...ink.getImageData(0, 0, pad.width, pad.height).data];
  return values.filter((value, i) => i % 4 === 3 && value > 128).length;
}"""
SHADE = """() => {
  const picture = document.querySelector(".live-picture"), canvas = document.createElement("canvas");
  const ink = canvas.getContext("2d");
  ink.drawImage(picture, 0, 0, 1, 1);
  return ink.getImageData(0, 0, 1, 1).data[0] / 8;
}"""


@pytest.fixture(scope="module")
def page(chromium, folder, lab):
    write_notebook(folder / "pad.ipynb", MAKE, SAY)
    page = new_page(chromium, viewport={"width": 1280, "height": 900}, has_touch=True)
    open_and_run(page, lab, "pad.ipynb", ".canvas-pad")
    yield page
    page.close()


def strokes_are(page, n):
    page.wait_for_function(f"Math.round(({SHADE})()) === {n}")


def drag(page, *points):
    """A stroke with the mouse through points given as shares of the pad."""
    box = page.locator(".canvas-pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places[1:]:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def swipe(page, *points):
    """A stroke with a finger."""
    session, box = page.context.new_cdp_session(page), page.locator(".canvas-pad").bounding_box()
    for kind, (x, y) in zip(["touchStart"] + ["touchMove"] * len(points), points):
        place = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_the_mouse_draws_and_a_first_stroke_replaces_the_example(page):
    strokes_are(page, 1)
    before = page.evaluate(PAINTED)
    drag(page, (0.3, 0.2), (0.7, 0.2), (0.4, 0.8))
    strokes_are(page, 1)
    assert page.evaluate(PAINTED) > 1.3 * before
    drag(page, (0.2, 0.5), (0.8, 0.5))
    strokes_are(page, 2)
    page.get_by_role("button", name="Undo").click()
    strokes_are(page, 1)
    page.get_by_role("button", name="Clear").click()
    strokes_are(page, 0)
    assert page.evaluate(PAINTED) == 0


def test_python_has_what_was_drawn(page):
    page.get_by_role("button", name="Clear").click()
    drag(page, (0.3, 0.2), (0.7, 0.2), (0.4, 0.8))
    strokes_are(page, 1)
    page.locator(".jp-CodeCell").nth(1).locator(".cm-content").press("Control+Enter")
    printed = page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
    page.wait_for_function("document.querySelectorAll('.jp-CodeCell')[1].innerText.includes('1 -0.')")
    strokes, mean = printed.inner_text().split()
    assert strokes == "1"
    assert -0.95 < float(mean) < -0.7, "ink of a seven"


def test_a_finger_draws_and_does_not_scroll(page):
    page.get_by_role("button", name="Clear").click()
    strokes_are(page, 0)
    scrolled = "document.querySelector('.jp-WindowedPanel-outer').scrollTop"
    before = page.evaluate(scrolled)
    swipe(page, *[(0.5, 0.8 - 0.1 * step) for step in range(7)])
    strokes_are(page, 1)
    assert page.evaluate(PAINTED) > 2000
    assert page.evaluate(scrolled) == before


def test_buttons_work_by_key_and_all_parts_have_names(page):
    for role, name in [("group", "my digit"), ("img", "The pad to draw on: my digit"), ("button", "Clear"),
                       ("button", "Undo"), ("button", "a stroke"), ("button", "two")]:
        assert page.get_by_role(role, name=name, exact=True).count() == 1, (role, name)
    button = page.get_by_role("button", name="two", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    strokes_are(page, 2)
    assert button.evaluate("node => getComputedStyle(node).outlineWidth") == "3px"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    strokes_are(page, 1)
    assert page.locator(".jp-Notebook.jp-mod-editMode").count() == 0


def test_while_the_kernel_computes_only_the_last_drawing_waits(page, folder):
    page.get_by_role("button", name="Clear").click()
    strokes_are(page, 0)
    (folder / "drawn").unlink()
    (folder / "wait").touch()
    drag(page, (0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.3))
    drag(page, (0.4, 0.5), (0.6, 0.5))
    (folder / "wait").unlink()
    strokes_are(page, 2)
    drawn = [line.split() for line in (folder / "drawn").read_text().splitlines()]
    assert len(drawn) <= 3, "the first, at most one on the way, and the last"
    assert drawn[-1][0] == "2"
    assert int(drawn[-1][1]) > 30, "with all its points"


def test_its_words_have_the_colour_of_the_theme_and_the_pad_stays_black(page):
    colours = set()
    for theme in ("Dark", "Light"):
        choose_theme(page, theme)
        for part in ("p >> nth=0", "button >> nth=0"):
            own, of_theme = page.locator(f".canvas >> {part}").evaluate("""(node) => {
                const probe = document.body.appendChild(document.createElement("i"));
                probe.style.color = "var(--jp-ui-font-color1)";
                const colours = [node, probe].map((node) => getComputedStyle(node).color);
                probe.remove();
                return colours;
            }""")
            assert own == of_theme, (theme, part)
            colours.add(own)
        pad = page.locator(".canvas-pad").evaluate("node => getComputedStyle(node).backgroundColor")
        assert pad == "rgb(0, 0, 0)"
    assert len(colours) == 2


def test_a_saved_notebook_has_a_still(page, folder):
    menu(page, "File", "Save Notebook")
    page.wait_for_function("document.querySelector('.jp-mod-dirty') === null")
    saved = (folder / "pad.ipynb").read_text()
    assert "Live(strokes=a stroke)" in saved
    assert "image/png" in saved
