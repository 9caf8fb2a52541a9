"""The checks of the exercises of lessons/02_forward_markov_chain."""

import re

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.exercises.feedback import NONE, Wrong, answers, diagnosed, require_letters
from diffusion_lab.theory.schedule import cosine, linear
from diffusion_lab.theory.spectrum import wave_power

ZERO = torch.zeros(1, dtype=torch.float64)


@answers
def check_memory(attempt):
    def right(s, t):
        return (t * (1 - s) / (s * (1 - t))) ** 0.5

    causes = [
        ("that is √α, the correlation over all pictures, if their variance is 1. Here x_0 is fixed, and the two have "
         "the variances 1-ᾱ_s and 1-ᾱ_t.", lambda s, t: (t / s) ** 0.5),
        ("the root is missing, or one root too few: √α, and the *root* of the ratio of the two variances.",
         lambda s, t: t * (1 - s) / (s * (1 - t))),
        ("α = ᾱ_t/ᾱ_s is the fraction of the variance; x_s stands in x_t with its root.",
         lambda s, t: t / s * ((1 - s) / (1 - t)) ** 0.5),
        ("that is the covariance. Divide by both standard deviations.", lambda s, t: (t / s) ** 0.5 * (1 - s)),
        ("you divided by variances in place of standard deviations.",
         lambda s, t: (t / s) ** 0.5 * (1 - s) / ((1 - s) * (1 - t))),
        ("you divided the covariance by the variance of x_t alone.", lambda s, t: (t / s) ** 0.5 * (1 - s) / (1 - t)),
        ("you divided the covariance by one standard deviation, that of x_t.",
         lambda s, t: (t / s) ** 0.5 * (1 - s) / (1 - t) ** 0.5),
        ("the ratio is upside down: a correlation is at most 1.", lambda s, t: (s * (1 - t) / (t * (1 - s))) ** 0.5),
        ("that leaves out how the noise shrinks on the way: x_t holds √α times the noise of x_s.",
         lambda s, t: ((1 - s) / (1 - t)) ** 0.5),
        ("two jumps with the same ε would give 1; the chain adds fresh noise between s and t.", lambda s, t: 1.0),
        ("x_t holds √α times x_s, so it remembers something.", lambda s, t: 0.0),
    ]
    diagnosed(attempt, right, causes,
              "Asked is the exact correlation. The covariance is √(ᾱ_t/ᾱ_s) times the variance of x_s; divide by both "
              "standard deviations.",
              [(0.8, 0.2), (0.95, 0.6), (0.3, 0.1)])
    return "√(SNR_t/SNR_s): the noise forgets itself as fast as the signal drowns in it."


def line(first, last, n):
    return torch.linspace(first, last, n, dtype=torch.float64)


def fraction(log_snr):
    """ᾱ from log SNR: SNR = ᾱ/(1-ᾱ), so ᾱ = SNR/(1+SNR)."""
    return log_snr.exp() / (1 + log_snr.exp())


def betas(alpha_bar):
    """β_0 = 0, and β_t = 1 - ᾱ_t/ᾱ_{t-1}, from ᾱ_0 = 1, ᾱ_1, …, ᾱ_T."""
    return torch.cat([ZERO, 1 - alpha_bar[1:] / alpha_bar[:-1]])


