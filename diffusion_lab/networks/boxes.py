"""A small network that finds digits: a canvas is looked at once, and then cut open wherever a box may be."""

import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.guard import check_count, require
from diffusion_lab.networks.embedding import time_embedding

SIDE = 56
CELLS = 7  # a crop has 7×7 places, however large its window is


def crops(features, window):
    """What a map of features shows in each window, by bilinear interpolation, which is what RoIAlign does, too.

    features: float (n, c, h, w), over a canvas of 56×56 pixels. window: (n, m, 4), corners (x_0, y_0, x_1, y_1) in
    pixels; outside of the canvas is 0. Returns (n, m, c, 7, 7)   (He et al. 2017, "Mask R-CNN", section 3).
    """
    require(features.ndim == 4 and window.ndim == 3 and window.shape[::2] == (len(features), 4),
            f"features (n, c, h, w) and windows (n, m, 4) are due, but got {tuple(features.shape)} and "
            f"{tuple(window.shape)}.")
    n, m, _ = window.shape
    window = window * 2 / SIDE - 1  # grid_sample counts from -1 at the left edge to 1 at the right one
    share = (torch.arange(CELLS).to(window) + 0.5) / CELLS
    x = torch.lerp(window[..., None, 0], window[..., None, 2], share)
    y = torch.lerp(window[..., None, 1], window[..., None, 3], share)
    grid = torch.stack([x[:, :, None].expand(-1, -1, CELLS, -1), y[..., None].expand(-1, -1, -1, CELLS)], dim=-1)
    found = F.grid_sample(features, grid.reshape(n, m * CELLS, CELLS, 2), align_corners=False)
    return found.reshape(n, -1, m, CELLS, CELLS).transpose(1, 2)


class BoxNetwork(nn.Module):
    """(x_t, t, crops of a canvas) → for each box four numbers, where to go, and a score, the logit of being right.

    width: channels of the map of features; hidden: width of the layers that each box goes through by itself. What the
    four numbers mean, and where the windows lie, is for `diffusion_lab.vision.detection` to say.
    """

    def __init__(self, width=16, hidden=112):
        check_count(width, "width", 8)
        check_count(hidden, "hidden")
        super().__init__()
        self.first = nn.Conv2d(1, width, 5, stride=2, padding=2)
        self.coarse = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.blocks = nn.ModuleList([nn.Conv2d(2 * width, 2 * width, 3, padding=1) for _ in range(3)])
        self.of_fine = nn.Conv2d(width, width, 1)
        self.of_coarse = nn.Conv2d(2 * width, width, 1, bias=False)
        self.of_crop = nn.Linear(width * CELLS**2, hidden)
        self.of_box = nn.Linear(4 + 32, hidden)
        self.layers = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2)])
        self.last = nn.Linear(hidden, 5)
        self.arguments = {"width": width, "hidden": hidden}

    def ends(self):
        """The modules between the data and the inside, which are trained by AdamW."""
        return [self.first, self.of_box, self.last]

    def look(self, canvas):
        """The map of features of a canvas, once for all boxes and times.

        canvas: float (n, 1, 56, 56), of the dtype of the weights. Returns (n, width, 28, 28).
        """
        require(torch.is_tensor(canvas) and canvas.shape[1:] == (1, SIDE, SIDE) and len(canvas) > 0
                and canvas.dtype == self.first.weight.dtype,
                f"canvases must have shape (n, 1, {SIDE}, {SIDE}) and the dtype of the weights, "
                f"{self.first.weight.dtype}, but got {getattr(canvas, 'dtype', type(canvas).__name__)}, "
                f"{tuple(getattr(canvas, 'shape', ()))}.")
        fine = F.silu(self.first(canvas))
        x = self.coarse(fine)
        for block in self.blocks:
            x = x + block(F.silu(x))
        coarse = F.interpolate(self.of_coarse(F.silu(x)), scale_factor=2, mode="bilinear", align_corners=False)
        return F.silu(self.of_fine(fine) + coarse)

    def forward(self, x_t, t, features, window):
        """x_t: float (n, m, 4). t: int64 (n,). features: from `look`. window: (n, m, 4), pixels. Returns (n, m, 5)."""
        time = time_embedding(t, 32).to(x_t.dtype)[:, None].expand(-1, x_t.shape[1], -1)
        x = self.of_crop(crops(features, window).flatten(2)) + self.of_box(torch.cat([x_t, time], dim=2))
        for layer in self.layers:
            x = x + layer(F.silu(x))
        return self.last(F.silu(x))
