"""Make docs/noise_to_digits.png, the picture at the top of README.md.

    python tools/make_picture.py

Four images of noise become digits, an 8, 4, 6 and 7, by ancestral sampling with the shipped weights.
"""

from pathlib import Path

import torch

from diffusion_lab.sampling.chain import spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.view.pictures import mosaic, png
from diffusion_lab.weights.pretrained import load_pretrained

TARGET = Path(__file__).parents[1] / "docs" / "noise_to_digits.png"
DIGITS, COLUMNS, STEPS = (8, 4, 6, 7), 11, 250


def main():
    denoiser = load_pretrained("mnist")
    generator = torch.Generator().manual_seed(1)
    x_T = torch.randn(len(DIGITS), 1, 28, 28, generator=generator)
    steps = ddpm(denoiser, x_T, spaced(1000, STEPS), label=torch.tensor(DIGITS), generator=generator)
    with torch.no_grad():
        states = [x_T, *(step.x_s for step in steps)]
    chosen = [states[round(STEPS * k / (COLUMNS - 1))] for k in range(COLUMNS)]
    grid = torch.stack(chosen, dim=1).reshape(-1, 1, 28, 28)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_bytes(png(mosaic(grid, columns=COLUMNS, scale=2, gap=2)))
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
