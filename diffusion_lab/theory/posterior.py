"""One step back when the data is known: q(x_s given x_t, x_0), for any s < t.

A step from t to s uses α = ᾱ_t/ᾱ_s and β = 1-α; for s = t-1 these are α_t and β_t.

Taught in: lessons/03_reverse_posterior
"""

from diffusion_lab.guard import check_choice, check_number, check_schedule, check_step, same_shape
from diffusion_lab.theory.schedule import at


def posterior_mean(x_0, x_t, t, schedule, s=None):
    """Mean of q(x_s given x_t, x_0):

    μ̃ = √ᾱ_s β/(1-ᾱ_t) x_0 + √α (1-ᾱ_s)/(1-ᾱ_t) x_t   (Ho et al. 2020, eq. 7, for any s < t)

    x_0, x_t: float, shape (n, …). t, s: int or int64 (n,), 0 <= s < t <= T; s defaults to t-1.
    Returns shape and dtype of x_t. Raises ValueError for times out of order or range, or shapes that differ.
    """
    check_schedule(schedule)
    same_shape(x_0=x_0, x_t=x_t)
    check_step(t, s, schedule.T)
    alpha_bar_t = at(schedule.alpha_bar, t, like=x_t)
    alpha_bar_s = at(schedule.alpha_bar, t - 1 if s is None else s, like=x_t)
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1 - alpha
    mu_tilde_t = (alpha_bar_s.sqrt() * beta * x_0 + alpha.sqrt() * (1 - alpha_bar_s) * x_t) / (1 - alpha_bar_t)
    return mu_tilde_t.to(x_t.dtype)


def posterior_var(t, schedule, s=None):
    """Variance of q(x_s given x_t, x_0):  β̃ = (1-ᾱ_s)/(1-ᾱ_t) β   (Ho et al. 2020, eq. 7, for any s < t).

    t, s: int or int64 (n,), 0 <= s < t <= T; s defaults to t-1.
    Returns float64, shape () for an int t or (n,); 0 where s = 0. Raises ValueError for times out of order or range.
    """
    check_schedule(schedule)
    check_step(t, s, schedule.T)
    alpha_bar_t = at(schedule.alpha_bar, t)
    alpha_bar_s = at(schedule.alpha_bar, t - 1 if s is None else s)
    beta = 1 - alpha_bar_t / alpha_bar_s
    return (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta


def weight_of(variance):
    """The weight w of β between β̃ and β: 0 for "small", 1 for "large", a number from 0 to 1 as it is."""
    if isinstance(variance, str):
        check_choice(variance, "variance", ("small", "large"))
        return float(variance == "large")
    check_number(variance, 'variance, if neither "small" nor "large",', 0, 1)
    return float(variance)


def reverse_var(t, schedule, variance="small", s=None):
    """Variance of the reverse step p(x_s given x_t): "small" β̃, "large" β, or between the two.

    log var = w log β + (1-w) log β̃   (Nichol & Dhariwal 2021, eq. 15), with w = 0 for "small" and 1 for "large"

    t, s: as in `posterior_var`. variance: "small", "large", or a number w in [0, 1].
    Returns float64, shape () or (n,). Where s = 0, β̃ is 0, so every w < 1 gives 0. Raises ValueError for other values.
    """
    w = weight_of(variance)
    beta_tilde = posterior_var(t, schedule, s)
    beta = 1 - at(schedule.alpha_bar, t) / at(schedule.alpha_bar, t - 1 if s is None else s)
    return beta**w * beta_tilde ** (1 - w)
