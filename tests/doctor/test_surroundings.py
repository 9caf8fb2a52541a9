"""Cores, memory and network: what a process is told when it gets less of them than the machine has."""

import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import psutil
import pytest
from course import ROOT

from diffusion_lab import doctor, surroundings

GB = 10**9


@pytest.fixture(autouse=True)
def without_a_hub(monkeypatch):
    for name in ("CPU_LIMIT", "MEM_LIMIT"):
        monkeypatch.delenv(name, raising=False)


def printed(code, command=(), **settings):
    """What a fresh Python prints: doctor is at hand in its code."""
    command = [*command, sys.executable, "-c", f"from diffusion_lab import doctor; {code}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def groups(monkeypatch, tmp_path):
    """Lets a test write the control groups that this process is said to be in."""

    def be_in(*lines):
        (tmp_path / "own").write_text("\n".join(lines))
        monkeypatch.setattr(surroundings, "OWN", tmp_path / "own")
        monkeypatch.setattr(surroundings, "MOUNT", tmp_path / "cgroup")
        return tmp_path / "cgroup"

    return be_in


@contextmanager
def real_group(controller, **files):
    """A control group with these limits inside the present one; skips where none can be. Yields how to enter it."""
    try:
        folder = next(group for group in surroundings.groups(controller) if group.is_dir()) / f"test-{os.getpid()}"
        folder.mkdir()
    except (OSError, StopIteration):
        pytest.skip("no control group can be made here")
    try:
        for name, text in files.items():
            if not (folder / name.replace("__", ".")).exists():
                pytest.skip(f"{controller} is not limited by {name} here")
            (folder / name.replace("__", ".")).write_text(text)
        yield lambda: (folder / "cgroup.procs").write_text(str(os.getpid()))
    finally:
        for _ in range(50):  # the group is empty a moment after its process has ended
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.1)


@pytest.mark.parametrize(("count", "ok", "found"), [
    (1, False, "1 core"), (2, True, "2 cores"), (0.5, False, "0.5 core"), (1.5, True, "1.5 cores"),
])
def test_cores(count, ok, found):
    finding = doctor.cores(count)
    assert (finding.ok, finding.found, finding.needed) == (ok, found, False)
    assert "slower" in finding.remedy


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a process held to one core")
def test_a_process_held_to_one_core():
    one = {min(os.sched_getaffinity(0))}
    lines = printed("doctor.report([doctor.cores()])", preexec_fn=lambda: os.sched_setaffinity(0, one))
    assert lines[0] == "-- 1 core"


def test_a_real_quota_of_half_a_core():
    with real_group("cpu", cpu__cfs_period_us="100000", cpu__cfs_quota_us="50000") as enter:
        assert printed("print(doctor.cores().found)", preexec_fn=enter) == ["0.5 core"]


