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


@pytest.fixture
def folder(tmp_path):
    """What `make` reads, beside an installation that is complete."""
    for name in ("Makefile", "requirements.txt", "pyproject.toml", "tools/check_python.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed").touch()
    for name, age in (("requirements.txt", 200), ("pyproject.toml", 200), (".venv/installed", 100)):
        now = (tmp_path / ".venv").stat().st_mtime
        os.utime(tmp_path / name, (now - age, now - age))
    return tmp_path


def make(folder, *arguments):
    outside = {name: value for name, value in os.environ.items()
               if not name.startswith("MAKE") and name not in ("MFLAGS", "TORCH", "PYTHON")}
    return subprocess.run([MAKE, *arguments], cwd=folder, env=outside, capture_output=True, text=True, check=False)


def test_help_lists_every_target(folder):
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)[1].split()
    for arguments in ([], ["help"]):
        printed = make(folder, *arguments).stdout
        assert re.findall(r"^  make (\w+) +\S", printed, flags=re.MULTILINE) == targets


@pytest.mark.parametrize("target", ["lab", "test", "lint", "notebooks", "site", "slides", "student"])
def test_a_complete_installation_is_left_alone(folder, target):
    done = make(folder, "-n", target)
    assert done.returncode == 0
    assert "pip" not in done.stdout
    assert "venv .venv" not in done.stdout


@pytest.mark.parametrize("changed", ["requirements.txt", "pyproject.toml"])
def test_changed_requirements_are_installed(folder, changed):
    os.utime(folder / changed)
    printed = make(folder, "-n", "lab").stdout
    assert "pip install -r requirements.txt" in printed
    assert printed.index("-r requirements.txt") < printed.index("-e .") < printed.index("touch .venv/installed")
    assert "whl/cpu" not in printed


def test_a_broken_off_installation_is_taken_up_again(folder):
    (folder / ".venv" / "installed").unlink()
    assert "pip install -r requirements.txt" in make(folder, "-n", "test").stdout


def test_the_cpu_build_is_remembered(folder):
    os.utime(folder / "requirements.txt")
    for arguments in (["TORCH=cpu"], []):
        printed = make(folder, "-n", "lab", *arguments).stdout
        assert "https://download.pytorch.org/whl/cpu" in printed
        assert printed.index("whl/cpu") < printed.index("-r requirements.txt")
        (folder / ".venv" / "torch").write_text("cpu\n")


def test_a_missing_python_is_named(folder):
    (folder / ".venv" / "installed").unlink()
    done = make(folder, "lab", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "There is no command no-such-python. Install Python 3.11 or newer" in done.stdout


def test_an_unfit_python_is_explained_and_nothing_is_made(folder):
    """A Python that lacks ensurepip, as Debian's and Ubuntu's do until python3-venv is installed."""
    (folder / ".venv" / "installed").unlink()
    without = folder / "without"
    without.mkdir()
    (without / "ensurepip.py").write_text("raise ImportError\n")
    fake = folder / "python-without-ensurepip"
    fake.write_text(f'#!/bin/sh\nPYTHONPATH="{without}" exec "{sys.executable}" "$@"\n')
    fake.chmod(0o755)
    done = make(folder, "lab", f"PYTHON={fake}")
    assert done.returncode != 0
    assert f"sudo apt install python3.{sys.version_info.minor}-venv" in done.stderr
    assert not (folder / ".venv" / "pyvenv.cfg").exists()


def test_what_is_said_about_each_python():
    assert check_python.problem((3, 11, 0), True) is None
    assert check_python.problem((4, 0, 0), True) is None
    assert "this is 3.10.14" in check_python.problem((3, 10, 14), True)
    assert "this is 2.7.18" in check_python.problem((2, 7, 18), False)
    assert "python3.12-venv" in check_python.problem((3, 12, 1), False)


@pytest.mark.parametrize(("given", "threads"), [(None, 1), ("", 1), ("1.0", 1), ("2", 2), ("2.7", 2), ("0.5", 1),
                                                ("None", 1), ("16", 16)])
def test_binder_uses_as_many_threads_as_it_is_given(given, threads):
    environment = {"PATH": os.environ["PATH"]} | ({} if given is None else {"CPU_LIMIT": given})
    command = [ROOT / "binder" / "start", "sh", "-c", 'echo "$OMP_NUM_THREADS" "$@"', "-", "two words"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{threads} two words\n"
