"""All that decides what a training run gives, in one small object; and the learning rate along the run.

Taught in: lessons/07_train
"""

import math
from dataclasses import dataclass

from diffusion_lab.guard import check_count, check_number, check_positive, require


@dataclass(frozen=True)
class Recipe:
    """steps and batch: numbers of steps, and of examples in each. Raises ValueError for numbers that cannot be.

    width: the U-Net's channels at 14×14, a multiple of 8; it has twice as many at 7×7.
    lr, lr_rest: peak learning rates of Muon (weight matrices) and of AdamW (all else). warm_up: steps in which they
    rise. decay: of the average of the weights. augment: share of the images that are moved by up
    to one whole pixel in each direction, which blurs nothing.
    seed: of the first weights, the order of the data, the noise and the times; from 0 to 2³² - 1.
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

    def __post_init__(self):
        for name, multiple_of in {"steps": 1, "batch": 1, "width": 8, "warm_up": 1}.items():
            check_count(getattr(self, name), name, multiple_of)
        for name in ("lr", "lr_rest"):
            check_number(getattr(self, name), name)
        check_positive(lr=self.lr, lr_rest=self.lr_rest)
        for name in ("decay", "augment"):
            check_number(getattr(self, name), name, 0, 1)
        require(type(self.seed) is int and 0 <= self.seed < 2**32,
                f"seed must be a whole number from 0 to {2**32 - 1}, but got {self.seed!r}.")


def rate(step, recipe):
    """Share of the peak learning rate: up in a straight line, down along half a cosine   (Loshchilov & Hutter 2017).

    step: int, from 0. Returns a float, at most 1; 0 when all steps are done.
    """
    require(0 <= step <= recipe.steps, f"step must lie within 0…{recipe.steps}, but got {step}.")
    return min(1, (step + 1) / recipe.warm_up) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
