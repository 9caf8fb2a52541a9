"""Measured numbers by name, such as "steps", each in a file that names its command."""

import json
from pathlib import Path

HERE = Path(__file__).parent


def read(name):
    """The facts that a benchmark wrote, as a dict. Raises ValueError, with the names there are, for another name."""
    names = sorted(file.stem for file in HERE.glob("*.json"))
    if name not in names:
        raise ValueError(f"there are no results {name!r}; there are {', '.join(names)}.")
    return json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))


def write(name, facts):
    """Replace the facts of this name."""
    (HERE / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
