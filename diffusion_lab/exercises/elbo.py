"""The checks of the exercises of lessons/04_elbo."""

import itertools
import math
from typing import NamedTuple

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, require_letters, tensor_like
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.gaussian import log_prob
from diffusion_lab.theory.posterior import posterior_mean, posterior_var
from diffusion_lab.theory.schedule import Schedule, cosine, linear

LOG_2 = math.log(2)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


# The bound for T = 2, one chain at a time

def logs_of_chains(seed, n=3):
    """The seven logarithms of n chains x_0, x_1, x_2 (n,), for the model whose x̂_0 is ½ x_t."""
    schedule = Schedule(tensor(0, 0.4, 0.5))
    generator = torch.Generator().manual_seed(seed)
    x_0, noise_1, noise_2 = torch.randn(3, n, 1, generator=generator, dtype=torch.float64)
    beta, alpha_bar = schedule.beta, schedule.alpha_bar
    x_1 = alpha_bar[1].sqrt() * x_0 + beta[1].sqrt() * noise_1
    x_2 = schedule.alpha[2].sqrt() * x_1 + beta[2].sqrt() * noise_2
    var = posterior_var(2, schedule)
    logs = [
        log_prob(x_1, alpha_bar[1].sqrt() * x_0, beta[1]),
        log_prob(x_2, alpha_bar[2].sqrt() * x_0, 1 - alpha_bar[2]),
        log_prob(x_2, schedule.alpha[2].sqrt() * x_1, beta[2]),
        log_prob(x_1, posterior_mean(x_0, x_2, 2, schedule), var),
        log_prob(x_2, 0.0, 1.0),
        log_prob(x_1, posterior_mean(0.5 * x_2, x_2, 2, schedule), var),
        log_prob(x_0, 0.5 * x_1, var),
    ]
    return tuple(log[:, 0] for log in logs)


@answers
def check_two_steps(attempt):
    def right(q_1, q_2, q_2_given_1, q_1_given_2, p_2, p_1_given_2, p_0_given_1):
        brackets = -p_2 - (p_1_given_2 - q_2_given_1) - (p_0_given_1 - q_1)
        return brackets, q_2 - p_2, q_1_given_2 - p_1_given_2, -p_0_given_1

    def but(part, wrong):
        """The right results, with one of them replaced by a function of the seven."""
        return lambda *logs: tuple(wrong(*logs) if i == part else value for i, value in enumerate(right(*logs)))

    causes = [
        ("all signs are turned: (2) and (3) bound -log p(x_0), so every p has a minus and every q a plus.",
         lambda *logs: tuple(-value for value in right(*logs))),
        ("the first has its sign turned; the parts are right.", but(0, lambda *logs: -right(*logs)[0])),
        ("the parts are right. In the brackets the forward steps are missing: each p is divided by its q.",
         but(0, lambda q1, q2, q21, q12, p2, p12, p01: -p2 - p12 - p01)),
        ("the parts are right. In the brackets of (2) the forward step of t = 2 is q(x_2 given x_1), not q(x_2 given "
         "x_0).", but(0, lambda q1, q2, q21, q12, p2, p12, p01: -p2 - p12 + q2 - p01 + q1)),
        ("the parts are right. In (2) nothing is turned around yet: the forward step of t = 2 is q(x_2 given x_1).",
         but(0, lambda q1, q2, q21, q12, p2, p12, p01: -p2 - p12 + q12 - p01 + q1)),
        ("the parts are right. In the brackets the product begins with t = 1: q(x_1 given x_0) is missing.",
         but(0, lambda q1, q2, q21, q12, p2, p12, p01: -p2 - p12 + q21 - p01)),
        ("the parts are right. The first is their sum. For a chain that is the same number, by Bayes' rule; but in (2) "
         "nothing is turned around yet: its q are the forward steps, q(x_1 given x_0) and q(x_2 given x_1).",
         but(0, lambda q1, q2, q21, q12, p2, p12, p01: q2 - p2 + q12 - p12 - p01)),
        ("L_T has its sign turned: it is log q/p.", but(1, lambda *logs: -right(*logs)[1])),
        ("in L_T the q is missing: it is log q(x_2 given x_0)/p(x_2).",
         but(1, lambda q1, q2, q21, q12, p2, p12, p01: -p2)),
        ("L_T asks whether the chain from x_0 ends in noise: its q is q(x_2 given x_0), and you took the last step "
         "alone.", but(1, lambda q1, q2, q21, q12, p2, p12, p01: q21 - p2)),
        ("L_1 has its sign turned: it is log q/p.", but(2, lambda *logs: -right(*logs)[2])),
        ("in L_1 both steps go back: q(x_1 given x_2 and x_0) beside p(x_1 given x_2). You took the forward step.",
         but(2, lambda q1, q2, q21, q12, p2, p12, p01: q21 - p12)),
        ("in L_1 the q must know x_2, as the model does: q(x_1 given x_2 and x_0).",
         but(2, lambda q1, q2, q21, q12, p2, p12, p01: q1 - p12)),
        ("L_0 has its sign turned: it is -log p.", but(3, lambda *logs: -right(*logs)[3])),
        ("in L_0 there is no q any more: q(x_1 given x_0) has cancelled when the steps were turned around.",
         but(3, lambda q1, q2, q21, q12, p2, p12, p01: q1 - p01)),
        ("the order is: the brackets of (2), L_T, L_1, L_0.",
         lambda *logs: tuple(right(*logs)[i] for i in (0, 3, 2, 1))),
    ]
    unrelated = torch.randn(7, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)  # of no chain
    numbers = [logs_of_chains(0), logs_of_chains(1), tuple(unrelated)]
    diagnosed(attempt, right, causes, "In (2) each log p comes with minus, each log q of a forward step with plus. In "
              "(3) L_T = log q(x_2 given x_0)/p(x_2), L_1 = log q(x_1 given x_2, x_0)/p(x_1 given x_2).", numbers)
    brackets, *parts = [torch.as_tensor(part) for part in attempt(*numbers[0])]
    return (f"For the first chain (2) says {brackets[0]:.3f} nats, and {parts[0][0]:.3f} + {parts[1][0]:.3f} + "
            f"{parts[2][0]:.3f} is the same; so for each. Turning the steps around loses nothing.")


