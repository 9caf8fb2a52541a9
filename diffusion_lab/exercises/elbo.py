"""The checks of the exercises of lessons/04_elbo."""

import itertools
import math

import torch

from diffusion_lab.exercises.feedback import NONE, Wrong, answers, diagnosed, tensor_like
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.schedule import Schedule, cosine, linear

LOG_2 = math.log(2)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@answers
def check_cost_rates(attempt):
    def right(lam, slope, mse_x_0, mse_eps):
        return -0.5 * lam.exp() * slope * mse_x_0, -0.5 * slope * mse_eps

    def parts(x, eps):
        """A wrong function whose two results are these."""
        return lambda lam, slope, mse_x_0, mse_eps: (x(lam, slope, mse_x_0), eps(lam, slope, mse_eps))

    def x(lam, slope, error):
        return -0.5 * lam.exp() * slope * error

    def e(lam, slope, error):
        return -0.5 * slope * error

    sign = ("the sign is turned: the SNR falls along the chain, slope is negative, and a cost is positive. The gain of "
            "a step back is SNR at its end less SNR at its start.")
    half = "twice too large: the ½ of equation (4) is missing."
    causes = [
        (sign, parts(lambda *a: -x(*a), lambda *a: -e(*a))),
        ("the first is right; the second has the wrong sign: slope is negative, and a cost is positive.",
         parts(x, lambda *a: -e(*a))),
        ("the second is right; the first has the wrong sign: slope is negative, and a cost is positive.",
         parts(lambda *a: -x(*a), e)),
        (half, parts(lambda *a: 2 * x(*a), lambda *a: 2 * e(*a))),
        ("the first is right; from the second the ½ of equation (4) is missing.", parts(x, lambda *a: 2 * e(*a))),
        ("the second is right; from the first the ½ of equation (4) is missing.", parts(lambda *a: 2 * x(*a), e)),
        (sign + " And the ½ of equation (4) is missing.", parts(lambda *a: -2 * x(*a), lambda *a: -2 * e(*a))),
        ("the second is right; in the first the SNR is missing: slope is that of log SNR, and d SNR = SNR dλ.",
         parts(e, e)),
        ("the first is right; in the second the SNR is once too often: the error of ε is SNR times that of x_0, so "
         "it is in there already.", parts(x, x)),
        ("the two are exchanged: the SNR belongs to the error of x_0; that of ε contains it already.", parts(e, x)),
        ("the first is right; the second is divided by the SNR. The error of ε is SNR times that of x_0: put that "
         "into the first, and the SNR cancels.", parts(x, lambda lam, s, error: e(lam, s, error) / lam.exp())),
        ("the second is right; the first is divided by the SNR, and should be multiplied by it: d SNR = SNR dλ.",
         parts(lambda lam, s, error: e(lam, s, error) / lam.exp(), e)),
        ("lam is the logarithm of the SNR; you took it for the SNR itself. SNR = exp(lam).",
         parts(lambda lam, s, error: -0.5 * lam * s * error, e)),
        ("slope is missing: how much is charged per unit of time depends on how fast the noise level changes.",
         parts(lambda lam, s, error: 0.5 * lam.exp() * error, lambda lam, s, error: 0.5 * error)),
        ("slope is missing: how much is charged per unit of time depends on how fast the noise level changes. (And the "
         "sign.)", parts(lambda lam, s, error: -0.5 * lam.exp() * error, lambda lam, s, error: -0.5 * error)),
        ("you took ᾱ, that is SNR/(1+SNR), where the SNR itself belongs.",
         parts(lambda lam, s, error: -0.5 * torch.sigmoid(lam) * s * error, e)),
        ("you took the derivative of SNR for that of ᾱ: the bound counts SNR, not ᾱ.",
         parts(lambda lam, s, error: -0.5 * torch.sigmoid(lam) * torch.sigmoid(-lam) * s * error, e)),
        ("that is the root of the SNR. The error is squared, and so is the factor between the two errors.",
         parts(lambda lam, s, error: -0.5 * (lam / 2).exp() * s * error, e)),
    ]
    numbers = [(tensor(-1.0, 0.5, 2.0), tensor(-3.0, -0.7, -5.0), tensor(0.6, 0.3, 0.1), tensor(0.2, 0.4, 0.8)),
               (tensor(1.2, -2.5), tensor(-8.0, -0.2), tensor(0.25, 0.9), tensor(0.7, 0.05))]
    diagnosed(attempt, right, causes, "The rate is -½ SNR λ' mse from the error of x_0, and -½ λ' mse from that of ε.",
              numbers)
    areas = [area_along(attempt, path) for path in (lambda u: 6 - 20 * u, lambda u: 6 - 20 * u**2)]
    return (f"And the timetable cancels: for data N(0, 1), log SNR from 6 to -14, a straight path costs {areas[0]:.2f} "
            f"nats, a bent one {areas[1]:.2f}.")


