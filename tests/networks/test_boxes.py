"""Crops see what lies in their window, and each box is answered for by itself."""

import pytest
import torch

from diffusion_lab.networks.boxes import CELLS, BoxNetwork, crops

X_T = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
T = torch.tensor([300, 700])
CANVAS = torch.randn(2, 1, 56, 56, generator=torch.Generator().manual_seed(1))
WINDOW = torch.tensor([10.0, 4.0, 38.0, 32.0]).expand(2, 5, 4)


def made():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BoxNetwork(8, 16)


def test_a_crop_of_a_ramp_is_the_ramp_within_the_window():
    """A map whose values are the places themselves, in pixels: bilinear interpolation is exact on it."""
    place = (torch.arange(28) + 0.5) * 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    found = crops(torch.stack([x, y])[None], torch.tensor([[[10.0, 4.0, 38.0, 25.0], [20.0, 20.0, 27.0, 34.0]]]))
    assert found.shape == (1, 2, 2, CELLS, CELLS)
    assert torch.allclose(found[0, 0, 0, 3], 10 + 28 * (torch.arange(CELLS) + 0.5) / CELLS, atol=1e-4)
    assert torch.allclose(found[0, 0, 1, :, 3], 4 + 21 * (torch.arange(CELLS) + 0.5) / CELLS, atol=1e-4)
    assert torch.allclose(found[0, 1, 1, :, 0], 20 + 14 * (torch.arange(CELLS) + 0.5) / CELLS, atol=1e-4)


def test_outside_of_the_canvas_there_is_nothing():
    found = crops(torch.ones(1, 3, 28, 28), torch.tensor([[[-80.0, -80.0, -40.0, -40.0]]]))
    assert torch.equal(found, torch.zeros(1, 1, 3, CELLS, CELLS))


def test_boxes_do_not_see_each_other():
    network = made()
    features = network.look(CANVAS)
    all_of_them = network(X_T, T, features, WINDOW)
    assert all_of_them.shape == (2, 5, 5)
    one = network(X_T[:, 2:3], T, features, WINDOW[:, 2:3])
    assert torch.allclose(all_of_them[:, 2:3], one, atol=1e-5)


def test_canvas_time_and_state_each_make_a_difference():
    network = made()
    features = network.look(CANVAS)
    answer = network(X_T, T, features, WINDOW)
    for other in (network(X_T, T + 100, features, WINDOW), network(X_T + 0.3, T, features, WINDOW),
                  network(X_T, T, network.look(CANVAS.flip(0)), WINDOW)):
        assert (answer - other).abs().max() > 1e-4


def test_the_network_names_its_arguments_and_its_ends():
    network = made()
    assert network.arguments == {"width": 8, "hidden": 16}
    assert network.first in network.ends()


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="width must be a whole number, a multiple of 8"):
        BoxNetwork(12)
    with pytest.raises(ValueError, match=r"canvases must have shape \(n, 1, 56, 56\)"):
        made().look(torch.zeros(1, 1, 28, 28))
    with pytest.raises(ValueError, match=r"windows \(n, m, 4\) are due"):
        crops(torch.zeros(2, 3, 28, 28), torch.zeros(1, 5, 4))
