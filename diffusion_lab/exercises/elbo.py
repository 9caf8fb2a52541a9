"""The checks of the exercises of lessons/04_elbo."""

import math

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.theory.elbo import discretised_log_prob
from diffusion_lab.theory.gaussian import kl


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@answers
def check_to_bits(attempt):
    nats, d = tensor(784 * math.log(256), 1000.0), 784
    given, expected = tensor_like(attempt(nats, d), nats), nats / (d * math.log(2))
    if close(given, nats / math.log(2)):
        raise Wrong("these are the bits of the whole image: divide by the number of its pixels, too.")
    if close(given, nats / d):
        raise Wrong("these are nats per dimension: a bit is log 2 = 0.693 nats, so divide by log 2.")
    if close(given, nats * math.log(2) / d):
        raise Wrong("you multiplied by log 2. A bit is less than a nat, so the number in bits must be the larger one.")
    if close(given, -expected):
        raise Wrong("the sign is turned: a bound on -log p in nats stays positive in bits.")
    if not close(given, expected):
        raise Wrong(f"256 equally likely values are 8 bits for each pixel, but yours gives {given[0].item():.4g}.")
    return "Uniform pixels cost 8 bits each, as they should."


@answers
def check_step_term(attempt):
    q_mean, q_var = tensor(0.3, -0.5, 0.0), tensor(0.02, 0.3, 0.1)
    p_mean, p_var = tensor(0.1, -0.2, 0.0), tensor(0.05, 0.1, 0.1)
    given, expected = tensor_like(attempt(q_mean, q_var, p_mean, p_var), q_mean), kl(q_mean, q_var, p_mean, p_var)
    if close(given, torch.zeros_like(expected)):
        raise Wrong("0 for Gaussians that differ: you compared one of them with itself. A chain whose p is made from "
                    "q's own draw gives terms of about 0, too, whatever the model does.")
    if close(given, kl(p_mean, p_var, q_mean, q_var)):
        raise Wrong("that is KL(p ‖ q). The bound averages over q, what the data does, so q comes first.")
    if close(given, 0.5 * (q_mean - p_mean) ** 2 / p_var):
        raise Wrong("you compared the means only. With different variances the rest of the KL is not 0.")
    if close(given, 2 * expected):
        raise Wrong("twice too large: the factor ½ is missing.")
    if close(given, expected + 0.5):
        raise Wrong("the -1 is missing, so that two equal Gaussians are ½ apart.")
    if close(given, expected + torch.log(q_var / p_var)):
        raise Wrong("the logarithm has the wrong sign: log(q_var/p_var) is subtracted.")
    if close(given, 0.5 * (q_var / p_var + (q_mean - p_mean) ** 2 / q_var - 1 - torch.log(q_var / p_var))):
        raise Wrong("the squared distance is divided by p_var: p is the one that is surprised.")
    squares = [0.5 * (ratio + ((q_mean - p_mean) / p_var) ** 2 - 1 - torch.log(ratio))
               for ratio in (q_var / p_var, (q_var / p_var) ** 2)]
    if any(close(given, wrong) for wrong in squares):
        raise Wrong("you squared a variance. q_var and p_var are variances already, not deviations.")
    if not close(given, expected):
        i = int((given - expected).abs().argmax())
        raise Wrong(f"for variances {q_var[i]:.2g} (q) and {p_var[i]:.2g} (p) and a distance of "
                    f"{(q_mean - p_mean)[i].abs():.2g} the answer is {expected[i]:.4f}; yours is {given[i]:.4f}.")
    return "0 where the two are equal, positive elsewhere."


