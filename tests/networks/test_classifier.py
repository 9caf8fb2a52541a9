"""The classifier of noisy digits: shapes, examples that do not mix, the time, and what Muon leaves to AdamW."""

import pytest
import torch

from diffusion_lab.networks.classifier import NoisyClassifier


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return NoisyClassifier()


def digits(n):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_it_returns_ten_scores_and_treats_each_example_alone():
    net, x_t, t = network(), digits(4), torch.tensor([1, 100, 700, 1000])
    together = net(x_t, t)
    assert together.shape == (4, 10)
    for i in range(4):
        assert torch.allclose(net(x_t[i : i + 1], t[i : i + 1])[0], together[i], atol=1e-5)


def test_the_time_matters():
    net, x_t = network(), digits(1).expand(2, 1, 28, 28)
    early, late = net(x_t, torch.tensor([10, 900]))
    assert (early - late).abs().max() > 1e-3


def test_every_weight_and_the_picture_receive_a_gradient():
    net, x_t = network(), digits(3).requires_grad_()
    net(x_t, torch.tensor([5, 50, 500])).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
    assert (x_t.grad.flatten(1).abs().amax(dim=1) > 0).all()


def test_its_ends_are_modules_of_its_own():
    net = network()
    assert all(any(end is module for module in net.modules()) for end in net.ends())


@pytest.mark.parametrize(("x_t", "t"), [
    (digits(2)[:, 0], torch.tensor([1, 2])), (digits(2).double(), torch.tensor([1, 2])), (digits(2), torch.tensor([1])),
    (digits(2), 5),
])
def test_what_does_not_fit_is_refused(x_t, t):
    with pytest.raises(ValueError, match="this network takes x_t|takes times"):
        network()(x_t, t)
