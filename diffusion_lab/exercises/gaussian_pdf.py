"""The checks of the exercises of lessons/01_gaussian_pdf."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.theory.gaussian import kl, product

X = torch.tensor([-1.5, -0.2, 0.0, 0.7, 2.0], dtype=torch.float64)


def two_numbers(given):
    """The two numbers that an answer returned, as a tensor; raise Wrong if there are not two."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise Wrong("return two things, the mean and the variance: `return mean, var`.")
    return [torch.as_tensor(value, dtype=torch.float64) for value in given]


def one_number(value, name):
    """Return the tensor `value`; raise Wrong unless it is a single number, and not NaN."""
    if value.numel() != 1:
        raise Wrong(f"the {name} should be one number, but yours has shape {tuple(value.shape)}.")
    if torch.isnan(value).item():
        raise Wrong(f"the {name} is NaN (not a number): did something divide by 0, or take √ of a negative?")
    return value.reshape(())


@answers
def check_draw(attempt):
    mean, var = 3.0, 4.0
    given, expected = tensor_like(attempt(mean, var, X.clone()), X), 3.0 + 2.0 * X
    if not close(given, attempt(mean, var, X.clone())):
        raise Wrong("two calls with the same eps gave different draws: use the eps you are given, and draw no new one.")
    if close(given, mean + var * X):
        raise Wrong("you multiplied by the variance. Your draws have variance var², not var: take the root first.")
    if close(given, var**0.5 * (mean + X)):
        raise Wrong("you added the mean before you scaled, so the mean was scaled, too. Scale first, then add.")
    if close(given, var**0.5 * X):
        raise Wrong("the spread is right, but the mean is missing: your draws are around 0.")
    if close(given, mean + X):
        raise Wrong("the mean is right, but you did not scale eps: your draws have variance 1.")
    if close(given, mean + X / var**0.5):
        raise Wrong("you divided by the deviation. That is how to standardise a draw; to make one, multiply.")
    if not close(given, expected):
        raise Wrong("for mean 3, var 4 and eps = 2 the draw is 3 + 2 · 2 = 7, but yours is "
                    f"{given[-1].item():.3g}. See equation (2).")
    return "Your draws have the mean and the variance that were asked for."


@answers
def check_sum(attempt):
    a, mean_1, var_1, b, mean_2, var_2 = 2.0, 1.0, 9.0, -3.0, 0.5, 1.0
    expected_mean, expected_var = torch.tensor(2.0 - 1.5), torch.tensor(36.0 + 9.0)
    mean, var = two_numbers(attempt(a, mean_1, var_1, b, mean_2, var_2))
    mean, var = one_number(mean, "mean"), one_number(var, "variance")
    if close(mean, torch.tensor(a**2 * mean_1 + b**2 * mean_2)):
        raise Wrong("you squared the factors in the mean. Squares belong to the variance; the mean takes a and b.")
    if not close(mean, expected_mean):
        raise Wrong("the mean is off: the mean of a x + b y is a μ_1 + b μ_2.")
    added = [(a * var_1**0.5 + sign * b * var_2**0.5) ** 2 for sign in (1, -1)]  # b is negative
    if any(close(var, torch.tensor(value)) for value in added):
        raise Wrong("you added deviations. Variances add: independent numbers cancel each other now and then.")
    if close(var, torch.tensor(a * var_1 + b * var_2)):
        raise Wrong("you did not square the factors: a factor a multiplies the deviation by a, the variance by a².")
    if close(var, torch.tensor(a**2 * var_1 - b**2 * var_2)):
        raise Wrong("you subtracted a variance. With a negative factor, b² is positive still: uncertainty adds up.")
    if close(var, expected_var**0.5):
        raise Wrong("that is the deviation of the sum; the variance was asked for, so leave out the root.")
    if close(var, torch.tensor(var_1 + var_2)):
        raise Wrong("you added the variances of x and y, but the factors a and b change them.")
    if not close(var, expected_var):
        raise Wrong("the mean is right, the variance is off: use Var(a x) = a² Var(x), then equation (3).")
    return "Means add, variances add, and factors act on variances by their squares."


