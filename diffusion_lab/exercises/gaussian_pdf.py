"""The checks of the exercises of lessons/01_gaussian_pdf."""

import math

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, diagnosed, require_letters, several, tensor_like

MEANS = torch.tensor([0.7, -0.4, 1.9], dtype=torch.float64), torch.tensor([-1.0, 0.3, 0.8, 2.5], dtype=torch.float64)
VARIANCES = torch.tensor([0.5, 2.0, 0.3], dtype=torch.float64), torch.tensor([1.5, 0.2, 3.0, 0.7], dtype=torch.float64)


def part(attempt, i):
    """The reader's function for one of its two results; raises Wrong where it gives no two."""
    return lambda *case: several(attempt(*case), 2)[i]


@answers
def check_pooled(attempt):
    def mean(means, variances):
        return (var(means, variances) * (means / variances).sum()).item()

    def var(means, variances):
        return 1 / (1 / variances).sum().item()

    wrong_vars = [
        ("your first result is the variance: the mean comes first.", mean),
        ("you added the variances, as for a sum of independent numbers. Here densities of one x are multiplied: the "
         "precisions 1/v_i add.", lambda m, v: v.sum().item()),
        ("you averaged the variances; but n cameras together are sharper than the sharpest of them.",
         lambda m, v: v.mean().item()),
        ("that is the variance of an average in which all cameras count the same. The product trusts the sharp ones "
         "more.", lambda m, v: v.sum().item() / len(v) ** 2),
        ("that is the precision. The variance is one over it.", lambda m, v: (1 / v).sum().item()),
        ("you averaged the precisions; in the exponent they add.", lambda m, v: 1 / (1 / v).mean().item()),
        ("that is the standard deviation; the variance was asked for.", lambda m, v: (1 / v).sum().item() ** -0.5),
        ("that is the variance of the sharpest camera alone. The others add their precision to it.",
         lambda m, v: v.min().item()),
        ("you added one over the standard deviations: the factor of x² is one over the variance.",
         lambda m, v: 1 / (1 / v.sqrt()).sum().item()),
        ("you squared the variances: v_i is σ² already.", lambda m, v: 1 / (1 / v**2).sum().item()),
        ("the product of the variances is not what stands before x²: their inverses add.",
         lambda m, v: v.prod().item()),
        ("product over sum works for two cameras only: for n of them, add the precisions.",
         lambda m, v: (v.prod() / v.sum()).item()),
    ]
    wrong_means = [
        ("the variance is right; your mean counts all cameras the same. Weigh each by its precision.",
         lambda m, v: m.mean().item()),
        ("the variance is right; you weighed by the variances, so that the worst camera counts most. Weigh by 1/v_i.",
         lambda m, v: ((m * v).sum() / v.sum()).item()),
        ("the variance is right; in the mean it is missing: Σ m_i/v_i is mean over variance.",
         lambda m, v: (m / v).sum().item()),
        ("the variance is right; you divided by it where you should multiply.",
         lambda m, v: (m / v).sum().item() / var(m, v)),
        ("the variance is right; you weighed by one over the standard deviation, in place of the variance.",
         lambda m, v: ((m / v.sqrt()).sum() / (1 / v.sqrt()).sum()).item()),
        ("the variance is right; your mean is that of the sharpest camera alone.", lambda m, v: m[v.argmin()].item()),
        ("the variance is right; your mean is a sum of the m_i, and no average.", lambda m, v: m.sum().item()),
        ("the variance is right; you averaged the terms m_i/v_i: they add.",
         lambda m, v: var(m, v) * (m / v).mean().item()),
    ]
    numbers = list(zip(MEANS, VARIANCES))
    diagnosed(part(attempt, 1), var, wrong_vars, "The variance: collect the factors of x² in the sum of the exponents.",
              numbers)
    diagnosed(part(attempt, 0), mean, wrong_means, "The variance is right. The mean: collect the factors of x in the "
              "sum of the exponents; they are mean over variance.", numbers)
    return "Precisions add for any number of opinions, and none can make you less sure."


