"""Digits that were never written, but might have been: small turns, stretches and shifts of real ones."""

import torch
import torch.nn.functional as F

from diffusion_lab.guard import check_count, check_data, check_generator, check_number, require


def shifted(images, generator, most=1):
    """Each image moved by whole pixels: in each direction by a number drawn for it alone, from -most to most.

    No pixel is mixed with its neighbour, so that the digits stay as sharp as they are. images: float (n, c, h, w), -1
    for black. Returns the same shape; what comes in from outside is black.
    """
    check_data(images)
    require(images.ndim == 4, f"images must have shape (n, c, h, w), but got {tuple(images.shape)}.")
    check_generator(generator)
    check_count(most, "most")
    n, _, height, width = images.shape
    down, right = torch.randint(2 * most + 1, (2, n, 1), generator=generator).to(images.device)
    rows = down + torch.arange(height, device=images.device)
    columns = right + torch.arange(width, device=images.device)
    padded = F.pad(images, [most] * 4, value=-1)
    each = torch.arange(n, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1).contiguous()


def augmented(images, generator, strength=1.0):
    """Each image turned, slanted, stretched and shifted a little, by amounts drawn for it alone.

    At strength 1: turn and slant up to 0.2 radians, stretch up to 12 % in each direction, shift up to 1.4 pixels.
    images: float32 (n, 1, h, w), -1 for black. Returns the same shape; what comes in from outside is black.
    """
    check_data(images)
    require(images.ndim == 4, f"images must have shape (n, 1, h, w), but got {tuple(images.shape)}.")
    check_generator(generator)
    check_number(strength, "strength", 0)
    amounts = torch.rand(6, len(images), generator=generator).to(images)  # drawn on the CPU, wherever the images are
    turn, slant, wide, high, x, y = strength * (2 * amounts - 1)
    turn, slant, wide, high = 0.2 * turn, 0.2 * slant, 1 + 0.12 * wide, 1 + 0.12 * high
    rows = torch.stack([wide * turn.cos(), slant - turn.sin(), 0.1 * x, turn.sin(), high * turn.cos(), 0.1 * y])
    grid = F.affine_grid(rows.T.reshape(-1, 2, 3), images.shape, align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1  # outside the picture is 0: black
