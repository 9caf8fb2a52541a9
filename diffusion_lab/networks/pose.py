"""A network that looks at a turned digit, and denoises a guess of its pose."""

import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.guard import check_count, check_images, check_input, require
from diffusion_lab.networks.embedding import time_embedding

POSE = 5  # numbers in a pose: cos θ, sin θ, shift right, shift down, log scale


class PoseNet(nn.Module):
    """(x_t, t, what was seen) → 5 numbers: an MLP for points that is told, beside the time, what is in a picture.

    `look` makes a vector of each picture, by four convolutions; it is asked once, and `forward` as often as one likes.
    What the output means (v, ε, x_0) is for `as_denoiser` to say. width: channels at 14×14; twice as many from 7×7 on.
    seen: numbers that a picture becomes. hidden: width of the MLP.
    """

    def __init__(self, width=16, seen=64, hidden=128):
        check_count(width, "width")
        check_count(seen, "seen")
        check_count(hidden, "hidden")
        super().__init__()
        self.first = nn.Conv2d(1, width, 5, stride=2, padding=2)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(), nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.SiLU(), nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(), nn.Flatten(), nn.Linear(2 * width * 4 * 4, seen),
        )
        self.enter = nn.Linear(POSE + 32 + seen, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.leave = nn.Linear(hidden, POSE)
        self.arguments = {"width": width, "seen": seen, "hidden": hidden}  # a file of weights names them

    def ends(self):
        """The layers at the border: pixels come in, numbers of a pose go out. Muon leaves them to AdamW."""
        return [self.first, self.leave]

    def look(self, pictures):
        """pictures: float32 (n, 1, 28, 28) in [-1, 1]. Returns what is seen in them, float32 (n, seen)."""
        check_images(pictures)
        return self.rest(self.first(pictures))

    def forward(self, x_t, t, seen):
        """x_t: float32 (n, 5). t: int64 (n,). seen: float32 (n, seen), of `look`. Returns float32 (n, 5)."""
        check_input(x_t, t, self.enter.weight, (POSE,))
        require(torch.is_tensor(seen) and seen.shape == (len(x_t), self.arguments["seen"]),
                f"what is seen must be a tensor ({len(x_t)}, {self.arguments['seen']}), a row for each pose.")
        time = time_embedding(t, 32).to(x_t.dtype)
        h = F.silu(self.enter(torch.cat([x_t, time, seen], dim=1)))
        h = F.silu(self.middle(h))
        return self.leave(h)
