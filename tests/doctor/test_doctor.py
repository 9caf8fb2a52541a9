"""What can be wrong with an environment is found, and its remedy named."""

import ast
import os
import subprocess
import sys

import pytest
from course import ROOT

from diffusion_lab.course import doctor


def test_this_environment_is_well():
    assert [finding for finding in doctor.examine() if finding.needed and not finding.ok] == []


def test_an_old_python_can_read_what_tells_it_so_and_needs_no_package():
    assert doctor.python_version((3, 10, 2))[:2] == (False, "Python 3.10")
    tree = ast.parse((ROOT / "diffusion_lab/course/doctor.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {(node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
                for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names


def test_without_any_package_the_command_names_the_remedy():
    """-S: no site-packages, as in a Python in which nothing was installed."""
    done = subprocess.run([sys.executable, "-S", "-m", "diffusion_lab", "doctor"], cwd=ROOT, capture_output=True,
                          text=True, check=True)
    assert doctor.AGAIN in done.stdout
    assert "Put the lines marked -> right" in done.stdout


@pytest.mark.parametrize(("version", "least", "ok"), [
    ("2.4", "2.4", True), ("2.13.0+cpu", "2.4", True), ("2.3.1", "2.4", False), ("2.10", "2.9", True)])
def test_versions_are_compared_as_versions(monkeypatch, version, least, ok):
    monkeypatch.setattr(doctor.metadata, "version", lambda name: version)
    assert doctor.package("torch", least)[:2] == (ok, f"torch {version}")


def test_a_missing_package_is_named_and_ends_the_examination(monkeypatch, capsys):
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: ["no-such-package>=1.0", 'other>=1; extra == "dev"'])
    doctor.report()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:-1] == ["-> no-such-package is missing", f"   {doctor.AGAIN}"]


def test_the_kernel_of_another_environment(tmp_path):
    assert doctor.kernel(tmp_path / "other", tmp_path).ok, "without an environment of its own, any kernel will do"
    (tmp_path / ".venv").mkdir()
    assert doctor.kernel(tmp_path / ".venv", tmp_path).ok
    assert "Change Kernel" in doctor.kernel(tmp_path / "other", tmp_path).remedy
    assert not doctor.kernel(tmp_path / "other", tmp_path).ok


def test_a_jupyterlab_without_the_extensions(monkeypatch, tmp_path):
    """The server's environment counts, not the kernel's; here this very process is taken for the server."""
    monkeypatch.setattr(doctor.site, "getuserbase", lambda: str(tmp_path / "user"))
    bare = doctor.sliders(tmp_path)
    assert not bare.ok
    assert "pip install anywidget ipywidgets" in bare.remedy
    (tmp_path / "user/share/jupyter/labextensions/anywidget").mkdir(parents=True)
    assert doctor.sliders(tmp_path).found == "sliders: JupyterLab lacks ipywidgets"
    monkeypatch.setenv("JPY_PARENT_PID", str(os.getpid()))
    assert doctor.sliders(doctor.jupyterlab()).ok


def test_what_only_slows_the_course_is_not_to_be_put_right(monkeypatch, capsys):
    doctor.report([doctor.cores(1), doctor.memory(2e9)])
    assert capsys.readouterr().out.splitlines()[::2] == ["-- 1 core", "ok 2.0 GB of memory free"]
    assert not doctor.memory(1.4e9).ok
    monkeypatch.setenv("MEM_LIMIT", "1000000000")  # as a JupyterHub says it
    assert doctor.examine()[-1].found == "1.0 GB of memory free"
