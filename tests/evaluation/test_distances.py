"""Distances between sets of digits: closed forms, another library, and what they must be for known sets."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import (
    distance_to_test,
    floor_distance,
    frechet_distance,
    half,
    label_accuracy,
    memorisation_ratio,
    share_of_real,
)
from diffusion_lab.evaluation.judge import in_batches, load_judge

LABELS = torch.tensor([3, 1, 4])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_moments(mean, cov, n=50, seed=0):
    """A set (n, d) whose sample mean and covariance are exactly these."""
    x = normal(n, len(mean), seed=seed)
    x = x - x.mean(0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(x.T)), x.T, upper=False).T
    return white @ torch.linalg.cholesky(cov).T + mean


def covariance(d, seed):
    a = normal(d, d, seed=seed)
    return a @ a.T + 0.1 * torch.eye(d)


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@pytest.fixture(scope="module")
def digits():
    (images, labels), (test, test_labels) = load_digits("train"), load_digits("test")
    return (images[:300], labels[:300]), (test[:200], test_labels[:200])


def test_frechet_distance_of_diagonal_gaussians_in_closed_form():
    """|m_a - m_b|² + Σ (σ_a - σ_b)²."""
    m_a, m_b = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 0.0, 0.5])
    s_a, s_b = torch.tensor([0.5, 2.0, 1.0]), torch.tensor([1.5, 0.1, 1.0])
    a, b = (with_moments(m.double(), torch.diag(s.double() ** 2), seed=k)
            for k, (m, s) in enumerate([(m_a, s_a), (m_b, s_b)]))
    expected = 1 + 4 + 1.0**2 + 1.9**2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("d", [1, 2, 8, 64])
def test_frechet_distance_against_scipy(d):
    """scipy's square root of the product C_a C_b, which is not symmetric, against our symmetric one."""
    a, b = normal(200, d, seed=1) @ normal(d, d, seed=2), normal(150, d, seed=3) @ normal(d, d, seed=4) + 0.3
    cov_a, cov_b = (np.atleast_2d(np.cov(x.numpy(), rowvar=False)) for x in (a, b))
    shift = (a.numpy().mean(0) - b.numpy().mean(0)) ** 2
    expected = shift.sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-7)


def test_frechet_distance_is_symmetric_and_0_for_equal_sets():
    a, b = normal(60, 5, seed=1), 2 * normal(80, 5, seed=2)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-10)
    assert 0 <= frechet_distance(a, a) < 1e-9
    assert 0 <= frechet_distance(a, a.flip(0)) < 1e-9, "the order in a set does not matter"


def test_frechet_distance_of_a_shift_a_scale_and_a_turn():
    a, b = with_moments(torch.zeros(4).double(), covariance(4, 1)), normal(70, 4, seed=2)
    shift = torch.tensor([3.0, 0.0, -4.0, 0.0])
    assert frechet_distance(a, a + shift) == pytest.approx(25, rel=1e-6)
    assert frechet_distance(a + shift, b + shift) == pytest.approx(frechet_distance(a, b), rel=1e-6)
    assert frechet_distance(3 * a, 3 * b) == pytest.approx(9 * frechet_distance(a, b), rel=1e-6)
    spread = torch.cov(a.T).trace().item()
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * spread, rel=1e-6), "tr (3 - 1)² C"
    turn = torch.linalg.qr(normal(4, 4, seed=5)).Q
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b), rel=1e-6)


def test_frechet_distance_with_features_that_never_vary():
    """Fewer images than features, or features that are always 0: covariances without an inverse."""
    few, flat = normal(4, 10), torch.zeros(30, 10)
    assert frechet_distance(few, flat) == pytest.approx(
        few.mean(0).square().sum().item() + torch.cov(few.T).trace().item(), rel=1e-6)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_is_computed_in_float64():
    """A spread of 1e-3 around 1,000: float32 features would lose it in the covariance."""
    a = with_moments(torch.full((3,), 1000.0).double(), 1e-6 * torch.eye(3).double())
    b = with_moments(torch.full((3,), 1000.0).double(), 4e-6 * torch.eye(3).double(), seed=1)
    assert frechet_distance(a, b) == pytest.approx(3e-6, rel=1e-3)
    assert isinstance(frechet_distance(a.float(), b.float()), float)


@pytest.mark.parametrize(("a", "b"), [((5, 3), (5, 4)), ((1, 3), (5, 3)), ((5, 3), (0, 3)), ((5,), (5,)),
                                      ((5, 1, 3), (5, 1, 3))], ids=str)
