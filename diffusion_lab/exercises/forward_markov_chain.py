"""The checks of the exercises of lessons/02_forward_markov_chain."""

import torch

from diffusion_lab.exercises.feedback import answers, diagnosed
from diffusion_lab.theory.schedule import cosine, linear

X = torch.tensor([0.12, -0.34, 0.89, -0.76, 0.45], dtype=torch.float64)
Y = torch.tensor([1.7, 0.6, -2.2, 0.05], dtype=torch.float64)
EPS = torch.tensor([-1.3, 0.4, 2.1, -0.2, 0.9], dtype=torch.float64)
NOISE = torch.tensor([0.8, -1.1, 0.3, 1.9], dtype=torch.float64)


@answers
def check_forward_step(attempt):
    def right(x, beta, eps):
        return (1 - beta) ** 0.5 * x + beta**0.5 * eps

    causes = [
        ("β is a variance, and you used it as a deviation: the factor of eps is its root.",
         lambda x, beta, eps: (1 - beta) ** 0.5 * x + beta * eps),
        ("you added noise without shrinking the signal, so the variance grows: √(1-β) is missing.",
         lambda x, beta, eps: x + beta**0.5 * eps),
        ("you added noise without shrinking the signal, and β is a variance: both factors are missing their roots.",
         lambda x, beta, eps: x + beta * eps),
        ("the factor of x is (1-β); it should be its root, so that the variance keeps the share 1-β.",
         lambda x, beta, eps: (1 - beta) * x + beta**0.5 * eps),
        ("your factors are (1-β) and β, which are shares of the variance; each factor should be its root.",
         lambda x, beta, eps: (1 - beta) * x + beta * eps),
        ("1-√β is not √(1-β): subtract first, then take the root.",
         lambda x, beta, eps: (1 - beta**0.5) * x + beta**0.5 * eps),
        ("the factor of x is √(1-β²): β is the variance itself, so 1-β is what is left.",
         lambda x, beta, eps: (1 - beta**2) ** 0.5 * x + beta * eps),
        ("the two factors are swapped: a small β means little noise.",
         lambda x, beta, eps: beta**0.5 * x + (1 - beta) ** 0.5 * eps),
        ("you subtracted the noise; in equation (1) it is added.",
         lambda x, beta, eps: (1 - beta) ** 0.5 * x - beta**0.5 * eps),
        ("the signal is right, and the noise is missing.", lambda x, beta, eps: (1 - beta) ** 0.5 * x),
    ]
    diagnosed(attempt, right, causes, "Compare with equation (1): √(1-β) times x, plus √β times eps.",
              [(X, 0.3, EPS), (Y, 0.04, NOISE)])
    return "With data of variance 1, the result has variance 1 again."


def table(beta, limit=0.999):
    """β_0 = 0, then β_1…β_T, none above the limit."""
    return torch.cat([torch.zeros(1, dtype=torch.float64), beta.clamp(max=limit)])


@answers
def check_betas(attempt):
    def of_steps(alpha_bar):
        return 1 - alpha_bar[1:] / alpha_bar[:-1]

    def right(alpha_bar):
        return table(of_steps(alpha_bar))

    causes = [
        ("you returned T values. The table has T+1: put β_0 = 0 in front, so that beta[t] is β_t.",
         lambda a: of_steps(a).clamp(max=0.999)),
        ("your table is off by one: beta[t] holds the β of step t+1. The 0 belongs in front.",
         lambda a: right(a).roll(-1)),
        ("some of your β are above 0.999: limit them, or one step erases all.", lambda a: table(of_steps(a), limit=1)),
    ]
    for cause, wrong in (
        ("1-ᾱ_t is the noise of all steps up to t. One step's β_t compares t with t-1.", lambda a: 1 - a[1:]),
        ("the ratio is upside down, so your β are negative: ᾱ_t is the smaller of the two neighbours.",
         lambda a: 1 - a[:-1] / a[1:]),
        ("that ratio is α_t; β_t is 1-α_t.", lambda a: a[1:] / a[:-1]),
        ("you took the root of the ratio: ᾱ is a product of α, not of √α.", lambda a: 1 - (a[1:] / a[:-1]).sqrt()),
        ("ᾱ_{t-1} - ᾱ_t is what step t takes of the whole; β_t is what it takes of ᾱ_{t-1}: divide by that.",
         lambda a: a[:-1] - a[1:]),
        ("you divided by ᾱ_t; but what step t takes, it takes of ᾱ_{t-1}.", lambda a: (a[:-1] - a[1:]) / a[1:]),
    ):
        causes += [(cause, lambda a, wrong=wrong, limit=limit: table(wrong(a), limit)) for limit in (0.999, torch.inf)]
    t = torch.arange(21, dtype=torch.float64) / 20
    curve = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2  # its last β is above 0.999
    diagnosed(attempt, right, causes, "β_0 is 0, β_t is 1 - ᾱ_t/ᾱ_{t-1}, and none is above 0.999.",
              [(curve / curve[0],), (linear(30).alpha_bar,)], tolerance=1e-9)
    return "You can now turn any curve of ᾱ into a schedule."


