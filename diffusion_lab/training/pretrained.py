"""Weights to sample with: those that come with the course, or your own."""

from pathlib import Path

import torch

from diffusion_lab.networks.unet import UNet
from diffusion_lab.theory.parameterization import as_denoiser
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training import checkpoint
from diffusion_lab.training.resume import part

SHIPPED = {"mnist": Path(__file__).with_name("mnist")}


def load_pretrained(name="mnist"):
    """A denoiser, x_0_hat = denoiser(x_t, t, label=None), with `.schedule`: cosine(1000).

    name: as for `load_network`. x_t: float32 (n, 1, 28, 28). label: int64 (n,), an int, or None for any digit.
    """
    return as_denoiser(load_network(name), cosine(), predicts="v")


def load_network(name="mnist"):
    """The trained U-Net, which predicts v: "mnist", the shipped weights, or the folder of a checkpoint.

    The model card of the shipped weights is training/mnist/README.md. Raises ValueError for a folder that holds no
    checkpoint, a damaged one, or one of another network.
    """
    tensors, _ = checkpoint.read(SHIPPED.get(name, name))
    weights = part(tensors, "average.")
    sizes = [len(weights.get(f"{name}.bias", torch.empty(8))) for name in ("enter", "shrink", "condition.time.0")]
    with torch.random.fork_rng(devices=[]):  # the first weights are random, and replaced at once
        network = UNet(*sizes).requires_grad_(False)  # channels at 14×14 and 7×7, and the condition's length
    expected = {key: value.shape for key, value in network.state_dict().items()}
    if {key: value.shape for key, value in weights.items()} != expected:
        raise ValueError(f"{name} holds a checkpoint, but not of this course's U-Net.")
    network.load_state_dict({key: value.float() for key, value in weights.items()})
    return network.to(memory_format=torch.channels_last)
