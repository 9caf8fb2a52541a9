"""my-notebooks/: new notebooks come, unchanged ones are renewed, and what the reader wrote is never lost."""

import json
import shutil

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from working_copy import trust, update_all

NAME, BESIDE = "02_chain.ipynb", "02_chain.new-edition.ipynb"


class Reader:
    """A course folder and a reader's folder; a notebook is told by the text of its one cell."""

    def __init__(self, root):
        self.notebooks, self.mine = root / "notebooks", root / "my-notebooks"
        self.notebooks.mkdir()

    def lab(self, edition):
        """`make lab` when the course is at `edition`; returns what the reader is told."""
        self.write(edition, folder=self.notebooks)
        return update_all(self.notebooks, self.mine)

    def write(self, text, name=NAME, folder=None, outputs=()):
        cell = {"cell_type": "code", "source": text, "outputs": list(outputs)}
        ((folder or self.mine) / name).write_text(json.dumps({"cells": [cell]}))

    def files(self):
        """{name: text} of what lies in the reader's folder."""
        return {path.name: json.loads(path.read_text())["cells"][0]["source"] for path in self.mine.glob("*.ipynb")}


@pytest.fixture
def reader(tmp_path):
    made = Reader(tmp_path)
    assert made.lab("one") == f"my-notebooks/{NAME}: added"
    assert made.files() == {NAME: "one"}
    return made


def test_a_notebook_that_was_only_run_keeps_its_outputs_until_there_is_a_newer_edition(reader):
    reader.write("one", outputs=["2.718"])
    assert reader.lab("one") == "my-notebooks/: nothing new"
    assert "2.718" in (reader.mine / NAME).read_text()
    assert reader.lab("two") == f"my-notebooks/{NAME}: updated"
    assert reader.files() == {NAME: "two"}


def test_a_newer_edition_is_put_beside_what_the_reader_wrote_once(reader):
    reader.write("mine")
    assert reader.lab("one") == "my-notebooks/: nothing new"
    for edition in ("two", "two", "three"):
        assert f"the newer edition lies beside it as {BESIDE}" in reader.lab(edition)
        assert reader.files() == {NAME: "mine", BESIDE: edition}
    (reader.mine / BESIDE).unlink()
    assert reader.lab("three") == "my-notebooks/: nothing new"
    reader.lab("four")
    assert reader.files() == {NAME: "mine", BESIDE: "four"}


def test_answers_in_the_newer_edition_are_not_overwritten_either(reader):
    reader.write("mine")
    reader.lab("two")
    reader.write("moved", name=BESIDE)
    assert "you have written in" in reader.lab("three")
    assert reader.files() == {NAME: "mine", BESIDE: "moved"}
    (reader.mine / BESIDE).replace(reader.mine / NAME)
    reader.lab("three")
    assert reader.files() == {NAME: "moved", BESIDE: "three"}
    reader.write("moved again", name=BESIDE)
    (reader.mine / NAME).unlink()
    reader.lab("three")
    assert reader.files() == {NAME: "three", BESIDE: "moved again"}


@pytest.mark.parametrize("answers", ["two", "two and mine"])
def test_taking_the_newer_edition_under_the_old_name_is_quiet(reader, answers):
    reader.write("mine")
    reader.lab("two")
    (reader.mine / BESIDE).unlink()
    reader.write(answers)
    assert reader.lab("two") == "my-notebooks/: nothing new"
    reader.lab("three")
    assert reader.files() == ({NAME: "three"} if answers == "two" else {NAME: answers, BESIDE: "three"})


def test_a_notebook_that_was_renamed_comes_back_fresh_and_the_offer_goes(reader):
    reader.write("mine")
    reader.lab("two")
    (reader.mine / NAME).rename(reader.mine / "mine.ipynb")
    assert reader.lab("two") == f"my-notebooks/{NAME}: added"
    assert reader.files() == {NAME: "two", "mine.ipynb": "mine"}


def test_without_the_record_and_when_damaged_a_notebook_counts_as_the_readers(reader):
    shutil.rmtree(reader.mine / ".editions")
    reader.lab("two")
    assert reader.files() == {NAME: "one", BESIDE: "two"}
    (reader.mine / NAME).write_text("{")
    reader.lab("three")
    assert (reader.mine / NAME).read_text() == "{"


def test_only_what_is_as_it_was_handed_out_is_trusted(reader, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    for name in (NAME, "03_posterior.ipynb"):
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
        made.cells[0].outputs = [nbformat.v4.new_output("display_data", {"text/html": "<script></script>"})]
        nbformat.write(made, reader.notebooks / name)
    (reader.mine / NAME).unlink()
    update_all(reader.notebooks, reader.mine)
    made.cells[0].outputs[0].data["text/html"] = "<script>not ours</script>"
    nbformat.write(made, reader.mine / NAME)
    trust(reader.mine)
    known = {path.name: NotebookNotary().check_signature(nbformat.read(path, as_version=4))
             for path in reader.mine.glob("*.ipynb")}
    assert known == {NAME: False, "03_posterior.ipynb": True}
