"""Density, coverage and variety: by hand, for copies, for fresh real digits, and for sets that lack something."""

import math

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.judge import in_batches, load_judge, read_digits
from diffusion_lab.evaluation.variety import density_and_coverage, shapes, spread, variety


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def judge():
    return load_judge()


def test_density_and_coverage_by_hand():
    """Real: 0, 1, 3, 10 on a line; k = 1: radii 1, 1, 2, 7. Made: 0.5 (in two balls), 4 (in those of 3, 10), 99."""
    real, made = torch.tensor([[0.0], [1.0], [3.0], [10.0]]), torch.tensor([[0.5], [4.0], [99.0]])
    density, coverage = density_and_coverage(made, real, k=1)
    assert density == pytest.approx((2 + 2 + 0) / 3)
    assert coverage == 1.0
    assert density_and_coverage(made[:1], real, k=1) == (2.0, 0.5)
    density, coverage = density_and_coverage(made, real, k=2)  # radii 3, 2, 3, 9
    assert density == pytest.approx((2 + 1 + 2 + 0) / 6, abs=1 / 3)
    assert density_and_coverage(made[2:], real, k=2) == (0.0, 0.0)


def test_density_and_coverage_from_the_definition():
    real, made = normal(60, 3, seed=1), 0.7 * normal(50, 3, seed=2)
    k, inside = 5, 0
    covered = set()
    for i in range(60):
        radius = sorted((real[i] - real[j]).norm().item() for j in range(60) if j != i)[k - 1]
        for x in made:
            if (x - real[i]).norm() < radius:
                inside += 1
                covered.add(i)
    density, coverage = density_and_coverage(made, real)
    assert density == pytest.approx(inside / (k * 50), rel=1e-9)
    assert coverage == pytest.approx(len(covered) / 60, rel=1e-9)


def test_fresh_points_have_about_1_and_a_narrow_or_distant_set_lacks_one_or_both():
    real = normal(1000, 4, seed=1)
    density, coverage = density_and_coverage(normal(1000, 4, seed=2), real)
    assert density == pytest.approx(1, abs=0.1)
    assert coverage > 0.93
    density, coverage = density_and_coverage(0.2 * normal(1000, 4, seed=2), real)
    assert density > 1, "all lie where real ones are"
    assert coverage < 0.5
    assert density_and_coverage(normal(1000, 4, seed=2) + 20, real) == (0.0, 0.0)


@pytest.mark.parametrize(("features", "real", "k"), [
    (normal(5, 3), normal(5, 2), 2), (normal(5, 3), normal(5, 3), 5), (normal(0, 3), normal(9, 3), 2),
    (normal(5), normal(9, 3), 2), (normal(5, 3), normal(9, 3), 0)])
def test_sets_without_neighbours_are_refused(features, real, k):
    with pytest.raises(ValueError, match=r"shapes \(n, d\) and \(m, d\)|k must be a whole number"):
        density_and_coverage(features, real, k)


def test_spread_by_hand():
    """Kind 0: variances 2 and 0; kind 4: 8 and 2. The mean of 2 and 10."""
    points = torch.tensor([[0.0, 1], [2, 1], [0, 0], [4, 2]])
    assert spread(points, torch.tensor([0, 0, 4, 4])) == pytest.approx(6)


def test_shapes_do_not_see_brightness():
    images = load_digits("test")[0][:20]
    faint = 0.5 * (images + 1) - 1
    assert torch.allclose(shapes(images).norm(dim=1), torch.ones(20))
    assert torch.allclose(shapes(faint), shapes(images), atol=1e-6)
    assert spread(shapes(torch.cat([images[:1], faint[:1]])), torch.zeros(2)) < 1e-9


def test_variety_of_real_digits_is_about_1_and_of_few_originals_less(judge):
    real, (images, labels) = load_digits("test"), load_digits("train")
    fresh = variety(images[:1000], labels[:1000], judge, real)
    assert fresh == pytest.approx((1, 1), abs=0.15), "the judge knows them a little better than test digits"
    assert variety(*real, judge, real) == (1, 1)
    of_each = torch.cat([(labels == kind).nonzero()[:3, 0].repeat(5) for kind in range(10)])
    some = variety(images[of_each], labels[of_each], judge, real)
    assert max(some) < 0.8, "three originals of each kind, five times each"


def test_variety_leaves_out_what_is_misread(judge):
    """Wrong names for a tenth of the digits change nothing, as these digits are left out."""
    real, (images, labels) = load_digits("test"), load_digits("train")
    images, labels = images[:600], labels[:600]
    right = read_digits(judge, images) == labels
    wrong = torch.where(torch.arange(600) < 60, (labels + 1) % 10, labels)
    kept = right & (torch.arange(600) >= 60)
    assert variety(images, wrong, judge, real) == variety(images[kept], labels[kept], judge, real)
    features = in_batches(judge.features, images[kept])
    assert variety(images, wrong, judge, real)[0] == pytest.approx(
        spread(features, labels[kept]) / spread(in_batches(judge.features, real[0]), real[1]), rel=0.2)


def test_sets_without_a_kind_and_digits_that_are_none_are_refused(judge):
    images, labels = load_digits("test")
    with pytest.raises(ValueError, match="at least two digits of each"):
        variety(images[:5], labels[:5], judge, (images, labels))
    with pytest.raises(ValueError, match="NaN or infinite"):
        variety(torch.full((3, 1, 28, 28), math.nan), torch.arange(3), judge, (images, labels))
    with pytest.raises(ValueError, match="labels must"):
        variety(images[:5], labels[:4], judge, (images, labels))
