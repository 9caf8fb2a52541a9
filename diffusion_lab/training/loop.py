"""Training as a generator: each step is yielded, so that plots, progress bars, tests and files read one loop.

It runs where the network is: on a CPU, or on CUDA. What is random is drawn on the CPU and moved, so that a run means
the same on both. On CUDA it could not be tried here; tests take its parts to torch's meta device, which has no numbers
and refuses tensors of two devices in one operation, as CUDA does.

Taught in: lessons/07_train
"""

import copy
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from diffusion_lab.guard import require
from diffusion_lab.networks.unet import UNet
from diffusion_lab.training.average import update_average
from diffusion_lab.training.muon import Muon
from diffusion_lab.training.recipe import Recipe, rate

FACTS = {"data": "digits", "schedule": "cosine", "T": 1000, "predicts": "v"}


class Progress(NamedTuple):
    """What a step reports: steps done, loss, the gradient's norm before clipping, share of the peak learning rate."""

    step: int
    loss: float
    gradient_norm: float
    rate: float


@dataclass
class Run:
    """A training run at some step: all that is needed to go on as if it had never stopped.

    facts: what it is trained on, and for which question; files name them, and whoever samples reads them.
    """

    recipe: Recipe
    network: torch.nn.Module
    facts: dict = field(default_factory=FACTS.copy)
    step: int = 0

    def __post_init__(self):
        self.network.to(memory_format=torch.channels_last)  # the order in memory that CPUs convolve fastest
        self.device = next(self.network.parameters()).device
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizers = optimizers(self.network, self.recipe)
        self.generator = torch.Generator().manual_seed(self.recipe.seed)


def start(recipe, build=None, device="cpu", **facts):
    """A new run, whose first weights depend on the recipe's seed alone. Its network: the recipe's U-Net, or build().

    facts: those that differ from FACTS, for example data="mnist". Raises ValueError for others.
    """
    require(facts.keys() <= FACTS.keys(), f"the facts of a run are {', '.join(FACTS)}, but got {', '.join(facts)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = build() if build else UNet(recipe.width, 2 * recipe.width)
    return Run(recipe, network.to(device), FACTS | facts)


def optimizers(network, recipe):
    """Muon for the weight matrices inside the network; AdamW for its ends, as the network names them, and all vectors.

    A network without a method `ends` has none. Each holds its peak rate as `defaults["lr"]`.
    """
    modules = network.ends() if hasattr(network, "ends") else []
    ends = {weight for module in modules for weight in module.parameters()}
    inside = [weight for weight in network.parameters() if weight.ndim > 1 and weight not in ends]
    rest = [weight for weight in network.parameters() if weight.ndim <= 1 or weight in ends]
    return [Muon(inside, recipe.lr), torch.optim.AdamW(rest, recipe.lr_rest, betas=(0.9, 0.99), fused=True)]


def train(run, batches, loss):
    """Take the run from where it stands to its last step. Yields Progress after each; `run` is up to date then.

    batches: called with the step, from 0; returns a tuple of tensors. It must depend on the step alone, or the run
    cannot be resumed exactly. loss: called as loss(network, batch, generator); returns a tensor of shape ().
    Raises ValueError at the first loss or gradient that is not finite, before it changes a weight.
    """
    while run.step < run.recipe.steps:
        batch = [part.to(run.device) for part in batches(run.step)]
        value = loss(run.network, batch, run.generator)
        value.backward()
        gradient_norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
        require(torch.isfinite(value + gradient_norm),
                f"the training has diverged: at step {run.step + 1} the loss is {value.item()}, the gradient's norm "
                f"{gradient_norm.item()}. Start anew with a lower learning rate.")
        share = rate(run.step, run.recipe)
        for optimizer in run.optimizers:
            optimizer.param_groups[0]["lr"] = optimizer.defaults["lr"] * share
            optimizer.step()
            optimizer.zero_grad()
        update_average(run.average, run.network, run.step, run.recipe.decay)
        run.step += 1
        yield Progress(run.step, value.item(), gradient_norm.item(), share)
