"""2-D clouds of points from scikit-learn, standardised: each coordinate has mean 0 and variance 1."""

import numpy as np
import torch
from sklearn.datasets import make_blobs, make_moons, make_swiss_roll
from sklearn.preprocessing import StandardScaler

from diffusion_lab.guard import require


def two_moons(n, seed=0):
    """n points, float32 (n, 2), on two interleaved half circles."""
    check_size(n)
    points, _ = make_moons(n, noise=0.05, random_state=seed)
    return standardised(points)


def swiss_roll(n, seed=0):
    """n points, float32 (n, 2), on a spiral: the Swiss roll seen from the side."""
    check_size(n)
    points, _ = make_swiss_roll(n, noise=0.3, random_state=seed)
    return standardised(points[:, [0, 2]])


def ring_of_gaussians(n, seed=0):
    """n points, float32 (n, 2), in eight round clouds on a circle."""
    check_size(n)
    angle = 2 * np.pi * np.arange(8) / 8
    centres = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points, _ = make_blobs(n, centers=centres, cluster_std=0.1, random_state=seed)
    return standardised(points)


def check_size(n):
    """Raise ValueError unless n is a whole number of at least 2: one point has no variance."""
    require(isinstance(n, int) and not isinstance(n, bool) and n >= 2,
            f"n must be a whole number of at least 2, but got {n!r}.")


def standardised(points):
    """Points (n, d) as float32, each coordinate shifted and scaled to mean 0 and variance 1."""
    return torch.from_numpy(StandardScaler().fit_transform(points).astype(np.float32))
