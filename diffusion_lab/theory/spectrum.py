"""Pictures as sums of waves: how much power each fineness of detail has.

Taught in: lessons/02_forward_markov_chain
"""

import torch

from diffusion_lab.guard import require


def wave_power(images):
    """Mean power of the waves in square pictures, by the number k of crests across the picture.

    P_k: mean of |F|² over all images and over all waves whose frequency, in crests across the picture, rounds to k;
    F is the orthonormal Fourier transform, so that white noise of variance 1 has P_k = 1 on average, for every k.
    images: float, shape (n, 1, H, H). Returns a tensor of the real dtype of images, shape (H//2 + 1,), for k = 0…H//2.
    Raises ValueError for other shapes or dtypes.
    """
    require(images.is_floating_point() and images.ndim == 4 and images.shape[1] == 1
            and images.shape[2] == images.shape[3] > 1 and len(images) > 0,
            f"images must be floats of shape (n, 1, H, H), n at least 1 and H at least 2, but got {images.dtype}, "
            f"{tuple(images.shape)}.")
    side = images.shape[-1]
    waves = torch.fft.fft2(images, norm="ortho")
    power = waves.abs().square().mean(dim=(0, 1))
    crests = torch.fft.fftfreq(side) * side
    k = torch.hypot(crests[:, None], crests[None, :]).round()
    rings = range(side // 2 + 1)
    return torch.stack([power[k == ring].mean() for ring in rings])
