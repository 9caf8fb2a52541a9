"""Train a judge that the course's measures rest on, and save its weights: takes minutes.

    python tools/train_judge.py [second]

The judge reads the 4,000 training digits, 40 epochs, turned and stretched. The second one reads the 3,000 of them that
are not held back, 40 epochs, moved by whole pixels. Seed 0; neither sees a test digit.
"""

import sys

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation import judge, second_judge
from diffusion_lab.evaluation.distances import label_accuracy


def main(which="first"):
    images, labels = load_digits("train")
    generator = torch.Generator().manual_seed(0)
    if which == "second":
        seen = ~second_judge.held_back(labels)
        file, fitted = second_judge.FILE, second_judge.fit_second_judge(images[seen], labels[seen], 40, generator)
    else:
        file, fitted = judge.FILE, judge.fit_classifier(images, labels, 40, generator)
    print(f"test accuracy {label_accuracy(fitted, *load_digits('test')):.4f}")
    judge.save_judge(fitted, file)
    print(f"{file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:2])
