"""my-notebooks/: new notebooks come, unchanged ones are renewed, and what the reader wrote is never lost."""

import json

import pytest
from working_copy import RECORD, report, text_digest, update

NAME, NEW = "02_chain.ipynb", "02_chain.new-edition.ipynb"


def notebook(*cells, outputs=(), **metadata):
    made = [{"cell_type": "code", "id": str(i), "metadata": {}, "source": source, "outputs": list(outputs),
             "execution_count": None} for i, source in enumerate(cells)]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


FIRST, SECOND, THIRD = notebook("x = 1", "# answer here"), notebook("x = 2", "# answer here"), notebook("x = 3")
ANSWERED = notebook("x = 1", "answer = 42")


class Reader:
    """A course folder and a reader's folder."""

    def __init__(self, root):
        self.notebooks, self.mine = root / "notebooks", root / "my-notebooks"
        self.notebooks.mkdir()

    def lab(self, edition):
        """`make lab` when the course is at `edition`; returns what was done with the notebook."""
        (self.notebooks / NAME).write_bytes(edition)
        return update(self.notebooks, self.mine)[NAME]

    def read(self, name=NAME):
        return (self.mine / name).read_bytes()

    def write(self, data, name=NAME):
        (self.mine / name).write_bytes(data)

    def files(self):
        return sorted(path.name for path in self.mine.iterdir() if path.name != RECORD)


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path)


def test_a_new_notebook_is_added_and_then_left_alone(reader):
    assert reader.lab(FIRST) == "added"
    assert reader.read() == FIRST
    assert reader.lab(FIRST) == "kept"
    assert reader.files() == [NAME]


def test_an_unchanged_notebook_is_renewed(reader):
    reader.lab(FIRST)
    assert reader.lab(SECOND) == "updated"
    assert reader.read() == SECOND


def test_running_and_saving_is_no_change_but_the_outputs_stay_until_there_is_a_newer_edition(reader):
    reader.lab(FIRST)
    ran = notebook("x = 1", "# answer here", "", outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}],
                   widgets={})
    reader.write(ran)
    assert reader.lab(FIRST) == "kept"
    assert reader.read() == ran
    assert reader.lab(SECOND) == "updated"
    assert reader.read() == SECOND


def test_a_source_in_lines_is_the_same_as_one_string():
    lines = json.loads(FIRST)
    lines["cells"][1]["source"] = ["# answer ", "here"]
    assert text_digest(json.dumps(lines).encode()) == text_digest(FIRST)


def test_an_edition_that_differs_in_its_outputs_only_is_taken(reader):
    reader.lab(FIRST)
    redrawn = notebook("x = 1", "# answer here", outputs=[{"output_type": "stream", "name": "stdout", "text": "1"}])
    assert reader.lab(redrawn) == "updated"
    assert reader.read() == redrawn


