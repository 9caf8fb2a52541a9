"""The checks of the exercises of lessons/10_guidance."""

import math

import numpy as np
import torch

from diffusion_lab.exercises.feedback import NONE, Wrong, answers, diagnosed, require_letters, several
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine

X = torch.tensor([0.5, -0.5, 0.2, -0.8, 0.1], dtype=torch.float64)
Y = torch.tensor([1.2, -0.3, 0.9, -2.0, 0.4], dtype=torch.float64)


@answers
def check_best_weight(attempt):
    def right(v, d_1, d_0):
        return math.log((v + d_1) / v) / math.log((v + d_0) / (v + d_1))

    causes = [
        ("the sign is turned: with w > 0 samples move away from the weaker network.", lambda *case: -right(*case)),
        ("upside down: above stands the error of the good network, below how far the two are apart.",
         lambda *case: 1 / right(*case)),
        ("that is 1 + w.", lambda *case: 1 + right(*case)),
        ("the two networks are in each other's place.", lambda v, d_1, d_0: right(v, d_0, d_1)),
        ("below stands how far the weaker network is from the data. It is how far it is from the good one.",
         lambda v, d_1, d_0: math.log((v + d_1) / v) / math.log((v + d_0) / v)),
        ("that holds for small errors alone: the variances are multiplied, so take logarithms of their ratios.",
         lambda v, d_1, d_0: d_1 / (d_0 - d_1)),
        ("that makes the variances of two answers add up to v. On the smooth path they are multiplied, "
         "(v+d₁)^(1+w) (v+d₀)^(-w).", lambda v, d_1, d_0: ((v + d_1) / v - 1) / ((v + d_0) / (v + d_1) - 1)),
        ("that is the weight of the *tilted* density, whose precisions add up, (1+w)/(v+d₁) - w/(v+d₀). The sampler's "
         "variances are multiplied.",
         lambda v, d_1, d_0: (1 / v - 1 / (v + d_1)) / (1 / (v + d_1) - 1 / (v + d_0))),
    ]
    diagnosed(attempt, right, causes, "(v+d₁)^(1+w) (v+d₀)^(-w) = v.",
              [(1.0, 0.1, 0.3), (0.5, 0.2, 0.9), (2.0, 0.3, 0.5)])
    return "And for an exact network, d₁ = 0, it is 0."


class Asked:
    """A stand-in for a denoiser that writes down what it is asked."""

    def __init__(self):
        self.labels = []

    def __call__(self, x_t, t, label=None):
        self.labels.append(label)
        return x_t * 0.3 + t / 1000 if label is None else x_t * 0.7 - t / 500 + label


@answers
def check_guided_between(attempt):
    def built(inside, overdone=lambda c, u, w: c + w * (c - u), outside=lambda c, u, w: c):
        def answer(x_t, t, label, w, low, high):
            c, u = Asked()(x_t, t, label), Asked()(x_t, t)
            return overdone(c, u, w) if inside(t, low, high) else outside(c, u, w)

        return answer

    def within(t, low, high):
        return low <= t <= high

    def of_reader(x_t, t, label, w, low, high):
        answer = attempt(Asked(), w, low, high)
        if answer is None:
            raise Wrong(NONE)
        if not callable(answer):
            raise Wrong("a function answer(x_t, t, label) was expected, but yours returned {kind}.",
                        kind=type(answer).__name__)
        return answer(x_t, t, label)

    causes = [
        ("at `low` itself guidance is off; both ends belong to it.", built(lambda t, low, high: low < t <= high)),
        ("at `high` itself guidance is off; both ends belong to it.", built(lambda t, low, high: low <= t < high)),
        ("at both ends guidance is off; they belong to it.", built(lambda t, low, high: low < t < high)),
        ("it guides outside the interval, and not inside.", built(lambda t, low, high: not low <= t <= high)),
        ("it guides at all times.", built(lambda t, low, high: True)),
        ("it guides nowhere.", built(lambda t, low, high: False)),
        ("`low` is forgotten: it guides at all times up to `high`.", built(lambda t, low, high: t <= high)),
        ("`high` is forgotten: it guides at all times from `low`.", built(lambda t, low, high: t >= low)),
        ("outside, the answer *with* the label is due, and yours is the one without.",
         built(within, outside=lambda c, u, w: u)),
        ("inside, the weight is counted from the answer without label: then w = 1 would be no guidance.",
         built(within, lambda c, u, w: u + w * (c - u))),
        ("inside, the difference has the wrong sign.", built(within, lambda c, u, w: c - w * (c - u))),
        ("inside, the answer without label is overdone.", built(within, lambda c, u, w: u - w * (c - u))),
        ("inside, that is the difference alone, without the answer that it is added to.",
         built(within, lambda c, u, w: w * (c - u))),
    ]
    times = (100, 150, 700, 800, 99, 801, 1, 1000)
    numbers = [(x, t, label, w, 100, 800) for t in times for x, label, w in ((X, 3, 0.5), (Y, 7, 2.0))]
    diagnosed(of_reader, built(within), causes, "x̂_0 with the label, plus w times its difference to the one without, "
              "for low <= t <= high.", numbers)
    for t in times:
        asked = Asked()
        attempt(asked, 0.5, 100, 800)(X, t, 3)
        due = 2 if within(t, 100, 800) else 1
        if len(asked.labels) != due:
            raise Wrong("the answers are right. But at t = {t} the denoiser was asked {n} times, and {due} would do.",
                        t=t, n=len(asked.labels), due=due)
    return "And outside the interval it costs one evaluation."


