"""Make a lesson that works, from tools/template: its folder, its checks, a module, its entry in the list.

    python tools/new_lesson.py 10_guidance      what `make lesson NAME=10_guidance` runs

Nothing that is there is written over. CONTRIBUTING.md goes on from here, and says how a lesson is removed.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "tools" / "template"
ENTRY = """\
[[lesson]]
name = "{name}"
title = "{title}"
label = ["{title}", "what it gives"]
leaves = "what a reader takes home"
needs = []
minutes = {{ main = 15, core = 35, all = 55 }}
seconds = 5
weights = []

"""


def files_of(name):
    """{file of the template: its path for this lesson, from the root of the repository}."""
    module = name[3:]
    room = {file: Path("lessons", name, file) for file in ("lesson.py", "slides.md", "teaching.md", "wrong.py")}
    return room | {"exercises.py": Path("diffusion_lab", "exercises", f"{module}.py"),
                   "theory.py": Path("diffusion_lab", "theory", f"{module}.py")}


def with_entry(text, name):
    """The text of course.toml with an entry for the lesson, in its place.

    Raises ValueError if the name has another form, its number is taken, or no part has its first digit.
    """
    if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", name):
        raise ValueError(f"a lesson's name has two digits and a word, such as 10_guidance, but this is {name!r}.")
    taken = re.findall(r'^name = "((\d\d)_\w+)"', text, flags=re.MULTILINE)
    if same := [other for other, number in taken if number == name[:2]]:
        raise ValueError(f"the number {name[:2]} is that of {same[0]}: take another one.")
    if f'digit = "{name[0]}"' not in text:
        raise ValueError(f"course.toml has no part with the digit {name[0]}: add a [[part]] first.")
    entry = ENTRY.format(name=name, title=name[3:].replace("_", " ").capitalize())
    later = [other for other, _ in taken if other > name]
    follows = f'[[lesson]]\nname = "{later[0]}"' if later else "# The documents beside"
    before, following, after = text.partition(follows)
    if not following:
        raise ValueError(f"course.toml has no line {follows!r}, before which the entry should stand.")
    return before + entry + following + after


def make(name, root=ROOT):
    """Make the lesson; returns the paths written. Raises ValueError as `with_entry`, or if a file is there already."""
    course = root / "course.toml"
    listed = with_entry(course.read_text(encoding="utf-8"), name)
    paths = files_of(name)
    if there := [str(path) for path in paths.values() if (root / path).exists()]:
        raise ValueError(f"{', '.join(there)}: there already. Take another name, or remove what is there.")
    for file, path in paths.items():
        text = (TEMPLATE / file).read_text(encoding="utf-8")
        text = text.replace("99_your_lesson", name).replace("your_lesson", name[3:]).replace("99 ·", f"{name[:2]} ·")
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    course.write_text(listed, encoding="utf-8")
    return [*paths.values(), Path("course.toml")]


if __name__ == "__main__":
    try:
        made = make(*sys.argv[1:] or [""])
    except ValueError as error:
        sys.exit(f"No lesson is made: {error}")
    print("written:", *made, sep="\n  ")
    print("now: `make notebooks`, and CONTRIBUTING.md, “A lesson”")
