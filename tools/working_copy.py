"""Hand out the notebooks into my-notebooks/, the reader's own copy, and never touch what the reader has written.

    python tools/working_copy.py      what `make lab` runs first

Whether a reader has changed a notebook is judged by the text of its cells: running it, or opening and saving it,
changes outputs and metadata, and is no answer. For each notebook:

not there                  it is added (so deleting or renaming a notebook is the way to start it afresh)
not changed by the reader  it is replaced if there is a newer edition
changed by the reader      it stays as it is; a newer edition is put beside it, once, as NAME.new-edition.ipynb

my-notebooks/.editions.json records what was handed out. Without it, every notebook that differs from the present
edition counts as changed by the reader.
"""

import json
import os
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORD = ".editions.json"


def digest(data):
    return sha256(data).hexdigest()


def text_digest(data):
    """A fingerprint of the cells' text, empty cells aside; None if `data` is no notebook."""
    try:
        cells = [(cell["cell_type"], "".join(cell["source"]).strip(), cell.get("attachments", {}))
                 for cell in json.loads(data)["cells"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return digest(json.dumps([cell for cell in cells if cell[1]], sort_keys=True).encode())


def write(path, data):
    """Write all of `data` or nothing: a crash leaves the old file as it was."""
    new = path.with_name(path.name + ".part")
    new.write_bytes(data)
    os.replace(new, path)


def read_record(folder):
    """{name: {"edition": …, "text": …, "offered": …}}; empty if the file is missing or damaged."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
        sound = all(isinstance(value, str) for entry in record.values() for value in entry.values())
    except (OSError, ValueError, AttributeError):
        return {}
    return record if sound else {}


class WorkingCopy:
    """The reader's folder and the record of what was put in it."""

    def __init__(self, folder):
        self.folder, self.record = folder, read_record(folder)

    def hand_out(self, name, data):
        write(self.folder / name, data)
        self.record[name] = {"edition": digest(data), "text": text_digest(data)}

    def is_unchanged(self, name):
        """Whether the file has the text that was handed out under its name."""
        text = text_digest((self.folder / name).read_bytes())
        return text is not None and text == self.record.get(name, {}).get("text")

    def beside(self, name, data):
        """The name for a newer edition beside a changed notebook: never one that the reader has written in."""
        number = 1
        while True:
            candidate = name.replace(".ipynb", f".new-edition{'' if number == 1 else f'-{number}'}.ipynb")
            path = self.folder / candidate
            if not path.exists() or self.is_unchanged(candidate) or path.read_bytes() == data:
                return candidate
            number += 1

    def tidy(self, name):
        """Remove offered editions that the reader has no more use for, unless the reader has written in them."""
        for path in self.folder.glob(name.replace(".ipynb", ".new-edition*.ipynb")):
            if self.is_unchanged(path.name):
                path.unlink()
                self.record.pop(path.name)

    def update(self, name, data):
        """Bring one notebook up to date. Returns "added", "updated", "kept", or the name of an edition beside it."""
        path, entry = self.folder / name, self.record.get(name, {})
        if not path.exists():
            self.hand_out(name, data)
            self.tidy(name)
            return "added"
        if self.is_unchanged(name) and entry.get("edition") != digest(data):
            self.hand_out(name, data)
            self.tidy(name)
            return "updated"
        if self.is_unchanged(name):
            return "kept"
        if text_digest(path.read_bytes()) == text_digest(data):  # the present edition, however it came here
            self.record[name] = {"edition": digest(data), "text": text_digest(data)}
            self.tidy(name)
            return "kept"
        if entry.get("edition") == digest(data):
            return "kept"
        if entry.get("offered") == digest(data):  # put beside it before: remind, or respect that it was deleted
            there = self.folder / entry.get("beside", "")
            return there.name if there.is_file() else "kept"
        candidate = self.beside(name, data)
        self.hand_out(candidate, data)
        self.record[name] = entry | {"offered": digest(data), "beside": candidate}
        return candidate

    def save(self):
        write(self.folder / RECORD, json.dumps(self.record, indent=1, sort_keys=True).encode())


def update(notebooks, folder):
    """Hand out every notebook of the folder `notebooks`; returns {name: what was done}, as `WorkingCopy.update`."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = WorkingCopy(folder)
    done = {path.name: copy.update(path.name, path.read_bytes())
            for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))}
    copy.save()
    return done


def report(done, folder):
    """What was done, as lines for the reader."""
    lines = [f"{folder.name}/{name}: {what}" for name, what in done.items() if what in ("added", "updated")]
    for name, what in done.items():
        if what not in ("added", "updated", "kept"):
            lines += [f"{folder.name}/{name}: you have changed this notebook, and there is a newer edition of it.",
                      f"    Yours is as you left it; the newer edition lies beside it as {what}.",
                      "    To go on in the newer one: copy your answers into it, delete yours, and give it that name.",
                      "    To stay with yours: delete the newer one. It will not come back."]
    return lines or [f"{folder.name}/: nothing new"]


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")
    target = ROOT / "my-notebooks"
    print("\n".join(report(update(ROOT / "notebooks", target), target)))