TWO_KINDS = GaussianMixture([0.5, 0.5], [[0.3], [1.8]], [0.1, 0.1])
OTHER = GaussianMixture([1.0], [[-0.8]], [0.3])
SURE, KIND = 0.96, 0.45
MUCH = 20  # a greater weight is a time, or a guess


def sure_and_varied(w, until):
    """As in the lesson: how surely samples have the label, and the share of the left kind."""
    whole = GaussianMixture([0.25, 0.25, 0.5], [[0.3], [1.8], [-0.8]], [0.1, 0.1, 0.3])
    own, all_data = TWO_KINDS.denoiser(cosine()), whole.denoiser(cosine())
    exact = Denoiser(lambda x_t, t, label: (all_data if label is None else own)(x_t, t), cosine())
    grid = torch.linspace(-4, 4, 1001, dtype=torch.float64)[:, None]
    x = last(dpm_solver(guided(exact, w, until), grid, spaced(1000, 60), label=0))
    chance = torch.exp(-(grid[:, 0] ** 2) / 2)
    chance = chance / chance.sum()
    sure = (chance * torch.sigmoid(TWO_KINDS.log_prob(x) - OTHER.log_prob(x))).sum()
    return sure.item(), (chance * (x[:, 0] < 1.05)).sum().item()


@answers
def check_weight_and_time(attempt):
    w, until = several(attempt(), 2)
    try:
        w, until = float(w), float(until)
    except (TypeError, ValueError, RuntimeError):
        raise Wrong("a pair of numbers (w, until) was expected, but yours are {w} and {until}.",
                    w=w, until=until) from None
    if not (math.isfinite(w) and w >= 0):
        raise Wrong("the weight must be a finite number of at least 0, but yours is {w}.", w=w)
    if until != np.round(until) or not 1 <= until <= 1000:
        swapped = 1 <= w <= 1000 and w == round(w) and 0 <= until < w
        raise Wrong("`until` is a whole number within 1…1000, but yours is {until}." + (
            " Are the two in each other's place?" if swapped else ""), until=until)
    sure, kind = sure_and_varied(w, int(until))
    fields = {"sure": sure, "kind": kind, "w": w, "until": int(until)}
    if (sure < SURE or kind < KIND) and w > max(until, MUCH):
        raise Wrong("w = {w:g} from t = {until} on: sure {sure:.3f}, left kind {kind:.3f}. Are the two in each other's "
                    "place? The pair is (w, until).", **fields)
    if (sure < SURE or kind < KIND) and w > MUCH:
        raise Wrong("w = {w:g} from t = {until} on: sure {sure:.3f}, left kind {kind:.3f}. So much weight throws "
                    "samples far out. Take less than {much}.", much=MUCH, **fields)
    if sure < SURE and kind < KIND:
        raise Wrong("w = {w:g} from t = {until} on: sure {sure:.3f}, left kind {kind:.3f}, both too little. Guide "
                    "later, and with more weight.", **fields)
    if sure < SURE:
        raise Wrong("w = {w:g} from t = {until} on: sure {sure:.3f}, and 0.96 is wanted; left kind {kind:.3f}. More "
                    "weight makes samples surer.", **fields)
    if kind < KIND:
        raise Wrong("w = {w:g} from t = {until} on: sure {sure:.3f}, but of the left kind only {kind:.3f} are there, "
                    "and 0.45 is wanted. Begin to guide later, or guide less.", **fields)
    return f"Sure {sure:.3f}, left kind {kind:.3f}. At all times no weight does it."


