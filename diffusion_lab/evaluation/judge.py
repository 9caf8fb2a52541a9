"""The judge: a small network that reads digits. What it sees is what the distances are measured on.

Its weights, `judge.safetensors`, are made by `tools/train_judge.py` from the training digits alone.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from diffusion_lab.data.augment import augmented
from diffusion_lab.guard import check_classes, check_count, check_images, check_positive

FILE = Path(__file__).with_name("judge.safetensors")


class Judge(nn.Module):
    """Four convolutions and two linear layers: an image → 64 features → 10 scores, one for each digit."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.Sequential(*block(1, 32), nn.MaxPool2d(2), *block(32, 64), nn.MaxPool2d(2),
                                          *block(64, 64), *block(64, 64))
        self.to_features = nn.Sequential(nn.Flatten(), nn.Linear(64 * 7 * 7, 64), nn.ReLU())
        self.to_scores = nn.Linear(64, 10)

    def features(self, images):
        """images: float32 (n, 1, 28, 28) in [-1, 1]. Returns float32 (n, 64)."""
        return self.to_features(self.convolutions(images))

    def forward(self, images):
        """images: float32 (n, 1, 28, 28) in [-1, 1]. Returns scores (logits), float32 (n, 10)."""
        return self.to_scores(self.features(images))


def block(channels_in, channels_out):
    """Convolution, batch normalisation, ReLU."""
    return (nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU())


def load_judge():
    """The judge with its shipped weights, ready to judge (in evaluation mode, no gradients)."""
    with torch.random.fork_rng(devices=[]):  # the first weights are random, and replaced at once
        judge = Judge().eval().requires_grad_(False)
    judge.load_state_dict(load_file(FILE))
    return judge


def in_batches(function, images, size=250):
    """function(images), computed batch by batch: a thousand images at once would need much memory."""
    with torch.no_grad():
        return torch.cat([function(batch) for batch in checked(images).split(size)])


def checked(images):
    """Return images as float32; raise ValueError unless they are float, (n, 1, 28, 28), and within [-1, 1]."""
    check_images(images)
    return images.detach().float()


def read_digits(judge, images):
    """The digit that the judge reads in each image. Returns int64 (n,)."""
    return in_batches(judge, images).argmax(dim=1)


def fit_classifier(images, labels, epochs, generator, lr=2e-3, batch=64):
    """Train a new Judge from nothing on `images` and `labels`, with augmentation; the same generator, the same judge.

    images: float32 (n, 1, 28, 28) in [-1, 1]. labels: int64 (n,). Returns the network in evaluation mode.
    """
    check_images(images)
    check_classes(labels, len(images))
    check_count(epochs, "epochs")
    check_count(batch, "batch")
    check_positive(lr=lr)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        network = Judge()
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.01)
    steps = epochs * -(-len(images) // batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=0.1)
    for _ in range(epochs):
        for index in torch.randperm(len(images), generator=generator).split(batch):
            scores = network(augmented(images[index], generator))
            F.cross_entropy(scores, labels[index], label_smoothing=0.1).backward()
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
    return network.eval().requires_grad_(False)
