"""The judge reads digits that it has not seen, and refuses what are none."""

import math

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation import judge as module
from diffusion_lab.evaluation.judge import (
    FILE,
    Judge,
    checked,
    fit_classifier,
    in_batches,
    load_judge,
    read_digits,
    save_judge,
)


@pytest.fixture(scope="module")
def judge():
    return load_judge()


def test_the_shipped_judge_reads_the_test_digits(judge):
    """At most 15 wrong of 1,000 (the aim of the course); every class at most 6 of 100."""
    images, labels = load_digits("test")
    wrong = read_digits(judge, images) != labels
    assert len(labels) == 1000
    assert wrong.sum() <= 15, f"{int(wrong.sum())} of 1,000 are read wrongly"
    assert torch.bincount(labels[wrong], minlength=10).max() <= 6


def test_what_it_gives(judge):
    images = load_digits("test")[0][:3]
    features = judge.features(images)
    assert (features.shape, features.dtype) == ((3, 64), torch.float32)
    assert features.min() >= 0, "they come from a ReLU"
    scores = judge(images)
    assert scores.shape == (3, 10)
    assert torch.allclose(scores, features @ judge.to_scores.weight.T + judge.to_scores.bias, atol=1e-5)
    assert read_digits(judge, images).dtype == torch.int64
    assert torch.equal(read_digits(judge, images), scores.argmax(1))


def test_it_is_ready_to_judge(judge):
    """In evaluation mode no image depends on those beside it, and nothing in the judge changes."""
    images = load_digits("test")[0][:4]
    kept = {name: value.clone() for name, value in judge.state_dict().items()}
    together = in_batches(judge.features, images)
    alone = torch.cat([in_batches(judge.features, image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-4)
    assert not together.requires_grad
    assert not any(weight.requires_grad for weight in judge.parameters())
    assert all(torch.equal(value, kept[name]) for name, value in judge.state_dict().items())


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A judge of one's own in a folder: the path of its weights."""
    file = tmp_path_factory.mktemp("judge") / "own.safetensors"
    save_judge(Judge(), file)
    return file


def test_a_judge_comes_back_as_it_was_saved(tmp_path, judge):
    save_judge(judge, tmp_path / "judge.safetensors")
    assert (tmp_path / "judge.safetensors").read_bytes() == FILE.read_bytes()
    assert (tmp_path / "judge.sha256").read_bytes() == FILE.with_suffix(".sha256").read_bytes()


@pytest.mark.parametrize("suffix", [".safetensors", ".sha256"])
def test_one_bit_anywhere_in_its_files_is_noticed(copy, suffix):
    """In the header, in the numbers, in the sum: every place has its turns."""
    file = copy.with_suffix(suffix)
    whole = file.read_bytes()
    assert load_judge(copy).state_dict().keys() == Judge().state_dict().keys()
    try:
        for turn in range(200):
            place, bit = turn * len(whole) // 200, turn % 8
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            with pytest.raises(ValueError, match=f"{copy} is damaged: its SHA-256 sum is not the one in own.sha256"):
                load_judge(copy)
        file.write_bytes(whole[:-1])
        with pytest.raises(ValueError, match="is damaged"):
            load_judge(copy)
    finally:
        file.write_bytes(whole)


def test_loading_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    load_judge()
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("n", [1, 4, 5, 11])
def test_batches_together_are_the_whole(n):
    sizes, images = [], torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))

    def noted(batch):
        sizes.append(len(batch))
        return batch.sum((1, 2, 3))

    assert torch.equal(in_batches(noted, images, size=5), images.sum((1, 2, 3)))
    assert sizes == [5] * (n // 5) + ([n % 5] if n % 5 else [])


@pytest.mark.parametrize("shape", [(2, 28, 28), (2, 1, 28, 27), (2, 3, 28, 28), (0, 1, 28, 28), (784,)], ids=str)
def test_other_shapes_are_refused(judge, shape):
    with pytest.raises(ValueError, match=r"digits must have shape \(n, 1, 28, 28\), but got") as refusal:
        read_digits(judge, torch.zeros(shape))
    assert str(shape) in str(refusal.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_images_of_a_chain_that_diverged_are_refused(judge, value):
    images = torch.zeros(3, 1, 28, 28)
    images[1, 0, 27, 5] = value
    for measure in (read_digits, lambda judge, images: in_batches(judge.features, images)):
        with pytest.raises(ValueError, match="NaN or infinite"):
            measure(judge, images)


def test_double_images_are_read_as_float32():
    assert checked(torch.zeros(1, 1, 28, 28, dtype=torch.float64)).dtype == torch.float32


def test_a_classifier_learns_and_a_seed_fixes_it():
    """40 digits, four of each kind, are soon known by heart; the global random state is left alone."""
    images, labels = load_digits("train")
    chosen = torch.cat([(labels == k).nonzero()[:4, 0] for k in range(10)])
    images, labels = images[chosen], labels[chosen]
    state = torch.get_rng_state()
    readers = [fit_classifier(images, labels, 15, torch.Generator().manual_seed(seed), batch=20)
               for seed in (1, 1, 2)]
    scores = [in_batches(reader, images) for reader in readers]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
    assert torch.equal(torch.get_rng_state(), state)
    assert (scores[0].argmax(1) == labels).double().mean() > 0.85
    assert not readers[0].training
    assert not any(weight.requires_grad for weight in readers[0].parameters())


@pytest.mark.parametrize("changes", [{"lr": 0}, {"lr": math.nan}, {"epochs": 0}, {"batch": 0},
                                     {"labels": torch.arange(5)}, {"images": torch.full((4, 1, 28, 28), math.nan)}])
def test_a_training_that_cannot_be_is_refused(changes):
    [name] = changes
    with pytest.raises(ValueError, match="NaN" if name == "images" else f"{name} must be"):
        fit_classifier(**{"images": torch.zeros(4, 1, 28, 28), "labels": torch.arange(4), "epochs": 1,
                          "generator": torch.Generator()} | changes)


def test_a_classifier_sees_every_digit_once_an_epoch(monkeypatch):
    """Which images were asked for is told by their one grey value; the last batch is smaller."""
    seen, images = [], (torch.arange(7.0) / 10).reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28)

    def noted(batch, generator):
        seen.append((10 * batch[:, 0, 0, 0]).round().long().tolist())
        return batch

    monkeypatch.setattr(module, "augmented", noted)
    fit_classifier(images, torch.arange(7), 2, torch.Generator().manual_seed(0), batch=3)
    assert [len(batch) for batch in seen] == [3, 3, 1] * 2
    epochs = [sum(seen[:3], []), sum(seen[3:], [])]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(7))
    assert epochs[0] != epochs[1]


def test_the_weights_are_those_of_this_network():
    state = Judge().state_dict()
    shipped = load_judge().state_dict()
    assert {name: value.shape for name, value in state.items()} == {n: v.shape for n, v in shipped.items()}
