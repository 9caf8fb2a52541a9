"""A training run in a folder: a run that was stopped goes on, bit by bit, as if it had not been.

All of it is one file, `run.safetensors`: the tensors (weights, their average, the optimisers' memory, the state of the
generator), and in its header, as JSON, the facts: the network, the recipe, the step. One file can be replaced in one
step, so that a crash at any moment leaves the old run or the new one; and nothing in it can ever run as a program.
"""

import errno
import hashlib
import json
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as to_bytes

from diffusion_lab.guard import require

FILE = "run.safetensors"
FORMAT = "diffusion-lab run 2"
NO_SUM = "0" * 64  # stands in the header while the sum over the file is taken


def save_run(folder, run):
    """Write the run into a folder, which is made if need be, in the place of what was saved there before."""
    tensors = {f"network.{name}": value for name, value in run.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in run.average.state_dict().items()}
    for i, optimizer in enumerate(run.optimizers):
        for j, memory in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{j}.{name}": value for name, value in memory.items()}
    tensors["generator"] = run.generator.get_state()
    Path(folder).mkdir(parents=True, exist_ok=True)
    put(Path(folder) / FILE, packed(tensors, facts_of(run)))


def load_run(folder, run):
    """Put what was saved into a new run of the same recipe, and return it: it goes on as if it had never stopped.

    Raises ValueError if the folder holds no run or a damaged one, or one of another recipe, data or network.
    """
    tensors, facts = read_run(folder)
    theirs = facts["recipe"] | {name: facts.get(name) for name in run.facts}
    ours = asdict(run.recipe) | run.facts
    differ = [f"{name}: {theirs.get(name)} there, {ours.get(name)} now"
              for name in sorted(theirs.keys() | ours.keys()) if theirs.get(name) != ours.get(name)]
    require(not differ, f"the run in {folder} was started with other arguments ({'; '.join(differ)}). "
                        "Resume with the same ones, or start anew in another folder.")
    try:
        restore(run, tensors, facts["step"])
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{folder} holds a run, but not of this network and these optimisers as they are now "
                         f"({error}). Start anew in another folder.") from error
    return run


def restore(run, tensors, step):
    """Put the tensors into a run that has just been started."""
    require(type(step) is int and 0 <= step <= run.recipe.steps, f"step {step!r} of {run.recipe.steps}")
    run.network.load_state_dict(part(tensors, "network."))
    run.average.load_state_dict(part(tensors, "average."))
    for name, value in part(tensors, "optimizer.").items():
        i, j, key = name.split(".")
        optimizer = run.optimizers[int(i)]
        weight = optimizer.param_groups[0]["params"][int(j)]
        if key != "step":  # fused steps need it in the weight's order in memory
            value = torch.empty_like(weight).copy_(value.reshape(weight.shape))
        optimizer.state[weight][key] = value.to(run.device)
    for optimizer in run.optimizers:
        weights = optimizer.param_groups[0]["params"]
        require(len(optimizer.state) == (len(weights) if step else 0),
                f"memory of {len(optimizer.state)} weights for the {len(weights)} of an optimiser")
    run.generator.set_state(tensors["generator"])
    run.step = step


def part(tensors, prefix):
    """The tensors whose names begin with prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def facts_of(run):
    """What a file says about its tensors: the network and how it is built, what it answers, recipe and step."""
    network = {"network": type(run.network).__name__, "arguments": getattr(run.network, "arguments", None)}
    return network | run.facts | {"recipe": asdict(run.recipe), "step": run.step}


def packed(tensors, facts):
    """The bytes of a file that `read_run` reads: safetensors, with the facts and the file's own sum in its header."""
    header = json.dumps({"format": FORMAT, "sha256": NO_SUM} | facts)
    content = to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
                       {"facts": header})
    return content.replace(NO_SUM.encode(), hashlib.sha256(content).hexdigest().encode(), 1)


def read_run(folder):
    """The tensors and facts of the run in a folder. Raises ValueError where there is none, or a damaged one."""
    path = Path(folder) / FILE
    require(path.is_file(), f"{folder} holds no run: there is no {FILE} in it.")
    content = path.read_bytes()
    try:
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["facts"])
        saved = facts.pop("sha256")
        found = hashlib.sha256(content.replace(saved.encode(), NO_SUM.encode(), 1)).hexdigest()
        sound = saved == found and facts.pop("format") == FORMAT and isinstance(facts["recipe"], dict)
        tensors = load(content) if sound else {}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError):
        sound = False
    require(sound, f"{path} is damaged, or was not written by this version of the course: its content and its SHA-256 "
                   "sum do not fit. Copy the folder again, or train again in another one.")
    return tensors, facts


def put(path, content):
    """Write the file so that it is there as a whole or not at all, even when the power fails. Follows no link."""
    beside = path.with_name(f"{path.name}.partial")
    beside.unlink(missing_ok=True)  # what a crash has left
    with open(beside, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    if os.name == "posix":  # the new name must reach the disk, too
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


@contextmanager
def alone(folder):
    """Keep a folder, made if need be, for this process. Raises ValueError while another training keeps it.

    The operating system holds the lock, and lets go of it when the process ends, however it ends. What is locked is
    the folder itself, or, where folders cannot be (Windows), a file in it.
    """
    folder, new = Path(folder), not Path(folder).exists()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "run.lock"
    held = os.open(folder, os.O_RDONLY) if os.name == "posix" else os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        require(locked(held), f"another training is at work in {folder}. Wait until it ends, or choose another folder.")
        yield
    finally:
        os.close(held)  # which unlocks it
        if new:
            with suppress(OSError):
                folder.rmdir()  # which nothing has come into


def locked(descriptor):
    """Lock an open file or folder. False if another process has locked it; a disk that knows no locks gives True."""
    try:
        if os.name == "posix":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
    return True


class Stop:
    """Turns the first Ctrl-C or SIGTERM into a wish, granted between two steps; the second one ends the program.

    patient: not even the second one: torchrun passes on to its processes what the terminal has told them already.
    """

    def __init__(self, patient=False):
        self.patient = patient

    def __enter__(self):
        self.wanted = False
        self.number = signal.SIGINT  # of the signal that came; another process may have got it instead
        self.before = {number: signal.signal(number, self.note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def note(self, number, _):
        self.wanted = True
        self.number = number
        if not self.patient:
            self.__exit__()
