"""The checks of the exercises of lessons/08_sampling."""

import numpy as np
import torch

from diffusion_lab.exercises.feedback import NONE, Wrong, answers, diagnosed, require_letters
from diffusion_lab.guard import require
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)
Z = torch.tensor([-0.7, 1.1, 0.3, 0.6, -1.4], dtype=torch.float64)


def as_floats(attempt):
    """The reader's function, where floats are due: a tensor made of one has torch's default dtype, no fault."""

    def answer(*case):
        given = attempt(*case)
        if isinstance(given, (tuple, list)):
            return type(given)(part.double() if torch.is_tensor(part) else part for part in given)
        return given.double() if torch.is_tensor(given) else given

    return answer


@answers
def check_two_factors(attempt):
    def var(alpha_bar, v):
        return alpha_bar * v + 1 - alpha_bar

    def ddim(t, s, v, of_x_0=lambda t, s: (t * s) ** 0.5, of_eps=lambda t, s: ((1 - t) * (1 - s)) ** 0.5):
        return (of_x_0(t, s) * v + of_eps(t, s)) / var(t, v)

    def path(t, s, v):
        return (var(s, v) / var(t, v)) ** 0.5

    def right(alpha_bar_t, alpha_bar_s, v):
        return ddim(alpha_bar_t, alpha_bar_s, v), path(alpha_bar_t, alpha_bar_s, v)

    def first(wrong):
        return lambda t, s, v: (wrong(t, s, v), path(t, s, v))

    def second(wrong):
        return lambda t, s, v: (ddim(t, s, v), wrong(t, s, v))

    causes = [
        ("the two are in each other's place: first DDIM's factor, then that of the exact path.",
         lambda t, s, v: right(t, s, v)[::-1]),
        ("these are the factors of the variance. x_t itself is multiplied by their roots.",
         lambda t, s, v: tuple(factor**2 for factor in right(t, s, v))),
        ("these go the wrong way, from s to t.", lambda t, s, v: right(s, t, v)),
        ("that is the answer for v = 1, equation (5). Here the variance is v.", lambda t, s, v: right(t, s, 1.0)),
        ("v is a variance, and you used it as a standard deviation: it is squared once too often.",
         lambda t, s, v: right(t, s, v**2)),
        ("DDIM's factor is that for v = 1, equation (5). The exact path's is right.",
         first(lambda t, s, v: ddim(t, s, 1.0))),
        ("the exact path is right. In DDIM's factor the noise is missing: ε̂ depends on x_t, too.",
         first(lambda t, s, v: ddim(t, s, v, of_eps=lambda t, s: 0.0))),
        ("the exact path is right. In DDIM's factor x̂_0 is missing: it depends on x_t, too.",
         first(lambda t, s, v: ddim(t, s, v, of_x_0=lambda t, s: 0.0))),
        ("the exact path is right. In DDIM's factor you took ε̂ = √(1-ᾱ_t) x_t, as for v = 1. In general it is "
         "(x_t - √ᾱ_t x̂_0)/√(1-ᾱ_t).",
         first(lambda t, s, v: (t * s) ** 0.5 * v / var(t, v) + ((1 - t) * (1 - s)) ** 0.5)),
        ("the exact path is right. In DDIM's factor you took x̂_0 = √ᾱ_t x_t, as for v = 1.",
         first(lambda t, s, v: (t * s) ** 0.5 + ((1 - t) * (1 - s)) ** 0.5 / var(t, v))),
        ("the exact path is right. In DDIM's factor v is missing from x̂_0.",
         first(lambda t, s, v: ddim(t, s, v, of_x_0=lambda t, s: (t * s) ** 0.5 / v))),
        ("the exact path is right. DDIM's factor is not divided by c_t, the variance of x_t.",
         first(lambda t, s, v: ddim(t, s, v) * var(t, v))),
        ("the exact path is right. DDIM's factor is divided by c_s, and the network was asked at t.",
         first(lambda t, s, v: ddim(t, s, v) * var(t, v) / var(s, v))),
        ("the exact path is right. In DDIM's factor √ᾱ_s is missing: the digit is shrunk at s, as well.",
         first(lambda t, s, v: ddim(t, s, v, of_x_0=lambda t, s: t**0.5))),
        ("the exact path is right. In DDIM's factor you left out the roots of ᾱ_t ᾱ_s and of (1-ᾱ_t)(1-ᾱ_s).",
         first(lambda t, s, v: ddim(t, s, v, lambda t, s: t * s, lambda t, s: (1 - t) * (1 - s)))),
        ("the exact path is right. In DDIM's factor you took x̂_0 = x_t/√ᾱ_t, as if there were no noise in x_t.",
         first(lambda t, s, v: (s / t) ** 0.5)),
        ("the exact path is right. In DDIM's factor a sign is turned: both parts of x_s are added.",
         first(lambda t, s, v: ddim(t, s, v, of_eps=lambda t, s: -(((1 - t) * (1 - s)) ** 0.5)))),
        ("the exact path is right. In DDIM's factor v is squared: it is a variance already.",
         first(lambda t, s, v: ddim(t, s, v**2))),
        ("DDIM's factor is right. The path's is a ratio of variances: take the root.",
         second(lambda t, s, v: var(s, v) / var(t, v))),
        ("DDIM's factor is right. The path's is upside down: x_s/√c_s = x_t/√c_t.",
         second(lambda t, s, v: path(s, t, v))),
        ("DDIM's factor is right. The path stands still for v = 1 alone.", second(lambda t, s, v: 1.0)),
        ("DDIM's factor is right. The exact path is not DDIM in one step: it keeps x_t/√c_t.",
         second(ddim)),
        ("DDIM's factor is right. For the path, you let the data shrink and forgot the noise: c = ᾱ v + 1-ᾱ.",
         second(lambda t, s, v: (s / t) ** 0.5)),
        ("DDIM's factor is right. For the path, you let the noise shrink and forgot the data: c = ᾱ v + 1-ᾱ.",
         second(lambda t, s, v: ((1 - s) / (1 - t)) ** 0.5)),
    ]
    diagnosed(as_floats(attempt), right, causes,
              "With c = ᾱ v + 1-ᾱ: x̂_0 = √ᾱ_t v x_t / c_t and ε̂ = √(1-ᾱ_t) x_t / c_t; and the path keeps x_t/√c_t.",
              [(0.3, 0.8, 0.25), (0.05, 0.6, 2.5), (0.5, 0.9, 0.04)])
    return "The first is never larger than the second: every step of DDIM loses variance, and none gives it back."


