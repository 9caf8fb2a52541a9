"""Copies with players are run anew when something changed on which they depend, and only then."""

import subprocess
import sys

import played
import pytest
from course import NOTEBOOKS, ROOT, cells


def names(code):
    return {path.relative_to(ROOT).as_posix() for path in played.used(code)}


def test_what_some_code_uses():
    plain = names("from diffusion_lab.theory.forward import q_sample")
    assert {"diffusion_lab/theory/forward.py", "diffusion_lab/theory/schedule.py"} <= plain
    assert "diffusion_lab/networks/unet.py" not in plain
    assert {"diffusion_lab/data/digits.npz", "diffusion_lab/view/scrubber.js"} <= plain
    for code in ("from diffusion_lab.training import loop", "import diffusion_lab.training.loop",
                 "from diffusion_lab.training import (\n    muon,\n    loop,\n)"):
        assert "diffusion_lab/training/loop.py" in names(code), code


@pytest.mark.parametrize("number", [4, 7])
def test_no_module_that_a_notebook_imports_is_overlooked(number):
    code = "\n".join(cell.source for cell in cells(NOTEBOOKS[number]) if "colab" not in cell.metadata.get("tags", []))
    imports = next(cell.source for cell in cells(NOTEBOOKS[number]) if "from diffusion_lab" in cell.source)
    program = (f"import sys\n{imports}\nprint(*[module.__file__ for name, module in list(sys.modules.items())"
               " if name.startswith('diffusion_lab') and not module.__file__.endswith('__init__.py')])")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert len(loaded) > 10
    assert [path for path in loaded if path not in {str(path) for path in played.used(code)}] == []
