"""Measure the lessons: how much of the code that a reader sees is taught, how many words each lane has.

    python tools/measure_lessons.py

*Visible code* is the code of the main lane, without what is folded (cells tagged figure or claim, and Colab's), without
exercises and the calls of their checks, and without imports; blank lines, comments and docstrings do not count.
*Taught* are its lines in cells tagged export:… or check. *Words* are those of markdown cells, code fences aside: in the
main lane all but the exercises' solutions and what stands under a heading "### Deeper: …", in the deep lane the latter.
"""

import ast
import re
from dataclasses import dataclass

import nbformat
from build_notebooks import FOLDED, in_deeper, lessons, notebook_of, parsed, tags, taught_module

AIM = 2800  # words of the main lane


@dataclass(frozen=True)
class Measures:
    """What is measured of one lesson."""

    visible: int
    exported: int
    taught: int
    main_words: int
    deep_words: int
    longest: int

    @property
    def share(self):
        return self.taught / max(self.visible, 1)


def is_folded(cell):
    """Whether a cell's source is hidden when the notebook opens."""
    return any(tag in FOLDED for tag in tags(cell))


def code_lines(source):
    """The lines of some code that count: not blank, no comment, no docstring, no import."""
    lines = {i for i, line in enumerate(source.splitlines(), 1) if line.strip() and not line.strip().startswith("#")}
    for node in ast.walk(parsed(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            lines -= set(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def words(cell):
    return len(re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL).split())


def exercise_cells(cells):
    """The ids of the cells that belong to exercises: exercise, check, solution."""
    return {cell.id for i, start in enumerate(cells) if "exercise" in tags(start) for cell in cells[i : i + 3]}


def measure(path):
    """The measures of the notebook at `path`."""
    cells = nbformat.read(path, as_version=4).cells
    exercises, deep = exercise_cells(cells), in_deeper(cells)
    code = [cell for cell in cells if cell.cell_type == "code" and not is_folded(cell)]
    main = [cell for cell, below in zip(cells, deep) if not below and cell.id not in exercises]
    seen = [cell for cell in main if cell.cell_type == "code" and not is_folded(cell)]
    return Measures(
        visible=sum(code_lines(cell.source) for cell in seen),
        exported=sum(code_lines(cell.source) for cell in seen if taught_module(cell)),
        taught=sum(code_lines(cell.source) for cell in seen if taught_module(cell) or "check" in tags(cell)),
        main_words=sum(words(cell) for cell in main if cell.cell_type == "markdown"),
        deep_words=sum(words(cell) for cell, below in zip(cells, deep) if below and cell.cell_type == "markdown"),
        longest=max(len(line) for cell in code for line in cell.source.splitlines()),
    )


def main():
    print(f"| lesson | visible | exported | taught | share | main lane, words (aim {AIM:,}) | deep | longest line |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for lesson in lessons():
        if not notebook_of(lesson).exists():
            print(f"| {lesson.name} | its notebook is not built: run `make notebooks` | | | | | | |")
            continue
        found = measure(notebook_of(lesson))
        print(f"| {lesson.name} | {found.visible} | {found.exported} | {found.taught} | {found.share:.0%} | "
              f"{found.main_words:,} | {found.deep_words:,} | {found.longest} |")


if __name__ == "__main__":
    main()