LAST_BUMP = ("right, but for one draw. In floating point ten weights of 0.1 add up to a little less than 1, and the "
             "largest u below 1 is not below their sum: there, stay with the last bump.")


@answers
def check_mixture(attempt):
    def picked(w, u):
        return torch.searchsorted(w.cumsum(0), u, right=True).clamp(max=len(w) - 1)

    def of(k, m, v, eps):
        return m[k] + v[k] ** 0.5 * eps

    def matched_bell(w, m, v, u, eps):
        mean = (w * m).sum()
        return mean + (w * (v + (m - mean) ** 2)).sum() ** 0.5 * eps

    def uncumulated(w, u):
        below = u[:, None] < w
        return torch.where(below.any(dim=1), below.double().argmax(dim=1), len(w) - 1)

    causes = [
        ("you added up all bumps, each with its weight, and got one bell in the middle. A draw belongs to one bump "
         "alone.", lambda w, m, v, u, eps: (w * (m + v**0.5 * eps[:, None])).sum(dim=1)),
        ("you drew from one bell with the mean and the variance of the whole mixture. It has two bumps or more: pick "
         "one for each draw.", matched_bell),
        ("you drew from one bell with averaged means and variances: pick one bump for each draw.",
         lambda w, m, v, u, eps: (w * m).sum() + (w * v).sum() ** 0.5 * eps),
        ("you multiplied by the variance; equation (2) takes the standard deviation.",
         lambda w, m, v, u, eps: m[picked(w, u)] + v[picked(w, u)] * eps),
        ("the bumps are picked well, but eps is missing: all draws of a bump are its mean.",
         lambda w, m, v, u, eps: m[picked(w, u)]),
        ("the bumps are picked well, but their means are missing.",
         lambda w, m, v, u, eps: v[picked(w, u)] ** 0.5 * eps),
        ("the bumps are picked well, but eps is not scaled: all your bumps have variance 1.",
         lambda w, m, v, u, eps: m[picked(w, u)] + eps),
        ("you multiplied mean and eps together by the standard deviation: scale first, then add the mean.",
         lambda w, m, v, u, eps: v[picked(w, u)] ** 0.5 * (m[picked(w, u)] + eps)),
        ("you compared u with each weight by itself. Bump 1 begins where bump 0 ends: add the weights up.",
         lambda w, m, v, u, eps: of(uncumulated(w, u), m, v, eps)),
        ("you picked all bumps equally often: the weights do not matter in your answer.",
         lambda w, m, v, u, eps: of((u * len(w)).long(), m, v, eps)),
        ("you went through the bumps from the last to the first: small u belong to bump 0.",
         lambda w, m, v, u, eps: of(picked(w, 1 - u), m, v, eps)),
        ("you went through the bumps from the last to the first: small u belong to bump 0.",
         lambda w, m, v, u, eps: of(len(w) - 1 - picked(w.flip(0), u), m, v, eps)),
        ("all your draws come from the bump of largest weight: u has to pick, draw by draw.",
         lambda w, m, v, u, eps: of(torch.full_like(u, w.argmax()).long(), m, v, eps)),
        ("all your draws come from the bump that the first u picks: each draw has a u of its own.",
         lambda w, m, v, u, eps: of(picked(w, u[:1]).expand(len(u)), m, v, eps)),
        ("your bumps are one too far: where u is below weights[0], it is bump 0.",
         lambda w, m, v, u, eps: of((picked(w, u) + 1).clamp(max=len(w) - 1), m, v, eps)),
    ]

    def numbers(*lists):
        return tuple(torch.tensor(values, dtype=torch.float64) for values in lists)

    diagnosed(attempt, lambda w, m, v, u, eps: of(picked(w, u), m, v, eps), causes,
              "First pick the bump of each draw, by adding up weights until they pass u; then use equation (2).",
              [numbers([0.25, 0.6, 0.15], [-2.0, 0.5, 3.0], [0.3, 2.0, 0.5], [0.05, 0.5, 0.95, 0.3, 0.8, 0.2],
                       [0.3, -1.2, 0.8, 1.5, -0.4, 0.6]),
               numbers([0.3, 0.7], [1.0, -1.5], [0.2, 0.6], [0.9, 0.1, 0.45, 0.25], [-0.7, 0.2, 1.1, -1.6]),
               numbers([0.2, 0.35, 0.15, 0.3], [-1.0, 0.5, 2.0, 4.0], [0.3, 0.6, 0.2, 0.9], [0.1, 0.6, 0.8, 0.95, 0.3],
                       [0.4, -0.9, 1.3, -0.2, 0.7])])
    almost_one = math.nextafter(1.0, 0.0)
    w, m, v, u, eps = numbers([0.1] * 10, list(range(10)), [0.5] * 10, [0.05, almost_one], [0.3, -0.4])
    try:
        given = tensor_like(attempt(w, m, v, u, eps), eps)
    except IndexError:
        raise Wrong(LAST_BUMP) from None
    if not close(given, of(picked(w, u), m, v, eps)):
        raise Wrong(LAST_BUMP)
    w, m, v, u, eps = numbers([0.25, 0.25, 0.125, 0.375], [-3.0, 1.0, 2.0, 5.0], [0.5, 0.2, 0.3, 0.1],
                              [0.25, 0.5, 0.625, 0.0], [0.3, -0.4, 0.6, 1.1])
    if not close(tensor_like(attempt(w, m, v, u, eps), eps), of(picked(w, u), m, v, eps)):
        raise Wrong("right, but for a u exactly at an edge. Bump 0 is where u is *below* weights[0]; where it equals "
                    "that, it is "
                    "bump 1.")
    return "Draws with two bumps, from shift, scale and one uniform number each."


