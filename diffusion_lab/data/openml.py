"""Full MNIST and Fashion-MNIST, downloaded once from openml.org by scikit-learn and kept on disk.

scikit-learn reads the file with pandas, which nothing else in the course needs: it is the extra "data".
"""

import sys
from collections import defaultdict
from importlib.util import find_spec
from urllib.error import URLError

import numpy as np
import torch
from sklearn.datasets import fetch_openml

from diffusion_lab.data.digits import as_images

N_TRAIN = 60_000

# Of the file's columns: 784 pixels, then the label. Left to itself, scikit-learn 1.9 fails on numbers as labels with
# pandas 3.1 (scikit-learn issue 34892), and takes twice the memory for the pixels.
DTYPES = defaultdict(lambda: np.float32, {784: str})


def load_mnist(split=None, cache=None):
    """Full MNIST: images float32 (n, 1, 28, 28) in [-1, 1], labels int64 (n,); "train" 60,000, "test" 10,000.

    cache: the folder to keep the download in; None is scikit-learn's own (~/scikit_learn_data).
    Raises ValueError for another split, ModuleNotFoundError without pandas, ConnectionError where openml.org cannot be
    reached.
    """
    return fetch("mnist_784", "MNIST", split, cache)


def load_fashion_mnist(split=None, cache=None):
    """Fashion-MNIST (Xiao et al. 2017): ten kinds of clothing, in the form of `load_mnist`."""
    return fetch("Fashion-MNIST", "Fashion-MNIST", split, cache)


def fetch(openml_name, name, split, cache):
    """Download `openml_name`, or take it from the cache, and return the images and labels of `split`."""
    parts = {None: slice(None), "train": slice(N_TRAIN), "test": slice(N_TRAIN, None)}
    if split not in parts:
        raise ValueError(f'split must be "train", "test" or None (all), but got {split!r}.')
    if find_spec("pandas") is None:
        raise ModuleNotFoundError(
            f"{name} is read with pandas, which is not installed here. Install it with: {sys.executable} -m pip "
            "install pandas. Or use the digits that are shipped with the course: "
            "diffusion_lab.data.digits.load_digits()."
        )
    try:
        bunch = fetch_openml(openml_name, version=1, as_frame=False, data_home=cache, n_retries=1,
                             read_csv_kwargs={"dtype": DTYPES})
    except (URLError, ConnectionError, TimeoutError) as error:
        raise ConnectionError(
            f"{name} could not be downloaded from openml.org ({error}). Without a network, use the digits that are "
            "shipped with the course: diffusion_lab.data.digits.load_digits()."
        ) from error
    pixels, labels = bunch.data[parts[split]].reshape(-1, 28, 28), bunch.target[parts[split]]
    return as_images(pixels), torch.from_numpy(labels.astype(np.float64).astype(np.int64))  # "5.0", with some versions
