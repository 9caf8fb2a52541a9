"""Make the folder build/student to hand out to a class: the notebooks without solutions, and what they need to run.

    python tools/build_student.py      what `make student` runs

Of each exercise the hint stays and the solution goes. No cell has been run: what a student sees there, the student has
computed, and where a question has its answer below, the answer is folded. The badges, which open the full notebooks,
are left out, and so are the cell for Colab and those tagged claim. What is folded stays folded. The package comes as a
wheel, so that nothing but its dependencies is downloaded.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from string import Template

import addresses
import covered
import nbformat
from build_notebooks import CLOSED, METADATA, ROOT, lessons, navigation, notebook_of, tags, without_navigation
from render import shown

TARGET = ROOT / "build" / "student"
FOLDED = re.compile(r"<details><summary>(.*?)</summary>.*?</details>", re.DOTALL)
BESIDE = ("NOTATION.md", "LICENSE", "LICENSE-TEXT")
KEPT = ("tags", "jupyter", CLOSED)  # metadata: what a cell is, and what of it is folded


def hints(source):
    """What stays of a cell with hint and solution. Raises ValueError if it has anything else, which would be lost."""
    found = {match[1]: match[0] for match in FOLDED.finditer(source)}
    if set(found) != {"Hint", "Solution"} or FOLDED.sub("", source).strip():
        raise ValueError(f"a cell tagged solution must have a folded Hint, a folded Solution and no more:\n{source}")
    return found["Hint"]


def without_badges(lesson):
    """The links to the notebooks before and after."""
    return " · ".join(link for link in navigation(lesson).split(" · ") if not link.startswith("[!["))


def links_for(source):
    """Links to files that are not handed out lead to the repository's address."""
    def link(match):
        return match[0] if match[1] in BESIDE else f"]({addresses.source(match[1])}"
    return re.sub(r"\]\(\.\./([^)#\s]+)", link, source)


def student_notebook(lesson, notebook):
    """The student's copy of a notebook: not run, without solutions, badges, claims, and the cell for Colab."""
    cells = []
    for cell in shown(notebook):
        source, metadata = cell.source, {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
        if "navigation" in tags(cell):
            source = f"{without_badges(lesson)}\n\n{without_navigation(source)}"
        if "solution" in tags(cell):
            source, metadata["tags"] = hints(source), ["hint"]
        if cell.cell_type == "markdown":
            cells.append(nbformat.v4.new_markdown_cell(links_for(source), id=cell.id, metadata=metadata))
        else:
            cells.append(nbformat.v4.new_code_cell(source, id=cell.id, metadata=metadata))
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def wheel(folder):
    """Build the package's wheel into `folder`, from a copy and without a network; returns the file's name."""
    with tempfile.TemporaryDirectory() as source:
        shutil.copytree(ROOT / "diffusion_lab", Path(source, "diffusion_lab"),
                        ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "setup.py", "course.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
                   "--wheel-dir", str(folder), source]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pip could not build the package:\n{done.stdout}{done.stderr}")
    [path] = Path(folder).glob("*.whl")
    return path.name


def build(target):
    """Write the folder. Returns the number of notebooks."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "notebooks").mkdir(parents=True)
    for lesson in lessons():
        notebook = nbformat.read(notebook_of(lesson), as_version=4)
        covered.cover_lesson(lesson.name, notebook)
        nbformat.write(student_notebook(lesson, notebook), target / "notebooks" / f"{lesson.name}.ipynb")
    for name in BESIDE:
        shutil.copy(ROOT / name, target)
    package = wheel(target)
    needed = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = [line for line in needed.splitlines() if "==" in line]
    (target / "requirements.txt").write_text("\n".join([*pins, f"./{package}", ""]), encoding="utf-8")
    torch = next(line for line in pins if line.startswith("torch=="))
    readme = Template((ROOT / "tools" / "student.md").read_text(encoding="utf-8"))
    (target / "README.md").write_text(readme.substitute(repository=addresses.REPOSITORY, torch=torch), encoding="utf-8")
    return len(lessons())


if __name__ == "__main__":
    count = build(TARGET)
    print(f"{count} notebooks without solutions are in {TARGET.relative_to(ROOT)}/, with a README for the students")
