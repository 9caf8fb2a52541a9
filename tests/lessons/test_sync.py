"""The lessons and the package define the same things: what is taught is what is used.

Several lessons may teach parts of one module. Docstrings, comments, annotations and guards (statements that call
`diffusion_lab.guard`) are left out before the two are compared; a class is compared method by method.
"""

import ast
import re

import jupytext
import pytest
from course import ROOT, definitions

PREFIX = "export:"
PLUMBING = {  # public, and taught by no lesson: no idea hides in it
    "diffusion_lab.theory.schedule": {"at"},
    "diffusion_lab.theory.forward": {"noise_like"},
    "diffusion_lab.theory.mixture": {
        "GaussianMixture.posterior", "GaussianMixture.given", "FullMixture", *(f"FullMixture.{name}" for name in (
            "log_joint", "score", "sample", "marginal", "expected_x_0"))},
    "diffusion_lab.theory.posterior": {"weight_of"},
    "diffusion_lab.networks.unet": {"UNet.ends"},
    "diffusion_lab.sampling.chain": {"Step", "pairs", "draw"},
    "diffusion_lab.sampling.restoration": {"conjugate_gradients", "is_measurement", "is_state_of"},
    "diffusion_lab.evaluation.likelihood": {
        "Bound", "Bound.total", "Bound.standard_error", "bound", "calibrated", "chain_bound", "cost_at", "grey_levels",
        "joined", "level_log_prob", "nll_levels", "strata"},
    "diffusion_lab.vision.segmentation": {"patches", "voted"},
    "diffusion_lab.vision.detection": {
        "as_boxes", "as_states", "average_precision", "check_boxes", "components", "detect", "detection_loss", "iou",
        "judged", "walked"},
    "diffusion_lab.vision.pose": {
        "angle_of", "around", "at_angle", "pose_loss", "random_poses", "turned", "turned_batches"},
}
GUARDS = {node.name for node in ast.parse((ROOT / "diffusion_lab/guard.py").read_text(encoding="utf-8")).body
          if isinstance(node, ast.FunctionDef)}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def is_guard(node):
    return (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name) and node.value.func.id in GUARDS)


def bare(node):
    """A definition as text, without docstrings, annotations of functions, and guards (the parser drops comments)."""
    node = ast.parse(ast.unparse(node)).body[0]
    for part in ast.walk(node):
        if isinstance(part, (*FUNCTION, ast.ClassDef)) and ast.get_docstring(part) is not None:
            part.body = part.body[1:]
        if isinstance(part, FUNCTION):
            part.returns = None
        if isinstance(part, ast.arg):
            part.annotation = None
        if hasattr(part, "body") and isinstance(part.body, list):
            part.body = [statement for statement in part.body if not is_guard(statement)] or [ast.Pass()]
    return ast.unparse(node)


def parts(source):
    """{name: text} of all that some source defines at its top: functions, constants, and classes part by part.

    A class is a head (its bases, decorators and plain statements), "Name", and its methods, "Name.method". It may go on
    in a second cell, which extends it by itself, `class Name(Name):`, and has methods alone.
    """
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, FUNCTION):
            found[node.name] = bare(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.unparse(node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, FUNCTION):
                    found[f"{node.name}.{method.name}"] = bare(method)
            node.body = [part for part in node.body if not isinstance(part, FUNCTION)] or [ast.Pass()]
            if bare(node) != f"class {node.name}({node.name}):\n    pass":
                found[node.name] = bare(node)
    return found


def public(names):
    """Of some names, those that a lesson should teach: no constants, and nothing that begins with an underscore."""
    return {name for name in names if not any(part.startswith("_") for part in name.split(".")) and not name.isupper()}


def exports():
    """{module: {lesson: source of the cells that teach it}}."""
    found = {}
    for path in sorted((ROOT / "lessons").glob("*/lesson.py")):
        for cell in jupytext.read(path, fmt="py:percent").cells:
            for tag in cell.metadata.get("tags", []):
                if tag.startswith(PREFIX):
                    taught = found.setdefault(tag.removeprefix(PREFIX), {})
                    taught[path.parent.name] = taught.get(path.parent.name, "") + "\n" + cell.source
    return found


def module_source(module):
    return (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")


def differences(lesson_source, package_source):
    """What a lesson teaches otherwise than the package has it, as sentences."""
    taught, package = parts(lesson_source), parts(package_source)
    missing = [f"{name} is taught but not in the module" for name in taught if name not in package]
    return missing + [f"{name} differs" for name in taught if name in package and taught[name] != package[name]]


EXPORTS = exports()
PAIRS = [(module, lesson) for module, lessons in EXPORTS.items() for lesson in lessons]


@pytest.mark.parametrize(("module", "lesson"), PAIRS, ids=lambda name: name)
def test_what_a_lesson_teaches_equals_the_package(module, lesson):
    assert differences(EXPORTS[module][lesson], module_source(module)) == []


@pytest.mark.parametrize("module", EXPORTS)
def test_all_of_a_taught_module_is_taught_somewhere(module):
    taught = {name for source in EXPORTS[module].values() for name in parts(source)}
    assert public(parts(module_source(module))) - taught == PLUMBING.get(module, set())


def test_each_taught_module_names_its_lessons():
    named = {}
    for path in sorted((ROOT / "diffusion_lab").rglob("*.py")):
        last = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or " ").splitlines()[-1]
        if last.startswith("Taught in: "):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            named[module] = re.findall(r"lessons/(\w+)", last)
    assert named == {module: list(lessons) for module, lessons in EXPORTS.items()}


def test_no_later_lesson_defines_a_taught_name_again():
    taught, again = {}, []
    for path in sorted((ROOT / "lessons").glob("*/lesson.py")):
        lesson = path.parent.name
        for cell in jupytext.read(path, fmt="py:percent").cells:
            tags = cell.metadata.get("tags", [])
            if cell.cell_type == "code" and "exercise" not in tags and not any(t.startswith(PREFIX) for t in tags):
                source = re.sub(r"^[%!].*$", "", cell.source, flags=re.MULTILINE)
                again += [f"{lesson}: {name}" for name in definitions(source) if name in taught]
        for module, lessons in EXPORTS.items():
            taught |= dict.fromkeys(parts(lessons.get(lesson, "")), module)
    assert again == []


def test_a_difference_is_found():
    package = ('def double(x: int) -> int:\n    """Twice x."""\n    require(x > 0, "no")\n    return 2 * x  # why\n'
               "class Box(B):\n    def one(self): return 1\n    def two(self): return 2\n")
    assert differences("def double(x):\n    return 2 * x", package) == []
    assert differences("def double(x):\n    return x * 2", package) == ["double differs"]
    assert differences("def double(x, y=1):\n    return 2 * x", package) == ["double differs"]
    assert differences("def half(x):\n    return x / 2", "") == ["half is taught but not in the module"]
    assert differences("class Box(B):\n    def one(self): return 1", package) == []
    assert differences("class Box(B):\n    def one(self): return 2", package) == ["Box.one differs"]
    assert differences("class Box(C):\n    def one(self): return 1", package) == ["Box differs"]
    first, more = "class Box(B):\n    def one(self): return 1\n", "class Box(Box):\n    def two(self): return "
    assert differences(first + more + "2", package) == []
    assert differences(first + more + "3", package) == ["Box.two differs"]
    assert differences(first + more + "2\n    three = 3", package) == ["Box differs"]
    assert public(parts(package)) == {"double", "Box", "Box.one", "Box.two"}
