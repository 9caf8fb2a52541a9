"""Make the pictures that show the course where it is linked, by the shipped network, in ten steps.

    python tools/make_picture.py

docs/drawn.png            ten digits come out of noise: it moves, at the top of README.md
docs/noise_to_digits.png  four of them, step by step, for readers who want nothing to move
tools/web/share.png       the same in the card that a link to the site shows elsewhere
tools/web/favicon.png     half noise, half digit
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from diffusion_lab.commands.sample import GUIDED_FROM
from diffusion_lab.sampling.chain import spaced_in_log_snr
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.view.pictures import mosaic, png
from diffusion_lab.view.still import FONTS
from diffusion_lab.weights.pretrained import load_pretrained

ROOT = Path(__file__).parents[1]
STEPS, GUIDANCE = 10, 0.4  # as the commands draw
SEED = 2  # of the first eight, the one whose ten digits are all plain
ROWS = (8, 4, 6, 7)
FIRST, EACH, LAST = 900, 220, 2600  # milliseconds that a state is shown
CARD, PAPER, WHITE, GREY = (1200, 630), (22, 24, 27), (240, 242, 244), (169, 177, 185)


def states():
    """The states on the way of the digits 0 to 9: list of eleven tensors (10, 1, 28, 28), noise first."""
    denoiser = load_pretrained("mnist")
    x_T = torch.randn(10, 1, 28, 28, generator=torch.Generator().manual_seed(SEED))
    times = spaced_in_log_snr(denoiser.schedule, STEPS)
    with torch.no_grad():
        steps = dpm_solver(guided(denoiser, GUIDANCE, GUIDED_FROM), x_T, times, label=torch.arange(10))
        return [x_T, *(step.x_s for step in steps)]


def grey(images):
    """Images in [-1, 1] as an array of bytes (n, 28, 28)."""
    return np.clip((images[:, 0].numpy() + 1) * 127.5, 0, 255).round().astype(np.uint8)


def row(images, scale=3, gap=6):
    """Images side by side; between them one sees the page, light or dark. A PIL image, grey with transparency."""
    tiles = grey(images).repeat(scale, axis=1).repeat(scale, axis=2)
    n, height, width = tiles.shape
    whole = np.zeros((height, n * (width + gap) - gap, 2), dtype=np.uint8)
    for i, tile in enumerate(tiles):
        whole[:, i * (width + gap) : i * (width + gap) + width] = np.stack([tile, np.full_like(tile, 255)], axis=-1)
    return Image.fromarray(whole, "LA")


def moving(way):
    """The bytes of a PNG that moves."""
    frames, file = [row(images) for images in way], BytesIO()
    shown = [FIRST, *[EACH] * (len(frames) - 2), LAST]
    frames[0].save(file, format="PNG", save_all=True, append_images=frames[1:], duration=shown, loop=0, optimize=True)
    return file.getvalue()


def card(way):
    """The picture of a link: the name, what it is, and two digits on their way."""
    whole = Image.new("RGB", CARD, PAPER)
    draw = ImageDraw.Draw(whole)
    name, words = (ImageFont.truetype(FONTS / f"{font}.ttf", size)
                   for font, size in (("DejaVuSans-Bold", 76), ("DejaVuSans", 31)))
    draw.text((72, 62), "Diffusion Lab", font=name, fill=WHITE)
    draw.text((72, 172), "Watch noise become a digit, and build what does it:", font=words, fill=GREY)
    draw.text((72, 216), "a course in notebooks, for a laptop.", font=words, fill=GREY)
    for place, digit in enumerate(ROWS[:3]):
        for column, images in enumerate(way):
            tile = Image.fromarray(grey(images)[digit]).resize((84, 84), Image.Resampling.NEAREST)
            whole.paste(tile, (72 + column * 97, 300 + place * 97))
    return png(np.asarray(whole), colours=256)


def icon(way):
    """The noise that an 8 begins with, on the left, and the right half of that 8."""
    half = np.where(np.arange(28) < 13, grey(way[0][8:9])[0], grey(way[-1][8:9])[0]).astype(np.uint8)
    return png(half.repeat(2, axis=0).repeat(2, axis=1))


def main():
    way = states()
    grid = torch.stack([images[list(ROWS)] for images in way], dim=1).reshape(-1, 1, 28, 28)
    made = {"docs/drawn.png": moving(way), "docs/noise_to_digits.png": png(mosaic(grid, columns=len(way), scale=2)),
            "tools/web/share.png": card(way), "tools/web/favicon.png": icon(way)}
    for name, picture in made.items():
        (ROOT / name).write_bytes(picture)
        print(f"{name}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
