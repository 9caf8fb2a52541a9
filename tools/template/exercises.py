"""The checks of the exercises of lessons/99_your_lesson."""

import math

import torch

from diffusion_lab.exercises.feedback import answers, diagnosed

X = torch.tensor([1.0, 3.0, 8.0, -2.0, 5.0], dtype=torch.float64)
Y = torch.tensor([0.2, -1.4, 0.9], dtype=torch.float64)


@answers
def check_draws_needed(attempt):
    causes = [
        ("you divided by the deviation. By (1) it is the *variance* that falls with n: divide by its square.",
         lambda var, std: math.ceil(var / std)),
        ("that is one draw too few: round up.", lambda var, std: math.floor(var / std**2)),
        ("the ratio is upside down.", lambda var, std: math.ceil(std**2 / var)),
    ]
    diagnosed(attempt, lambda var, std: math.ceil(var / std**2), causes, "By (1), var / n is std² or less.",
              [(2.0, 0.3), (1.5, 0.11)])
    return "A tenth of the deviation costs a hundred times the draws."


@answers
def check_running_mean(attempt):
    def count(x):
        return torch.arange(1, len(x) + 1)

    causes = [
        ("these are the sums: divide each by how many numbers are in it.", lambda x: x.cumsum(0)),
        ("you divided all sums by n: the first holds one number, the second two.", lambda x: x.cumsum(0) / len(x)),
        ("you divided the numbers themselves: sum them first.", lambda x: x / count(x)),
    ]
    diagnosed(attempt, lambda x: x.cumsum(0) / count(x), causes, "Divide each sum by how many numbers are in it.",
              [(X,), (Y,)])
    return "The last one is the mean of all."


@answers
def check_std_of_mean(attempt):
    causes = [
        ("that is what the faulty code gives: with which power of n does a deviation fall?",
         lambda x: x.std() / len(x) ** 0.25),
        ("you divided the deviation by n: it is the variance that falls so.", lambda x: x.std() / len(x)),
        ("that is the deviation of one draw.", lambda x: x.std()),
    ]
    diagnosed(attempt, lambda x: x.std() / len(x) ** 0.5, causes, "It is the root of (1), with the variance of x.",
              [(X,), (Y,)])
    return "The deviation of a mean, estimated from the draws alone: the standard error."
