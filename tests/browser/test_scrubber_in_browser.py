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
LINKED = """import ipywidgets
above, below = (Scrubber(frames, labels, name, "A grey square.") for name in ("above", "below"))
link = ipywidgets.jslink((above, "value"), (below, "value"))
ipywidgets.VBox([above, below])"""
LIVE = """import time
import ipywidgets
from diffusion_lab.view.live import Live
drawings = 0
def draw(shade):
    global drawings
    drawings += 1
    time.sleep(0.1)
    return np.full((40, 60), 8 * shade, dtype=np.uint8)
Live(draw, "Shades.", "A square of one shade.", shade=ipywidgets.IntSlider(max=30, description="shade"))"""
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
    write_notebook(folder / "two.ipynb", MAKE, SHOW, SHOW, LINKED, LIVE, "")
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
    assert page_in_lab.locator(".scrubber-label").all_inner_texts()[:2] == ["t = 1", "t = 0"]


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


def test_linked_scrubbers_move_together(page_in_lab):
    below = page_in_lab.get_by_role("group", name="below")
    page_in_lab.get_by_role("group", name="above").locator(".scrubber-slider").focus()
    page_in_lab.keyboard.press("End")
    below.get_by_text("t = 30").wait_for(timeout=5000)
    assert below.locator(".scrubber-slider").input_value() == "30"


def test_controls_can_be_named_and_seen_without_a_mouse(page_in_lab):
    scrubber = page_in_lab.locator(".scrubber").first
    for role, name in [("group", "Grey grows lighter."), ("slider", "Time: Grey grows lighter."), ("button", "Play"),
                       ("button", "One step back"), ("button", "One step on"), ("combobox", "Speed"),
                       ("checkbox", "loop"), ("img", "A grey square.")]:
        assert page_in_lab.get_by_role(role, name=name, exact=True).count() >= 1, (role, name)
    scrubber.locator(".scrubber-slider").focus()
    page_in_lab.keyboard.press("Tab")
    focused = page_in_lab.evaluate("""() => {
        const node = document.activeElement, style = getComputedStyle(node);
        return [node.tagName, style.outlineStyle, style.outlineWidth];
    }""")
    assert focused == ["SELECT", "solid", "3px"]


def test_live_shows_the_last_value_without_a_blank_or_a_second_output(page_in_lab):
    picture, outputs = ".widget-image", page_in_lab.locator(".jp-OutputArea-output")
    page_in_lab.locator(picture).scroll_into_view_if_needed()
    before = outputs.count()
    page_in_lab.locator(".widget-slider .noUi-handle").focus()
    seen, pressed = press_and_watch(page_in_lab, picture)
    shown = [frame for _, frame, _ in seen]
    assert len(pressed) == 30
    assert None not in shown, "the picture was blank"
    assert shown[-1] == 30, "the last value wins"
    assert shown == sorted(shown)
    late = next(ms for ms, frame, _ in seen if frame == 30) - pressed[-1]
    assert late < 1500, "drawings of values long gone were waited for"  # thirty drawings take three seconds
    assert outputs.count() == before
    assert page_in_lab.get_by_role("img", name="A square of one shade.").is_visible()


def test_running_again_leaves_no_dead_widget(page_in_lab):
    many = page_in_lab.locator(".scrubber").count()
    page_in_lab.get_by_role("menuitem", name="Run", exact=True).click()
    page_in_lab.get_by_text("Run All Cells", exact=True).click()
    page_in_lab.get_by_text("| Busy").wait_for()
    page_in_lab.get_by_text("| Idle").wait_for(timeout=30_000)
    page_in_lab.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 0'")
    assert page_in_lab.locator(".scrubber").count() == many
    assert page_in_lab.get_by_text("Error displaying widget").count() == 0
    page_in_lab.locator(".scrubber-slider").first.focus()
    page_in_lab.keyboard.press("ArrowRight")
    assert page_in_lab.locator(".scrubber-label").all_inner_texts()[:2] == ["t = 1", "t = 0"]


def player():
    frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
    return Scrubber(frames, [f"t = {i}" for i in range(31)], "Grey grows lighter.", "A grey square.")


@pytest.mark.parametrize(("motion", "speed"), [("reduce", "½ ×"), ("no-preference", "1 ×")])
def test_play_is_slow_for_those_who_ask_for_less_motion(chromium, motion, speed):
    page = chromium.new_page(reduced_motion=motion)
    page.set_content(player().to_html())
    assert page.get_by_label("Speed").input_value() == speed
    page.wait_for_timeout(500)
    assert page.locator(".scrubber-label").inner_text() == "t = 0", "nothing moves by itself"
    page.close()


def test_the_player_in_a_page_is_as_high_as_its_content_and_has_its_keys(chromium, monkeypatch):
    monkeypatch.setenv("DIFFUSION_LAB_PLAYER", "1")
    page = chromium.new_page(viewport={"width": 900, "height": 700})
    page.set_content(f"<!doctype html>{player()._repr_mimebundle_()[0]['text/html']}<p>after</p>")
    inside = page.frame_locator("iframe")
    inside.locator(".scrubber-slider").focus()
    page.keyboard.press("End")
    assert inside.locator(".scrubber-label").inner_text() == "t = 30"
    for width in (900, 320):
        page.set_viewport_size({"width": width, "height": 700})
        page.wait_for_timeout(300)
        over = page.evaluate("""() => {
            const frame = document.querySelector("iframe"), page = frame.contentDocument.documentElement;
            return [page.scrollHeight - frame.clientHeight, frame.clientHeight - page.offsetHeight];
        }""")
        assert over == [0, 0], "nothing is cut off, no room is left"
    page.close()


def test_the_player_shows_every_frame_with_the_network_blocked(chromium, tmp_path):
    (tmp_path / "player.html").write_text(player().to_html(), encoding="utf-8")
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
