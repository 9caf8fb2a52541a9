"""Move every slider of the built site and of the built decks, in a browser, and say what stands still.

    python tools/try_pages.py            build/site and build/slides
    python tools/try_pages.py 03 08      these lessons

Needs Chromium. A player, a live picture with frames, a choice: each must show another picture at its last place than at
its first. The network of a page must finish a digit. Exits with 1 if something stands still or a page complains.
"""

import sys

import build_site
import build_slides
from browser import browser
from look_at_slides import opened


def ends(control, shown):
    """What is shown at both ends of a slider or of a choice."""
    if control.evaluate("node => node.tagName") == "SELECT":
        labels, before = control.locator("option").all_text_contents(), control.input_value()
        for label in (labels[0], labels[-1]):
            control.select_option(label=label)
            yield shown()
        control.select_option(before)
    else:
        before = control.input_value()
        for key in ("Home", "End"):
            control.press(key)
            yield shown()
        control.evaluate("(node, before) => { node.value = before; node.dispatchEvent(new Event('input')); }", before)


def still(box, picture, controls):
    """The names of those controls of a picture that change nothing."""
    def shown():
        return box.locator(picture).first.evaluate("node => node.src ?? node.toDataURL()")

    names = []
    for control in box.locator(controls).all():
        first, last = ends(control, shown)
        if first == last:
            names.append(control.get_attribute("aria-label"))
    return names


def tried(page):
    """(how many pictures move, what stands still) of what is in sight on a page or on a slide."""
    moving, wrong = 0, []
    for place in page.locator(".moves:visible").all():
        place.scroll_into_view_if_needed()
        place.locator(".moves-picture").wait_for()
        found = still(place, ".moves-picture", "input, select")
        wrong += [f"{place.get_by_role('group').first.get_attribute('aria-label')[:50]}: {name}" for name in found]
        moving += not found
    for place in page.locator(".player iframe:visible").all():
        place.scroll_into_view_if_needed()
        player = place.content_frame
        player.locator(".scrubber-slider").first.wait_for()
        found = still(player, "img", ".scrubber-slider")
        wrong += [f"a player: {name}" for name in found]
        moving += not found
    return moving, wrong


def tried_page(chromium, path):
    """The same of a page of the site, with all that is folded open; and of the network, if one lives there."""
    page, asked, errors = opened(chromium, path, ready="document.readyState === 'complete'")
    page.evaluate("document.querySelectorAll('main details').forEach(each => each.open = true)")
    moving, wrong = tried(page)
    lives = page.locator(".figure:not(.moves):has(> .live), .moves:not(.on)").count()
    wrong += [f"{lives} live pictures without frames"] if lives else []
    if page.locator(".alive").count():
        page.locator(".alive-digits button", has_text="5").click()
        page.locator(".alive").get_by_text("Finished").first.wait_for()
        moving += 1
    page.context.close()
    return moving, wrong + errors


def tried_deck(chromium, path):
    """The same of a deck, slide by slide."""
    page, asked, errors = opened(chromium, path)
    total, wrong = 0, []
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate(f"Reveal.slide({number})")
        moving, found = tried(page.locator("section.present"))
        total += moving
        wrong += [f"slide {number + 1}: {one}" for one in found]
    page.context.close()
    return total, wrong + errors


def main(*chosen):
    bad = 0
    with browser() as chromium:
        for folder, trial in ((build_site.TARGET, tried_page), (build_slides.TARGET, tried_deck)):
            for path in sorted(folder.glob("*.html")):
                is_list = trial is tried_deck and path.stem == "index"
                if is_list or path.name.count(".") > 1 or (chosen and not path.name.startswith(chosen)):
                    continue
                moving, wrong = trial(chromium, path)
                bad += len(wrong)
                if moving or wrong:
                    print(f"{folder.name}/{path.stem}: {moving} move", *wrong, sep="\n    ", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
