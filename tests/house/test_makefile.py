"""The commands: help lists them, a complete installation is left alone, and one that is out of date is not."""

import os
import re
import shutil
import subprocess
import sys

import check_python
import pytest
from course import ROOT

MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="make is not installed")
NAMES = ["Makefile", "requirements.txt", "requirements-dev.txt", "pyproject.toml", "setup.py", "tools/check_python.py",
         "tools/overrides.json"]


@pytest.fixture
def folder(tmp_path):
    """What `make` reads, beside an installation that is complete."""
    (tmp_path / "tools").mkdir()
    (tmp_path / ".venv").mkdir()
    for name in NAMES:
        shutil.copy(ROOT / name, tmp_path / name)
        os.utime(tmp_path / name, (1000, 1000))
    for age, name in enumerate((".venv/installed", ".venv/installed-dev")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (2000 + age, 2000 + age))
    return tmp_path


def make(folder, *arguments):
    outside = {name: value for name, value in os.environ.items()
               if not name.startswith("MAKE") and name not in ("MFLAGS", "TORCH", "PYTHON")}
    return subprocess.run([MAKE, *arguments], cwd=folder, env=outside, capture_output=True, text=True, check=False)


def test_help_lists_every_target(folder):
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)[1].split()
    assert re.findall(r"^  make (\w+) +\S", make(folder).stdout, flags=re.MULTILINE) == targets


def test_what_is_complete_is_left_alone_and_what_changed_is_installed(folder):
    for target in ("lab", "check", "test", "notebooks"):
        done = make(folder, "-n", target)
        assert (done.returncode, "pip install" in done.stdout) == (0, False), done.stderr
    os.utime(folder / "requirements-dev.txt")
    assert "pip install" not in make(folder, "-n", "lab").stdout, "a reader's installation is as it was"
    assert "pip install -r requirements-dev.txt" in make(folder, "-n", "test").stdout
    (folder / ".venv/torch").write_text("cpu\n")  # as `make lab TORCH=cpu` leaves it
    os.utime(folder / "pyproject.toml")
    printed = make(folder, "-n", "lab").stdout
    order = [printed.index(step) for step in ("whl/cpu", "-r requirements.txt", "-e .", "touch .venv/installed")]
    assert order == sorted(order)


def test_a_missing_or_unfit_python_is_explained_and_nothing_is_made(folder):
    """Unfit as Debian's and Ubuntu's: without ensurepip, until python3-venv is installed."""
    (folder / ".venv" / "installed").unlink()
    assert "There is no command no-such-python." in make(folder, "lab", "PYTHON=no-such-python").stdout
    (folder / "ensurepip.py").write_text("raise ImportError\n")
    (folder / "unfit").write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
    (folder / "unfit").chmod(0o755)
    assert "-venv" in make(folder, "lab", f"PYTHON={folder}/unfit").stderr
    assert not (folder / ".venv" / "pyvenv.cfg").exists()
    assert check_python.problem((3, 11, 0), True) is None
    assert "this is 3.10.14" in check_python.problem((3, 10, 14), True)
    assert "sudo apt install python3.12-venv" in check_python.problem((3, 12, 1), False)
