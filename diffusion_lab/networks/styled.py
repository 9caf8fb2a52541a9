"""A U-Net with two labels: which digit, and in which style.
"""

import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.guard import check_count, check_label, require
from diffusion_lab.networks.embedding import time_embedding
from diffusion_lab.networks.unet import Condition, UNet, zeroed

ANY = 10  # in the place of a digit or of a style


def both(digit, style):
    """Two labels as one, 11 style + digit: what a network of 10 digits and 10 styles is told.

    digit, style: ints or int64 tensors, 0…9, or ANY; one of the two may be one for all. Raises ValueError for others.
    """
    for name, value in {"digit": digit, "style": style}.items():
        require(bool(((torch.as_tensor(value) >= 0) & (torch.as_tensor(value) <= ANY)).all()),
                f"{name} must lie within 0…9, or be {ANY} for any, but got {value}.")
    return (ANY + 1) * style + digit


class StyledCondition(Condition):
    """Time, digit and style → one vector, the sum of three, each with a null label of its own. dim: its length."""

    def __init__(self, dim):
        super().__init__(ANY, dim)
        self.style = zeroed(nn.Embedding(ANY + 1, dim))  # at first no style makes a difference
        self.null_label = both(ANY, ANY)

    def forward(self, t, label=None):
        """t: int64 (n,). label: `both`, int64 (n,), an int for all, or None: any digit in any style."""
        check_label(label, len(t), self.null_label)
        label = self.null_label if label is None else label
        label = torch.as_tensor(label, device=t.device).expand(len(t))
        time = time_embedding(t, 64).to(self.label.weight.dtype)
        return F.silu(self.time(time) + self.label(label % (ANY + 1)) + self.style(label // (ANY + 1)))


class StyledUNet(UNet):
    """The U-Net, whose label says digit and style: `both`. fine, coarse, dim: as there.

    The weights of a trained UNet fit, and as long as those of the styles are zero it answers as that one does.
    """

    def __init__(self, fine=48, coarse=96, dim=128):
        check_count(dim, "dim")
        super().__init__(fine, coarse, dim)
        self.condition = StyledCondition(dim)
        self.null_label = self.condition.null_label
        self.arguments = {"fine": fine, "coarse": coarse, "dim": dim}

    def ends(self):
        """As for the U-Net, and the styles, which are looked up, too."""
        return [*super().ends(), self.condition.style]
