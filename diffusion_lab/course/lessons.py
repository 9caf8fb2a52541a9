"""The list of the course, course.toml, as Python values.

In a clone it stands at the root; in an installed package there is a copy beside this module (setup.py).
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).with_name("course.toml")
COURSE = HERE if HERE.exists() else Path(__file__).parents[2] / "course.toml"


@dataclass(frozen=True)
class Lesson:
    """One lesson; the fields are explained in course.toml."""

    name: str
    title: str
    label: list[str]
    leaves: str
    needs: list[str]
    minutes: dict[str, int]
    seconds: int
    weights: list[str]

    @property
    def number(self):
        """The two digits that its name begins with: "06"."""
        return self.name[:2]


@dataclass(frozen=True)
class Part:
    """A part of the course with its lessons."""

    digit: str
    title: str
    rows: dict[str, str]
    lessons: list[Lesson]


@dataclass(frozen=True)
class Document:
    """A document beside the lessons: its path in the repository, its page on the site, its name in a menu."""

    path: str
    page: str
    title: str


@dataclass(frozen=True)
class Course:
    """All of it, in order: lessons by their numbers, documents as the site's menu has them."""

    parts: list[Part]
    lessons: list[Lesson]
    documents: list[Document]


def read(path=COURSE):
    """The course that a course.toml describes.

    Raises ValueError if a number is given twice, belongs to no part, or is needed before it is taught.
    """
    told = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    lessons = sorted((Lesson(**entry) for entry in told["lesson"]), key=lambda lesson: lesson.name)
    known = []
    for lesson in lessons:
        if lesson.number in known:
            raise ValueError(f"{path} has two lessons with the number {lesson.number}: give each a number of its own.")
        if unknown := set(lesson.needs) - set(known):
            raise ValueError(f"{path}: lesson {lesson.number} needs {', '.join(sorted(unknown))}, but must need only "
                             f"lessons that come before it: {', '.join(known) or 'none'}.")
        if lesson.number[0] not in [entry["digit"] for entry in told["part"]]:
            raise ValueError(f"{path}: no part has the digit {lesson.number[0]}, so lesson {lesson.number} is in none: "
                             "add a [[part]].")
        known.append(lesson.number)
    parts = [Part(**entry, lessons=[lesson for lesson in lessons if lesson.number[0] == entry["digit"]])
             for entry in told["part"]]
    return Course(parts, lessons, [Document(**entry) for entry in told["document"]])
