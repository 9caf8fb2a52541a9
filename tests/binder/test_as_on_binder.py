"""Binder's start script, and the command that runs the notebooks under Binder's limits."""

import importlib.util
import os
import subprocess
import sys

import nbformat
import pytest
from course import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Binder is Linux")
spec = importlib.util.spec_from_file_location("as_on_binder", ROOT / "benchmarks/binder.py")
binder = importlib.util.module_from_spec(spec)
spec.loader.exec_module(binder)


@pytest.mark.parametrize(("limit", "threads"), [
    ("1.0", "1"), ("1", "1"), ("2", "2"), ("4.0", "4"), ("0.5", "1"), ("", "1"), ("many", "1"), (None, "1"),
])
def test_start_takes_as_many_threads_as_binder_gives_cores(limit, threads):
    environment = {"PATH": os.environ["PATH"]} | ({} if limit is None else {"CPU_LIMIT": limit})
    command = [ROOT / "binder/start", "sh", "-c", 'echo "$OMP_NUM_THREADS $MKL_NUM_THREADS $OPENBLAS_NUM_THREADS"']
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [threads] * 3


def test_start_becomes_the_command_it_is_given():
    """By exec: the same process, with the arguments as they are, and with their exit status."""
    command = [ROOT / "binder/start", "sh", "-c", 'echo "$$ $1"; exit 7', "sh", "two words"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told, _ = process.communicate(timeout=10)
    assert told == f"{process.pid} two words\n"
    assert process.returncode == 7


@pytest.fixture(params=["control group", "watched"])
def group(request):
    if request.param == "watched":
        yield None
        return
    with binder.control_group() as folder:
        if folder is None:
            pytest.skip("no control group can be made here")
        yield folder


def notebook(folder, source):
    cells = [nbformat.v4.new_code_cell(source)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "some.ipynb")
    return folder / "some.ipynb"


def test_a_notebook_is_held_to_one_cpu_and_uses_the_switch(tmp_path, group):
    source = """import os
data = bytearray(b"x") * 300_000_000
assert len(os.sched_getaffinity(0)) == 1
assert os.environ["OMP_NUM_THREADS"] == "1"
assert os.environ["DIFFUSION_LAB_SHIPPED"] == "1"
"""
    path = notebook(tmp_path, source)
    before = path.read_bytes()
    seconds, peak, ended = binder.measure(path, group)
    assert ended == ""
    assert 300e6 < peak < 700e6
    assert 0 < seconds < 60
    assert path.read_bytes() == before


def test_a_notebook_that_needs_more_than_2_gb_is_ended(tmp_path, group):
    path = notebook(tmp_path, 'import time\ndata = bytearray(b"x") * 2_300_000_000\ntime.sleep(5)')
    _, _, ended = binder.measure(path, group)
    assert ended.endswith("it needs more than 2 GB")


def test_a_notebook_that_fails_is_told(tmp_path):
    assert "ValueError: no such thing" in binder.measure(notebook(tmp_path, 'raise ValueError("no such thing")'))[2]