@answers
def check_kl_to_standard(attempt):
    mean, var = X, torch.tensor([0.1, 0.5, 1.0, 2.0, 5.0], dtype=torch.float64)
    given, expected = tensor_like(attempt(mean.clone(), var.clone()), X), kl(mean, var, 0.0, 1.0)
    if close(given, 2 * expected):
        raise Wrong("twice too large: the factor ½ in front of equation (9) is missing.")
    if close(given, kl(0.0, 1.0, mean, var)):
        raise Wrong("that is KL(N(0, 1) ‖ N(mean, var)): the two are the wrong way round. p is N(mean, var).")
    if close(given, expected + torch.log(var)):
        raise Wrong("the sign of the logarithm is wrong: it is subtracted.")
    if close(given, expected + 0.5):
        raise Wrong("½ too large: the -1 is missing, so that your KL of N(0, 1) from itself is not 0.")
    if close(given, 0.5 * (var**0.5 + mean**2 - 1 - torch.log(var) / 2)):
        raise Wrong("you used the deviation where equation (9) has the variance.")
    if close(given, kl(mean, var**2, 0.0, 1.0)):
        raise Wrong("you squared var. It is the variance already, the σ² of equation (9), and no deviation.")
    if close(given, expected + 0.5 * (torch.log(var) - torch.log10(var))):
        raise Wrong("you took the logarithm to base 10. Nats need the natural one: `torch.log`.")
    if any(close(given, 0.5 * (var + factor - 1 - torch.log(var))) for factor in (mean, mean.abs())):
        raise Wrong("the mean enters squared.")
    if close(given, expected + torch.log(var) / 4):
        raise Wrong("you halved the logarithm twice: the ½ in front belongs to all four terms, once.")
    if not close(given, expected):
        i = int((given - expected).abs().argmax())
        raise Wrong(f"for mean {mean[i].item():.2g} and var {var[i].item():.2g} the answer is "
                    f"{expected[i].item():.4g}, and yours is {given[i].item():.4g}. Go through (9) term by term.")
    return "0 for N(0, 1) itself, positive for all others."


@answers
def check_conditional(attempt):
    y, a, v, w = X, 0.6, 2.0, 0.5
    mean, var = two_numbers(attempt(y.clone(), a, v, w))
    expected, expected_var = product(0.0, v, y / a, w / a**2)  # equation (4)
    tensor_like(mean, y)
    var = one_number(var, "variance")
    if close(var, torch.tensor(w)):
        raise Wrong("w is the variance of y given x. Asked is x given y: what the measurement tells about x.")
    if close(mean, y / a):
        raise Wrong("y/a is what the measurement says alone. You also know that x is drawn from N(0, v): combine them.")
    if close(var, torch.tensor(1 / (1 / v + a / w))):
        raise Wrong("the factor a enters the precision of the measurement squared: the variance of y/a is w/a².")
    if close(var, 1 / expected_var):
        raise Wrong("that is the precision. The variance is one over it.")
    if close(var, expected_var**0.5):
        raise Wrong("that is the deviation of x given y; the variance was asked for, so leave out the root.")
    if close(var, torch.tensor(v + w / a**2)):
        raise Wrong("you added the variances, as for a sum. Two sources about one x multiply: add the precisions.")
    if close(var, torch.tensor(1 / (1 / v + 1 / w))):
        raise Wrong("the factor a is missing: y is a measurement of a x, so y/a, with variance w/a², is one of x.")
    if close(var, torch.tensor(1 / (1 / v + a**2 / w**2))) or close(var, torch.tensor(1 / (1 / v + a**2 / w**0.5))):
        raise Wrong("w is a variance already: neither square it nor take its root.")
    if not close(var, expected_var):
        raise Wrong(f"the variance is off: for a = 0.6, v = 2, w = 0.5 it is {expected_var:.4f}, yours is {var:.4f}.")
    if close(mean, expected_var * y / w):
        raise Wrong("the variance is right; in the mean, y/a counts with precision a²/w: that makes a y/w.")
    if close(mean, a * v**0.5 / (a**2 * v + w) ** 0.5 * y):
        raise Wrong("the variance is right; in the mean, by (7), the factor σ_1/σ_2 is missing: √v over √(a²v + w).")
    if not close(mean, expected):
        raise Wrong("the variance is right, the mean is off. By (4) it is the average of 0 and y/a, each weighted by "
                    "its precision; by (7) it is ρ σ_1/σ_2 times y.")
    return "You derived the exact denoiser of a Gaussian pixel: shrink y, by how much depends on the noise."
