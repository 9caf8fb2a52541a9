"""The documents keep their word: times add up, what they name exists, figures are those that were measured."""

import json
import re
import tomllib
from functools import cache
from itertools import pairwise
from urllib.parse import parse_qs, urlparse

import pytest
from course import NOTEBOOKS, ROOT, cells

TEACHING, FAQ, READING, GLOSSARY, ROUTES = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("TEACHING.md", "docs/faq.md", "docs/reading.md", "docs/glossary.md", "docs/routes.md"))
BY_NUMBER = {path.name[:2]: path for path in NOTEBOOKS}
PLANS = {plan[:2]: plan for plan in re.split(r"^### (?=\d\d · )", TEACHING, flags=re.MULTILINE)[1:]}
each_plan = pytest.mark.parametrize(("number", "plan"), PLANS.items(), ids=PLANS)
NAMED = re.compile(r"\b(section|figure|exercise|equation)s? \(?(\d+)\)?"  # section 1; equation (1)
                   r"(?:((?:, \(?\d+)*) (and|to) \(?(\d+))?", re.IGNORECASE)  # sections 1, 2 and 3; 1 to 3
MINUTES = {"warm-up": 5, "core": 10, "hard": 20}  # what the documents allow for an exercise


@cache
def text_of(number, kind="markdown"):
    """The cells of a notebook as one text."""
    return "\n\n".join(cell.source for cell in cells(BY_NUMBER[number], kind))


def plain(text):
    """Without emphasis, and with single spaces: as it is read."""
    return re.sub(r"\s+", " ", text.replace("*", "").replace("`", ""))


def rows(text):
    """The rows of all Markdown tables in a text, headings and rules aside, as lists of cells."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rules = {i for i, line in enumerate(lines) if set(line) <= set("|-: ")}
    return [[cell.strip() for cell in line.strip("|").split("|")] for i, line in enumerate(lines)
            if i not in rules and i + 1 not in rules]


def minutes(table):
    return sum(int(row[0]) for row in table if row[0].isdigit())


def missing(text, number):
    """What a text says of a notebook's sections, figures, exercises, equations and headings that is not there."""
    found, source = [], text_of(number)
    headings = re.findall(r"^##+ (.+)$", source, flags=re.MULTILINE)
    numbers = {
        "section": [heading.split(" · ")[0] for heading in headings if " · " in heading],
        "figure": re.findall(r"^\*\*Figure (\d+)\.\*\*", source, flags=re.MULTILINE),
        "exercise": re.findall(r"^### Exercise (\d+)", source, flags=re.MULTILINE),
        "equation": re.findall(r"\\tag\{(\d+)\}", source),
    }
    for kind, first, between, how, last in NAMED.findall(text):
        wanted = [first, *re.findall(r"\d+", between)] + ([last] if last else [])
        if how == "to":
            wanted = [str(n) for n in range(int(first), int(last) + 1)]
        found += [f"{kind} {n}" for n in wanted if n not in numbers[kind.lower()]]
    if "common mistake" in text and "A common mistake" not in headings:
        found.append("common mistake")
    return found


def test_missing_finds_what_is_not_there():
    text = "sections 1, 2 and 9; exercise 4; equations (1) and (77); Figure 55; sections 3 to 6; its common mistake"
    assert missing(text, "02") == ["section 9", "equation 77", "Figure 55", "section 5", "section 6"]


# TEACHING.md

def test_every_notebook_has_a_plan():
    assert list(PLANS) == list(BY_NUMBER)


@each_plan
def test_a_plan_names_its_notebook_and_takes_90_minutes(number, plan):
    title = re.search(r"^# (.+)$", text_of(number), flags=re.MULTILINE)[1]
    assert plan.startswith(f"{number} · [{title}](notebooks/{BY_NUMBER[number].name})")
    assert minutes(rows(plan)) == 90
    assert all(len(row) == 3 and all(row) for row in rows(plan))


@each_plan
def test_a_plan_has_two_questions_with_answers_and_says_what_is_hard_and_what_to_leave_out(number, plan):
    questions = plan.split("**Ask the room**")[1].split("**Where people get stuck.**")[0]
    asked = re.findall(r"^(\d)\. \*([^*]+)\*\s+(.+?)(?=^\d\. |\Z)", questions, flags=re.MULTILINE | re.DOTALL)
    assert [number for number, _, _ in asked] == ["1", "2"]
    for _, question, answer in asked:
        assert "?" in question or question.endswith(".")
        assert len(answer.split()) > 10
    assert len(plan.split("**Where people get stuck.**")[1].split("**Short of time?**")[0].split()) > 15
    assert len(plan.split("**Short of time?**")[1].split()) > 5


