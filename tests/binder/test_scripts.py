"""Binder's scripts: what is installed beside binder/environment.yml, and how a session begins."""

import os
import subprocess
import sys

import pytest
from course import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Binder is Linux")


@pytest.mark.parametrize(("limit", "threads"), [("1.0", "1"), ("2", "2"), ("0.5", "1"), ("many", "1"), (None, "1")])
def test_start_becomes_the_session_with_as_many_threads_as_it_has_cores(limit, threads):
    """By exec: the same process, with the arguments as they are, and with their exit status."""
    environment = {"PATH": os.environ["PATH"]} | ({} if limit is None else {"CPU_LIMIT": limit})
    code = 'echo "$$ $OMP_NUM_THREADS $MKL_NUM_THREADS $OPENBLAS_NUM_THREADS $1"; exit 7'
    process = subprocess.Popen([ROOT / "binder/start", "sh", "-c", code, "sh", "two words"], env=environment,
                               stdout=subprocess.PIPE, text=True)
    told, _ = process.communicate()
    assert told == f"{process.pid} {threads} {threads} {threads} two words\n"
    assert process.returncode == 7


@pytest.mark.parametrize("ends", [0, 3])
def test_post_build_installs_the_package_alone_and_stops_at_the_first_error(tmp_path, ends):
    """With a `python` that notes how it is called, names a folder as its own, and ends as it is told to."""
    (tmp_path / "python").write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/calls"\necho "{tmp_path}"\nexit {ends}\n')
    (tmp_path / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / "binder/postBuild"], env=environment, cwd=ROOT, check=False)
    assert done.returncode == ends
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "-m pip install --no-deps --no-cache-dir ."
    assert len(calls) == (4 if ends == 0 else 1)
    assert (tmp_path / "share/jupyter/lab/settings/overrides.json").exists() == (ends == 0)