def cost(std):
    """KL(q‖p) in nats, for q = N(0, 1) and p = N(0, std²)."""
    return 0.5 * (std**-2 - 1 + 2 * math.log(std))


def priced(price, of=cost, high=1e12):
    """The number above 1 at which a cost that grows from there is the price: by halving, on the logarithm."""
    low, high = 0.0, math.log(high)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if of(math.exp(middle)) < price else (low, middle)
    return math.exp(low)


@answers
def check_equally_costly(attempt):
    def right(narrow):
        return priced(cost(narrow))

    causes = [
        ("you say that half as wide costs what twice as wide costs. Compute both with kl: which costs more?",
         lambda narrow: 1 / narrow),
        ("you say that a quarter costs what four times does, and the like. Compute both with kl: which costs more?",
         lambda narrow: narrow**-2),
        ("that is the variance. The standard deviation is its root.", lambda narrow: right(narrow) ** 2),
        ("that is the root of the right answer: is σ squared once on its way into kl, and not twice?",
         lambda narrow: right(narrow) ** 0.5),
        ("you handed `narrow` to kl as a variance: square it first.", lambda narrow: right(narrow**0.5)),
        ("both σ went to kl as if they were variances: square them.", lambda narrow: right(narrow**0.5) ** 2),
        ("you measured in the other direction: the truth, N(0, 1), stands first.",
         lambda narrow: priced(cost(1 / narrow), lambda std: cost(1 / std))),
        ("that is the cost in nats, and not the σ that has it.", cost),
        ("that is the narrow σ itself, which costs the same, of course. Look above 1.", lambda narrow: narrow),
        ("your σ is equally far above 1 as the other is below it. Distance is not cost: compute both with kl.",
         lambda narrow: 2 - narrow),
        ("that is one over the right answer.", lambda narrow: 1 / right(narrow)),
        ("you asked for one cost to be twice the other; they should be the same.",
         lambda narrow: priced(2 * cost(narrow))),
    ]
    for high in (5.0, 10.0, 20.0, 50.0, 100.0, 1_000.0, 10_000.0):
        causes.append((f"you stopped the search too early, at σ = {high:.0f}: how much does narrow = 0.2 cost, and how "
                       "much this σ?", lambda narrow, high=high: min(right(narrow), high)))
    diagnosed(attempt, right, causes, "Compute kl(0, 1, 0, σ²) for your σ, and for the narrow one: the two should be "
              "the same.", [(0.5,), (0.8,), (0.25,), (0.2,)], tolerance=0.01)
    return "A belief that is too narrow is costly, one that is too wide is cheap: 1/σ² on one side, log σ on the other."


