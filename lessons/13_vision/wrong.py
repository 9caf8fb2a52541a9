"""Wrong answers to the exercises, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.vision import (
    check_about_the_reader,
    check_better_half,
    check_posterior,
    check_repaired_miou,
)


def posterior(half=0.5, sign=-1.0, weigh=lambda snr: snr[:-1] - snr[1:], prior_of=torch.log, after=torch.softmax):
    """The posterior, with one part exchanged."""
    def answer(errors, snr, prior):
        cost = half * (weigh(snr)[:, None] * errors).sum(dim=0)
        return after(prior_of(prior) + sign * cost, dim=0)
    return answer


def shares(divide, classes=(1, 2)):
    """The mean over classes of a share of pixels, counted over all pictures."""
    def answer(predicted, mask):
        found = []
        for k in classes:
            a, b = predicted == k, mask == k
            found.append((a & b).sum() / divide(a, b))
        return torch.stack(found).double().mean()
    return answer


def picture_by_picture(classes, missing):
    def answer(predicted, mask):
        found = []
        for a, b in zip(predicted, mask):
            for k in classes:
                either = ((a == k) | (b == k)).sum().item()
                found.append(((a == k) & (b == k)).sum().item() / either if either else missing)
        found = [one for one in found if one is not None]
        return sum(found) / len(found)
    return answer


def direction(angle):
    return torch.atan2(angle.sin().mean(), angle.cos().mean())


def half(axis=lambda a: direction(2 * a) / 2, middle=direction, pick=lambda along: along.sum() * 2 >= len(along)):
    """The larger half, with one part exchanged."""
    def answer(angle):
        along = (angle - axis(angle)).cos() > 0
        along = along if pick(along) else ~along
        return middle(angle[along]), along.double().mean()
    return answer


def the_axis(angle):
    axis = direction(2 * angle) / 2
    along = (angle - axis).cos() > 0
    share = along.double().mean()
    return (axis, share) if share > 0.5 else (torch.atan2(-axis.sin(), -axis.cos()), 1 - share)


WRONG = {
    check_posterior: [
        (posterior(sign=1.0), "the sign"),
        (posterior(half=1.0), "½ of (1)"),
        (posterior(weigh=lambda snr: torch.ones_like(snr[1:])), "added without weight"),
        (lambda errors, snr, prior: posterior()(errors / len(errors), snr, prior), "parts of one integral"),
        (lambda errors, snr, prior: (prior * posterior(prior_of=torch.zeros_like, after=lambda value, dim: value)(
            errors, snr, prior)).softmax(dim=0), "multiplies the logarithm"),
        (posterior(weigh=lambda snr: snr[1:]), "the SNR itself"),
        (posterior(prior_of=torch.zeros_like), "no part in it"),
        (posterior(prior_of=lambda prior: prior), "wants its logarithm"),
        (posterior(after=lambda value, dim: value), "make probabilities"),
        (lambda errors, snr, prior: prior * posterior(prior_of=torch.zeros_like)(errors, snr, prior), "add up to 1"),
        (lambda errors, snr, prior: prior, "Weigh each error"),
    ],
    check_about_the_reader: [
        (lambda: {"A", "D"}, "F is true"),
        (lambda: "ABDF", "B is false"),
        (lambda: ["A", "C", "D", "F"], "C is false"),
        (lambda: {"A", "F"}, "D is true"),
        (lambda: {"A", "D", "E", "F"}, "E is false"),
        (lambda: {"A", "D", "F", "G"}, "G is false"),
        (lambda: {"B", "C"}, "wrong or missing"),
    ],
    check_repaired_miou: [
        (picture_by_picture((1, 2), None), "one pixel of clutter"),
        (picture_by_picture((0, 1, 2), 1.0), "both faults"),
        (shares(lambda a, b: (a | b).sum(), (0, 1, 2)), "the background still counts"),
        (picture_by_picture((1, 2), 1.0), "counts as a perfect one"),
        (picture_by_picture((1, 2), 0.0), "counts as a bad one"),
        (shares(lambda a, b: (a.sum() + b.sum()) / 2), "Dice"),
        (shares(lambda a, b: b.sum()), "recall"),
        (shares(lambda a, b: a.sum()), "precision"),
        (shares(lambda a, b: a.sum() + b.sum()), "counted twice"),
        (lambda predicted, mask: (predicted == mask).double().mean(), "the right class"),
        (lambda predicted, mask: None, "is the `return` missing"),
    ],
    check_better_half: [
        (half(pick=lambda along: True), "whether it is the larger or not"),
        (half(middle=torch.mean), "averaged as numbers"),
        (lambda angle: (direction(angle), 1.0), "Split them first"),
        (half(pick=lambda along: along.sum() * 2 < len(along)), "the smaller half"),
        (half(axis=direction), "Double the angles first"),
        (half(axis=lambda a: direction(2 * a)), "halve it"),
        (the_axis, "both halves had a say"),
        (half(middle=lambda a: torch.atan2(a.cos().mean(), a.sin().mean())), "the sine first"),
        (half(middle=lambda a: (a.sin().mean() / a.cos().mean()).atan()), "half of the circle only"),
        (half(middle=lambda a: direction(a).rad2deg()), "leave it in radians"),
        (lambda angle: direction(angle), "2 results were expected"),
        (lambda angle: (angle.mean(), 0.5), "the axis. Then"),
    ],
}
