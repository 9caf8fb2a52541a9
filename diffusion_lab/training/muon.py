"""Muon: an optimiser that makes every direction of a weight matrix learn at the same speed.

Taught in: lessons/09_engineering
"""

import torch

from diffusion_lab.guard import check_count, check_number, require


def orthogonalised(matrix, rounds=5):
    """Nearly U Vᵀ, where matrix = U S Vᵀ: singular values become about 1.

    All of at least 0.002 ‖matrix‖ come to lie between 0.68 and 1.21; a 0 stays 0.

    X ← a X + (b X Xᵀ + c (X Xᵀ)²) X, five times, from X = matrix / ‖matrix‖, a, b, c = 3.4445, -4.7750, 2.0315
    (Jordan et al. 2024, "Muon"). matrix: float (m, n). Returns the same shape.
    """
    require(matrix.ndim == 2, f"a matrix has two axes, but got the shape {tuple(matrix.shape)}.")
    check_count(rounds, "rounds")
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    gram = x @ x.T  # of X in each round; `product` is all that X has been multiplied with
    one = product = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(rounds):
        factor = 3.4445 * one - 4.7750 * gram + 2.0315 * gram @ gram
        gram = factor @ gram @ factor
        product = factor @ product
    x = product @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """W ← W - lr √max(1, m/n) orthogonalised(Nesterov momentum of the gradient), for weights of two or more axes.

    A convolution's weight (out, in, h, w) counts as the matrix (out, in·h·w). (Jordan et al. 2024, "Muon".)
    torch.optim.Muon takes matrices only, and rounds to bfloat16, which many CPUs compute slowly.
    """

    def __init__(self, parameters, lr, momentum=0.95):
        check_number(lr, "lr", 0)
        check_number(momentum, "momentum", 0, 1)
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                memory = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                memory.lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(memory, group["momentum"]).flatten(1)
                scale = max(1, update.shape[0] / update.shape[1]) ** 0.5
                weight.add_(orthogonalised(update).reshape(weight.shape), alpha=-group["lr"] * scale)
