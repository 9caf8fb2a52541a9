"""A small network that reads noisy digits: what classifier guidance follows the gradient of.

Taught in: lessons/10_guidance
"""

from torch import nn

from diffusion_lab.guard import check_count, check_input
from diffusion_lab.networks.embedding import time_embedding


class NoisyClassifier(nn.Module):
    """Three convolutions and two linear layers:  (x_t, t) → 10 scores, one for each digit.

    It is told the time, since what can be read depends on how much noise there is. width: channels at 14×14; it has
    twice as many at 7×7.
    """

    def __init__(self, width=16):
        check_count(width, "width")
        super().__init__()
        self.to_time = nn.Linear(32, width)
        self.first = nn.Conv2d(1, width, 5, stride=2, padding=2)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(), nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.SiLU(), nn.Flatten(), nn.Linear(2 * width * 7 * 7, 64), nn.SiLU(),
        )
        self.to_scores = nn.Linear(64, 10)

    def ends(self):
        """The modules between the data and the inside, which are trained by AdamW."""
        return [self.first, self.to_time, self.to_scores]

    def forward(self, x_t, t):
        """x_t: float (n, 1, 28, 28), of the dtype of the weights. t: int64 (n,). Returns scores (logits) (n, 10)."""
        check_input(x_t, t, self.first.weight, (1, 28, 28))
        time = self.to_time(time_embedding(t, 32).to(x_t.dtype))
        return self.to_scores(self.rest(self.first(x_t) + time[:, :, None, None]))
