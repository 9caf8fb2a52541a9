"""A small network for points in the plane: everything that a denoiser needs, and no more.

Taught in: lessons/05_denoiser
"""

import torch
from torch import nn

from diffusion_lab.guard import check_count, check_input, check_no_label
from diffusion_lab.networks.embedding import time_embedding


class MLP(nn.Module):
    """A multilayer perceptron:  (x_t, t) → [x_t, embedding of t] → `depth` hidden layers with SiLU → a tensor like x_t.

    What the output means (ε, v, x_0 or the score) is for `as_denoiser` to say. dim: numbers in a point.
    hidden: width of each of the `depth` hidden layers. time_dim: size of the embedding of t, even.
    """

    def __init__(self, dim=2, hidden=64, depth=3, time_dim=32):
        check_count(dim, "dim")
        check_count(hidden, "hidden")
        check_count(depth, "depth")
        check_count(time_dim, "time_dim", multiple_of=2)
        super().__init__()
        self.time_dim = time_dim
        sizes = [dim + time_dim] + [hidden] * depth
        layers = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.SiLU())]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], dim))

    def forward(self, x_t, t, label=None):
        """x_t: (n, dim), of the dtype of the weights. t: int64 (n,). Returns the shape of x_t.

        The network knows no labels: one that is not None raises ValueError.
        """
        check_no_label(label)
        check_input(x_t, t, self.layers[-1].weight, (self.layers[-1].out_features,))
        time = time_embedding(t, self.time_dim).to(x_t.dtype)
        return self.layers(torch.cat([x_t, time], dim=1))
