"""Wrong answers to the exercises of this lesson, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.your_lesson import check_draws_needed, check_running_mean, check_std_of_mean

WRONG = {
    check_draws_needed: [
        (lambda var, std: math.ceil(var / std), "divided by the deviation"),
        (lambda var, std: math.floor(var / std**2), "round up"),
        (lambda var, std: math.ceil(std**2 / var), "upside down"),
        (lambda var, std: 7, "std² or less"),
    ],
    check_running_mean: [
        (lambda x: x.cumsum(0), "these are the sums"),
        (lambda x: x.cumsum(0) / len(x), "divided all sums by n"),
        (lambda x: x / torch.arange(1, len(x) + 1), "sum them first"),
        (lambda x: x, "how many numbers"),
    ],
    check_std_of_mean: [
        (lambda x: x.std() / len(x) ** 0.25, "the faulty code"),
        (lambda x: x.std() / len(x), "by n"),
        (lambda x: x.std(), "of one draw"),
        (lambda x: x.std() * 0, "the root of (1)"),
    ],
}
