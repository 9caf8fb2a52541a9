"""Is an image a copy of one that was trained on? The nearest one is looked for, small shifts and turns included."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F

from diffusion_lab.guard import check_images, check_number, require

TURNS = (-10, -5, 0, 5, 10)  # degrees: small turns, as of a page that lies a little askew
AT_ONCE = 2_000  # moved images in one matrix product, which only memory limits: with 4,000 known ones, 32 MB


class Nearest(NamedTuple):
    """For each of n images: how far the nearest known one is, which it is, and the image as it was moved to be so near.

    distance: float64 (n,). index: int64 (n,). moved: the shape and dtype of the images.
    """

    distance: torch.Tensor
    index: torch.Tensor
    moved: torch.Tensor


def nearest(images, known, shift=0, turns=(0,)):
    """The nearest of the known images, over all small moves of each image: a `Nearest`.

    distance = min over moves and known images of |moved(x) - x_known|, the root of the summed squared differences of
    the pixels. The moves are turns by `turns` (degrees, counter-clockwise) followed by shifts of up to `shift` whole
    pixels to each side; what comes in from outside is black. Without moves, only a copy pixel by pixel has distance 0.

    images: float (n, 1, 28, 28) in [-1, 1]; known: the same, (m, 1, 28, 28). A product of matrices in float32 finds
    the nearest; its distance is then computed afresh, in float64, so that a copy has exactly 0. 100 images against
    4,000, over two pixels and five turns, take a few seconds. Raises ValueError for other images, a shift that is no
    whole number from 0 to 13, or no turns.
    """
    check_images(images)
    check_images(known)
    require(isinstance(shift, int) and not isinstance(shift, bool) and 0 <= shift <= 13,
            f"shift must be a whole number of pixels, from 0 to 13, but got {shift!r}.")
    turns = list(turns)
    require(len(turns) > 0, "turns must hold at least one angle, but is empty; (0,) leaves the images upright.")
    for turn in turns:
        check_number(turn, "a turn, in degrees,", -180, 180)

    targets = (known.float() + 1).flatten(1)  # ink: 0 for black
    half_squares = targets.square().sum(dim=1) / 2
    moves = [(turn, right, down) for turn in turns
             for right in range(-shift, shift + 1) for down in range(-shift, shift + 1)]
    found = []
    for some in images.split(max(1, AT_ONCE // len(moves))):
        each = torch.stack([moved(some, *move) for move in moves], dim=1)  # (n, moves, 1, 28, 28)
        ink = (each.float() + 1).flatten(2)
        # |a - b|² / 2 = |a|² / 2 + |b|² / 2 - ab
        halves = half_squares + ink.square().sum(dim=2, keepdim=True) / 2 - ink @ targets.T
        place = halves.flatten(1).argmin(dim=1)
        index = place % len(known)
        best = each[torch.arange(len(some)), place // len(known)]
        distance = (best.double() - known[index].double()).flatten(1).norm(dim=1)
        found.append(Nearest(distance, index, best))
    return Nearest(*(torch.cat(parts) for parts in zip(*found)))


def moved(images, turn=0.0, right=0, down=0):
    """Images turned counter-clockwise by `turn` degrees about their middle, then shifted by whole pixels.

    images: float (n, 1, 28, 28) in [-1, 1]; the result is the same. What comes in from outside is black. Without a
    turn, no pixel changes its value; a turn interpolates between neighbours.
    """
    ink = images + 1
    if turn:
        angle = math.radians(turn)
        rows = [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]
        grid = F.affine_grid(torch.tensor([rows] * len(ink)).to(ink), ink.shape, align_corners=False)
        ink = F.grid_sample(ink, grid, align_corners=False)
    height, width = ink.shape[-2:]
    room = max(abs(right), abs(down))
    ink = F.pad(ink, (room,) * 4)[..., room - down : room - down + height, room - right : room - right + width]
    return ink - 1
