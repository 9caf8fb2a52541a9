"""The scrubber in a real browser: every frame is shown, in JupyterLab and on a page without network."""

import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab import (
    CHROMIUM,
    HOW_TO_INSTALL,
    browser,
    choose_theme,
    could_be_seen,
    jupyter_lab,
    menu,
    open_and_run,
    open_notebook,
    press_and_watch,
    run_all,
    write_notebook,
)

from diffusion_lab.view.scrubber import Scrubber

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)

MAKE = """import ipywidgets
import numpy as np
from diffusion_lab.view.live import Live
from diffusion_lab.view.scrubber import Scrubber
frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
labels = [f"t = {i}" for i in range(31)]"""
SHOW = 'Scrubber(frames, labels, "Grey grows lighter.", "A grey square.")'
TALL = "print('\\n' * 100)"  # so that there is a page to jump
LINKED = """above, below = (Scrubber(frames, labels, name, "A grey square.") for name in ("above", "below"))
browser_side = ipywidgets.jslink((above, "value"), (below, "value"))
number = ipywidgets.IntText()
kernel_side = ipywidgets.link((above, "value"), (number, "value"))
ipywidgets.VBox([above, below, number])"""
LIVE = """import time
def draw(shade):
    time.sleep(0.1)
    return np.full((40, 60), 8 * shade, dtype=np.uint8)
Live(draw, "Shades.", "A square of one shade.", shade=ipywidgets.IntSlider(max=30, description="shade"))"""


def every_frame_is_shown(page, slider, picture=".scrubber-picture"):
    """Every picture is shown, in order, without a blank, and the page stands still.

    Where the browser paints nothing between two key presses, nobody can see the picture in between. So all is done
    again, up to five times, until the machine was quiet enough to paint all 30; less than 20 tell nothing.
    """
    for _ in range(5):
        slider.focus()
        page.keyboard.press("Home")
        page.wait_for_timeout(200)
        seen, pressed = press_and_watch(page, picture)
        assert len(pressed) == 30
        shown, painted = [frame for _, frame, _ in seen], could_be_seen(seen, pressed)
        assert None not in shown, "the picture was blank"
        assert painted <= set(shown), f"missing: {sorted(painted - set(shown))}"
        assert shown[-1] == 30
        assert shown == sorted(shown), "a frame came back"
        assert len({scroll for *_, scroll in seen}) == 1, "the page jumped"
        if len(painted) == 30:
            return
    assert len(painted) > 20, "the machine is too busy to tell"


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(folder):
    with jupyter_lab(folder) as address:
        yield address


@pytest.fixture(scope="module")
def opened(chromium, folder, lab):
    """Opens a notebook of these cells in Lab, once, and runs it. JupyterLab keeps cells out of sight off the page, so
    each notebook is short enough that what is looked at is in sight."""
    pages = {}

    def opened(name, ready, *cells):
        if name not in pages:
            write_notebook(folder / name, *cells)
            pages[name] = chromium.new_page(viewport={"width": 1280, "height": 900})
            open_and_run(pages[name], lab, name, ready)
        pages[name].bring_to_front()
        return pages[name]

    yield opened
    for page in pages.values():
        page.close()


@pytest.fixture
def two(opened):
    page = opened("two.ipynb", ".scrubber >> nth=1", MAKE, SHOW, SHOW, TALL)
    page.locator(".scrubber-slider").first.scroll_into_view_if_needed()
    return page


def test_jupyterlab_shows_every_frame_at_30_key_presses_a_second(two):
    assert two.evaluate("""() => {
        const panel = document.querySelector(".jp-WindowedPanel-outer");
        return panel.scrollHeight > panel.clientHeight;
    }"""), "the page is long enough to jump"
    every_frame_is_shown(two, two.locator(".scrubber-slider").first)


def test_the_other_scrubber_of_the_page_stays_where_it_was(two):
    two.locator(".scrubber-slider").first.focus()
    two.keyboard.press("Home")
    two.keyboard.press("ArrowRight")
    assert two.locator(".scrubber-label").all_inner_texts() == ["t = 1", "t = 0"]


@pytest.mark.parametrize(("start", "key", "label"), [
    ("Home", "ArrowRight", "t = 1"), ("Home", "ArrowUp", "t = 1"), ("End", "ArrowLeft", "t = 29"),
    ("End", "ArrowDown", "t = 29"), ("Home", "PageUp", "t = 3"), ("End", "PageDown", "t = 27"),
    ("Home", "ArrowLeft", "t = 0"), ("End", "ArrowRight", "t = 30"),
])
def test_keys_in_command_mode(two, start, key, label):
    slider = two.locator(".scrubber-slider").first
    slider.focus()
    cell = two.locator(".jp-Notebook .jp-mod-active").get_attribute("data-windowed-list-index")
    two.keyboard.press(start)
    two.keyboard.press(key)
    assert two.locator(".jp-Notebook.jp-mod-commandMode").count() == 1
    assert two.locator(".scrubber-label").first.inner_text() == label
    assert slider.get_attribute("aria-valuetext") == label
    assert slider.evaluate("node => node === document.activeElement")
    assert two.locator(".jp-Notebook .jp-mod-active").get_attribute("data-windowed-list-index") == cell


