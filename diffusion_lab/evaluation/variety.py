"""Do generated digits lie where real ones do, do they reach all of these, and do they differ as much?"""

import torch
from sklearn.neighbors import NearestNeighbors

from diffusion_lab.evaluation.judge import checked, in_batches, read_digits
from diffusion_lab.guard import check_classes, check_count, require


def density_and_coverage(features, real, k=5):
    """How many balls around real digits hold a generated one, on average, and how many hold one at all: two floats.

    Each real digit has a ball that reaches to its k-th nearest real neighbour.
    density = Σ_j Σ_i [feature j in ball i] / (k n);  coverage = Σ_i [some feature in ball i] / m
    (Naeem et al. 2020, eq. 5 and 6). Both are near 1 for fresh real digits: density falls where digits are none,
    coverage where kinds of digits are missing. features: (n, d); real: (m, d), m above k; floats.
    """
    check_count(k, "k")
    require(features.ndim == real.ndim == 2 and features.shape[1] == real.shape[1] and len(features) and len(real) > k,
            f"features and real must have shapes (n, d) and (m, d), m above k = {k}, but got {tuple(features.shape)} "
            f"and {tuple(real.shape)}.")
    real, features = real.double(), features.double()
    radius, _ = NearestNeighbors(n_neighbors=k).fit(real.numpy()).kneighbors()  # of each, without itself
    inside = torch.cdist(real, features) < torch.from_numpy(radius[:, -1:])
    return inside.double().sum(dim=0).mean().item() / k, inside.any(dim=1).double().mean().item()


def spread(points, labels):
    """Variance of points (n, d) within a kind, added up over d: the mean over kinds, of at least two points each."""
    return torch.stack([points[labels == kind].var(dim=0).sum() for kind in labels.unique()]).mean().item()


def shapes(images):
    """The ink of images, as vectors of norm 1, float32 (n, 784): how thick or bright a stroke is counts little."""
    return torch.nn.functional.normalize((checked(images) + 1).flatten(1))


def variety(images, labels, judge, real):
    """Spread within a kind as a share of that of real digits, by two rulers: the judge's features, and `shapes`.

    Digits that the judge misreads are left out of both sets: a scrawl differs from everything, and that is not meant.
    images: float (n, 1, 28, 28), labels: int64 (n,), what was asked for; real: a pair of these. Returns two floats.
    """
    check_classes(labels, len(images))
    sets = []
    for digits, names in ((images, labels), real):
        right = read_digits(judge, digits) == names
        require(names[right].bincount(minlength=10).min() > 1,
                "variety within a kind needs at least two digits of each that the judge reads rightly, but got "
                f"{names[right].bincount(minlength=10).tolist()}.")
        sets.append((digits[right], names[right]))
    rulers = (lambda digits: in_batches(judge.features, digits), shapes)
    return tuple(spread(ruler(sets[0][0]), sets[0][1]) / spread(ruler(sets[1][0]), sets[1][1]) for ruler in rulers)
