"""The scrubber in a real browser: every frame is shown, in JupyterLab and on a page without network.

Nothing here depends on time: keys are followed by a look at the page, play runs on a clock that the test moves, and a
busy kernel waits for a file.
"""

import nbformat
import numpy as np
import pytest
from browser import (
    CHROMIUM,
    HOW_TO_INSTALL,
    choose_theme,
    menu,
    new_page,
    open_and_run,
    run_all,
    watching,
    write_notebook,
)

from diffusion_lab.view.scrubber import Scrubber

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)

MAKE = """import time
from pathlib import Path
import ipywidgets
import numpy as np
from diffusion_lab.view.live import Live
from diffusion_lab.view.scrubber import Scrubber
frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
labels = [f"t = {i}" for i in range(31)]
def wait():
    while Path("wait").exists():
        time.sleep(0.05)"""
WAIT = "wait()"
SHOW = 'Scrubber(frames, labels, "Grey grows lighter.", "A grey square.")'
TALL = "print('\\n' * 100)"  # so that there is a page to jump
LIVE = """def draw(shade):
    with Path("drawn").open("a") as notes:
        print(shade, file=notes)
    wait()
    return np.full((40, 60), 8 * shade, dtype=np.uint8)
Live(draw, "Shades.", "A square of one shade.", shade=ipywidgets.IntSlider(max=30, description="shade"))"""
PRESSES = range(1, 31)


def every_frame_is_shown(page):
    """Each key press is followed by its picture at once, without a blank between, and the page stands still."""
    page.locator(".scrubber-slider").first.press("Home")
    with watching(page, ".scrubber-picture") as seen:
        for i in PRESSES:
            page.keyboard.press("ArrowRight")
            assert page.evaluate("shown()") == i
    shown = [frame for _, frame, _ in seen]
    assert None not in shown, "the picture was blank"
    assert shown == sorted(shown), "a frame came back"
    assert len({scroll for *_, scroll in seen}) == 1, "the page jumped"


@pytest.fixture
def busy(folder):
    """Whatever calls `wait` in a notebook waits until this is called."""
    (folder / "wait").touch()
    yield (folder / "wait").unlink
    (folder / "wait").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def two(chromium, folder, lab):
    """A notebook of two scrubbers in Lab. JupyterLab keeps cells out of sight off the page: it is short."""
    write_notebook(folder / "two.ipynb", MAKE, WAIT, SHOW, SHOW, TALL)
    page = new_page(chromium, viewport={"width": 1280, "height": 900})
    open_and_run(page, lab, "two.ipynb", ".scrubber >> nth=1")
    page.locator(".scrubber-slider").first.scroll_into_view_if_needed()
    yield page
    page.close()


def test_jupyterlab_shows_every_frame_while_the_kernel_is_busy(two, busy):
    assert two.evaluate("""() => {
        const panel = document.querySelector(".jp-WindowedPanel-outer");
        return panel.scrollHeight > panel.clientHeight;
    }"""), "the page is long enough to jump"
    cell = two.locator(".jp-CodeCell").nth(1)
    cell.locator(".cm-content").press("Control+Enter")
    cell.get_by_text("[*]:").wait_for()
    every_frame_is_shown(two)
    assert cell.get_by_text("[*]:").is_visible(), "the kernel was busy all the time"
    busy()
    cell.get_by_text("[*]:").wait_for(state="hidden")
    assert two.locator(".scrubber-label").all_inner_texts() == ["t = 30", "t = 0"], "the other one stayed where it was"


def test_keys_in_command_mode(two):
    slider, label = two.locator(".scrubber-slider").first, two.locator(".scrubber-label").first
    slider.focus()
    active = two.locator(".jp-Notebook .jp-mod-active")
    cell = active.get_attribute("data-windowed-list-index")
    for start, key, shown in [
        ("Home", "ArrowRight", "t = 1"), ("Home", "ArrowUp", "t = 1"), ("End", "ArrowLeft", "t = 29"),
        ("End", "ArrowDown", "t = 29"), ("Home", "PageUp", "t = 3"), ("End", "PageDown", "t = 27"),
        ("Home", "ArrowLeft", "t = 0"), ("End", "ArrowRight", "t = 30"),
    ]:
        two.keyboard.press(start)
        two.keyboard.press(key)
        assert label.inner_text() == shown, (start, key)
        assert slider.get_attribute("aria-valuetext") == shown
    assert two.locator(".jp-Notebook.jp-mod-commandMode").count() == 1
    assert slider.evaluate("node => node === document.activeElement")
    assert active.get_attribute("data-windowed-list-index") == cell


