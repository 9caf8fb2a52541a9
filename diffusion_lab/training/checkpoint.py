"""Tensors and facts in a folder: safetensors and JSON, written so that a crash at any moment leaves a valid checkpoint.

The weights are written beside the old ones, under a name made from their content. Then `checkpoint.json`, which names
them, is replaced in one step. Until that step the old checkpoint is the valid one, and after it the new one is.
"""

import hashlib
import json
import os
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from safetensors.torch import save as to_bytes

FORMAT = "diffusion-lab checkpoint 1"


def save(folder, tensors, facts):
    """Write tensors, {name: tensor}, and facts, a dict that JSON can hold, replacing what the folder held before."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    sha256 = hashlib.sha256(content).hexdigest()
    state = folder / f"state-{sha256[:16]}.safetensors"
    put(state, content)
    index = {"format": FORMAT, "file": state.name, "sha256": sha256, "facts": facts}
    put(folder / "checkpoint.json", (json.dumps(index, indent=1) + "\n").encode())
    for old in [*folder.glob("state-*.safetensors"), *folder.glob("*.partial")]:
        if old != state:
            old.unlink(missing_ok=True)


def put(path, content):
    """Write the file so that it is there as a whole or not at all, even when the power fails."""
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    if os.name == "posix":  # the new name must reach the disk, too
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


def exists(folder):
    """Whether the folder holds a checkpoint, sound or not."""
    return (Path(folder) / "checkpoint.json").exists()


def read(folder):
    """The tensors and facts that `save` wrote. Raises ValueError where there is none, or a damaged one."""
    index_file = Path(folder) / "checkpoint.json"
    if not index_file.is_file():
        raise ValueError(f"{folder} holds no checkpoint: there is no checkpoint.json in it.")
    try:
        index = json.loads(index_file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{index_file} is damaged ({error}). Delete the folder and train again.") from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise ValueError(f"{index_file} was not written by this course: its format is not {FORMAT!r}.")
    state = Path(folder) / Path(str(index.get("file"))).name
    if not state.is_file():
        raise ValueError(f"{folder} is incomplete: checkpoint.json names {state.name}, which is not there.")
    content = state.read_bytes()
    if hashlib.sha256(content).hexdigest() != index.get("sha256"):
        raise ValueError(f"{state} is damaged: its content is not what was saved (the SHA-256 sums differ). "
                         "Copy the folder again, or train again.")
    if not isinstance(index.get("facts"), dict):
        raise ValueError(f"{index_file} is damaged: it holds no facts about its weights.")
    try:
        return load(content), index["facts"]
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{state} is not a safetensors file of this course ({error}).") from error