@answers
def check_cost_rates(attempt):
    def right(log_snr, slope, mse_x_0, mse_eps):
        return -0.5 * log_snr.exp() * slope * mse_x_0, -0.5 * slope * mse_eps

    def parts(x, eps):
        """A wrong function whose two results are these."""
        return lambda log_snr, slope, mse_x_0, mse_eps: (x(log_snr, slope, mse_x_0), eps(log_snr, slope, mse_eps))

    def x(log_snr, slope, error):
        return -0.5 * log_snr.exp() * slope * error

    def e(log_snr, slope, error):
        return -0.5 * slope * error

    sign = ("the sign is turned: the SNR falls along the chain, slope is negative, and a cost is positive. The gain of "
            "a step back is SNR at its end less SNR at its start.")
    half = "twice too large: the ½ of equation (4) is missing."
    why = "It says how fast the noise level changes, and so how much is charged per unit of time."
    causes = [  # g is log SNR, s its slope
        (sign, parts(lambda *a: -x(*a), lambda *a: -e(*a))),
        ("the first is right; the second has the wrong sign: slope is negative, and a cost is positive.",
         parts(x, lambda *a: -e(*a))),
        ("the second is right; the first has the wrong sign: slope is negative, and a cost is positive.",
         parts(lambda *a: -x(*a), e)),
        (half, parts(lambda *a: 2 * x(*a), lambda *a: 2 * e(*a))),
        ("the first is right; from the second the ½ of equation (4) is missing.", parts(x, lambda *a: 2 * e(*a))),
        ("the second is right; from the first the ½ of equation (4) is missing.", parts(lambda *a: 2 * x(*a), e)),
        (sign + " And the ½ of equation (4) is missing.", parts(lambda *a: -2 * x(*a), lambda *a: -2 * e(*a))),
        ("the second is right; in the first the SNR is missing: slope is that of log SNR, and d SNR = SNR d log SNR.",
         parts(e, e)),
        ("the first is right; in the second the SNR is once too often: the error of ε is SNR times that of x_0, so "
         "it is in there already.", parts(x, x)),
        ("the two are exchanged: the SNR belongs to the error of x_0; that of ε contains it already.", parts(e, x)),
        ("the first is right; the second is divided by the SNR. The error of ε is SNR times that of x_0: put that "
         "into the first, and the SNR cancels.", parts(x, lambda g, s, error: e(g, s, error) / g.exp())),
        ("the second is right; the first is divided by the SNR, and should be multiplied by it: d SNR = SNR d log SNR.",
         parts(lambda g, s, error: e(g, s, error) / g.exp(), e)),
        ("log_snr is the logarithm of the SNR; you took it for the SNR itself.",
         parts(lambda g, s, error: -0.5 * g * s * error, e)),
        ("slope is missing: how much is charged per unit of time depends on how fast the noise level changes.",
         parts(lambda g, s, error: 0.5 * g.exp() * error, lambda g, s, error: 0.5 * error)),
        ("slope is missing: how much is charged per unit of time depends on how fast the noise level changes. (And the "
         "sign.)", parts(lambda g, s, error: -0.5 * g.exp() * error, lambda g, s, error: -0.5 * error)),
        ("slope is missing, and so is the ½ of equation (4).", parts(lambda g, s, error: g.exp() * error,
                                                                         lambda g, s, error: error)),
        ("the first is right; from the second slope is missing. " + why, parts(x, lambda g, s, error: 0.5 * error)),
        ("the first is right; from the second slope is missing. " + why, parts(x, lambda g, s, error: -0.5 * error)),
        ("the second is right; from the first slope is missing. " + why,
         parts(lambda g, s, error: 0.5 * g.exp() * error, e)),
        ("the second is right; from the first slope is missing. " + why,
         parts(lambda g, s, error: -0.5 * g.exp() * error, e)),
        ("you took ᾱ, that is SNR/(1+SNR), where the SNR itself belongs.",
         parts(lambda g, s, error: -0.5 * torch.sigmoid(g) * s * error, e)),
        ("you took the derivative of SNR for that of ᾱ: the bound counts SNR, not ᾱ.",
         parts(lambda g, s, error: -0.5 * torch.sigmoid(g) * torch.sigmoid(-g) * s * error, e)),
        ("that is the root of the SNR. The error is squared, and so is the factor between the two errors.",
         parts(lambda g, s, error: -0.5 * (g / 2).exp() * s * error, e)),
    ]
    numbers = [(tensor(-1.0, 0.5, 2.0), tensor(-3.0, -0.7, -5.0), tensor(0.6, 0.3, 0.1), tensor(0.2, 0.4, 0.8)),
               (tensor(1.2, -2.5), tensor(-8.0, -0.2), tensor(0.25, 0.9), tensor(0.7, 0.05))]
    diagnosed(attempt, right, causes, "The rate is -½ · SNR · slope · mse from the error of x_0, and -½ · slope · mse "
              "from that of ε. The slope stands in both.", numbers)
    areas = [area_along(attempt, path) for path in (lambda u: 6 - 20 * u, lambda u: 6 - 20 * u**2)]
    return (f"And the timetable cancels: for data N(0, 1), log SNR from 6 to -14, a straight path costs {areas[0]:.2f} "
            f"nats, a bent one {areas[1]:.2f}.")


