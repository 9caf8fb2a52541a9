"""The decks in a browser, at projector size and without a network: nothing overflows, and keys go where they belong."""

import build_slides
import bundled
import pytest
from browser import CHROMIUM, HOW_TO_INSTALL, browser
from decks import LESSONS, source, with_players
from fits import misfits
from look_at_slides import each_slide, opened

pytestmark = pytest.mark.slow
WIDE, SQUARE = (200, 600), (300, 300)  # the sizes of the players' frames: below the text, and beside it


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip(HOW_TO_INSTALL)
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All decks, twice: with wide players and with square ones."""
    try:
        bundled.installed()
    except SystemExit as reason:
        pytest.skip(str(reason))
    target = tmp_path_factory.mktemp("slides")
    build_slides.copy_assets(target)
    for name in LESSONS:
        for deck, size in ((name, WIDE), (f"{name}.square", SQUARE)):
            build_slides.write(target, deck, build_slides.deck(source(name), with_players(name, *size)))
    build_slides.write_index(target)
    return target


@pytest.fixture
def deck(chromium, folder):
    """Opens a deck; afterwards it must have asked no network, and have no errors."""
    contexts = []

    def open_deck(name):
        page, asked, errors = opened(chromium, folder / f"{name}.html")
        contexts.append((page.context, asked, errors))
        return page

    yield open_deck
    for context, asked, errors in contexts:
        context.close()
        assert errors == []
        assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []


@pytest.mark.parametrize("name", LESSONS)
def test_nothing_overflows_on_any_slide(deck, name):
    page = deck(name)
    wrong = {number: sentences for number, sentences in each_slide(page) if sentences}
    assert wrong == {}
    assert page.evaluate("document.fonts.check('30px \"Source Sans Pro\"') && document.fonts.check('30px KaTeX_Main')")


@pytest.mark.parametrize("name", LESSONS)
def test_nothing_overflows_where_a_player_stands_beside_the_text(deck, name):
    page = deck(f"{name}.square")
    with_player = page.evaluate("Reveal.getSlides().flatMap((slide, i) => slide.querySelector('iframe') ? [i] : [])")
    for i in with_player:
        page.evaluate(f"Reveal.slide({i})")
        assert misfits(page, on_slide=True) == [], i + 1


@pytest.fixture
def at_the_player(deck):
    """The first deck with a player after its first slide, open at that slide; with the player's frame."""
    for name in LESSONS:
        page = deck(name)
        place = page.evaluate("Reveal.getSlides().findIndex((slide) => slide.querySelector('iframe'))")
        if place > 0:
            page.evaluate(f"Reveal.slide({place})")
            return page, page.frame_locator("section.present iframe"), place
    return pytest.fail("no deck has a player")


def here(page):
    return page.evaluate("Reveal.getIndices().h")


def test_the_keys_of_a_player_move_its_time_and_never_the_slide(at_the_player):
    page, player, place = at_the_player
    label = player.locator(".scrubber-label")
    page.keyboard.press("t")
    for key, shown in [("ArrowRight", 1), ("ArrowUp", 2), ("PageUp", 5), ("End", 30), ("ArrowLeft", 29),
                       ("PageDown", 26), ("Home", 0), ("ArrowLeft", 0), ("ArrowRight", 1)]:
        page.keyboard.press(key)
        assert label.inner_text().startswith(f"t = {shown} "), key
        assert here(page) == place, key
    page.keyboard.press("Space")
    player.locator("[aria-label=Pause]").wait_for()
    assert here(page) == place


@pytest.mark.parametrize("way", ["Escape", "click"])
def test_one_comes_back_to_the_slides(at_the_player, way):
    page, player, place = at_the_player
    player.locator(".scrubber-slider").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape") if way == "Escape" else page.mouse.click(640, 20)
    page.keyboard.press("ArrowLeft")
    assert here(page) == place - 1
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert here(page) == place + 1
    page.evaluate(f"Reveal.slide({place})")
    assert player.locator(".scrubber-label").inner_text().startswith("t = 1 ")


def test_a_player_that_plays_stops_when_the_slide_is_turned(at_the_player):
    page, player, place = at_the_player
    page.clock.install(time=0)
    page.clock.pause_at(1)  # from now on, time passes only where the test says so
    player.locator("[aria-label=Play]").click()
    page.clock.run_for(350)
    label = player.locator(".scrubber-label").inner_text()
    assert not label.startswith("t = 0 ")
    page.evaluate("Reveal.next()")
    page.evaluate("Reveal.prev()")
    page.clock.run_for(350)
    assert player.locator(".scrubber-label").inner_text() == label
    page.keyboard.press("ArrowRight")
    assert here(page) == place + 1


def test_the_speaker_has_the_notes_with_formulas(deck):
    page = deck("02_forward_markov_chain")
    page.evaluate("Reveal.slide(3)")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = popup.value.locator(".speaker-controls-notes .value")
    notes.locator("math").first.wait_for()
    assert "variance preserving" in notes.inner_text()


def test_the_notes_on_paper_and_the_index(deck, folder):
    page = deck("02_forward_markov_chain").context.new_page()
    page.goto((folder / "02_forward_markov_chain.notes.html").as_uri())
    assert page.locator("article").count() >= 12
    assert page.locator("article math").count() > 12
    assert page.evaluate("document.documentElement.scrollWidth <= 1280")
    page.goto((folder / "index.html").as_uri())
    page.get_by_role("link").first.click()
    page.wait_for_function("window.Reveal && Reveal.isReady()")


def test_printed_to_pdf_each_slide_is_a_page_and_each_player_a_film_strip(deck, folder):
    page = deck("03_reverse_posterior").context.new_page()
    page.goto((folder / "03_reverse_posterior.html").as_uri() + "?print-pdf")
    page.locator(".pdf-page").last.wait_for()
    pdf = page.pdf(prefer_css_page_size=True)
    slides = page.locator(".pdf-page").count()
    assert not page.locator("iframe").first.is_visible()
    assert page.locator(".still").first.bounding_box()["height"] > 100, "the film strip, in the place of the player"
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == slides >= 12
