"""The image that mybinder.org makes of this repository, as far as repo2docker tells without building it."""

import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest
import yaml
from course import NOTEBOOKS, ROOT, cells

CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}


def rendered(folder):
    """What repo2docker says, and the Dockerfile that it renders, when it is set up as on mybinder.org."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--Repo2Docker.default_buildpack=None", folder]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def image():
    done = rendered(ROOT)
    assert done.returncode == 0, done.stderr
    return done


def instructions(dockerfile):
    """The Dockerfile's instructions in order, each on one line, comments aside."""
    joined = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def test_the_conda_build_pack_takes_the_environment_in_binder(image):
    steps = instructions(image.stdout)
    [updated] = [step for step in steps if "env update" in step]
    assert '--file "binder/environment.yml"' in updated
    assert "COPY --chown=0:0 src/binder/environment.yml ${REPO_DIR}/binder/environment.yml" in steps
    assert not [step for step in steps if "requirements.txt" in step or "pip install" in step]


def test_python_is_exactly_3_12(image):
    assert "Building conda environment for python=3.12\n" in image.stderr
    [lock] = [step for step in instructions(image.stdout) if "COPY" in step and step.endswith("environment.lock")]
    assert "environment-2epy-2d3-2e12-" in lock  # repo2docker's own list of versions for Python 3.12
    assert "python=3.12" in yaml.safe_load((ROOT / "binder/environment.yml").read_text())["dependencies"]


def test_the_scripts_run_in_their_places(image):
    steps = instructions(image.stdout)
    built = steps.index("RUN ./binder/postBuild")
    assert steps.index("COPY --chown=0:0 src/ ${REPO_DIR}/") < built
    assert next(i for i, step in enumerate(steps) if "env update" in step) < built
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in steps


def test_without_the_environment_there_is_no_build_pack(tmp_path):
    """So nothing but binder/ decides: this is what the setting `default_buildpack=None` is for."""
    shutil.copytree(ROOT / "binder", tmp_path / "binder")
    assert rendered(tmp_path).returncode == 0
    (tmp_path / "binder" / "environment.yml").rename(tmp_path / "environment.yml")
    assert rendered(tmp_path).returncode != 0


@pytest.fixture
def post_build(tmp_path):
    """Runs postBuild with a `python` that notes how it is called and ends as it is told to."""
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho "$*" >> "$CALLS"\nexit "$ENDS"\n')
    fake.chmod(0o755)

    def run(ends):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls"), "ENDS": str(ends)}
        done = subprocess.run([ROOT / "binder" / "postBuild"], env=environment, check=False)
        return done.returncode, (tmp_path / "calls").read_text().splitlines()

    return run


@pytest.mark.skipif(os.name != "posix", reason="Binder's scripts are for a shell")
def test_post_build_installs_the_package_alone(post_build):
    code, calls = post_build(0)
    assert code == 0
    [install] = [call for call in calls if call.startswith("-m pip install")]
    assert "--no-deps" in install.split()
    assert install.split()[-1] == "."


@pytest.mark.skipif(os.name != "posix", reason="Binder's scripts are for a shell")
def test_post_build_stops_at_the_first_error(post_build):
    code, calls = post_build(3)
    assert code == 3
    assert len(calls) == 1


def imported(source):
    """The top-level modules that some source imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_binder_has_what_the_notebooks_and_the_package_import():
    sources = [cell.source for path in NOTEBOOKS for cell in cells(path)]
    sources += [path.read_text(encoding="utf-8") for path in (ROOT / "diffusion_lab").rglob("*.py")]
    sources += [path.read_text(encoding="utf-8") for path in (ROOT / "notebooks" / "text").glob("*.py")]
    modules = {name for source in sources for name in imported(source)} - set(sys.stdlib_module_names)
    assert {"torch", "matplotlib", "diffusion_lab"} <= modules
    entries = yaml.safe_load((ROOT / "binder/environment.yml").read_text())["dependencies"]
    there = {entry.partition("=")[0] for entry in entries}
    distributions = {name: packages_distributions()[name][0] for name in modules - {"diffusion_lab"}}
    missing = {name for name, wanted in distributions.items() if CONDA.get(wanted, wanted).lower() not in there}
    assert missing == set()
