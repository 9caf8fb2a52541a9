"""The time as a vector: sines and cosines of many speeds, so that near times look alike and far ones do not.

Taught in: lessons/05_denoiser
"""

import torch

from diffusion_lab.guard import check_count, check_number, check_numbers


def time_embedding(t, dim, max_period=10_000):
    """Sinusoidal embedding:  [sin ω_i t, cos ω_i t],  ω_i = max_period^(-2i/dim),  i = 0, …, dim/2 - 1.

    (Vaswani et al. 2017, section 3.5, with all sines first; Ho et al. 2020, appendix B, use it for t.)
    Two embeddings have the inner product Σ_i cos ω_i (t-t'), which depends on the distance of the times alone.

    t: whole numbers or floats, shape (n,). dim: even, at least 2. Returns float64, shape (n, dim), entries in [-1, 1].
    Raises ValueError for other shapes or dims.
    """
    check_count(dim, "dim", multiple_of=2)
    check_number(max_period, "max_period", 1)
    check_numbers(t, "t")
    i = torch.arange(dim // 2, dtype=torch.float64, device=t.device)
    angle = t[:, None] * max_period ** (-2 * i / dim)
    return torch.cat([angle.sin(), angle.cos()], dim=1)