def test_its_words_have_the_colour_of_the_theme(two):
    colours = set()
    for theme in ("Dark", "Light"):
        choose_theme(two, theme)
        for part in (".scrubber-label", ".scrubber-caption", "select", "button >> nth=0"):
            own, of_theme = two.locator(f".scrubber >> nth=0 >> {part}").evaluate("""(node) => {
                const probe = document.body.appendChild(document.createElement("i"));
                probe.style.color = "var(--jp-ui-font-color1)";
                const colours = [node, probe].map((node) => getComputedStyle(node).color);
                probe.remove();
                return colours;
            }""")
            assert own == of_theme, (theme, part)
            colours.add(own)
    assert len(colours) == 2


def test_running_again_leaves_no_dead_widget(two):
    two.evaluate("document.querySelectorAll('.scrubber').forEach((node) => { node.dataset.old = 1; })")
    run_all(two)
    two.wait_for_function("document.querySelectorAll('.scrubber:not([data-old])').length === 2")
    two.locator(".scrubber[data-old]").first.wait_for(state="detached")
    assert two.get_by_text("Error displaying widget").count() == 0
    two.locator(".scrubber-slider").first.press("ArrowRight")
    assert two.locator(".scrubber-label").all_inner_texts() == ["t = 1", "t = 0"]


def test_a_saved_notebook_has_the_still_and_the_player_and_no_widget(two, folder):
    menu(two, "File", "Save Notebook")
    two.wait_for_function("document.querySelector('.jp-mod-dirty') === null")
    saved = nbformat.read(folder / "two.ipynb", as_version=4)
    assert "widgets" not in saved.metadata
    still, html = (output.data for output in saved.cells[2].outputs)
    assert still["text/plain"] == "Scrubber(31 frames)"
    assert still["image/png"]
    assert set(html) == {"text/html"}


def test_live_draws_the_last_value_without_a_blank_or_a_second_output(chromium, folder, lab, busy):
    busy()
    write_notebook(folder / "live.ipynb", MAKE, LIVE)
    page = new_page(chromium)
    open_and_run(page, lab, "live.ipynb", ".live-picture")
    outputs = page.locator(".jp-OutputArea-output").count()
    (folder / "wait").touch()
    with watching(page, ".live-picture") as seen:
        page.locator(".live-slider").focus()
        for _ in PRESSES:
            page.keyboard.press("ArrowRight")
        assert page.locator(".live-label span").inner_text() == "30"
        busy()
        page.wait_for_function("shown() === 30")
    assert {frame for _, frame, _ in seen} <= {0, 1, 30}, "None would be a blank"
    assert (folder / "drawn").read_text().split() == ["0", "1", "30"], "values gone by during a drawing are not drawn"
    assert page.locator(".jp-OutputArea-output").count() == outputs
    assert page.get_by_role("img", name="A square of one shade.").last.is_visible()
    live_has_the_keys_of_a_scrubber(page)
    page.close()


def live_has_the_keys_of_a_scrubber(page):
    """It is called by what it moves, its track is wide, and no key turns the page."""
    slider, label = page.get_by_role("slider", name="shade", exact=True), page.locator(".live-label span")
    assert slider.bounding_box()["width"] > 400
    assert slider.bounding_box()["height"] >= 24
    scrolled = "document.querySelector('.jp-WindowedPanel-outer').scrollTop"
    before = page.evaluate(scrolled)
    for start, key, shown in [("Home", "ArrowRight", "1"), ("Home", "PageUp", "3"), ("End", "PageDown", "27"),
                              ("End", "ArrowUp", "30"), ("Home", "ArrowDown", "0"), ("End", "Space", "30")]:
        slider.press(start)
        page.keyboard.press(key)
        assert label.inner_text() == shown, (start, key)
        assert slider.get_attribute("aria-valuetext") == shown
        assert slider.evaluate("node => node === document.activeElement"), key
    page.wait_for_function("shown() === 30")
    assert page.evaluate(scrolled) == before
    assert slider.evaluate("node => getComputedStyle(node).outlineWidth") == "3px"


def player(labels=None):
    frames = [np.full((40, 60), 8 * i, dtype=np.uint8) for i in range(31)]
    return Scrubber(frames, labels or [f"t = {i}" for i in range(31)], "Grey grows lighter.", "A grey square.")


