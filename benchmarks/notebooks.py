"""Time and peak memory of each notebook, run from top to bottom in a kernel of its own.

    python benchmarks/notebooks.py [NN …]

Peak memory is the largest resident set of the kernel's process, sampled every 50 ms.
"""

import platform
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


class Peak(threading.Thread):
    """Watches the largest memory of this process's children."""

    def __init__(self):
        super().__init__(daemon=True)
        self.largest, self.running = 0, True

    def run(self):
        while self.running:
            for child in psutil.Process().children(recursive=True):
                try:
                    self.largest = max(self.largest, child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.05)


def measure(path):
    """Seconds and peak bytes of one run."""
    notebook = nbformat.read(path, as_version=4)
    peak, start = Peak(), time.perf_counter()
    peak.start()
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": NOTEBOOKS}}).execute()
    peak.running = False
    return time.perf_counter() - start, peak.largest


def main(chosen):
    print(f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}\n")
    print("| notebook | seconds | peak memory, MB | file, kB |\n|---|---|---|---|")
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        if not chosen or path.name[:2] in chosen:
            seconds, peak = measure(path)
            print(f"| {path.stem} | {seconds:.1f} | {peak / 1e6:.0f} | {path.stat().st_size / 1e3:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
