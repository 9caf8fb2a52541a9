"""The list of the course: what it refuses, and the map that is drawn from it."""

from dataclasses import replace

import pytest
from course import ROOT
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyBboxPatch

from diffusion_lab.course.lessons import Course, Part, read
from diffusion_lab.course.map import COLOURS, course_map, described, rows

COURSE = read()


@pytest.mark.parametrize(("old", "new", "words"), [
    ('name = "01_gaussian_pdf"', 'name = "00_gaussian_pdf"', "two lessons with the number 00"),
    ('needs = ["01"]', 'needs = ["03"]', "lesson 02 needs 03, but must need only lessons that come before it: 00, 01"),
    ('name = "10_guidance"', 'name = "98_guidance"', "no part has the digit 9"),
])
def test_a_list_that_cannot_be_is_refused(tmp_path, old, new, words):
    text = (ROOT / "course.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "course.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        read(tmp_path / "course.toml")


def test_what_the_list_names_is_there():
    assert [lesson for part in COURSE.parts for lesson in part.lessons] == COURSE.lessons
    assert [document.path for document in COURSE.documents if not (ROOT / document.path).is_file()] == []
    missing = [name for lesson in COURSE.lessons for name in lesson.weights
               if not (ROOT / "diffusion_lab" / "weights" / name).is_dir()]
    assert missing == []


def numbers(lessons):
    return [lesson.number for lesson in lessons]


def test_a_row_of_the_map_begins_where_the_list_says_so_and_is_never_longer_than_five():
    def lessons(digit, n):
        return [replace(COURSE.lessons[0], name=f"{digit}{i}_name") for i in range(n)]

    made = rows(Course([Part("0", "One", {"00": "a", "02": "b"}, lessons(0, 3)), Part("1", "Two", {}, lessons(1, 6)),
                        Part("2", "Three", {}, [])], [], []))
    assert [(words, numbers(line)) for words, line in made] == [
        ("a", ["00", "01"]), ("b", ["02"]), ("Two", ["10", "11", "12", "13", "14"]), ("", ["15"])]


def test_the_map_has_a_box_for_each_lesson_in_the_colour_of_its_row():
    ax, = course_map().axes
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    colours = [to_rgba(COLOURS[i]) for i, (_, line) in enumerate(rows(COURSE)) for _ in line]
    assert [box.get_edgecolor() for box in boxes] == colours
    assert {lesson.number for lesson in COURSE.lessons} <= {text.get_text() for text in ax.texts}
    assert all(" ".join([lesson.number, lesson.label[0]]) in described() for lesson in COURSE.lessons)
