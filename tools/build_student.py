"""Make the folder build/student to hand out to a class: the notebooks without solutions, and what they need to run.

    python tools/build_student.py      what `make student` runs

Of each exercise the hint stays and the solution goes. No cell has been run: what a student sees there, the student has
computed, and a question headed "Predict first" is still open. The badges, which open the full notebooks, are left out,
and so is the cell for Colab. The package comes as a wheel, so that nothing but its dependencies is downloaded.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from string import Template

import addresses
import nbformat
from build_notebooks import METADATA, ROOT, navigation, twins, without_navigation

TARGET = ROOT / "build" / "student"
FOLDED = re.compile(r"<details><summary>(.*?)</summary>.*?</details>", re.DOTALL)
BESIDE = ("NOTATION.md", "LICENSE", "LICENSE-TEXT")
FIRST_NOT_NEEDED = "# to build and test them"  # the line of requirements.txt below which a reader needs nothing


def hints(source):
    """What stays of a cell with hint and solution. Raises ValueError if it has anything else, which would be lost."""
    found = {match[1]: match[0] for match in FOLDED.finditer(source)}
    if set(found) != {"Hint", "Solution"} or FOLDED.sub("", source).strip():
        raise ValueError(f"a cell tagged solution must have a folded Hint, a folded Solution and no more:\n{source}")
    return found["Hint"]


def without_badges(twin):
    """The links to the notebooks before and after."""
    return " · ".join(link for link in navigation(twin).split(" · ") if not link.startswith("[!["))


def links_for(source):
    """Links to files that are not handed out lead to the repository's address."""
    def link(match):
        return match[0] if match[1] in BESIDE else f"]({addresses.source(match[1])}"
    return re.sub(r"\]\(\.\./([^)#\s]+)", link, source)


def student_notebook(twin, notebook):
    """The student's copy of a notebook: not run, without solutions, badges, and the cell for Colab."""
    cells = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "colab" in tags:
            continue
        source = cell.source
        if "navigation" in tags:
            source = f"{without_badges(twin)}\n\n{without_navigation(source)}"
        if "solution" in tags:
            source, tags = hints(source), ["hint"]
        metadata = {"tags": tags} if tags else {}
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
        for name in ("pyproject.toml", "README.md", "LICENSE"):
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
    for twin in twins():
        notebook = nbformat.read(ROOT / "notebooks" / f"{twin.stem}.ipynb", as_version=4)
        nbformat.write(student_notebook(twin, notebook), target / "notebooks" / f"{twin.stem}.ipynb")
    for name in BESIDE:
        shutil.copy(ROOT / name, target)
    package = wheel(target)
    needed = (ROOT / "requirements.txt").read_text(encoding="utf-8").partition(FIRST_NOT_NEEDED)[0]
    pins = [line for line in needed.splitlines() if "==" in line]
    (target / "requirements.txt").write_text("\n".join([*pins, f"./{package}", ""]), encoding="utf-8")
    torch = next(line for line in pins if line.startswith("torch=="))
    readme = Template((ROOT / "tools" / "student.md").read_text(encoding="utf-8"))
    (target / "README.md").write_text(readme.substitute(repository=addresses.REPOSITORY, torch=torch), encoding="utf-8")
    return len(twins())


if __name__ == "__main__":
    count = build(TARGET)
    print(f"{count} notebooks without solutions are in {TARGET.relative_to(ROOT)}/, with a README for the students")
