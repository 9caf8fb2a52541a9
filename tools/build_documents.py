"""Bring what documents say of the lessons up to date with course.toml (`make notebooks` runs it, too).

    python tools/build_documents.py

In a document, what stands between `<!-- from course.toml: BLOCK -->` and `<!-- end -->` is made here, and is not edited
by hand. The blocks:

contents          the lessons, with minutes and what one leaves with
plans             the lessons, with their lesson plans
core 00 01 …      these lessons, with the minutes to read them and do the core exercises, and the sum
all 00 01 …       the same with all exercises
links             a reference definition for each lesson, so that [03] is a link
"""

import posixpath
import re

from build_notebooks import ROOT, lessons, source_of

from diffusion_lab.course.lessons import read

DOCUMENTS = ["README.md", "TEACHING.md", "docs/routes.md", "docs/glossary.md"]
BLOCK = re.compile(r"(<!-- from course\.toml: ([\w ]+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def table(head, rows):
    """A Markdown table. head: its first two lines."""
    return "\n".join([*head, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def notebook(lesson, to):
    return to(f"notebooks/{lesson.name}.ipynb")


def titled(lesson, to):
    return f"[{lesson.title}]({notebook(lesson, to)})"


def numbered(lesson, to):
    return f"[{lesson.number}]({notebook(lesson, to)}) {lesson.title}"


def contents(to):
    """One table for each part."""
    tables = []
    for part in read().parts:
        rows = [(lesson.number, titled(lesson, to), lesson.minutes["main"], lesson.leaves)
                for lesson in part.lessons]
        head = ["| | | minutes | you leave with |", "|---|---|---:|---|"]
        tables += [f"**{part.title}**\n\n{table(head, rows)}"] if rows else []
    return "\n\n".join(tables)


def plans(to):
    """All lesson plans, with the minutes that a reader needs at home for the main lane and for everything."""
    rows = [(lesson.number, titled(lesson, to),
             f"[plan]({to(f'lessons/{lesson.name}/teaching.md')})", lesson.minutes["main"], lesson.minutes["all"])
            for lesson in lessons()]
    return table(["| | lesson | 90 minutes | to read, minutes | with all exercises |", "|---|---|---|---:|---:|"], rows)


def core_exercises(lesson):
    """The numbers of a lesson's core exercises, as words: "2, 3 and 4"."""
    numbers = re.findall(r"^# ### Exercise (\d+) \(core\)", source_of(lesson).read_text(encoding="utf-8"), flags=re.M)
    return " and ".join(filter(None, [", ".join(numbers[:-1]), *numbers[-1:]]))


def chosen(numbers):
    return [lesson for lesson in lessons() if lesson.number in numbers]


def core(to, *numbers):
    """What a reader does in a day or two: the main lane, and the core exercises."""
    rows = [(lesson.minutes["core"], numbered(lesson, to), core_exercises(lesson)) for lesson in chosen(numbers)]
    rows.append((f"**{sum(lesson.minutes['core'] for lesson in chosen(numbers)):,}**", "", ""))
    return table(["| minutes | notebook | exercises |", "|---:|---|---|"], rows)


def whole(to, *numbers):
    """What a reader does who leaves nothing out."""
    rows = [(lesson.minutes["all"], numbered(lesson, to)) for lesson in chosen(numbers)]
    rows.append((f"**{sum(lesson.minutes['all'] for lesson in chosen(numbers)):,}**", ""))
    return table(["| minutes | notebook, with all exercises |", "|---:|---|"], rows)


def links(to):
    return "\n".join(f"[{lesson.number}]: {notebook(lesson, to)}" for lesson in lessons())


BLOCKS = {"contents": contents, "plans": plans, "core": core, "all": whole, "links": links}


def made(name, text):
    """The text of the document at the path `name`, its blocks made anew."""
    def to(path):
        return posixpath.relpath(path, posixpath.dirname(name) or ".")

    def block(match):
        kind, *arguments = match[2].split()
        return f"{match[1]}\n{BLOCKS[kind](to, *arguments)}\n\n{match[3]}"

    return BLOCK.sub(block, text)


def main():
    for name in DOCUMENTS:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = made(name, before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{name} is brought up to date")


if __name__ == "__main__":
    main()
