"""Results are written and read by name."""

import pytest

from diffusion_lab.results import files


def test_what_was_written_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "HERE", tmp_path)
    files.write("some", {"a": [1, 0.1], "ε": None})
    assert files.read("some") == {"a": [1, 0.1], "ε": None}
    assert (tmp_path / "some.json").read_text(encoding="utf-8").endswith("}\n")


def test_each_says_which_command_made_it():
    for name in ("steps", "ablation", "likelihood", "sampling", "optimisers", "editing"):
        assert files.read(name)["command"].removeprefix("OMP_NUM_THREADS=1 ").startswith("python benchmarks/")


def test_other_names_are_refused():
    for name in ("step", "../results/steps", ""):
        with pytest.raises(ValueError, match="there are ablation, editing, guidance, .*restoration, sampling, steps"):
            files.read(name)
