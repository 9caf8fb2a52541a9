"""How much noise at which time: the tables β_t, α_t, ᾱ_t and the signal-to-noise ratio.

Times are the paper's: t = 1…T, and t = 0 is the data. Tables have length T+1.

Taught in: notebooks/02_forward_markov_chain.ipynb
"""

import torch

from diffusion_lab.theory.check import beta_table, positive_int


class Schedule:
    """The tables of one forward chain, float64, shape (T+1,), index t = 0…T.

    α_t = 1 - β_t,   ᾱ_t = α_1 α_2 … α_t   (Ho et al. 2020, below eq. 3),
    SNR_t = ᾱ_t / (1 - ᾱ_t)   (Kingma et al. 2021, eq. 2)

    beta: shape (T+1,) with beta[0] = 0 and the rest in (0, 1); ValueError otherwise.
    Then alpha_bar[0] = 1 and snr[0] = inf: at time 0 there is only signal.
    """

    def __init__(self, beta):
        self.beta = beta_table(beta)
        self.T = len(self.beta) - 1
        self.alpha = 1 - self.beta
        self.alpha_bar = torch.cumprod(self.alpha, dim=0)
        self.snr = self.alpha_bar / (1 - self.alpha_bar)
        self.log_snr = torch.log(self.snr)


def linear(T=1000):
    """Schedule whose β_t rises in a straight line (Ho et al. 2020, section 4), rescaled so that any T ends in noise.

    β_t from 1e-4 · 1000/T at t = 1 to 0.02 · 1000/T at t = T, clipped to at most 0.999. A chain of one step (T = 1) has
    only the start, β_1 = 0.1, and so does not end in noise.
    Raises ValueError unless T is a whole number of at least 1.
    """
    positive_int(T, "T")
    beta = torch.linspace(1e-4, 0.02, T, dtype=torch.float64) * 1000 / T
    return Schedule(torch.cat([torch.zeros(1), beta.clamp(max=0.999)]))


def cosine(T=1000):
    """Schedule whose ᾱ_t follows a squared cosine (Nichol & Dhariwal 2021, eq. 17), with s = 0.008.

    ᾱ_t ∝ cos²(a_t),   a_t = (t/T + s)/(1 + s) · π/2,   β_t = 1 - ᾱ_t/ᾱ_{t-1}, clipped to at most 0.999.
    Raises ValueError unless T is a whole number of at least 1.
    """
    positive_int(T, "T")
    a = (torch.arange(T + 1, dtype=torch.float64) / T + 0.008) / 1.008 * torch.pi / 2
    beta = 1 - torch.cos(a[1:]) ** 2 / torch.cos(a[:-1]) ** 2
    return Schedule(torch.cat([torch.zeros(1), beta.clamp(max=0.999)]))


def at(table, t, like=None, first=0):
    """Look up `table[t]`, shaped to broadcast against `like`: the one helper behind every formula.

    table: float64 (T+1,). t: an int, or an int64 tensor of shape (n,) with one time for each example.
    like: a floating-point tensor of shape (n, …). Returns float64 of shape (n, 1, …, 1), or (1, …, 1) for an int t;
    without `like`, of the shape of t.
    Raises ValueError for a t that is no whole number, lies outside first…T, or does not fit `like`.
    """
    if isinstance(t, bool) or not (isinstance(t, int) or torch.is_tensor(t) and t.dtype == torch.int64):
        given = f"a tensor of {t.dtype}" if torch.is_tensor(t) else repr(t)
        raise ValueError(f"t must be an int or an int64 tensor, but got {given}.")
    one, T = isinstance(t, int), len(table) - 1  # of a sampler's step nothing but the network should be felt
    if not (first <= t <= T if one else bool(((t >= first) & (t <= T)).all())):
        raise ValueError(f"t must lie within {first}…{T}, but got {t if one else t.tolist()}.")
    found = table[t if one else t.to(table.device)]
    if like is None:
        return found
    if not torch.is_floating_point(like):
        raise ValueError(f"data must be floating-point numbers, but got {like.dtype}.")
    if like.ndim == 0:
        raise ValueError("data must have a first axis that counts examples, but this is a single number.")
    if found.ndim > 0 and found.shape != like.shape[:1]:
        raise ValueError(f"t must hold a time for each example ({len(like)}), but its shape is {tuple(t.shape)}.")
    return found.reshape(-1, *[1] * (like.ndim - 1)).to(like.device)
