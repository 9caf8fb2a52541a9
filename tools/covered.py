"""Answers that wait until the reader asks for them: pictures, numbers and words after a question of the lesson.

A lesson asks first and answers below, so who reads on has read the answer before a guess was made. What gives an answer
away is named in covered.toml, by the words that it begins with. On the site, in the copies for students and in those of
`make lab` it is folded, and what a cell has computed there is taken out of the copies: a reader runs the cell.
"""

import re
import tomllib
from pathlib import Path

LIST = Path(__file__).with_name("covered.toml")
GUESS, SEEN = "You have guessed? Then look", "What did you see?"
END = "</details><!-- covered -->"
TAG = "covered"
FIGURE = re.compile(r"Figure \d+")


def known():
    """{lesson: {"guess": [beginning of a paragraph], "seen": […]}}."""
    return tomllib.loads(LIST.read_text(encoding="utf-8"))


def cover(notebook, guess=(), seen=(), strict=True):
    """Fold the paragraphs that begin so, and give the cells with pictures and numbers above them the tag `covered`.

    Raises ValueError, if strict, for a beginning that no paragraph has, or more than one.
    """
    items = [(item, GUESS) for item in guess] + [(item, SEEN) for item in seen]
    beginnings, found = {}, {}
    for item, summary in items:
        above = item.startswith("above ") or bool(FIGURE.fullmatch(item))
        begins = f"**{item}.**" if FIGURE.fullmatch(item) else item.removeprefix("above ")
        beginnings[begins], found[begins] = (above, summary), 0
    last_code = None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            last_code = last_code if {"claim", "colab"} & set(cell.metadata.get("tags", [])) else cell
            continue
        if "solution" in cell.metadata.get("tags", []):
            continue
        parts, is_open = [], None
        for part in paragraphs(cell.source):
            words = " ".join(part.split())
            begins = next((each for each in beginnings if words.startswith(each)), None)
            above, summary = beginnings.get(begins, (False, None))
            if begins:
                found[begins] += 1
            if above and last_code is not None:
                last_code.metadata["tags"] = [*last_code.metadata.get("tags", []), TAG]
            if is_open and summary != is_open:
                parts.append(END)
            if summary and summary != is_open:
                parts.append(f'<details class="covered"><summary>{summary}</summary>')
            is_open = summary
            parts.append(part)
        cell.source = "\n\n".join([*parts, END] if is_open else parts)
    wrong = [f"{begins} ({count} times)" for begins, count in found.items() if count != 1]
    if wrong and strict:
        raise ValueError(f"tools/covered.toml names paragraphs by their first words, and each must be there once: "
                         f"{'; '.join(wrong)}.")


def paragraphs(source):
    """A text, cut at empty lines, but not within a fence of code or what is folded already."""
    found, inside = [], False
    for part in source.split("\n\n"):
        if inside:
            found[-1] += f"\n\n{part}"
        else:
            found.append(part)
        fences = len(re.findall(r"^```", found[-1], flags=re.MULTILINE))
        inside = fences % 2 or found[-1].count("<details") > found[-1].count("</details>")
    return found


def cover_lesson(name, notebook, strict=True):
    """`cover`, with what the list has for a lesson."""
    cover(notebook, **known().get(name, {}), strict=strict)


def folded(outputs):
    """What a covered cell shows on a page, folded."""
    return f'<details class="covered"><summary>{GUESS}</summary>\n{outputs}{END}\n'


def merged(page):
    """A page on which what is covered in a row, as a picture and its caption, opens at one click."""
    return re.sub(rf'{END}\s*<details class="covered"><summary>.*?</summary>', "", page)


def take_out(notebook):
    """Take out what the covered cells of a notebook have computed: who runs them sees it."""
    for cell in notebook.cells:
        if TAG in cell.metadata.get("tags", []):
            cell.outputs, cell.execution_count = [], None
