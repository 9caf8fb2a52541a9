"""All rulers at once: two judges, each beside its own floor, the spectrum, variety, and whether it was copied."""

from diffusion_lab.evaluation.distances import (
    distance_to_test,
    floor_distance,
    label_accuracy,
    memorisation_ratio,
    share_of_real,
)
from diffusion_lab.evaluation.judge import in_batches, load_judge
from diffusion_lab.evaluation.second_judge import load_second_judge
from diffusion_lab.evaluation.spectrum import power_ratio
from diffusion_lab.evaluation.variety import density_and_coverage, variety


class Rulers:
    """What a set of n digits is measured by, against real ones: the judges, and the floor of each for n real digits.

    real: the pair (images, labels) that they are held against. others: the pair of real digits that the floors are
    drawn from, at least n/10 of each kind.
    """

    def __init__(self, real, others, n=1000):
        self.real = real
        self.judges = {"first": load_judge(), "second": load_second_judge()}
        self.floor = {name: floor_distance(judge, others, real[0], n) for name, judge in self.judges.items()}

    def measure(self, images, labels):
        """{"first": …, "second": what a judge says, {name: float}, "spectrum": 15 ratios of power, k = 0…14}.

        images: float32 (n, 1, 28, 28); labels: int64 (n,), what was asked for.
        """
        found = {}
        for name, judge in self.judges.items():
            mean, std = self.floor[name]
            distance = distance_to_test(images, judge, self.real[0])
            density, coverage = density_and_coverage(*(in_batches(judge.features, some)
                                                       for some in (images, self.real[0])))
            of_features, of_shapes = variety(images, labels, judge, self.real)
            found[name] = {"label_accuracy": label_accuracy(judge, images, labels), "distance": distance,
                           "floor": mean, "floor_std": std, "times_floor": distance / mean, "density": density,
                           "coverage": coverage, "variety": of_features, "variety_of_shapes": of_shapes}
        return found | {"spectrum": power_ratio(images, self.real[0]).tolist()}


def report(images, labels, train, test, rulers=None):
    """All measures of generated digits: those of `Rulers`, against the test digits, and what takes minutes.

    images: float32 (n, 1, 28, 28); labels: int64 (n,), what was asked for. train, test: pairs (images, labels).
    rulers: `Rulers(test, train, n)`, where there are some already.
    """
    rulers = rulers or Rulers(test, train, len(images))
    return rulers.measure(images, labels) | {
        "share_of_real": share_of_real(images, labels, train, test),
        "memorisation_ratio": memorisation_ratio(images, train[0], test[0]),
    }
