"""Copies with players are run anew when something changed on which they depend: no module may be overlooked."""

import subprocess
import sys

import build_notebooks
import pytest
from course import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("number", ["04", "07"])
def test_no_module_that_a_lesson_imports_is_overlooked(number):
    lesson = next(lesson for lesson in build_notebooks.lessons() if lesson.number == number)
    code = "\n".join(cell.source for cell in build_notebooks.code_cells(build_notebooks.inputs(lesson)))
    names = [name for name in sorted(build_notebooks.imported(code)) if name.startswith("diffusion_lab")]
    imports = "\n".join(f"import {name}" for name in names
                        if ROOT.joinpath(*name.split(".")).with_suffix(".py").exists())
    program = (f"import sys\n{imports}\nprint(*[module.__file__ for name, module in list(sys.modules.items())"
               " if name.startswith('diffusion_lab') and not module.__file__.endswith('__init__.py')])")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert len(loaded) > 10
    assert [path for path in loaded if path not in {str(path) for path in build_notebooks.used(code)}] == []
