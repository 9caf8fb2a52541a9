"""A run that was stopped goes on, bit by bit, as if it had not been; a file is whole or refused, whenever the crash."""

import ast
import dataclasses
import errno
import os
import signal
import subprocess
import sys
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as to_bytes

from diffusion_lab.data.digits import load_digits
from diffusion_lab.networks.mlp import MLP
from diffusion_lab.networks.unet import UNet
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training import runs
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import FILE, Stop, alone, load_run, packed, put, read_run, save_run

ROOT = Path(__file__).parents[2]
RECIPE = Recipe(steps=7, batch=4, augment=0.5, seed=3)  # 8 images: an epoch has two steps


def small():
    return UNet(fine=8, coarse=8, dim=8)


def fresh(recipe=RECIPE):
    return start(recipe, small)


def steps_of(run):
    images, labels = load_digits("train")
    return train(run, batches_of(images[:8], labels[:8], run.recipe), partial(objective, schedule=cosine()))


def all_of(run):
    """Everything that decides how a run goes on, by name; each tensor with its order in memory."""
    tensors = {f"network {name}": value for name, value in run.network.state_dict().items()}
    tensors |= {f"average {name}": value for name, value in run.average.state_dict().items()}
    for i, optimizer in enumerate(run.optimizers):
        for j, weight in enumerate(optimizer.param_groups[0]["params"]):
            tensors |= {f"optimizer {i} {j} {name}": value.clone()
                        for name, value in optimizer.state[weight].items()}
    return tensors | {"generator": run.generator.get_state(), "step": torch.tensor(run.step)}


def assert_the_same(run, other):
    ours, theirs = all_of(run), all_of(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
        assert value.stride() == theirs[name].stride(), name
        assert value.dtype == theirs[name].dtype, name


@pytest.fixture(scope="module")
def uninterrupted():
    run = fresh()
    progress = list(steps_of(run))
    return run, progress


@pytest.mark.parametrize("stops", [[1], [2, 5], [7], [0]], ids=str)
def test_a_stopped_run_goes_on_bit_by_bit(tmp_path, uninterrupted, stops):
    """Within an epoch and at its border, once and twice, after the first step, after the last, and before any."""
    run, progress = fresh(), []
    for stop in stops:
        progress += islice(steps_of(run), stop - run.step)
        save_run(tmp_path, run)
        resumed = load_run(tmp_path, fresh())
        assert_the_same(run, resumed)
        run = resumed
    progress += steps_of(run)
    assert progress == uninterrupted[1]
    assert_the_same(run, uninterrupted[0])


def test_the_file_of_a_resumed_run_is_that_of_one_that_never_stopped(tmp_path, uninterrupted):
    run = fresh()
    list(islice(steps_of(run), 3))
    save_run(tmp_path / "a", run)
    resumed = load_run(tmp_path / "a", fresh())
    list(steps_of(resumed))
    save_run(tmp_path / "a", resumed)
    save_run(tmp_path / "b", uninterrupted[0])
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()


def test_the_network_of_the_recipe_and_one_without_arguments_come_back_too(tmp_path):
    for build in (None, lambda: MLP(hidden=8, depth=1)):
        save_run(tmp_path, start(RECIPE, build))
        assert_the_same(load_run(tmp_path, start(RECIPE, build)), start(RECIPE, build))


ELSEWHERE = """
import sys
import torch
from test_runs import fresh, load_run, save_run, steps_of

torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(99)  # what the global state is does not matter
torch.rand(5)
run = load_run(sys.argv[1], fresh())
for progress in steps_of(run):
    print(*map(repr, progress))
save_run(sys.argv[1], run)
"""


@pytest.mark.slow
def test_another_process_goes_on_bit_by_bit(tmp_path, uninterrupted):
    run = fresh()
    list(islice(steps_of(run), 3))
    save_run(tmp_path, run)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path, str(torch.get_num_threads())], cwd=ROOT,
                          env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)}, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [" ".join(map(repr, p)) for p in uninterrupted[1][3:]]
    assert_the_same(load_run(tmp_path, fresh()), uninterrupted[0])


