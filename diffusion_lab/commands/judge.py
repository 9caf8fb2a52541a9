"""python -m diffusion_lab judge: the report of lesson 07 for any file of samples."""

import zipfile
from typing import NamedTuple

import numpy as np
import torch

from diffusion_lab.data import openml
from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import (
    distance_to_test,
    label_accuracy,
    memorisation_ratio,
    share_of_real,
)
from diffusion_lab.evaluation.judge import in_batches, load_judge, read_digits
from diffusion_lab.evaluation.report import Rulers
from diffusion_lab.evaluation.spectrum import power_ratio
from diffusion_lab.evaluation.variety import density_and_coverage, variety
from diffusion_lab.guard import require
from diffusion_lab.weights.pretrained import read_facts

LEAST = 100  # with fewer, a distance says next to nothing
LEAST_OF_A_KIND = 2
NOT_TAKEN = "–"


class Samples(NamedTuple):
    """What a file holds: images, float32 (n, 1, 28, 28) in [-1, 1]; labels, int64 (n,), or None; how it was read."""

    images: torch.Tensor
    labels: torch.Tensor | None
    told: str


def read_samples(file):
    """The samples in an NPZ file. Raises ValueError for what no samples can be made of."""
    require(file.is_file(), f"there is no file {file}. Write one with numpy.savez, or with: sample --out digits.npz")
    try:
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as content:  # a lone array is no context
            arrays = {name: content[name] for name in content.files}
    except (ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} is no NPZ file of plain arrays. Write one with numpy.savez(file, images=images, "
                         "labels=labels).") from error
    require("images" in arrays, f"{file} holds no array `images`, but {', '.join(arrays) or 'nothing'}. "
                                "Name it: numpy.savez(file, images=images, labels=labels).")
    images, told = understood(arrays["images"])
    labels = labels_of(arrays["labels"], len(images)) if "labels" in arrays else None
    return Samples(images, labels, told)


def understood(images):
    """Images in [-1, 1], float32 (n, 1, 28, 28), and in words what their numbers were taken for."""
    shape = images.shape
    if images.ndim == 4 and shape[1] == 1:
        images = images[:, 0]
    require(images.ndim == 3 and images.shape[1:] == (28, 28),
            f"images must have the shape (n, 28, 28) or (n, 1, 28, 28), but theirs is {shape}.")
    require(len(images) >= LEAST, f"at least {LEAST} images are needed, better 1000, but there are {len(images)}.")
    require(images.dtype == np.uint8 or images.dtype.kind == "f",
            f"images must be uint8, from 0 to 255, or floats, from -1 or 0 to 1, but these are {images.dtype}.")
    images = torch.from_numpy(images.astype(np.float32))[:, None]
    require(bool(torch.isfinite(images).all()), "the images hold NaN or infinite values.")
    least, most = (value.item() for value in images.aminmax())
    if most > 1.001 and least >= 0:
        require(most <= 255, f"the largest number of the images is {most:.4g}, and not within 0…255.")
        return images / 127.5 - 1, "numbers from 0, black, to 255, white"
    require(least >= -1.001 and most <= 1.001,
            f"images must lie within -1…1 or 0…1 (floats) or 0…255 (uint8), but these run from {least:.4g} to "
            f"{most:.4g}. Clip them first.")
    if least < -0.001:
        return images.clamp(-1, 1), "numbers from -1, black, to 1, white"
    return (2 * images - 1).clamp(-1, 1), "numbers from 0, black, to 1, white"


def labels_of(labels, n):
    """Labels as int64 (n,)."""
    require(labels.dtype.kind in "iu" and labels.shape == (n,),
            f"labels must be {n} whole numbers, one for each image, but theirs are {labels.dtype}, {labels.shape}.")
    require(bool(((labels >= 0) & (labels <= 9)).all()),
            f"labels must lie within 0…9, but these run from {labels.min()} to {labels.max()}.")
    return torch.from_numpy(labels.astype(np.int64))


def real_images(name):
    """The pairs (images, labels) that samples are held against: those to train on, and those to test with."""
    if name == "digits":
        return load_digits("train"), load_digits("test")
    return openml.load_fashion_mnist("train"), openml.load_fashion_mnist("test")