def test_the_player_shows_every_frame_with_the_network_blocked(chromium, tmp_path):
    (tmp_path / "player.html").write_text(player().to_html(), encoding="utf-8")
    context = chromium.new_context(offline=True)
    page, errors, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "player.html").as_uri())
    assert page.locator(".scrubber-label").inner_text() == "t = 0"
    every_frame_is_shown(page)
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.get_by_alt_text("A grey square.").is_visible()
    context.close()


@pytest.fixture
def played(chromium):
    """Opens the player on a page whose clock stands still; gives the page, its slider, and what moves the clock."""
    pages = []

    def opened(**settings):
        page = new_page(chromium, **settings)
        pages.append(page)
        page.clock.install(time="2030-01-01")
        page.set_content(player().to_html())
        page.clock.pause_at("2031-01-01")

        def label_after(ms):
            page.clock.run_for(ms)
            return page.locator(".scrubber-label").inner_text()

        return page, page.locator(".scrubber-slider"), label_after

    yield opened
    for page in pages:
        page.close()


def test_space_plays_and_pauses_and_play_begins_anew_at_the_end(played):
    page, slider, label_after = played()
    assert label_after(5000) == "t = 0", "nothing moves by itself"
    slider.press("Space")
    assert label_after(300) == "t = 3"
    slider.press("Space")
    assert label_after(5000) == "t = 3"
    slider.press("Space")
    assert label_after(5000) == "t = 30"
    page.get_by_role("button", name="Play", exact=True).click()  # it says Pause while it plays
    assert label_after(200) == "t = 2"
    page.get_by_label("loop").check()
    assert label_after(2800 + 100 + 500) == "t = 5", "round again"
    page.get_by_role("button", name="One step back").click()
    assert label_after(5000) == "t = 4", "the hand stops it"


@pytest.mark.parametrize(("motion", "speed", "ms"), [("reduce", "½ ×", 200), ("no-preference", "1 ×", 100)])
def test_speed_is_what_it_says_and_slow_for_those_who_ask_for_less_motion(played, motion, speed, ms):
    page, slider, label_after = played(reduced_motion=motion)
    assert page.get_by_label("Speed").input_value() == speed
    slider.press("Space")
    assert label_after(10 * ms) == "t = 10"
    page.get_by_label("Speed").select_option("4 ×")
    assert label_after(ms + 9 * 25) == "t = 20", "from the next frame on"


def test_controls_can_be_named_and_seen_without_a_mouse(played):
    page, slider, _ = played()
    for role, name in [("group", "Grey grows lighter."), ("slider", "t"), ("button", "Play"),
                       ("button", "One step back"), ("button", "One step on"), ("combobox", "Speed"),
                       ("checkbox", "loop"), ("img", "A grey square.")]:
        assert page.get_by_role(role, name=name, exact=True).count() == 1, (role, name)
    slider.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outline").endswith("solid 3px")


def test_the_player_in_a_page_is_as_high_as_its_content_and_has_its_keys(chromium, monkeypatch):
    monkeypatch.setenv("DIFFUSION_LAB_PLAYER", "1")
    page = new_page(chromium)
    page.set_content(f"<!doctype html>{player()._repr_mimebundle_()[0]['text/html']}<p>after</p>")
    inside = page.frame_locator("iframe")
    inside.locator(".scrubber-slider").press("End")
    assert inside.locator(".scrubber-label").inner_text() == "t = 30"
    for width in (900, 320):
        page.set_viewport_size({"width": width, "height": 700})
        page.wait_for_function("""(width) => {
            const frame = document.querySelector("iframe"), page = frame.contentDocument.documentElement;
            return innerWidth === width && page.scrollHeight === frame.clientHeight
                && frame.clientHeight === page.offsetHeight;
        }""", arg=width)  # nothing is cut off, no room is left
    page.close()


def test_a_label_that_grows_moves_nothing_and_a_long_one_stays_on_the_line(chromium):
    """850 pixels is as wide as JupyterLab's output is in a window of 1280."""
    page = new_page(chromium)
    page.set_content(player(["t = 18, x_t = -1.33 · 0.023 nats here, 0.016 on average"[:6 + 2 * i] for i in range(31)])
                     .to_html())
    for width in (320, 600, 850):
        page.set_viewport_size({"width": width, "height": 700})
        heights = set()
        for key in ("Home", "PageUp", "End"):
            page.locator(".scrubber-slider").press(key)
            heights.add(page.locator(".scrubber").bounding_box()["height"])
        assert len(heights) == 1, width
    parts = [part.bounding_box() for part in page.locator(".scrubber-bar > *").all()]
    assert max(part["y"] for part in parts) < min(part["y"] + part["height"] for part in parts)
    page.close()
