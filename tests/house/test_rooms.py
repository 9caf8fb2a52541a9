"""The package is built as the design says: who may import whom, and where what is taught is taught."""

import ast
import re

import pytest
from course import ROOT

PACKAGE = "diffusion_lab"
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))
LESSONS = {path.name for path in (ROOT / "lessons").iterdir() if path.is_dir()}
EVERY_ROOM = {"guard", "data", "theory", "networks", "sampling", "training", "weights", "evaluation", "results", "view",
              "exercises", "vision"}
MAY_IMPORT = {
    "guard": set(),
    "data": {"guard"},
    "theory": {"guard"},
    "networks": {"guard"},
    "sampling": {"guard", "theory"},
    "training": {"guard", "theory", "networks", "data"},
    "vision": {"guard", "data", "theory", "networks", "sampling", "training"},
    "weights": {"guard", "theory", "networks", "data", "sampling", "training"},
    "evaluation": {"guard", "data", "theory", "sampling"},
    "results": set(),
    "view": set(),
    "exercises": EVERY_ROOM - {"view"},
    "course": EVERY_ROOM,
    "commands": EVERY_ROOM,
    "__main__": {"commands", "course"},
    "__init__": set(),
}
PICTURES = {"matplotlib", "IPython", "ipywidgets", "anywidget"}
MATHEMATICS = {"torch", "scipy", "sklearn"}
DRAWS = {"view", "course"}

each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: inside(path))


def inside(path):
    return path.relative_to(ROOT / PACKAGE).as_posix()


def room_of(path):
    return inside(path).removesuffix(".py").split("/")[0]


def imports(source):
    """All modules that some source imports, by their full names, wherever the statement stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"line {node.lineno}: a relative import hides which room is entered")
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_entered(source):
    """The package's rooms that some source imports from."""
    return {name.split(".")[1] for name in imports(source) if name.startswith(PACKAGE + ".")} - {"__version__"}


def source_of(path):
    return path.read_text(encoding="utf-8")


@each_module
def test_a_room_imports_only_what_it_may(path):
    assert rooms_entered(source_of(path)) - {room_of(path)} <= MAY_IMPORT[room_of(path)]


@each_module
def test_pictures_are_made_in_view_and_mathematics_elsewhere(path):
    used = {name.split(".")[0] for name in imports(source_of(path))}
    assert not used & (MATHEMATICS if room_of(path) == "view" else set())
    assert not used & (set() if room_of(path) in DRAWS else PICTURES)


@each_module
def test_no_star_imports_and_no_hubs(path):
    source = source_of(path)
    assert not re.search(r"import \*", source)
    assert path.name != "__init__.py" or list(imports(source)) == []


def test_no_module_for_odds_and_ends():
    parts = {part for path in MODULES for part in inside(path).removesuffix(".py").split("/")}
    assert not parts & {"utils", "util", "helpers", "misc", "common"}


@each_module
def test_a_module_says_what_it_is_for_and_where_it_is_taught(path):
    said = ast.get_docstring(ast.parse(source_of(path)))
    assert said
    if said.splitlines()[-1].startswith("Taught in: "):
        assert set(re.findall(r"lessons/(\w+)", said.splitlines()[-1])) <= LESSONS


@pytest.mark.parametrize("folder", ["tools", "benchmarks", "diffusion_lab", "tests"])
def test_nobody_imports_tests(folder):
    """What tests share lies beside them (course.py, exact.py, samplers.py); what others need is a tool."""
    in_tests = {path.stem for path in (ROOT / "tests").rglob("*.py")}
    shared = in_tests if folder != "tests" else {name for name in in_tests if name.startswith("test_")}
    for path in (ROOT / folder).rglob("*.py"):
        names = {name.split(".")[0] for name in imports(source_of(path))}
        assert not names & (shared | {"tests"}), path


def test_imports_are_read_wherever_they_stand():
    source = """
import diffusion_lab.theory.schedule as s
from diffusion_lab import __version__, view
def f():
    from diffusion_lab.sampling import ddpm
"""
    assert rooms_entered(source) == {"theory", "view", "sampling"}
    with pytest.raises(ValueError, match="relative import"):
        list(imports("from .schedule import at"))
