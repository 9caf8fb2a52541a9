"""Two labels in one: each reaches the network, each can be left out, and without a style it is the shipped network."""

import pytest
import torch

from diffusion_lab.networks.styled import ANY, StyledUNet, both
from diffusion_lab.networks.unet import UNet

X_T = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
T = torch.tensor([300, 700])


def made(build, *arguments):
    """A network whose zeroed layers have some weights, too; the same ones each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(*arguments)
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.1)
    return network


def test_both_counts_every_pair_once():
    pairs = [both(digit, style) for digit in range(11) for style in range(11)]
    assert sorted(pairs) == list(range(121))
    assert both(torch.tensor([3, 4]), 9).tolist() == [102, 103]


@pytest.mark.parametrize("pair", [(-1, 0), (0, 11), (torch.tensor([3, 12]), 0)])
def test_labels_out_of_range_are_refused(pair):
    with pytest.raises(ValueError, match="must lie within 0…9, or be 10 for any"):
        both(*pair)


def test_the_weights_of_a_network_without_styles_fit_and_no_style_makes_a_difference_at_first():
    plain, styled = made(UNet, 16, 24, 32), StyledUNet(16, 24, 32)
    missing, unknown = styled.load_state_dict(plain.state_dict(), strict=False)
    assert (missing, unknown) == (["condition.style.weight"], [])
    for digit, style in ((3, 0), (3, 9), (3, ANY), (ANY, 4)):
        expected = plain(X_T, T, digit)
        assert torch.allclose(styled(X_T, T, both(digit, style)), expected, atol=1e-6)


def test_each_of_the_two_labels_makes_a_difference_of_its_own():
    network = made(StyledUNet, 16, 24, 32)
    answers = torch.stack([network(X_T, T, both(digit, style)) for digit in (3, 4, ANY) for style in (0, 9, ANY)])
    assert (answers[:, None] - answers).abs().amax(dim=(2, 3, 4, 5)).add(torch.eye(9)).min() > 1e-4


def test_no_label_is_neither_and_labels_may_be_one_for_each():
    network = made(StyledUNet, 16, 24, 32)
    assert torch.equal(network(X_T, T), network(X_T, T, both(ANY, ANY)))
    assert network.null_label == both(ANY, ANY)
    each = network(X_T, T, both(torch.tensor([3, 4]), torch.tensor([9, 0])))
    assert torch.allclose(each[:1], network(X_T[:1], T[:1], both(3, 9)), atol=1e-5)
    assert torch.allclose(each[1:], network(X_T[1:], T[1:], both(4, 0)), atol=1e-5)
    with pytest.raises(ValueError, match=r"within 0…119"):
        network(X_T, T, 121)


def test_styles_are_an_end_of_the_network():
    network = StyledUNet(16, 24, 32)
    assert network.condition.style in network.ends()
    assert network.arguments == {"fine": 16, "coarse": 24, "dim": 32}