@answers
def check_repaired_answer(attempt):
    def answer(denoise, classifier, x_t, t, label, w, alpha_bar, total=torch.sum, factor=lambda a: (1 - a) / a.sqrt(),
               weight=lambda w: 1 + w, scores=lambda s: s.log_softmax(dim=1)):
        x = x_t.clone().requires_grad_()
        of_label = scores(classifier(x, t))[torch.arange(len(x)), label]
        [gradient] = torch.autograd.grad(total(of_label), x)
        return denoise(x_t, t) + weight(w) * factor(alpha_bar[t]) * gradient

    def right(denoise, classifier, x_t, t, label, w, alpha_bar):
        return answer(denoise, classifier, x_t, t, label, w, alpha_bar)

    def wrong(**change):
        return lambda *case: answer(*case, **change)

    def root(a):
        return (1 - a).sqrt()

    causes = [
        ("that is still the faulty answer: both faults are in it.", wrong(total=torch.mean, factor=root)),
        ("the sum is right now. But √(1-ᾱ_t) is how far ε̂ moves, and here x̂_0 is guided: equation (2).",
         wrong(factor=root)),
        ("the factor is right now. But the mean divides the gradient of each example by how many there are: sum.",
         wrong(total=torch.mean)),
        ("in the factor √ᾱ_t is missing from below.", wrong(factor=lambda a: 1 - a)),
        ("in the factor you divided by ᾱ_t; divide by its root.", wrong(factor=lambda a: (1 - a) / a)),
        ("in the factor stands √(1-ᾱ_t)/√ᾱ_t, which is how far x̂_0 moves if ε̂ moves by 1. But ε̂ moves by √(1-ᾱ_t) "
         "times the gradient.", wrong(factor=lambda a: root(a) / a.sqrt())),
        ("the factor is upside down.", wrong(factor=lambda a: a.sqrt() / (1 - a))),
        ("you divide by √ᾱ_t now, but √(1-ᾱ_t) still stands above, and the mean is still there.",
         wrong(total=torch.mean, factor=lambda a: root(a) / a.sqrt())),
        ("the factor is 1/√ᾱ_t alone: 1-ᾱ_t is missing above.", wrong(factor=lambda a: 1 / a.sqrt())),
        ("the sign is turned: ε̂ moves against the gradient, x̂_0 along it.",
         wrong(factor=lambda a: -(1 - a) / a.sqrt())),
        ("the arrow has w times its length. This network knows no label, so it is 1 + w: w = 0 is Bayes' rule.",
         wrong(weight=lambda w: w)),
        ("that is the gradient of a score, not of log p: take log_softmax, or the other labels have no say.",
         wrong(scores=lambda s: s)),
        ("that is the gradient of p itself, and log p is due.", wrong(scores=lambda s: s.softmax(dim=1))),
    ]
    alpha_bar = cosine().alpha_bar
    towards = torch.tensor([[1.0, -0.4, 0.3], [0.2, 0.9, -1.1]], dtype=torch.float64)

    def classifier(x, t):
        return (x @ towards) * (1 - t / 2000)

    def denoise(x_t, t):
        return 0.6 * x_t - t / 1000

    points = torch.stack([X, Y], dim=1)
    labels = torch.tensor([0, 2, 1, 1, 0])
    numbers = [(denoise, classifier, points[:n], t, labels[:n], w, alpha_bar)
               for n, t, w in ((5, 300, 0.5), (2, 800, 3.0), (4, 550, 0.0), (1, 700, 1.5))]
    diagnosed(attempt, right, causes, "x̂_0 plus (1 + w)(1-ᾱ_t)/√ᾱ_t times the gradient of the sum of log p.", numbers)
    return "Each digit feels its own gradient, however many are drawn beside it."


REASONS = {
    "A": "A is true: by the theorem of notebook 08. Guidance leaves that path.",
    "B": "B is false: by (5) the variances differ from that of the tilted density, in the limit of many steps.",
    "C": "C is false: by (5) the smooth path and the one with fresh noise end with different variances.",
    "D": "D is true: the answer with the label is all that is needed there.",
    "E": "E is false: both networks may be asked without one.",
    "F": "F is false: a reader that reads all does not see how alike they are, and the distance goes on rising.",
    "G": "G is true: among many weights the one that happens to suit these digits was picked.",
    "H": "H is true: guidance_scale is 1 + w.",
}


@answers
def check_about_the_post(attempt):
    require_letters(attempt(), "ADGH", REASONS)
    return "Say by which ruler, on which digits, and counted from which end."
