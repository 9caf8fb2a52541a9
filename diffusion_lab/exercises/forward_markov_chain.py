"""The checks of the exercises of lessons/02_forward_markov_chain."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like
from diffusion_lab.theory.schedule import cosine, linear

X = torch.tensor([0.12, -0.34, 0.89, -0.76, 0.45], dtype=torch.float64)
EPS = torch.tensor([-1.3, 0.4, 2.1, -0.2, 0.9], dtype=torch.float64)


@answers
def check_forward_step(attempt):
    beta = 0.3
    given = tensor_like(attempt(X, beta, EPS), X)
    root, noise = (1 - beta) ** 0.5, beta**0.5 * EPS
    if close(given, root * X + beta * EPS):
        raise Wrong("β is a variance, and you used it as a deviation: the factor of eps is its root.")
    if close(given, X + noise):
        raise Wrong("you added noise without shrinking the signal, so the variance grows: is √(1-β) missing?")
    if close(given, (1 - beta) * X + noise) or close(given, (1 - beta) * X + beta * EPS):
        raise Wrong("the factor of x is (1-β); it should be its root, so that the variance keeps the share 1-β.")
    if close(given, (1 - beta**0.5) * X + noise):
        raise Wrong("1-√β is not √(1-β): subtract first, then take the root.")
    if close(given, beta**0.5 * X + root * EPS):
        raise Wrong("the two factors are swapped: a small β means little noise.")
    if not close(given, attempt(X, beta, EPS)):
        raise Wrong("two calls with the same eps give two results: you drew noise of your own; use the given eps.")
    if not close(given, root * X + noise):
        raise Wrong("compare with equation (1): √(1-β) times x, plus √β times eps.")
    return "With data of variance 1, the result has variance 1 again."


@answers
def check_betas(attempt):
    alpha_bar = torch.cos((torch.arange(21, dtype=torch.float64) / 20 + 0.008) / 1.008 * torch.pi / 2) ** 2
    alpha_bar = alpha_bar / alpha_bar[0]
    given, expected = attempt(alpha_bar), cosine(20).beta
    if torch.is_tensor(given) and given.shape == (20,):
        raise Wrong("you returned T values. The table has T+1: put β_0 = 0 in front, so that beta[t] is β_t.")
    tensor_like(given, expected)
    if close(given[1:20], (1 - alpha_bar)[1:20]):
        raise Wrong("1-ᾱ_t is the noise of all steps up to t. One step's β_t compares t with t-1.")
    if close(given[1:19], (1 - alpha_bar[2:] / alpha_bar[1:-1])[:18]):
        raise Wrong("your table is off by one: beta[t] holds the β of step t+1.")
    if close(given[1:20], (1 - alpha_bar[:-1] / alpha_bar[1:])[:19]):
        raise Wrong("the ratio is upside down, so your β are negative: ᾱ_t is the smaller of the two neighbours.")
    if close(given[1:20], (alpha_bar[1:] / alpha_bar[:-1])[:19]):
        raise Wrong("that ratio is α_t; β_t is 1-α_t.")
    if close(given[1:20], 1 - (alpha_bar[1:] / alpha_bar[:-1]).sqrt()[:19]):
        raise Wrong("you took the root of the ratio: ᾱ is a product of α, not of √α.")
    if given.max() > 0.9991:
        raise Wrong(f"the largest β is {given.max().item():.6f}: limit it to 0.999, or the last step erases all.")
    if close(given[1:20], (alpha_bar[:-1] - alpha_bar[1:])[:19]):
        raise Wrong("ᾱ_{t-1} - ᾱ_t is what step t takes of the whole; β_t is what it takes of ᾱ_{t-1}: divide by that.")
    if not close(given, expected):
        raise Wrong("check β_0 = 0 and β_t = 1 - ᾱ_t/ᾱ_{t-1}.")
    if float((given[1:] / expected[1:] - 1).abs().max()) > 1e-9:
        raise Wrong("the digits are those of float32: where ᾱ_t is almost 1, the difference 1 - ᾱ_t/ᾱ_{t-1} keeps few "
                    "of them. Stay in float64.")
    return "You can now turn any curve of ᾱ into a schedule."


@answers
def check_first_time(attempt):
    alpha_bar, snr = linear().alpha_bar, 0.25
    given = attempt(alpha_bar, snr)
    if isinstance(given, bool) or not isinstance(given, int):
        raise Wrong(f"return a whole number (an int), not {type(given).__name__}: int(…) makes one of a tensor.")
    ratio = alpha_bar / (1 - alpha_bar)
    expected = int((ratio < snr).nonzero()[0])
    if given == expected - 1:
        raise Wrong(f"at t = {given} the SNR is {ratio[given].item():.4f}, still above 0.25: you are one step early. "
                    "(If you left out index 0, all that follows has moved down by one.)")
    if given == expected + 1:
        raise Wrong("one step late: the tables begin at time 0, so an index is a time; add nothing.")
    if given == int((alpha_bar < snr).nonzero()[0]):
        raise Wrong("you compared ᾱ_t with snr. The SNR is ᾱ_t/(1-ᾱ_t).")
    if given == int((ratio.sqrt() < snr).nonzero()[0]):
        raise Wrong("the SNR is a ratio of variances, equation (4): take no roots.")
    if given == int((ratio < snr).sum()):
        raise Wrong("you counted the times at which the SNR is below the value; asked is the first of them.")
    if given == int((ratio > snr).nonzero()[0]):
        raise Wrong("that is the first time at which the SNR is above the value; it falls, so ask for below.")
    if given != expected:
        raise Wrong(f"for the linear schedule and 0.25 the answer is {expected}, but yours is {given}.")
    return f"On the linear schedule, noise is four times stronger than signal from t = {given}."


@answers
def check_jump_between(attempt):
    alpha_bar_s, alpha_bar_t = 0.8, 0.2
    given = tensor_like(attempt(X, alpha_bar_s, alpha_bar_t, EPS), X)
    alpha = alpha_bar_t / alpha_bar_s
    if close(given, alpha_bar_t**0.5 * X + (1 - alpha_bar_t) ** 0.5 * EPS):
        raise Wrong("that is the jump from x_0. x_s has lost a share of the signal already: use ᾱ_t/ᾱ_s.")
    if close(given, alpha**0.5 * X + (1 - alpha_bar_t) ** 0.5 * EPS):
        raise Wrong("the signal is right; the noise is too strong, for x_s brings some of its own: use 1 - ᾱ_t/ᾱ_s.")
    if close(given, alpha**0.5 * X + (alpha_bar_s - alpha_bar_t) ** 0.5 * EPS):
        raise Wrong("the new noise's variance is no difference ᾱ_s - ᾱ_t: the noise in x_s shrinks on the way, too.")
    if close(given, alpha * X + (1 - alpha) * EPS) or close(given, alpha * X + (1 - alpha) ** 0.5 * EPS):
        raise Wrong("ᾱ_t/ᾱ_s is a share of the variance; the factor of x_s is its root.")
    if close(given, alpha**0.5 * X + (1 - alpha) * EPS):
        raise Wrong("1-ᾱ_t/ᾱ_s is a variance, and you used it as a deviation.")
    if close(given, (alpha_bar_s - alpha_bar_t) ** 0.5 * EPS + alpha_bar_t**0.5 * X):
        raise Wrong("neither factor starts at s: the share that survives from s to t is ᾱ_t/ᾱ_s.")
    if not close(given, alpha**0.5 * X + (1 - alpha) ** 0.5 * EPS):
        raise Wrong("a jump from x_0 to s and on to t must have the mean √ᾱ_t x_0 and the variance 1-ᾱ_t.")
    return "Jumping to s and then to t is the same as jumping to t. Fast samplers walk back along such strides."
