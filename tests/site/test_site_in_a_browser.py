"""The site in a browser, wide and narrow, without a network: all fits, and what is folded opens."""

from pathlib import Path

import covered
import framed
import ipywidgets as widgets
import numpy as np
import pytest
import tiny
from browser import CHROMIUM, HOW_TO_INSTALL, browser
from course import NOTEBOOKS
from fits import misfits

from diffusion_lab.view.live import Live

pytestmark = pytest.mark.slow

SIZES = {"projector": (1280, 720), "phone": (390, 844)}


@pytest.fixture(scope="module")
def chromium(without_katex):
    if without_katex:
        pytest.skip(without_katex)
    if CHROMIUM is None:
        pytest.skip(HOW_TO_INSTALL)
    with browser() as chromium:
        yield chromium


@pytest.fixture(params=SIZES)
def page(request, chromium, site):
    """A browser's page, without a network; what it complains of, and what it asks for, must stay nothing."""
    width, height = SIZES[request.param]
    context = chromium.new_context(offline=True, viewport={"width": width, "height": height})
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda asked: faults.append(f"not found: {asked.url}"))
    page.on("request", lambda asked: faults.append(asked.url) if asked.url.startswith(("http", "ws")) else None)
    yield page
    context.close()
    assert faults == []


def open_page(page, site, name, anchor=""):
    page.goto((site / name).as_uri() + anchor)
    page.evaluate("document.fonts.ready")


def test_each_page_fits_is_set_and_complains_of_nothing(page, site):
    for name in sorted(path.name for path in site.glob("*.html")):
        open_page(page, site, name)
        assert misfits(page) == [], name
        assert page.evaluate("document.fonts.check('18px \"Source Serif 4 Variable\"')"), name
        if page.locator(".katex").count():
            assert page.evaluate("document.fonts.check('16px KaTeX_Main') && document.fonts.check('16px KaTeX_Math')")


def test_a_wide_table_and_wide_code_scroll_inside(page, site):
    page.set_viewport_size({"width": 390, "height": 844})
    for name, selector in (("notation.html", ".wide"), ("02_forward_markov_chain.html", ".code pre")):
        open_page(page, site, name)
        assert page.evaluate("""(selector) => [...document.querySelectorAll(selector)].some((box) => {
            box.scrollLeft = 50;
            return box.scrollLeft > 0;
        })""", selector), name


def test_the_player_has_keys_and_buttons(page, site):
    open_page(page, site, "00_start_here.html")
    player = page.frame_locator("iframe")
    label = player.locator(".scrubber-label")
    assert label.inner_text() == "t = 0"
    player.locator(".scrubber-slider").focus()
    for key, shown in (("ArrowRight", "t = 1"), ("PageUp", "t = 4"), ("End", "t = 30"), ("ArrowLeft", "t = 29")):
        page.keyboard.press(key)
        assert label.inner_text() == shown
    player.get_by_label("One step on").click()
    assert label.inner_text() == "t = 30"
    page.clock.install(time=0)
    page.clock.pause_at(1)  # from now on, time passes only where the test says so
    player.get_by_label("Play").click()
    page.clock.run_for(600)
    player.get_by_label("Pause").click()
    assert label.inner_text() == "t = 6", "it begins anew after the last, with ten pictures a second"
    assert player.get_by_alt_text("A grey square.").is_visible()
    cut = page.evaluate("""() => {
        const frame = document.querySelector("iframe"), inside = frame.contentDocument.documentElement;
        return [inside.scrollHeight - frame.clientHeight, inside.scrollWidth - frame.clientWidth];
    }""")
    assert max(cut) <= 0


def test_on_paper_a_film_strip_stands_for_the_player_and_code_wraps(page, site):
    open_page(page, site, "00_start_here.html")
    player, still = page.locator(".player iframe").first, page.locator(".player .still").first
    assert player.is_visible()
    assert not still.is_visible()
    page.emulate_media(media="print")
    assert not player.is_visible()
    assert still.bounding_box()["height"] > 40
    assert page.locator(".code pre").first.evaluate("node => getComputedStyle(node).whiteSpace") == "pre-wrap"
    page.set_viewport_size({"width": 700, "height": 900})  # A4
    assert page.evaluate("""[...document.querySelectorAll("pre")].filter(
        (node) => node.checkVisibility() && node.scrollWidth > node.clientWidth + 1).length""") == 0


def test_controls_can_be_hit_with_a_finger(page, site):
    open_page(page, site, "00_start_here.html")
    for control in page.frame_locator("iframe").locator(".scrubber :is(button, select, input, label)").all():
        box = control.bounding_box()
        least = 18 if control.get_attribute("type") == "checkbox" else 24  # its label, around it, can be hit as well
        assert min(box["width"], box["height"]) >= least, control.evaluate("node => node.outerHTML")