def test_space_plays_and_pauses(two):
    slider, label = two.locator(".scrubber-slider").first, two.locator(".scrubber-label").first
    slider.focus()
    two.keyboard.press("Home")
    two.keyboard.press("Space")
    two.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 3'")
    two.keyboard.press("Space")
    stopped_at = label.inner_text()
    two.wait_for_timeout(500)
    assert label.inner_text() == stopped_at


def test_controls_can_be_named_and_seen_without_a_mouse(two):
    for role, name in [("group", "Grey grows lighter."), ("slider", "Time: Grey grows lighter."), ("button", "Play"),
                       ("button", "One step back"), ("button", "One step on"), ("combobox", "Speed"),
                       ("checkbox", "loop"), ("img", "A grey square.")]:
        assert two.get_by_role(role, name=name, exact=True).count() >= 1, (role, name)
    two.locator(".scrubber-slider").first.focus()
    two.keyboard.press("Tab")
    focused = two.evaluate("""() => {
        const node = document.activeElement, style = getComputedStyle(node);
        return [node.tagName, style.outlineStyle, style.outlineWidth];
    }""")
    assert focused == ["SELECT", "solid", "3px"]


# The contrast of two colours, as WCAG 2 defines it, of a node's text (or outline) on what is painted behind it.
CONTRAST = """(node) => {
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const style = getComputedStyle(node);
  return { text: ratio(light(numbers(style.color).slice(0, 3)), light(behind(node))),
           outline: ratio(light(numbers(style.outlineColor).slice(0, 3)), light(behind(node.parentElement))) };
}"""


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_it_can_be_read_in_both_themes(two, theme):
    choose_theme(two, theme)
    bar = two.locator(".scrubber").first
    for part in (".scrubber-label", ".scrubber-caption", ".scrubber-loop", "select", "button >> nth=0"):
        assert bar.locator(part).evaluate(CONTRAST)["text"] >= 4.5, part
    bar.locator(".scrubber-slider").focus()
    two.keyboard.press("ArrowRight")
    assert bar.locator(".scrubber-slider").evaluate(CONTRAST)["outline"] >= 3


def test_running_again_leaves_no_dead_widget(two):
    run_all(two)
    two.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 0'")
    assert two.locator(".scrubber").count() == 2
    assert two.get_by_text("Error displaying widget").count() == 0
    two.locator(".scrubber-slider").first.focus()
    two.keyboard.press("ArrowRight")
    assert two.locator(".scrubber-label").all_inner_texts() == ["t = 1", "t = 0"]


def test_a_saved_notebook_has_the_still_and_no_widget_state(two, folder):
    before = (folder / "two.ipynb").read_bytes()
    menu(two, "File", "Save Notebook")
    two.wait_for_timeout(3000)
    assert (folder / "two.ipynb").read_bytes() != before
    saved = nbformat.read(folder / "two.ipynb", as_version=4)
    assert "widgets" not in saved.metadata
    data = saved.cells[1].outputs[0].data
    assert data["text/plain"] == "Scrubber(31 frames)"
    assert data["image/png"]


def test_scrubbers_are_linked_in_the_browser_and_through_the_kernel(opened):
    page = opened("linked.ipynb", ".scrubber >> nth=1", MAKE, LINKED)
    above, below = (page.get_by_role("group", name=name) for name in ("above", "below"))
    above.locator(".scrubber-slider").focus()
    page.keyboard.press("End")
    below.get_by_text("t = 30").wait_for()
    assert below.locator(".scrubber-slider").input_value() == "30"
    number = page.locator(".widget-text input")
    page.wait_for_function("document.querySelector('.widget-text input').value == '30'")
    number.fill("7")
    number.press("Enter")
    above.get_by_text("t = 7").wait_for()


def test_live_shows_the_last_value_without_a_blank_or_a_second_output(opened):
    page, picture = opened("live.ipynb", ".live-picture", MAKE, LIVE), ".live-picture"
    outputs = page.locator(".jp-OutputArea-output")
    before = outputs.count()
    page.locator(".widget-slider .noUi-handle").focus()
    seen, pressed = press_and_watch(page, picture)
    shown = [frame for _, frame, _ in seen]
    assert len(pressed) == 30
    assert None not in shown, "the picture was blank"
    assert shown[-1] == 30, "the last value wins"
    assert shown == sorted(shown)
    late = next(ms for ms, frame, _ in seen if frame == 30) - pressed[-1]
    assert late < 1500, "drawings of values long gone were waited for"  # thirty drawings take three seconds
    assert outputs.count() == before
    assert page.get_by_role("img", name="A square of one shade.").is_visible()