def area_along(rates, path):
    """The integral of the first rate over u from 0 to 1, for data N(0, 1), whose mse is 1/(1+SNR)."""
    u = torch.linspace(0, 1, 20001, dtype=torch.float64)
    log_snr = path(u)
    slope = torch.gradient(log_snr, spacing=(u,), edge_order=2)[0]
    error = torch.sigmoid(-log_snr)
    rate, _ = rates(log_snr, slope, error, log_snr.exp() * error)
    return torch.trapezoid(torch.as_tensor(rate), u).item()


# An estimator: judged example by example, from its one call of the denoiser

def mixing(schedule):
    """A denoiser x̂_0 for tests, half of x_t/√ᾱ_t and a fifth of the next number's: wrong, but known."""

    def answer(x_t, t, label):
        t = torch.as_tensor(t).reshape(-1)
        y = x_t / schedule.alpha_bar[t].sqrt().reshape(-1, *[1] * (x_t.ndim - 1))
        return 0.5 * y + 0.2 * y.roll(1, dims=-1)

    return Denoiser(answer, schedule)


class Call(NamedTuple):
    """What the denoiser was asked, and what it said."""

    x_t: torch.Tensor
    t: torch.Tensor
    x_0_hat: torch.Tensor


BETAS = [tensor(0, 0.2, 0.25, 0.4, 0.5, 0.7), tensor(0, 0.3, 0.2, 0.1, 0.35, 0.2, 0.5, 0.6)]
DIMENSIONS = [3, 2]  # so that 1/d, 1/(T-1) and ½ all differ
N = 20_000