def test_quotas_of_both_versions(groups):
    write(groups("0::/"), cpu__max="50000 100000\n")
    assert surroundings.cores() == 0.5
    write(groups("0::/"), cpu__max="max 100000\n")
    everything = surroundings.cores()
    assert everything == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    (groups("0::/") / "cpu.max").unlink()
    mount = groups("3:cpu,cpuacct:/session/kernel", "4:memory:/other")
    write(mount / "cpu" / "session", cpu__cfs_quota_us="25000\n", cpu__cfs_period_us="100000\n")
    write(mount / "cpu" / "session" / "kernel", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert surroundings.cores() == 0.25, "an outer group limits, too"


@pytest.mark.parametrize(("value", "expected"), [("1.0", 1.0), ("0.5", 0.5), ("0", None), ("many", None), ("", None)])
def test_the_cores_that_a_hub_gives(groups, monkeypatch, value, expected):
    groups()
    everything = surroundings.cores()
    monkeypatch.setenv("CPU_LIMIT", value)
    assert surroundings.cores() == (expected or everything)


def test_little_memory():
    finding = doctor.memory(0.9e9)
    assert not finding.ok
    assert finding.found == "0.9 GB of memory free"
    assert "Shut Down All Kernels" in finding.remedy
    assert doctor.memory(1.6e9).ok


def test_a_real_limit_of_a_gigabyte():
    with real_group("memory", memory__limit_in_bytes=str(GB)) as enter:
        lines = printed("doctor.report([doctor.memory()])", preexec_fn=enter)
    assert lines[0] in ("-> 1.0 GB of memory free", "-> 0.9 GB of memory free")
    assert "Close other notebooks" in lines[1]


def test_memory_by_both_versions(groups):
    """2 GB, of which 0.9 are used: 0.3 by this process, 0.2 by copies of files, which do not count."""
    own = 3 * GB // 10
    write(groups("0::/user"), memory__max="max\n", memory__current=f"{50 * GB}\n")
    write(groups("0::/user") / "user", memory__max=f"{2 * GB}\n", memory__current=f"{9 * GB // 10}\n",
          memory__stat=f"anon 1\ninactive_file {2 * GB // 10}\n")
    assert surroundings.memory(60 * GB, own) == pytest.approx(1.6 * GB)
    assert surroundings.memory(1 * GB, own) == pytest.approx(1.3 * GB), "the machine itself has less"
    mount = groups("4:memory:/not/there/in/a/container", "0::/elsewhere")
    write(mount / "memory", memory__limit_in_bytes=f"{2 * GB}\n", memory__usage_in_bytes=f"{9 * GB // 10}\n",
          memory__stat=f"inactive_file 7\ntotal_inactive_file {2 * GB // 10}\n")
    assert surroundings.memory(60 * GB, own) == pytest.approx(1.6 * GB)
    write(mount / "memory", memory__limit_in_bytes="9223372036854771712\n")
    assert surroundings.memory(60 * GB, own) == pytest.approx(60.3 * GB), "version 1 writes no limit so"
    write(mount / "memory", memory__limit_in_bytes=f"{GB // 2}\n")
    assert surroundings.memory(60 * GB, own) == own, "nothing is left"


def test_the_memory_that_a_hub_gives(groups, monkeypatch):
    groups()
    assert surroundings.memory(60 * GB, GB) == 61 * GB
    monkeypatch.setenv("MEM_LIMIT", str(2 * GB))
    assert surroundings.memory(60 * GB, GB) == 2 * GB
    assert surroundings.memory(GB // 2, GB) == 1.5 * GB


def test_memory_of_this_process_counts_as_its_own():
    ours, free = psutil.Process().memory_info().rss, psutil.virtual_memory().available
    assert surroundings.memory(free, ours) <= free + ours
    assert float(doctor.memory().found.split()[0]) * GB <= free + ours + GB / 2


class Answer(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_HEAD(self):
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


class Refusal(Answer):
    status = 404


@contextmanager
def server(handler):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()


@pytest.fixture(autouse=True)
def without_a_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("handler", [Answer, Refusal])
def test_a_server_that_answers_is_a_network(handler):
    with server(handler) as address:
        finding = doctor.network(address)
    assert finding.ok
    assert finding.found == "internet connection"


def assert_no_network(finding):
    ok, found, remedy, needed = finding
    assert (ok, found, needed) == (False, "no internet connection", False)
    assert "All notebooks run without" in remedy
    assert "full MNIST" in remedy


def test_a_server_that_is_silent_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        assert_no_network(doctor.network(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        assert time.monotonic() - begin < 2


def test_a_name_that_nobody_resolves_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(doctor, "PATIENCE", 0.3)
    def hanging(*_, **__):
        time.sleep(3)
        raise socket.gaierror("nobody knows")

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    begin = time.monotonic()
    assert_no_network(doctor.network())
    assert time.monotonic() - begin < 2


def test_a_network_that_refuses(monkeypatch):
    def refused(*_, **__):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refused)
    assert_no_network(doctor.network("http://127.0.0.1:9/"))


def test_a_process_cut_off_from_the_network():
    """It cannot even reach this process, which serves on the same machine."""
    cut = ("unshare", "--net")
    if not shutil.which("unshare") or subprocess.run([*cut, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs root and unshare")
    with server(Answer) as address:
        code = f"doctor.report([doctor.network({address!r})])"
        assert printed(code)[0] == "ok internet connection"
        lines = printed(code, cut)
    assert lines[0] == "-- no internet connection"
    assert "All notebooks run without" in lines[1]
    assert lines[2].startswith("The course runs here.")
