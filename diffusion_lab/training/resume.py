"""A training run to tensors and facts and back: a run that was stopped goes on, bit by bit, as if it had not been."""

from dataclasses import asdict

import torch

from diffusion_lab.training import checkpoint
from diffusion_lab.training.loop import start

SHAPE = {"predicts": "v", "schedule": "cosine", "T": 1000}


def save_run(folder, run):
    """Write the run into a checkpoint folder, replacing what was saved there before."""
    tensors = {f"network.{name}": value for name, value in run.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in run.average.state_dict().items()}
    for i, optimizer in enumerate(run.optimizers):
        for j, memory in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{i}.{j}.{name}": value for name, value in memory.items()}
    tensors["generator"] = run.generator.get_state()
    checkpoint.save(folder, tensors, {"recipe": asdict(run.recipe), "step": run.step} | SHAPE)


def load_run(folder, recipe):
    """The run that was saved in the folder. Raises ValueError if it was started with another recipe, or is no run."""
    tensors, facts = checkpoint.read(folder)
    if "recipe" not in facts or "generator" not in tensors:
        raise ValueError(f"{folder} holds weights to sample with, but not what training needs to go on.")
    if facts["recipe"] != asdict(recipe):
        theirs, ours = facts["recipe"], asdict(recipe)
        differ = [f"{name}: {theirs.get(name)} there, {ours.get(name)} now"
                  for name in sorted(theirs.keys() | ours.keys()) if theirs.get(name) != ours.get(name)]
        raise ValueError(f"the run in {folder} was started with other arguments ({'; '.join(differ)}). "
                         "Resume with the same ones, or start anew in another folder.")
    run = start(recipe)
    try:
        restore(run, tensors, facts["step"])
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"{folder} holds a checkpoint, but not of this course's U-Net and optimisers as they are now "
                         f"({error}). Start anew in another folder.") from error
    return run


def restore(run, tensors, step):
    """Put what was saved into a new run. Raises IndexError, KeyError, RuntimeError or ValueError if it does not fit."""
    run.network.load_state_dict(part(tensors, "network."))
    run.average.load_state_dict(part(tensors, "average."))
    for i, optimizer in enumerate(run.optimizers):
        memory, weights = {}, optimizer.param_groups[0]["params"]
        for name, value in part(tensors, f"optimizer.{i}.").items():
            j, _, key = name.partition(".")
            weight = weights[int(j)]
            if value.ndim:  # fused steps need it in the weight's order in memory
                value = torch.empty_like(weight).copy_(value.reshape(weight.shape))
            memory.setdefault(int(j), {})[key] = value
        if len(memory) != (len(weights) if step else 0):
            raise ValueError(f"memory of {len(memory)} weights for the {len(weights)} of an optimiser")
        optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})
    run.generator.set_state(tensors["generator"])
    run.step = step


def part(tensors, prefix):
    """The tensors whose names begin with prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def weights_only(folder, run, **facts):
    """Write what sampling needs, the averaged weights in float16, and these facts about them, into a folder."""
    tensors = {f"average.{name}": value.to(torch.float16) for name, value in run.average.state_dict().items()}
    checkpoint.save(folder, tensors, {"recipe": asdict(run.recipe), "step": run.step} | SHAPE | facts)
