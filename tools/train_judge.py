"""Train the judge that the course's measures rest on, and save its weights: takes minutes.

    python tools/train_judge.py

It reads the 4,000 training digits alone, 40 epochs with augmentation, seed 0.
"""

import torch
from safetensors.torch import save_file

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import label_accuracy
from diffusion_lab.evaluation.judge import FILE, fit_classifier


def main():
    judge = fit_classifier(*load_digits("train"), 40, torch.Generator().manual_seed(0))
    print(f"test accuracy {label_accuracy(judge, *load_digits('test')):.4f}")
    save_file(judge.state_dict(), FILE)
    print(f"{FILE.name}: {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
