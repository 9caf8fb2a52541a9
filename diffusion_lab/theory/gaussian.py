"""The Gaussian density: its logarithm, products, and the distance between two of them.

Taught in: lessons/01_gaussian_pdf
"""

import torch

from diffusion_lab.guard import check_positive


def log_prob(x, mean, var):
    """Logarithm of the Gaussian density, in nats.

    log N(x; μ, σ²) = -½ [(x - μ)²/σ² + log(2π σ²)]   (Bishop 2006, eq. 1.46)

    x, mean: floats or tensors that broadcast; var: σ², positive, likewise.
    Returns a float64 tensor of the broadcast shape. Raises ValueError if var is not positive.
    """
    check_positive(var=var)
    x, mean, var = (torch.as_tensor(value, dtype=torch.float64) for value in (x, mean, var))
    return -0.5 * ((x - mean) ** 2 / var + torch.log(2 * torch.pi * var))


def product(mean_1, var_1, mean_2, var_2):
    """Mean and variance of the Gaussian that is proportional to N(x; μ_1, σ_1²) N(x; μ_2, σ_2²).

    1/σ² = 1/σ_1² + 1/σ_2²,   μ = σ² (μ_1/σ_1² + μ_2/σ_2²)   (Bishop 2006, eqs. 2.141 and 2.142 with N = 1)

    Floats or tensors that broadcast. Returns (mean, var), float64. Raises ValueError if a variance
    is not positive.
    """
    check_positive(var_1=var_1, var_2=var_2)
    mean_1, mean_2 = (torch.as_tensor(mean, dtype=torch.float64) for mean in (mean_1, mean_2))
    var_1, var_2 = (torch.as_tensor(var, dtype=torch.float64) for var in (var_1, var_2))
    var = 1 / (1 / var_1 + 1 / var_2)
    mean = var * (mean_1 / var_1 + mean_2 / var_2)
    return mean, var


def kl(mean_q, var_q, mean_p, var_p):
    """Kullback-Leibler divergence KL(q‖p) between two Gaussians, elementwise, in nats: q is the truth, p the model.

    KL = ½ [σ_q²/σ_p² + (μ_q - μ_p)²/σ_p² - 1 - log(σ_q²/σ_p²)]   (Kingma & Welling 2014, appendix B, for p = N(0, 1))

    Floats or tensors that broadcast; for independent coordinates, sum the result over them.
    Returns float64 of the broadcast shape. Raises ValueError if a variance is not positive.
    """
    check_positive(var_q=var_q, var_p=var_p)
    mean_q, mean_p = (torch.as_tensor(mean, dtype=torch.float64) for mean in (mean_q, mean_p))
    var_q, var_p = (torch.as_tensor(var, dtype=torch.float64) for var in (var_q, var_p))
    ratio = var_q / var_p
    return 0.5 * (ratio + (mean_q - mean_p) ** 2 / var_p - 1 - torch.log(ratio))