@answers
def check_heun(attempt):
    schedule = cosine()
    mixture = GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.05, 0.2])
    exact = mixture.denoiser(schedule)

    def denoise(x_t, t):
        if isinstance(t, (int, np.integer)) and t == 0:
            raise Wrong("you asked the network at t = 0, where there is nothing to denoise: the last step, to s = 0, "
                        "takes the first answer as it is.")
        return exact(x_t[:, None], int(t))[:, 0]

    def with_network(sampler):
        """The sampler without its first argument, whose name would tell a reader nothing."""
        return lambda x_T, times, alpha_bar: sampler(denoise, x_T, times, alpha_bar)

    def walk(mix=lambda first, again: (first + again) / 2, asked=lambda x_t, x_s: x_s, at_time=lambda t, s: s,
             anew=True, fraction=lambda ratio: 1 - ratio, shrunk=True):
        """The sampler with one part exchanged."""

        def answer(denoise, x_T, times, alpha_bar):
            sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
            x_t = x_T
            for t, s in zip(times, times[1:] + [0]):
                noise_kept = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()
                towards = (alpha_bar[s].sqrt() if shrunk else 1.0) * fraction(sigma[s] / sigma[t])
                first = denoise(x_t, t)
                x_s = noise_kept * x_t + towards * first
                if s > 0:
                    D = mix(first, denoise(asked(x_t, x_s), at_time(t, s)))
                    x_s = noise_kept * (x_t if anew else x_s) + towards * D
                x_t = x_s
            return x_t

        return answer

    def in_slopes(denoise, x_T, times, alpha_bar):
        """Heun in σ itself, as EDM has it."""
        sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
        y = x_T / alpha_bar[times[0]].sqrt()
        for t, s in zip(times, times[1:] + [0]):
            slope = (y - denoise(alpha_bar[t].sqrt() * y, t)) / sigma[t]
            end = y + (sigma[s] - sigma[t]) * slope
            if s > 0:
                slope = (slope + (end - denoise(alpha_bar[s].sqrt() * end, s)) / sigma[s]) / 2
                end = y + (sigma[s] - sigma[t]) * slope
            y = end
        return y

    def unfinished(denoise, x_T, times, alpha_bar):
        """Stops at the last of the times."""
        sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
        x_t = x_T
        for t, s in zip(times, times[1:]):
            noise_kept = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()
            towards = alpha_bar[s].sqrt() * (1 - sigma[s] / sigma[t])
            D = denoise(x_t, t)
            D = (D + denoise(noise_kept * x_t + towards * D, s)) / 2
            x_t = noise_kept * x_t + towards * D
        return x_t

    def in_y(scaled):
        """Walks with y in the place of x_t and asks with y; scaled: y is made of x_T, and not x_T itself."""

        def answer(denoise, x_T, times, alpha_bar):
            sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
            y = x_T / alpha_bar[times[0]].sqrt() if scaled else x_T
            for t, s in zip(times, times[1:] + [0]):
                ratio = sigma[s] / sigma[t]
                D = denoise(y, t)
                if s > 0:
                    D = (D + denoise(ratio * y + (1 - ratio) * D, s)) / 2
                y = ratio * y + (1 - ratio) * D
            return y

        return answer

    def kept_answer(denoise, x_T, times, alpha_bar):
        """The second answer of a step serves as the first one of the next."""
        sigma = ((1 - alpha_bar) / alpha_bar).sqrt()
        x_t = x_T
        first = denoise(x_T, times[0])
        for t, s in zip(times, times[1:] + [0]):
            noise_kept = ((1 - alpha_bar[s]) / (1 - alpha_bar[t])).sqrt()
            towards = alpha_bar[s].sqrt() * (1 - sigma[s] / sigma[t])
            D = first
            if s > 0:
                again = denoise(noise_kept * x_t + towards * first, s)
                D = (first + again) / 2
                first = again
            x_t = noise_kept * x_t + towards * D
        return x_t

    causes = [
        ("you walk with y = x_t/√ᾱ_t, as (6) does, but the network wants x_t: multiply y by √ᾱ at the time at which "
         "you ask.", in_y(scaled=True)),
        ("(6) is a step of y = x_t/√ᾱ_t, and you took x_t for it: multiply all of it by √ᾱ_s, as `dpm_solver` does.",
         in_y(scaled=False)),
        ("the second answer of one step was kept as the first of the next. It was asked at another place: the step was "
         "taken anew since, so ask again.", kept_answer),
        ("that is DDIM: the second answer is not used, or both questions were the same (ask it with x_s at time s).",
         walk(mix=lambda first, again: first)),
        ("you used the second answer alone; take the mean of the two.", walk(mix=lambda first, again: again)),
        ("you added the two answers; take their mean.", walk(mix=lambda first, again: first + again)),
        ("the second question was asked with x_t, the state where the step begins. Ask where it ends, with x_s.",
         walk(asked=lambda x_t, x_s: x_t)),
        ("the second question was asked at time t; where the step ends it is s.", walk(at_time=lambda t, s: t)),
        ("you stepped on from x_s. Take the step *anew*, from x_t.", walk(anew=False)),
        ("you stopped at times[-1]. A last step goes from there to 0.", unfinished),
        ("that is e^{-h} where 1 - e^{-h} is due.", walk(fraction=lambda ratio: ratio)),
        ("a sign is turned: D is multiplied by √ᾱ_s (1 - σ_s/σ_t), and `expm1(-h)` is e^{-h} - 1.",
         walk(fraction=lambda ratio: ratio - 1)),
        ("√ᾱ_s is missing from the factor of D.", walk(shrunk=False)),
        ("h is half the difference of log SNR, and you took the whole: e^{-h} = σ_s/σ_t, not its square.",
         walk(fraction=lambda ratio: 1 - ratio**2)),
        ("that is Heun in σ: it averages the two slopes ε̂. Here average the two *answers* x̂_0, in (6). (From t = T, "
         "where σ is 20,000, a mean of slopes would be far off.)", in_slopes),
    ]
    alpha_bar = schedule.alpha_bar
    diagnosed(with_network(attempt), with_network(walk()),
              [(words, with_network(wrong)) for words, wrong in causes],
              "For each pair (t, s): ask, step by (6) to x_s, ask there at s, average, and step anew from x_t.",
              [(X, [900, 600, 350, 100], alpha_bar), (Y, [950, 400, 150], alpha_bar),
               (Z, [990, 930, 700, 420, 230, 90, 20], alpha_bar)])
    return "Two questions a step, and order 2. Now let it compete with dpm_solver, question for question."