@answers
def check_even_schedule(attempt):
    def tables(log_snr):
        return betas(torch.cat([ZERO + 1, fraction(log_snr)]))

    def right(first, last, T):
        return tables(line(first, last, T))

    causes = [
        ("you returned T values. The table has T+1: put β_0 = 0 in front, so that beta[t] is β_t.",
         lambda a, b, T: right(a, b, T)[1:]),
        ("that is ᾱ, and asked is β: β_t = 1 - ᾱ_t/ᾱ_{t-1}.",
         lambda a, b, T: torch.cat([ZERO + 1, fraction(line(a, b, T))])),
        ("that is α, and asked is β = 1 - α.", lambda a, b, T: 1 - right(a, b, T)),
        ("1-ᾱ_t is the noise of all steps up to t. One step's β_t compares t with t-1.",
         lambda a, b, T: torch.cat([ZERO, 1 - fraction(line(a, b, T))])),
        ("your line of log SNR begins at time 0. There the SNR is infinite; `first` belongs to t = 1.",
         lambda a, b, T: betas(fraction(line(a, b, T + 1)))),
        ("your line of log SNR would be at `last` one step after T: from t = 1 to t = T it is T-1 steps, and not T.",
         lambda a, b, T: tables(line(a, b, T + 1)[:-1])),
        ("at t = 0 your line of log SNR is at `first`; that belongs to t = 1, and from there to T it is T-1 steps.",
         lambda a, b, T: tables(line(a, b, T + 1)[1:])),
        ("your first step is missing: ᾱ_0 is 1, so β_1 is 1 - ᾱ_1, and not 0.",
         lambda a, b, T: torch.cat([ZERO, ZERO, right(a, b, T)[2:]])),
        ("you made the SNR fall in a straight line; asked is its logarithm.",
         lambda a, b, T: betas(torch.cat([ZERO + 1, fraction(line(torch.e**a, torch.e**b, T).log())]))),
        ("exp(log SNR) is the SNR, ᾱ/(1-ᾱ). Solve for ᾱ: it is SNR/(1+SNR).",
         lambda a, b, T: betas(torch.cat([ZERO + 1, line(a, b, T).exp()]))),
        ("SNR/(1+SNR) is ᾱ itself, a fraction of the variance: take no root.",
         lambda a, b, T: betas(torch.cat([ZERO + 1, fraction(line(a, b, T)).sqrt()]))),
        ("1/(1+SNR) is what noise has; ᾱ, what the signal has, is SNR/(1+SNR).",
         lambda a, b, T: tables(-line(a, b, T))),
        ("first and last are swapped: the SNR begins high and falls.", lambda a, b, T: right(b, a, T)),
        ("the ratio is upside down, so your β are negative: ᾱ_t is the smaller of the two neighbours.",
         lambda a, b, T: torch.cat([ZERO, 1 - 1 / (1 - right(a, b, T)[1:])])),
        ("ᾱ_{t-1} - ᾱ_t is what step t takes of the whole; β_t is what it takes of ᾱ_{t-1}: divide by that.",
         lambda a, b, T: torch.cat([ZERO, -torch.cat([ZERO + 1, fraction(line(a, b, T))]).diff()])),
        ("the logarithm is the natural one: SNR = exp(log SNR), not 10 to that power.",
         lambda a, b, T: tables(line(a, b, T) * torch.log(ZERO + 10))),
    ]
    for least, most in ((0.0, 0.999), (1e-4, 1.0), (1e-4, 0.999)):
        causes.append(("you clipped β. Nothing is to be clipped: with few steps β_T may well be above 0.999, and β_1 "
                       "below 1e-4.",
                       lambda a, b, T, low=least, high=most: torch.cat([ZERO, right(a, b, T)[1:].clamp(low, high)])))
    diagnosed(attempt, right, causes,
              "log SNR_t runs in a straight line from `first` at t = 1 to `last` at t = T; ᾱ_0 = 1, "
              "ᾱ_t = SNR_t/(1+SNR_t), and β_t = 1 - ᾱ_t/ᾱ_{t-1}.", [(6.0, -5.0, 12), (11.0, -12.0, 3)], tolerance=1e-9)
    return "Every step now takes the same from log SNR. Put the table into Schedule and look at a strip of it."


def digits_of(start, n=100):
    """Digits without their mean, as the exercise has them."""
    images = load_digits("train")[0][start : start + n].double()
    return images - images.mean(dim=0)


def enlarged(images):
    """Each pixel becomes four."""
    return images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


