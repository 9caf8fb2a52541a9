"""The site: every link leads somewhere, nothing comes from a network, the search knows all; what is folded in it."""

import json
import re
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import unquote

import addresses
import build_book
import build_site
import nbformat
import pytest
import tiny
from course import NOTEBOOKS, ROOT
from PIL import Image
from render import Formulas, Text, outputs

ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


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


def leads_nowhere(link, here, anchors, site):
    name, _, anchor = unquote(link).partition("#")
    return not (site / name).is_file() if not anchor else anchor not in anchors.get(name or here, ())


def test_every_notebook_and_document_has_a_page(pages):
    documents = [document.page for document in build_site.COURSE.documents]
    plans = [f"{path.parent.name}.teaching" for path in (ROOT / "lessons").glob("*/teaching.md")]
    names = ["index", *documents, *(path.stem for path in NOTEBOOKS), *plans]
    assert sorted(pages) == sorted(f"{name}.html" for name in names)
    assert "notation" in documents


def test_a_lesson_and_the_page_on_teaching_lead_to_its_plan(pages):
    for name in ("01_gaussian_pdf.html", "teaching.html"):
        assert "01_gaussian_pdf.teaching.html" in [attributes.get("href") for _, attributes in pages[name]], name


def test_the_front_page_says_what_a_reader_leaves_with(site):
    index = (site / "index.html").read_text(encoding="utf-8")
    lesson = build_site.LESSONS["01_gaussian_pdf"]
    assert f"You leave with {escape(lesson.leaves)}." in index
    assert index.index(build_site.COURSE.parts[0].title) < index.index(escape(lesson.leaves))
    assert build_site.COURSE.parts[0].title in index


def test_the_network_is_alive_on_the_front_page_and_where_notebooks_let_it_draw(pages):
    places = {name: [attributes.get("class") for _, attributes in elements].count("alive")
              for name, elements in pages.items()}
    assert [name for name, n in places.items() if n == 1] == ["00_start_here.html", "08_sampling.html", "index.html"]
    assert sum(places.values()) == 3
    for name, elements in pages.items():
        assert ("script", {"src": "alive.js"}) not in elements or places[name], name


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
        assert len(inside) > len(NOTEBOOKS)
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


def test_a_page_says_nothing_that_is_true_of_a_notebook_alone(site):
    for path in site.glob("[0-9][0-9]_*.html"):
        page = path.read_text(encoding="utf-8")
        assert "grey cell" not in page, path.name
        assert not re.search(r"<pre[^>]*>Not attempted yet", page), path.name


def test_the_search_knows_every_section_and_its_address(pages, anchors, site):
    index = (site / "search-index.js").read_text(encoding="utf-8")
    entries = json.loads(index.removeprefix("window.SEARCH_INDEX = ").rstrip(";\n"))
    assert not [entry["url"] for entry in entries if leads_nowhere(entry["url"], "", anchors, site)]
    headings = sum(tag in ("h1", "h2", "h3") and "id" in attributes for name, elements in pages.items()
                   for tag, attributes in elements if name != "index.html")
    terms = [entry for entry in entries if entry.get("term")]
    papers = [entry for entry in entries if "#paper-" in entry["url"]]
    assert len(entries) == headings + len(terms) + len(papers)
    assert len(papers) > 70
    rows = re.findall(r"^\| (?!term )", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(terms) == len(rows) > 150
    assert not [entry for entry in entries if not entry["title"] or "\x02" in entry["text"] + entry["title"]]


def test_each_page_says_what_it_is_and_has_an_icon_and_a_picture_to_share(site):
    described = {}
    for path in site.glob("*.html"):
        page = path.read_text(encoding="utf-8")
        told = re.search(r'<meta name="description" content="([^"]+)">', page)[1]
        assert 20 < len(unescape(told)) <= 202, path.name
        assert not re.search(r"\\|\$|\x02|<|mathcal", unescape(told)), told
        assert told not in described, (path.name, described.get(told))
        described[told] = path.name
        assert f'<meta property="og:description" content="{told}">' in page
        assert f'<meta property="og:url" content="{addresses.SITE}{path.name}">' in page
        assert f'<meta property="og:image" content="{addresses.SITE}share.png">' in page
    for name, size in (("share.png", (1200, 630)), ("favicon.png", (56, 56))):
        assert Image.open(site / name).size == size
    assert addresses.SITE == "https://diffusion-lab.github.io/diffusion-lab/"


def test_the_first_picture_of_the_readme_moves_is_small_and_has_no_slab():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme.index('src="docs/drawn.png"') < readme.index("[![")
    path = ROOT / "docs" / "drawn.png"
    assert path.stat().st_size < 500_000
    picture = Image.open(path)
    assert picture.n_frames == 11
    assert picture.convert("RGBA").getpixel((86, 10))[3] == 0, "between the squares one sees the page, light or dark"


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


# What is folded, shown with the tiny lesson


def tiny_page(site):
    return (site / f"{tiny.NAME}.html").read_text(encoding="utf-8")


def test_what_guards_the_text_is_left_out(small_site):
    for path in small_site.iterdir():
        if path.suffix in (".html", ".js"):
            assert "guards a sentence" not in path.read_text(encoding="utf-8"), path.name
    assert "This is" in tiny_page(small_site), "where taught code lives in the package is said"


def test_only_code_that_draws_is_folded_and_its_picture_is_not(small_site):
    folded = re.findall(r'<details class="folded"><summary>code</summary>(.*?)</details>(.*?)\n', tiny_page(small_site),
                        flags=re.DOTALL)
    assert len(folded) == 2
    for code, after in folded:
        assert "half" in code
        assert "<img" not in code
        assert "<img" in after


def test_a_deeper_section_ends_where_the_next_begins_or_the_section_does(small_site):
    deeper = re.findall(r'<details class="deeper">.*?(?=<details class="deeper">|<h2)', tiny_page(small_site),
                        flags=re.DOTALL)
    assert len(deeper) == 2
    for section in deeper:
        assert section.count("<details") == section.count("</details>")
        assert section.rstrip().endswith("</details>")
    assert "crumbs</h4>" in deeper[0]


def test_the_search_knows_what_is_folded(small_site):
    index = (small_site / "search-index.js").read_text(encoding="utf-8")
    entries = json.loads(index.removeprefix("window.SEARCH_INDEX = ").rstrip(";\n"))
    [entry] = [entry for entry in entries if "Quaternions" in entry["text"]]
    assert entry["title"] == "Deeper: why a half is a half"
    assert "Crumbs add up." in entry["text"]
    assert "Thirds" not in entry["text"]


def test_the_book_has_all_lessons_and_its_links_stay_inside(site):
    page = build_book.book(site)
    known = set(re.findall(r' id="([^"]+)"', page))
    assert {path.stem for path in NOTEBOOKS} | set(build_book.AFTER) <= known
    links = re.findall(r'href="([^"]+)"', page)
    assert [link for link in links if link.startswith("#") and unquote(link[1:]) not in known] == []
    assert [link for link in links if ".html" in link and not link.startswith("http")] == []
    assert "<iframe" not in page
    assert "<script" not in page
    assert re.findall(r"<details(?! open)", page) == []