PIXEL = GaussianMixture([0.75, 0.25], [[-1.0], [1.0]], [0.002, 0.002])
GOAL = 0.032


def off(times):
    """As in the lesson: the mean distance of dpm_solver's ends from those of the exact paths, for 100 starts."""
    left = (torch.arange(100, dtype=torch.float64)[:, None] + 0.5) / 100
    ends = last(dpm_solver(PIXEL.denoiser(cosine()), torch.special.ndtri(left), times))
    black = -1 + 0.002**0.5 * torch.special.ndtri(left[:75] / 0.75)
    white = 1 + 0.002**0.5 * torch.special.ndtri((left[75:] - 0.75) / 0.25)
    return (ends - torch.cat([black, white])).abs().mean().item()


@answers
def check_five_times(attempt):
    times = whole_numbers(attempt())
    if len(times) != 5:
        raise Wrong("five times were asked for, but yours are {n}: {times}.", n=len(times), times=times)
    if min(times) < 0 or max(times) > 1000:
        raise Wrong("times lie within 1…1000, but yours are {times}.", times=times)
    if 0 in times:
        raise Wrong("0 is no time to ask at: the step after the last time goes there by itself.")
    if times == sorted(times) and times[0] < times[-1]:
        raise Wrong("the times must fall, from noise to data: turn your list around.")
    if any(t <= s for t, s in zip(times, times[1:])):
        raise Wrong("each time must be smaller than the one before, but yours are {times}.", times=times)
    if times[0] != 1000:
        raise Wrong("your walk starts at t = {first}, but it starts from pure noise, which belongs to t = 1000.",
                    first=times[0])
    found = off(times)
    if times == spaced(1000, 5).tolist():
        raise Wrong("these are the times even in t. They are off by {found:.4f}; find times that are off by less than "
                    "{goal}.", found=found, goal=GOAL)
    if found >= GOAL:
        other, moved = other_last(times)
        if moved > 0.9 * found:
            raise Wrong("these are off by {found:.4f}; find times that are off by less than {goal}. Another last time "
                        "hardly helps; move those at which black and white are told apart.", found=found, goal=GOAL)
        raise Wrong("these are off by {found:.4f}; find times that are off by less than {goal}. With the last one at "
                    "{other} in place of {last} it would be {moved:.4f}.", found=found, goal=GOAL, last=times[-1],
                    other=other, moved=moved)
    return f"Off by {found:.3f}; evenly in t it is {off(spaced(1000, 5)):.3f}. No formula, a search."


