"""Canvases of 56×56 pixels with digits and clutter on them, of which each pixel is known: what to find and segment.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw

from diffusion_lab.data.digits import load_digits
from diffusion_lab.guard import check_count, require

SIDE = 56
MOST = 4  # digits on a canvas: more leave no room
INK = 0.5  # a pixel belongs to what is drawn on it if it has more than half of the brightest value
BACKGROUND, DIGIT, CLUTTER = 0, 1, 2
SCALE = 4  # strokes are drawn at four times the size, then averaged


@dataclass(frozen=True)
class Canvases:
    """n pictures, and what is on them.

    image: float32 (n, 1, 56, 56) in [-1, 1]. mask: int64 (n, 56, 56), 0 background, 1 digit, 2 clutter.
    box: float32 (n, 4, 4), (x_0, y_0, x_1, y_1) of each digit in pixels, x to the right and y downwards, tight around
    its ink: the first column and row, and those after the last, so x_1 - x_0 is the width. count: int64 (n,), digits on
    a canvas. label: int64 (n, 4), -1 where there is none; the box of none is 0.
    """

    image: torch.Tensor
    mask: torch.Tensor
    box: torch.Tensor
    count: torch.Tensor
    label: torch.Tensor


def canvases(n, seed, digits=(1, MOST), clutter=True, split="train"):
    """n canvases, with digits of a split in their own size, and with up to four pieces of clutter.

    digits: least and most on a canvas, within 0…4; all numbers between are equally frequent. Their boxes are disjoint.
    Clutter is of the ink and the thickness of handwriting, and as large: bits cut from digits of this split, turned and
    joined, and arcs and lines. It touches no digit and no other clutter. split: "train" or "test".

    The first canvases of a seed are the same ones, however many are asked for. Returns Canvases. Raises ValueError.
    """
    check_count(n, "n")
    require(isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0,
            f"seed must be a whole number of at least 0, but got {seed!r}.")
    require(isinstance(digits, tuple) and len(digits) == 2 and all(isinstance(number, int) for number in digits)
            and 0 <= digits[0] <= digits[1] <= MOST,
            f"digits must be the least and the most on a canvas, a pair within 0…{MOST}, but got {digits!r}.")
    require(split in ("train", "test"), f'split must be "train" or "test", but got {split!r}.')
    images, labels = load_digits(split)
    digits_ink = (images[:, 0].numpy() + 1) / 2
    image = np.zeros((n, SIDE, SIDE), np.float32)
    mask = np.zeros((n, SIDE, SIDE), np.int64)
    box = np.zeros((n, MOST, 4), np.float32)
    label = np.full((n, MOST), -1)
    count = np.zeros(n, np.int64)
    for i in range(n):
        rng = np.random.default_rng((seed, i))
        count[i] = rng.integers(digits[0], digits[1] + 1)
        chosen = rng.choice(len(digits_ink), count[i], replace=False)
        for j, (crop, place) in enumerate(laid_out([cropped(digits_ink[k]) for k in chosen], rng)):
            paste(crop, place, image[i], mask[i], DIGIT)
            box[i, j] = box_of(crop, place)
            label[i, j] = labels[chosen[j]]
        for _ in range(rng.integers(1, 5) if clutter else 0):
            crop = cropped(bit(digits_ink, rng) if rng.random() < 0.6 else stroke(rng))
            place = free_place(crop > 0, image[i] > 0, rng)
            if place is not None:
                paste(crop, place, image[i], mask[i], CLUTTER)
    return Canvases(torch.from_numpy(2 * image - 1).unsqueeze(1), torch.from_numpy(mask), torch.from_numpy(box),
                    torch.from_numpy(count), torch.from_numpy(label))


def paste(crop, place, image, mask, kind):
    """Draw a crop with its upper left corner at place (y, x), and note of which kind its pixels are. In place."""
    y, x = place
    here = slice(y, y + crop.shape[0]), slice(x, x + crop.shape[1])
    image[here] = np.maximum(image[here], crop)
    mask[here][crop > INK] = kind


def box_of(crop, place):
    """(x_0, y_0, x_1, y_1) of the ink of a crop at place (y, x)."""
    y, x = np.nonzero(crop > INK)
    return x.min() + place[1], y.min() + place[0], x.max() + 1 + place[1], y.max() + 1 + place[0]


def cropped(ink):
    """The part of a picture (h, w) in which there is any ink."""
    y, x = np.nonzero(ink)
    return ink[y.min() : y.max() + 1, x.min() : x.max() + 1]


def laid_out(crops, rng):
    """Pairs of a crop and its place (y, x): the rectangles are at least a pixel apart. Begins anew where stuck."""
    while True:
        taken = np.zeros((SIDE, SIDE), bool)
        placed = []
        for crop in crops:
            place = free_place(np.ones(crop.shape, bool), taken, rng)
            if place is None:
                break
            taken[place[0] : place[0] + crop.shape[0], place[1] : place[1] + crop.shape[1]] = True
            placed.append((crop, place))
        else:
            return placed


def free_place(ink, taken, rng):
    """A place (y, x) where ink, bool (h, w), touches nothing of what is taken, bool (56, 56); None after 30 trials."""
    height, width = ink.shape
    near = np.pad(taken, 1)
    near = near[2:, 1:-1] | near[:-2, 1:-1] | near[1:-1, 2:] | near[1:-1, :-2] | taken
    for y, x in rng.integers(0, (SIDE + 1 - height, SIDE + 1 - width), (30, 2)).tolist():
        if not (near[y : y + height, x : x + width] & ink).any():
            return y, x
    return None


def bit(digits_ink, rng):
    """Half a digit, or two halves of two digits joined; each is turned by quarters or mirrored, so not resampled."""
    halves = [cropped(half(digits_ink[rng.integers(len(digits_ink))], rng)) for _ in range(rng.integers(1, 3))]
    if len(halves) == 1:
        return halves[0]
    (height, width), (below, other) = halves[0].shape, halves[1].shape
    ink = np.zeros((height + below - 3, max(width, other)), np.float32)  # they overlap in three rows
    ink[:height, :width] = halves[0]
    ink[height - 3 :, :other] = np.maximum(ink[height - 3 :, :other], halves[1])
    return ink


def half(ink, rng):
    """What lies on one side of a straight cut through the centre of a digit's ink, (28, 28)."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:28, :28]
    weight = ink / ink.sum()
    side = np.cos(angle) * (x - (weight * x).sum()) + np.sin(angle) * (y - (weight * y).sum())
    ink = np.rot90(ink * np.clip(side + 0.5, 0, 1), rng.integers(4))
    return (ink[:, ::-1] if rng.random() < 0.5 else ink).astype(np.float32)


def stroke(rng):
    """One or two arcs and lines, at most 20 pixels long; no line is steep enough to be a 1, no arc closed to a 0."""
    size = 20 * SCALE
    drawn = Image.new("L", (size + 4 * SCALE, size + 4 * SCALE))
    pen = ImageDraw.Draw(drawn)
    width = int(SCALE * rng.uniform(2, 4))
    for _ in range(rng.integers(1, 3)):
        low, high = 2 * SCALE, 2 * SCALE + size
        if rng.random() < 0.6:
            corner = rng.uniform(low, high - 10 * SCALE, 2)
            across = rng.uniform(10 * SCALE, high - corner)
            begin = rng.uniform(0, 360)
            pen.arc([*corner, *(corner + across)], begin, begin + rng.uniform(90, 220), fill=255, width=width)
        else:
            rise = rng.uniform(-1, 1) * size / 2
            middle = rng.uniform(low + abs(rise) / 2, high - abs(rise) / 2)
            pen.line([low, middle - rise / 2, high, middle + rise / 2], fill=255, width=width)
    small = drawn.resize((size // SCALE + 4,) * 2, Image.Resampling.BOX)
    return np.array(small, dtype=np.float32) / 255