def rows_of(samples, labels, data):
    """What is measured, as rows (measure, theirs, of real ones, of the shipped weights); prints nothing.

    labels: what each image is held for.
    """
    train, test = real_images(data)
    card = Card() if data == "digits" else None
    if card:
        yield from by_the_judges(samples, labels, train, test, card)
    waves = power_ratio(samples.images, test[0])[3:]
    yield "power / real, least of k = 3…14", f"{waves.min():.2f}", "0.97", card and card.mean("power_least")
    yield "power / real, most", f"{waves.max():.2f}", "1.03", card and card.mean("power_most")
    yield ("a reader trained on them / on real", f"{share_of_real(samples.images, labels, train, test):.3f}", "1",
           card and card.mean("share_of_real", digits=3))
    yield ("distance to nearest training image", f"{memorisation_ratio(samples.images, train[0], test[0]):.2f}", "1",
           card and card.mean("memorisation_ratio"))


def by_the_judges(samples, labels, train, test, card):
    """The rows of the two judges, who can read digits alone."""
    rulers = Rulers(test, train, len(labels))
    for name, judge in rulers.judges.items():
        floor, floor_std = rulers.floor[name]
        yield (f"distance / floor, {name} judge", f"{distance_to_test(samples.images, judge, test[0]) / floor:.2f}",
               f"1 ± {floor_std / floor:.2f}", card.mean(name, "times_floor"))
    if samples.labels is not None:
        for name, judge in rulers.judges.items():
            yield (f"label accuracy, {name} judge", f"{label_accuracy(judge, samples.images, labels):.3f}",
                   f"{label_accuracy(judge, *test):.3f}", card.mean(name, "label_accuracy", digits=3))
    second = rulers.judges["second"]
    try:
        varieties = [f"{value:.2f}" for value in variety(samples.images, labels, second, test)]
    except ValueError:  # too few of a kind are read rightly: bad digits, and the more do the other rows matter
        varieties = [NOT_TAKEN, NOT_TAKEN]
    for what, key, theirs in zip(("features", "shapes"), ("variety", "variety_of_shapes"), varieties):
        yield f"variety within a kind, {what}", theirs, "1", card.mean("second", key)
    _, coverage = density_and_coverage(*(in_batches(second.features, some) for some in (samples.images, test[0])))
    yield "real digits that are covered", f"{coverage:.2f}", "0.97", card.mean("second", "coverage")


class Card:
    """The shipped weights' measures: means over three seeds of 1,000 digits, drawn as `sample` does."""

    def __init__(self):
        self.runs = read_facts("mnist")["measures"]["10"]

    def mean(self, *keys, digits=2):
        """One of them, as a text."""
        values = []
        for value in self.runs:
            for key in keys:
                value = value[key]
            values.append(value)
        return f"{sum(values) / len(values):.{digits}f}"


def run(args):
    """Print the report. Returns the exit status, 0."""
    samples = read_samples(args.file)
    n = len(samples.images)
    labels = samples.labels
    print(f"{args.file}: {n} images, read as {samples.told}.", flush=True)
    if labels is None:
        require(args.data == "digits", "without labels, only digits can be judged: add an array `labels`.")
        labels = read_digits(load_judge(), samples.images)
        print("They have no labels: each counts as the digit that the first judge reads.", flush=True)
    else:
        counts = labels.bincount(minlength=10)
        require(counts.min() >= LEAST_OF_A_KIND, f"all ten kinds are needed, at least {LEAST_OF_A_KIND} of each, "
                                                 f"but there are {counts.tolist()} of 0…9.")
    print(f"\n{'':36}{'yours':>9}{'real':>12}{'shipped':>10}", flush=True)
    missed = False
    for measure, theirs, real, shipped in rows_of(samples, labels, args.data):
        print(f"{measure:36}{theirs:>9}{real:>12}{shipped or '':>10}", flush=True)
        missed = missed or theirs == NOT_TAKEN
    if missed:
        print(f"\n{NOT_TAKEN}: of some kind the second judge reads fewer than two as they should be.")
    if args.data == "digits" and n != 1000:
        print("\nThe shipped weights were measured with 1000 digits; compare with as many.")
    return 0
