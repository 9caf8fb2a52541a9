"""Classifier-free guidance: go further in the direction in which the label pulls.

Taught in: notebooks/08_sampling.ipynb
"""

from diffusion_lab.theory.check import at_least_0


def guided(denoiser, guidance_weight):
    """A denoiser that overdoes the label:  (1 + w) x̂_0(x_t, label) - w x̂_0(x_t)   (Ho & Salimans 2022, eq. 6).

    Written there for ε; x̂_0 is an affine function of ε, and the weights add up to 1, so it says the same.
    guidance_weight: w, finite, at least 0; 0 is the plain conditional denoiser. Costs two evaluations where w > 0.
    Raises ValueError for another weight. Without a label the denoiser is left as it is: there is nothing to overdo.
    """
    at_least_0(guidance_weight, "guidance_weight must be a finite number of at least 0 (0 is no guidance)")

    def guided_denoiser(x_t, t, label=None):
        x_0_hat = denoiser(x_t, t, label)
        if label is None or guidance_weight == 0:
            return x_0_hat
        return x_0_hat + guidance_weight * (x_0_hat - denoiser(x_t, t))

    guided_denoiser.schedule = denoiser.schedule
    return guided_denoiser