@answers
def check_eps_weight(attempt):
    beta, alpha_bar, p_var = tensor(0.01, 0.2), tensor(0.9, 0.3), tensor(0.008, 0.15)
    given, expected = tensor_like(attempt(beta, alpha_bar, p_var), beta), beta**2 / (
        2 * p_var * (1 - beta) * (1 - alpha_bar))
    if close(given, 2 * expected):
        raise Wrong("twice too large: the 2 of the Gaussian's exponent is missing below.")
    if close(given, expected / beta):
        raise Wrong("β_t enters squared: the distance of the means is squared.")
    if close(given, expected * (1 - beta)):
        raise Wrong("α_t = 1-β_t is missing below.")
    if close(given, expected * (1 - alpha_bar)):
        raise Wrong("1-ᾱ_t is missing below.")
    if close(given, expected * (1 - alpha_bar) / alpha_bar):
        raise Wrong("you divided by ᾱ_t; it is 1-ᾱ_t, the variance of the noise in x_t.")
    if close(given, expected * (1 - beta) / alpha_bar):
        raise Wrong("α_t below has no bar: it is 1-β_t, the factor of one step, and not ᾱ_t, that of t steps.")
    if close(given, expected / p_var):
        raise Wrong("you squared p_var, which is a variance already: it is the σ_t² of equation (7).")
    if close(given, expected * (1 - alpha_bar).sqrt()):
        raise Wrong("no roots: the factor of ε in the mean has √(1-ᾱ_t), and it is squared.")
    if not close(given, expected):
        raise Wrong("compare with equation (7): β² above; 2, the model's variance, 1-β and 1-ᾱ below.")
    return "This is the weight that L_simple replaces by 1."


def areas(x, mean, std):
    """Areas of a Gaussian over 1/255 to each side of x, without open ends."""
    edges = ((x + side - mean).double() / std for side in (-1 / 255, 1 / 255))
    below, above = (torch.special.ndtr(edge) for edge in edges)
    return above - below


@answers
def check_pixel_prob(attempt):
    k, mean, std = torch.arange(256), 0.41, 0.3
    expected = discretised_log_prob(k.double() / 127.5 - 1, torch.tensor(mean), std**2).exp()
    given = tensor_like(attempt(k, mean, std), expected)
    inner = slice(1, 255)
    total = given.sum().item()
    density = (-0.5 * ((k / 127.5 - 1 - mean) / std) ** 2).exp() / (std * math.sqrt(2 * math.pi))
    if close(given, density):
        raise Wrong("that is the density at the pixel. A probability is an area: a difference of Φ at the bin's edges.")
    narrow = (-0.5 * ((k / 127.5 - 1) / 0.02) ** 2).exp() / (0.02 * math.sqrt(2 * math.pi)) * 2 / 255
    if close(tensor_like(attempt(k, 0.0, 0.02), expected), narrow, 1e-5):
        raise Wrong("density times width is no bin's area if the Gaussian is narrow: take Φ at the edges.")
    if close(given[inner], expected[inner]) and not close(given, expected):
        raise Wrong(f"all is right but the ends: your 256 probabilities add up to {total:.4f}. The bins of 0 and 255 "
                    "are open to the outside.")
    if close(given[inner], areas(k / 128 - 1, mean, std)[inner]):
        raise Wrong("pixel k is not at k/128 - 1 but at k/127.5 - 1, so that 255 lies at 1. Your probabilities "
                    f"add up to {total:.4f}.")
    if abs(total - 2) < 0.05:
        raise Wrong("your probabilities add up to about 2: the bins overlap. A bin reaches 1/255 to each side.")
    if abs(total - 0.5) < 0.05:
        raise Wrong("your probabilities add up to about ½: the bins leave gaps. A bin reaches 1/255 to each side.")
    if bool((given < 0).any()):
        raise Wrong("a probability is negative: take Φ at the upper edge minus Φ at the lower one.")
    if not close(given, expected):
        likeliest, right = (1 + int(p[inner].argmax()) for p in (given, expected))
        raise Wrong(f"your 256 probabilities add up to {total:.4f} (right: 1.0000), and the likeliest pixel of 1…254 "
                    f"is {likeliest} (right: {right}). Are the pixels scaled to [-1, 1], and std no variance?")
    return "256 probabilities that add up to 1."
