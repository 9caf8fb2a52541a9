"""The checks of the exercises of lessons/11_restoration."""

import math

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, require_letters, several
from diffusion_lab.sampling.chain import pairs, spaced
from diffusion_lab.sampling.restoration import given
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.posterior import posterior_mean, posterior_var
from diffusion_lab.theory.schedule import cosine


@answers
def check_db_lost(attempt):
    causes = [
        ("the sign is turned: it is a loss, as a positive number.", lambda K: -10 * math.log10(1 + 1 / K)),
        ("that is 3 dB whatever K: with more samples the mean comes nearer.", lambda K: 10 * math.log10(2)),
        ("that is the ratio of the errors: in dB it is 10 times its logarithm to base 10.", lambda K: 1 + 1 / K),
        ("a factor of 20 is for amplitudes. Squared errors take 10.", lambda K: 20 * math.log10(1 + 1 / K)),
        ("dB use the logarithm to base 10.", lambda K: 10 * math.log(1 + 1 / K)),
        ("that would be so if nothing but the samples varied. The truth is off the mean by 1 MMSE as well: 1 + 1/K.",
         lambda K: 10 * math.log10(K)),
        ("that is 2/K: the samples' part falls with K, and the truth's own part, 1 MMSE, stays: 1 + 1/K.",
         lambda K: 10 * math.log10(2 / K)),
        ("that is what is gained over one sample, 2/(1 + 1/K). Wanted is how far it is below the mean of all.",
         lambda K: 10 * math.log10(2 / (1 + 1 / K))),
        ("the factor 3 dB does not fall as 1/K: the errors add up, 1 + 1/K, and then comes the logarithm.",
         lambda K: 10 * math.log10(2) / K),
    ]
    diagnosed(attempt, lambda K: 10 * math.log10(1 + 1 / K), causes, "Add two squared errors, that of the truth "
              "around the posterior mean and that of the samples' mean around it; then take decibels.",
              [(1,), (3,), (8,)])
    return "3.0 dB for one sample, 1.0 for the mean of four."


@answers
def check_spread(attempt):
    causes = [
        ("that is the case v = 1, ΠGDM's.", lambda v, a: 1 - a),
        ("that is the noise of the measurement x_t/√ᾱ_t: what is known beforehand, v, has no part in it.",
         lambda v, a: (1 - a) / a),
        ("that is the variance before x_t is seen.", lambda v, a: v),
        ("that is the variance of x_t.", lambda v, a: a * v + 1 - a),
        ("that is the share of the variance that x_t explains, the gain times √ᾱ_t. Wanted is what is left, times v.",
         lambda v, a: a * v / (a * v + 1 - a)),
        ("that is the share that is left: times v.", lambda v, a: (1 - a) / (a * v + 1 - a)),
        ("that is what x_t explains. Wanted is what is left of v.", lambda v, a: a * v * v / (a * v + 1 - a)),
        ("variances do not scale so: at ᾱ_t near 0 it must be v, and at ᾱ_t near 1 it must be 0 like (1-ᾱ_t)/ᾱ_t.",
         lambda v, a: v * (1 - a)),
        ("that is the standard deviation: wanted is its square.", lambda v, a: (v * (1 - a) / (a * v + 1 - a)) ** 0.5),
        ("that is the precision: turn it upside down.", lambda v, a: 1 / v + a / (1 - a)),
        ("the noise of x_t/√ᾱ_t has the variance (1-ᾱ_t)/ᾱ_t. You took 1-ᾱ_t, that of x_t itself.",
         lambda v, a: v * (1 - a) / (v + 1 - a)),
    ]
    diagnosed(attempt, lambda v, a: v * (1 - a) / (a * v + 1 - a), causes,
              "x_t/√ᾱ_t is x_0 with noise: of which variance? Then add precisions.",
              [(0.38, 0.3), (2.0, 0.7), (0.5, 0.05)])
    return "With much noise it is v, with little (1-ᾱ_t)/ᾱ_t."


RANKED = [  # every kind of tie, none of them symmetric
    (torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 7.0, 8.0], [2.0, 2.0, 2.0, 9.0], [1.0, 4.0, 4.0, 6.0],
                   [3.0, 1.0, 2.0, 0.0]], dtype=torch.float64),
     torch.tensor([2.5, 5.0, 2.0, 0.5, 7.0], dtype=torch.float64)),
    (torch.tensor([[0.5, 0.2], [0.1, 0.9], [0.4, 0.4]], dtype=torch.float64),
     torch.tensor([0.2, 0.1, 0.3], dtype=torch.float64)),
]


