"""Each thing that can be wrong with an environment is found, and its remedy named; where possible, by breaking it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from course import ROOT

from diffusion_lab import doctor

SITE = Path(sysconfig.get_path("purelib"))
posix = pytest.mark.skipif(os.name != "posix", reason="environments are made of links here")


def test_this_environment_is_well():
    assert [finding for finding in doctor.check() if finding.needed and not finding.ok] == []


def test_the_command_prints_the_report():
    done = subprocess.run([sys.executable, "-m", "diffusion_lab.doctor"], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines()[0] == f"ok Python {sys.version_info[0]}.{sys.version_info[1]}"
    assert re.search(r"^(ok|--) (no )?internet connection$", done.stdout, re.MULTILINE)


def test_old_python():
    finding = doctor.python_version((3, 10, 2))
    assert not finding.ok
    assert finding.found == "Python 3.10"
    assert "3.11 or newer" in finding.remedy


@pytest.mark.parametrize("module", ["doctor", "surroundings"])
def test_an_old_python_can_read_what_tells_it_so_and_needs_no_package(module):
    tree = ast.parse((ROOT / f"diffusion_lab/{module}.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {(node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
                for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
    assert imported <= sys.stdlib_module_names | {"diffusion_lab"}


def environment(folder, hidden="", old=""):
    """A virtual environment that lacks one package of this one, or has an old version. Returns its Python."""
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for path in SITE.iterdir():
        name = path.name.partition("-")[0]
        if hidden and name == hidden:
            continue
        if old and name == old and path.suffix == ".dist-info":
            copied = shutil.copytree(path, site / path.name)
            text = (copied / "METADATA").read_text(encoding="utf-8")
            (copied / "METADATA").write_text(re.sub(r"(?m)^Version: .*$", "Version: 0.0.1", text), encoding="utf-8")
        else:
            (site / path.name).symlink_to(path)
    return folder / "bin" / "python"


def told(python, code="from diffusion_lab import doctor; doctor.report(doctor.check())", **settings):
    """The lines that a Python prints, run in the repository as if no Jupyter had started it."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("JPY_")}
    outside |= settings.pop("variables", {})
    done = subprocess.run([python, "-c", code], cwd=ROOT, env=outside, capture_output=True, text=True, check=False,
                          **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@posix
@pytest.mark.parametrize("name", ["torch", "psutil", "packaging", "anywidget", "ipywidgets"])
def test_a_package_is_missing(tmp_path, name):
    lines = told(environment(tmp_path / "env", hidden=name))
    at = lines.index(f"-> {name} is missing")
    assert "make lab" in lines[at + 1]
    assert sum(line.startswith("->") and "kernel" not in line for line in lines) == 1
    assert lines[-1].startswith("Mend the lines marked ->")


@posix
def test_the_course_itself_is_not_installed(tmp_path):
    lines = told(environment(tmp_path / "env", hidden="diffusion_lab"))
    at = lines.index("-> diffusion-lab is not installed in this environment")
    assert "make lab" in lines[at + 1]


@posix
def test_a_package_is_old(tmp_path):
    lines = told(environment(tmp_path / "env", old="numpy"))
    at = lines.index("-> numpy 0.0.1")
    assert re.search(r"needs numpy>=[\d.]+\. .*make lab", lines[at + 1])
    assert sum(line.startswith("->") and "kernel" not in line for line in lines) == 1


@pytest.mark.parametrize(("version", "wanted", "enough"), [
    ("2.4", ">=2.4", True), ("2.13.0+cpu", ">=2.4", True), ("2.3.1", ">=2.4", False), ("2.10", ">=2.9", True),
    ("2.5.0rc1", ">=2.4", True), ("1.0", "", True),
])
def test_versions_are_compared_as_versions(version, wanted, enough):
    assert doctor.new_enough(version, wanted) is enough


@posix
def test_the_kernel_of_another_environment(tmp_path):
    """As when JupyterLab offers a kernel that was made elsewhere."""
    (tmp_path / "course").mkdir()
    ask = f"from diffusion_lab import doctor; print(*doctor.kernel(root={str(tmp_path / 'course')!r}), sep='\\n')"
    other = environment(tmp_path / "other")
    assert told(other, ask)[0] == "True", "without an environment of its own, any kernel will do"
    own = environment(tmp_path / "course" / ".venv")
    assert told(own, ask)[0] == "True"
    ok, found, remedy, needed = told(other, ask)
    assert (ok, found, needed) == ("False", "kernel of the environment other", "True")
    assert "Change Kernel" in remedy


def lab(folder, *extensions):
    """What an environment with JupyterLab and these extensions has in its folder."""
    (folder / "share/jupyter/lab").mkdir(parents=True)
    for name in extensions:
        (folder / "share/jupyter/labextensions" / name).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(("extensions", "missing"), [
    (["anywidget", "@jupyter-widgets/jupyterlab-manager"], []),
    (["anywidget"], ["ipywidgets"]),
    (["@jupyter-widgets/jupyterlab-manager"], ["anywidget"]),
    ([], ["anywidget", "ipywidgets"]),
])
def test_jupyterlab_without_an_extension(monkeypatch, tmp_path, extensions, missing):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *_: [])
    finding = doctor.sliders(lab(tmp_path, *extensions))
    assert finding.ok is not bool(missing)
    if missing:
        assert f"no extension of {' and '.join(missing)}" in finding.found
        assert f"pip install {' '.join(missing)}`" in finding.remedy
        assert str(tmp_path) in finding.remedy


