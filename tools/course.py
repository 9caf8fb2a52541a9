"""What several tests and tools share: where the notebooks are, and how one is read."""

import ast
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def cells(path, kind="code", tag=None):
    """The cells of a notebook, of one kind, and with a tag if one is named."""
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells
            if cell.cell_type == kind and (tag is None or tag in cell.metadata.get("tags", []))]


def definitions(source):
    """The top-level functions and classes of some Python source, by name, as syntax trees."""
    return {node.name: node for node in ast.parse(source).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