@answers
def check_rank_counts(attempt):
    def counted(answers, truth, low=0.0, high=1.0):
        """Ranks from below + low·ties to below + high·ties, each with an equal part."""
        counts = torch.zeros(answers.shape[1] + 1, dtype=torch.float64)
        below = (answers < truth[:, None]).sum(dim=1)
        equal = (answers == truth[:, None]).sum(dim=1)
        for b, e in zip(below.tolist(), equal.tolist()):
            first, last = b + round(low * e), b + round(high * e)
            counts[first:last + 1] += 1 / (last - first + 1)
        return counts

    def whole(answers, truth):
        """Each of the tied ranks gets 1."""
        counts = torch.zeros(answers.shape[1] + 1, dtype=torch.float64)
        below = (answers < truth[:, None]).sum(dim=1)
        equal = (answers == truth[:, None]).sum(dim=1)
        for b, e in zip(below.tolist(), equal.tolist()):
            counts[b:b + e + 1] += 1
        return counts

    causes = [
        ("ties all went to the lowest rank: an answer that equals the truth is neither below nor above it.",
         lambda answers, truth: counted(answers, truth, high=0.0)),
        ("ties all went to the highest rank: an answer that equals the truth is neither below nor above it.",
         lambda answers, truth: counted(answers, truth, low=1.0)),
        *[("ranks are counted from above: rank r exceeds r answers.",
           lambda answers, truth, ends=ends: counted(answers, truth, *ends).flip(0))
          for ends in ((0.0, 1.0), (0.0, 0.0), (1.0, 1.0))],
        ("these are shares: do not divide by n.", lambda answers, truth: counted(answers, truth) / len(truth)),
        ("each of the tied ranks got 1: a truth counts once in all, so each gets 1/(ties + 1).", whole),
        ("the K + 1 ranks run from 0 to K, and the last is missing: a truth may exceed all of its answers.",
         lambda answers, truth: counted(answers, truth)[:-1]),
    ]
    diagnosed(attempt, counted, causes, "With b answers below and e equal, the ranks b…b+e get 1/(e+1) each.", RANKED)
    return "If the answers are right, all ranks are equally frequent."


@answers
def check_repaint_again(attempt):
    def step(x_s, seen, y, t, s, alpha_bar, eps, more_eps, paste=None, again=None, where=None):
        pasted_at = alpha_bar[s] if paste is None else paste(alpha_bar, t, s)
        kept = alpha_bar[t] / alpha_bar[s] if again is None else again(alpha_bar, t, s)
        pasted = pasted_at.sqrt() * y + (1 - pasted_at).sqrt() * eps
        x_s = torch.where(seen if where is None else where(seen), pasted, x_s)
        return kept.sqrt() * x_s + (1 - kept).sqrt() * more_eps

    def right(x_s, seen, y, t, s, alpha_bar, eps, more_eps):
        return step(x_s, seen, y, t, s, alpha_bar, eps, more_eps)

    def wrong(**change):
        return lambda *case: step(*case, **change)

    def at_t(alpha_bar, t, s):
        return alpha_bar[t]

    def clean(alpha_bar, t, s):
        return torch.ones((), dtype=torch.float64)

    def squares(x_s, seen, y, t, s, alpha_bar, eps, more_eps):
        a, alpha = alpha_bar[s], alpha_bar[t] / alpha_bar[s]
        return alpha * torch.where(seen, a * y + (1 - a) * eps, x_s) + (1 - alpha) * more_eps

    def only_pasted(x_s, seen, y, t, s, alpha_bar, eps, more_eps):
        a = alpha_bar[s]
        return torch.where(seen, a.sqrt() * y + (1 - a).sqrt() * eps, x_s)

    def noise_of_difference(x_s, seen, y, t, s, alpha_bar, eps, more_eps):
        x_s = only_pasted(x_s, seen, y, t, s, alpha_bar, eps, more_eps)
        return (alpha_bar[t] / alpha_bar[s]).sqrt() * x_s + (alpha_bar[s] - alpha_bar[t]).sqrt() * more_eps

    def not_shrunk(x_s, seen, y, t, s, alpha_bar, eps, more_eps):
        x_s = only_pasted(x_s, seen, y, t, s, alpha_bar, eps, more_eps)
        return x_s + (1 - alpha_bar[t] / alpha_bar[s]).sqrt() * more_eps

    causes = [
        ("that is still the faulty step: both faults are in it.", wrong(paste=at_t, again=at_t)),
        ("y is pasted right now. But from s to t, not from 0 to t: the chain keeps α = ᾱ_t/ᾱ_s.", wrong(again=at_t)),
        ("the noise from s to t is right now. But y is still pasted as noisy as t, into a state at s.",
         wrong(paste=at_t)),
        ("y is pasted without noise, into a state at s.", wrong(paste=clean)),
        ("y is pasted where it was *not* seen.", wrong(where=lambda seen: ~seen)),
        ("the roots are missing: ᾱ_t and α are variances.", squares),
        ("that is x_s, once y is pasted. It has to be made as noisy as t, too.", only_pasted),
        ("the noise from s to t has the variance 1 - ᾱ_t/ᾱ_s, and not ᾱ_s - ᾱ_t.", noise_of_difference),
        ("noise is added from s to t, but the state is not shrunk by √α.", not_shrunk),
        ("that is one step of the chain, from t-1 to t. It starts at s: α = ᾱ_t/ᾱ_s.",
         wrong(again=lambda alpha_bar, t, s: alpha_bar[t] / alpha_bar[t - 1])),
        ("the noise that was pasted is used again. What is added from s to t must be fresh: more_eps.",
         lambda *case: right(*case[:7], case[6])),
        ("α is upside down, or it is ᾱ_s: from s to t the chain keeps ᾱ_t/ᾱ_s.",
         wrong(again=lambda alpha_bar, t, s: alpha_bar[s])),
    ]
    alpha_bar = cosine().alpha_bar
    generator = torch.Generator().manual_seed(0)
    numbers = []
    for n, t, s in ((6, 600, 500), (4, 900, 400), (5, 120, 60)):
        x_s, y, eps, more_eps = torch.randn(4, n, generator=generator, dtype=torch.float64)
        numbers.append((x_s, torch.arange(n) % 3 != 0, y, t, s, alpha_bar, eps, more_eps))
    diagnosed(attempt, right, causes, "Paste y at time s; then √α x_s + √(1-α) ε with α = ᾱ_t/ᾱ_s.", numbers)
    return "Its marginal is that of time t, so the step may be taken anew."


