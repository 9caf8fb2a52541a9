"""Measurements as matrices, against the library's own pooling and blurring."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn.functional import avg_pool2d

from diffusion_lab.sampling.measurement import average_pooling, gaussian_blur, kept_pixels, measure


def pictures(n=3, side=28):
    return torch.randn(n, 1, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [1, 2, 4, 7, 28])
def test_pooling_is_that_of_torch(factor):
    y = measure(average_pooling(factor), pictures(), 0.0)
    assert torch.allclose(y, avg_pool2d(pictures(), factor).flatten(1), atol=1e-6)


def test_the_pseudo_inverse_of_pooling_repeats_each_mean():
    A = average_pooling(4)
    assert torch.allclose(torch.linalg.pinv(A), 16 * A.mT, atol=1e-6)
    assert torch.equal(16 * A.mT, (A > 0).float().mT)


def test_kept_pixels_are_those_where_the_mask_is_true():
    mask = torch.rand(28, 28, generator=torch.Generator().manual_seed(1)) > 0.7
    assert torch.equal(measure(kept_pixels(mask), pictures(), 0.0), pictures().flatten(1)[:, mask.flatten()])


def test_blurring_is_that_of_scipy_away_from_the_edge_and_keeps_an_even_grey():
    A = gaussian_blur(1.5)
    blurred = measure(A, pictures(1), 0.0).reshape(28, 28)
    expected = gaussian_filter(pictures(1)[0, 0].numpy().astype(float), 1.5, truncate=6)
    assert torch.allclose(blurred[9:19, 9:19].double(), torch.from_numpy(expected)[9:19, 9:19], atol=1e-4)
    assert torch.allclose(A.sum(dim=1), torch.ones(784), atol=1e-5)


def test_the_noise_has_the_standard_deviation_asked_for():
    y = measure(torch.eye(784), torch.zeros(50, 1, 28, 28), 0.3, torch.Generator().manual_seed(2))
    assert y.std().item() == pytest.approx(0.3, rel=0.02)
    assert y.shape == (50, 784)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: average_pooling(3), "side must be a whole number"), (lambda: average_pooling(0), "factor must be"),
    (lambda: kept_pixels(torch.zeros(28, 28, dtype=torch.bool)), "at least one True"),
    (lambda: kept_pixels(torch.ones(28, 28)), "bool tensor"), (lambda: gaussian_blur(0), "std must be positive"),
    (lambda: measure(torch.eye(3), pictures(), 0.1), r"A must have the shape \(m, 784\)"),
    (lambda: measure(torch.eye(784), pictures(), -0.1), "std must be"),
])
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
