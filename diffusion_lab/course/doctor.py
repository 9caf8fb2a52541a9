"""Examine the environment in which a notebook runs, and name the remedy for each problem.

    python -m diffusion_lab doctor

At the top, only Python's own library is imported: a package that is missing must not keep this from saying so.
"""

import os
import re
import site
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
EXTENSIONS = {"anywidget": "anywidget", "@jupyter-widgets/jupyterlab-manager": "ipywidgets"}  # a folder: its package
AGAIN = "Run `make lab` again: it installs what is missing."


class Finding(NamedTuple):
    """One thing that was looked at; needed: False for what only makes the course slower."""

    ok: bool
    found: str
    remedy: str
    needed: bool = True


def python_version(version=sys.version_info):
    return Finding(tuple(version[:2]) >= (3, 11), f"Python {version[0]}.{version[1]}",
                   "The course needs Python 3.11 or newer: install one, then `make clean lab`.")


def kernel(prefix=sys.prefix, root=ROOT):
    expected = Path(root) / ".venv"
    return Finding(not expected.exists() or Path(prefix).resolve() == expected.resolve(),
                   f"kernel of the environment {Path(prefix).name}",
                   "This notebook runs in another environment than the one that `make lab` made. Choose Kernel, Change "
                   "Kernel, Python 3; or close JupyterLab and start it with `make lab`.")


def packages():
    try:
        requires = metadata.requires("diffusion-lab")
    except metadata.PackageNotFoundError:
        return [Finding(False, "diffusion-lab is not installed in this environment", AGAIN)]
    return [package(*line.split(">=")) for line in requires if "extra ==" not in line]


def package(name, least):
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(False, f"{name} is missing", AGAIN)
    have, want = ([int(part) for part in re.findall(r"\d+", text)] for text in (version.split("+")[0], least))
    return Finding(have >= want, f"{name} {version}", f"The course needs {name} {least} or newer. {AGAIN}")


def jupyterlab():
    """The environment of the JupyterLab that started this kernel, a folder; None where it cannot be told."""
    try:
        import psutil

        python = Path(psutil.Process(int(os.environ["JPY_PARENT_PID"])).cmdline()[0])
    except Exception:  # no server, or another user's: there is nothing to learn
        return None
    places = list(python.parents)[:2]  # …/bin/python, and on Windows conda's …/python.exe
    return next((place for place in places if (place / "share/jupyter/lab").is_dir()), None)


def sliders(lab):
    places = [Path(place, "share/jupyter/labextensions") for place in (lab, site.getuserbase(), "/usr/local", "/usr")]
    missing = [name for folder, name in EXTENSIONS.items() if not any((place / folder).is_dir() for place in places)]
    return Finding(not missing, f"sliders: JupyterLab {'lacks ' + ' and '.join(missing) if missing else 'shows them'}",
                   f"JupyterLab runs in {lab}. Close it and start it with `make lab`; or install there what is "
                   f"missing: `pip install {' '.join(missing)}`. Then load the page again.")


def cores(count):
    return Finding(count > 1, f"{count} core{'s' if count > 1 else ''}",
                   "With one core all works, only slower: expect twice the running times that are stated.", False)


def memory(size):
    return Finding(size > 1.5e9, f"{size / 1e9:.1f} GB of memory free",
                   "A notebook may need 1.5 GB. Close other notebooks (Kernel, Shut Down All Kernels) and programs.")


def examine():
    """What the notebooks need, in the order in which to put it right; and, where that is there, what they run on."""
    needed = [python_version(), *packages()]
    found = [needed[0], kernel(), *needed[1:]]
    if all(finding.ok for finding in needed):
        import joblib
        import psutil

        lab = jupyterlab()
        free = psutil.virtual_memory().available
        limit = os.environ.get("MEM_LIMIT", "")  # a JupyterHub, and so Binder, says here what a session may use
        found += [sliders(lab)] if lab else []
        found += [cores(joblib.cpu_count()), memory(min(free, int(limit)) if limit.isdigit() else free)]
    return found


def report(findings=None):
    """Print what was found, with the remedy where something is not as it should be."""
    findings = examine() if findings is None else findings
    for finding in findings:
        print("ok" if finding.ok else "->" if finding.needed else "--", finding.found)
        if not finding.ok:
            print("  ", finding.remedy)
    if any(finding.needed and not finding.ok for finding in findings):
        print("Put the lines marked -> right from top to bottom, then choose Kernel, Restart Kernel.")
    elif not all(finding.ok for finding in findings):
        print("The course runs here. What is marked -- only makes it slower.")
    else:
        print("All is well.")


if __name__ == "__main__":
    report()
