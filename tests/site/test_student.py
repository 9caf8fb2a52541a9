"""What `make student` hands out: no solution, no output, links that lead somewhere, and a package that can be used."""

import json
import os
import re
import subprocess
import sys
import zipfile

import build_student
import nbformat
import pytest
from course import NOTEBOOKS, cells

SHORTEST = 12  # characters; shorter lines say too little to be a solution


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("class") / "student"
    assert build_student.build(target) == len(NOTEBOOKS)
    return target


@pytest.fixture(scope="module")
def package(folder, tmp_path_factory):
    """The handed out package, unpacked as pip does."""
    [wheel], target = folder.glob("*.whl"), tmp_path_factory.mktemp("package")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def folded_solutions(path):
    """The text that is folded beneath the word Solution, for each exercise of a notebook."""
    folded = [cell.source.partition("<summary>Solution</summary>")[2].partition("</details>")[0]
              for cell in cells(path, "markdown", "solution")]
    assert all(folded)
    assert len(folded) == len(cells(path, "code", "exercise"))
    return folded


def telling_lines():
    """The lines of all solutions that stand nowhere else in the course."""
    solutions = [source for path in NOTEBOOKS for source in folded_solutions(path)]
    rest = "\n".join(cell.source for path in NOTEBOOKS for kind in ("code", "markdown") for cell in cells(path, kind))
    for source in solutions:
        rest = rest.replace(source, "")
    lines = {line.strip() for source in solutions for line in source.splitlines()}
    return {line for line in lines if len(line) >= SHORTEST and line not in rest}


def test_no_line_of_a_solution_is_left_in_any_file(folder, package):
    """The checks in the package must know the right answer, so there single lines may agree, but no whole solution."""
    telling = telling_lines()
    whole = [re.search(r"```python\n(.*?)```", source, re.DOTALL)[1].strip()
             for path in NOTEBOOKS for source in folded_solutions(path)]
    assert len(telling) > 2 * len(NOTEBOOKS)
    files = [path for root in (folder, package) for path in root.rglob("*")
             if path.suffix in {".ipynb", ".md", ".txt", ".py"}]
    assert len(files) > len(NOTEBOOKS) + 40
    for path in files:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text += "\n".join(strings(json.loads(text)))  # with newlines and quotes as they are read
        assert "<summary>Solution" not in text, path.name
        if path.parent.name != "exercises":
            assert [line for line in telling if line in text] == [], path.name
        assert [code for code in whole if code in text] == [], path.name


def strings(value):
    """All strings in some JSON, at whatever depth: text, outputs and metadata."""
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for child in children for text in strings(child)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_rest_of_the_notebook_is_all_there(folder, path):
    handed_out = folder / "notebooks" / path.name
    nbformat.validate(nbformat.read(handed_out, as_version=4))
    for tag in ("exercise", "check"):
        assert [cell.source for cell in cells(handed_out, "code", tag)] == [c.source for c in cells(path, "code", tag)]
    assert len(cells(handed_out, "markdown", "hint")) == len(cells(path, "markdown", "solution"))
    code = [cell.source for cell in cells(path) if "colab" not in cell.metadata.get("tags", [])]
    assert [cell.source for cell in cells(handed_out)] == code
    text = [cell.source for cell in cells(path, "markdown")
            if not {"navigation", "solution"} & set(cell.metadata.get("tags", []))]
    kept = [cell.source for cell in cells(handed_out, "markdown")
            if not {"navigation", "hint"} & set(cell.metadata.get("tags", []))]
    assert len(kept) == len(text)
    for cell in cells(handed_out):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_to_what_is_handed_out_and_not_to_the_full_notebooks(folder, path):
    text = "\n".join(cell.source for cell in cells(folder / "notebooks" / path.name, "markdown"))
    links = re.findall(r"\]\(([^)\s#]+)", text)
    assert [link for link in links if "colab" in link or "mybinder" in link] == []
    local = [link for link in links if not re.match(r"https?:", link) and (link.endswith(".ipynb") or "/" in link)]
    assert local
    assert [link for link in local if not (folder / "notebooks" / link).exists()] == []


def test_the_readme_tells_what_is_there(folder):
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"notebooks/\w+\.ipynb|NOTATION\.md|requirements\.txt", readme):
        assert (folder / name).exists()
    assert "$" not in readme
    pins = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert (folder / pins[-1]).exists()
    assert {"torch", "jupyterlab", "anywidget"} <= {pin.partition("==")[0] for pin in pins}
    assert "pytest" not in "".join(pins)
    [torch] = re.findall(r"torch==\S+", readme)
    assert torch in pins


def test_a_notebook_runs_with_the_handed_out_package_alone(folder, package):
    """Set-up, definitions, pictures and checks of notebook 01, as a program, away from the repository."""
    notebook = folder / "notebooks" / "01_gaussian_pdf.ipynb"
    program = "from IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()\n"
    program += "import diffusion_lab\nprint(diffusion_lab.__file__)\n"
    for cell in cells(notebook):
        program += f"shell.run_cell({cell.source!r}).raise_error()\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder / "notebooks", capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(package)}, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.startswith(str(package))
    assert done.stdout.count("Not attempted yet") == len(cells(notebook, tag="check"))


def test_what_would_be_lost_is_refused():
    folded = "<details><summary>{}</summary>\n\nText.\n</details>"
    both = folded.format("Hint") + "\n\n" + folded.format("Solution")
    assert build_student.hints(both) == folded.format("Hint")
    for source in (folded.format("Hint"), both + "\n\nA remark.", both + folded.format("Remark")):
        with pytest.raises(ValueError, match="folded"):
            build_student.hints(source)
