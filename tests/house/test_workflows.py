"""What GitHub is asked to do: a workflow runs commands that the course has, with a Python that it admits."""

import re
import tomllib

import pytest
import yaml
from course import ROOT
from packaging.specifiers import SpecifierSet

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(path):
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_uses_targets_and_a_python_that_are_there(path):
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    targets |= {".venv/installed", ".venv/installed-dev"}  # READER and DEVELOPER
    commands = [step["run"] for step in steps(path) if "run" in step]
    made = [command.split()[1] for command in commands if command.startswith("make ")]
    assert "test" in made
    assert set(made) <= targets
    [python] = [step["with"]["python-version"] for step in steps(path) if "python-version" in step.get("with", {})]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert python in SpecifierSet(project["requires-python"])


def test_what_is_published_is_what_make_site_builds():
    [path] = [path for path in WORKFLOWS if path.stem == "site"]
    [upload] = [step for step in steps(path) if "upload-pages-artifact" in step.get("uses", "")]
    commands = [step.get("run") for step in steps(path)]
    assert upload["with"]["path"] == "build/site"
    assert commands.index("make test") < commands.index("make site") < steps(path).index(upload)