def test_sets_that_have_no_distance_are_refused(a, b):
    with pytest.raises(ValueError, match="must have shapes .* at least 2") as refusal:
        frechet_distance(torch.zeros(a), torch.zeros(b))
    assert f"{a} and {b}" in str(refusal.value)


@pytest.mark.parametrize("name", ["n", "draws"])
def test_a_floor_of_nothing_is_refused(judge, digits, name):
    train, (test, _) = digits
    with pytest.raises(ValueError, match=f"{name} must be a whole number, at least 1, but got 0"):
        floor_distance(judge, train, test, **{name: 0})


def test_features_and_matrices_that_have_no_distance_are_refused():
    with pytest.raises(ValueError, match="features hold NaN or infinite values"):
        frechet_distance(torch.zeros(5, 3), torch.full((5, 3), math.nan))
    with pytest.raises(ValueError, match="a covariance is symmetric"):
        half(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))


SCALED = {"uint8": lambda x: ((x + 1) * 127.5).byte(), "0…255": lambda x: (x + 1) * 127.5, "bool": lambda x: x > 0}


@pytest.mark.parametrize("scale", SCALED.values(), ids=SCALED)
@pytest.mark.parametrize("measure", [
    lambda x, judge, train, test: distance_to_test(x, judge, test[0]),
    lambda x, judge, train, test: distance_to_test(train[0], judge, x),
    lambda x, judge, train, test: label_accuracy(judge, x, test[1][:3]),
    lambda x, judge, train, test: memorisation_ratio(x, train[0], test[0]),
    lambda x, judge, train, test: memorisation_ratio(test[0], x, test[0]),
    lambda x, judge, train, test: share_of_real(x, test[1][:3], train, test),
])
def test_images_of_another_range_or_dtype_are_refused(judge, digits, measure, scale):
    with pytest.raises(ValueError, match=r"images must (be floats|lie within \[-1, 1\])"):
        measure(scale(digits[1][0][:3]), judge, *digits)


@pytest.mark.parametrize("labels", [LABELS[:1], LABELS[:, None], LABELS.float(), LABELS + 7, LABELS - 100, 3,
                                    LABELS.repeat(2)], ids=str)
def test_labels_that_do_not_fit_are_refused(judge, digits, labels):
    train, test = digits
    for measure in (lambda x: label_accuracy(judge, x, labels), lambda x: share_of_real(x, labels, train, test),
                    lambda x: floor_distance(judge, (x, labels), test[0])):
        with pytest.raises(ValueError, match="labels must"):
            measure(test[0][:3])


def test_distance_to_test_is_that_of_the_features(judge, digits):
    (images, _), (test, _) = digits
    expected = frechet_distance(judge.features(images), judge.features(test))
    assert distance_to_test(images, judge, test) == pytest.approx(expected, rel=1e-4)
    noise = normal(200, 1, 28, 28).clamp(-1, 1)
    assert distance_to_test(noise, judge, test) > 10 * distance_to_test(images, judge, test)


def test_the_floor_is_of_real_digits_and_always_the_same(judge, digits):
    (images, labels), (test, _) = digits
    state = torch.get_rng_state()
    mean, std = floor_distance(judge, (images, labels), test, n=100, draws=3)
    assert (mean, std) == floor_distance(judge, (images, labels), test, n=100, draws=3)
    assert torch.equal(torch.get_rng_state(), state)
    each = []
    for k in range(3):  # along a seeded order, the first ten of each kind
        chosen, count = [], [0] * 10
        for i in torch.randperm(300, generator=torch.Generator().manual_seed(k)).tolist():
            if count[labels[i]] < 10:
                count[labels[i]] += 1
                chosen.append(i)
        each.append(frechet_distance(in_batches(judge.features, images[chosen]), in_batches(judge.features, test)))
    assert mean == pytest.approx(np.mean(each), rel=1e-4)
    assert std == pytest.approx(np.std(each, ddof=1), rel=1e-2)
    assert 0 < std < mean
    more, _ = floor_distance(judge, (images, labels), test, n=200, draws=3)
    assert more < mean, "more digits, less chance"


class KindJudge:
    """Features that are the kind alone, one-hot: 1 at the kind of which the first pixel is a tenth."""

    def features(self, images):
        return torch.eye(10)[(10 * images[:, 0, 0, 0]).round().long()]


