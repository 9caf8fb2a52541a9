"""Hand out the notebooks into my-notebooks/, the reader's own copy, and never touch what the reader has written.

    python tools/working_copy.py      what `make lab` runs first

Whether a reader has changed a notebook is judged by the text of its cells: running it, or opening and saving it,
changes outputs and metadata, and is no answer. What is handed out is the notebook with its answers covered: a picture
that answers a question comes when its cell is run. For each notebook:

not there                  it is added (so deleting or renaming a notebook is the way to start it afresh)
not changed by the reader  it is replaced if there is a newer edition
changed by the reader      it stays as it is; a newer edition is put beside it, once, as NAME.new-edition.ipynb

my-notebooks/.editions/ keeps each file as it was handed out. Without it, every notebook that differs from the present
edition counts as changed by the reader.
"""

import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import covered
import nbformat
from nbformat.sign import NotebookNotary

ROOT = Path(__file__).parents[1]
PYTHON = {"name": "python", "version": platform.python_version(), "mimetype": "text/x-python", "file_extension": ".py",
          "codemirror_mode": {"name": "ipython", "version": 3}, "pygments_lexer": "ipython3",
          "nbconvert_exporter": "python"}  # what the kernel says of itself
BESIDE = """\
{folder}/{name}: you have changed this notebook, and there is a newer edition of it.
    Yours is as you left it; the newer edition lies beside it as {beside}.
    To go on in the newer one: copy your answers into it, delete yours, and give it that name.
    To stay with yours: delete the newer one. It will not come back."""
BLOCKED = """\
{folder}/{name}: there is a newer edition of this notebook, but you have written in {beside}, too.
    Give that one another name; the newer edition takes its place when you run this again."""


def text(path):
    """What a reader writes in a notebook: its cells, without outputs and empty cells; None if it is no notebook."""
    try:
        cells = [(cell["cell_type"], "".join(cell["source"]).strip(), cell.get("attachments"))
                 for cell in json.loads(path.read_bytes())["cells"]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return [cell for cell in cells if cell[1]]


def same(path, other):
    return text(path) is not None and text(path) == text(other)


def handed_out(path):
    return path.parent / ".editions" / path.name


def hand_out(new, path):
    shutil.copyfile(new, path)
    shutil.copyfile(new, handed_out(path))


def update(new, folder):
    """Bring one notebook up to date with its edition `new`. Returns what to tell the reader, or None."""
    mine = folder / new.name
    beside = folder / f"{new.stem}.new-edition.ipynb"
    written_beside = beside.exists() and not same(beside, handed_out(beside))

    if same(mine, new) or same(mine, handed_out(mine)) or not mine.exists():
        if not written_beside:
            beside.unlink(missing_ok=True)
        if same(mine, new):  # perhaps with the reader's outputs
            shutil.copyfile(new, handed_out(mine))
            return None
        done = "updated" if mine.exists() else "added"
        hand_out(new, mine)
        return f"{folder.name}/{mine.name}: {done}"

    if same(handed_out(mine), new):  # written in the present edition
        return None
    if not same(handed_out(beside), new):
        if written_beside:
            return BLOCKED.format(folder=folder.name, name=mine.name, beside=beside.name)
        hand_out(new, beside)
    return BESIDE.format(folder=folder.name, name=mine.name, beside=beside.name) if beside.exists() else None


def editions(notebooks, folder):
    """Write the notebooks into a folder as they are handed out: an answer waits until the reader asks for it."""
    for path in notebooks.glob("[0-9][0-9]_*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        covered.cover_lesson(path.stem, notebook, strict=False)  # nobody who reads can mend a list of ours
        covered.take_out(notebook)
        as_jupyterlab_saves(notebook)
        nbformat.write(notebook, folder / path.name)


def as_jupyterlab_saves(notebook):
    """Note what JupyterLab notes on opening, and marks as unsaved: the kernel's Python, and hidden outputs again."""
    notebook.metadata["language_info"] = PYTHON
    for cell in notebook.cells:
        if cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            cell.metadata["collapsed"] = True


def update_all(notebooks, folder):
    """Bring every notebook up to date. Returns what there is to tell the reader."""
    (folder / ".editions").mkdir(parents=True, exist_ok=True)
    told = [update(new, folder) for new in sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))]
    return "\n".join(filter(None, told)) or f"{folder.name}/: nothing new"


def trust(folder):
    """Sign the notebooks that are as they were handed out, so that JupyterLab plays their players at once."""
    notary = NotebookNotary()
    for path in folder.glob("[0-9][0-9]_*.ipynb"):
        if handed_out(path).exists() and handed_out(path).read_bytes() == path.read_bytes():
            notary.sign(nbformat.read(path, as_version=4))


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")
    with tempfile.TemporaryDirectory() as new:
        editions(ROOT / "notebooks", Path(new))
        print(update_all(Path(new), ROOT / "my-notebooks"))
    trust(ROOT / "my-notebooks")
