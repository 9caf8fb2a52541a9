"""Wrong answers to the exercises of notebook 10, each with words that the check's message must contain."""

import math

import torch

from diffusion_lab.exercises.guidance import (
    check_about_the_post,
    check_best_weight,
    check_guided_between,
    check_repaired_answer,
    check_weight_and_time,
)


def weight(v, d_1, d_0):
    return math.log((v + d_1) / v) / math.log((v + d_0) / (v + d_1))


def between(inside=lambda t, low, high: low <= t <= high, overdone=lambda c, u, w: c + w * (c - u),
            outside=lambda c, u: c, wasteful=False):
    """Guidance in an interval, with one part exchanged."""
    def build(denoise, w, low, high):
        def answer(x_t, t, label):
            c = denoise(x_t, t, label)
            if wasteful or inside(t, low, high):
                u = denoise(x_t, t, None)
            if inside(t, low, high):
                return overdone(c, u, w)
            return outside(c, denoise(x_t, t, None)) if outside(1, 2) == 2 else c
        return answer
    return build


def repaired(total=torch.sum, factor=lambda a: (1 - a) / a.sqrt(), longer=lambda w: 1 + w,
             scores=lambda s: s.log_softmax(dim=1)):
    """Classifier guidance, with one part exchanged."""
    def answer(denoise, classifier, x_t, t, label, w, alpha_bar):
        x = x_t.clone().requires_grad_()
        of_label = scores(classifier(x, t))[torch.arange(len(x)), label]
        [gradient] = torch.autograd.grad(total(of_label), x)
        return denoise(x_t, t) + longer(w) * factor(alpha_bar[t]) * gradient
    return answer


WRONG = {
    check_best_weight: [
        (lambda v, d_1, d_0: -weight(v, d_1, d_0), "the sign is turned"),
        (lambda v, d_1, d_0: 1 / weight(v, d_1, d_0), "upside down"),
        (lambda v, d_1, d_0: 1 + weight(v, d_1, d_0), "that is 1 + w"),
        (lambda v, d_1, d_0: weight(v, d_0, d_1), "in each other's place"),
        (lambda v, d_1, d_0: math.log((v + d_1) / v) / math.log((v + d_0) / v), "how far it is from the good one"),
        (lambda v, d_1, d_0: d_1 / (d_0 - d_1), "for small errors alone"),
        (lambda v, d_1, d_0: (1 / v - 1 / (v + d_1)) / (1 / (v + d_1) - 1 / (v + d_0)), "tilted"),
        (lambda v, d_1, d_0: 0.57, "(v+d₁)^(1+w)"),
    ],
    check_guided_between: [
        (between(lambda t, low, high: low < t <= high), "at `low` itself"),
        (between(lambda t, low, high: low <= t < high), "at `high` itself"),
        (between(lambda t, low, high: low < t < high), "at both ends"),
        (between(lambda t, low, high: not low <= t <= high), "outside the interval"),
        (between(lambda t, low, high: True), "at all times."),
        (between(lambda t, low, high: False), "guides nowhere"),
        (between(lambda t, low, high: t <= high), "`low` is forgotten"),
        (between(lambda t, low, high: t >= low), "`high` is forgotten"),
        (between(outside=lambda c, u: u), "the one without"),
        (between(overdone=lambda c, u, w: u + w * (c - u)), "counted from the answer without label"),
        (between(overdone=lambda c, u, w: c - w * (c - u)), "the wrong sign"),
        (between(overdone=lambda c, u, w: w * (c - u)), "the difference alone"),
        (between(wasteful=True), "was asked 2 times, and 1 would do"),
        (lambda denoise, w, low, high: 0.5, "a function answer"),
        (lambda denoise, w, low, high: None, "is the `return` missing"),
    ],
    check_weight_and_time: [
        (lambda: (1.0, 1000), "Begin to guide later"),
        (lambda: (0.5, 300), "More weight"),
        (lambda: (0.6, 900), "Begin to guide later"),
        (lambda: (0.3, 1000), "both too little"),
        (lambda: (300, 5.5), "in each other's place"),
        (lambda: (300, 5.0), "in each other's place"),
        (lambda: (100.0, 300), "far out"),
        (lambda: (8.0, 300), "or guide less"),
        (lambda: (5.0, 0), "within 1…1000"),
        (lambda: (-1.0, 300), "at least 0"),
        (lambda: 5.0, "2 results were expected"),
    ],
    check_repaired_answer: [
        (repaired(torch.mean, lambda a: (1 - a).sqrt()), "both faults"),
        (repaired(factor=lambda a: (1 - a).sqrt()), "how far ε̂ moves"),
        (repaired(torch.mean), "by how many there are"),
        (repaired(torch.mean, lambda a: (1 - a).sqrt() / a.sqrt()), "the mean is still there"),
        (repaired(factor=lambda a: 1 / a.sqrt()), "1-ᾱ_t is missing above"),
        (repaired(factor=lambda a: 1 - a), "√ᾱ_t is missing"),
        (repaired(factor=lambda a: (1 - a) / a), "divide by its root"),
        (repaired(factor=lambda a: ((1 - a) / a).sqrt()), "if ε̂ moves by 1"),
        (repaired(factor=lambda a: a.sqrt() / (1 - a)), "upside down"),
        (repaired(factor=lambda a: -(1 - a) / a.sqrt()), "the sign is turned"),
        (repaired(longer=lambda w: w), "w = 0 is Bayes' rule"),
        (repaired(scores=lambda s: s), "gradient of a score"),
        (repaired(scores=lambda s: s.softmax(dim=1)), "gradient of p itself"),
    ],
    check_about_the_post: [
        (lambda: {"A", "D", "G"}, "H is true"),
        (lambda: {"A", "D", "G", "H", "B"}, "B is false"),
        (lambda: "ADGHC", "C is false"),
        (lambda: {"A", "D", "G", "H", "E"}, "E is false"),
        (lambda: ["A", "D", "G", "H", "F"], "F is false"),
        (lambda: {"B", "C"}, "6 letters are wrong or missing"),
    ],
}
