"""Whether what a browser shows fits where it is shown: a page of the site in its window, or a slide of a deck."""

from pathlib import Path

SCRIPT = Path(__file__).with_name("fits.js").read_text(encoding="utf-8")


def misfits(page, on_slide=False):
    """What does not fit, as sentences. page: a browser's; on_slide: it shows a deck, whose present slide is meant."""
    return page.evaluate(SCRIPT, on_slide)