@answers
def check_drowning(attempt):
    def first_below(power, alpha_bar):
        return int((alpha_bar * power < 1 - alpha_bar).nonzero()[0])

    def both(small, large, alpha_bar):
        return first_below(small, alpha_bar), first_below(large, alpha_bar)

    def right(images, alpha_bar, k):
        return both(wave_power(images)[k], wave_power(enlarged(images))[k], alpha_bar)

    def with_power(change):
        return lambda x, a, k: both(*(change(wave_power(y)[k]) for y in (x, enlarged(x))), a)

    def with_times(change):
        return lambda x, a, k: tuple(change(t, a) for t in right(x, a, k))

    causes = [
        ("the two times are swapped: the small pictures come first.", lambda x, a, k: right(x, a, k)[::-1]),
        ("your two times are equal, and that of the small pictures is right: was the other made from the enlarged?",
         lambda x, a, k: (right(x, a, k)[0],) * 2),
        ("in the large pictures you looked at 2k crests. The wave with k crests across is still number k.",
         lambda x, a, k: both(wave_power(x)[k], wave_power(enlarged(x))[2 * k], a)),
        ("in the large pictures you looked at k/2 crests. The wave with k crests across is still number k.",
         lambda x, a, k: both(wave_power(x)[k], wave_power(enlarged(x))[k // 2], a)),
        ("your wave is one too fine: wave_power counts from k = 0, so index k is k crests.",
         lambda x, a, k: both(wave_power(x)[k + 1], wave_power(enlarged(x))[k + 1], a)),
        ("your wave is one too coarse: wave_power counts from k = 0, so index k is k crests.",
         lambda x, a, k: both(wave_power(x)[k - 1], wave_power(enlarged(x))[k - 1], a)),
        ("you compared the power P_k with the noise 1-ᾱ_t. By time t the wave has shrunk to ᾱ_t P_k.",
         lambda x, a, k: tuple(int(min((wave_power(y)[k] < 1 - a).nonzero(), default=len(a) - 1))
                               for y in (x, enlarged(x)))),
        ("you compared ᾱ_t P_k with 1. The noise at time t has the power 1-ᾱ_t.",
         lambda x, a, k: tuple(int((a * wave_power(y)[k] < 1).nonzero()[0]) for y in (x, enlarged(x)))),
        ("you left P_k out: that is where ᾱ_t falls below 1-ᾱ_t, the same for all waves.",
         with_power(torch.ones_like)),
        ("powers are compared with powers: take no root and no square, neither of P_k nor of ᾱ_t and 1-ᾱ_t.",
         with_power(torch.sqrt)),
        ("powers are compared with powers: take no root and no square, neither of P_k nor of ᾱ_t and 1-ᾱ_t.",
         with_power(torch.square)),
        ("you took the time at which wave and noise are nearest to each other; asked is the first at which the wave is "
         "the weaker.", lambda x, a, k: tuple(int((a * wave_power(y)[k] - (1 - a)).abs().argmin())
                                              for y in (x, enlarged(x)))),
        ("one step early: at the times that you return, the wave is not yet below the noise.",
         with_times(lambda t, a: t - 1)),
        ("one step late: the tables begin at time 0, so an index is a time; add nothing.",
         with_times(lambda t, a: t + 1)),
        ("you counted the times at which the wave is below the noise; asked is the first of them.",
         with_times(lambda t, a: len(a) - t)),
        ("you return T, the last time at which the wave is below the noise; asked is the first.",
         with_times(lambda t, a: len(a) - 1)),
    ]
    diagnosed(attempt, right, causes, "The wave with k crests has drowned at the first t with ᾱ_t P_k < 1 - ᾱ_t.",
              [(digits_of(0), cosine().alpha_bar, 7), (digits_of(100, 60), linear(400).alpha_bar, 5)])
    return ("The large pictures drown later. Each pixel became four, so the wave has nearly four times the power, "
            "against the same noise. To have it drown at the same t, take log 4 from log SNR: large pictures need more "
            "noise.")


def marks(value, allowed):
    """What a reader chose, in any form ("35", "3 and 5", [3, 5], {3.0, 5.0}, {3: True}), as a set of digits."""
    if isinstance(value, dict):
        value = [test for test, chosen in value.items() if chosen]
    value = value.tolist() if hasattr(value, "tolist") else value
    parts = [int(part) if isinstance(part, float) and part == int(part) else part
             for part in (value if isinstance(value, (list, tuple, set, frozenset)) else [value])]
    found = set(re.sub(r"[\s,;.]|\band\b", "", " ".join(map(str, parts)).lower()))
    if not found <= set(allowed):
        raise Wrong("choose among {allowed}; you gave {given}.", allowed=", ".join(allowed), given=repr(value))
    return found


FOUND_BY = {"A": "35", "B": "25", "C": "45"}
NOT_FOUND = {  # (function, test): why the test passes
    "A1": "at t = T the noise has the variance 1-ᾱ_T, nearly 1, and the square of 1 is 1",
    "A2": "at t = 0 the factor 1-ᾱ_0 is 0, with or without its root",
    "A4": "each picture has noise of its own, however strong it is",
    "B1": "ᾱ_{T-1} is nearly 0 as well",
    "B3": "ᾱ_299 differs from ᾱ_300 by less than a percent, and the test lets a quarter pass",
    "B4": "each picture has noise of its own",
    "C1": "the variance is taken over 784 different draws, whether or not the next picture has the same",
    "C2": "at t = 0 the factor of the noise is 0, whoever shares it",
    "C3": "the noise has the right strength; the test does not look at which picture has which",
}
FINDS = {
    "A3": "at t = 300 the noise has the variance (1-ᾱ_t)² in place of 1-ᾱ_t: 0.36 and 0.60",
    "A5": "one step has noise of √β_1; this has β_1, a hundredth of that",
    "B2": "alpha_bar[0 - 1] is the last entry of the table, so t = 0 gives noise",
    "B5": "at t = 1 it uses ᾱ_0 = 1, and hands the picture back with no noise at all",
    "C4": "all pictures have one noise, so the correlation is 1",
    "C5": "the single step gives each picture its own noise",
}


@answers
def check_found_by(attempt):
    given = attempt()
    if given is None:
        raise Wrong(NONE)
    if isinstance(given, dict):  # "a" and "q_sample_A" are clear enough
        given = {str(name).upper().removeprefix("Q_SAMPLE_"): tests for name, tests in given.items()}
    if not isinstance(given, dict) or set(given) != set(FOUND_BY):
        raise Wrong('a dict was expected, {{"A": …, "B": …, "C": …}}, with the tests that find each; yours is {given}.',
                    given=repr(given))
    for name, right in FOUND_BY.items():
        mine = marks(given[name], "12345")
        for test in sorted(mine - set(right)):
            raise Wrong("test {test} passes {name}: {why}.", test=test, name=name, why=NOT_FOUND[name + test])
        for test in sorted(set(right) - mine):
            raise Wrong("test {test} finds {name}, too: {why}.", test=test, name=name, why=FINDS[name + test])
    return ("The most popular test, the variance at the end, finds none of the three. The exact one at the smallest "
            "case, t = 1 against the single step, finds them all.")


REASONS = {
    "A": "A follows: compare Figure 2, left, at t = 250, 500 and 750.",
    "B": "B does not: in log SNR the quarters take 8.4, 1.7, 1.8 and 18.1, far from even.",
    "C": "C follows: compare the two rows of Figure 5.",
    "D": "D does not: no plot here shows a model.",
    "E": "E does not: the order lies in the digits' spectrum, and is the same under every schedule.",
    "F": "F follows: the picture depends on t through ᾱ_t alone, and the linear chain passes through each value on its "
         "way, too.",
    "G": "G does not: a large picture has more power in its coarse waves, so all of it drowns later (exercise 4).",
}


@answers
def check_what_follows(attempt):
    require_letters(attempt(), "ACF", REASONS)
    return "Even as a turn, and in ᾱ_t in the middle of the chain. Whoever says \"evenly\" has to say in what."
