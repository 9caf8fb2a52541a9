"""What is in the repository: small files, scripts that run, no trace of anybody's machine, a package that is whole."""

import os
import re
import shutil
import subprocess
import sys
import zipfile

import nbformat
import pytest
from course import ROOT

SCRIPTS = {".ci/run": "#!/usr/bin/env bash", "binder/postBuild": "#!/bin/bash", "binder/start": "#!/bin/bash"}
LOCAL_PATH = re.compile(r"(?<![\w/+.])(?:/(?:home|Users|root|tmp|work)/\w|[A-Z]:\\\\?Users\b)")


def tracked():
    """The files that git knows; skips where there is no git or no repository."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git repository here")
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).exists()]


def text_of(path):
    """What a reader sees of a text file: of a notebook, its cells and outputs, pictures aside; None for other files."""
    if path.suffix == ".ipynb":
        notebook = nbformat.read(path, as_version=4)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        shown = [str(value) for output in outputs for kind, value in output.get("data", {}).items()
                 if kind.startswith("text/")]
        shown += [output.get("text", "") + "".join(output.get("traceback", [])) for output in outputs]
        return "\n".join([cell.source for cell in notebook.cells] + shown)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def test_no_file_is_large():
    """Weights may be a little larger than the rest."""
    limit = {".safetensors": 2_500_000}
    assert [path.name for path in tracked() if path.stat().st_size >= limit.get(path.suffix, 1_200_000)] == []


@pytest.mark.parametrize(("name", "first_line"), SCRIPTS.items())
def test_scripts_run(name, first_line):
    path = ROOT / name
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == first_line
    assert any(re.match(r"set -e|exec ", line) for line in lines)
    if os.name == "posix":
        assert os.access(path, os.X_OK)


def test_every_file_with_a_first_line_for_the_shell_is_listed_here():
    found = {path.relative_to(ROOT).as_posix() for path in tracked() if path.read_bytes()[:2] == b"#!"}
    assert found <= set(SCRIPTS)


def test_no_path_of_a_machine():
    found = [f"{path.relative_to(ROOT)}: {match[0]}" for path in tracked()
             for match in LOCAL_PATH.finditer(text_of(path) or "")]
    assert found == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as `pip install .` would install it, built without a network."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "diffusion_lab", source / "diffusion_lab", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "course.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
               "--wheel-dir", out, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = out.glob("*.whl")
    return path


def test_the_wheel_is_whole(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in (ROOT / "diffusion_lab").rglob("*")
             if path.is_file() and path.suffix in {".py", ".npz", ".js", ".css", ".md", ".json", ".safetensors"}]
    assert {path.relative_to(ROOT).as_posix() for path in files} <= inside
    assert "diffusion_lab/course/course.toml" in inside
    assert [name for name in inside if name.endswith("LICENSE")]
    assert not [name for name in inside if name.startswith(("tests", "tools", "notebooks"))]


def test_the_installed_package_finds_its_digits(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = ("import diffusion_lab.data.digits as digits; print(digits.__file__); "
               "print(tuple(digits.load_digits()[0].shape))")
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)},
                          capture_output=True, text=True, check=True)
    where, shape = done.stdout.splitlines()
    assert where.startswith(str(tmp_path))
    assert shape == "(5000, 1, 28, 28)"
