"""Build each notebook from its text twin and execute it, where the twin, the package or its data changed.

    python tools/build_notebooks.py           all that are out of date (what `make notebooks` runs)
    python tools/build_notebooks.py 02 03     these, whether out of date or not
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

import jupytext
import nbformat
from addresses import INSTALL, badges
from jupytext.combine import combine_inputs_with_outputs
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
SUFFIXES = {".py", ".npz", ".js", ".css", ".json", ".safetensors"}
SLIDE = "slide"
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


def twins():
    """The text twins, in the order of the course."""
    return sorted((NOTEBOOKS / "text").glob("[0-9][0-9]_*.py"))


def notebook_of(twin):
    return NOTEBOOKS / f"{twin.stem}.ipynb"


def package():
    """The files of the package that are code or data."""
    return sorted(p for p in (ROOT / "diffusion_lab").rglob("*") if p.suffix in SUFFIXES)


def digest_of(paths, text):
    """A fingerprint of files, by name and content, and of some text."""
    names_and_bytes = [(p.relative_to(ROOT).as_posix().encode(), p.read_bytes()) for p in paths]
    names_and_bytes.append((b"generated", text.encode()))
    return sha256(b"\0".join(part for pair in names_and_bytes for part in pair)).hexdigest()


def digest(twin):
    """A fingerprint of all that a notebook is made from: its twin, the package's code and its data."""
    return digest_of([twin, *package()], navigation(twin) + FOR_COLAB)


def is_current(twin):
    target = notebook_of(twin)
    return target.exists() and nbformat.read(target, as_version=4).metadata.get("built_from") == digest(twin)


def navigation(twin):
    """The first line of every notebook: the badges that open it in the browser, and links to its neighbours."""
    order = twins()
    place = order.index(twin)
    links = badges(twin.stem)
    links += [f"[← {order[place - 1].stem}]({order[place - 1].stem}.ipynb)"] if place > 0 else []
    links += [f"[contents]({order[0].stem}.ipynb)"] if place > 0 else []
    links += [f"[{order[place + 1].stem} →]({order[place + 1].stem}.ipynb)"] if place + 1 < len(order) else []
    return " · ".join(links)


def add_what_is_generated(notebook, twin):
    """Put the navigation above the title, in its cell, and the cell for Colab before the first code."""
    title = notebook.cells[0]
    title.source = f"{navigation(twin)}\n\n{title.source}"
    title.metadata["tags"] = ["navigation", *title.metadata.get("tags", [])]
    first_code = next(i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    metadata = {"tags": ["colab"], "jupyter": {"source_hidden": True}}
    notebook.cells.insert(first_code, nbformat.v4.new_code_cell(FOR_COLAB, metadata=metadata))


def without_navigation(source):
    """The text of a title cell as its author wrote it."""
    return source.partition("\n\n")[2]


def take_slides(notebook):
    """Move each slide, a markdown cell whose marker says `slide`, into the metadata of the cell before it."""
    cells = []
    for cell in notebook.cells:
        if cell.metadata.get("title") == SLIDE:
            cells[-1].metadata.setdefault("slides", []).append(cell.source)
        else:
            cells.append(cell)
    notebook.cells = cells


def inputs(twin):
    """The notebook of a twin, not executed; cells that were there before keep their ids."""
    notebook = jupytext.read(twin, fmt="py:percent")
    take_slides(notebook)
    add_what_is_generated(notebook, twin)
    target = notebook_of(twin)
    old = nbformat.read(target, as_version=4) if target.exists() else nbformat.v4.new_notebook()
    old_ids = {cell.id for cell in old.cells}
    notebook = combine_inputs_with_outputs(notebook, old, fmt={"extension": ".py", "format_name": "percent"})
    seen = set()
    for cell in notebook.cells:
        if cell.id not in old_ids or cell.id in seen:
            seed = cell.cell_type + cell.source
            while (new_id := sha256(seed.encode()).hexdigest()[:8]) in seen:
                seed += "\0"
            cell.id = new_id
        seen.add(cell.id)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def tidy(cell):
    """Take out what differs from one run to the next, and widgets that no longer live."""
    for output in cell.get("outputs", []):
        if "data" in output and "image/png" in output.data:
            output.data.pop(WIDGET_VIEW, None)
    cell.metadata.pop("execution", None)


def execute(notebook, **environment):
    """Run all cells in a kernel of their own, with these environment variables set."""
    NotebookClient(notebook, timeout=1200, kernel_name="python3", record_timing=False,
                   coalesce_streams=True, store_widget_state=False,
                   extra_arguments=["--log-level=ERROR"],  # no warning that a kernel on this machine is not encrypted
                   resources={"metadata": {"path": str(NOTEBOOKS)}}).execute(env=os.environ | environment)
    for cell in notebook.cells:
        tidy(cell)


def build(twin):
    notebook = inputs(twin)
    execute(notebook)
    notebook.metadata = nbformat.from_dict(METADATA | {"built_from": digest(twin)})
    nbformat.validate(notebook)
    nbformat.write(notebook, notebook_of(twin))


def main(chosen):
    for twin in twins():
        wanted = twin.name[:2] in chosen if chosen else not is_current(twin)
        if wanted:
            print(f"building {twin.stem} …", flush=True)
            build(twin)
    print("notebooks are up to date" if not chosen else "done")


if __name__ == "__main__":
    main(sys.argv[1:])