@answers
def check_fault(attempt):
    def added(log_var):
        return torch.exp(2 * log_var)

    def scale(log_var):
        return torch.exp(log_var / 2)

    wrong_vars = [
        ("that is the variance that it should add. It multiplies eps by exp(log_var): what is the variance of that?",
         torch.exp),
        ("your first result is the right scale: the variance that the code really adds comes first.", scale),
        ("that is the logarithm of the variance that it adds: take exp of it.", lambda log_var: 2 * log_var),
        ("a factor acts on the variance by its square, and the square of exp(l) is exp(2 l), not exp(l²).",
         lambda log_var: torch.exp(log_var**2)),
        ("a factor acts on the variance by its square. You have twice the factor.", lambda log_var: 2 * log_var.exp()),
        ("you squared twice: the factor is exp(log_var), and its square is the variance.",
         lambda log_var: torch.exp(4 * log_var)),
        ("you squared log_var; the factor of eps is exp(log_var): square that.", lambda log_var: log_var**2),
        ("eps is not left as it is: it is multiplied by exp(log_var).", torch.ones_like),
    ]
    wrong_scales = [
        ("the variance is right; the scale that you give is the one of the code with the fault.", torch.exp),
        ("the variance is right; half of exp(log_var) is not its root: halve the exponent.",
         lambda log_var: log_var.exp() / 2),
        ("the variance is right; that is the logarithm of the scale: take exp of it.", lambda log_var: log_var / 2),
        ("the variance is right; the root of the logarithm is not the logarithm of the root: take exp first.",
         lambda log_var: log_var.abs().sqrt()),
        ("the variance is right; your scale goes the wrong way: it should grow with log_var.",
         lambda log_var: torch.exp(-log_var / 2)),
        ("the variance is right; the scale is the root of exp(log_var), and you squared it.", added),
        ("the variance is right; you took the fourth root: the scale is exp(log_var) ** 0.5.",
         lambda log_var: torch.exp(log_var / 4)),
        ("the variance is right; that is the logarithm itself, which is negative for small variances.",
         lambda log_var: log_var),
    ]
    numbers = [(torch.tensor(values, dtype=torch.float64),) for values in ([-2.0, -0.5, 0.0, 0.8, 1.5], [0.3, -1.2])]
    diagnosed(part(attempt, 0), added, wrong_vars, "The variance that it adds: that of scale * eps, with the scale of "
              "the code.", numbers)
    diagnosed(part(attempt, 1), scale, wrong_scales, "The variance is right. The scale: the number σ whose square is "
              "exp(log_var).", numbers)
    return "The scale is a standard deviation. At log_var = 0 it equals the variance, so that test was blind."


REASONS = {  # what to say to a reader who has this statement wrong
    "A": "A does not follow: a density is no probability, and may be as high as it likes if it is narrow (Figure 2).",
    "B": "B follows, and you left it out: a wider unit makes a lower curve (Figure 2), here 784 times over.",
    "C": "C does not follow: how often a model draws something is density times volume, and around the point of "
         "highest density there is next to no volume (Figure 6).",
    "D": "D follows, and you left it out: what is 1.12 to the power of 784?",
    "E": "E follows, and you left it out: surprise is minus the logarithm of the density that a model gave.",
    "F": "F does not follow: the highest density of all belongs to a point that is never drawn. A typical sample has "
         "the density of the shell, no more and no less.",
}


@answers
def check_claims(attempt):
    require_letters(attempt(), "BDE", REASONS)
    return "B, D and E. A density has a unit, and says nothing about how often something is drawn."
