"""What `make student` hands out: no solution, no output, links that lead somewhere, and a package that can be used."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile

import build_student
import nbformat
import pytest
import tiny
from course import NOTEBOOKS, cells

pytestmark = pytest.mark.slow
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
    code = [cell.source for cell in cells(path) if not {"claim", "colab"} & set(cell.metadata.get("tags", []))]
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


def test_the_handed_out_package_is_whole(package, tmp_path):
    """All its modules can be imported, and it brings its data and the list of the course, away from the repository."""
    program = ("import importlib, pathlib, diffusion_lab\nroot = pathlib.Path(diffusion_lab.__file__).parent\n"
               "for path in root.rglob('*.py'):\n"
               "    if '__main__' not in path.name:\n"
               "        importlib.import_module('.'.join(path.relative_to(root.parent).with_suffix('').parts))\n"
               "from diffusion_lab.course.lessons import read\nfrom diffusion_lab.data.digits import load_digits\n"
               "print(root, len(load_digits()[0]), len(read().lessons))")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(package)}, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [str(package / "diffusion_lab"), "5000", str(len(NOTEBOOKS))]


def bound_and_read(cell):
    """The names that the code of a cell binds, and those that it reads."""
    nodes = list(ast.walk(ast.parse(re.sub(r"^[%!].*$", "pass", cell.source, flags=re.MULTILINE))))
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {(alias.asname or alias.name).partition(".")[0] for node in nodes
              if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
    return bound, {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_handed_out_needs_no_claim(folder, path):
    handed_out = [bound_and_read(cell) for cell in cells(folder / "notebooks" / path.name)]
    defined = set().union(*(bound for bound, _ in handed_out))
    needed = set().union(*(read for _, read in handed_out))
    by_claims = set().union(*(bound_and_read(cell)[0] for cell in cells(path, tag="claim")))
    assert by_claims & needed - defined == set()


def test_claims_are_left_out_and_what_is_folded_stays_folded():
    handed_out = build_student.student_notebook(tiny.LESSON, tiny.notebook())
    assert not [cell for cell in handed_out.cells if "guards a sentence" in cell.source]
    drawing = [cell for cell in handed_out.cells if "show(" in cell.source]
    assert [cell.metadata.jupyter.source_hidden for cell in drawing] == [True, True]
    closed = [cell.source for cell in handed_out.cells if cell.metadata.get("jp-MarkdownHeadingCollapsed")]
    assert closed == ["### Deeper: why a half is a half", "### Deeper: thirds"]
    assert [cell.source for cell in handed_out.cells if cell.source.startswith("*This is")]


def test_what_would_be_lost_is_refused():
    folded = "<details><summary>{}</summary>\n\nText.\n</details>"
    both = folded.format("Hint") + "\n\n" + folded.format("Solution")
    assert build_student.hints(both) == folded.format("Hint")
    for source in (folded.format("Hint"), both + "\n\nA remark.", both + folded.format("Remark")):
        with pytest.raises(ValueError, match="folded"):
            build_student.hints(source)