@answers
def check_one_call(attempt):
    judged = []
    for beta, d in zip(BETAS, DIMENSIONS):
        x_0 = tensor(0.9, -0.4, 0.5)[:d] + 0.7 * torch.randn(
            N, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64)
        value, call = one_run(attempt, beta, x_0, 0)
        again, _ = one_run(attempt, beta, x_0, 0)
        if not torch.equal(value, again):
            raise Wrong("two runs with generators of the same seed gave different results: every draw must come from "
                        "the generator that is handed over, as in torch.randn(…, generator=generator).")
        other, other_call = one_run(attempt, beta, x_0, 1)
        if torch.equal(value, other):
            raise Wrong("generators of two different seeds gave the same result: draw the time and the noise from the "
                        "generator.")
        if torch.equal(call.t, other_call.t):
            raise Wrong("generators of two different seeds gave the same times: draw them, as in "
                        "torch.randint(2, T + 1, (n,), generator=generator).")
        require_jump(x_0, call, Schedule(beta))
        require_times(call.t, len(beta) - 1)
        judged.append((value, terms_from(x_0, call, Schedule(beta)), call))
    if all(equal(value, known[""]) for value, known, _ in judged):
        return "On average it is the sum of all step terms, from one call."
    for cause in [cause for cause in judged[0][1] if cause]:
        if all(equal(value, known[cause]) for value, known, _ in judged):
            raise Wrong(cause)
    value, known, call = next(case for case in judged if not equal(case[0], case[1][""]))
    i = int((value - known[""]).abs().argmax())
    raise Wrong("each example is due (T-1) · ½ (SNR_(t-1) - SNR_t) ‖x_0 - x̂_0‖², with the x̂_0 that the denoiser "
                "gave. For "
                "example {i}, whose t is {t}, that is {due:.4g}, but yours is {given:.4g}.",
                i=i, t=int(call.t[i]), due=float(known[""][i]), given=float(value[i]))


def one_run(attempt, beta, x_0, seed):
    """The reader's estimates, float64 (n,), and the one call of the denoiser; raises Wrong where they are none."""
    exact, calls = mixing(Schedule(beta)), []

    def answer(x_t, t, label):
        x_0_hat = exact(x_t, t)
        calls.append(Call(x_t.clone(), torch.as_tensor(t).clone(), x_0_hat.clone()))
        return x_0_hat

    given = attempt(Denoiser(answer, Schedule(beta)), x_0.clone(), torch.Generator().manual_seed(seed))
    value = tensor_like(given, torch.zeros(len(x_0), dtype=torch.float64))
    if value.dtype != torch.float64:
        raise Wrong("the result should be float64, as x_0 is, but yours is {given}: look where the type changes.",
                    given=str(value.dtype).removeprefix("torch."))
    if not bool(value.isfinite().all()):
        raise Wrong("some results are infinite. At t = 1 the gain is SNR_0 - SNR_1, and SNR_0 is infinite: draw t from "
                    "2…T.")
    return value, require_one_call(calls, x_0)


def require_one_call(calls, x_0):
    if not calls:
        raise Wrong("the denoiser was never asked. Its answer is what the term is about.")
    if len(calls) > 1:
        raise Wrong("the denoiser was called {n} times. Once is enough: each example has a time of its own, and t is a "
                    "tensor of them.", n=len(calls))
    call = calls[0]
    if call.t.numel() != len(x_0) or len(call.t.unique()) == 1:
        raise Wrong("all examples share one time. Draw a time for each: torch.randint(2, T + 1, (n,), "
                    "generator=generator).")
    if call.x_t.shape != x_0.shape:
        raise Wrong("the denoiser should see x_t of the shape of x_0, {due}, but saw {given}.",
                    due=tuple(x_0.shape), given=tuple(call.x_t.shape))
    if torch.equal(call.x_t, x_0):
        raise Wrong("you showed the denoiser x_0 itself. It must see x_t, the jump to time t.")
    return call._replace(t=call.t.reshape(-1))


