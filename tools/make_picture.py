"""Make docs/noise_to_digits.png, the picture at the top of README.md.

    python tools/make_picture.py

Four images of noise become digits by ancestral sampling. No network takes part: the denoiser is the exact one of the
4,000 training digits (each a point of a Gaussian mixture), so what appears is digits of that set.
"""

from pathlib import Path

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.sampling.chain import spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.view.pictures import mosaic, png

TARGET = Path(__file__).parents[1] / "docs" / "noise_to_digits.png"
ROWS, COLUMNS, STEPS = 4, 11, 200


def main():
    images, _ = load_digits("train")
    points = images.flatten(1)
    n = len(points)
    denoiser = GaussianMixture(torch.full((n,), 1 / n).double(), points, torch.zeros(n)).denoiser(cosine())
    generator = torch.Generator().manual_seed(4)
    x_T = torch.randn(ROWS, 1, 28, 28, generator=generator)
    states = [x_T, *(step.x_s for step in ddpm(denoiser, x_T, spaced(1000, STEPS), generator=generator))]
    chosen = [states[round(STEPS * k / (COLUMNS - 1))] for k in range(COLUMNS)]
    grid = torch.stack(chosen, dim=1).reshape(-1, 1, 28, 28)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(png(mosaic(grid, columns=COLUMNS, scale=2, gap=2)))
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
