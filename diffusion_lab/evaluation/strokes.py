"""How thick strokes are, and how far they lean: style as two numbers, such as Morpho-MNIST's (Castro et al. 2019).
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt

from diffusion_lab.evaluation.judge import checked
from diffusion_lab.guard import check_classes, require

SCALE = 4  # edges are found to a quarter of a pixel


def slant(images):
    """How far upright strokes lean to the right: -μ_11/μ_02 of the ink, 0 for upright, 1 for 45 degrees.

    μ are the central moments of the ink (1 + x)/2, with y downwards: this is the regression of columns on rows. A shear
    by s pixels to the right for each pixel up adds s to it. images: float (n, 1, 28, 28) in [-1, 1], each with ink on
    more than one row. Returns float64 (n,).
    """
    ink = ink_of(images)
    place = torch.arange(28, dtype=torch.float64)
    total = ink.sum(dim=(1, 2))
    x = place - (ink.sum(dim=1) @ place / total)[:, None]
    y = place - (ink.sum(dim=2) @ place / total)[:, None]
    mu_11 = torch.einsum("nyx,ny,nx->n", ink, y, x)
    mu_02 = torch.einsum("nyx,ny->n", ink, y.square())
    return -mu_11 / mu_02


def thickness(images):
    """The thickness of strokes in pixels: four times the mean distance from ink to ground.

    In a long bar of width w the distance to the edge runs from 0 to w/2 and back: its mean is w/4. Ink is what has at
    least half of the brightest value. images: float (n, 1, 28, 28) in [-1, 1], each with ink. Returns float64 (n,).
    """
    large = F.interpolate(ink_of(images)[:, None], scale_factor=SCALE, mode="bilinear")[:, 0]
    inked = large >= large.amax(dim=(1, 2), keepdim=True) / 2
    return torch.tensor([4 * mean_distance(one) / SCALE for one in inked.numpy()], dtype=torch.float64)


def mean_distance(inked):
    """Mean distance from the pixels that are True to the edge; bool (h, w). The edge is half a pixel from a centre."""
    distance = distance_transform_edt(np.pad(inked, 1))[1:-1, 1:-1]
    return float(distance[inked].mean() - 0.5)


def ink_of(images):
    """(1 + x)/2, float64 (n, 28, 28). Raises ValueError where a picture has none."""
    ink = (checked(images)[:, 0].double() + 1) / 2
    require(bool((ink.amax(dim=(1, 2)) > 0.1).all()), "a stroke can be measured where there is ink, but some of these "
                                                      "images are black.")
    return ink


def edges(values, labels):
    """Where the thirds of some values end, for each digit by itself: float64 (10, 2), the quantiles 1/3 and 2/3.

    values: float (n,), of digits with the labels int64 (n,), at least three of each kind.
    """
    check_classes(labels, len(values))
    require(labels.bincount(minlength=10).min() >= 3, "thirds need at least three of each digit, but there are "
                                                      f"{labels.bincount(minlength=10).tolist()}.")
    shares = torch.tensor([1 / 3, 2 / 3], dtype=torch.float64)
    return torch.stack([values[labels == kind].double().quantile(shares) for kind in range(10)])


def third(values, labels, edges):
    """In which third each value lies, by the edges of its digit: int64 (n,), 0 lowest, 2 highest."""
    check_classes(labels, len(values))
    return (values[:, None] > edges[labels]).sum(dim=1)
