"""Time and peak memory of each notebook as Binder runs it: one CPU, 2 GB of memory, 07 with the shipped weights.

    python benchmarks/binder.py [NN …]

Each notebook runs from top to bottom in processes of its own, held to one CPU and started by binder/start. Peak memory
is the sum of their resident sets, sampled every 50 ms: the kernel, and the process that runs it in the place of
JupyterLab's server. The limit is a control group's, as in a container, where one can be made (as root); elsewhere this
command ends what grows beyond it. Needs Linux.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
LIMIT = 2 * 2**30  # bytes
COMMAND = [ROOT / "binder/start", sys.executable, "-m", "jupyter", "execute", "--timeout=600"]


def groups(controller):
    """The folders of the control groups that this process is in, for a controller, the innermost first."""
    mounts, found = Path("/sys/fs/cgroup"), []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):  # version 2 names none
            mount = mounts / controller if controllers else mounts
            inner = mount / path.lstrip("/")  # in a container it may not be there; then the mount is the group
            found += [folder for folder in [inner, *inner.parents] if folder.is_relative_to(mount)]
    return found


@contextmanager
def control_group():
    """The folder of a new control group with Binder's memory; None where none can be made."""
    parent = next((group for group in groups("memory") if group.is_dir()), Path("nowhere"))
    folder = parent / f"binder-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        yield None
        return
    try:
        limits = [folder / name for name in ("memory.max", "memory.limit_in_bytes") if (folder / name).exists()]
        for file in limits:
            file.write_text(str(LIMIT))
        yield folder if limits else None
    finally:
        time.sleep(0.5)  # a process has left its group a moment after its end
        folder.rmdir()


def killed_for_memory(folder):
    """How many processes of a control group were killed because it was full."""
    counts = [line.split()[1] for name in ("memory.events", "memory.oom_control") if (folder / name).exists()
              for line in (folder / name).read_text().splitlines() if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else 0


def measure(notebook, group=None):
    """Run a notebook. Returns seconds, peak bytes, and how it ended: "", or what went wrong."""

    def confine():
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    outside = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    settings = {"CPU_LIMIT": "1.0", "MEM_LIMIT": str(LIMIT), "DIFFUSION_LAB_SHIPPED": "1"}
    before, begin, peak, ended = killed_for_memory(group) if group else 0, time.perf_counter(), 0, ""
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen([*COMMAND, notebook], env=outside | settings, preexec_fn=confine, stdout=told,
                                   stderr=subprocess.STDOUT)
        while process.poll() is None:
            size = resident(process.pid)
            peak = max(peak, size)
            if size > LIMIT and not group:
                ended = "ended: it needs more than 2 GB"
                for child in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
                    child.kill()
            time.sleep(0.05)
        seconds = time.perf_counter() - begin
        told.seek(0)
        if process.returncode and not ended:
            plain = re.sub(r"\x1b\[[\d;]*m", "", told.read()).strip()  # without colours
            ended = (plain.splitlines() or ["?"])[-1]
    if group and killed_for_memory(group) > before:
        ended = "killed: it needs more than 2 GB"
    return seconds, peak, ended


def resident(pid):
    """The bytes that a process and all that it started hold in memory."""
    total = 0
    try:
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass  # it has just ended
    return total


def main(chosen):
    """Print the table. Returns the exit status: 1 if a notebook did not run to its end."""
    failed = 0
    with control_group() as group:
        held = "a control group of 2 GB" if group else "this command, which ends what grows beyond 2 GB"
        print(f"{sys.version.split()[0]} on {os.uname().machine}; one CPU; memory is limited by {held}\n")
        print("| notebook | seconds | peak memory, MB | |\n|---|---|---|---|")
        for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
            if not chosen or path.name[:2] in chosen:
                seconds, peak, ended = measure(path, group)
                failed += bool(ended)
                print(f"| {path.stem} | {seconds:.0f} | {peak / 1e6:.0f} | {ended or 'to its end'} |", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