@answers
def check_first_time(attempt):
    def snr_of(alpha_bar):
        return alpha_bar / (1 - alpha_bar)

    def first(condition):
        return int(condition.nonzero()[0])

    def right(alpha_bar, snr):
        return first(snr_of(alpha_bar) < snr)

    causes = [
        ("one step early: at the time that you return, the SNR is not yet below the value. (If you left out index 0, "
         "all that follows has moved down by one.)", lambda a, snr: right(a, snr) - 1),
        ("one step late: the tables begin at time 0, so an index is a time; add nothing.",
         lambda a, snr: right(a, snr) + 1),
        ("where the SNR equals the value, it is not below it: the sign is <, not <=.",
         lambda a, snr: first(snr_of(a) <= snr)),
        ("you compared ᾱ_t with snr. The SNR is ᾱ_t/(1-ᾱ_t).", lambda a, snr: first(a < snr)),
        ("the SNR is a ratio of variances, equation (4): take no roots.", lambda a, snr: first(snr_of(a).sqrt() < snr)),
        ("you counted the times at which the SNR is below the value; asked is the first of them.",
         lambda a, snr: int((snr_of(a) < snr).sum())),
        ("that is the time at which the SNR is nearest to the value; asked is the first at which it is below.",
         lambda a, snr: int((snr_of(a) - snr).abs().argmin())),
        ("you return T, the last time at which the SNR is below the value; asked is the first.",
         lambda a, snr: len(a) - 1),
        ("you return time 0, the data, where the SNR is infinite. The SNR falls; ask for the first time *below* snr.",
         lambda a, snr: 0),
    ]
    alpha_bar, equal = linear().alpha_bar, torch.tensor([1.0, 0.9, 0.5, 0.2, 0.1], dtype=torch.float64)  # SNR_2 = 1
    diagnosed(attempt, right, causes, "Compute ᾱ_t/(1-ᾱ_t) for all t, and find the first index where it is below snr.",
              [(alpha_bar, 0.25), (cosine(50).alpha_bar, 5.0), (equal, 1.0)])
    return f"On the linear schedule, noise is four times stronger than signal from t = {right(alpha_bar, 0.25)}."


@answers
def check_jump_between(attempt):
    def right(x_s, alpha_bar_s, alpha_bar_t, eps):
        alpha = alpha_bar_t / alpha_bar_s
        return alpha**0.5 * x_s + (1 - alpha) ** 0.5 * eps

    causes = [
        ("that is the jump from x_0. x_s has lost a share of the signal already: use ᾱ_t/ᾱ_s.",
         lambda x_s, s, t, eps: t**0.5 * x_s + (1 - t) ** 0.5 * eps),
        ("the signal is right; the noise is too strong, for x_s brings some of its own: use 1 - ᾱ_t/ᾱ_s.",
         lambda x_s, s, t, eps: (t / s) ** 0.5 * x_s + (1 - t) ** 0.5 * eps),
        ("the new noise's variance is no difference ᾱ_s - ᾱ_t: the noise in x_s shrinks on the way, too.",
         lambda x_s, s, t, eps: (t / s) ** 0.5 * x_s + (s - t) ** 0.5 * eps),
        ("ᾱ_t/ᾱ_s is a share of the variance; the factor of x_s is its root.",
         lambda x_s, s, t, eps: t / s * x_s + (1 - t / s) ** 0.5 * eps),
        ("ᾱ_t/ᾱ_s and 1-ᾱ_t/ᾱ_s are shares of the variance; each factor is a root.",
         lambda x_s, s, t, eps: t / s * x_s + (1 - t / s) * eps),
        ("1-ᾱ_t/ᾱ_s is a variance, and you used it as a deviation.",
         lambda x_s, s, t, eps: (t / s) ** 0.5 * x_s + (1 - t / s) * eps),
        ("neither factor starts at s: the share that survives from s to t is ᾱ_t/ᾱ_s.",
         lambda x_s, s, t, eps: t**0.5 * x_s + (s - t) ** 0.5 * eps),
        ("the ratio is upside down: what survives from s to t is ᾱ_t/ᾱ_s, which is below 1.",
         lambda x_s, s, t, eps: (s / t) ** 0.5 * x_s + (1 - s / t) ** 0.5 * eps),
        ("the two factors are swapped: √(ᾱ_t/ᾱ_s) belongs to x_s.",
         lambda x_s, s, t, eps: (1 - t / s) ** 0.5 * x_s + (t / s) ** 0.5 * eps),
        ("the signal is right, and the new noise is missing.", lambda x_s, s, t, eps: (t / s) ** 0.5 * x_s),
    ]
    diagnosed(attempt, right, causes,
              "A jump from x_0 to s and on to t must have the mean √ᾱ_t x_0 and the variance 1-ᾱ_t.",
              [(X, 0.8, 0.2, EPS), (Y, 0.95, 0.6, NOISE)])
    return "Jumping to s and then to t is the same as jumping to t. Fast samplers walk back along such strides."