def whole_numbers(given):
    """The reader's times as a list of ints; raises Wrong where they are none."""
    if given is None:
        raise Wrong(NONE)
    try:
        numbers = np.asarray(given.detach() if torch.is_tensor(given) else given)
        require(numbers.ndim == 1 and np.issubdtype(numbers.dtype, np.number), "no list of numbers")
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("a list of five whole numbers was expected, but your function returned {kind}.",
                    kind=type(given).__name__) from None
    if not (numbers == np.round(numbers)).all():
        raise Wrong("times are whole numbers, but yours are {times}: `round` or `int` makes them so.",
                    times=numbers.tolist())
    return [int(number) for number in numbers]


def other_last(times):
    """Of some other last times, the one that is off least, and by how much: (int, float)."""
    tried = [last for last in (20, 40, 60, 80, 100, 120, 150, 200, 300) if last < times[-2]] or [times[-1]]
    moved = {last: off([*times[:-1], last]) for last in tried}
    best = min(moved, key=moved.get)
    return best, moved[best]


@answers
def check_repaired_ddim(attempt):
    def step(x_t, x_0_hat, t, s, alpha_bar, eta, eps, second=None, std=lambda eta, var: eta * var.sqrt(),
             taken=lambda std: std**2, beta=lambda alpha_bar, t, s: 1 - alpha_bar[t] / alpha_bar[s]):
        beta_tilde = (1 - alpha_bar[s]) / (1 - alpha_bar[t]) * beta(alpha_bar, t, s)
        fresh = std(eta, beta_tilde)
        kept = (1 - alpha_bar[s] - taken(fresh)).clamp(min=0)
        eps_hat = (x_t - alpha_bar[t].sqrt() * x_0_hat) / (1 - alpha_bar[t]).sqrt() if second is None else second(
            x_t, x_0_hat, alpha_bar[t])
        return alpha_bar[s].sqrt() * x_0_hat + kept.sqrt() * eps_hat + fresh * eps

    def right(x_t, output, t, s, alpha_bar, eta, eps):
        return step(x_t, output, t, s, alpha_bar, eta, eps)

    def wrong(**change):
        return lambda *case: step(*case, **change)

    def output(x_t, x_0_hat, alpha_bar_t):
        return x_0_hat

    causes = [
        ("that is still the faulty step: both faults are in it.", wrong(second=output, taken=lambda std: std)),
        ("the variances are right now. But the network's output still stands where ε̂ is due: compute ε̂ from x_t and "
         "x̂_0.", wrong(second=output)),
        ("ε̂ is right now. But from 1-ᾱ_s, a variance, a standard deviation is subtracted: square it.",
         wrong(taken=lambda std: std)),
        ("ε̂ is right now. But what is subtracted from 1-ᾱ_s is the whole β̃; fresh noise has the variance η² β̃.",
         lambda x, o, t, s, a, eta, eps: step(x, o, t, s, a, eta, eps, taken=lambda std: (std / eta) ** 2 if eta else (
             (1 - a[s]) / (1 - a[t]) * (1 - a[t] / a[s])))),
        ("ε̂ is right now. But nothing is subtracted from 1-ᾱ_s: what is fresh, the old noise gives up.",
         wrong(taken=lambda std: 0 * std)),
        ("in ε̂ you divided by 1-ᾱ_t, a variance; divide by its root.",
         wrong(second=lambda x, o, a: (x - a.sqrt() * o) / (1 - a))),
        ("ε̂ is not rescaled: divide by √(1-ᾱ_t).", wrong(second=lambda x, o, a: x - a.sqrt() * o)),
        ("in x_t the digit is shrunk: take √ᾱ_t x̂_0 out of it.",
         wrong(second=lambda x, o, a: (x - o) / (1 - a).sqrt())),
        ("in x_t the digit is shrunk by √ᾱ_t, not by ᾱ_t.", wrong(second=lambda x, o, a: (x - a * o) / (1 - a).sqrt())),
        ("the noise is not x_t itself; take √ᾱ_t x̂_0 out of it and rescale.", wrong(second=lambda x, o, a: x)),
        ("a sign is turned: in x_t the noise is added, so ε̂ is x_t less the digit.",
         wrong(second=lambda x, o, a: (a.sqrt() * o - x) / (1 - a).sqrt())),
        ("that is v where ε̂ is due: in ε̂, √ᾱ_t stands before x̂_0, and not before x_t.",
         wrong(second=lambda x, o, a: (a.sqrt() * x - o) / (1 - a).sqrt())),
        ("you treated the output as if it were v: this network predicts x_0.",
         wrong(second=lambda x, o, a: a.sqrt() * o + (1 - a).sqrt() * x)),
        ("the fresh noise is multiplied by η² √β̃; it is η √β̃.", wrong(std=lambda eta, var: eta**2 * var.sqrt())),
        ("the fresh noise is multiplied by a variance; take the root of β̃.", wrong(std=lambda eta, var: eta * var)),
        ("β̃ is that of one step of the full chain, from t to t-1. This step ends at s.",
         wrong(beta=lambda alpha_bar, t, s: 1 - alpha_bar[t] / alpha_bar[t - 1])),
        ("β is 1-ᾱ_t/ᾱ_s, and you took 1-ᾱ_t.", wrong(beta=lambda alpha_bar, t, s: 1 - alpha_bar[t])),
    ]
    alpha_bar = cosine().alpha_bar
    diagnosed(attempt, right, causes, "ε̂ = (x_t - √ᾱ_t x̂_0)/√(1-ᾱ_t); then equation (4).",
              [(X, Y, 600, 350, alpha_bar, 0.5, Z), (Y, Z, 850, 700, alpha_bar, 0.9, X),
               (Z, X, 300, 120, alpha_bar, 0.0, Y)])
    no_number = ("right in between. But in the last step, to s = 0, yours is not a number: nothing may be divided by "
                 "1-ᾱ_s = 0, and no root taken of less than 0.", lambda x, *_: torch.nan * x)
    diagnosed(attempt, right, [no_number], "Right in between, but not in the last step, to s = 0: there x_s is x̂_0.",
              [(X, Y, 100, 0, alpha_bar, 0.5, Z), (Y, Z, 40, 0, alpha_bar, 1.0, X)])
    return "What a network says must be translated before it is used: notebook 05's table, inside a sampler."


REASONS = {
    "A": "A is true: it asks of each digit alone whether it can be read. A thousand equal fours would all be.",
    "B": "B is true: guidance_scale is 1 + w.",
    "C": "C is false: in the table the distance is smallest at a small weight, and then rises; accuracy does not fall.",
    "D": "D is true: by one ruler most of it goes, by another little, for the very same digits.",
    "E": "E is false: more steps follow the guided path more closely, and that path has less variety.",
    "F": "F is true: by the theorem of section 1 the path of w = 0 has the right laws; guided, it is another path.",
    "G": "G is false: how much w does depends on how far the two answers are apart, and so on data and network.",
}


@answers
def check_about_the_weight(attempt):
    require_letters(attempt(), "ABDF", REASONS)
    return "A weight is a choice between clear and varied. Say what you measured, and with which ruler."
