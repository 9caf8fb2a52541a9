"""The package is built as the design says: who may import whom, how long a module is, and where it is taught."""

import ast

import pytest
from course import NOTEBOOKS, ROOT

PACKAGE = "diffusion_lab"
MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))
EVERY_ROOM = {"data", "theory", "networks", "sampling", "training", "evaluation", "view", "exercises"}
MAY_IMPORT = {
    "data": set(),
    "theory": set(),
    "networks": set(),
    "sampling": {"theory"},
    "training": {"theory", "networks", "data"},
    "evaluation": {"data"},
    "view": set(),
    "exercises": EVERY_ROOM - {"view"},
    "doctor": {"surroundings"},
    "surroundings": set(),
    "__main__": EVERY_ROOM,
    "__init__": set(),
}
PICTURES = {"matplotlib", "IPython", "ipywidgets", "anywidget"}
MATHEMATICS = {"torch", "scipy", "sklearn"}
COURSE = ["00_start_here", "01_gaussian_pdf", "02_forward_markov_chain", "03_reverse_posterior", "04_elbo",
          "05_denoiser", "06_unet", "07_train", "08_sampling"]
TAUGHT_ROOMS = {"theory", "networks", "sampling", "training"}
PLUMBING = {"theory/check.py", "training/checkpoint.py", "training/pretrained.py", "training/resume.py",
            "training/stop.py"}
LONGEST = {"networks/unet.py": 250}

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


def stars(source):
    return [node.lineno for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"]


def libraries(source):
    return {name.split(".")[0] for name in imports(source)}


def last_line(source):
    return (ast.get_docstring(ast.parse(source)) or "").strip().splitlines()[-1:]


def source_of(path):
    return path.read_text(encoding="utf-8")


@each_module
def test_a_room_imports_only_what_it_may(path):
    entered = rooms_entered(source_of(path)) - {room_of(path)}
    assert entered <= MAY_IMPORT[room_of(path)]


@each_module
def test_pictures_are_made_in_view_and_mathematics_elsewhere(path):
    used = libraries(source_of(path))
    if room_of(path) == "view":
        assert not used & MATHEMATICS
    elif room_of(path) != "doctor":
        assert not used & PICTURES


@each_module
def test_no_star_imports_and_no_hubs(path):
    source = source_of(path)
    assert stars(source) == []
    if path.name == "__init__.py":
        assert list(imports(source)) == []


def test_no_module_for_odds_and_ends():
    assert not {"utils", "util", "helpers", "misc", "common"} & {part for path in MODULES for part in
                                                                 inside(path).removesuffix(".py").split("/")}


@each_module
def test_a_module_says_what_it_is_for_and_stays_small(path):
    source = source_of(path)
    assert ast.get_docstring(ast.parse(source))
    assert len(source.splitlines()) <= LONGEST.get(inside(path), 150)


@each_module
def test_a_taught_module_names_its_notebook(path):
    said = last_line(source_of(path))
    taught = room_of(path) in TAUGHT_ROOMS and inside(path) not in PLUMBING and path.name != "__init__.py"
    if taught:
        assert said in [[f"Taught in: notebooks/{name}.ipynb"] for name in COURSE]
    else:
        assert not said[0].startswith("Taught in:")


def test_the_notebooks_that_exist_are_those_of_the_course():
    assert {path.stem for path in NOTEBOOKS if path.stem[:2] <= COURSE[-1][:2]} <= set(COURSE)


def test_imports_are_read_wherever_they_stand():
    source = """
import diffusion_lab.theory.schedule as s
from diffusion_lab import __version__, view
from diffusion_lab.data.digits import load_digits
def f():
    from diffusion_lab.sampling import ddpm
"""
    assert rooms_entered(source) == {"theory", "view", "data", "sampling"}
    assert libraries("import torch.nn as nn\nfrom matplotlib.figure import Figure") == {"torch", "matplotlib"}
    assert stars("from a import *") == [1]
    with pytest.raises(ValueError, match="relative import"):
        list(imports("from .schedule import at"))