def area_along(rates, path):
    """The integral of the first rate over u from 0 to 1, for data N(0, 1), whose mse is 1/(1+SNR)."""
    u = torch.linspace(0, 1, 20001, dtype=torch.float64)
    lam = path(u)
    slope = torch.gradient(lam, spacing=(u,), edge_order=2)[0]
    error = torch.sigmoid(-lam)
    rate, _ = rates(lam, slope, error, lam.exp() * error)
    return torch.trapezoid(torch.as_tensor(rate), u).item()


# An estimator: judged by its averages

def shrunk(schedule):
    """The denoiser x̂_0 = ½ x_t/√ᾱ_t of all data: wrong, but its error is known, ¼ x_0² + ¼/SNR."""

    def answer(x_t, t, label):
        t = torch.as_tensor(t).reshape(-1)
        return 0.5 * x_t / schedule.alpha_bar[t].sqrt().reshape(-1, *[1] * (x_t.ndim - 1))

    return Denoiser(answer, schedule)


def counted(denoiser):
    """The denoiser, and a list of the shapes of t with which it was called."""
    calls = []

    def answer(x_t, t, label):
        calls.append(torch.as_tensor(t).clone())
        return denoiser(x_t, t)

    return Denoiser(answer, denoiser.schedule), calls


CHAINS = [(Schedule(tensor(0, 0.2, 0.25, 0.4, 0.5, 0.7)), tensor(0.9, -0.4)),
          (Schedule(tensor(0, 0.3, 0.2, 0.1, 0.35, 0.2, 0.5, 0.6)), tensor(0.2, 0.5, -1.4))]
N = 40_000


def averages(schedule, x):
    """For x_0 = x: what right and wrong estimators give on average; {cause: average}, the right one under ""."""
    T, snr, d = schedule.T, schedule.snr, len(x)
    t = torch.arange(2, T + 1)
    error = 0.25 * ((x**2).sum() + d / snr[1:])  # t = 1…T
    error_t = error[1:]
    gain = snr[t - 1] - snr[t]
    right = 0.5 * (gain * error_t).sum()
    after = torch.cat([snr[3:], snr.new_zeros(1)])
    return {
        "": right,
        "that is the average of the step terms, not their sum: each draw stands for T-1 terms.": right / (T - 1),
        "you multiplied by T. Times are drawn from 2…T, and these are T-1.": right * T / (T - 1),
        "twice too large: the ½ of equation (4) is missing.": 2 * right,
        "you averaged over the dimensions. ‖·‖² is a sum over them.": right / d,
        "you averaged over the dimensions, where ‖·‖² is a sum, and each draw stands for T-1 terms.":
            right / d / (T - 1),
        "the gain in SNR is missing: that is the sum of the errors alone.": error_t.sum(),
        "the gain in SNR is missing: that is half the sum of the errors alone.": 0.5 * error_t.sum(),
        "the sign is turned: the gain of a step back is SNR_{t-1} - SNR_t.": -right,
        "the gain belongs to the wrong step: it is SNR_{t-1} - SNR_t, and you took SNR_t - SNR_{t+1}.":
            0.5 * ((snr[t] - after) * error_t).sum(),
        "you took SNR_t in place of the gain SNR_{t-1} - SNR_t.": 0.5 * (snr[t] * error_t).sum(),
        "the last time is never drawn: torch.randint(2, T, …) ends at T-1.":
            0.5 * (gain * error_t)[:-1].sum() * (T - 1) / (T - 2),
        "you showed the denoiser x_0 itself. It must see x_t, the jump to time t.":
            0.5 * (gain * ((1 - 0.5 / schedule.alpha_bar[t].sqrt()) ** 2 * (x**2).sum())).sum(),
        "you compared the guess of x_0 with the noise.":
            0.5 * (gain * (0.25 * (x**2).sum() + d * (1 - 0.5 / snr[t].sqrt()) ** 2)).sum(),
        "the distance is not squared.": None,
    }


