"""A small U-Net for 28×28 pictures: look at the whole from far away, and draw the detail from close by.

Taught in: lessons/06_unet
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.guard import check_count, check_input, check_label
from diffusion_lab.networks.embedding import time_embedding


def zeroed(layer):
    """The layer, with all weights 0: a block that ends in it begins by changing nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Condition(nn.Module):
    """Time and label → one vector that tells every block what to do  (Ho et al. 2020, appendix B, for the time).

    labels: number of classes; one more row, the last, is the null label, "any class" (Ho & Salimans 2022, section 3.2).
    dim: length of the vector. Returns float32 (n, dim).
    """

    def __init__(self, labels, dim):
        check_count(labels, "labels")
        check_count(dim, "dim")
        super().__init__()
        self.null_label = labels
        self.time = nn.Sequential(nn.Linear(64, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.label = nn.Embedding(labels + 1, dim)

    def forward(self, t, label=None):
        """t: int64 (n,). label: int64 (n,) in 0…labels, an int for all, or None: the null label for all."""
        check_label(label, len(t), self.null_label)
        label = self.null_label if label is None else label
        label = torch.as_tensor(label, device=t.device).expand(len(t))
        time = time_embedding(t, 64).to(self.label.weight.dtype)
        return F.silu(self.time(time) + self.label(label))


class ResidualBlock(nn.Module):
    """x + f(x, condition): two 3×3 convolutions, between which the condition scales and shifts each channel.

    (He et al. 2016; scale and shift after the normalisation as in Dhariwal & Nichol 2021, section 3, eq. 6.)
    x: (n, channels_in, h, w); condition: (n, dim). Returns (n, channels, h, w). Channel numbers: multiples of 8.
    """

    def __init__(self, channels_in, channels, dim):
        check_count(channels_in, "channels_in", multiple_of=8)
        check_count(channels, "channels", multiple_of=8)
        super().__init__()
        self.norm_1 = nn.GroupNorm(8, channels_in)
        self.norm_2 = nn.GroupNorm(8, channels)
        self.conv_1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.conv_2 = zeroed(nn.Conv2d(channels, channels, 3, padding=1))
        self.scale_and_shift = zeroed(nn.Linear(dim, 2 * channels))
        self.shortcut = nn.Identity() if channels_in == channels else nn.Conv2d(channels_in, channels, 1)

    def forward(self, x, condition):
        h = self.conv_1(F.silu(self.norm_1(x)))
        scale, shift = self.scale_and_shift(condition)[:, :, None, None].chunk(2, dim=1)
        h = self.conv_2(F.silu(self.norm_2(h) * (1 + scale) + shift))
        return self.shortcut(x) + h


class Attention(nn.Module):
    """x + attention(x): every position looks at every other and takes what it finds  (Vaswani et al. 2017, eq. 1).

    softmax(q kᵀ / √d) v over the h·w positions, in `heads` independent groups of d = channels / heads numbers.
    x: (n, channels, h, w). Returns the same shape.
    """

    def __init__(self, channels, heads=4):
        check_count(heads, "heads")
        check_count(channels, "channels", multiple_of=math.lcm(8, heads))
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(8, channels)
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.leave = zeroed(nn.Linear(channels, channels))

    def forward(self, x):
        n, channels, height, width = x.shape
        positions = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.to_qkv(positions).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return x + self.leave(found).transpose(1, 2).reshape(n, channels, height, width)


class UNet(nn.Module):
    """(x_t, t, label) → a tensor like x_t, by way of 14×14 and 7×7  (Ronneberger et al. 2015; Ho et al. 2020, app. B).

    What the output means (ε, v, x_0) is for `as_denoiser` to say. Each 2×2 pixels become the 4 channels of one
    position: a quarter of the positions, and of the time. fine, coarse: channels at 14×14 and at 7×7, multiples of 8.
    """

    def __init__(self, fine=48, coarse=96, dim=128, labels=10):
        check_count(fine, "fine", multiple_of=8)
        check_count(coarse, "coarse", multiple_of=8)
        super().__init__()
        self.null_label = labels
        self.condition = Condition(labels, dim)
        self.enter = nn.Conv2d(4, fine, 3, padding=1)
        self.fine_down = ResidualBlock(fine, fine, dim)
        self.shrink = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.coarse_down = ResidualBlock(coarse, coarse, dim)
        self.attention = Attention(coarse)
        self.middle = ResidualBlock(coarse, coarse, dim)
        self.coarse_up = ResidualBlock(2 * coarse, coarse, dim)
        self.grow = nn.Sequential(nn.Conv2d(coarse, fine, 1), nn.Upsample(scale_factor=2))
        self.fine_up = ResidualBlock(2 * fine, fine, dim)
        self.leave = nn.Sequential(nn.GroupNorm(8, fine), nn.SiLU(), zeroed(nn.Conv2d(fine, 4, 3, padding=1)))
        self.arguments = {"fine": fine, "coarse": coarse, "dim": dim, "labels": labels}  # a file of weights names them

    def ends(self):
        """The layers at the border: pixels come in, pixels go out, labels are looked up. Muon leaves them to AdamW."""
        return [self.enter, self.leave, self.condition.label]

    def forward(self, x_t, t, label=None):
        """x_t: float32 (n, 1, 28, 28). t: int64 (n,). label: int64 (n,), an int, or None for the null label."""
        check_input(x_t, t, self.enter.weight, (1, 28, 28))
        condition = self.condition(t, label)
        fine = self.fine_down(self.enter(F.pixel_unshuffle(x_t, 2)), condition)
        coarse = self.coarse_down(self.shrink(fine), condition)
        x = self.middle(self.attention(coarse), condition)
        x = self.coarse_up(torch.cat([x, coarse], dim=1), condition)
        x = self.fine_up(torch.cat([self.grow(x), fine], dim=1), condition)
        return F.pixel_shuffle(self.leave(x), 2)
