"""Wrong answers to the exercises of notebook 01, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.gaussian_pdf import check_conditional, check_draw, check_kl_to_standard, check_sum

WRONG = {
    check_draw: [
        (lambda mean, var, eps: mean + var * eps, "multiplied by the variance"),
        (lambda mean, var, eps: var**0.5 * (mean + eps), "before you scaled"),
        (lambda mean, var, eps: var**0.5 * eps, "mean is missing"),
        (lambda mean, var, eps: mean + eps, "did not scale"),
        (lambda mean, var, eps: mean + eps / var**0.5, "divided by the deviation"),
        (lambda mean, var, eps: mean + var**0.5 * torch.rand_like(eps), "use the eps you are given"),
        (lambda mean, var, eps: mean + torch.randn(len(eps)) * var**0.5, "use the eps you are given"),
        (lambda mean, var, eps: mean - var**0.5 * eps, "equation (2)"),
        (lambda mean, var, eps: mean + torch.sqrt(var) * eps, "x ** 0.5"),
    ],
    check_sum: [
        (lambda a, m, v, b, n, w: (a * m + b * n, (abs(a) * v**0.5 + abs(b) * w**0.5) ** 2), "added deviations"),
        (lambda a, m, v, b, n, w: (a * m + b * n, a * v + b * w), "did not square"),
        (lambda a, m, v, b, n, w: (a * m + b * n, a**2 * v - b**2 * w), "subtracted a variance"),
        (lambda a, m, v, b, n, w: (a * m + b * n, (a**2 * v + b**2 * w) ** 0.5), "the deviation of the sum"),
        (lambda a, m, v, b, n, w: (a * m + b * n, v + w), "the factors a and b"),
        (lambda a, m, v, b, n, w: (a**2 * m + b**2 * n, a**2 * v + b**2 * w), "squared the factors in the mean"),
        (lambda a, m, v, b, n, w: (m + n, a**2 * v + b**2 * w), "the mean is off"),
        (lambda a, m, v, b, n, w: a * m + b * n, "return two things"),
        (lambda a, m, v, b, n, w: (a * m + b * n, (a * v**0.5 + b * w**0.5) ** 2), "added deviations"),
    ],
    check_kl_to_standard: [
        (lambda m, v: v + m**2 - 1 - torch.log(v), "factor ½"),
        (lambda m, v: 0.5 * (1 / v + m**2 / v - 1 + torch.log(v)), "wrong way round"),
        (lambda m, v: 0.5 * (v + m**2 - 1 + torch.log(v)), "sign of the logarithm"),
        (lambda m, v: 0.5 * (v + m**2 - torch.log(v)), "-1 is missing"),
        (lambda m, v: 0.5 * (v**0.5 + m**2 - 1 - torch.log(v**0.5)), "used the deviation"),
        (lambda m, v: 0.5 * (v + m.abs() - 1 - torch.log(v)), "enters squared"),
        (lambda m, v: 0.5 * (v + m - 1 - torch.log(v)), "enters squared"),
        (lambda m, v: 0.5 * (v + m**2 - 1 - torch.log(v) / 2), "halved the logarithm"),
        (lambda m, v: 0.5 * (v**2 + m**2 - 1 - torch.log(v**2)), "you squared var"),
        (lambda m, v: 0.5 * (v + m**2 - 1 - torch.log10(v)), "base 10"),
        (lambda m, v: (0.5 * (v + m**2 - 1 - torch.log(v))).sum(), "the shape should be"),
    ],
    check_conditional: [
        (lambda y, a, v, w: (y / a, 1 / (1 / v + a**2 / w)), "says alone"),
        (lambda y, a, v, w: (a * y / w / (1 / v + a / w), 1 / (1 / v + a / w)), "squared"),
        (lambda y, a, v, w: (a * y / w / (1 / v + a**2 / w), 1 / v + a**2 / w), "that is the precision"),
        (lambda y, a, v, w: (a * y * v / (v + w), v + w / a**2), "added the variances"),
        (lambda y, a, v, w: (y * v / (v + w), 1 / (1 / v + 1 / w)), "the factor a is missing"),
        (lambda y, a, v, w: (a * y / w**2 / (1 / v + a**2 / w**2), 1 / (1 / v + a**2 / w**2)), "a variance already"),
        (lambda y, a, v, w: (y / w / (1 / v + a**2 / w), 1 / (1 / v + a**2 / w)), "a y/w"),
        (lambda y, a, v, w: (a * y * v / (a**2 * v + w), (v * w / (a**2 * v + w)) ** 0.5), "that is the deviation"),
        (lambda y, a, v, w: (a * y * v / (a**2 * v + w), torch.full_like(y, v * w / (a**2 * v + w))), "one number"),
        (lambda y, a, v, w: (a * y, w), "variance of y given x"),
        (lambda y, a, v, w: (a * (v / (a**2 * v + w)) ** 0.5 * y, v * w / (a**2 * v + w)), "factor σ_1/σ_2 is missing"),
        (lambda y, a, v, w: (0.5 * y / a, v * w / (a**2 * v + w)), "the mean is off"),
    ],
}
