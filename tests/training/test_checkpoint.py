"""A checkpoint comes back as it was saved, outlives any crash, and is refused when it is not whole."""

import ast
import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from course import ROOT
from safetensors.torch import save as to_bytes

from diffusion_lab.training import checkpoint

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8,
          torch.bool)
CHOSEN = {"step": 3, "text": "ε_θ", "deep": {"list": [1, 2.5, None, True]}, "third": 1 / 3}


def some_tensors(version=1):
    return {"a": torch.full((4, 3), float(version)), "b": torch.tensor(version)}


def index_of(folder):
    return json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))


def state_of(folder):
    return folder / index_of(folder)["file"]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3, 4)], ids=str)
def test_tensors_come_back_as_they_were(tmp_path, dtype, shape):
    tensor = (torch.arange(100)[: torch.Size(shape).numel()].reshape(shape) % 7).to(dtype)
    checkpoint.save(tmp_path, {"x.y": tensor}, {})
    [(name, found)] = checkpoint.read(tmp_path)[0].items()
    assert (name, found.dtype, found.shape) == ("x.y", dtype, tensor.shape)
    assert torch.equal(found, tensor)


def test_values_that_no_arithmetic_keeps_come_back_bit_for_bit(tmp_path):
    odd = torch.tensor([0.0, -0.0, float("nan"), float("inf"), 1e-45, 3.4e38])
    checkpoint.save(tmp_path, {"odd": odd}, {})
    assert torch.equal(checkpoint.read(tmp_path)[0]["odd"].view(torch.int32), odd.view(torch.int32))


def test_tensors_that_lie_otherwise_in_memory(tmp_path):
    """Channels last, a transposed view, every second number, one that needs a gradient."""
    x = torch.arange(48.0).reshape(2, 4, 2, 3)
    saved = {"last": x.to(memory_format=torch.channels_last), "view": x.transpose(0, 3),
             "second": x.flatten()[::2], "leaf": x.clone().requires_grad_()}
    assert not saved["last"].is_contiguous()
    checkpoint.save(tmp_path, saved, {})
    found, _ = checkpoint.read(tmp_path)
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], saved[name]) for name in saved)
    assert not found["leaf"].requires_grad


def test_facts_come_back(tmp_path):
    checkpoint.save(tmp_path, some_tensors(), CHOSEN)
    assert checkpoint.read(tmp_path)[1] == CHOSEN


def test_a_save_takes_the_place_of_the_one_before(tmp_path):
    folder = tmp_path / "new" / "run"  # is made
    assert not checkpoint.exists(folder)
    for version in (1, 2, 3, 3):
        checkpoint.save(folder, some_tensors(version), {"version": version})
        (folder / "samples.png").touch()
        assert checkpoint.exists(folder)
        tensors, facts = checkpoint.read(folder)
        assert (tensors["b"].item(), facts) == (version, {"version": version})
        assert files(folder) == ["checkpoint.json", "samples.png", state_of(folder).name]


def test_what_a_crash_left_behind_does_no_harm_and_goes_with_the_next_save(tmp_path):
    checkpoint.save(tmp_path, some_tensors(1), {})
    for name in ("state-0123456789abcdef.partial", "checkpoint.partial", "state-0.safetensors"):
        (tmp_path / name).write_bytes(b"half a fi")
    assert checkpoint.read(tmp_path)[0]["b"] == 1
    checkpoint.save(tmp_path, some_tensors(2), {})
    assert files(tmp_path) == ["checkpoint.json", state_of(tmp_path).name]
    assert checkpoint.read(tmp_path)[0]["b"] == 2


class Crash(BaseException):
    """The power fails: nothing after this runs."""