def test_a_notebook_that_is_not_run_shows_the_film_strip(chromium, folder, lab):
    widget = player()
    data, metadata = widget._repr_mimebundle_()
    data = {kind: data[kind] for kind in ("text/plain", "image/png")}  # what tools/build_notebooks.py keeps
    output = nbformat.v4.new_output("execute_result", data, execution_count=1, metadata=metadata)
    cell = nbformat.v4.new_code_cell(SHOW, outputs=[output], execution_count=1)
    write_notebook(folder / "still.ipynb", cell)
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    open_notebook(page, lab, "still.ipynb")
    still = page.locator(".jp-RenderedImage img")  # its alt text is in the file, but JupyterLab does not pass it on
    still.wait_for()
    assert still.evaluate("node => node.naturalWidth") > 400
    page.close()


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
    asked = []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "player.html").as_uri())
    assert page.locator(".scrubber-label").inner_text() == "t = 0", "nothing moves by itself"
    every_frame_is_shown(page, page.locator(".scrubber-slider"))
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.get_by_alt_text("A grey square.").is_visible()
    context.close()


def test_buttons_speed_and_loop_do_what_they_say(chromium):
    page = chromium.new_page()
    page.set_content(player().to_html())
    label, speed = page.locator(".scrubber-label"), page.get_by_label("Speed")

    def click(name):
        page.get_by_role("button", name=name, exact=True).click()

    click("One step on")
    click("One step on")
    click("One step back")
    assert label.inner_text() == "t = 1"
    slider = page.locator(".scrubber-slider").bounding_box()
    page.mouse.click(slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2)
    assert label.inner_text() == "t = 15"

    speed.select_option("4 ×")
    click("Play")
    page.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 30'")
    page.get_by_role("button", name="Play", exact=True).wait_for()  # at the end it stops
    assert label.inner_text() == "t = 30"
    page.get_by_label("loop").check()
    click("Play")
    page.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 30'")
    page.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 5'")  # round again
    click("Pause")
    stopped_at = label.inner_text()
    page.wait_for_timeout(300)
    assert label.inner_text() == stopped_at
    page.close()


def test_play_begins_anew_at_the_end_and_stops_for_the_hand(chromium):
    page = chromium.new_page()
    page.set_content(player().to_html())
    slider, play = page.locator(".scrubber-slider"), page.get_by_role("button", name="Play", exact=True)
    slider.press("End")
    slider.press("ArrowRight")
    slider.press("ArrowLeft")
    assert page.locator(".scrubber-label").inner_text() == "t = 29", "a key too many is not counted"
    page.get_by_label("Speed").select_option("½ ×")
    for stop in (page.get_by_role("button", name="One step back").click,
                 lambda: slider.evaluate("node => { node.value = 20; node.dispatchEvent(new Event('input')); }")):
        slider.press("End")
        play.click()
        page.wait_for_function("document.querySelector('.scrubber-label').innerText == 't = 2'")
        stop()
        play.wait_for(timeout=2000)  # it says Pause while it plays
    page.close()


def test_speed_is_what_it_says(chromium):
    page = chromium.new_page()
    page.set_content(player().to_html())
    took = {}
    for name in ("4 ×", "½ ×"):
        page.locator(".scrubber-slider").press("Home")
        page.get_by_label("Speed").select_option(name)
        took[name] = page.evaluate("""async () => {
            const label = document.querySelector(".scrubber-label"), start = performance.now();
            document.querySelector("button[title=Play]").click();
            while (label.innerText !== "t = 10") await new Promise(requestAnimationFrame);
            document.querySelector("button[title=Pause]").click();
            return performance.now() - start;
        }""")
    assert took["½ ×"] >= 10 * 200  # a slow machine may take longer, never less
    assert took["4 ×"] < took["½ ×"]
    page.close()


def test_a_label_that_grows_moves_nothing(chromium):
    frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(10)]
    page = chromium.new_page()
    page.set_content(Scrubber(frames, ["t = 0 " + "and more " * i for i in range(10)], "Grey.", "Grey.").to_html())
    for width in range(320, 1200, 80):
        page.set_viewport_size({"width": width, "height": 700})
        heights = set()
        for key in ("Home", *["ArrowRight"] * 9):
            page.locator(".scrubber-slider").press(key)
            heights.add(page.locator(".scrubber").bounding_box()["height"])
        assert len(heights) == 1, width
    page.close()


def test_a_long_label_leaves_all_on_one_line(chromium):
    """As wide as JupyterLab's output is in a window of 1280 pixels."""
    frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(10)]
    label = "t = 18, x_t = -1.33 · 0.023 nats here, 0.016 on average"
    page = chromium.new_page(viewport={"width": 850, "height": 300})
    page.set_content(Scrubber(frames, [label] * 10, "Grey.", "Grey.").to_html())
    parts = [part.bounding_box() for part in page.locator(".scrubber-bar > *").all()]
    assert max(part["y"] for part in parts) < min(part["y"] + part["height"] for part in parts)
    page.close()