@pytest.mark.parametrize("n", [20, 100, 27])
def test_each_draw_of_the_floor_holds_equally_many_of_each_kind(n):
    """Only the kinds are seen: a set with the kinds 0, 1, … 9, 0, … in turn is the same in each draw."""
    labels = torch.randint(10, (400,), generator=torch.Generator().manual_seed(1))
    images = (labels / 10).reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    in_turn = torch.eye(10)[torch.arange(n) % 10]
    equal = images[torch.cat([(labels == kind).nonzero()[:10, 0] for kind in range(10)])]
    mean, std = floor_distance(KindJudge(), (images, labels), equal, n=n)
    expected = frechet_distance(in_turn, KindJudge().features(equal))
    assert mean == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert std < 1e-6


def test_a_balanced_set_of_real_digits_lies_at_about_the_floor(judge):
    """Real training digits, a hundred of each kind, in place of drawn ones. Their distance varies by some 7 %."""
    (images, labels), (test, test_labels) = load_digits("train"), load_digits("test")
    assert test_labels.bincount().tolist() == [100] * 10
    real = torch.cat([images[labels == kind][:100] for kind in range(10)])
    floor, _ = floor_distance(judge, (images, labels), test)
    assert distance_to_test(real, judge, test) / floor == pytest.approx(1, abs=0.2)


def test_a_floor_of_more_digits_than_there_are_of_a_kind_is_refused(judge, digits):
    (images, labels), (test, _) = digits
    few = labels.bincount().min().item()
    assert floor_distance(judge, (images, labels), test, n=10 * few, draws=2)[0] > 0
    with pytest.raises(ValueError, match=f"the floor of {10 * few + 1} digits needs {few + 1} training digits of each"):
        floor_distance(judge, (images, labels), test, n=10 * few + 1, draws=2)


def test_label_accuracy_is_the_share_read_as_asked(judge, digits):
    _, (test, labels) = digits
    read = in_batches(judge, test).argmax(1)
    assert label_accuracy(judge, test, read) == 1
    assert label_accuracy(judge, test, (read + 1) % 10) == 0
    mixed = torch.where(torch.arange(200) < 50, read, (read + 3) % 10)
    assert label_accuracy(judge, test, mixed) == 0.25
    assert label_accuracy(judge, test, labels) > 0.95


def test_memorisation_ratio_of_copies_and_of_fresh_digits(digits):
    (train, _), (test, _) = digits
    assert memorisation_ratio(train[:50], train, test) == 0, "exactly, however the neighbours are searched"
    assert memorisation_ratio(test, train, test) == 1
    fresh = load_digits("test")[0][200:600]
    assert memorisation_ratio(fresh, train, test) == pytest.approx(1, abs=0.1)


def test_memorisation_ratio_takes_images_that_need_a_gradient(digits):
    (train, _), (test, _) = digits
    assert memorisation_ratio(train[:5].clone().requires_grad_(), train, test) == 0


def test_memorisation_ratio_by_hand(digits):
    """All distances at once with torch, and the median of the smallest, for images halfway to their copies."""
    (train, _), (test, _) = digits
    images = (train[:40] + test[:40]) / 2

    def nearest(x):
        return torch.cdist(x.flatten(1).double(), train.flatten(1).double()).min(1).values.median().item()

    assert 0 < nearest(images) < nearest(test[:41])
    found = memorisation_ratio(images[:39], train, test[:41])  # odd numbers: one median
    expected = (torch.cdist(images[:39].flatten(1).double(), train.flatten(1).double()).min(1).values.median()
                / nearest(test[:41]))
    assert found == pytest.approx(expected.item(), rel=1e-4)


def test_share_of_real_for_real_digits_and_for_wrong_labels(digits):
    """Trained on the same digits, in the same order, a classifier is exactly as good. Wrong labels teach nothing."""
    (images, labels), test = digits
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:120]
    some, names = images[order], labels[order]
    state = torch.get_rng_state()
    assert share_of_real(some, names, (images, labels), test, epochs=2) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert share_of_real(some, (names + 1) % 10, (images, labels), test, epochs=6) < 0.5


@pytest.mark.parametrize("measure", [
    lambda bad, judge, train, test: distance_to_test(bad, judge, test[0]),
    lambda bad, judge, train, test: label_accuracy(judge, bad, LABELS),
    lambda bad, judge, train, test: memorisation_ratio(bad, train[0], test[0]),
    lambda bad, judge, train, test: share_of_real(bad, LABELS, train, test),
])
def test_images_of_a_chain_that_diverged_are_refused(judge, digits, measure):
    with pytest.raises(ValueError, match="NaN or infinite"):
        measure(torch.full((3, 1, 28, 28), float("nan")), judge, *digits)
