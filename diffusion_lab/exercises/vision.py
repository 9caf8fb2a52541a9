"""The checks of the exercises of lessons/13_vision."""

import math

import torch

from diffusion_lab.exercises.feedback import answers, diagnosed, require_letters


@answers
def check_posterior(attempt):
    def ratio(errors, snr):
        width = snr[:-1] - snr[1:]
        return 0.5 * (width[:, None] * errors).sum(dim=0)

    def right(errors, snr, prior):
        return torch.softmax(prior.log() - ratio(errors, snr), dim=0)

    def by_snr(errors, snr, prior):
        return torch.softmax(prior.log() - 0.5 * (snr[1:, None] * errors).sum(dim=0), dim=0)

    causes = [
        ("the sign: the label with the *smaller* error is the more probable.",
         lambda errors, snr, prior: torch.softmax(prior.log() + ratio(errors, snr), dim=0)),
        ("the ½ of (1) is missing.",
         lambda errors, snr, prior: torch.softmax(prior.log() - 2 * ratio(errors, snr), dim=0)),
        ("the pieces are averaged. They are parts of one integral: add them up.",
         lambda errors, snr, prior: torch.softmax(prior.log() - ratio(errors, snr) / len(errors), dim=0)),
        ("the prior multiplies the logarithm of the likelihood. Add the prior's logarithm to it.",
         lambda errors, snr, prior: torch.softmax(-prior * ratio(errors, snr), dim=0)),
        ("the errors are added without weight. Each counts for its piece of SNR.",
         lambda errors, snr, prior: torch.softmax(prior.log() - 0.5 * errors.sum(dim=0), dim=0)),
        ("the errors are averaged without weight. Each counts for its piece of SNR.",
         lambda errors, snr, prior: torch.softmax(prior.log() - 0.5 * errors.mean(dim=0), dim=0)),
        ("the weight is the SNR itself. That is for pieces of log SNR; here the pieces are of SNR.", by_snr),
        ("the prior has no part in it: it says how often a label comes.",
         lambda errors, snr, prior: torch.softmax(-ratio(errors, snr), dim=0)),
        ("the prior is added as it is. A logarithm of a likelihood wants its logarithm.",
         lambda errors, snr, prior: torch.softmax(prior - ratio(errors, snr), dim=0)),
        ("prior times posterior does not add up to 1: bring the prior in before you normalise.",
         lambda errors, snr, prior: prior * torch.softmax(-ratio(errors, snr), dim=0)),
        ("these are the logarithms, up to a constant: make probabilities of them.",
         lambda errors, snr, prior: prior.log() - ratio(errors, snr)),
    ]
    numbers = [(torch.tensor([[3.0, 1.0, 2.0], [0.4, 0.5, 0.1]]).double(), torch.tensor([1.5, 0.6, 0.0]).double(),
                torch.tensor([0.2, 0.3, 0.5]).double()),
               (torch.tensor([[1.0, 2.5], [2.0, 0.7], [4.0, 3.0]]).double(),
                torch.tensor([2.0, 1.1, 0.4, 0.0]).double(), torch.tensor([0.7, 0.3]).double())]
    diagnosed(attempt, right, causes, "Weigh each error with its piece of SNR, take half, subtract it from log prior, "
              "and normalise by softmax.", numbers)
    return "Errors in, probabilities out."


@answers
def check_about_the_reader(attempt):
    reasons = {
        "A": "A is true. What the noise does to both labels alike is in both errors, and goes out.",
        "B": "B is false. With new noise the mean of the difference is the same; only its spread grows.",
        "C": "C is false. Each draw still costs one evaluation for each label in the race.",
        "D": "D is true. The picture's SNR ends the integral: beyond it there is nothing to restore.",
        "E": "E is false. That noise is a part of the picture; no label restores it.",
        "F": "F is true. It was never trained on pictures under that noise; trained on them, it may well win.",
        "G": "G is false. (1) holds for the exact denoiser. A network's errors enter, and far out of the data nothing "
             "bounds them.",
    }
    require_letters(attempt(), "ADF", reasons)
    return "A reader for free, but not a free lunch."


