"""Features are what the network computes, and IoU is what a library and pen and paper say it is."""

import pytest
import torch
from sklearn.metrics import jaccard_score

from diffusion_lab.data.canvases import canvases
from diffusion_lab.networks.unet import UNet
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.vision.segmentation import (
    LAYERS,
    activations,
    features,
    fit_pixels,
    patches,
    pixel_iou,
    segment,
    voted,
)
from diffusion_lab.weights.pretrained import load_network

SCHEDULE = cosine()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def network():
    return load_network("mnist")


def test_activations_are_those_of_the_forward_pass(network):
    seen = {}
    hooks = [getattr(network, layer).register_forward_hook(lambda _, __, out, layer=layer: seen.update({layer: out}))
             for layer in LAYERS]
    x_t, t = torch.randn(3, 1, 28, 28, generator=seeded()), torch.tensor([1, 300, 900])
    network(x_t, t)
    [hook.remove() for hook in hooks]
    found = activations(network, x_t, t)
    assert list(found) == list(LAYERS)
    for layer in LAYERS:
        assert torch.equal(found[layer], seen[layer])


def test_a_canvas_has_features_at_each_pixel(network):
    image = canvases(2, seed=0).image
    found = features(network, image, 300, SCHEDULE, ("coarse_up", "fine_up"), draws=2, generator=seeded())
    assert found.shape == (2, 96 + 48, 56, 56)
    assert found.dtype == torch.float32


def test_features_lie_where_the_pixels_are(network):
    """Each draw shifts the picture on the grid, and its features back, so they are nearly those of no shift."""
    image = canvases(1, seed=0).image
    plain = activations(network, image, torch.tensor([1]))["fine_up"]
    plain = torch.nn.functional.interpolate(plain, size=(56, 56), mode="bilinear")
    found = features(network, image, 1, SCHEDULE, ("fine_up",), generator=seeded())

    def alike(a, b):
        return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]

    assert alike(found, plain) > 0.9
    assert alike(found, plain) > max(alike(found.roll(2, dims=dim), plain) for dim in (2, 3)) + 0.02


def test_more_draws_leave_less_noise(network):
    image = canvases(1, seed=0).image
    apart = {}
    for draws in (1, 8):
        a, b = (features(network, image, 300, SCHEDULE, ("coarse_up",), draws, seeded(seed)) for seed in (0, 1))
        apart[draws] = (a - b).std()
    assert apart[8] < 0.5 * apart[1]


def test_a_patch_holds_the_pixels_around():
    image = torch.arange(20.0).reshape(1, 1, 4, 5) / 20
    found = patches(image, 3)
    assert found.shape == (1, 9, 4, 5)
    assert torch.equal(found[0, :, 1, 1], image[0, 0, :3, :3].flatten())
    assert found[0, 0, 0, 0] == -1


def test_pixels_are_told_apart_by_what_tells_them_apart():
    """Classes that a linear classifier can separate are separated, each pixel in its place; no ink is background."""
    mask = torch.randint(3, (2, 8, 12), generator=seeded())
    image = torch.where(mask > 0, 0.5, -1.0)[:, None]
    given = torch.nn.functional.one_hot(mask, 3).movedim(-1, 1) + 0.01 * torch.randn(2, 3, 8, 12, generator=seeded())
    assert torch.equal(segment(fit_pixels(given, image, mask, strength=10.0), given, image), mask)


def test_iou_by_hand():
    mask = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 2]]])
    predicted = torch.tensor([[[0, 0, 0, 1], [0, 1, 1, 2]]])
    assert torch.allclose(pixel_iou(predicted, mask), torch.tensor([3 / 5, 2 / 4, 1 / 1], dtype=torch.float64))


def test_iou_is_that_of_the_library():
    for seed in range(5):
        mask, predicted = torch.randint(3, (2, 4, 10, 10), generator=seeded(seed))
        expected = jaccard_score(mask.flatten(), predicted.flatten(), average=None)
        assert pixel_iou(predicted, mask).tolist() == pytest.approx(expected.tolist(), abs=1e-15)


def test_a_class_that_is_nowhere_has_no_iou():
    zeros = torch.zeros(1, 2, 2, dtype=torch.int64)
    assert pixel_iou(zeros, zeros, classes=2).isnan().tolist() == [False, True]


def test_a_piece_has_the_class_of_most_of_its_pixels():
    predicted = torch.tensor([[[1, 1, 2, 0, 2], [0, 0, 0, 0, 2], [2, 0, 0, 1, 0]]])
    expected = torch.tensor([[[1, 1, 1, 0, 2], [0, 0, 0, 0, 2], [2, 0, 0, 2, 0]]])
    assert torch.equal(voted(predicted), expected)


def test_a_linear_reading_of_the_exact_denoiser_is_the_posterior():
    """Of a mixture with one width, Σ_k w_k(x_t) m_k is linear in x_0_hat and x_t, and so is p(class | x_t)."""
    mean = torch.randn(5, 12, generator=seeded(), dtype=torch.float64)
    mixture = GaussianMixture([0.2] * 5, mean, [0.05] * 5)
    kind = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    alpha_bar = SCHEDULE.alpha_bar[600]
    x_t = alpha_bar.sqrt() * mixture.sample(400, seeded()) + (1 - alpha_bar).sqrt() * torch.randn(
        400, 12, generator=seeded(1), dtype=torch.float64)
    var = alpha_bar * 0.05 + 1 - alpha_bar
    posterior = (-(x_t[:, None] - alpha_bar.sqrt() * mean).square().sum(dim=2) / (2 * var)).softmax(dim=1) @ kind
    one = torch.ones(400, 1, dtype=torch.float64)
    left = {}
    for name, given in {"denoised": mixture.denoiser(SCHEDULE)(x_t, 600), "nothing": x_t[:, :0]}.items():
        table = torch.cat([given, x_t, one], dim=1)
        weights = torch.linalg.lstsq(table, posterior[:, None], rcond=1e-10, driver="gelsd").solution  # of low rank
        left[name] = (table @ weights - posterior[:, None]).abs().max()
    assert left["denoised"] < 1e-10
    assert left["nothing"] > 0.1


def test_what_cannot_be_is_refused(network):
    image = torch.zeros(1, 1, 28, 28)
    for wrong, words in [
        (lambda: activations(network, torch.zeros(1, 1, 30, 28), torch.tensor([1])), "multiples of 4"),
        (lambda: features(network, image, 300, SCHEDULE, ("top",)), "layers must be some of"),
        (lambda: features(network, image, 300, SCHEDULE, ("middle",), draws=0), "draws must be"),
        (lambda: patches(image, 4), "odd"),
        (lambda: fit_pixels(image, image, torch.zeros(1, 28, 28)), "a mask must hold"),
        (lambda: pixel_iou(torch.zeros(1, 2, 2), torch.zeros(1, 2, 3)), "the same shape"),
    ]:
        with pytest.raises(ValueError, match=words):
            wrong()


def test_an_untrained_network_has_features_too():
    found = activations(UNet(8, 8, 8), torch.zeros(1, 1, 56, 56), torch.tensor([5]))
    assert found["middle"].shape == (1, 8, 14, 14)
