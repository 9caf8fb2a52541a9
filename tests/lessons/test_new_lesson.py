"""`make lesson` makes a lesson that passes the tests as it is, and writes over nothing."""

import os
import shutil
import subprocess
import sys

import new_lesson
import pytest
from course import ROOT

from diffusion_lab.course.lessons import read


@pytest.fixture
def root(tmp_path):
    shutil.copy(ROOT / "course.toml", tmp_path)
    return tmp_path


def test_its_entry_stands_in_the_order_of_the_numbers(root):
    before = read(root / "course.toml").lessons
    new_lesson.make("19_last", root)
    new_lesson.make("18_before", root)
    after = [lesson.name for lesson in read(root / "course.toml").lessons]
    assert after == [lesson.name for lesson in before] + ["18_before", "19_last"]
    written = (root / "course.toml").read_text(encoding="utf-8")
    assert written.index("18_before") < written.index("19_last") < written.index("[[document]]")


@pytest.mark.parametrize(("name", "words"), [
    ("guidance", "two digits and a word"), ("19_Guidance", "two digits and a word"), ("../19_x", "two digits"),
    ("00_again", "is that of 00_start_here"), ("99_far", "no part with the digit 9"), ("19_there", "there already"),
])
def test_what_cannot_be_made_is_refused_and_nothing_is_written(root, name, words):
    (root / "diffusion_lab" / "theory").mkdir(parents=True)
    (root / "diffusion_lab" / "theory" / "there.py").write_text("mine")
    before = (root / "course.toml").read_bytes()
    with pytest.raises(ValueError, match=words):
        new_lesson.make(name, root)
    assert (root / "course.toml").read_bytes() == before
    assert not (root / "lessons").exists()


@pytest.mark.slow
def test_a_new_lesson_is_built_and_passes_the_tests(tmp_path):
    """In a copy of the repository. With `pytest -s` one sees what its tests say."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "build", "my-notebooks", "__pycache__"))
    environment = os.environ | {"PYTHONPATH": str(tree)}

    def run(*command):
        done = subprocess.run([sys.executable, *command], cwd=tree, env=environment, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(done.stdout)
        assert done.returncode == 0, done.stdout

    run("tools/new_lesson.py", "19_throw_away")
    run("tools/build_notebooks.py", "19")
    run("tools/build_documents.py")
    run("-m", "pytest", "-q", "tests/lessons", "tests/exercises", "tests/house/test_documents.py",
        "tests/house/test_links.py", "tests/house/test_rooms.py", "tests/slides/test_slides.py",
        "--ignore=tests/lessons/test_new_lesson.py",
        "-k", "throw_away or from_the_list or again")
    run("-m", "ruff", "check", "lessons/19_throw_away", "diffusion_lab/theory/throw_away.py",
        "diffusion_lab/exercises/throw_away.py")
