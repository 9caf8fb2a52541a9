"""How much noise at which time: the tables β_t, α_t, ᾱ_t and the signal-to-noise ratio.

Times are the paper's: t = 1…T, and t = 0 is the data. Tables have length T+1.

Taught in: lessons/02_forward_markov_chain
"""

import torch

from diffusion_lab.guard import check_count, check_tables, check_times, require


class Schedule:
    """The tables of one forward chain, float64, shape (T+1,), index t = 0…T.

    α_t = 1 - β_t,   ᾱ_t = α_1 α_2 … α_t   (Ho et al. 2020, below eq. 3),
    SNR_t = ᾱ_t / (1 - ᾱ_t)   (Kingma et al. 2021, eq. 2)

    beta: shape (T+1,) with beta[0] = 0 and the rest in (0, 1), such that noise grows at each step as far as float64 can
    tell, and ᾱ_T is at least 1e-60; ValueError otherwise.
    Then alpha_bar[0] = 1 and snr[0] = inf: at time 0 there is only signal.
    """

    def __init__(self, beta):
        beta = torch.as_tensor(beta, dtype=torch.float64)
        require(beta.ndim == 1 and len(beta) >= 2,
                f"beta must have shape (T+1,) with T of at least 1, but got shape {tuple(beta.shape)}.")
        require(beta[0] == 0, f"beta[0] must be 0 (time 0 is the data, no noise yet), but got {beta[0].item()}.")
        require(((beta[1:] > 0) & (beta[1:] < 1)).all(),
                f"beta[1], …, beta[T] must lie between 0 and 1, but they run from {beta[1:].min().item()} "
                f"to {beta[1:].max().item()}.")
        self.T = len(beta) - 1
        self.beta = beta.clone()
        self.alpha = 1 - self.beta
        self.alpha_bar = torch.cumprod(self.alpha, dim=0)
        self.snr = self.alpha_bar / (1 - self.alpha_bar)
        self.log_snr = torch.log(self.snr)
        check_tables(self.log_snr)


def linear(T=1000):
    """Schedule whose β_t rises in a straight line (Ho et al. 2020, section 4), rescaled so that any T ends in noise.

    β_t from 1e-4 · 1000/T at t = 1 to 0.02 · 1000/T at t = T, clipped to at most 0.999. A chain of one step (T = 1) has
    only the start, β_1 = 0.1, and so does not end in noise.
    Raises ValueError unless T is a whole number of at least 1.
    """
    check_count(T, "T")
    beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64) * 1000 / T
    return Schedule(torch.cat([torch.zeros(1), beta.clamp(max=0.999)]))


def cosine(T=1000):
    """Schedule whose ᾱ_t follows a squared cosine (Nichol & Dhariwal 2021, eq. 17), with s = 0.008.

    ᾱ_t ∝ cos²(a_t),   a_t = (t/T + s)/(1 + s) · π/2,   β_t = 1 - ᾱ_t/ᾱ_{t-1}, clipped to at most 0.999.
    Raises ValueError unless T is a whole number of at least 1.
    """
    check_count(T, "T")
    a = (torch.arange(T + 1, dtype=torch.float64) / T + 0.008) / 1.008 * torch.pi / 2
    beta = 1 - torch.cos(a[1:]) ** 2 / torch.cos(a[:-1]) ** 2
    return Schedule(torch.cat([torch.zeros(1), beta.clamp(max=0.999)]))


def at(table, t, like=None):
    """Look up `table[t]`, shaped to broadcast against `like`: the one helper behind every formula.

    table: float64 (T+1,). t: an int, or an int64 tensor of shape (n,) with one time for each example, 0…T.
    like: a floating-point tensor of shape (n, …). Returns float64 of shape (n, 1, …, 1), or (1, …, 1) for an int t;
    without `like`, of the shape of t.
    Raises ValueError for a t that is no whole number, lies outside 0…T, or does not fit `like`.
    """
    check_times(t, len(table) - 1, like=like)
    found = table[t.to(table.device) if torch.is_tensor(t) else t]
    if like is None:
        return found
    return found.reshape(-1, *[1] * (like.ndim - 1)).to(like.device)