@each_plan
def test_what_a_plan_shows_is_in_the_notebook(number, plan):
    of_this_notebook = re.sub(r"in \d\d, section \d+", "", plan)
    assert missing(of_this_notebook, number) == []
    source, headings = plain(text_of(number, "code")), re.findall(r"^##+ (.+)$", text_of(number), flags=re.MULTILINE)
    sliders = re.findall(r"slider \*([^*]+)\*", plan)
    assert sliders
    assert [caption for caption in sliders if plain(caption) not in source] == []
    shown = [name for row in rows(plan) for name in re.findall(r'"([^"]+)"', row[2])]
    assert [name for name in shown if name not in headings] == []


@pytest.mark.parametrize("heading", ["Four", "Eight"])
def test_sessions_take_90_minutes(heading):
    sessions = rows(TEACHING.split(f"## {heading} sessions")[1].split("\n## ")[0])
    assert len(sessions) == {"Four": 4, "Eight": 8}[heading]
    for _, in_class, _ in sessions:
        parts = re.findall(r"(\d\d) \((\d+)\)([^·]*)", in_class)
        assert sum(int(length) for _, length, _ in parts) == 90
        assert [missing(said, number) for number, _, said in parts] == [[]] * len(parts)


def test_the_link_for_a_hub_and_the_versions_are_those_of_the_project():
    link = re.search(r"https://\S+/git-pull\?\S+", TEACHING)[0]
    parts = {name: value for name, [value] in parse_qs(urlparse(link).query).items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository = project["urls"]["Repository"]
    assert parts["repo"] == repository
    start = f"lab/tree/{repository.rsplit('/', 1)[1]}/"
    assert parts["urlpath"].startswith(start)
    assert (ROOT / parts["urlpath"].removeprefix(start)).exists()
    assert f"git+{repository}@{parts['branch']} " in TEACHING  # package and notebooks: one edition
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert set(re.findall(r"torch==[\d.]+", TEACHING)) == {line for line in requirements if line.startswith("torch==")}


# docs/routes.md

def study(number, kinds):
    """Minutes of a notebook: its time to read, and its exercises of some kinds."""
    read = int(re.search(r"\*\*Time to read\*\*\s+(\d+)\s+minutes", text_of(number))[1])
    exercises = re.findall(r"^### Exercise \d+ \((.+?)\)", text_of(number), flags=re.MULTILINE)
    return read + sum(MINUTES[kind] for kind in exercises if kind in kinds)


def linked(cell):
    """The number of the notebook that a cell links to, or None."""
    found = re.search(r"\[(\d\d)\]\(\.\./notebooks/", cell)
    return found and found[1]


def test_times_of_the_routes_add_up():
    two_hours, weekend, month = re.split(r"^## ", ROUTES, flags=re.MULTILINE)[1:]
    for route in (two_hours, weekend, month):
        assert minutes(rows(route)) == int(re.search(r"\*\*([\d,]+) minutes\*\*", route)[1].replace(",", ""))
    days = re.split(r"^\*\*(?=\w+day)", weekend, flags=re.MULTILINE)[1:]
    assert [minutes(rows(day)) for day in days] == [int(re.search(r": (\d+) minutes", day)[1]) for day in days]


def test_times_of_the_routes_are_those_of_the_notebooks():
    _, weekend, month = re.split(r"^## ", ROUTES, flags=re.MULTILINE)[1:]
    assert {linked(row[1]): int(row[0]) for row in rows(weekend)} == {n: study(n, ["core"]) for n in BY_NUMBER}
    whole = {linked(row[2]): int(row[0]) for row in rows(month) if linked(row[2])}
    assert whole == {n: study(n, MINUTES) for n in BY_NUMBER}
    for number, exercises in ((linked(row[1]), row[2]) for row in rows(weekend)):
        core = re.findall(r"^### Exercise (\d) \(core\)", text_of(number), flags=re.MULTILINE)
        assert re.findall(r"\d", exercises) == core


def test_sections_that_the_routes_name_are_there():
    for row in rows(ROUTES.split("## A weekend")[0]):
        assert missing(row[2], linked(row[1])) == []


# docs/faq.md

def test_what_the_faq_says_of_a_notebook_is_there():
    said = re.findall(r"\[(\d\d)\]\(\.\./notebooks/[^)]+\)(.*?)(?=\[|;|\n\n|$)", FAQ, flags=re.DOTALL)
    assert len(said) > 30
    assert [(number, wrong) for number, text in said if (wrong := missing(text, number))] == []


def measured(name):
    return json.loads((ROOT / "diffusion_lab" / "evaluation" / name).read_text(encoding="utf-8"))


def test_figures_of_the_faq_are_those_that_were_measured():
    tables = {row[0]: row[1:] for row in rows(FAQ)}
    likelihood = measured("likelihood.json")
    for name, key in (("gzip", "gzip"), ("xz", "xz"), ("this course's network, at most", "bpd")):
        assert tables[name] == [f"{likelihood[key]:.2f}"]
    runs = measured("steps.json")["rows"]
    for steps in ("5", "10", "20"):
        for given, sampler in zip(tables[steps], ("DDPM", "DDIM", "DPM-Solver++")):
            found = [run["times_floor"] for run in runs
                     if (run["sampler"], run["steps"], run["digits"]) == (sampler, int(steps), 1000)]
            assert given == f"{sum(found) / len(found):.2f}"


# docs/reading.md

def entries():
    """The entries of the reading list, one string each."""
    found = re.findall(r"^- (.+?)(?=^- |^\s*$|\Z)", READING, flags=re.MULTILINE | re.DOTALL)
    return [plain(entry).strip() for entry in found]


def test_an_entry_of_the_reading_list_says_what_for_and_where():
    assert len(entries()) > 40
    for entry in entries():
        last = re.search(r"\. (?:Notebooks?|After notebook) ([\d, ]+)\.$", entry)
        assert last, entry
        assert set(last[1].split(", ")) <= set(BY_NUMBER), entry
    for shown, linked_to in re.findall(r"\[arXiv (\S+?)\]\(https://arxiv\.org/abs/(\S+?)\)", READING):
        assert shown == linked_to
        assert re.fullmatch(r"\d{4}\.\d{4,5}", shown)
    numbers = re.findall(r"arxiv\.org/abs/([\d.]+\d)", READING)
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("number", BY_NUMBER)
def test_what_a_notebook_cites_is_in_the_reading_list(number):
    cited = text_of(number).split("## Further reading")[1].split("## Next")[0]
    titles = [plain(title) for title in re.findall(r"\(\d{4}\),\s+\*([^*]+)\*", cited)]
    assert titles
    known = [entry for entry in entries() if re.search(rf"\b{number}\b", entry.rsplit("otebook", 1)[1])]
    assert [title for title in titles if not any(title.lower() in entry.lower() for entry in known)] == []


# docs/glossary.md

ARTICLE = [
    "扩散模型", "噪声", "生成模型", "深度学习", "生成对抗网络", "深度神经网络", "卷积神经网络", "噪声分布", "扩散过程",
    "去噪过程", "图像生成", "高斯噪声分布", "马尔可夫过程", "均值函数", "方差函数", "图像去噪", "图像超分辨率",
    "图像风格迁移", "计算机视觉", "目标检测", "图像分割", "姿态估计", "模型压缩和加速", "数据隐私", "泛化能力",
    "可解释性", "术语表",
]
NO_TERMS = {  # printed in bold, and no word to be learned
    "forward", "reverse", "your answers go with it", "proof", "first", "order", "whole", "no skips", "no attention",
    "no time", "no shortcut", "no coarse level", "a learning rate that is too high", "no average",
}


def names(term):
    """The names in the first column: "mean, variance" has two, "kernel (of a step)" has one."""
    return re.sub(r" \([^)]*\)", "", term).split(", ")


def test_the_glossary_is_in_order_and_complete():
    taught, field = (rows(part) for part in GLOSSARY.split("## Words of the field"))
    for table in (taught, field):
        terms = [row[0].lower() for row in table]
        assert [pair for pair in pairwise(terms) if pair[0] >= pair[1]] == []
        assert all(cell for row in table for cell in row)
    assert [word for word in ARTICLE if word not in GLOSSARY] == []


def test_a_term_is_in_the_notebook_that_the_glossary_names():
    targets = dict(re.findall(r"^\[(\d\d)\]: \.\./notebooks/(\S+)$", GLOSSARY, flags=re.MULTILINE))
    assert targets == {number: path.name for number, path in BY_NUMBER.items()}
    for term, _, _, notebook in rows(GLOSSARY.split("## Words of the field")[0]):
        number = notebook.strip("[]")
        text = plain(text_of(number)).lower()
        assert any(name.lower() in text for name in names(term)), (term, number)


@pytest.mark.parametrize("number", BY_NUMBER)
def test_what_a_notebook_prints_in_bold_is_in_the_glossary(number):
    """Goals, captions and headings in bold are no terms; nor is what stands in NO_TERMS."""
    known = {name.lower().removesuffix("s") for row in rows(GLOSSARY) for name in names(row[0])}
    lesson = [cell for cell in cells(BY_NUMBER[number], "markdown")
              if "You will be able to" not in cell.source and "solution" not in cell.metadata.get("tags", [])]
    bold = {plain(term) for cell in lesson for term in re.findall(r"(?<!\*)\*\*([^*]+)\*\*(?!\*)", cell.source)}
    terms = [term for term in bold if not term.endswith((".", ":")) and term.lower() not in NO_TERMS]
    assert [term for term in terms if term.lower().removeprefix("the ").removesuffix("s") not in known] == []