def test_the_search_leads_to_the_place(page, site):
    open_page(page, site, "index.html")
    page.keyboard.press("/")
    page.keyboard.type("posterior")
    results = page.locator("#found a")
    assert results.count() > 3
    for text in results.all_inner_texts():
        assert "posterior" in text.lower()
    for key, place in (("ArrowDown", 0), ("ArrowDown", 1), ("ArrowUp", 0)):
        page.keyboard.press(key)
        assert results.nth(place).evaluate("link => link === document.activeElement")
    target = results.nth(0).get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url("**/" + target)
    heading = page.locator(f'[id="{target.partition("#")[2]}"]')  # not "#…": an id may begin with a digit
    top = heading.bounding_box()["y"]
    assert page.locator("header").bounding_box()["height"] <= top < 300, "in sight, and not beneath the header"
    page.keyboard.press("/")
    page.keyboard.type("posterior zebra")
    assert page.locator("#found").inner_text() == "Nothing found."
    page.keyboard.press("Escape")
    assert not page.locator("#found").is_visible()


def test_a_paper_is_found_by_its_authors(page, site):
    open_page(page, site, "index.html")
    page.keyboard.press("/")
    page.keyboard.type("kamb & ganguli")
    assert "#paper-kamb-2024" in page.locator("#found a").first.get_attribute("href")


@pytest.mark.parametrize(("typed", "meant"), [
    ("guidence", "guidance"), ("postierior", "posterior"), ("scheduel", "schedule"), ("denoser", "denoiser")])
def test_the_search_finds_what_is_nearly_spelt_so(page, site, typed, meant):
    open_page(page, site, "index.html")
    page.locator("#search").fill(typed)
    assert page.locator("#found li").first.inner_text() == f"Nothing has “{typed}”. This is “{meant}”:"
    assert meant in page.locator("#found a").first.inner_text().lower()
    page.locator("#search").fill(meant)
    assert page.locator("#found li:not(:has(a))").count() == 0


@pytest.mark.parametrize(("typed", "term", "section"), [
    ("posterior", "posterior", "2 · One step back, if the data is known"),
    ("denoiser", "denoiser", "3 · All that is missing is an average"),
    ("schedule", "schedule", "2 · The schedule: how much noise at which time"),
])
def test_the_glossary_comes_first_and_then_the_section_that_defines(page, site, typed, term, section):
    open_page(page, site, "index.html")
    page.locator("#search").fill(typed)
    first = page.locator("#found a").first
    assert first.locator("b").inner_text() == term
    titles = page.locator("#found a:not([href^='glossary']) b").all_inner_texts()
    assert titles[0] == section
    target = first.get_attribute("href")
    first.click()
    page.wait_for_url("**/" + target)
    assert page.locator("#" + target.partition("#")[2]).bounding_box()["y"] < page.viewport_size["height"]


def test_excerpts_are_words_whatever_is_searched(page, site):
    open_page(page, site, "index.html")
    for typed in ("x_0", "alpha bar", "variance", "expectation", "sqrt", "KL", "score", "gradient", "η"):
        page.locator("#search").fill(typed)
        excerpts = page.locator("#found small").all_inner_texts()
        assert excerpts or typed == "sqrt", typed
        for excerpt in excerpts:
            for sign in ("\\", "$", "mathcal", "mathbb", "\x02", "frac{", " bar ", "quad"):
                assert sign not in excerpt.replace("alpha bar", ""), (typed, excerpt)
        marked = page.locator("#found mark").all_inner_texts()
        assert all(marked), (typed, marked)


def test_one_can_walk_through_the_course(page, site):
    open_page(page, site, "index.html")
    page.locator(".contents a").first.click()
    page.wait_for_url(f"**/{NOTEBOOKS[0].stem}.html")
    seen = []
    while page.locator("[rel=next]").count():
        seen.append(Path(page.url).stem)
        after = page.locator("[rel=next]").get_attribute("href")
        page.locator("[rel=next]").click()
        page.wait_for_url(f"**/{after}")
    assert seen[: len(NOTEBOOKS)] == [path.stem for path in NOTEBOOKS]
    page.locator("[rel=prev]").click()
    page.wait_for_url(f"**/{seen[-1]}.html")


