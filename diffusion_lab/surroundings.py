"""What surrounds this process: the cores and memory that it may use, the JupyterLab that shows it, the network.

On Binder the machine shows many cores and tens of gigabytes, of which the session gets one and 2 GB. Linux keeps such
limits in control groups (version 2, or the older 1), and a JupyterHub names them in CPU_LIMIT and MEM_LIMIT.

Only Python's own library is imported at the top: `doctor` must run where a package is missing.
"""

import os
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

MOUNT, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cores():
    """The number of cores that this process may use, a float: a quota may be half of one."""
    counts = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1]
    for group in groups("cpu"):
        quota, period = (numbers(group / "cpu.max") + [0, 0])[:2]  # version 2: both in one file
        if not period:
            quota, period = (sum(numbers(group / f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
        if quota > 0 and period > 0:
            counts.append(quota / period)
    return float(min(counts + limit("CPU_LIMIT")))


def memory(available, own):
    """The bytes that this process has and may still get. available: free on the whole machine; own: of this process."""
    free = [available]
    for group in groups("memory"):
        most = numbers(group / "memory.max") or numbers(group / "memory.limit_in_bytes")
        used = numbers(group / "memory.current") or numbers(group / "memory.usage_in_bytes")
        if most and used:
            free.append(most[0] - used[0] + cached(group / "memory.stat"))
    return min([max(0, value) + own for value in free] + limit("MEM_LIMIT"))


def groups(controller):
    """The folders of the control groups that this process is in, for a controller, the innermost first."""
    found = []
    for line in lines(OWN):
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            mount = MOUNT / controller if controllers else MOUNT
            inner = mount / path.lstrip("/")  # in a container it may not be there; then the mount is the group
            found += [folder for folder in [inner, *inner.parents] if folder.is_relative_to(mount)]
    return found


def cached(stat):
    """The bytes of a group that are copies of files, given back as soon as they are needed."""
    values = dict(line.split() for line in lines(stat))
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def lines(file):
    """The lines of a file; none if there is no such file."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def numbers(file):
    """The whole numbers in the first line of a file; none if there is no file, or no limit ("max")."""
    words = (lines(file) or [""])[0].split()
    return [int(word) for word in words if word.lstrip("-").isdigit()] if "max" not in words else []


def limit(variable):
    """The positive number in an environment variable, as a list; an empty list if there is none."""
    try:
        value = float(os.environ[variable])
    except (KeyError, ValueError):
        return []
    return [value] if value > 0 else []


def jupyterlab():
    """The environment of the JupyterLab that shows this notebook, a folder; None where it cannot be told, or is none.

    That of the server which started this kernel; where that is unknown, the kernel's own.
    """
    places = [Path(sys.prefix)]
    try:
        import psutil

        python = Path(psutil.Process(int(os.environ["JPY_PARENT_PID"])).cmdline()[0])
        if python.is_absolute():
            places = list(python.parents)[:2]  # …/bin/python, and on Windows conda's …/python.exe
    except Exception:  # no psutil, no such process, another user's: there is nothing to learn
        pass
    return next((place for place in places if (place / "share/jupyter/lab").is_dir()), None)


def has_extension(name, environment):
    """Whether the JupyterLab of an environment has an extension, its own, the user's or the system's."""
    folders = [Path(environment) / "share/jupyter/labextensions"]
    try:
        from jupyter_core.paths import jupyter_path

        folders += [Path(path) for path in jupyter_path("labextensions") if not path.startswith(sys.prefix)]
    except ImportError:
        pass
    return any((folder / name).is_dir() for folder in folders)


def reachable(address, patience):
    """Whether a web server answers within so many seconds, if only with a refusal."""
    answers = []

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=patience).close()
            answers.append(True)
        except urllib.error.HTTPError:
            answers.append(True)
        except OSError:
            answers.append(False)

    asking = threading.Thread(target=ask, daemon=True)  # to look up a name can take longer than any timeout
    asking.start()
    asking.join(patience)
    return answers == [True]
