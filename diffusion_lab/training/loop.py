"""Training as a generator: each step is yielded, so that plots, progress bars, tests and checkpoints read one loop.

Taught in: notebooks/07_train.ipynb
"""

import copy
import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from diffusion_lab.data.augment import augmented
from diffusion_lab.networks.unet import UNet
from diffusion_lab.theory.check import between_0_and_1, positive_int
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.muon import Muon
from diffusion_lab.training.objective import objective


@dataclass(frozen=True)
class Recipe:
    """All that decides what a run gives. steps and batch: numbers of steps, and of images in each.

    width: the U-Net's channels at 14×14, a multiple of 8; it has twice as many at 7×7.
    lr, lr_rest: peak learning rates of Muon (weight matrices) and of AdamW (all else). warm_up: steps in which they
    rise. decay: of the average of the weights. augment: share of the images that are turned and shifted a little (a
    small share: turning blurs).
    seed: of the first weights, the order of the data, the noise and the times. data: a word for what it is trained on.
    """

    steps: int = 1400
    batch: int = 32
    width: int = 32
    lr: float = 0.02
    lr_rest: float = 6e-3
    warm_up: int = 20
    decay: float = 0.99
    augment: float = 0.0
    seed: int = 0
    data: str = "digits"


class Progress(NamedTuple):
    """What a step reports: steps done, loss, the gradient's length before clipping, share of the peak learning rate."""

    step: int
    loss: float
    gradient_norm: float
    rate: float


@dataclass
class Run:
    """A training run at some step: all that is needed to go on as if it had never stopped."""

    recipe: Recipe
    network: torch.nn.Module
    step: int = 0

    def __post_init__(self):
        for name, multiple_of in {"steps": 1, "batch": 1, "width": 8, "warm_up": 1}.items():
            positive_int(getattr(self.recipe, name), name, multiple_of)
        between_0_and_1(self.recipe.augment, "augment must be a share, from 0 to 1")
        between_0_and_1(self.recipe.decay, "decay must be a number from 0 to 1")
        self.network.to(memory_format=torch.channels_last)  # the order in memory that CPUs convolve fastest
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizers = optimizers(self.network, self.recipe)
        self.generator = torch.Generator().manual_seed(self.recipe.seed)


def start(recipe, build=None):
    """A new run, whose first weights depend on the recipe's seed alone. Its network: the recipe's U-Net, or build()."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return Run(recipe, build() if build else UNet(recipe.width, 2 * recipe.width))


def optimizers(network, recipe):
    """Muon for the weight matrices inside the network; AdamW for its two ends, labels and all vectors."""
    inside = {name: weight for name, weight in network.named_parameters()
              if weight.ndim > 1 and not name.startswith(("enter", "leave", "condition.label"))}
    rest = [weight for name, weight in network.named_parameters() if name not in inside]
    return [Muon(inside.values(), recipe.lr), torch.optim.AdamW(rest, recipe.lr_rest, betas=(0.9, 0.99), fused=True)]


def rate(step, recipe):
    """Share of the peak learning rate: up in a straight line, down along half a cosine   (Loshchilov & Hutter 2017)."""
    return min(1, (step + 1) / recipe.warm_up) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def batch_at(step, n, recipe):
    """The indices of the batch of a step, from a fresh order of the n images in each epoch. Returns int64 (batch,)."""
    epoch, place = divmod(step, n // recipe.batch)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(1_000_003 * recipe.seed + epoch))
    return order[place * recipe.batch:(place + 1) * recipe.batch]


@torch.no_grad()
def update_average(average, network, step, decay):
    """average ← μ average + (1-μ) network, μ = min(decay, (1+step)/(10+step)): short while all still moves."""
    mu = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - mu)


def train(run, images, labels):
    """Take the run from where it stands to its last step. Yields Progress after each; `run` is up to date then.

    images: float32 (n, 1, 28, 28) in [-1, 1], labels: int64 (n,). The loss is `objective` with cosine(1000).
    Raises ValueError at the first step for fewer images than one batch holds.
    """
    recipe, schedule = run.recipe, cosine()
    if len(images) < recipe.batch:
        raise ValueError(f"one batch takes {recipe.batch} images, but there are only {len(images)}.")
    while run.step < recipe.steps:
        index = batch_at(run.step, len(images), recipe)
        x_0 = images[index]
        if recipe.augment:
            chosen = torch.rand(len(x_0), 1, 1, 1, generator=run.generator) < recipe.augment
            x_0 = torch.where(chosen, augmented(x_0, run.generator, strength=0.5), x_0)
        loss = objective(run.network, x_0, labels[index], schedule, run.generator)
        loss.backward()
        gradient_norm = torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
        for optimizer, peak in zip(run.optimizers, (recipe.lr, recipe.lr_rest)):
            optimizer.param_groups[0]["lr"] = peak * rate(run.step, recipe)
            optimizer.step()
            optimizer.zero_grad()
        update_average(run.average, run.network, run.step, recipe.decay)
        run.step += 1
        yield Progress(run.step, loss.item(), gradient_norm.item(), rate(run.step - 1, recipe))
