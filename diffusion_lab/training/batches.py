"""What a step trains on: a function of the step alone, so that a run that was stopped goes on exactly.

Taught in: lessons/07_train
"""

import math

import torch

from diffusion_lab.data.augment import shifted
from diffusion_lab.guard import check_classes, check_images, require


def batch_at(step, n, recipe):
    """The indices of the batch of a step, from a fresh order of the n images in each epoch. Returns int64 (batch,)."""
    require(step >= 0, f"steps are counted from 0, but got {step}.")
    require(n >= recipe.batch, f"one batch takes {recipe.batch} images, but there are only {n}.")
    epoch, place = divmod(step, n // recipe.batch)
    generator = torch.Generator().manual_seed(1_000_003 * recipe.seed + epoch)
    order = torch.randperm(n, generator=generator)
    return order[place * recipe.batch:(place + 1) * recipe.batch]


def batches_of(images, labels, recipe):
    """The batches of a run: a function, called with a step, that returns the pair (x_0, label).

    images: float32 (n, 1, 28, 28) in [-1, 1], labels: int64 (n,). A share recipe.augment of the images of a batch is
    shifted by a pixel. Raises ValueError for fewer images than one batch holds.
    """
    check_images(images)
    check_classes(labels, len(images), classes=math.inf)
    require(len(images) >= recipe.batch,
            f"one batch takes {recipe.batch} images, but there are only {len(images)}.")

    def batch(step):
        index = batch_at(step, len(images), recipe)
        x_0 = images[index]
        if recipe.augment > 0:
            generator = torch.Generator().manual_seed(2**60 + 1_000_003 * recipe.seed + step)
            chosen = torch.rand(len(x_0), 1, 1, 1, generator=generator) < recipe.augment
            x_0 = torch.where(chosen, shifted(x_0, generator), x_0)
        return x_0, labels[index]

    return batch