def test_saving_and_loading_change_nothing_in_the_run(tmp_path):
    run = fresh()
    list(islice(steps_of(run), 2))
    kept = {name: value.clone() for name, value in all_of(run).items()}
    state = torch.get_rng_state()
    save_run(tmp_path, run)
    load_run(tmp_path, fresh())
    assert all(torch.equal(value, kept[name]) for name, value in all_of(run).items())
    assert torch.equal(torch.get_rng_state(), state)


OTHER = {"steps": 8, "batch": 5, "width": 16, "lr": 0.01, "lr_rest": 1e-3, "warm_up": 9, "decay": 0.9, "augment": 0.25,
         "seed": 4}
FACTS = {"data": "mnist", "schedule": "linear", "T": 500, "predicts": "eps"}


def test_every_argument_has_another_value_above():
    assert OTHER.keys() == {field.name for field in dataclasses.fields(Recipe)}
    assert FACTS.keys() == fresh().facts.keys()


@pytest.mark.parametrize("name", [*OTHER, *FACTS])
def test_other_arguments_are_refused_by_name(tmp_path, name):
    save_run(tmp_path, fresh())
    changes = {name: OTHER[name]} if name in OTHER else {}
    other = start(dataclasses.replace(RECIPE, **changes), small, **({} if changes else {name: FACTS[name]}))
    ours = dataclasses.asdict(RECIPE) | fresh().facts
    with pytest.raises(ValueError, match="started with other arguments") as refusal:
        load_run(tmp_path, other)
    assert f"({name}: {ours[name]} there, {(OTHER | FACTS)[name]} now)" in str(refusal.value), "this one and no other"
    assert str(tmp_path) in str(refusal.value)


def without_a_tensor(tensors, facts):
    del tensors["network.enter.weight"]


def with_one_more(tensors, facts):
    tensors["network.more"] = torch.zeros(2)


def with_memory_of_one_more_weight(tensors, facts):
    tensors["optimizer.0.999.momentum"] = torch.zeros(2)


def with_memory_of_another_shape(tensors, facts):
    tensors["optimizer.0.0.momentum"] = torch.zeros(2)


def without_memory(tensors, facts):
    for name in [name for name in tensors if name.startswith("optimizer.1.0.")]:
        del tensors[name]


def at_step(step):
    def change(tensors, facts):
        facts["step"] = step
    return change


@pytest.mark.parametrize("change", [without_a_tensor, with_one_more, without_memory, with_memory_of_one_more_weight,
                                    with_memory_of_another_shape, *map(at_step, (-1, 8, "2", 2.0, True, None))])
def test_a_run_that_does_not_fit_is_refused(tmp_path, uninterrupted, change):
    save_run(tmp_path, uninterrupted[0])
    tensors, facts = read_run(tmp_path)
    change(tensors, facts)
    put(tmp_path / FILE, packed(tensors, facts))
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds a run, but not of this network"):
        load_run(tmp_path, fresh())


def test_a_run_of_another_network_is_refused(tmp_path):
    save_run(tmp_path, fresh())
    with pytest.raises(ValueError, match="holds a run, but not of this network"):
        load_run(tmp_path, start(RECIPE))


def test_where_there_is_no_run(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=f"{folder} holds no run: there is no run.safetensors"):
            load_run(folder, fresh())


def test_values_that_no_arithmetic_keeps_come_back_bit_for_bit(tmp_path):
    odd = torch.tensor([0.0, -0.0, float("nan"), float("inf"), 1e-45, 3.4e38])
    turned = torch.arange(48.0).reshape(2, 4, 2, 3).to(memory_format=torch.channels_last)
    put(tmp_path / FILE, packed({"odd": odd, "turned": turned}, {"recipe": {"ε": 1 / 3}}))
    tensors, facts = read_run(tmp_path)
    assert torch.equal(tensors["odd"].view(torch.int32), odd.view(torch.int32))
    assert torch.equal(tensors["turned"], turned)
    assert facts == {"recipe": {"ε": 1 / 3}}


