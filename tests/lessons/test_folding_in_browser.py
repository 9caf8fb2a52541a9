"""In JupyterLab: a deep section is closed, drawing code and claims are folded; both open by a click, and all runs."""

import build_notebooks
import nbformat
import pytest
from browser import CHROMIUM, HOW_TO_INSTALL, browser, jupyter_lab, open_notebook, run_all
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason=HOW_TO_INSTALL)]

CELLS = [
    new_markdown_cell("# Title\n\nThe story.\n\n### Deeper: a proof\n\nProved in words.\n\n$$ x^2 $$"),
    new_code_cell("deep = 1\nprint('deep', 'output')"),
    new_markdown_cell("Proved to the end.\n\n## Next section\n\nThe story goes on."),
    new_code_cell("# drawn\nprint('the', 'picture')", metadata={"tags": ["figure"]}),
    new_code_cell("# claimed\nassert deep == 1", metadata={"tags": ["claim"]}),
    new_code_cell("print('the', 'end')"),
]
SEEN = """() => [...document.querySelectorAll(".jp-Notebook .jp-Cell")].filter((cell) => cell.offsetHeight)
  .map((cell) => cell.querySelector(".jp-RenderedMarkdown:not(.lm-mod-hidden)")?.innerText || cell.innerText)
  .join("\\n")"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The notebook, built and opened."""
    folder = tmp_path_factory.mktemp("lab")
    notebook = new_notebook(cells=CELLS, metadata=build_notebooks.METADATA)
    build_notebooks.close_deeper_sections(notebook)
    build_notebooks.fold(notebook)
    nbformat.write(notebook, folder / "lesson.ipynb")
    with browser() as chromium, jupyter_lab(folder) as address:
        page = chromium.new_page()
        open_notebook(page, address, "lesson.ipynb")
        page.get_by_text("3 cells hidden").wait_for()
        yield page


def test_a_deep_section_is_closed_and_opens_by_a_click(page):
    seen = page.evaluate(SEEN)
    assert "Deeper: a proof" in seen
    assert "The story goes on." in seen
    assert "Proved" not in seen
    assert "deep = 1" not in seen
    page.locator(".jp-showHiddenCellsButton:visible").click()
    page.wait_for_function(f"() => ({SEEN})().includes('Proved in words.')")
    seen = page.evaluate(SEEN)
    assert "Proved to the end." in seen
    assert "deep = 1" in seen


def test_folded_code_runs_and_opens_by_a_click(page):
    assert "print('the', 'picture')" not in page.evaluate(SEEN)
    assert "assert deep" not in page.evaluate(SEEN)
    run_all(page)
    page.get_by_text("the end", exact=True).wait_for()
    seen = page.evaluate(SEEN)
    assert "the picture" in seen
    assert "AssertionError" not in seen
    page.locator(".jp-InputPlaceholder", has_text="drawn").click()
    page.wait_for_function(f"""() => ({SEEN})().includes("print('the', 'picture')")""")
