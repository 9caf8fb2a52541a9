"""The site: every link leads somewhere, nothing comes from a network, and it works in a browser, wide and narrow.

It is built from the committed notebooks, with a player in the first. What needs Node.js or Chromium is skipped where
they are missing.
"""

import json
import re
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import build_site
import bundled
import nbformat
import numpy as np
import pytest
from course import NOTEBOOKS
from render import Formulas, Text, outputs

from diffusion_lab.view.scrubber import Scrubber

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from lab import CHROMIUM, HOW_TO_INSTALL, browser

ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")
SIZES = {"projector": (1280, 720), "phone": (390, 844)}


class Elements(HTMLParser):
    """All start tags of a page, as (tag, attributes); those of a frame's page in `srcdoc` too."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if "srcdoc" in dict(attrs):
            self.found += Elements(dict(attrs)["srcdoc"]).found


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
    target = tmp_path_factory.mktemp("built") / "site"
    if without_katex:
        build_site.build(target, notebooks, typeset=lambda formulas: [f"<i>{escape(tex)}</i>" for tex, _ in formulas])
    else:
        build_site.build(target, notebooks)
        bundled.copy_katex(target)
    return target


@pytest.fixture(scope="module")
def pages(site):
    """{file name: its elements}."""
    return {path.name: Elements(path.read_text(encoding="utf-8")).found for path in sorted(site.glob("*.html"))}


@pytest.fixture(scope="module")
def anchors(pages):
    """{file name: the anchors in it}; fails where two places of a page have the same."""
    found = {name: [attributes["id"] for _, attributes in elements if "id" in attributes]
             for name, elements in pages.items()}
    for name, places in found.items():
        assert len(places) == len(set(places)), name
    return {name: set(places) for name, places in found.items()}


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


def leads_nowhere(link, here, anchors, site):
    name, _, anchor = unquote(link).partition("#")
    return not (site / name).is_file() if not anchor else anchor not in anchors.get(name or here, ())


def test_every_notebook_and_document_has_a_page(pages):
    documents = build_site.DOCUMENTS.values()
    assert set(pages) == {f"{name}.html" for name in ["index", *documents, *(path.stem for path in NOTEBOOKS)]}
    assert "notation" in documents


def test_no_document_is_missed(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in [*build_site.DOCUMENTS, "README.md"]:
        (tmp_path / name).touch()
    build_site.check_documents(tmp_path)
    (tmp_path / "docs" / "new.md").touch()
    (tmp_path / "docs" / "faq.md").unlink()
    with pytest.raises(ValueError, match=r"repository: docs/faq\.md, docs/new\.md\."):
        build_site.check_documents(tmp_path)


def test_every_link_leads_somewhere(pages, anchors, site):
    for name, elements in pages.items():
        links = [attributes["href"] for _, attributes in elements if "href" in attributes]
        inside = [link for link in links if not ELSEWHERE.match(link)]
        assert len(inside) > len(pages)
        broken = [link for link in inside if leads_nowhere(link, name, anchors, site)]
        assert broken == [], name
        assert not [link for link in links if re.match(r"(file|data|javascript):", link)], name


def test_every_picture_has_an_alt_text_and_every_player_a_name(pages):
    for name, elements in pages.items():
        for tag, attributes in elements:
            if tag == "img":
                assert len(attributes["alt"].split()) > 2, name
                assert attributes["src"].startswith("data:"), name
            if tag == "iframe":
                assert attributes["title"], name
    assert [tag for tag, _ in pages["00_start_here.html"]].count("iframe") == 1


def test_nothing_comes_from_a_network(pages, site):
    for name, elements in pages.items():
        for tag, attributes in elements:
            asked = [attributes.get("src"), attributes.get("href") if tag == "link" else None]
            assert not [address for address in asked if address and re.match(r"(https?:)?//", address)], name
    assert not re.search(r"url\([\"']?(https?:)?//|@import [\"']", (site / "site.css").read_text(encoding="utf-8"))


def test_no_formula_is_left_as_it_was_typed(site):
    for path in site.glob("*.html"):
        text = re.sub(r"<(pre|code|annotation|iframe|script)\b.*?</\1>|<[^>]*>", " ", path.read_text(encoding="utf-8"),
                      flags=re.DOTALL)
        assert re.findall(r".{0,40}\$.{0,40}", text) == [], path.name


def test_the_search_knows_every_section_and_its_address(pages, anchors, site):
    index = (site / "search-index.js").read_text(encoding="utf-8")
    entries = json.loads(index.removeprefix("window.SEARCH_INDEX = ").rstrip(";\n"))
    assert not [entry["url"] for entry in entries if leads_nowhere(entry["url"], "", anchors, site)]
    headings = sum(tag in ("h1", "h2", "h3") and "id" in attributes for name, elements in pages.items()
                   for tag, attributes in elements if name != "index.html")
    assert len(entries) == headings
    assert not [entry for entry in entries if not entry["title"] or "\x02" in entry["text"] + entry["title"]]


def test_the_search_shows_prose_before_code():
    body = '<h2 id="a">A</h2><div class="code"><pre>x = 1</pre></div><p>Words.</p><pre class="output">1</pre>'
    page = build_site.Page("p", f"<h1>P</h1>{body}", [(1, "p", "P"), (2, "a", "A")])
    assert [entry["text"] for entry in build_site.search_entries(page, Formulas())] == ["Words. x = 1 1"]


def test_a_short_formula_stays_with_its_punctuation():
    formulas = Formulas()
    long = r"\mathbb E\,[x_0 \mid x_t]" + 10 * " + 1"
    page = Text(formulas).render(f"At $t = 5$ (or $x$), and ${long}$.\n\n$$ y $$")
    filled = formulas.fill(page, ["<i>t = 5</i>", "<i>x</i>", "<i>long</i>", "<i>y</i>"])
    assert '<span class="whole"><i>t = 5</i></span> (or <span class="whole"><i>x</i>),</span> and' in filled
    assert "<i>long</i>.</p>" in filled
    assert filled.count("whole") == 2


def test_a_printed_table_keeps_its_lines():
    printed = nbformat.v4.new_output("stream", text="steps   loss\n   10   0.96\n")
    assert '"output aligned"' in outputs(nbformat.v4.new_code_cell("f()", outputs=[printed]))
    printed.text = "mean 3.0 (should be 3), variance 4.0\n"
    assert '"output"' in outputs(nbformat.v4.new_code_cell("f()", outputs=[printed]))


def open_page(page, site, name):
    page.goto((site / name).as_uri())
    page.evaluate("document.fonts.ready")


OVERFLOWING = """() => {
  const wide = document.documentElement.clientWidth, scrolls = (node) => node && node !== document.documentElement
    && (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  return [document.documentElement.scrollWidth > wide ? "the page" : "",
    ...[...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right > wide + 1
      && !scrolls(node) && !node.closest(".katex-mathml, svg")).map((node) => node.outerHTML.slice(0, 200)),
  ].filter(Boolean);
}"""


def test_each_page_fits_is_set_and_complains_of_nothing(page, site, pages):
    for name in pages:
        open_page(page, site, name)
        assert page.evaluate(OVERFLOWING) == [], name
        for picture in page.locator("main img").all():
            assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 0
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
    player.get_by_label("Play").click()
    page.wait_for_timeout(600)
    player.get_by_label("Pause").click()
    assert 1 <= int(label.inner_text().split()[-1]) < 30
    assert player.get_by_alt_text("A grey square.").is_visible()
    cut = page.evaluate("""() => {
        const frame = document.querySelector("iframe"), inside = frame.contentDocument.documentElement;
        return [inside.scrollHeight - frame.clientHeight, inside.scrollWidth - frame.clientWidth];
    }""")
    assert max(cut) <= 0


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
    heading = page.locator("#" + re.sub(r"([^\w-])", r"\\\1", target.partition("#")[2]))
    top = heading.bounding_box()["y"]
    assert page.locator("header").bounding_box()["height"] <= top < 300, "in sight, and not beneath the header"
    page.keyboard.press("/")
    page.keyboard.type("posterior zebra")
    assert page.locator("#found").inner_text() == "Nothing found."
    page.keyboard.press("Escape")
    assert not page.locator("#found").is_visible()


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
