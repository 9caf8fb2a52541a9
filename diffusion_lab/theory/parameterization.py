"""Four ways to say one thing: given x_t, each of ε, v, x_0 and the score determines the others.

Taught in: notebooks/05_denoiser.ipynb
"""

import torch

from diffusion_lab.theory.check import label_of, same_shape
from diffusion_lab.theory.schedule import at


def x_0_from_eps(x_t, eps, t, schedule):
    """x_0 = (x_t - √(1-ᾱ_t) ε) / √ᾱ_t   (Ho et al. 2020, eq. 15; their eq. 4, solved for x_0).

    x_t, eps: float, shape (n, …). t: int or int64 (n,), 0…T. Returns shape and dtype of x_t. ValueError as `at`.
    """
    same_shape(x_t=x_t, eps=eps)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t - (1 - alpha_bar_t).sqrt() * eps) / alpha_bar_t.sqrt()).to(x_t.dtype)


def x_0_from_v(x_t, v, t, schedule):
    """x_0 = √ᾱ_t x_t - √(1-ᾱ_t) v   (Salimans & Ho 2022, appendix D).

    x_t, v: float, shape (n, …). t: int or int64 (n,), 0…T. Returns shape and dtype of x_t. ValueError as `at`.
    """
    same_shape(x_t=x_t, v=v)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return (alpha_bar_t.sqrt() * x_t - (1 - alpha_bar_t).sqrt() * v).to(x_t.dtype)


def x_0_from_score(x_t, score, t, schedule):
    """Tweedie's formula:  x_0 = (x_t + (1-ᾱ_t) score) / √ᾱ_t   (Efron 2011, eq. 1.4, for x_t/√ᾱ_t).

    x_t, score: float, shape (n, …). t: int or int64 (n,), 0…T. Returns shape and dtype of x_t. ValueError as `at`.
    """
    same_shape(x_t=x_t, score=score)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t + (1 - alpha_bar_t) * score) / alpha_bar_t.sqrt()).to(x_t.dtype)


def eps_from_x_0(x_t, x_0, t, schedule):
    """ε = (x_t - √ᾱ_t x_0) / √(1-ᾱ_t)   (from Ho et al. 2020, eq. 4).

    x_t, x_0: float, shape (n, …). t: int or int64 (n,), 1…T. Returns shape and dtype of x_t. ValueError as `at`.
    """
    same_shape(x_t=x_t, x_0=x_0)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t, first=1)
    return ((x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def v_from_x_0(x_t, x_0, t, schedule):
    """v = √ᾱ_t ε - √(1-ᾱ_t) x_0 = (√ᾱ_t x_t - x_0) / √(1-ᾱ_t)   (Salimans & Ho 2022, section 4).

    x_t, x_0: float, shape (n, …). t: int or int64 (n,), 1…T. Returns shape and dtype of x_t. ValueError as `at`.
    """
    same_shape(x_t=x_t, x_0=x_0)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t, first=1)
    return ((alpha_bar_t.sqrt() * x_t - x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def score_from_x_0(x_t, x_0, t, schedule):
    """score = (√ᾱ_t x_0 - x_t) / (1-ᾱ_t) = -ε/√(1-ᾱ_t)   (Song et al. 2021, section 3.3).

    x_t, x_0: float, shape (n, …). t: int or int64 (n,), 1…T. Returns shape and dtype of x_t. ValueError as `at`.
    """
    same_shape(x_t=x_t, x_0=x_0)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t, first=1)
    return ((alpha_bar_t.sqrt() * x_0 - x_t) / (1 - alpha_bar_t)).to(x_t.dtype)


def as_denoiser(network, schedule, predicts="v"):
    """Turn a network into the common currency: x_0_hat = denoiser(x_t, t, label=None), with `.schedule`.

    network: called as network(x_t, t, label) with t int64 (n,) and label None, an int or int64 (n,); returns the shape
    of x_t.
    predicts: what the network returns: "eps", "v", "x_0" or "score". Raises ValueError for any other word.
    The denoiser takes t from 1 to T (at 0 there is nothing to denoise) and returns shape and dtype of x_t.
    """
    to_x_0 = {"eps": x_0_from_eps, "v": x_0_from_v, "score": x_0_from_score, "x_0": lambda x_t, x_0, t, schedule: x_0}
    if predicts not in to_x_0:
        raise ValueError(f"predicts must be one of {', '.join(map(repr, to_x_0))}, but got {predicts!r}.")

    def denoiser(x_t, t, label=None):
        at(schedule.alpha_bar, t, like=x_t, first=1)  # refuses a bad t or label before the network runs
        label_of(x_t, label)
        times = torch.as_tensor(t, device=x_t.device).expand(len(x_t))
        output = network(x_t, times, label)
        same_shape(x_t=x_t, output=output)
        return to_x_0[predicts](x_t, output, t, schedule).to(x_t.dtype)

    denoiser.schedule = schedule
    return denoiser