def test_a_changed_notebook_is_never_overwritten(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    assert reader.lab(FIRST) == "kept"
    assert reader.lab(SECOND) == NEW
    assert reader.read() == ANSWERED
    assert reader.read(NEW) == SECOND


def test_the_newer_edition_is_announced_as_long_as_it_lies_there(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    assert reader.lab(SECOND) == NEW
    assert reader.lab(SECOND) == NEW
    assert reader.files() == [NAME, NEW]
    said = "\n".join(report({NAME: NEW}, reader.mine))
    assert f"my-notebooks/{NAME}: you have changed this notebook" in said
    assert NEW in said


def test_a_deleted_newer_edition_does_not_come_back_but_the_next_one_does(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    reader.lab(SECOND)
    (reader.mine / NEW).unlink()
    assert reader.lab(SECOND) == "kept"
    assert reader.files() == [NAME]
    assert reader.lab(THIRD) == NEW
    assert reader.read(NEW) == THIRD
    assert reader.read() == ANSWERED


def test_an_offered_edition_that_is_out_of_date_is_renewed(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    reader.lab(SECOND)
    assert reader.lab(THIRD) == NEW
    assert reader.read(NEW) == THIRD
    assert reader.files() == [NAME, NEW]


def test_an_offered_edition_that_the_reader_wrote_in_is_never_overwritten(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    reader.lab(SECOND)
    moved = notebook("x = 2", "answer = 42")
    reader.write(moved, NEW)
    second = "02_chain.new-edition-2.ipynb"
    assert reader.lab(THIRD) == second
    assert (reader.read(), reader.read(NEW), reader.read(second)) == (ANSWERED, moved, THIRD)


def test_taking_the_newer_edition_with_the_answers_in_it_is_quiet(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    reader.lab(SECOND)
    moved = notebook("x = 2", "answer = 42")
    (reader.mine / NEW).unlink()
    reader.write(moved)
    assert reader.lab(SECOND) == "kept"
    assert reader.read() == moved
    assert reader.lab(THIRD) == NEW


def test_taking_the_newer_edition_as_it_is_makes_it_an_unchanged_notebook(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    reader.lab(SECOND)
    (reader.mine / NEW).replace(reader.mine / NAME)
    assert reader.lab(SECOND) == "kept"
    assert reader.lab(THIRD) == "updated"


def test_a_deleted_notebook_comes_back_fresh(reader):
    """So deleting is the way to start afresh; an offered edition that nobody wrote in goes."""
    reader.lab(FIRST)
    reader.write(ANSWERED)
    reader.lab(SECOND)
    (reader.mine / NAME).unlink()
    assert reader.lab(SECOND) == "added"
    assert reader.read() == SECOND
    assert reader.files() == [NAME]


def test_a_renamed_notebook_is_the_readers_own(reader):
    reader.lab(FIRST)
    reader.write(ANSWERED)
    (reader.mine / NAME).rename(reader.mine / "mine.ipynb")
    assert reader.lab(SECOND) == "added"
    assert reader.read("mine.ipynb") == ANSWERED


@pytest.mark.parametrize("damage", [None, b"", b"{", b"[]", b"\xff", b'{"02_chain.ipynb": 3}', b'"x"', b"null",
                                    b'{"02_chain.ipynb": {"text": 1}}'])
def test_without_the_record_whatever_differs_counts_as_changed(reader, damage):
    reader.lab(FIRST)
    if damage is None:
        (reader.mine / RECORD).unlink()
    else:
        reader.write(damage, RECORD)
    assert reader.lab(SECOND) == NEW
    assert reader.read() == FIRST


@pytest.mark.parametrize("damage", [b"{", b""])
def test_without_the_record_the_present_edition_is_recognised(reader, damage):
    reader.lab(FIRST)
    reader.write(damage, RECORD)
    assert reader.lab(FIRST) == "kept"
    assert reader.lab(SECOND) == "updated"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"cells": [1]}',
                                    b'{"cells": [{"source": 3}]}'])
def test_a_damaged_notebook_is_not_overwritten(reader, damage):
    reader.lab(FIRST)
    reader.write(damage)
    assert reader.lab(FIRST) == "kept"
    assert reader.lab(SECOND) == NEW
    assert reader.read() == damage


def test_a_crash_leaves_the_old_file(reader, monkeypatch):
    reader.lab(FIRST)

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("working_copy.os.replace", crash)
    with pytest.raises(KeyboardInterrupt):
        reader.lab(SECOND)
    assert reader.read() == FIRST
    monkeypatch.undo()
    assert reader.lab(SECOND) == "updated"
    assert reader.read() == SECOND


def test_other_files_are_left_alone(reader):
    reader.lab(FIRST)
    reader.write(b"mine", "notes.txt")
    (reader.notebooks / "draft.ipynb").write_bytes(FIRST)
    reader.lab(SECOND)
    assert reader.files() == [NAME, "notes.txt"]


def test_the_report_is_one_line_when_there_is_nothing_new(reader):
    reader.lab(FIRST)
    assert report({NAME: "kept"}, reader.mine) == ["my-notebooks/: nothing new"]
    assert report({NAME: "added"}, reader.mine) == [f"my-notebooks/{NAME}: added"]
