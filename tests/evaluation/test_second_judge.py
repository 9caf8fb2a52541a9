"""The second judge reads digits that it has not seen, is damaged by nothing, and is trained on whole pixels alone."""

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation import second_judge as module
from diffusion_lab.evaluation.judge import in_batches, read_digits
from diffusion_lab.evaluation.second_judge import (
    FILE,
    SecondJudge,
    fit_second_judge,
    held_back,
    load_second_judge,
)


@pytest.fixture(scope="module")
def judge():
    return load_second_judge()


def test_it_reads_the_test_digits_and_those_held_back(judge):
    """At most 15 wrong of each thousand, the aim of the course; and its file is small."""
    images, labels = load_digits("train")
    back = held_back(labels)
    for digits, names in (load_digits("test"), (images[back], labels[back])):
        assert len(names) == 1000
        assert (read_digits(judge, digits) != names).sum() <= 15
    assert FILE.stat().st_size < 1_000_000


def test_what_it_gives(judge):
    images = load_digits("test")[0][:3]
    features = judge.features(images)
    assert (features.shape, features.dtype) == ((3, 32), torch.float32)
    assert judge(images).shape == (3, 10)
    alone = torch.cat([in_batches(judge.features, image[None]) for image in images])
    assert torch.allclose(features, alone, atol=1e-4), "no image depends on those beside it"
    assert not features.requires_grad


def test_its_features_are_about_standard_on_the_digits_that_it_was_trained_on(judge):
    images, labels = load_digits("train")
    features = in_batches(judge.features, images[~held_back(labels)])
    assert features.mean(dim=0).abs().max() < 0.3
    assert ((features.std(dim=0) > 0.7) & (features.std(dim=0) < 1.4)).all()


def test_a_shift_by_a_pixel_hardly_changes_them_and_a_blur_does(judge):
    images = load_digits("test")[0]
    before = in_batches(judge.features, images).mean(dim=0)
    beside = in_batches(judge.features, images.roll((1, 1), (2, 3))).mean(dim=0)
    soft = in_batches(judge.features, torch.nn.functional.avg_pool2d(images, 3, 1, 1)).mean(dim=0)
    assert (soft - before).norm() > 3 * (beside - before).norm()


def test_the_last_hundred_of_each_kind_are_held_back():
    labels = load_digits("train")[1]
    back = held_back(labels)
    assert labels[back].bincount().tolist() == [100] * 10
    for kind in range(10):
        assert (labels == kind).nonzero()[-100:, 0].tolist() == (back & (labels == kind)).nonzero()[:, 0].tolist()
    with pytest.raises(ValueError, match="401 of each kind are held back, but"):
        held_back(labels, 401)
    with pytest.raises(ValueError, match="labels must"):
        held_back(labels.float())


def test_it_is_trained_on_whole_pixels_by_a_seed(monkeypatch):
    images, labels = load_digits("train")
    chosen = torch.cat([(labels == kind).nonzero()[:3, 0] for kind in range(10)])
    seen = []

    def noted(some, generator, most):
        seen.append((len(some), most))
        return some

    monkeypatch.setattr(module, "shifted", noted)
    state = torch.get_rng_state()
    twice = [fit_second_judge(images[chosen], labels[chosen], 2, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert seen == [(30, 2)] * 4
    assert torch.equal(in_batches(twice[0], images[:5]), in_batches(twice[1], images[:5]))
    assert torch.equal(torch.get_rng_state(), state)
    assert not twice[0].training


def test_the_weights_are_those_of_this_network(judge):
    assert {name: value.shape for name, value in SecondJudge().state_dict().items()} == {
        name: value.shape for name, value in judge.state_dict().items()}