def called_and_true(seed, n=3, side=12):
    """What a classifier says, and the truth, int64 (n, side, side). The first picture has no clutter in either."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(3, (n, side // 4, side // 4), generator=generator)
    truth = truth.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    truth[:, ::2] = 0
    truth[0][truth[0] == 2] = 1
    truth[0, 1, :3] = 1
    other = torch.randint(3, truth.shape, generator=generator)
    called = torch.where(torch.rand(truth.shape, generator=generator) < 0.3, other, truth)
    called[0][called[0] == 2] = 1
    return called, truth


@answers
def check_repaired_miou(attempt):
    def iou(predicted, mask, k):
        both = ((predicted == k) & (mask == k)).sum().double()
        return both / ((predicted == k) | (mask == k)).sum()

    def pooled(predicted, mask, classes=(1, 2)):
        return torch.stack([iou(predicted, mask, k) for k in classes]).mean()

    def of_each(predicted, mask, classes=(1, 2), missing=1.0):
        found = [iou(a, b, k).nan_to_num(nan=missing) for a, b in zip(predicted, mask) for k in classes]
        return torch.stack(found).mean()

    def of_those_there(predicted, mask, classes=(1, 2)):
        found = [pooled(a, b, [k for k in classes if ((a == k) | (b == k)).any()]) for a, b in zip(predicted, mask)]
        return torch.stack(found).mean()

    def pairs_there(predicted, mask):
        found = [iou(a, b, k) for a, b in zip(predicted, mask) for k in (1, 2)]
        return torch.stack([one for one in found if not one.isnan()]).mean()

    def counted(function):
        """The mean over the two classes of a function of (both, predicted, true), numbers of pixels."""
        return lambda predicted, mask: torch.stack([function(
            ((predicted == k) & (mask == k)).sum().double(), (predicted == k).sum(), (mask == k).sum())
            for k in (1, 2)]).mean()

    def ink_as_one(predicted, mask):
        both = sum(((predicted == k) & (mask == k)).sum() for k in (1, 2)).double()
        return both / sum(((predicted == k) | (mask == k)).sum() for k in (1, 2))

    causes = [
        ("both faults are still in it: the background counts, and the mean is over pictures.",
         lambda predicted, mask: of_each(predicted, mask, (0, 1, 2))),
        ("the background still counts, which is easy and lifts every mean.",
         lambda predicted, mask: pooled(predicted, mask, (0, 1, 2))),
        ("the mean is still over pictures: a picture without clutter counts as a perfect one. Count the pixels of all "
         "pictures together, and divide once.", of_each),
        ("the mean is still over pictures: a picture without clutter counts as a bad one. Count the pixels of all "
         "pictures together, and divide once.", lambda predicted, mask: of_each(predicted, mask, missing=0.0)),
        ("the mean is still over pictures. A picture with three pixels of clutter counts as much as one with three "
         "hundred. Count the pixels of all pictures together, and divide once.", of_those_there),
        ("a class that is absent from a picture is left out now. But a picture with one pixel of clutter still counts "
         "as much as a full one. Count the pixels of all pictures together, and divide once.", pairs_there),
        ("digit and clutter are counted as one class. Divide for each class, then take the mean of the two.",
         ink_as_one),
        ("that is twice the intersection over the sum of both, Dice's coefficient.",
         counted(lambda both, predicted, true: 2 * both / (predicted + true))),
        ("you divided by the pixels that are of the class, which is recall. Calling everything a digit would be "
         "perfect.", counted(lambda both, predicted, true: both / true)),
        ("you divided by the pixels that were called so, which is precision.",
         counted(lambda both, predicted, true: both / predicted)),
        ("in the union the intersection is counted twice.",
         counted(lambda both, predicted, true: both / (predicted + true))),
        ("that is the share of pixels with the right class.",
         lambda predicted, mask: (predicted == mask).double().mean()),
    ]
    diagnosed(attempt, pooled, causes, "For each of the classes 1 and 2: the intersection over the union, each counted "
              "over all pictures; then the mean of the two.", [called_and_true(0), called_and_true(1, n=4)])
    return "And a canvas without clutter no longer counts as one on which all clutter was found."


def direction(angle):
    return torch.atan2(angle.sin().mean(), angle.cos().mean())


@answers
def check_better_half(attempt):
    def halved(angle, axis=lambda a: direction(2 * a) / 2, middle=direction, larger=True, answer=None):
        along = (angle - axis(angle)).cos() > 0
        if larger is not None and bool(along.double().mean() < 0.5) == larger:
            along = ~along
        half = angle[along]
        return (middle(half) if answer is None else answer(angle, along)), len(half) / len(angle)

    def wrong(**change):
        return lambda angle: halved(angle, **change)

    def axis_itself(angle, along):
        axis = direction(2 * angle) / 2
        on_it = (angle[along] - axis).cos().mean() > 0
        return axis if on_it else torch.atan2(-axis.sin(), -axis.cos())

    causes = [
        ("the angles of the half are averaged as numbers: -179° and 179° then make 0. Average their cosines and sines.",
         wrong(middle=torch.mean)),
        ("that is the circular mean of all angles, and half a turn apart they cancel. Split them first.",
         lambda angle: (direction(angle), 1.0)),
        ("that is the smaller half.", wrong(larger=False)),
        ("that is the half on the axis' side, whether it is the larger or not. Count both.", wrong(larger=None)),
        ("the axis comes from the angles as they are, and two answers half a turn apart cancel. Double the angles "
         "first: then both are the same direction.", wrong(axis=direction)),
        ("the direction of the doubled angles is twice the axis: halve it.", wrong(axis=lambda a: direction(2 * a))),
        ("that is the axis, which both halves had a say in. The answer is the circular mean of the larger half alone.",
         wrong(answer=axis_itself)),
        ("atan2 takes the sine first, then the cosine.",
         wrong(middle=lambda a: torch.atan2(a.cos().mean(), a.sin().mean()))),
        ("atan of sine over cosine knows half of the circle only. atan2 knows all of it.",
         wrong(middle=lambda a: torch.atan(a.sin().mean() / a.cos().mean()))),
        ("that is in degrees: leave it in radians.", wrong(middle=lambda a: direction(a) * 180 / math.pi)),
    ]

    def degrees(*values):
        return torch.tensor(values, dtype=torch.float64).deg2rad()

    numbers = [(degrees(178, -176, 171, -5, -178, 12, 169),), (degrees(70, 101, -97, 84, -110, 74, 95, -101, -86),),
               (degrees(2, 10, 151, -8, 139, 4, 166, -40, 128),), (degrees(-40, 120, -52, 133, -31, 150, -58, -49),)]
    diagnosed(attempt, halved, causes, "Double, average, halve: the axis. Then the side of it that holds more samples, "
              "and its circular mean.", numbers)
    return "No width had to be chosen. But it takes for granted that there are two answers, half a turn apart."
