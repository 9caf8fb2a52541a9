"""Measurements y = A x_0 + std ε of pictures, as matrices A on flattened pictures: what a camera leaves of a digit.

Taught in: lessons/11_restoration
"""

import torch

from diffusion_lab.guard import check_count, check_data, check_generator, check_number, check_positive, require
from diffusion_lab.theory.forward import noise_like


def average_pooling(factor, side=28):
    """The means of squares of factor × factor pixels: float32 ((side/factor)², side²). factor: divides side."""
    check_count(factor, "factor")
    check_count(side, "side", factor)
    rows = torch.eye(side // factor).repeat_interleave(factor, dim=1) / factor
    return torch.kron(rows, rows)


def kept_pixels(mask):
    """The pixels where mask is True: float32 (m, side²). mask: bool (side, side), some of it True."""
    require(torch.is_tensor(mask) and mask.dtype == torch.bool and mask.ndim == 2 and bool(mask.any()),
            "a mask must be a bool tensor (side, side), True where a pixel is kept, with at least one True.")
    return torch.eye(mask.numel())[mask.flatten()]


def gaussian_blur(std, side=28):
    """Each pixel becomes a mean of its neighbours, weighed by a Gaussian of their distance: float32 (side², side²).

    std: of the Gaussian, in pixels, positive. At an edge the weights that are left add up to 1.
    """
    check_number(std, "std")
    check_positive(std=std)
    check_count(side, "side")
    place = torch.arange(side)
    rows = torch.softmax(-((place[:, None] - place) ** 2) / (2 * std**2), dim=1)
    return torch.kron(rows, rows)


def measure(A, x_0, std, generator=None):
    """y = A x_0 + std ε of each picture, (n, m). A: float (m, d). x_0: float (n, …), d numbers each. std: 0 or more."""
    check_data(x_0)
    check_number(std, "std", 0)
    check_generator(generator)
    flat = x_0.flatten(1)
    require(A.ndim == 2 and A.shape[1] == flat.shape[1],
            f"A must have the shape (m, {flat.shape[1]}) for such x_0, but it has {tuple(A.shape)}.")
    y = flat @ A.to(flat).mT
    return y + std * noise_like(y, generator)
