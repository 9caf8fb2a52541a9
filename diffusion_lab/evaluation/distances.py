"""How far apart two sets of digits are, as the judge sees them; and whether one was copied from the other."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from diffusion_lab.evaluation.judge import checked, fit_classifier, in_batches, read_digits
from diffusion_lab.guard import check_classes, check_count, require


def frechet_distance(a, b):
    """d² = |m_a - m_b|² + tr(C_a + C_b - 2 (C_a C_b)^½)   (Dowson & Landau 1982; Heusel et al. 2017, eq. 6).

    The squared Fréchet (2-Wasserstein) distance between the Gaussians with the means m and covariances C of two sets.
    a, b: features, (n, d) and (m, d), at least two rows each. Computed in float64; returns a float, at least 0.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError("two sets of features must have shapes (n, d) and (m, d), n and m at least 2, "
                         f"but got {tuple(a.shape)} and {tuple(b.shape)}.")
    require(bool(torch.isfinite(a).all() and torch.isfinite(b).all()), "the features hold NaN or infinite values.")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    root = torch.linalg.eigvalsh(half(cov_a) @ cov_b @ half(cov_a)).clamp(min=0).sqrt().sum()  # tr (C_a C_b)^½
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * root
    return max(distance.item(), 0.0)


def half(cov):
    """The symmetric square root of a covariance."""
    require(torch.allclose(cov, cov.mT), "a covariance is symmetric, but this matrix is not.")
    value, vector = torch.linalg.eigh(cov)
    return vector * value.clamp(min=0).sqrt() @ vector.T


def distance_to_test(images, judge, test):
    """Fréchet distance of images to the test digits, both as the judge's features."""
    return frechet_distance(in_batches(judge.features, images), in_batches(judge.features, test))


def floor_distance(judge, train, test, n=1000, draws=5):
    """The distance that n real digits have: (mean, standard deviation) over some draws from the training digits.

    It is what the finite numbers n and len(test) cost. Each draw holds the kinds 0, 1, … 9, 0, 1, … in turn, as drawn
    digits do: sets of digits of random kinds differ already in how many of each kind they hold, and would lie further
    from test digits with equally many of each. train: pair (images, labels), at least n/10 of each kind; test: images.
    """
    images, labels = train
    check_classes(labels, len(images))
    check_count(n, "n")
    check_count(draws, "draws")
    if labels.bincount(minlength=10).min() < -(-n // 10):
        raise ValueError(f"the floor of {n} digits needs {-(-n // 10)} training digits of each kind, "
                         f"but got {labels.bincount(minlength=10).tolist()}. Give more of them, or take a smaller n.")
    features, target, found = in_batches(judge.features, images), in_batches(judge.features, test), []
    for k in range(draws):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(k))
        drawn = torch.cat([order[labels[order] == kind][:len(range(kind, n, 10))] for kind in range(10)])
        found.append(frechet_distance(features[drawn], target))
    return torch.tensor(found).mean().item(), torch.tensor(found).std().item()


def label_accuracy(judge, images, labels):
    """Share of images in which the judge reads the digit that was asked for."""
    check_classes(labels, len(images))
    return (read_digits(judge, images) == labels).double().mean().item()


def share_of_real(images, labels, train, test, epochs=15):
    """Test accuracy of a classifier trained on these images alone, as a share of one trained on as many real digits.

    train, test: pairs (images, labels). The real ones are the first of a seeded order of `train`. Seeds are equal.
    """
    order = torch.randperm(len(train[0]), generator=torch.Generator().manual_seed(0))[:len(images)]
    accuracy = []
    for digits, names in ((images, labels), (train[0][order], train[1][order])):
        reader = fit_classifier(digits, names, epochs, torch.Generator().manual_seed(0))
        accuracy.append(label_accuracy(reader, test[0], test[1]))
    return accuracy[0] / accuracy[1]


def memorisation_ratio(images, train, test):
    """Median distance to the nearest training digit, of the images, as a multiple of that of the test digits.

    Distances in pixel space. Copies have 0; fresh digits have 1; below 1 the images lie closer than fresh digits do.
    """
    known, *sets = (checked(x).flatten(1).numpy() for x in (train, images, test))
    search = NearestNeighbors(n_neighbors=1).fit(known)
    # The search takes |a|² + |b|² - 2ab for the distance, which rounding keeps from 0 for copies: subtract afresh.
    distance = [np.linalg.norm(x - known[search.kneighbors(x, return_distance=False)[:, 0]], axis=1) for x in sets]
    return float(np.median(distance[0]) / np.median(distance[1]))
