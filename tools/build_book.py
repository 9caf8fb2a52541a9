"""Print the site as a book, build/diffusion-lab.pdf: all lessons, notation and glossary, with links and an outline.

    python tools/build_book.py      what `make book` runs, after the site

What moves is a film strip, and all that is folded is open, but for code that draws. It needs Chromium.
"""

import re
from html import escape

from browser import CHROMIUM, HOW_TO_INSTALL, browser, new_page
from build_notebooks import ROOT
from build_site import COURSE, TARGET

BOOK = ROOT / "build" / "diffusion-lab.pdf"
AFTER = ("notation", "glossary", "reading")
FOOT = ('<div style="width: 100%; text-align: center; font: 9px sans-serif; color: #5b6167">'
        '<span class="pageNumber"></span></div>')
PATIENCE = 600_000  # ms


def chapter(name, page, names):
    """The text of a page of the site, for a book in which `names` are chapters: links between them stay inside."""
    page = re.sub(r'<p class="run">.*?</p>', "", page, flags=re.DOTALL)
    body = re.search(r'<main id="main"[^>]*>(.*)<p class="neighbours">', page, flags=re.DOTALL)[1]
    for gone in (r"<iframe.*?</iframe>", r'<details class="folded">.*?</details>', r"<script.*?</script>",
                 r'<pre class="output">Not attempted yet.*?</pre>', r'<div class="alive".*?</noscript></div>'):
        body = re.sub(gone, "", body, flags=re.DOTALL)
    body = re.sub(r"<details(?! open)", "<details open", body)
    body = body.replace(' id="', f' id="{name}--').replace('href="#', f'href="#{name}--')
    for other in names:
        body = body.replace(f'href="{other}.html#', f'href="#{other}--')
        body = body.replace(f'href="{other}.html"', f'href="#{other}"')
    body = re.sub(r'<a href="[\w.]+\.html[^"]*">(.*?)</a>', r"\1", body, flags=re.DOTALL)  # to a page that is not in it
    return f'<section class="chapter" id="{name}">\n{body}</section>\n'


def book(site):
    """The book as one page of HTML, to lie in the folder of the site."""
    titles = {lesson.name: f"{lesson.number} · {lesson.title}" for lesson in COURSE.lessons}
    titles |= {document.page: document.title for document in COURSE.documents if document.page in AFTER}
    names = [name for name in titles if (site / f"{name}.html").exists()]
    rows = "".join(f'<li><a href="#{name}">{escape(titles[name])}</a></li>\n' for name in names)
    chapters = "".join(chapter(name, (site / f"{name}.html").read_text(encoding="utf-8"), names) for name in names)
    return f"""\
<!doctype html>
<html lang="en" data-theme="light">
<head><meta charset="utf-8"><title>Diffusion Lab</title><link rel="stylesheet" href="site.css"></head>
<body class="book"><main>
<section class="cover"><h1>Diffusion Lab</h1>
<p>From noise to digits, and how it works</p>
<img src="share.png" alt=""><ol>
{rows}</ol></section>
{chapters}</main></body></html>
"""


def main(site=TARGET, target=BOOK):
    if CHROMIUM is None:
        raise SystemExit(HOW_TO_INSTALL)
    if not (site / "index.html").exists():
        raise SystemExit(f"There is no site in {site}: make it first, by `make site`.")
    page_file = site / "book.html"
    page_file.write_text(book(site), encoding="utf-8")
    try:
        with browser() as chromium:
            page = new_page(chromium)
            page.set_default_timeout(PATIENCE)
            page.goto(page_file.as_uri())
            page.evaluate("document.fonts.ready")
            page.pdf(path=target, format="A4", print_background=True, outline=True, tagged=True,
                     display_header_footer=True, header_template="<span></span>", footer_template=FOOT,
                     margin={"top": "17mm", "bottom": "19mm", "left": "18mm", "right": "18mm"})
    finally:
        page_file.unlink()
    print(f"the book is {target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
