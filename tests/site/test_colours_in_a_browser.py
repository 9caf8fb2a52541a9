"""Light and dark: the system's choice, the reader's switch, and text that can be read in both."""

import pytest
import tiny
from browser import CHROMIUM, HOW_TO_INSTALL, browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)]

# Texts whose colour stands out too little from what is behind them, by the ratio of WCAG 2.
FAINT = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => numbers(colour).slice(0, 3)
    .map((value) => value / 255).map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    const colour = getComputedStyle(node).backgroundColor, alpha = numbers(colour)[3] ?? 1;
    return alpha > 0.5 ? colour : behind(node.parentElement);
  };
  const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  const told = [...document.querySelectorAll("body :not(.here, .skip)")]
    .filter((node) => node.checkVisibility() && hasText(node));
  return told.flatMap((node) => {
    const [low, high] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    return ratio < 4.5 ? [`${node.outerHTML.slice(0, 60)}: ${ratio.toFixed(1)}`] : [];
  });
}"""


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_system_decides_and_all_text_can_be_read(chromium, small_site, theme):
    context = chromium.new_context(offline=True, color_scheme=theme)
    page = context.new_page()
    for name in ("index.html", f"{tiny.NAME}.html", "glossary.html"):
        page.goto((small_site / name).as_uri())
        assert page.locator("html").get_attribute("data-theme") == theme
        assert page.evaluate(FAINT) == [], name
    page.emulate_media(media="print")
    assert page.locator("body").evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(255, 255, 255)"
    context.close()


def test_the_switch_changes_the_colours_and_is_remembered(chromium, small_site):
    context = chromium.new_context(offline=True, color_scheme="light")
    page = context.new_page()
    page.goto((small_site / "index.html").as_uri())
    switch = page.get_by_role("button", name="Dark colours")
    assert switch.get_attribute("aria-pressed") == "false"
    switch.click()
    page.goto((small_site / "glossary.html").as_uri())
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert switch.get_attribute("aria-pressed") == "true"
    switch.click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "light"
    context.close()
