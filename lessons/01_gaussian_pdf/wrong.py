"""Wrong answers to the exercises of notebook 01, each with words that the check's message must contain."""

import math
import random

import torch

from diffusion_lab.exercises.gaussian_pdf import (
    check_claims,
    check_equally_costly,
    check_fault,
    check_mixture,
    check_pooled,
)
from diffusion_lab.theory.gaussian import kl


def climb(narrow, cost=lambda std: kl(0.0, 1.0, 0.0, std**2)):
    """The right answer to exercise 3, if cost is the right one: by halving, on the logarithm."""
    low, high = 0.0, 30.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(math.exp(middle)) < cost(narrow) else (low, middle)
    return math.exp(low)


def pick(w, u):
    return torch.searchsorted(w.cumsum(0), u, right=True)


def one_by_one(w, u):
    """The first bump whose own weight is above u, as if the weights were not to be added up."""
    return [next((k for k, weight in enumerate(w) if one < weight), len(w) - 1) for one in u]


def of_three(m, v, eps, k):
    k = k.clamp(max=len(m) - 1)
    return m[k] + v[k] ** 0.5 * eps


def precision(v):
    return (1 / v).sum()


WRONG = {
    check_pooled: [
        (lambda m, v: {"mean": (m / v).sum() / precision(v), "var": 1 / precision(v)}, "your function returned dict"),
        (lambda m, v: (m.mean(), v.sum()), "added the variances"),
        (lambda m, v: (m.mean(), v.mean()), "you averaged the variances"),
        (lambda m, v: (m.mean(), v.sum() / len(v) ** 2), "all cameras count the same"),
        (lambda m, v: ((m / v).sum() / precision(v), precision(v)), "that is the precision"),
        (lambda m, v: ((m / v).sum() / precision(v), precision(v) ** -0.5), "that is the standard deviation"),
        (lambda m, v: (m[v.argmin()], v.min()), "sharpest camera alone"),
        (lambda m, v: (1 / precision(v), (m / v).sum() / precision(v)), "the mean comes first"),
        (lambda m, v: ((m / v).sum() / precision(v), 1 / (1 / v).mean()), "averaged the precisions"),
        (lambda m, v: ((m / v).sum() / precision(v), 1 / (1 / v.sqrt()).sum()), "one over the standard deviations"),
        (lambda m, v: ((m / v).sum() / precision(v), v.prod() / v.sum()), "for two cameras only"),
        (lambda m, v: (m.mean(), 1 / precision(v)), "counts all cameras the same"),
        (lambda m, v: ((m * v).sum() / v.sum(), 1 / precision(v)), "worst camera counts most"),
        (lambda m, v: ((m / v).sum(), 1 / precision(v)), "in the mean it is missing"),
        (lambda m, v: ((m / v).sum() * precision(v), 1 / precision(v)), "divided by it"),
        (lambda m, v: ((m / v**0.5).sum() / (1 / v**0.5).sum(), 1 / precision(v)), "in place of the variance"),
        (lambda m, v: (0.0, 1 / precision(v)), "collect the factors of x in"),
        (lambda m, v: (0.0, 1.0), "collect the factors of x²"),
        (lambda m, v: (m / v).sum() / precision(v), "2 results were expected"),
        (lambda m, v: (m.div_(v).sum() / precision(v), 1 / precision(v)), "changed m itself"),
    ],
    check_mixture: [
        (lambda w, m, v, u, eps: (w * (m + v**0.5 * eps[:, None])).sum(dim=1), "A draw belongs to one bump"),
        (lambda w, m, v, u, eps: (w * m).sum() + (w * v).sum() ** 0.5 * eps, "averaged means and variances"),
        (lambda w, m, v, u, eps: (w * m).sum() + ((w * (v + m**2)).sum() - (w * m).sum() ** 2) ** 0.5 * eps,
         "variance of the whole mixture"),
        (lambda w, m, v, u, eps: m[pick(w, u)] + v[pick(w, u)] * eps, "multiplied by the variance"),
        (lambda w, m, v, u, eps: m[pick(w, u)], "eps is missing"),
        (lambda w, m, v, u, eps: v[pick(w, u)] ** 0.5 * eps, "means are missing"),
        (lambda w, m, v, u, eps: m[pick(w, u)] + eps, "eps is not scaled"),
        (lambda w, m, v, u, eps: v[pick(w, u)] ** 0.5 * (m[pick(w, u)] + eps), "scale first"),
        (lambda w, m, v, u, eps: m[one_by_one(w, u)] + v[one_by_one(w, u)] ** 0.5 * eps, "add the weights up"),
        (lambda w, m, v, u, eps: m[(u * len(w)).long()] + v[(u * len(w)).long()] ** 0.5 * eps, "equally often"),
        (lambda w, m, v, u, eps: m[pick(w, 1 - u)] + v[pick(w, 1 - u)] ** 0.5 * eps, "from the last to the first"),
        (lambda w, m, v, u, eps: m[w.argmax()] + v[w.argmax()] ** 0.5 * eps, "largest weight"),
        (lambda w, m, v, u, eps: m[pick(w, u[0])] + v[pick(w, u[0])] ** 0.5 * eps, "a u of its own"),
        (lambda w, m, v, u, eps: m[pick(w, u)] - v[pick(w, u)] ** 0.5 * eps, "First pick the bump"),
        (lambda w, m, v, u, eps: m[pick(w, u)] + v[pick(w, u)] ** 0.5 * eps, "stay with the last bump"),
        (lambda w, m, v, u, eps: of_three(m, v, eps, (u >= w[0]).long() + (u >= w[0] + w[1])), "First pick the bump"),
        (lambda w, m, v, u, eps: of_three(m, v, eps, torch.searchsorted(w.cumsum(0), u).clamp(max=len(w) - 1)),
         "exactly at an edge"),
        (lambda w, m, v, u, eps: m[pick(w, torch.rand(len(u)).double())] + eps, "two calls with the same numbers"),
        (lambda w, m, v, u, eps: (m[pick(w, u)] + v[pick(w, u)] ** 0.5 * eps).float(), "yours is float32"),
        (lambda w, m, v, u, eps: eps.mul_(v[pick(w, u)] ** 0.5) + m[pick(w, u)], "changed eps itself"),
    ],
    check_equally_costly: [
        (lambda narrow: 1 / narrow, "which costs more"),
        (lambda narrow: 1 / narrow**2, "which costs more"),
        (lambda narrow: climb(narrow) ** 2, "that is the variance"),
        (lambda narrow: climb(narrow) ** 0.5, "the root of the right answer"),
        (lambda narrow: climb(narrow**0.5), "square it first"),
        (lambda narrow: climb(narrow**0.5) ** 2, "both σ went to kl"),
        (lambda narrow: climb(narrow, lambda std: kl(0.0, std**2, 0.0, 1.0)), "the other direction"),
        (lambda narrow: kl(0.0, 1.0, 0.0, narrow**2), "the cost in nats"),
        (lambda narrow: narrow, "Look above 1"),
        (lambda narrow: 2 - narrow, "Distance is not cost"),
        (lambda narrow: 1 / climb(narrow), "one over the right answer"),
        (lambda narrow: min(climb(narrow), 10), "at σ = 10:"),
        (lambda narrow: min(climb(narrow), 1_000), "at σ = 1000:"),
        (lambda narrow: climb(narrow) if narrow >= 0.25 else torch.nan, "NaN"),
        (lambda narrow: climb(narrow) if narrow >= 0.25 else 800.0, "should be 5.367e+04, but yours is 800"),
        (lambda narrow: 1.014 * climb(narrow), "the two should be the same"),
        (lambda narrow: round(climb(narrow), 1), "should be 3.551, but yours is 3.6"),
        (lambda narrow: 3.55, "the two should be the same"),
        (lambda narrow: 1 / narrow + random.random(), "two calls with the same numbers"),
        (lambda narrow: torch.tensor([1.0, 2.0]), "the shape should be (), but yours is (2,)"),
        (lambda narrow: None, "is the `return` missing"),
    ],
    check_fault: [
        (lambda log_var: {"var": (2 * log_var).exp(), "scale": (log_var / 2).exp()}, "your function returned dict"),
        (lambda log_var: (torch.exp(log_var), torch.exp(log_var / 2)), "that it should add"),
        (lambda log_var: (torch.exp(log_var / 2), torch.exp(2 * log_var)), "comes first"),
        (lambda log_var: (2 * log_var, torch.exp(log_var / 2)), "logarithm of the variance"),
        (lambda log_var: (torch.exp(log_var**2), torch.exp(log_var / 2)), "not exp(l²)"),
        (lambda log_var: (2 * torch.exp(log_var), torch.exp(log_var / 2)), "twice the factor"),
        (lambda log_var: (torch.exp(4 * log_var), torch.exp(log_var / 2)), "squared twice"),
        (lambda log_var: (log_var**2, torch.exp(log_var / 2)), "you squared log_var"),
        (lambda log_var: (torch.exp(3 * log_var), torch.exp(log_var / 2)), "that of scale * eps"),
        (lambda log_var: (torch.exp(2 * log_var), torch.exp(log_var)), "code with the fault"),
        (lambda log_var: (torch.exp(2 * log_var), torch.exp(log_var) / 2), "halve the exponent"),
        (lambda log_var: (torch.exp(2 * log_var), log_var / 2), "logarithm of the scale"),
        (lambda log_var: (torch.exp(2 * log_var), torch.exp(-log_var / 2)), "the wrong way"),
        (lambda log_var: (torch.exp(2 * log_var), torch.exp(2 * log_var)), "you squared it"),
        (lambda log_var: (torch.exp(2 * log_var), torch.ones_like(log_var)), "whose square is exp(log_var)"),
        (lambda log_var: torch.exp(log_var / 2), "2 results were expected"),
    ],
    check_claims: [
        (lambda: "ABDE", "a density is no probability"),
        (lambda: {"B", "C", "D", "E"}, "density times volume"),
        (lambda: ["b", "d", "e", "f"], "a point that is never drawn"),
        (lambda: "DE", "a wider unit"),
        (lambda: ("B", "E"), "to the power of 784"),
        (lambda: {"A": False, "B": True, "D": True, "E": False}, "surprise is minus the logarithm"),
        (lambda: "BDEG", "letters from A to F"),
        (lambda: 3, "letters from A to F"),
        (lambda: [], "3 letters are wrong or missing"),
        (lambda: "ABC", "4 letters are wrong or missing"),
    ],
}
