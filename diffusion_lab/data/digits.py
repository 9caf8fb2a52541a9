"""5,000 real handwritten digits from MNIST, shipped with the package: no network needed.

The file was made by `tools/make_digits.py`; where the digits come from is told in `diffusion_lab/data/README.md`.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from diffusion_lab.guard import require

FILE = Path(__file__).with_name("digits.npz")
SHA256 = "179bf17399940c6be25a127c491285255b478e4cdb6d2a095c2456b57264fbf4"
N_TRAIN = 4000


def load_digits(split=None):
    """Images float32 (n, 1, 28, 28) in [-1, 1] and labels int64 (n,): "train" 4,000, "test" 1,000, None all 5,000.

    Every class has 400 digits in "train" and 100 in "test"; the split is fixed.
    Raises ValueError for another split, OSError if the file is missing or damaged.
    """
    parts = {None: slice(None), "train": slice(N_TRAIN), "test": slice(N_TRAIN, None)}
    require(split in list(parts), f'split must be "train", "test" or None (all), but got {split!r}.')
    if not FILE.is_file():
        raise OSError(f"{FILE} is missing, or no file. Restore it with: git checkout -- {FILE}")
    if sha256(FILE.read_bytes()).hexdigest() != SHA256:
        raise OSError(f"{FILE} is damaged (its checksum is wrong). Restore it with: git checkout -- {FILE}")
    with np.load(FILE, allow_pickle=False) as arrays:
        images, labels = arrays["images"][parts[split]], arrays["labels"][parts[split]]
    return as_images(images), torch.from_numpy(labels.astype(np.int64))


def as_images(pixels):
    """Pixels 0…255, (n, 28, 28), as images: float32 (n, 1, 28, 28), -1 for black and 1 for white.

    Raises ValueError for other shapes or values.
    """
    require(pixels.ndim == 3, f"pixels must have shape (n, 28, 28), but got {pixels.shape}.")
    require(bool(((pixels >= 0) & (pixels <= 255)).all()),
            f"pixels must lie within 0…255, but these run from {pixels.min()} to {pixels.max()}.")
    return torch.from_numpy(pixels.astype(np.float32) / 127.5 - 1).unsqueeze(1)
