"""Classifier-free guidance: go further in the direction in which the label pulls.

Taught in: lessons/08_sampling
"""

from diffusion_lab.guard import check_denoiser, check_number
from diffusion_lab.theory.denoiser import Denoiser


def guided(denoiser, guidance_weight):
    """A denoiser that overdoes the label:  (1 + w) x̂_0(x_t, label) - w x̂_0(x_t)   (Ho & Salimans 2022, eq. 6).

    Written there for ε; x̂_0 is an affine function of ε, and the weights add up to 1, so it says the same.
    guidance_weight: w, finite, at least 0; 0 is the plain conditional denoiser. Costs two evaluations where w > 0.
    Raises ValueError for another weight. Without a label the denoiser is left as it is: there is nothing to overdo.
    """
    check_denoiser(denoiser)
    check_number(guidance_weight, "guidance_weight", 0)

    def answer(x_t, t, label):
        x_0_hat = denoiser(x_t, t, label)
        if label is None or guidance_weight == 0:
            return x_0_hat
        return x_0_hat + guidance_weight * (x_0_hat - denoiser(x_t, t))

    return Denoiser(answer, denoiser.schedule)
