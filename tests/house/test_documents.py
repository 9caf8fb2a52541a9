"""The documents keep their word: what is made is current, what they name is there, figures are as measured."""

import json
import re
import tomllib
from functools import cache

import build_documents
import pytest
from build_notebooks import lessons, notebook_of
from course import ROOT, cells

BY_NUMBER = {lesson.number: lesson for lesson in lessons()}
TEACHING, FAQ, READING, GLOSSARY = ((ROOT / name).read_text(encoding="utf-8") for name in
                                    ("TEACHING.md", "docs/faq.md", "docs/reading.md", "docs/glossary.md"))
NAMED = re.compile(r"\b(section|figure|exercise|equation)s? \(?(D?\d+)\)?"  # section 1; equation (1); Figure D1
                   r"(?:((?:, \(?D?\d+)*) (and|to) \(?(D?\d+))?", re.IGNORECASE)  # sections 1, 2 and 3; 1 to 3
each_lesson = pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.name)


@cache
def text_of(number):
    """The words of a notebook."""
    return "\n\n".join(cell.source for cell in cells(notebook_of(BY_NUMBER[number]), "markdown"))


def rows(text):
    """The rows of all Markdown tables in a text, headings and rules aside, as lists of cells."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = {i for i, line in enumerate(lines) if set(line) <= set("|-: ")}
    return [[cell.strip() for cell in line.strip("|").split("|")] for i, line in enumerate(lines)
            if i not in rules and i + 1 not in rules]


def missing(text, number):
    """What a text says of a notebook's sections, figures, exercises and equations that is not there."""
    found, source = [], text_of(number)
    there = {kind: re.findall(pattern, source, flags=re.MULTILINE) for kind, pattern in {
        "section": r"^## (\d+) · ", "figure": r"^\*\*Figure (D?\d+)\.\*\*", "exercise": r"^### Exercise (\d+)",
        "equation": r"\\tag\{(\d+)\}"}.items()}
    for kind, first, between, how, last in NAMED.findall(text):
        wanted = [first, *re.findall(r"D?\d+", between)] + ([last] if last else [])
        if how == "to":
            wanted = [str(n) for n in range(int(first), int(last) + 1)]
        found += [f"{kind} {n}" for n in wanted if n not in there[kind.lower()]]
    return found


def test_missing_finds_what_is_not_there():
    text = "sections 1, 2 and 9; exercise 4; equations (1) and (77); Figures 55 and D9; Figure D8; sections 5 to 8"
    assert missing(text, "02") == ["section 9", "equation 77", "Figure 55", "Figure D9", "Figure D8", "section 7",
                                   "section 8"]


@pytest.mark.parametrize("name", build_documents.DOCUMENTS)
def test_what_is_made_from_the_list_of_lessons_is_current(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.count("<!-- from course.toml:") == text.count("<!-- end -->") > 0
    assert build_documents.made(name, text) == text, "run `make notebooks`"


@each_lesson
def test_a_plan_takes_90_minutes_and_what_it_shows_is_in_the_notebook(lesson):
    plan = (ROOT / "lessons" / lesson.name / "teaching.md").read_text(encoding="utf-8")
    assert plan.startswith(f"# {lesson.number} · ")
    assert sum(int(minutes) for minutes, *_ in rows(plan)) == 90
    assert missing(re.sub(r"in \d\d, section \d+", "", plan), lesson.number) == []
    assert all(part in plan for part in ("**Ask the room**", "**Where people get stuck.**", "**Short of time?**"))


@pytest.mark.parametrize("heading", ["Four", "Eight"])
def test_sessions_take_90_minutes(heading):
    for _, in_class, _ in rows(TEACHING.split(f"## {heading} sessions")[1].split("\n## ")[0]):
        parts = re.findall(r"(\d\d) \((\d+)\)([^·]*)", in_class)
        assert sum(int(length) for _, length, _ in parts) == 90
        assert [missing(said, number) for number, _, said in parts] == [[]] * len(parts)


def test_address_and_version_of_the_set_up_for_a_class_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Repository"].replace(":", "%3A").replace("/", "%2F") in TEACHING
    pinned = re.findall(r"^torch==[\d.]+", (ROOT / "requirements.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert set(re.findall(r"torch==[\d.]+", TEACHING)) == set(pinned)


def test_what_the_faq_says_of_a_notebook_is_there():
    said = re.findall(r"\[(\d\d)\]\(\.\./notebooks/[^)]+\)(.*?)(?=\[|;|\n\n|$)", FAQ, flags=re.DOTALL)
    assert len(said) > 30
    assert [(number, wrong) for number, text in said if (wrong := missing(text, number))] == []


def measured(name):
    return json.loads((ROOT / "diffusion_lab" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_figures_of_the_faq_are_those_that_were_measured():
    tables, likelihood = {row[0]: row[1:] for row in rows(FAQ)}, measured("likelihood")
    for name, key in (("gzip", "gzip"), ("xz", "xz"), ("this course's network, at most", "bpd")):
        assert tables[name] == [f"{likelihood[key]:.2f}"]
    assert tables["the same, by the bound of its chain"] == [f"{likelihood['rows']['chain']['bpd']:.2f}"]
    columns = [(sampler, judge) for judge in ("times_floor", "times_floor_second")
               for sampler in ("DDPM", "DDIM", "DPM-Solver++")]
    for steps in ("5", "10", "20"):
        for given, (sampler, judge) in zip(tables[steps], columns, strict=True):
            found = [run[judge] for run in measured("steps")["rows"]
                     if (run["sampler"], run["steps"], run["digits"]) == (sampler, int(steps), 1000)]
            assert given == f"{sum(found) / len(found):.2f}"


def test_an_entry_of_the_reading_list_leads_where_it_says():
    shown = re.findall(r"\[arXiv (\S+?)\]\(https://arxiv\.org/abs/(\S+?)\)", READING)
    assert len(shown) > 30
    assert [pair for pair in shown if pair[0] != pair[1]] == []


def plain(text):
    """Without emphasis, and with single spaces: as it is read."""
    return re.sub(r"\s+", " ", text.replace("*", "").replace("`", "")).lower()


def test_the_glossary_is_in_order_and_a_term_is_in_the_notebook_that_it_names():
    for table in GLOSSARY.split("## Words of the field"):
        terms = [row[0].lower() for row in rows(table)]
        assert terms == sorted(set(terms))
    for terms, _, _, notebook in rows(GLOSSARY.split("## Words of the field")[0]):
        names = re.sub(r" \([^)]*\)", "", terms).lower().split(", ")  # "mean, variance", "kernel (of a step)"
        assert any(name in plain(text_of(notebook.strip("[]"))) for name in names), terms
