"""Every relative link leads somewhere: in the documents, and in the notebooks, here and in the reader's copy."""

import re

import nbformat
import pytest
from course import NOTEBOOKS, ROOT

DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "NOTATION.md", "TEACHING.md",
                                      "diffusion_lab/data/README.md")]
DOCUMENTS += sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "lessons").glob("*/teaching.md")])
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:")


def links(text):
    """The targets of all links and pictures in some Markdown, code and formulas aside."""
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$", "x", text, flags=re.DOTALL)
    return re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(r"""(?:href|src)=["']([^"']+)""", text)


def anchors(text):
    """The anchors that GitHub gives the headings of some Markdown."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(text, folder):
    """The links of some Markdown in `folder` that lead nowhere."""
    found = []
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = folder / path
        if ELSEWHERE.match(link):
            continue
        if path and not target.exists():
            found.append(link)
        elif anchor and (not path or path.endswith(".md")):
            headings = anchors(target.read_text(encoding="utf-8") if path else text)
            found += [link] if anchor not in headings else []
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_document(path):
    assert broken(path.read_text(encoding="utf-8"), path.parent) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_of_a_notebook_here_and_in_my_notebooks(path):
    text = "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    local = [link.partition("#")[0] for link in links(text) if not ELSEWHERE.match(link) and not link.startswith("#")]
    assert [link for link in local if not (path.parent / link).exists()] == []
    beside = {notebook.name for notebook in NOTEBOOKS}  # what tools/working_copy.py puts into my-notebooks/
    assert [link for link in local if link not in beside and not link.startswith("../")] == []
