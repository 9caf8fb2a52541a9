"""The report holds what each ruler says; and the rulers tell apart what they are there to tell apart."""

import pytest
import torch
import torch.nn.functional as F

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation import report as module
from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import in_batches
from diffusion_lab.evaluation.report import Rulers, report
from diffusion_lab.evaluation.second_judge import held_back
from diffusion_lab.evaluation.spectrum import power_ratio
from diffusion_lab.evaluation.variety import density_and_coverage, variety

TRAIN, TEST = load_digits("train"), load_digits("test")


@pytest.fixture(scope="module")
def rulers():
    return Rulers(TEST, TRAIN)


@pytest.fixture(scope="module")
def fresh():
    """A thousand training digits that the second judge has not seen, a hundred of each kind."""
    back = held_back(TRAIN[1])
    return TRAIN[0][back], TRAIN[1][back]


def blurred(images, share=0.05):
    """Each pixel has given a share to each of its four neighbours."""
    ink = F.pad(images + 1, [1] * 4)
    around = ink[:, :, :-2, 1:-1] + ink[:, :, 2:, 1:-1] + ink[:, :, 1:-1, :-2] + ink[:, :, 1:-1, 2:]
    return (1 - 4 * share) * (images + 1) + share * around - 1


def test_it_holds_what_each_ruler_says(rulers, fresh):
    images, labels = fresh
    told = rulers.measure(images, labels)
    assert list(told) == ["first", "second", "spectrum"]
    assert told["spectrum"] == power_ratio(images, TEST[0]).tolist()
    for name, judge in rulers.judges.items():
        one = told[name]
        assert one["distance"] == distance_to_test(images, judge, TEST[0])
        assert (one["floor"], one["floor_std"]) == floor_distance(judge, TRAIN, TEST[0])
        assert one["times_floor"] == one["distance"] / one["floor"]
        assert one["label_accuracy"] == label_accuracy(judge, images, labels)
        features = (in_batches(judge.features, some) for some in (images, TEST[0]))
        assert (one["density"], one["coverage"]) == density_and_coverage(*features)
        assert (one["variety"], one["variety_of_shapes"]) == variety(images, labels, judge, TEST)
        assert all(isinstance(value, float) for value in one.values())
    assert told["first"] != told["second"]


def test_the_report_adds_what_takes_minutes(monkeypatch, rulers, fresh):
    monkeypatch.setattr(module, "share_of_real", lambda *arguments: 0.5)
    told = report(*fresh, TRAIN, TEST, rulers)
    assert told == rulers.measure(*fresh) | {"share_of_real": 0.5, "memorisation_ratio": 0.0}


def test_fresh_real_digits_pass_all_rulers(rulers, fresh):
    told = rulers.measure(*fresh)
    for one in (told["first"], told["second"]):
        assert one["times_floor"] < 1.35
        assert one["label_accuracy"] > 0.98
        assert 0.85 < one["density"] < 1.2
        assert one["coverage"] > 0.9
        assert 0.8 < one["variety"] < 1.2
        assert 0.9 < one["variety_of_shapes"] < 1.1
    assert all(0.9 < ratio < 1.1 for ratio in told["spectrum"])


def test_soft_digits_pass_the_first_judge_and_fail_by_the_second_and_the_spectrum(rulers, fresh):
    """The same digits with 5 % of each pixel given to each neighbour: this is why there are two judges."""
    images, labels = fresh
    sharp, soft = rulers.measure(images, labels), rulers.measure(blurred(images), labels)
    assert soft["first"]["times_floor"] < 1.5
    assert soft["second"]["times_floor"] > 2.5 * sharp["second"]["times_floor"]
    assert max(soft["spectrum"][10:]) < 0.75


def test_digits_of_one_hand_lack_variety_and_coverage(rulers, fresh):
    """Three originals of each kind, again and again."""
    images, labels = fresh
    few = torch.cat([(labels == kind).nonzero()[:3, 0].repeat(34)[:100] for kind in range(10)])
    told = rulers.measure(images[few], labels[few])
    for one in (told["first"], told["second"]):
        assert one["times_floor"] > 3
        assert one["coverage"] < 0.5
    assert told["first"]["variety"] < 0.8
    assert told["first"]["variety_of_shapes"] < 0.8


def test_digits_under_wrong_names_are_noticed(rulers, fresh):
    images, labels = fresh
    for judge in rulers.judges.values():
        assert label_accuracy(judge, images, (labels + 1) % 10) < 0.02


def test_digits_that_are_none_are_refused(rulers):
    with pytest.raises(ValueError, match="NaN or infinite"):
        rulers.measure(torch.full((3, 1, 28, 28), float("nan")), torch.arange(3))
