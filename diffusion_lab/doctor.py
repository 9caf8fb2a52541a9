"""Check the environment in which a notebook runs, and name the remedy for each problem.

    python -c "from diffusion_lab.doctor import report; report()"
"""

import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYTHON = (3, 11)
MEMORY_NEEDED = 1.5e9  # bytes: the course's budget for one notebook
AGAIN = "Run `make lab` again: it installs what is missing."


class Finding(NamedTuple):
    """One thing that was looked at: whether it is as it should be, what was found, and what to do if not."""

    ok: bool
    found: str
    remedy: str = ""


def python_version(version=sys.version_info):
    """Whether Python is new enough."""
    found = f"Python {version[0]}.{version[1]}"
    return Finding(tuple(version[:2]) >= PYTHON, found,
                   f"The course needs Python {PYTHON[0]}.{PYTHON[1]} or newer: install one, then `make clean lab`.")


def packages(requires=None, version_of=metadata.version):
    """Whether each package that the course needs is there and new enough."""
    if requires is None:
        try:
            requires = metadata.requires("diffusion-lab") or []
        except metadata.PackageNotFoundError:
            return [Finding(False, "diffusion-lab is not installed in this environment", AGAIN)]
    findings = []
    for requirement in map(Requirement, requires):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = version_of(requirement.name)
        except metadata.PackageNotFoundError:
            findings.append(Finding(False, f"{requirement.name} is missing", AGAIN))
            continue
        ok = requirement.specifier.contains(re.sub(r"\+.*", "", version), prereleases=True)
        findings.append(Finding(ok, f"{requirement.name} {version}",
                                f"The course needs {requirement.name}{requirement.specifier}. {AGAIN}"))
    return findings


def kernel(prefix=sys.prefix, root=ROOT):
    """Whether the kernel is the one that `make lab` made, where it made one."""
    expected = Path(root) / ".venv"
    ok = not expected.exists() or Path(prefix).resolve() == expected.resolve()
    return Finding(ok, f"kernel of the environment {Path(prefix).name}",
                   "This notebook runs in another environment than the one that `make lab` made. Choose Kernel, Change "
                   "Kernel, Python 3; or close JupyterLab and start it with `make lab`.")


def cores(count=None):
    """Whether there is more than one core to compute on."""
    count = count or len(getattr(psutil.Process(), "cpu_affinity", lambda: range(os.cpu_count()))())
    return Finding(count > 1, f"{count} core{'s' if count > 1 else ''}",
                   "With one core all works, only slower: expect twice the running times that are stated.")


def memory(available=None):
    """Whether a notebook of the course fits into memory."""
    available = psutil.virtual_memory().available if available is None else available
    return Finding(available > MEMORY_NEEDED, f"{available / 1e9:.1f} GB of memory free",
                   "A notebook may need 1.5 GB. Close other notebooks (Kernel, Shut Down All Kernels) and programs.")


def check():
    """All findings, in the order in which to mend them."""
    return [python_version(), kernel(), *packages(), cores(), memory()]


def report(findings=None):
    """Print what was found, with the remedy where something is not as it should be."""
    findings = check() if findings is None else findings
    for finding in findings:
        print("ok" if finding.ok else "->", finding.found)
        if not finding.ok:
            print("  ", finding.remedy)
    print("All is well." if all(f.ok for f in findings) else "Mend the lines marked -> from top to bottom.")
