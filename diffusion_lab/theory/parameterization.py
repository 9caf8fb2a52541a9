"""Four ways to say one thing: given x_t, each of ε, v, x_0 and the score determines the others.

All take float tensors of shape (n, …) and a time t, an int or int64 (n,), and return the shape and dtype of x_t. Times
go from 1 to T; the three that give x_0 take t = 0, too. They raise ValueError for times or shapes that do not fit.

Taught in: lessons/05_denoiser
"""

from diffusion_lab.guard import check_schedule, check_times, same_shape
from diffusion_lab.theory.schedule import at


def x_0_from_eps(x_t, eps, t, schedule):
    """x_0 = (x_t - √(1-ᾱ_t) ε) / √ᾱ_t   (Ho et al. 2020, eq. 15; their eq. 4, solved for x_0)."""
    check_schedule(schedule)
    same_shape(x_t=x_t, eps=eps)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t - (1 - alpha_bar_t).sqrt() * eps) / alpha_bar_t.sqrt()).to(x_t.dtype)


def x_0_from_v(x_t, v, t, schedule):
    """x_0 = √ᾱ_t x_t - √(1-ᾱ_t) v   (Salimans & Ho 2022, appendix D)."""
    check_schedule(schedule)
    same_shape(x_t=x_t, v=v)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return (alpha_bar_t.sqrt() * x_t - (1 - alpha_bar_t).sqrt() * v).to(x_t.dtype)


def x_0_from_score(x_t, score, t, schedule):
    """Tweedie's formula:  x_0 = (x_t + (1-ᾱ_t) score) / √ᾱ_t   (Efron 2011, eq. 1.4, for x_t/√ᾱ_t)."""
    check_schedule(schedule)
    same_shape(x_t=x_t, score=score)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t + (1 - alpha_bar_t) * score) / alpha_bar_t.sqrt()).to(x_t.dtype)


def eps_from_x_0(x_t, x_0, t, schedule):
    """ε = (x_t - √ᾱ_t x_0) / √(1-ᾱ_t)   (from Ho et al. 2020, eq. 4)."""
    check_schedule(schedule)
    same_shape(x_t=x_t, x_0=x_0)
    check_times(t, schedule.T, first=1)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((x_t - alpha_bar_t.sqrt() * x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def v_from_x_0(x_t, x_0, t, schedule):
    """v = √ᾱ_t ε - √(1-ᾱ_t) x_0 = (√ᾱ_t x_t - x_0) / √(1-ᾱ_t)   (Salimans & Ho 2022, section 4)."""
    check_schedule(schedule)
    same_shape(x_t=x_t, x_0=x_0)
    check_times(t, schedule.T, first=1)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((alpha_bar_t.sqrt() * x_t - x_0) / (1 - alpha_bar_t).sqrt()).to(x_t.dtype)


def score_from_x_0(x_t, x_0, t, schedule):
    """score = (√ᾱ_t x_0 - x_t) / (1-ᾱ_t) = -ε/√(1-ᾱ_t)   (Song et al. 2021, section 3.3)."""
    check_schedule(schedule)
    same_shape(x_t=x_t, x_0=x_0)
    check_times(t, schedule.T, first=1)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    return ((alpha_bar_t.sqrt() * x_0 - x_t) / (1 - alpha_bar_t)).to(x_t.dtype)
