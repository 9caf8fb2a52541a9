"""A notebook and the package define the same things: what is taught is what is used."""

import ast

import pytest
from course import NOTEBOOKS, ROOT, cells, definitions

PREFIX = "export:"
PLUMBING = {"diffusion_lab.theory.schedule": {"at"}, "diffusion_lab.sampling.timesteps": {"Step", "pairs"}}


def exports(path):
    """{module: source of the cells that define it} for one notebook."""
    found = {}
    for cell in cells(path):
        for tag in cell.metadata.get("tags", []):
            if tag.startswith(PREFIX):
                module = tag.removeprefix(PREFIX)
                found[module] = found.get(module, "") + "\n" + cell.source
    return found


def bare(node):
    """A definition's syntax tree as text, without docstrings and annotations (the parser drops comments)."""
    node = ast.parse(ast.unparse(node)).body[0]
    for part in ast.walk(node):
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            if ast.get_docstring(part) is not None:
                part.body = part.body[1:] or [ast.Pass()]
            if isinstance(part, ast.FunctionDef):
                part.returns = None
        if isinstance(part, ast.arg):
            part.annotation = None
    return ast.unparse(node)


def module_source(module):
    return (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")


def differences(notebook_source, package_source, plumbing=frozenset()):
    """What differs between the definitions of a notebook's cells and of a module, as sentences."""
    taught, package = definitions(notebook_source), definitions(package_source)
    public = {name for name in package if not name.startswith("_")} - set(plumbing)
    found = [f"{name} is exported but not in the module" for name in taught if name not in package]
    found += [f"{name} is public in the module but no cell exports it" for name in sorted(public - set(taught))]
    found += [f"{name} differs" for name in taught if name in package and bare(taught[name]) != bare(package[name])]
    return found


EXPORTS = [(path, module, source) for path in NOTEBOOKS for module, source in exports(path).items()]


@pytest.mark.parametrize(("path", "module", "source"), EXPORTS, ids=[f"{p.stem}-{m}" for p, m, _ in EXPORTS])
def test_exported_cells_equal_the_package(path, module, source):
    assert differences(source, module_source(module), PLUMBING.get(module, set())) == []


@pytest.mark.parametrize(("path", "module", "source"), EXPORTS, ids=[f"{p.stem}-{m}" for p, m, _ in EXPORTS])
def test_module_names_the_notebook_that_teaches_it(path, module, source):
    docstring = ast.get_docstring(ast.parse(module_source(module)))
    assert docstring.splitlines()[-1] == f"Taught in: notebooks/{path.name}"


def test_every_module_that_claims_to_be_taught_is_exported():
    claimed = {}
    for path in sorted((ROOT / "diffusion_lab").rglob("*.py")):
        last = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[-1:]
        if last and last[0].startswith("Taught in: "):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            claimed[module] = last[0].removeprefix("Taught in: notebooks/")
    written = {path.name for path in NOTEBOOKS}
    assert {m for m, notebook in claimed.items() if notebook in written} == {m for _, m, _ in EXPORTS}


def test_no_later_notebook_defines_an_exported_name_again():
    exported, again = {}, []
    for path in NOTEBOOKS:
        for cell in cells(path):
            if "exercise" not in cell.metadata.get("tags", []):
                again += [f"{path.name}: {name}" for name in definitions(cell.source)
                          if exported.get(name, path) != path]
        exported |= {name: path for source in exports(path).values() for name in definitions(source)}
    assert again == []


def test_a_difference_is_found():
    package = 'def double(x: int) -> int:\n    """Twice x."""\n    return 2 * x  # a comment\n'
    assert differences("def double(x):\n    return 2 * x", package) == []
    assert differences("def double(x):\n    return x * 2", package) == ["double differs"]
    assert differences("def double(x, y=1):\n    return 2 * x", package) == ["double differs"]
    assert differences("", package) == ["double is public in the module but no cell exports it"]
    assert differences("def half(x):\n    return x / 2", "") == ["half is exported but not in the module"]