def test_an_extension_of_the_user_will_do(monkeypatch, tmp_path):
    theirs = lab(tmp_path / "user", "anywidget", "@jupyter-widgets/jupyterlab-manager")
    monkeypatch.setattr("jupyter_core.paths.jupyter_path",
                        lambda *_: [str(theirs / "share/jupyter/labextensions"), f"{sys.prefix}/share"])
    assert doctor.sliders(lab(tmp_path / "bare")).ok


def test_outside_jupyterlab_nothing_is_claimed(monkeypatch, tmp_path):
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    finding = doctor.sliders()
    assert finding.ok
    assert "cannot be looked into" in finding.found


SERVER = """
import sys
from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name="course")
client.execute_interactive("from diffusion_lab import doctor; print(*doctor.sliders()[:2], sep=chr(10))",
                           output_hook=lambda message: print(message["content"].get("text", ""), end=""), timeout=60)
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


@posix
@pytest.mark.parametrize("extensions", [(), tuple(doctor.EXTENSIONS)], ids=["bare", "whole"])
def test_the_jupyterlab_of_another_environment(tmp_path, extensions):
    """A server in an environment of its own starts a kernel of this one, as with a kernel that was made known to it."""
    python = environment(tmp_path / "server")
    lab(tmp_path / "server", *extensions)
    spec = tmp_path / "jupyter/kernels/course"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "course", "language": "python"}))
    lines = told(python, SERVER, variables={"JUPYTER_PATH": str(tmp_path / "jupyter"), "HOME": str(tmp_path)})
    assert lines[0] == str(bool(extensions))
    assert lines[1].startswith("sliders: JupyterLab has " + ("all" if extensions else "no extension of anywidget and"))


def test_report_names_remedies_and_only_those(capsys):
    doctor.report([doctor.Finding(True, "Python 3.12", "unused"), doctor.Finding(False, "torch is missing", "Get it.")])
    printed = capsys.readouterr().out
    assert "unused" not in printed
    assert printed.splitlines()[:3] == ["ok Python 3.12", "-> torch is missing", "   Get it."]
    assert printed.splitlines()[3].startswith("Mend the lines marked -> from top to bottom")
    doctor.report([doctor.Finding(True, "Python 3.12")])
    assert capsys.readouterr().out.endswith("All is well.\n")


def test_report_does_not_ask_to_mend_what_no_notebook_needs(capsys):
    doctor.report([doctor.Finding(False, "1 core", "Be patient.", needed=False)])
    assert capsys.readouterr().out.splitlines() == [
        "-- 1 core", "   Be patient.",
        "The course runs here. What is marked -- makes it slower, or concerns what no notebook needs."]