PAIR = GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])
SEEN = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
NOISE = 0.3


def by_dps(std):
    """Mean and variance of x_1 in the limit of infinitely many samples: all steps are linear in a Gaussian state."""
    schedule = cosine()
    bent = given(PAIR.denoiser(schedule), SEEN, torch.ones(1, dtype=torch.float64), std, "dps")
    mean, cov = torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    corners = torch.cat([torch.zeros(1, 2), torch.eye(2)]).double()
    for t, s in pairs(spaced(1000, 100), 1000):
        moved = posterior_mean(bent(corners, t), corners, t, schedule, s)
        linear = (moved[1:] - moved[0]).mT
        fresh = posterior_var(t, schedule, s) if s > 0 else 0.0
        mean = linear @ mean + moved[0]
        cov = linear @ cov @ linear.mT + fresh * torch.eye(2)
    return mean[0].item(), cov[0, 0].item()


@answers
def check_two_stds(attempt):
    given_stds = several(attempt(), 2)
    try:
        for_mean, for_var = (float(std) for std in given_stds)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("a pair of numbers was expected, but yours are {one} and {two}.",
                    one=given_stds[0], two=given_stds[1]) from None
    for std in (for_mean, for_var):
        if not 0.05 <= std <= 5:
            raise Wrong("a std within 0.05…5 was expected, but one of yours is {std}.", std=std)
    posterior = PAIR.given(SEEN, torch.ones(1, dtype=torch.float64), NOISE)
    exact_mean, exact_var = posterior.mean[0, 0].item(), posterior.var[0, 0, 0].item()

    def right_mean(std):
        return abs(by_dps(std)[0] - exact_mean) <= 0.03

    def right_var(std):
        return abs(by_dps(std)[1] / exact_var - 1) <= 0.1

    if right_mean(for_var) and not right_mean(for_mean):
        raise Wrong("the two are in each other's place.")
    if not right_mean(for_mean):
        mean = by_dps(for_mean)[0]
        raise Wrong("told {std:g}, the mean is {mean:.3f}, and {exact:.3f} is wanted: {more} std. (The check computes "
                    "it for infinitely many samples.)", std=for_mean, mean=mean, exact=exact_mean,
                    more="a larger" if mean > exact_mean else "a smaller")
    if not right_var(for_var):
        var = by_dps(for_var)[1]
        raise Wrong("told {std:g}, the variance is {var:.3f}, and {exact:.3f} is wanted: {more} std.", std=for_var,
                    var=var, exact=exact_var, more="a larger" if var < exact_var else "a smaller")
    return "Two goals, two stds: one number cannot mend M = 0."


REASONS = {
    "A": "A is true: its squared error is twice the least possible, which is 3 dB.",
    "B": "B is false: the residual y - A x says how well the measurement is fitted. PSNR compares with the truth.",
    "C": "C is true: the error falls from 2 to 1 + 1/4 MMSE, which is 2.0 dB.",
    "D": "D is false: the mean has the highest PSNR of all, and knows no probabilities.",
    "E": "E is true: the mean of two digits is a mixture of both.",
    "F": "F is false: the measurement does not hold the label, so it would leak the answer.",
    "G": "G is true: among many strengths, the one that happens to suit these digits was picked.",
    "H": "H is false: answers that vary as much as they should have the ratio 2. With 1.5 they are too much alike.",
}


@answers
def check_about_the_paper(attempt):
    require_letters(attempt(), "ACEG", REASONS)
    return "Compare means with means, samples with samples, and test these by the ratio."