def test_one_bit_anywhere_in_the_file_is_noticed(tmp_path):
    """In the header's length, names, facts, the sum itself and the numbers: each part of the file has its turns."""
    put(tmp_path / FILE, packed({"a": torch.arange(300.0)}, {"recipe": {"steps": 3}, "step": 2}))
    whole = (tmp_path / FILE).read_bytes()
    assert read_run(tmp_path)[1]["step"] == 2
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        (tmp_path / FILE).write_bytes(changed)
        with pytest.raises(ValueError, match="is damaged, or was not written by this version"):
            read_run(tmp_path)


@pytest.mark.parametrize("content", [b"", b"half", b"\xff" * 99, to_bytes({"a": torch.zeros(2)})])
def test_what_is_no_run_is_refused(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ValueError, match="is damaged, or was not written by this version"):
        read_run(tmp_path)


class Crash(BaseException):
    """The power fails: nothing after this runs."""


def watched(monkeypatch, before):
    """Call before(event) before each call by which `put` touches the disk. A file is written in two halves."""
    class File:
        def __init__(self, path, mode):
            before("open")
            self.file = open(path, mode)  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            before("write")
            self.file.write(content[: len(content) // 2])
            self.file.flush()
            before("write on")
            self.file.write(content[len(content) // 2 :])

        def flush(self):
            before("flush")
            self.file.flush()

        def fileno(self):
            return self.file.fileno()

    def told(name, call):
        def wrapped(*arguments, **keywords):
            before(name)
            return call(*arguments, **keywords)
        return wrapped

    monkeypatch.setattr(runs, "open", File, raising=False)
    for place, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
        monkeypatch.setattr(place, name, told(name, getattr(place, name)))


def step_saved(folder):
    return read_run(folder)[1]["step"]


def save(folder, step):
    """A save of something short."""
    put(folder / FILE, packed({"step": torch.tensor(step)}, {"recipe": {}, "step": step}))


def test_what_is_on_disk_at_each_moment_of_a_save(tmp_path, monkeypatch):
    """The bytes are on the disk before the name points to them: flush, then fsync, then replace."""
    save(tmp_path, 1)
    seen = []
    with monkeypatch.context() as patch:
        watched(patch, lambda event: seen.append((event, step_saved(tmp_path))))
        save(tmp_path, 2)
    expected = ["unlink", "open", "write", "write on", "flush", "fsync", "replace"]
    assert seen == [(event, 1) for event in expected] + ([("fsync", 2)] if os.name == "posix" else [])
    assert step_saved(tmp_path) == 2


@pytest.mark.parametrize("last", range(8))
def test_a_crash_at_any_moment_leaves_the_old_run_or_the_new_one(tmp_path, monkeypatch, last):
    save(tmp_path, 1)
    events = iter(range(9))

    def crash(event):
        if next(events) == last:
            raise Crash

    with monkeypatch.context() as patch:
        watched(patch, crash)
        with pytest.raises(Crash):
            save(tmp_path, 2)
    assert step_saved(tmp_path) == (1 if last < 7 else 2)
    save(tmp_path, 3)
    assert step_saved(tmp_path) == 3
    assert [path.name for path in tmp_path.iterdir()] == [FILE], "what the crash left is gone"


def test_a_save_leaves_nothing_open(tmp_path, monkeypatch):
    left, real_open, real_close = [], os.open, os.close

    def opened(*arguments, **keywords):
        left.append(real_open(*arguments, **keywords))
        return left[-1]

    def closed(descriptor):
        left.remove(descriptor)
        real_close(descriptor)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "close", closed)
    save(tmp_path, 1)
    with alone(tmp_path):
        assert len(left) == 1
    assert left == []


def test_files_of_others_stay_and_no_link_is_followed(tmp_path):
    folder, outside = tmp_path / "run", tmp_path / "mine"
    folder.mkdir()
    outside.write_bytes(b"mine")
    for name in ("note.partial", "state-0.safetensors", "samples.png"):
        (folder / name).write_bytes(b"mine")
    for name in (FILE, f"{FILE}.partial"):
        (folder / name).symlink_to(outside)
    save(folder, 4)
    assert step_saved(folder) == 4
    assert outside.read_bytes() == b"mine"
    assert not (folder / FILE).is_symlink()
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["note.partial", FILE, "samples.png", "state-0.safetensors"]


def test_a_folder_is_kept_for_one_training_at_a_time(tmp_path):
    folder = tmp_path / "a" / "run"
    with alone(folder):
        assert folder.is_dir()
        for _ in range(2):
            with pytest.raises(ValueError, match=f"another training is at work in {folder}. Wait until it ends"), \
                    alone(folder):
                raise AssertionError("two at once")
        with alone(tmp_path / "b"):
            pass
        (folder / "mine").touch()
    with alone(folder), pytest.raises(ValueError, match="another training"), alone(folder):
        pass


def test_a_folder_is_left_as_it_was(tmp_path):
    """A new one in which nothing has come to be goes again; one that was there stays, and holds no lock file."""
    new, old = tmp_path / "new", tmp_path / "old"
    old.mkdir()
    for folder in (new, old):
        with pytest.raises(KeyError), alone(folder):
            raise KeyError
    assert [*tmp_path.iterdir()] == [old]
    with alone(old):
        assert os.name != "posix" or [*old.iterdir()] == []


KEEPER = """
import sys
from diffusion_lab.training.runs import alone
with alone(sys.argv[1]):
    print("kept", flush=True)
    sys.stdin.read()
"""


def test_a_training_that_was_killed_keeps_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", KEEPER, tmp_path], cwd=ROOT, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "kept\n"
    with pytest.raises(ValueError, match="another training is at work"), alone(tmp_path):
        pass
    process.kill()
    process.communicate()
    with alone(tmp_path):
        pass


@pytest.mark.skipif(os.name != "posix", reason="fcntl is of POSIX")
def test_a_disk_that_knows_no_locks_does_not_stand_in_the_way(tmp_path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unknown)
    with alone(tmp_path), alone(tmp_path):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_the_first_signal_is_a_wish_and_the_second_one_is_not(number):
    """The second one goes to whoever would have had it without `Stop`: here, a list."""
    reached = []
    before = signal.signal(number, lambda *_: reached.append(number))
    try:
        with Stop() as stop:
            assert not stop.wanted
            signal.raise_signal(number)
            assert (stop.wanted, reached) == (True, [])
            signal.raise_signal(number)
            assert reached == [number]
        with Stop(patient=True) as stop:
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert (stop.wanted, reached) == (True, [number])
        signal.raise_signal(number)
        assert reached == [number, number], "afterwards all is as it was"
    finally:
        signal.signal(number, before)


def loads_a_pickle(source):
    """What in some source may run code from a file: pickle and its kin, torch.load, numpy's load unless told not to."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            kin = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal"}
            yield from (name for name in names if name.split(".")[0] in kin)
            if getattr(node, "module", "") in ("torch", "numpy", "joblib"):
                yield from (f"{node.module}.{name}" for name in names if name == "load")
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            plain = {key.arg: ast.unparse(key.value) for key in node.keywords}.get("allow_pickle")
            if called in ("torch.load", "torch.jit.load", "joblib.load", "pd.read_pickle", "pandas.read_pickle"):
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
    "joblib.load(f)", "from joblib import load", "np.load(f)", "np.load(f, allow_pickle=True)",
    "from torch import load",
])
def test_a_pickle_would_be_noticed(source):
    assert list(loads_a_pickle(source))
    assert not list(loads_a_pickle("np.load(f, allow_pickle=False); from safetensors.torch import load"))
