"""Build each notebook from its lesson, lessons/NN_name/lesson.py, and execute it where it must be.

    python tools/build_notebooks.py           all that are out of date, and the documents (what `make notebooks` runs)
    python tools/build_notebooks.py 02 03     these, and execute them whether out of date or not

A notebook is executed again only if its code, a module that it uses, directly or through others, or data beside such a
module has changed. (Of results and weights, those that it names.) If its words alone have changed, its outputs stay.

What is added to a lesson: the links at its head, the cell for Colab, a line under taught code that says where it lives
in the package, what folds a cell by its tag (figure, claim), and what closes a section headed "### Deeper: …".
"""

import ast
import os
import re
import sys
import time
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import jupytext
import nbformat
from addresses import INSTALL, badges
from jupytext.combine import combine_inputs_with_outputs
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from diffusion_lab.course.lessons import read
from diffusion_lab.view import player

ROOT = Path(__file__).parents[1]
DATA = {".npz", ".js", ".css", ".json", ".safetensors"}
EXPORT = "export:"
FOLDED = {
    "figure": {"source_hidden": True},
    "claim": {"source_hidden": True, "outputs_hidden": True},
    "colab": {"source_hidden": True},
}
SMALL = 880_000  # bytes: a notebook that is kept has no more
COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of a traceback, for terminals
FIRST_LINES = {"figure": "# draws the picture below", "claim": "# checks what the text says"}  # all that is seen
DEEPER = "### Deeper: "
CLOSED = "jp-MarkdownHeadingCollapsed"
EVERY_LESSON = "<!-- every lesson -->"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
FOR_COLAB = f"""\
# Colab installs the course's package here. Elsewhere this cell does nothing.
import sys

if "google.colab" in sys.modules:
    get_ipython().run_line_magic("pip", "install --quiet {INSTALL}")
"""[:-1]


def lessons():
    """The lessons, in the order of the course."""
    return read(ROOT / "course.toml").lessons


def source_of(lesson):
    return ROOT / "lessons" / lesson.name / "lesson.py"


def notebook_of(lesson):
    return ROOT / "notebooks" / f"{lesson.name}.ipynb"


def tags(cell):
    return cell.metadata.get("tags", [])


# What a notebook depends on


def parsed(code):
    """The syntax tree of a cell, or of several; lines for IPython alone (%, !) count as empty statements."""
    return ast.parse(re.sub(r"^[%!].*$", "pass", code, flags=re.MULTILINE))


def imported(code):
    """The names that some code imports, wherever the statement stands: modules, and what is taken from them."""
    for node in ast.walk(parsed(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]


def used(code):
    """The files that some code depends on: modules of the package, those that they import, data in the same rooms."""
    package = ROOT / "diffusion_lab"
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in package.rglob("*.py")}
    found, texts, seen = set(), [code], []
    while texts:
        seen.append(texts.pop())
        new = {modules[name] for name in imported(seen[-1]) if name in modules} - found
        found |= new
        texts += [path.read_text(encoding="utf-8") for path in new]

    def is_read(path):
        """Results and weights are asked for by name: those that nothing names are not read."""
        room, name = path.relative_to(package).parts[:2]
        return room not in ("results", "weights") or any(f'"{Path(name).stem}"' in text for text in seen)

    rooms = {package / path.relative_to(package).parts[0] for path in found}
    data = {path for room in rooms for path in room.rglob("*") if path.suffix in DATA and is_read(path)}
    if package / "course" / "lessons.py" in found:
        data.add(ROOT / "course.toml")
    return sorted(found | data)


