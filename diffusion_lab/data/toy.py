"""2-D clouds of points from scikit-learn, standardised: each coordinate has mean 0 and variance 1."""

import numpy as np
import torch
from sklearn.datasets import make_blobs, make_moons, make_swiss_roll
from sklearn.preprocessing import StandardScaler


def two_moons(n, seed=0):
    """n points, float32 (n, 2), on two interleaved half circles."""
    points, _ = make_moons(at_least_two(n), noise=0.05, random_state=seed)
    return standardised(points)


def swiss_roll(n, seed=0):
    """n points, float32 (n, 2), on a spiral: the Swiss roll seen from the side."""
    points, _ = make_swiss_roll(at_least_two(n), noise=0.3, random_state=seed)
    return standardised(points[:, [0, 2]])


def ring_of_gaussians(n, seed=0):
    """n points, float32 (n, 2), in eight round clouds on a circle."""
    angle = 2 * np.pi * np.arange(8) / 8
    centres = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points, _ = make_blobs(at_least_two(n), centers=centres, cluster_std=0.1, random_state=seed)
    return standardised(points)


def at_least_two(n):
    """Return n; raise ValueError unless it is a whole number of at least 2 (one point has no variance)."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 2:
        raise ValueError(f"n must be a whole number of at least 2, but got {n!r}.")
    return n


def standardised(points):
    """Points (n, d) as float32, each coordinate shifted and scaled to mean 0 and variance 1."""
    return torch.from_numpy(StandardScaler().fit_transform(points).astype(np.float32))
