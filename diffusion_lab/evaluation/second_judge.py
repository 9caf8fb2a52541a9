"""A second judge, which shares neither architecture nor training digits nor augmentation with the first.

The first was trained on turned and stretched digits, which resampling blurs, and cannot see that digits are soft. This
one has seen digits as they are, moved by whole pixels. And it looks closer: its features are what its first level sees
at 14×14, how much of each small pattern there is, before the digit is read from it. They are whitened, so that every
direction in which real digits differ counts alike: how much ink there is would drown the rest.

Its weights, `second_judge.safetensors`, are made by `tools/train_judge.py second`, from the training digits that are
not held back.
"""

from pathlib import Path

import torch
from torch import nn

from diffusion_lab.data.augment import shifted
from diffusion_lab.evaluation.judge import fit_classifier, in_batches, load_judge
from diffusion_lab.guard import check_classes, check_count, require

FILE = Path(__file__).with_name("second_judge.safetensors")


class SecondJudge(nn.Module):
    """Two levels, 14×14 and 7×7; scores are read from the mean of each channel at both. An image → 32 features."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(1, 32, 5, stride=2, padding=2), Residual(32))
        self.coarse = nn.Sequential(nn.Conv2d(32, 64, 3, stride=2, padding=1), Residual(64), nn.GroupNorm(8, 64),
                                    nn.GELU())
        self.standardise = nn.BatchNorm1d(96, affine=False)  # by mean and variance of the training digits
        self.to_scores = nn.Linear(96, 10)
        self.register_buffer("centre", torch.zeros(32))
        self.register_buffer("whiten", torch.eye(32))

    def features(self, images):
        """images: float32 (n, 1, 28, 28) in [-1, 1]. Returns float32 (n, 32), white over the training digits."""
        return (self.fine(images).mean(dim=(2, 3)) - self.centre) @ self.whiten

    def forward(self, images):
        """images: float32 (n, 1, 28, 28) in [-1, 1]. Returns scores (logits), float32 (n, 10)."""
        fine = self.fine(images)
        means = torch.cat([fine.mean(dim=(2, 3)), self.coarse(fine).mean(dim=(2, 3))], dim=1)
        return self.to_scores(self.standardise(means))


class Residual(nn.Module):
    """x plus two 3×3 convolutions of it, each after a group normalisation and a GELU."""

    def __init__(self, channels):
        super().__init__()
        self.change = nn.Sequential(*(layer for _ in range(2) for layer in (
            nn.GroupNorm(8, channels), nn.GELU(), nn.Conv2d(channels, channels, 3, padding=1))))

    def forward(self, x):
        return x + self.change(x)


def load_second_judge():
    """The second judge with its shipped weights, ready to judge. Raises ValueError if they are damaged."""
    return load_judge(FILE, SecondJudge)


def fit_second_judge(images, labels, epochs, generator):
    """Train a new SecondJudge from nothing, on digits shifted by up to two pixels; then whiten its features on these.

    Arguments: as `fit_classifier`.
    """
    judge = fit_classifier(images, labels, epochs, generator, lr=4e-3, build=SecondJudge,
                           change=lambda some, generator: shifted(some, generator, most=2))
    set_white(judge, images)
    return judge


def set_white(judge, images):
    """From now on the judge's features have mean 0 and covariance 1 over these digits."""
    judge.centre.zero_()
    judge.whiten.copy_(torch.eye(32))
    features = in_batches(judge.features, images).double()
    variance, directions = torch.linalg.eigh(torch.cov(features.T))
    judge.centre.copy_(features.mean(dim=0))
    judge.whiten.copy_(directions / variance.clamp(min=1e-6 * variance.max()).sqrt())


def held_back(labels, each=100):
    """Which digits the second judge has not seen: the last hundred of each kind. bool (n,).

    labels: int64 (n,), those of the training digits, with at least `each` of each kind.
    """
    check_classes(labels, len(labels))
    check_count(each, "each")
    counts = labels.bincount(minlength=10)
    require(counts.min() >= each, f"{each} of each kind are held back, but these labels have {counts.tolist()}.")
    back = torch.zeros(len(labels), dtype=torch.bool)
    for kind in range(10):
        back[(labels == kind).nonzero()[-each:, 0]] = True
    return back