@answers
def check_one_call(attempt):
    found = []
    for schedule, x in CHAINS:
        denoiser, calls = counted(shrunk(schedule))
        x_0 = x.expand(N, -1).clone()
        value = one_run(attempt, denoiser, x_0, 0)
        require_one_call(calls)
        if not torch.equal(value, one_run(attempt, denoiser, x_0, 0)):
            raise Wrong("two runs with generators of the same seed gave different results: every draw must come from "
                        "the generator that is handed over, as in torch.randn(…, generator=generator).")
        if torch.equal(value, one_run(attempt, denoiser, x_0, 1)):
            raise Wrong("generators of two different seeds gave the same result: draw the time and the noise from the "
                        "generator.")
        found.append((value, averages(schedule, x)))
    if all(near(value, known[""]) for value, known in found):
        return "On average it is the sum of all step terms, from one call."
    for cause in [cause for cause in found[0][1] if cause]:
        if all(known[cause] is not None and near(value, known[cause]) for value, known in found):
            raise Wrong(cause)
    value, known = found[0]
    raise Wrong("the average should be {due:.2f}, but yours is {given:.2f} (± {error:.2f}), with T = 5, "
                "x_0 = (0.9, -0.4) and the guess half of x_t/√ᾱ_t. It is (T-1) · ½ (SNR_(t-1) - SNR_t) ‖x_0 - x̂_0‖².",
                due=known[""].item(), given=value.mean().item(), error=standard_error(value).item())


def one_run(attempt, denoiser, x_0, seed):
    """The reader's estimates: float64 (n,); raises Wrong where they are none."""
    given = attempt(denoiser, x_0.clone(), torch.Generator().manual_seed(seed))
    value = tensor_like(given, torch.zeros(len(x_0), dtype=torch.float64))
    if value.dtype != torch.float64:
        raise Wrong("the result should be float64, as x_0 is, but yours is {given}: look where the type changes.",
                    given=str(value.dtype).removeprefix("torch."))
    if not bool(value.isfinite().all()):
        raise Wrong("some results are infinite. At t = 1 the gain is SNR_0 - SNR_1, and SNR_0 is infinite: draw t from "
                    "2…T.")
    return value


def require_one_call(calls):
    if not calls:
        raise Wrong("the denoiser was never asked. Its guess is what the term is about.")
    if len(calls) > 1:
        raise Wrong("the denoiser was called {n} times. Once is enough: each example has a time of its own, and t is a "
                    "tensor of them.", n=len(calls))
    t = calls[0]
    if t.numel() != N or len(t.unique()) == 1:
        raise Wrong("all examples share one time. Draw a time for each: torch.randint(2, T + 1, (n,), "
                    "generator=generator).")


def standard_error(value):
    return value.std() / len(value) ** 0.5


def near(value, average):
    return bool((value.mean() - average).abs() < 4.5 * standard_error(value) + 1e-12)


# An experiment: judged by the variance that comes out

def coins(schedule, d=784):
    """(costs, squares) of the step terms t = 2…T for a picture of d coins, by quadrature; nats."""
    z = torch.linspace(-9, 9, 1801, dtype=torch.float64)
    weight = (-0.5 * z**2).exp() * 0.01 / math.sqrt(2 * math.pi)
    snr = schedule.snr
    miss = 1 - torch.tanh(snr[2:, None] + snr[2:, None].sqrt() * z)
    half_gain = (snr[1:-1] - snr[2:]) / 2
    cost, square = half_gain * (miss**2 @ weight), half_gain**2 * (miss**4 @ weight)
    return d * cost, (d * cost) ** 2 + d * (square - cost**2)


