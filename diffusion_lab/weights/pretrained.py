"""Weights to sample with: those that come with the course, or your own.

A name of shipped weights, "mnist", means these, wherever you are. Anything else is a folder: of a training run, or with
weights.safetensors and facts.json. A folder of your own that is called mnist is "./mnist", or Path("mnist").
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load
from safetensors.torch import save as to_bytes

from diffusion_lab.guard import check_choice, check_count, require
from diffusion_lab.networks.boxes import BoxNetwork
from diffusion_lab.networks.pose import PoseNet
from diffusion_lab.networks.styled import StyledUNet
from diffusion_lab.networks.unet import UNet
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.theory.schedule import cosine, linear
from diffusion_lab.training.runs import FILE, facts_of, part, read_run

HERE = Path(__file__).parent
SHIPPED = sorted(file.parent.name for file in HERE.glob("*/facts.json"))
NETWORKS = {"UNet": UNet, "StyledUNet": StyledUNet, "BoxNetwork": BoxNetwork, "PoseNet": PoseNet}
SCHEDULES = {"cosine": cosine, "linear": linear}


def load_pretrained(name="mnist", device="cpu"):
    """A denoiser, x_0_hat = denoiser(x_t, t, label=None), with `.schedule`, of shipped weights or of a folder.

    x_t: float32 (n, 1, 28, 28). label: int64 (n,), an int, or None for any digit. Raises as `load_network`.
    """
    weights, facts = read(name)
    return denoiser_of(built(name, weights, facts).to(device), facts)


def load_network(name="mnist"):
    """The trained network, with what its facts say of shipped weights or of a folder: see `load_pretrained`.

    The model card of the shipped weights is weights/mnist/README.md. Raises ValueError for a folder that holds no
    weights, damaged ones, ones that are not finite, or those of a network that the package does not know.
    """
    return built(name, *read(name))


def denoiser_of(network, facts):
    """The denoiser of a network that was trained for these facts: schedule, T and what it predicts.

    The network may live on another device than the states that it is asked about: these are moved, and the answer
    back, so that a sampler runs, and draws, on the CPU.
    """
    check_choice(facts.get("schedule"), "the schedule that the weights name", SCHEDULES)
    check_count(facts.get("T"), "the T that the weights name")
    device = next(network.parameters()).device

    def moved(x_t, t, label):
        label = label.to(device) if torch.is_tensor(label) else label
        return network(x_t.to(device), t.to(device), label).to(x_t.device)

    return as_denoiser(moved, SCHEDULES[facts["schedule"]](facts["T"]), facts.get("predicts"))


def built(name, weights, facts):
    """The network that the facts name, with these weights in float32."""
    try:
        with torch.random.fork_rng(devices=[]):  # the first weights are random, and replaced at once
            network = NETWORKS[facts["network"]](**facts["arguments"]).requires_grad_(False)
        network.load_state_dict({key: value.float() for key, value in weights.items()})
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{name} holds weights, but not of a network of this course ({error}).") from error
    require(all(torch.isfinite(value).all() for value in network.state_dict().values()),
            f"{name} holds weights that are NaN or infinite, which draw nothing. Train anew.")
    return network.to(memory_format=torch.channels_last)


def read(name):
    """The weights and the facts of shipped weights or of a folder: ({name: tensor}, dict)."""
    folder = HERE / name if name in SHIPPED else Path(name)
    if (folder / FILE).is_file():
        tensors, facts = read_run(folder)
        return part(tensors, "average."), facts
    require(folder.is_dir(),
            f"{name} is a file: give the folder that it is in, {folder.parent}." if folder.is_file() else
            f"there is no folder {name}. Give one with a training run or with weights.safetensors and facts.json, or "
            f"the name of shipped weights ({', '.join(SHIPPED)}).")
    file = folder / "weights.safetensors"
    require(file.is_file() and (folder / "facts.json").is_file(),
            f"{name} holds no weights: give a folder with a training run or with weights.safetensors and facts.json, "
            f"or the name of shipped weights ({', '.join(SHIPPED)}).")
    content = file.read_bytes()
    facts = read_facts(folder)
    require(hashlib.sha256(content).hexdigest() == facts.get("sha256"),
            f"{file} is damaged: its content is not what facts.json says (the SHA-256 sums differ). Copy it again.")
    return load(content), facts


def read_facts(name="mnist"):
    """The facts of shipped weights or of a folder with facts.json: network, recipe, measures, sha256 of the weights."""
    file = (HERE / name if name in SHIPPED else Path(name)) / "facts.json"
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is damaged ({error}). Copy it again.") from error
    require(isinstance(facts, dict), f"{file} is damaged: it holds no facts.")
    return facts


def save_weights(folder, run, **more):
    """Write what sampling needs into a folder: the averaged weights in float16, and facts about them."""
    content = to_bytes({name: value.half().contiguous() for name, value in run.average.state_dict().items()})
    facts = facts_of(run) | more | {"sha256": hashlib.sha256(content).hexdigest()}
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "weights.safetensors").write_bytes(content)
    Path(folder, "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
