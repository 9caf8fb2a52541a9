"""The scrubber in a real browser: every frame is shown, in JupyterLab and on a page without network."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab import CHROMIUM, HOW_TO_INSTALL, browser, jupyter_lab, open_and_run, press_and_watch, write_notebook

from diffusion_lab.view.scrubber import Scrubber

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)

MAKE = """import numpy as np
from diffusion_lab.view.scrubber import Scrubber
frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
labels = [f"t = {i}" for i in range(31)]"""
SHOW = 'Scrubber(frames, labels, "Grey grows lighter.", "A grey square.")'


def all_shown(seen, pressed):
    """Every picture was shown, in order, without a blank, and the page stood still.

    On a busy machine the browser may paint nothing between two key presses; no picture can be seen there, so only
    those that it had a chance to show are asked for.
    """
    shown = [frame for _, frame, _ in seen]
    assert None not in shown, "the picture was blank"
    until = [*pressed[1:], float("inf")]
    painted = {i + 1 for i, (begin, end) in enumerate(zip(pressed, until)) if any(begin < ms < end for ms, *_ in seen)}
    assert len(painted) > 20, "the machine is too busy to tell"
    assert painted <= set(shown), f"missing: {sorted(painted - set(shown))}"
    assert shown[-1] == 30
    assert shown == sorted(shown), "a frame came back"
    assert len({scroll for *_, scroll in seen}) == 1, "the page jumped"


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def page_in_lab(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    write_notebook(folder / "two.ipynb", MAKE, SHOW, SHOW)
    with jupyter_lab(folder) as address:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        open_and_run(page, address, "two.ipynb", ".scrubber")
        page.locator(".scrubber").nth(1).wait_for()
        yield page


def test_jupyterlab_shows_every_frame_at_30_key_presses_a_second(page_in_lab):
    page_in_lab.locator(".scrubber-slider").first.focus()
    seen, pressed = press_and_watch(page_in_lab, ".scrubber-picture")
    assert len(pressed) == 30
    all_shown(seen, pressed)


def test_the_other_scrubber_of_the_page_stays_where_it_was(page_in_lab):
    page_in_lab.locator(".scrubber-slider").first.focus()
    page_in_lab.keyboard.press("Home")
    page_in_lab.keyboard.press("ArrowRight")
    assert page_in_lab.locator(".scrubber-label").all_inner_texts() == ["t = 1", "t = 0"]


@pytest.mark.parametrize(("start", "key", "label"), [
    ("Home", "ArrowRight", "t = 1"), ("Home", "ArrowUp", "t = 1"), ("End", "ArrowLeft", "t = 29"),
    ("End", "ArrowDown", "t = 29"), ("Home", "PageUp", "t = 3"), ("End", "PageDown", "t = 27"),
    ("Home", "ArrowLeft", "t = 0"), ("End", "ArrowRight", "t = 30"),
])
def test_keys_in_command_mode(page_in_lab, start, key, label):
    slider = page_in_lab.locator(".scrubber-slider").first
    slider.focus()
    page_in_lab.keyboard.press(start)
    page_in_lab.keyboard.press(key)
    assert page_in_lab.locator(".scrubber-label").first.inner_text() == label
    assert slider.get_attribute("aria-valuetext") == label
    assert slider.evaluate("node => node === document.activeElement")


def test_space_plays_and_pauses(page_in_lab):
    slider, label = page_in_lab.locator(".scrubber-slider").first, page_in_lab.locator(".scrubber-label").first
    slider.focus()
    page_in_lab.keyboard.press("Home")
    page_in_lab.keyboard.press("Space")
    page_in_lab.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 3'")
    page_in_lab.keyboard.press("Space")
    stopped_at = label.inner_text()
    page_in_lab.wait_for_timeout(500)
    assert label.inner_text() == stopped_at


def test_the_player_shows_every_frame_with_the_network_blocked(chromium, tmp_path):
    frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
    player = Scrubber(frames, [f"t = {i}" for i in range(31)], "Grey grows lighter.", "A grey square.").to_html()
    (tmp_path / "player.html").write_text(player, encoding="utf-8")
    context = chromium.new_context(offline=True)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((tmp_path / "player.html").as_uri())
    assert page.locator(".scrubber-label").inner_text() == "t = 0", "nothing moves by itself"
    page.locator(".scrubber-slider").focus()
    seen, pressed = press_and_watch(page, ".scrubber-picture")
    all_shown(seen, pressed)
    assert errors == []
    assert page.get_by_alt_text("A grey square.").is_visible()
    context.close()
