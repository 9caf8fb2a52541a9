"""How far apart two sets of digits are, as the judge sees them; and whether one was copied from the other."""

import torch
from scipy.linalg import sqrtm
from sklearn.neighbors import NearestNeighbors
from torch.nn.functional import one_hot

from diffusion_lab.evaluation.judge import fit_classifier, in_batches, read_digits


def frechet_distance(a, b):
    """d² = |m_a - m_b|² + tr(C_a + C_b - 2 (C_a C_b)^½)   (Dowson & Landau 1982; Heusel et al. 2017, eq. 6).

    The squared Fréchet (2-Wasserstein) distance between the Gaussians with the means m and covariances C of two sets.
    a, b: features, (n, d) and (m, d), at least two rows each. Computed in float64; returns a float, at least 0.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError("two sets of features must have shapes (n, d) and (m, d), n and m at least 2, "
                         f"but got {tuple(a.shape)} and {tuple(b.shape)}.")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    root = torch.linalg.eigvalsh(half(cov_a) @ cov_b @ half(cov_a)).clamp(min=0).sqrt().sum()  # tr (C_a C_b)^½
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * root
    return max(distance.item(), 0.0)


def half(cov):
    """The symmetric square root of a covariance."""
    value, vector = torch.linalg.eigh(cov)
    return vector * value.clamp(min=0).sqrt() @ vector.T
