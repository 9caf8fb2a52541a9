"""Printed digits, in the fonts that come with matplotlib: a second domain beside handwriting, in MNIST's format.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

from diffusion_lab.guard import require

FONTS = {
    "train": [
        "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono",
        "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique", "DejaVuSerif", "DejaVuSerif-Italic",
        "DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralBolIta", "cmb10", "cmr10", "cmti10",
        "cmtt10",
    ],
    "test": ["DejaVuSansMono-Bold", "DejaVuSerif-Bold", "STIXGeneralItalic", "cmss10"],  # no training digit has these
}
N = {"train": 4000, "test": 1000}
SCALE = 4  # drawn at four times the size, then averaged
SIDE = 28 * SCALE


def load_printed(split):
    """Printed digits: images float32 (n, 1, 28, 28) in [-1, 1], labels int64 (n,); "train" 4,000, "test" 1,000.

    Digits and fonts in turn, equally many of each digit. As in MNIST, a digit is 20 pixels long at the longer side, and
    its centre of mass lies in the middle; then it is turned, slanted, resized and shifted a little, by amounts drawn
    for it alone, always the same ones. The two splits share no font. Raises ValueError for another split.
    """
    require(split in FONTS, f'split must be "train" or "test", but got {split!r}.')
    n = N[split]
    glyphs = torch.stack([glyph(font, digit) for font in FONTS[split] for digit in range(10)])
    labels = torch.arange(n) % 10
    fonts = torch.arange(n) // 10 % len(FONTS[split])
    amounts = 2 * torch.rand(5, n, generator=torch.Generator().manual_seed(list(FONTS).index(split))) - 1
    turn, lean, size, right, down = amounts * torch.tensor([0.1, 0.1, 0.12, 1 / 14, 1 / 14])[:, None]
    size = 1 / (1 + size)
    cos, sin = size * turn.cos(), size * turn.sin()
    rows = torch.stack([cos, size * lean - sin, right, sin, cos, down])
    images = []
    for which, row in zip((10 * fonts + labels).split(500), rows.T.reshape(-1, 2, 3).split(500)):
        grid = F.affine_grid(row, (len(row), 1, SIDE, SIDE), align_corners=False)
        images.append(F.avg_pool2d(F.grid_sample(glyphs[which], grid, align_corners=False), SCALE))
    return 2 * torch.cat(images).clamp(0, 1) - 1, labels


def glyph(font, digit):
    """A digit of a font of matplotlib, its centre of mass in the middle: float32 (1, 112, 112), 1 for white."""
    [folder] = find_spec("matplotlib").submodule_search_locations  # where it is, without importing it
    face = ImageFont.truetype(str(Path(folder, "mpl-data", "fonts", "ttf", f"{font}.ttf")), 3 * SIDE)
    left, top, right, bottom = face.getbbox(str(digit))
    drawn = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(drawn).text((-left, -top), str(digit), fill=255, font=face)
    share = 20 * SCALE / max(drawn.size)
    small = drawn.resize([max(1, round(share * side)) for side in drawn.size], Image.Resampling.BOX)
    ink = torch.from_numpy(np.array(small, dtype=np.float32) / 255)
    height, width = ink.shape
    y = round(SIDE / 2 - (ink.sum(dim=1) @ (torch.arange(height) + 0.5) / ink.sum()).item())
    x = round(SIDE / 2 - (ink.sum(dim=0) @ (torch.arange(width) + 0.5) / ink.sum()).item())
    return F.pad(ink, (x, SIDE - width - x, y, SIDE - height - y))[None]
