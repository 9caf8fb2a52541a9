"""The average of the weights, which jitters less than the weights do: it is what one samples with.

Taught in: lessons/07_train
"""

import torch


@torch.no_grad()
def update_average(average, network, step, decay):
    """average ← μ average + (1-μ) network, μ = min(decay, (1+step)/(10+step)): short while all still moves.

    average, network: modules with the same parameters; `average` is changed in place. step: int, from 0.
    """
    mu = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - mu)