def test_the_keyboard_skips_to_the_text_and_reaches_the_menu(page, site):
    open_page(page, site, "01_gaussian_pdf.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    menu = page.get_by_role("navigation")
    wide = page.viewport_size["width"] > 1000
    assert menu.get_by_role("link").first.is_visible() == wide
    if not wide:
        menu.locator("summary").focus()
        page.keyboard.press("Enter")
    assert menu.locator("[aria-current=page]").is_visible()
    menu.get_by_role("link", name="Exercises").click()
    page.wait_for_url("**#exercises")


# What is folded, shown with the tiny lesson


@pytest.fixture
def tiny_lesson(page, small_site):
    open_page(page, small_site, f"{tiny.NAME}.html")
    return page


def open_sections(page):
    return page.evaluate("[...document.querySelectorAll('main details')].map((section) => section.open)")


def test_folded_code_opens_with_a_click(tiny_lesson):
    code = tiny_lesson.locator(".folded .code").first
    assert not code.is_visible()
    assert tiny_lesson.locator(".picture").first.is_visible()
    tiny_lesson.locator(".folded summary").first.click()
    assert code.is_visible()
    assert misfits(tiny_lesson) == []


def test_a_deeper_section_opens_by_its_heading(tiny_lesson):
    words = tiny_lesson.get_by_text("Quaternions")
    assert not words.is_visible()
    tiny_lesson.get_by_role("heading", name="Deeper: why").click()
    assert words.is_visible()
    assert not tiny_lesson.get_by_text("Thirds are left").is_visible()
    assert misfits(tiny_lesson) == []


def in_sight(page, place):
    top = place.bounding_box()["y"]
    return place.is_visible() and page.locator("header").bounding_box()["height"] <= top < page.viewport_size["height"]


def test_a_link_into_a_deeper_section_opens_it_each_time(tiny_lesson, small_site):
    crumbs = tiny_lesson.locator("#a-lemma-about-crumbs")
    for _ in range(2):
        tiny_lesson.get_by_role("link", name="Back to the crumbs").click()
        assert in_sight(tiny_lesson, crumbs)
        tiny_lesson.evaluate("document.querySelector('.deeper').open = false")
    open_page(tiny_lesson, small_site, "index.html")
    open_page(tiny_lesson, small_site, f"{tiny.NAME}.html", "#a-lemma-about-crumbs")
    assert in_sight(tiny_lesson, crumbs)


def test_it_opens_too_where_the_browser_leaves_that_to_the_page(tiny_lesson):
    """As Firefox and Safari long did: the address is the place's already, and nothing but the events tells the page."""
    crumbs = tiny_lesson.locator("#a-lemma-about-crumbs")
    tiny_lesson.evaluate("history.replaceState(null, '', '#a-lemma-about-crumbs')")
    assert not crumbs.is_visible()
    tiny_lesson.evaluate("dispatchEvent(new Event('hashchange'))")
    assert in_sight(tiny_lesson, crumbs)
    tiny_lesson.evaluate("document.querySelector('.deeper').open = false")
    tiny_lesson.evaluate("addEventListener('click', (event) => event.preventDefault(), { capture: true })")
    tiny_lesson.get_by_role("link", name="Back to the crumbs").click()
    assert in_sight(tiny_lesson, crumbs)


def test_deeper_sections_are_printed_and_closed_again(tiny_lesson):
    before = open_sections(tiny_lesson)
    tiny_lesson.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tiny_lesson.get_by_text("Quaternions").is_visible()
    assert tiny_lesson.get_by_text("Thirds are left").is_visible()
    assert not tiny_lesson.locator(".folded .code").first.is_visible()
    tiny_lesson.evaluate("dispatchEvent(new Event('afterprint'))")
    assert open_sections(tiny_lesson) == before
    assert not any(before)


# A card says what a link leads to


@pytest.mark.parametrize(("href", "told"), [
    ("glossary.html#term-", "The average squared distance"),
    ("reading.html#paper-ho-2020", "The paper that the course"),
    ("01_gaussian_pdf.html", "you leave with density"), ("#equation-", "="), ("#figure-", "Figure"),
])
def test_a_card_says_what_a_link_leads_to(page, site, href, told):
    open_page(page, site, "02_forward_markov_chain.html")
    links = page.locator(f'main a.ref[href^="{href}"]:visible')
    link = links.filter(has_text="variance").first if "term" in href else links.first
    card = page.locator("#card")
    link.scroll_into_view_if_needed()
    link.focus()
    page.keyboard.press("Shift+Tab")  # so that the focus is the keyboard's
    page.keyboard.press("Tab")
    assert card.is_visible()
    assert told in card.inner_text()
    assert link.get_attribute("aria-describedby") == "card"
    box, view = card.bounding_box(), page.viewport_size
    assert 0 <= box["x"] <= view["width"] - box["width"]
    assert box["y"] >= 0
    assert misfits(page) == []
    page.keyboard.press("Escape")
    assert not card.is_visible()
    link.hover()
    card.wait_for()
    card.hover()
    page.wait_for_timeout(400)
    assert card.is_visible(), "it may be read"
    page.mouse.move(1, 1)
    card.wait_for(state="hidden")


# An answer waits; a live picture moves


@pytest.fixture(scope="module")
def moving_site(site_of):
    """A site of the tiny lesson, with an answer that is covered, and a live picture with frames made beforehand."""
    notebook = tiny.notebook()
    covered.cover(notebook, guess=["Figure 1"], seen=["Two halves make one."])
    live = Live(lambda a, b: np.full((40, 90), 20 * a + b, dtype=np.uint8), "Greys.", "A square of even grey.",
                a=widgets.IntSlider(value=3, min=0, max=8, description="shade"),
                b=widgets.Dropdown(value=0, options=[("none", 0), ("a little", 9)], description="more"))
    shown = next(output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.data)
    shown.data |= {"text/plain": "Live(a=3, b=0)", framed.KIND: framed.frames_of(live)}
    return site_of({tiny.NAME: notebook})


@pytest.fixture
def moving(page, moving_site):
    open_page(page, moving_site, f"{tiny.NAME}.html")
    return page


def shade(page):
    """The grey that the live picture shows."""
    return page.locator(".moves-picture").evaluate("""async (picture) => {
        await picture.decode();
        const ink = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
        ink.drawImage(picture, 0, 0, 1, 1);
        return ink.getImageData(0, 0, 1, 1).data[0];
    }""")


def test_an_answer_is_uncovered_by_a_click_picture_and_words_at_once(moving):
    caption = moving.locator("#figure-1")
    assert not moving.locator(".figure").first.is_visible()
    assert not caption.is_visible()
    moving.get_by_text(covered.GUESS).click()
    assert caption.is_visible()
    assert moving.locator(".figure").first.is_visible()
    moving.get_by_text(covered.SEEN).click()
    assert moving.get_by_text("Two halves make one.").is_visible()
    assert misfits(moving) == []


def test_a_card_gives_no_answer_away(moving):
    link = moving.locator('a.ref[href="#figure-1"]')
    link.focus()
    moving.keyboard.press("Shift+Tab")
    moving.keyboard.press("Tab")
    assert not moving.locator("#card").is_visible()
    moving.get_by_text(covered.GUESS).click()
    link.focus()
    moving.keyboard.press("Shift+Tab")
    moving.keyboard.press("Tab")
    assert "Even grey." in moving.locator("#card").inner_text()
    assert moving.locator("#card img").is_visible()


def test_a_live_picture_moves_without_a_kernel(moving):
    moving.get_by_text(covered.GUESS).click()
    slider = moving.get_by_role("slider", name="shade")
    slider.focus()
    assert shade(moving) == 60
    assert not moving.locator(".moves > .picture").is_visible(), "the still has made room"
    for key, grey, told in (("ArrowRight", 80, "4"), ("End", 160, "8"), ("Home", 0, "0"), ("PageUp", 20, "1")):
        moving.keyboard.press(key)
        assert shade(moving) == grey
        assert slider.get_attribute("aria-valuetext") == told
    before = moving.evaluate("scrollY")
    moving.keyboard.press(" ")
    assert moving.evaluate("scrollY") == before, "the space bar does not turn the page"
    moving.get_by_label("more").select_option("a little")
    assert shade(moving) == 29
    assert moving.get_by_role("group", name="Greys.").is_visible()
    for control in moving.locator(".moves :is(input, select)").all():
        assert control.bounding_box()["height"] >= 24


def test_on_paper_it_is_a_still_and_all_answers_are_there(moving):
    moving.get_by_text(covered.GUESS).click()
    moving.locator(".moves.on").wait_for()
    moving.emulate_media(media="print")
    moving.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert moving.locator(".moves > .picture").is_visible()
    assert not moving.locator(".moves-box").is_visible()
    assert moving.get_by_text("Two halves make one.").is_visible()
    assert not moving.get_by_text(covered.GUESS).is_visible(), "a bar that nobody can click"
    assert not moving.locator(".folded summary").first.is_visible()


# Copying, and links to figures and equations


def test_code_is_copied_by_a_button(page, site):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, site, "02_forward_markov_chain.html")
    block = page.locator("main .code:visible").first
    if page.viewport_size["width"] < 600:
        assert not block.get_by_role("button", name="Copy").is_visible()
        return
    block.hover()
    block.get_by_role("button", name="Copy").click()
    code = block.locator("pre").text_content().rstrip()
    page.wait_for_function("code => navigator.clipboard.readText().then(text => text === code)", arg=code)


@pytest.mark.parametrize("place", [".equation[id]", "[id^=figure-]"])
def test_figures_and_equations_have_a_link_of_their_own(page, site, place):
    open_page(page, site, "02_forward_markov_chain.html")
    place = page.locator(f"main {place}:visible").first
    link = place.get_by_label("Link to this place")
    assert link.get_attribute("href") == "#" + place.get_attribute("id")
    assert misfits(page) == []
    link.focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#" + place.get_attribute("id")) or page.viewport_size["width"] < 600