def digest(notebook):
    """A fingerprint of all that a notebook's outputs depend on: its code, and the files that it uses."""
    code = "\n# %%\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    known = sha256(code.encode())
    for path in used(code):
        known.update(b"\0" + path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return known.hexdigest()


# What is added to a lesson


def navigation(lesson):
    """The first line of every notebook: the badges that open it in the browser, and links to its neighbours."""
    names = [each.name for each in lessons()]
    place = names.index(lesson.name)
    links = badges(lesson.name)
    if place > 0:
        links += [f"[← {names[place - 1]}]({names[place - 1]}.ipynb)", f"[contents]({names[0]}.ipynb)"]
    if place + 1 < len(names):
        links.append(f"[{names[place + 1]} →]({names[place + 1]}.ipynb)")
    return " · ".join(links)


def without_navigation(source):
    """The text of a title cell as its author wrote it."""
    return source.partition("\n\n")[2]


def add_navigation(notebook, lesson):
    """Put the navigation above the title, in its cell, and links to all other lessons where one asks for them."""
    title = notebook.cells[0]
    title.source = f"{navigation(lesson)}\n\n{title.source}"
    title.metadata["tags"] = ["navigation", *tags(title)]
    others = " ·\n".join(f"[{each.number} {each.label[0]}]({each.name}.ipynb)" for each in lessons() if each != lesson)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = cell.source.replace(EVERY_LESSON, others)


def add_cell_for_colab(notebook):
    """Put the cell that installs the package in Colab before the first code."""
    first_code = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    notebook.cells.insert(first_code, nbformat.v4.new_code_cell(FOR_COLAB, metadata={"tags": ["colab"]}))


def taught_module(cell):
    """The module that a cell's code is exported to, or None."""
    return next((tag.removeprefix(EXPORT) for tag in tags(cell) if tag.startswith(EXPORT)), None)


def add_lines_under_taught_code(notebook):
    """Say under each run of cells of one module where their code lives in the package, one click away."""
    cells = []
    for cell, following in pairwise([*notebook.cells, nbformat.v4.new_markdown_cell()]):
        cells.append(cell)
        module = taught_module(cell)
        if module and module != taught_module(following):
            line = f"*This is [`{module}`](../{module.replace('.', '/')}.py).*"
            cells.append(nbformat.v4.new_markdown_cell(line, metadata={"tags": ["generated"]}))
    notebook.cells = cells


def level(line):
    """The level of a heading, 1 to 6; 7 for any other line."""
    match = re.match(r"(#{1,6}) ", line)
    return len(match[1]) if match else 7


def ends_deeper(line):
    """Whether a line is a heading that ends a Deeper section: "###" or higher."""
    return level(line) <= level(DEEPER)


def pieces(source, inside):
    """A text, cut before and after each heading "### Deeper: …", and before the heading that ends such a section.

    inside: whether the text begins in such a section. Returns the pieces, and whether it ends in one.
    """
    found, fenced = [[]], False
    for line in source.splitlines():
        fenced ^= line.startswith("```")
        heading = not fenced and ends_deeper(line)
        if heading and (inside or line.startswith(DEEPER)):
            found.append([])
        found[-1].append(line)
        if heading:
            inside = line.startswith(DEEPER)
            found += [[]] if inside else []
    return [text for piece in found if (text := "\n".join(piece).strip("\n"))], inside


def close_deeper_sections(notebook):
    """Give each heading "### Deeper: …" a cell of its own, as JupyterLab needs it, and have its section closed."""
    cells, inside = [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "solution" not in tags(cell):
            (cell.source, *others), inside = pieces(cell.source, inside)
            cells += [cell, *(nbformat.v4.new_markdown_cell(piece) for piece in others)]
        else:
            cells.append(cell)
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith(DEEPER):
            cell.metadata[CLOSED] = True
    notebook.cells = cells


def in_deeper(cells):
    """For each cell of a built notebook, whether it stands in a section headed "### Deeper: …", or heads one."""
    found, inside = [], False
    for cell in cells:
        first = cell.source.partition("\n")[0]
        if cell.cell_type == "markdown" and ends_deeper(first):
            inside = first.startswith(DEEPER)
        found.append(inside)
    return found


def fold(notebook):
    """Hide source and output of cells as their tags say, but for a first line that tells what they are for."""
    for cell in notebook.cells:
        for tag in tags(cell):
            if tag in FOLDED:
                cell.metadata["jupyter"] = dict(FOLDED[tag])
            if tag in FIRST_LINES and not cell.source.startswith("#"):
                cell.source = f"{FIRST_LINES[tag]}\n{cell.source}"


def give_ids(notebook, old):
    """Cells that stood in the old notebook keep their ids, edited ones too; new ones get theirs from their content."""
    matched = combine_inputs_with_outputs(notebook, old, fmt={"extension": ".py", "format_name": "percent"})
    known, seen = {cell.id for cell in old.cells}, set()
    for cell, twin in zip(notebook.cells, matched.cells):
        cell.id = twin.id
        if cell.id not in known or cell.id in seen:
            seed = cell.cell_type + cell.source
            while (new_id := sha256(seed.encode()).hexdigest()[:8]) in seen | known:
                seed += "\0"
            cell.id = new_id
        seen.add(cell.id)


def inputs(lesson):
    """The notebook of a lesson, not executed."""
    notebook = jupytext.read(source_of(lesson), fmt="py:percent")
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's own note, for the way back to a script
    add_navigation(notebook, lesson)
    add_cell_for_colab(notebook)
    add_lines_under_taught_code(notebook)
    close_deeper_sections(notebook)
    fold(notebook)
    target = notebook_of(lesson)
    give_ids(notebook, nbformat.read(target, as_version=4) if target.exists() else nbformat.v4.new_notebook())
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


# Running it


def tidy(cell):
    """Take out what differs from one run to the next, and widgets that no longer live."""
    for output in cell.get("outputs", []):
        if "data" in output and "image/png" in output.data:
            output.data.pop(WIDGET_VIEW, None)
    cell.metadata.pop("execution", None)


def size(notebook):
    """The bytes that a notebook has in its file."""
    return len(nbformat.writes(notebook).encode())


def lighten(notebook):
    """Reduce the players, and leave out frames of the heaviest, again and again, until the notebook is small."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs
               if player.data_of(output.get("data", {}).get("text/html", ""))]
    every = [1] * len(outputs)
    whole = [player.reduced(player.data_of(output.data["text/html"])) for output in outputs]
    for output, data in zip(outputs, whole):
        output.data["text/html"] = player.in_a_notebook(data)
    while size(notebook) > SMALL and outputs:
        sizes = [len(output.data["text/html"]) for output in outputs]
        heaviest = sizes.index(max(sizes))
        if every[heaviest] > len(whole[heaviest]["frames"]):
            return
        every[heaviest] += 1
        outputs[heaviest].data["text/html"] = player.in_a_notebook(player.thinned(whole[heaviest], every[heaviest]))


def execute(notebook, **environment):
    """Run all cells in a kernel of their own, with these environment variables set."""
    NotebookClient(notebook, timeout=1200, kernel_name="python3", record_timing=False,
                   coalesce_streams=True, store_widget_state=False,
                   extra_arguments=["--log-level=ERROR"],  # no warning that a kernel on this machine is not encrypted
                   resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute(env=os.environ | environment)
    for cell in notebook.cells:
        tidy(cell)
    lighten(notebook)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run(notebook, target, again=False, **environment):
    """Give a notebook its outputs, those of `target` if nothing that they depend on has changed, and write it there.

    again: run it in any case. Further keywords: environment variables for the run. Returns whether it was run.
    """
    made_from = digest(notebook)
    before = nbformat.read(target, as_version=4) if target.exists() else nbformat.v4.new_notebook()
    runs = again or before.metadata.get("built_from") != made_from
    if runs:
        execute(notebook, **environment)
    else:
        for cell, old in zip(code_cells(notebook), code_cells(before)):
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
    notebook.metadata = nbformat.from_dict(METADATA | {"built_from": made_from})
    nbformat.validate(notebook)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return runs


def parts(notebook):
    """What of a notebook is written, and not computed."""
    return [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]


def is_current(lesson):
    """Whether the notebook that is there is what `build` would make."""
    target, notebook = notebook_of(lesson), inputs(lesson)
    there = nbformat.read(target, as_version=4) if target.exists() else nbformat.v4.new_notebook()
    return parts(there) == parts(notebook) and there.metadata.get("built_from") == digest(notebook)


def build(lesson, again=False):
    """Make a lesson's notebook; returns whether it was run. again: run it in any case."""
    return run(inputs(lesson), notebook_of(lesson), again)


def main(chosen):
    """Build those that are out of date, or those chosen; one that fails does not keep the others back."""
    failed = []
    for lesson in lessons():
        if lesson.number in chosen if chosen else not is_current(lesson):
            print(f"building {lesson.name} …", flush=True)
            start = time.perf_counter()
            try:
                was_run = build(lesson, again=bool(chosen))
            except CellExecutionError as error:
                failed.append(lesson.name)
                print(f"  failed, and not built:\n{COLOURS.sub('', str(error))}", flush=True)
            else:
                done = f"run in {time.perf_counter() - start:.0f} s" if was_run else "its words alone had changed"
                print(f"  {done}", flush=True)
    if failed:
        return f"These lessons failed: {', '.join(failed)}. All others are up to date."
    print("notebooks are up to date" if not chosen else "done")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