def crash_at(count, monkeypatch):
    """Let the count-th call by which a save touches the disk fail, halfway through if it writes."""
    left = iter(range(count, -1, -1))

    def failing(call):
        def wrapped(*arguments, **keywords):
            if next(left) <= 1:
                raise Crash
            return call(*arguments, **keywords)
        return wrapped

    def put_half(path, content):
        partial = path.with_suffix(".partial")
        if next(left) <= 1:
            partial.write_bytes(content[: len(content) // 2])
            raise Crash
        return whole(path, content)

    whole = checkpoint.put
    monkeypatch.setattr(checkpoint, "put", put_half)
    for place, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
        monkeypatch.setattr(place, name, failing(getattr(place, name)))


def test_a_crash_at_any_call_leaves_the_old_checkpoint_or_the_new_one(tmp_path):
    seen, count = [], 0
    while not seen or seen[-1] != "done":
        count += 1
        folder = tmp_path / str(count)
        checkpoint.save(folder, some_tensors(1), {"version": 1})
        with pytest.MonkeyPatch.context() as patch:
            crash_at(count, patch)
            try:
                checkpoint.save(folder, some_tensors(2), {"version": 2})
                seen.append("done")
            except Crash:
                seen.append(checkpoint.read(folder)[1]["version"])
        tensors, facts = checkpoint.read(folder)
        assert tensors["b"].item() == facts["version"]
        checkpoint.save(folder, some_tensors(3), {"version": 3})
        assert len(files(folder)) == 2
    assert seen[0] == 1
    assert seen[-2:] == [2, "done"]
    assert seen[:-1] == sorted(seen[:-1]), "once the new one is there, it stays"
    assert len(seen) > 8


KILLED = """
import os, random, signal, sys, time
import torch
from diffusion_lab.training import checkpoint

torch.set_num_threads(1)
folder, kills = sys.argv[1], int(sys.argv[2])

def save(version):
    value = torch.full((200_000,), float(version))
    checkpoint.save(folder, {"a": value, "b": value[:5].clone()}, {"version": version})

def save_for_ever(version, pipe):
    while True:
        version += 1
        save(version)
        os.write(pipe, b"x")

random.seed(0)
save(0)
version = inside = 0
for _ in range(kills):
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            save_for_ever(version, write_end)
        finally:
            os._exit(1)
    os.close(write_end)
    time.sleep(random.uniform(0.001, 0.05))
    os.kill(child, signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, "the child ended by itself"
    reported = version + len(os.read(read_end, 100_000))
    os.close(read_end)
    inside += len(os.listdir(folder)) != 2
    tensors, facts = checkpoint.read(folder)
    assert facts["version"] in (reported, reported + 1), (facts, reported)
    version = facts["version"]
    assert all((tensor == version).all() for tensor in tensors.values())
save(version)
assert len(os.listdir(folder)) == 2, os.listdir(folder)
print(kills, version, inside)
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9 and fork are of POSIX")
def test_a_hundred_kills_during_saves_lose_at_most_that_save(tmp_path):
    """One process forks children that do nothing but save, and kills each with SIGKILL."""
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "run", "100"], cwd=ROOT,
                          capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    kills, version, inside = map(int, done.stdout.split())
    assert kills == 100
    assert version > 50, "the children saved"
    assert inside > 10, "many were killed with half a save in the folder"


def truncated(folder):
    state_of(folder).write_bytes(state_of(folder).read_bytes()[:-1])


def emptied(folder):
    state_of(folder).write_bytes(b"")


def one_bit_flipped(folder):
    content = bytearray(state_of(folder).read_bytes())
    content[-3] ^= 1
    state_of(folder).write_bytes(content)


def state_gone(folder):
    state_of(folder).unlink()


def rewrite(folder, **changes):
    index = index_of(folder) | changes
    (folder / "checkpoint.json").write_text(json.dumps(index), encoding="utf-8")


def put_in_its_place(folder, content):
    """Another file instead of the state, with a sum that is right."""
    state_of(folder).write_bytes(content)
    rewrite(folder, sha256=hashlib.sha256(content).hexdigest())


def pickled(folder):
    put_in_its_place(folder, pickle.dumps(some_tensors()))


def saved_by_torch(folder):
    torch.save(some_tensors(), folder / "weights.pt")
    put_in_its_place(folder, (folder / "weights.pt").read_bytes())


def no_facts(folder):
    index = index_of(folder)
    del index["facts"]
    (folder / "checkpoint.json").write_text(json.dumps(index), encoding="utf-8")


def text(content):
    def damage(folder):
        (folder / "checkpoint.json").write_bytes(content)
    return damage


def no_index(folder):
    (folder / "checkpoint.json").unlink()


def outside(folder):
    """The index names a sound file in another folder."""
    content = to_bytes(some_tensors())
    folder.with_name("outside.safetensors").write_bytes(content)
    rewrite(folder, file="../outside.safetensors", sha256=hashlib.sha256(content).hexdigest())


def outside_from_the_root(folder):
    outside(folder)
    rewrite(folder, file=str(folder.with_name("outside.safetensors").resolve()))


@pytest.mark.parametrize(("damage", "words"), [
    (truncated, "state-.* is damaged: .* SHA-256"),
    (emptied, "state-.* is damaged: .* SHA-256"),
    (one_bit_flipped, "state-.* is damaged: .* SHA-256"),
    (state_gone, "is incomplete: checkpoint.json names state-.*not there"),
    (pickled, "not a safetensors file"),
    (saved_by_torch, "not a safetensors file"),
    (no_facts, "facts"),
    (lambda folder: rewrite(folder, facts=[1, 2]), "facts"),
    (lambda folder: rewrite(folder, format="diffusion-lab checkpoint 2"), "not written by this"),
    (lambda folder: rewrite(folder, format=None), "not written by this course"),
    (text(b'["format", "file"]'), "not written by this course"),
    (text(b'"diffusion-lab checkpoint 1"'), "not written by this course"),
    (text(b"{}"), "not written by this course"),
    (text(b'{"format": '), r"checkpoint.json is damaged \("),
    (text(b""), r"checkpoint.json is damaged \("),
    (text(b"\xff\xfe\x00"), r"checkpoint.json is damaged \("),
    (text(b"[" * 100_000), "checkpoint.json is damaged"),
    (no_index, "holds no checkpoint: there is no checkpoint.json"),
    (lambda folder: rewrite(folder, file=None), "is incomplete"),
    (lambda folder: rewrite(folder, file=".."), "is incomplete"),
    (lambda folder: rewrite(folder, file=""), "is incomplete"),
    (lambda folder: rewrite(folder, file="a\0b"), "is incomplete"),
    (lambda folder: rewrite(folder, sha256=None), "is damaged: .* SHA-256"),
    (outside, "is incomplete: checkpoint.json names outside.safetensors, which is not there"),
    (outside_from_the_root, "is incomplete"),
])
def test_what_is_not_a_whole_checkpoint_is_refused(tmp_path, damage, words):
    folder = tmp_path / "my-run"
    checkpoint.save(folder, some_tensors(), CHOSEN)
    damage(folder)
    with pytest.raises(ValueError, match=words) as refusal:
        checkpoint.read(folder)
    assert str(folder) in str(refusal.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ValueError, match=f"{folder} holds no checkpoint"):
            checkpoint.read(folder)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file holds no checkpoint"):
        checkpoint.read(tmp_path / "file")


def loads_a_pickle(source):
    """What in some source may run code from a file: pickle and its kin, torch.load, numpy's load unless told not to."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            kin = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
            yield from (name for name in names if name.split(".")[0] in kin)
            if getattr(node, "module", "") in ("torch", "numpy"):
                yield from (f"{node.module}.{name}" for name in names if name == "load")
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            plain = {key.arg: ast.unparse(key.value) for key in node.keywords}.get("allow_pickle")
            if called in ("torch.load", "torch.jit.load", "pd.read_pickle", "pandas.read_pickle"):
                yield called
            if called in ("np.load", "numpy.load") and plain != "False":
                yield called


def test_no_pickle_is_ever_loaded():
    sources = [path for folder in ("diffusion_lab", "tools", "benchmarks")
               for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 40
    found = {path.name: list(loads_a_pickle(path.read_text(encoding="utf-8"))) for path in sources}
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize("source", [
    "torch.load(f)", "torch.load(f, weights_only=True)", "import pickle", "from pickle import loads",
    "import joblib", "np.load(f)", "np.load(f, allow_pickle=True)", "from torch import load",
])
def test_a_pickle_would_be_noticed(source):
    assert list(loads_a_pickle(source))
    assert not list(loads_a_pickle("np.load(f, allow_pickle=False); from safetensors.torch import load"))