def variance_of(p, costs, squares):
    return float(torch.where(squares > 0, squares / p, 0.0).sum() - costs.sum() ** 2)


@answers
def check_chances(attempt):
    cases = [coins(cosine(100)), coins(linear(60))]
    given = [tensor_like(attempt(costs.clone(), squares.clone()), costs) for costs, squares in cases]
    if any(p.dtype != torch.float64 for p in given):
        raise Wrong("the chances should be float64, as costs and squares are: look where the type changes on the way.")
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
        ("these are even chances: the variance stays as it was.", lambda costs, squares: torch.ones_like(costs)),
        ("in proportion to the costs: better than even chances, but times with small terms on average, and a rare "
         "large one, are hardly ever drawn. The squares know about those.", lambda costs, squares: costs),
        ("in proportion to the squares you overdo it: the smaller terms come up so rarely that each then counts "
         "enormously. Between even chances and these, which power is best?", lambda costs, squares: squares),
        ("these are larger where the costs are smaller: turn that round.", lambda costs, squares: 1 / (costs + 1e-9)),
        ("these are larger where the squares are smaller: turn that round.",
         lambda costs, squares: 1 / (squares + 1e-9)),
        ("in proportion to the roots of the costs: it is the squares that make the variance.",
         lambda costs, squares: costs.sqrt()),
        ("a softmax of the costs puts nearly everything on one time.", lambda costs, squares: costs.softmax(0)),
    ]
    for cause, wrong in causes:
        due = [wrong(*case) for case in cases]
        if all(float((p - w / w.sum()).abs().max()) < 1e-3 * float((w / w.sum()).max()) for p, w in zip(given, due)):
            raise Wrong(cause)
    if any(bool(((p == 0) & (squares > 0)).any()) for p, (_, squares) in zip(given, cases)):
        raise Wrong("some chances are 0. A time that never comes up is left out of the sum for good: the estimate is "
                    "no longer right on average. Add a little to each.")
    raise Wrong("with your chances the variance falls by a factor of {gain:.2g}; a tenth is asked for, and possible, "
                "on two chains. The variance is Σ squares/p - (Σ costs)²: which p makes it smallest?", gain=min(gains))


# A judgement: a set of letters

WRONGLY = {
    "A": "A does not follow: both numbers are roofs. Theirs may be the looser one, and their likelihood the higher.",
    "C": "C does not follow: most bits are spent on the finest grain, which no eye sees.",
    "E": "E does not follow: with the same denoiser, finer steps lower the sum.",
}
MISSED = {
    "B": "B follows, and you left it out: the roof, 1.1, is below 1.5, so what is under the roof is below 1.5, too.",
    "D": "D follows, and you left it out: the KL from data to model is the average -log p less H, and that average is "
         "below the bound.",
}
NO_LETTERS = "letters from A to E were expected, as in {{\"A\", \"C\"}} or \"AC\", but your function returned {kind}."


@answers
def check_which_follow(attempt):
    given = attempt()
    if given is None:
        raise Wrong(NONE)
    if isinstance(given, dict):
        given = [letter for letter, chosen in given.items() if chosen]
    if not isinstance(given, (str, list, tuple, set, frozenset)):
        raise Wrong(NO_LETTERS, kind=type(given).__name__)
    letters = {letter for text in given for letter in str(text).upper() if letter.isalnum()}
    if not letters or letters - set("ABCDE"):
        raise Wrong(NO_LETTERS, kind=repr(given))
    for letter, why in [*WRONGLY.items(), *MISSED.items()]:
        if (letter in letters) == (letter in WRONGLY):
            raise Wrong(why)
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
              "log 2.", numbers)
    return "Three faults found: a sign, a variance for a logarithm, and d divided by twice."


def with_faults(x_0, alpha_bar_T, *faults):
    """The prior term in bits per dimension, (n,), with none or some of the three faults."""
    var = 1 - alpha_bar_T
    log_var = var if "log" in faults else math.log(var)
    logs = log_var if "sign" in faults else -log_var
    ratio = math.exp(log_var)
    nats = 0.5 * (-1 + logs + ratio + alpha_bar_T * x_0**2)
    return nats.mean(dim=1) / LOG_2 / (x_0.shape[1] if "mean" in faults else 1)
