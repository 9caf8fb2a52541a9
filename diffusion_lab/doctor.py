"""Check the environment in which a notebook runs, and name the remedy for each problem.

    python -m diffusion_lab.doctor

At the top, only Python's own library is imported: a package that is missing must not keep this from saying so.
"""

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from diffusion_lab import surroundings

ROOT = Path(__file__).parents[1]
PYTHON = (3, 11)
MEMORY_NEEDED = 1.5e9  # bytes: the course's budget for one notebook
PATIENCE = 3  # seconds to wait for an answer from the internet
OPENML = "https://www.openml.org"
EXTENSIONS = {"anywidget": "anywidget", "@jupyter-widgets/jupyterlab-manager": "ipywidgets"}
AGAIN = "Run `make lab` again: it installs what is missing."


class Finding(NamedTuple):
    """One thing that was looked at: whether it is as it should be, what was found, and what to do if not.

    needed: False for what only makes the course slower, or takes something away that no notebook needs.
    """

    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True


def python_version(version=sys.version_info):
    """Whether Python is new enough."""
    found = f"Python {version[0]}.{version[1]}"
    return Finding(tuple(version[:2]) >= PYTHON, found,
                   f"The course needs Python {PYTHON[0]}.{PYTHON[1]} or newer: install one, then `make clean lab`.")


def kernel(prefix=sys.prefix, root=ROOT):
    """Whether the kernel is the one that `make lab` made, where it made one."""
    expected = Path(root) / ".venv"
    ok = not expected.exists() or Path(prefix).resolve() == expected.resolve()
    return Finding(ok, f"kernel of the environment {Path(prefix).name}",
                   "This notebook runs in another environment than the one that `make lab` made. Choose Kernel, Change "
                   "Kernel, Python 3; or close JupyterLab and start it with `make lab`.")


def packages(requires=None):
    """Whether each package that the course needs is there and new enough."""
    try:
        requires = metadata.requires("diffusion-lab") or [] if requires is None else requires
    except metadata.PackageNotFoundError:
        return [Finding(False, "diffusion-lab is not installed in this environment", AGAIN)]
    findings = []
    for requirement in (line for line in requires if "extra ==" not in line):
        name, wanted = re.match(r"([\w.-]+)\s*([^;]*)", requirement).groups()
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            findings.append(Finding(False, f"{name} is missing", AGAIN))
            continue
        findings.append(Finding(new_enough(version, wanted), f"{name} {version}",
                                f"The course needs {name}{wanted.strip()}. {AGAIN}"))
    return findings


def new_enough(version, wanted):
    """Whether a version, its local part ("+cpu") aside, is one of those wanted; True where this cannot be told."""
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        return True  # the line about packaging itself says what to do
    return SpecifierSet(wanted).contains(version.partition("+")[0], prereleases=True)


def sliders(lab=None):
    """Whether the JupyterLab that shows this notebook has what shows sliders. lab: its environment, a folder."""
    lab = surroundings.jupyterlab() if lab is None else lab
    if lab is None:
        return Finding(True, "sliders: not in JupyterLab, or in one that cannot be looked into from here")
    missing = [package for name, package in EXTENSIONS.items() if not surroundings.has_extension(name, lab)]
    found = f"no extension of {' and '.join(missing)}" if missing else "all extensions for them"
    return Finding(not missing, f"sliders: JupyterLab has {found}",
                   f"JupyterLab runs in {lab} and cannot show sliders. Close it and start it with `make lab`; or "
                   f"install there what is missing: `pip install {' '.join(missing)}`. Then load the page again.")


def cores(count=None):
    """Whether there is more than one core to compute on."""
    count = surroundings.cores() if count is None else count
    return Finding(count > 1, f"{count:.3g} core{'s' if count > 1 else ''}",
                   "With one core all works, only slower: expect twice the running times that are stated.", False)


def memory(size=None):
    """Whether a notebook of the course fits into memory."""
    if size is None:
        try:
            import psutil
        except ImportError:
            return Finding(True, "memory: not looked at, without psutil")
        size = surroundings.memory(psutil.virtual_memory().available, psutil.Process().memory_info().rss)
    return Finding(size > MEMORY_NEEDED, f"{size / 1e9:.1f} GB of memory free",
                   "A notebook may need 1.5 GB. Close other notebooks (Kernel, Shut Down All Kernels) and programs.")


def network(address=OPENML):
    """Whether the one address from which the course can download something answers."""
    ok = surroundings.reachable(address, PATIENCE)
    return Finding(ok, "internet connection" if ok else "no internet connection",
                   "All notebooks run without. Only the full MNIST and Fashion-MNIST, which none of them needs, cannot "
                   "be downloaded.", False)


def check():
    """What the notebooks need, in the order in which to mend it, and what they run on."""
    return [python_version(), kernel(), *packages(), sliders(), cores(), memory()]


def report(findings=None):
    """Print what was found, with the remedy where something is not as it should be; asks the internet, too."""
    findings = [*check(), network()] if findings is None else findings
    for finding in findings:
        print("ok" if finding.ok else "->" if finding.needed else "--", finding.found)
        if not finding.ok:
            print("  ", finding.remedy)
    if not all(finding.ok for finding in findings if finding.needed):
        print("Mend the lines marked -> from top to bottom, then choose Kernel, Restart Kernel.")
    elif not all(finding.ok for finding in findings):
        print("The course runs here. What is marked -- makes it slower, or concerns what no notebook needs.")
    else:
        print("All is well.")


if __name__ == "__main__":
    report()