def noise_in(x_0, call, schedule):
    alpha_bar = schedule.alpha_bar[call.t, None]
    return (call.x_t - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()


def require_jump(x_0, call, schedule):
    """Raise Wrong unless what was shown is x_t, with fresh standard normal noise in each; six standard errors."""
    eps = noise_in(x_0, call, schedule)
    error = 6 / len(eps) ** 0.5
    if float((eps - eps[:1]).abs().max()) < 1e-9:
        raise Wrong("all examples have one and the same noise: draw noise of the shape of x_0.")
    if float((eps - eps[:, :1]).abs().max()) < 1e-9:
        raise Wrong("all numbers of an example have one and the same noise: draw noise of the shape of x_0, (n, d).")
    signal = (eps[:, :, None] * (x_0 - x_0.mean(dim=0))[:, None]).mean(dim=0).abs().max()
    if float(eps.mean(dim=0).abs().max()) > error or float((eps.var() - 1).abs()) > error or float(signal) > error:
        raise Wrong("what the denoiser saw is not the jump x_t = √ᾱ_t x_0 + √(1-ᾱ_t) ε to the time t that it was told: "
                    "solved for ε, it has mean {mean:.2f} and variance {var:.2f}, and should have 0 and 1, whatever "
                    "x_0.",
                    mean=float(eps.mean()), var=float(eps.var()))
    if abs(float((eps**4).mean()) - 3) > 5 * error:
        raise Wrong("your noise has variance 1, but is not normal: the average of ε⁴ should be near 3, and yours is "
                    "{fourth:.2f}. Draw it with torch.randn.", fourth=float((eps**4).mean()))


def require_times(t, T):
    """Raise Wrong unless each t is drawn by itself from 2…T, every time alike; six standard errors."""
    if int(t.max()) < T:
        raise Wrong("the last time is never drawn: torch.randint(2, T, …) ends at T-1.")
    counts = torch.bincount(t, minlength=T + 1)[2:].double()
    due = len(t) / (T - 1)
    if float((counts - due).abs().max()) > 6 * due**0.5:
        raise Wrong("times are to be drawn every one alike, about {due:.0f} examples each; yours, from 2 to {T}, "
                    "came up "
                    "{counts} times.", due=due, T=T, counts=[int(count) for count in counts])
    place = torch.arange(len(t), dtype=torch.float64)
    follow = torch.corrcoef(torch.stack([t[:-1].double(), t[1:].double()]))[0, 1]
    if max(abs(float(torch.corrcoef(torch.stack([t.double(), place]))[0, 1])), abs(float(follow))) > 6 / len(t) ** 0.5:
        raise Wrong("your times are in an order: which time an example has can be told from its place. Draw each by "
                    "itself, and do not sort.")


def terms_from(x_0, call, schedule):
    """What right and wrong estimators make of a call, (n,): {cause: values}, the right one under ""."""
    snr, T, t, d = schedule.snr, schedule.T, call.t, x_0.shape[1]
    squared = ((x_0 - call.x_0_hat) ** 2).sum(dim=1)
    gain = snr[t - 1] - snr[t]
    right = (T - 1) * 0.5 * gain * squared
    mean_over_d = "you averaged over the dimensions. ‖·‖² is a sum over them."
    no_gain = "the gain in SNR is missing: that is {} of the errors alone."
    return {
        "": right,
        "that is the average of the step terms, not their sum: each draw stands for T-1 terms.": right / (T - 1),
        "you multiplied by T. Times are drawn from 2…T, and these are T-1.": right * T / (T - 1),
        "twice too large: the ½ of equation (4) is missing.": 2 * right,
        mean_over_d: right / d,
        "you averaged over the dimensions, where ‖·‖² is a sum, and each draw stands for T-1 terms.":
            right / d / (T - 1),
        no_gain.format("the sum"): (T - 1) * squared,
        no_gain.format("half the sum"): (T - 1) * 0.5 * squared,
        no_gain.format("the average"): squared,
        no_gain.format("half the average"): 0.5 * squared,
        "the sign is turned: the gain of a step back is SNR_{t-1} - SNR_t.": -right,
        "the gain belongs to the wrong step: it is SNR_{t-1} - SNR_t, and you took SNR_t - SNR_{t+1}.":
            (T - 1) * 0.5 * (snr[t] - torch.cat([snr, snr.new_zeros(1)])[t + 1]) * squared,
        "you took SNR_t in place of the gain SNR_{t-1} - SNR_t.": (T - 1) * 0.5 * snr[t] * squared,
        "you compared the answer, which is about x_0, with the noise.":
            (T - 1) * 0.5 * gain * ((noise_in(x_0, call, schedule) - call.x_0_hat) ** 2).sum(dim=1),
        "the distance is not squared.": (T - 1) * 0.5 * gain * squared.sqrt(),
        "each example is due a number of its own, and yours have all the average: do not average over the examples.":
            right.mean().expand(len(x_0)),
    }


def equal(value, due):
    return torch.allclose(value, due, rtol=1e-6, atol=1e-6 * float(due.abs().max()))


# An experiment: judged by the variance that comes out

def coins(schedule, d=784):
    """(mean terms, mean squares) of the step terms t = 2…T for a picture of d coins, by quadrature; nats."""
    z = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    weight = (-0.5 * z**2).exp() * 0.01 / math.sqrt(2 * math.pi)
    snr = schedule.snr
    error = 1 - torch.tanh(snr[2:, None] + snr[2:, None].sqrt() * z)
    half_gain = (snr[1:-1] - snr[2:]) / 2
    cost, square = half_gain * (error**2 @ weight), half_gain**2 * (error**4 @ weight)
    return d * cost, (d * cost) ** 2 + d * (square - cost**2)


def variance_of(p, terms, squares):
    return float(torch.where(squares > 0, squares / p, 0.0).sum() - terms.sum() ** 2)


@answers
def check_chances(attempt):
    cases = [coins(cosine(100)), coins(linear(60))]
    given = [tensor_like(attempt(terms.clone(), squares.clone()), terms) for terms, squares in cases]
    if any(p.dtype != torch.float64 for p in given):
        raise Wrong("the chances should be float64, as mean_terms is: look where the type changes on the way.")
    if any(bool((p < 0).any()) for p in given):
        raise Wrong("some chances are negative.")
    if any(abs(float(p.sum()) - 1) > 1e-6 for p in given):
        raise Wrong("the chances add up to {total:.4g}, and should to 1: divide them by their sum.",
                    total=float(given[0].sum()))
    gains = [variance_of(torch.full_like(p, 1 / len(p)), *case) / variance_of(p, *case)
             for p, case in zip(given, cases)]
    if min(gains) > 10:
        return f"The variance falls by a factor of {gains[0]:.0f}: so many fewer calls for the same error bar."
    causes = [
        ("these are even chances: the variance stays as it was.", lambda terms, squares: torch.ones_like(terms)),
        ("in proportion to the mean terms: better than even chances, but times with small terms on average, and a rare "
         "large one, are hardly ever drawn. The mean squares know about those.", lambda terms, squares: terms),
        ("in proportion to the mean squares you overdo it: the smaller terms come up so rarely that each then counts "
         "enormously. Between even chances and these, which power is best?", lambda terms, squares: squares),
        ("these are larger where the mean terms are smaller: turn that round.",
         lambda terms, squares: 1 / (terms + 1e-9)),
        ("these are larger where the mean squares are smaller: turn that round.",
         lambda terms, squares: 1 / (squares + 1e-9)),
        ("in proportion to the roots of the mean terms: it is the mean squares that make the variance.",
         lambda terms, squares: terms.sqrt()),
        ("a softmax of the mean terms puts nearly everything on one time.", lambda terms, squares: terms.softmax(0)),
    ]
    for cause, wrong in causes:
        due = [wrong(*case) for case in cases]
        if all(float((p - w / w.sum()).abs().max()) < 1e-3 * float((w / w.sum()).max()) for p, w in zip(given, due)):
            raise Wrong(cause)
    if any(bool(((p == 0) & (squares > 0)).any()) for p, (_, squares) in zip(given, cases)):
        raise Wrong("some chances are 0. A time that never comes up is left out of the sum for good: the estimate is "
                    "no longer right on average. Where mean_squares is positive, the chance must be, too.")
    if min(gains) < 1:
        raise Wrong("with your chances the variance rises by a factor of {rise:.2g}: even chances are better. It is "
                    "Σ mean_squares/p - (Σ mean_terms)²: which p makes it smallest?", rise=1 / min(gains))
    raise Wrong("with your chances the variance falls by a factor of {gain:.2g}; a tenth is asked for, and possible, "
                "on two chains. The variance is Σ mean_squares/p - (Σ mean_terms)²: which p makes it smallest?",
                gain=min(gains))


# A judgement: a set of letters

SENTENCES = {
    "A": "A does not follow: both numbers are roofs. Theirs may be the looser one, and their likelihood the higher.",
    "B": "B follows, and you left it out: the roof, 1.1, is below 1.5, so what is under the roof is below 1.5, too.",
    "C": "C does not follow: the bound counts every bit alike, and many bits settle greys that no eye can tell apart.",
    "D": "D follows, and you left it out: the KL from data to model is the average -log p less H, and that average is "
         "below the bound.",
    "E": "E does not follow: with the same denoiser, smaller steps lower the sum.",
}


@answers
def check_which_follow(attempt):
    require_letters(attempt(), "BD", SENTENCES)
    return "B and D: a roof below 1.5, and a distance to the floor. The other three do not follow."


# Three faults in one program

@answers
def check_prior_bits(attempt):
    def right(x_0, alpha_bar_T):
        return with_faults(x_0, alpha_bar_T)

    said = {
        "sign": "the logarithms of the variances have the wrong sign, so that two unequal Gaussians may have a "
                "negative KL: it is log_var_2 - log_var_1",
        "log": "log_var holds a variance, not its logarithm",
        "mean": "the mean over pixels has divided by d already, and then you divide by d again",
    }
    causes = []
    for n in (1, 2, 3):
        for faults in itertools.combinations(said, n):
            start = "one fault is left: " if n == 1 else f"{'two' if n == 2 else 'three'} faults are left: "
            causes.append((start + "; ".join(said[fault] for fault in faults) + ".",
                           lambda x, a, faults=faults: with_faults(x, a, *faults)))
    causes += [
        ("these are nats per dimension: a bit is log 2 nats.", lambda x, a: right(x, a) * LOG_2),
        ("these are bits for the whole example: divide by d.", lambda x, a: right(x, a) * x.shape[1]),
        ("these are nats for the whole example: divide by d log 2.", lambda x, a: right(x, a) * x.shape[1] * LOG_2),
        ("each example has a number of its own: do not average over the examples.", lambda x, a: right(x, a).mean()),
        ("the KL is the wrong way round: q(x_T given x_0) comes first, the prior second.",
         lambda x, a: (0.5 * ((1 + a * x**2) / (1 - a) - 1 + math.log(1 - a))).mean(dim=1) / LOG_2),
        ("the mean of x_T is √ᾱ_T x_0, squared ᾱ_T x_0²; yours has another power of ᾱ_T.",
         lambda x, a: (0.5 * (1 - a + a**2 * x**2 - 1 - math.log(1 - a))).mean(dim=1) / LOG_2),
        ("the ½ is missing.", lambda x, a: 2 * right(x, a)),
    ]
    numbers = [(torch.tensor([[0.3, -1.0, 0.8], [0.0, 0.2, -0.1]], dtype=torch.float64), 0.3),
               (torch.tensor([[1.0, 1.0], [-0.4, 0.9], [0.5, -0.2]], dtype=torch.float64), 0.05)]
    diagnosed(attempt, right, causes, "Per pixel it is ½ (1-ᾱ + ᾱ x_0² - 1 - log(1-ᾱ)) nats; add up, and divide by d "
              "log 2.", numbers, tolerance=1e-9)
    return "Three faults found: a sign, a variance for a logarithm, and d divided by twice."


def with_faults(x_0, alpha_bar_T, *faults):
    """The prior term in bits per dimension, (n,), with none or some of the three faults."""
    var = 1 - alpha_bar_T
    log_var = var if "log" in faults else math.log(var)
    logs = log_var if "sign" in faults else -log_var
    ratio = math.exp(log_var)
    nats = 0.5 * (-1 + logs + ratio + alpha_bar_T * x_0**2)
    return nats.mean(dim=1) / LOG_2 / (x_0.shape[1] if "mean" in faults else 1)
