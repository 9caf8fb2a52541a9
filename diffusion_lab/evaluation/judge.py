"""The judge: a small network that reads digits. What it sees is what the distances are measured on.

Its weights, `judge.safetensors`, are made by `tools/train_judge.py` from the training digits alone; `judge.sha256`
beside them says by which sum they are known.
"""

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load
from safetensors.torch import save as to_bytes
from torch import nn

from diffusion_lab.data.augment import augmented
from diffusion_lab.guard import check_classes, check_count, check_images, check_positive, require

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


def save_judge(judge, file=FILE):
    """Write the judge's weights, and beside them their sum."""
    content = to_bytes(judge.state_dict())
    file.write_bytes(content)
    file.with_suffix(".sha256").write_text(line_of(file, content), encoding="utf-8")


def line_of(file, content):
    """What the file of the sum says, as `sha256sum` writes it."""
    return f"{hashlib.sha256(content).hexdigest()}  {file.name}\n"


def load_judge(file=FILE, build=Judge):
    """The judge with its shipped weights, ready to judge (in evaluation mode, no gradients). build: its class.

    Raises ValueError if the weights are not those of the sum beside them: a damaged judge would still judge.
    """
    content = file.read_bytes()
    require(line_of(file, content) == file.with_suffix(".sha256").read_text(encoding="utf-8", errors="replace"),
            f"{file} is damaged: its SHA-256 sum is not the one in {file.with_suffix('.sha256').name}. Take both files "
            "from the course again.")
    with torch.random.fork_rng(devices=[]):  # the first weights are random, and replaced at once
        judge = build().eval().requires_grad_(False)
    judge.load_state_dict(load(content))
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


def fit_classifier(images, labels, epochs, generator, lr=2e-3, batch=64, build=Judge, change=None):
    """Train a new Judge from nothing on `images` and `labels`, with augmentation; the same generator, the same judge.

    images: float32 (n, 1, 28, 28) in [-1, 1]. labels: int64 (n,). build: makes the network. change: the augmentation,
    called as change(images, generator); None is `augmented`. Returns the network in evaluation mode.
    """
    check_images(images)
    check_classes(labels, len(images))
    check_count(epochs, "epochs")
    check_count(batch, "batch")
    check_positive(lr=lr)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        network = build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=0.01)
    steps = epochs * -(-len(images) // batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps, pct_start=0.1)
    for _ in range(epochs):
        for index in torch.randperm(len(images), generator=generator).split(batch):
            scores = network((change or augmented)(images[index], generator))
            F.cross_entropy(scores, labels[index], label_smoothing=0.1).backward()
            optimizer.step()
            rate.step()
            optimizer.zero_grad()
    return network.eval().requires_grad_(False)
