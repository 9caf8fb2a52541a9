"""Wrong answers to the exercises of notebook 04, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.elbo import (
    check_chances,
    check_cost_rates,
    check_one_call,
    check_prior_bits,
    check_two_steps,
    check_which_follow,
)
from diffusion_lab.theory.forward import q_sample


def rates(of_x_0, of_eps):
    """The two rates that are due, each changed by a function of (rate, log SNR, slope)."""

    def answer(log_snr, slope, mse_x_0, mse_eps):
        x_0 = of_x_0(-0.5 * log_snr.exp() * slope * mse_x_0, log_snr, slope)
        return x_0, of_eps(-0.5 * slope * mse_eps, log_snr, slope)

    return answer


def same(rate, log_snr, slope):
    return rate


def two(brackets=lambda q: 0, L_T=lambda q: 0, L_1=lambda q: 0, L_0=lambda q: 0):
    """The brackets of (2) and the parts of (3) for T = 2, each with something added, a function of the seven."""

    def answer(q_1, q_2, q_2_given_1, q_1_given_2, p_2, p_1_given_2, p_0_given_1):
        q = {"1": q_1, "2": q_2, "21": q_2_given_1, "12": q_1_given_2,
             "p2": p_2, "p12": p_1_given_2, "p01": p_0_given_1}
        right = -p_2 - p_1_given_2 + q_2_given_1 - p_0_given_1 + q_1
        return (right + brackets(q), q_2 - p_2 + L_T(q), q_1_given_2 - p_1_given_2 + L_1(q), -p_0_given_1 + L_0(q))

    return answer


def turned(*logs):
    return tuple(-value for value in two()(*logs))


def in_another_order(*logs):
    brackets, L_T, L_1, L_0 = two()(*logs)
    return brackets, L_0, L_1, L_T


def estimate(first=2, last=0, factor=lambda T: T - 1, gain=lambda snr, t: snr[t - 1] - snr[t], total=torch.sum,
             shown=lambda x_0, x_t: x_t, half=0.5, one_time=False, seed=None,
             noise=lambda eps: eps, times=lambda t, T: t, form=lambda value: value):
    """The estimator, with one thing or another changed."""

    def answer(denoiser, x_0, generator):
        generator = generator if seed is None else torch.Generator().manual_seed(seed)
        schedule = denoiser.schedule
        t = torch.randint(first, schedule.T + 1 - last, (len(x_0),), generator=generator)
        t = times(t[:1].expand(len(x_0)) if one_time else t, schedule.T)
        eps = noise(torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype))
        x_t = q_sample(x_0, t, eps, schedule)
        error = total((x_0 - denoiser(shown(x_0, x_t), t)) ** 2, dim=1)
        return form(factor(schedule.T) * half * gain(schedule.snr, t) * error)

    return answer


def all_terms(denoiser, x_0, generator):
    """The whole sum, by a call for each t."""
    schedule = denoiser.schedule
    value = 0
    for t in range(2, schedule.T + 1):
        eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype)
        error = ((x_0 - denoiser(q_sample(x_0, t, eps, schedule), t)) ** 2).sum(dim=1)
        value = value + 0.5 * (schedule.snr[t - 1] - schedule.snr[t]) * error
    return value


def against_noise(denoiser, x_0, generator):
    """The answer, which is about x_0, beside the noise."""
    schedule = denoiser.schedule
    t = torch.randint(2, schedule.T + 1, (len(x_0),), generator=generator)
    eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype)
    error = ((eps - denoiser(q_sample(x_0, t, eps, schedule), t)) ** 2).sum(dim=1)
    return (schedule.T - 1) * 0.5 * (schedule.snr[t - 1] - schedule.snr[t]) * error


def never_asked(denoiser, x_0, generator):
    return torch.rand(len(x_0), generator=generator, dtype=torch.float64)


def normed(chances):
    return chances / chances.sum()


def prior(sign=-1, log=math.log, divide=1, power=1, half=0.5, form=lambda nats, d: nats.mean(dim=1) / math.log(2)):
    """L_T with one fault or several."""

    def answer(x_0, alpha_bar_T):
        log_var = log(1 - alpha_bar_T)
        nats = half * (-1 + sign * log_var + math.exp(log_var) + alpha_bar_T**power * x_0**2)
        return form(nats, x_0.shape[1]) / (x_0.shape[1] if divide > 1 else 1)

    return answer


def twice_random(denoiser, x_0, generator):
    """Draws from the global generator."""
    schedule = denoiser.schedule
    t = torch.randint(2, schedule.T + 1, (len(x_0),))
    x_t = q_sample(x_0, t, torch.randn_like(x_0), schedule)
    error = ((x_0 - denoiser(x_t, t)) ** 2).sum(dim=1)
    return (schedule.T - 1) * 0.5 * (schedule.snr[t - 1] - schedule.snr[t]) * error


WRONG = {
    check_two_steps: [
        (two(brackets=lambda q: q["2"] + q["12"] - q["1"] - q["21"]), "The first is their sum"),
        (turned, "all signs are turned"),
        (two(brackets=lambda q: -q["21"] - q["1"]), "the forward steps are missing"),
        (two(brackets=lambda q: q["2"] - q["21"]), "not q(x_2 given x_0)"),
        (two(brackets=lambda q: q["12"] - q["21"]), "nothing is turned around yet"),
        (two(brackets=lambda q: -q["1"]), "the product begins with t = 1"),
        (two(L_T=lambda q: 2 * (q["p2"] - q["2"])), "L_T has its sign turned"),
        (two(L_T=lambda q: -q["2"]), "in L_T the q is missing"),
        (two(L_T=lambda q: q["21"] - q["2"]), "the last step alone"),
        (two(L_1=lambda q: 2 * (q["p12"] - q["12"])), "L_1 has its sign turned"),
        (two(L_1=lambda q: q["21"] - q["12"]), "You took the forward step"),
        (two(L_1=lambda q: q["1"] - q["12"]), "must know x_2"),
        (two(L_0=lambda q: 2 * q["p01"]), "L_0 has its sign turned"),
        (two(L_0=lambda q: q["1"]), "has cancelled"),
        (in_another_order, "the order is"),
        (two(L_1=lambda q: 1.0), "each log p comes with minus"),
        (lambda *logs: two()(*logs)[:1], "4 results were expected"),
        (lambda *logs: tuple(value.float() for value in two()(*logs)), "yours is float32"),
    ],
    check_cost_rates: [
        (rates(lambda r, *_: -r, lambda r, *_: -r), "the sign is turned"),
        (rates(same, lambda r, *_: -r), "the second has the wrong sign"),
        (rates(lambda r, *_: -r, same), "the first has the wrong sign"),
        (rates(lambda r, *_: 2 * r, lambda r, *_: 2 * r), "twice too large"),
        (rates(same, lambda r, *_: 2 * r), "from the second the ½"),
        (rates(lambda r, g, s: r / g.exp(), same), "in the first the SNR is missing"),
        (rates(same, lambda r, g, s: r * g.exp()), "once too often"),
        (rates(same, lambda r, g, s: r / g.exp()), "the SNR cancels"),
        (rates(lambda r, g, s: r / g.exp() ** 2, same), "divided by the SNR, and should be multiplied"),
        (rates(lambda r, g, s: r / g.exp() * g, same), "took it for the SNR itself"),
        (rates(lambda r, g, s: -r / s, lambda r, g, s: -r / s), "slope is missing"),
        (rates(lambda r, g, s: -2 * r / s, lambda r, g, s: -2 * r / s), "slope is missing, and so is the ½"),
        (rates(same, lambda r, g, s: -r / s), "from the second slope is missing"),
        (rates(lambda r, g, s: r / s, same), "from the first slope is missing"),
        (rates(lambda r, g, s: r / g.exp() * torch.sigmoid(g), same), "you took ᾱ"),
        (rates(lambda r, g, s: r / g.exp() ** 0.5, same), "root of the SNR"),
        (rates(lambda r, g, s: r + 1, same), "The rate is"),
        (lambda g, slope, a, b: -0.5 * g.exp() * slope * a, "2 results were expected"),
        (lambda g, slope, a, b: (-0.5 * g.exp() * slope * a, (-0.5 * slope * b).float()), "yours is float32"),
        (lambda g, slope, a, b: (-0.5 * g.exp_() * slope * a, -0.5 * slope * b), "changed g itself"),
    ],
    check_one_call: [
        (estimate(factor=lambda T: 1), "the average of the step terms"),
        (estimate(factor=lambda T: T), "you multiplied by T"),
        (estimate(half=1), "the ½ of equation (4) is missing"),
        (estimate(total=torch.mean), "averaged over the dimensions"),
        (estimate(gain=lambda snr, t: 1.0), "the gain in SNR is missing"),
        (estimate(gain=lambda snr, t: snr[t] - snr[t - 1]), "the sign is turned"),
        (estimate(gain=lambda snr, t: snr[t]), "you took SNR_t in place"),
        (estimate(last=1), "the last time is never drawn"),
        (estimate(first=1), "draw t from 2…T"),
        (estimate(shown=lambda x_0, x_t: x_0), "showed the denoiser x_0 itself"),
        (estimate(one_time=True), "share one time"),
        (estimate(seed=3), "two different seeds gave the same"),
        (estimate(form=lambda value: value.mean()), "the shape should be"),
        (estimate(form=lambda value: value.float()), "should be float64"),
        (estimate(form=lambda value: value + 3), "each example is due"),
        (estimate(form=lambda value: value.mean().expand(len(value)).clone()), "do not average over the examples"),
        (estimate(noise=lambda eps: eps[:, :1].expand_as(eps)), "all numbers of an example have one"),
        (estimate(noise=lambda eps: eps[:1].expand_as(eps)), "all examples have one and the same noise"),
        (estimate(noise=lambda eps: 3**0.5 * torch.erf(eps / 2**0.5)), "is not normal"),
        (estimate(noise=lambda eps: 2 * eps), "is not the jump"),
        (estimate(times=lambda t, T: 2 + torch.arange(len(t)) % (T - 1)), "gave the same times"),
        (estimate(times=lambda t, T: t.sort().values), "do not sort"),
        (estimate(times=lambda t, T: torch.where(t == 3, 2, t)), "every one alike"),
        (estimate(total=lambda error, dim: error.sum(dim=dim) ** 0.5), "the distance is not squared"),
        (all_terms, "was called 4 times"),
        (against_noise, "about x_0, with the noise"),
        (never_asked, "was never asked"),
        (twice_random, "same seed gave different results"),
    ],
    check_chances: [
        (lambda terms, squares: normed(torch.ones_like(terms)), "even chances"),
        (lambda terms, squares: normed(terms), "in proportion to the mean terms"),
        (lambda terms, squares: normed(squares), "you overdo it"),
        (lambda terms, squares: squares.sqrt(), "add up to"),
        (lambda terms, squares: -normed(squares.sqrt()), "negative"),
        (lambda terms, squares: normed(1 / (terms + 1e-9)), "larger where the mean terms are smaller"),
        (lambda terms, squares: normed(terms.sqrt()), "roots of the mean terms"),
        (lambda terms, squares: terms.softmax(0), "a softmax of the mean terms"),
        (lambda terms, squares: normed(1 / (squares + 1e-3)), "the variance rises by a factor"),
        (lambda terms, squares: normed(torch.where(terms > terms.mean(), 1.0, 0.0).double()), "some chances are 0"),
        (lambda terms, squares: normed(torch.arange(1.0, len(terms) + 1, dtype=torch.float64)), "with your chances"),
        (lambda terms, squares: normed(squares.sqrt()).float(), "should be float64"),
        (lambda terms, squares: normed(squares.sqrt())[1:], "the shape should be"),
    ],
    check_which_follow: [
        (lambda: {"A", "B", "D"}, "A does not follow"),
        (lambda: {"B", "C", "D"}, "C does not follow"),
        (lambda: {"B", "D", "E"}, "E does not follow"),
        (lambda: {"D"}, "B follows, and you left it out"),
        (lambda: {"B"}, "D follows, and you left it out"),
        (lambda: {"A", "B", "C"}, "3 letters are wrong or missing"),
        (lambda: set(), "2 letters are wrong or missing"),
        (lambda: "none", "letters from A to E"),
        (lambda: {2, 4}, "letters from A to E"),
    ],
    check_prior_bits: [
        (lambda x_0, a: prior()(x_0.float(), a).double(), "only the first digits are right"),
        (prior(sign=1, log=lambda var: var, divide=2), "three faults are left"),
        (prior(log=lambda var: var, divide=2), "two faults are left: log_var holds a variance"),
        (prior(sign=1, divide=2), "two faults are left: the logarithms"),
        (prior(sign=1, log=lambda var: var), "two faults are left: the logarithms"),
        (prior(sign=1), "one fault is left: the logarithms"),
        (prior(log=lambda var: var), "one fault is left: log_var holds a variance"),
        (prior(divide=2), "one fault is left: the mean over pixels"),
        (prior(form=lambda nats, d: nats.mean(dim=1)), "nats per dimension"),
        (prior(form=lambda nats, d: nats.sum(dim=1) / math.log(2)), "bits for the whole example"),
        (prior(form=lambda nats, d: nats.sum(dim=1)), "nats for the whole example"),
        (prior(form=lambda nats, d: nats.mean() / math.log(2)), "do not average over the examples"),
        (prior(power=2), "another power of ᾱ_T"),
        (prior(half=1), "the ½ is missing"),
        (prior(form=lambda nats, d: nats.mean(dim=1) / math.log(10)), "Per pixel it is"),
        (prior(form=lambda nats, d: (nats.mean(dim=1) / math.log(2)).float()), "yours is float32"),
    ],
}
