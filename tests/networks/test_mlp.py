"""The small network: shapes, its formula by hand, examples that do not mix, and that it can be trained."""

import pytest
import torch
from torch.nn.functional import silu

from diffusion_lab.networks.embedding import time_embedding
from diffusion_lab.networks.mlp import MLP
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine


def network(**settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MLP(**settings)


def points(n, dim=2, seed=0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed))


def test_it_is_the_formula_written_out_by_hand():
    net, x_t, t = network(dim=3, hidden=8, depth=2, time_dim=6), points(5, 3), torch.tensor([1, 7, 7, 500, 1000])
    weights = [p.detach() for p in net.parameters()]
    hidden = torch.cat([x_t, time_embedding(t, 6).float()], dim=1)
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2]):
        hidden = silu(hidden @ weight.T + bias)
    assert len(weights) == 6
    assert torch.allclose(net(x_t, t), hidden @ weights[-2].T + weights[-1], atol=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_it_returns_the_shape_of_its_input(dim):
    assert network(dim=dim)(points(4, dim), torch.arange(1, 5)).shape == (4, dim)


def test_the_default_network_is_small():
    assert sum(p.numel() for p in network().parameters()) == (34 + 1) * 64 + 2 * (64 + 1) * 64 + (64 + 1) * 2


def test_each_example_is_treated_alone_and_the_time_matters():
    net, x_t, t = network(), points(6), torch.tensor([1, 10, 100, 300, 700, 1000])
    together = net(x_t, t)
    for i in range(6):
        assert torch.allclose(net(x_t[i : i + 1], t[i : i + 1])[0], together[i], atol=1e-6)
    assert (net(x_t[:1].expand(6, 2), t) - net(x_t[:1], t[:1])).abs()[1:].max(dim=1).values.min() > 1e-4


def test_all_weights_receive_a_gradient():
    net = network()
    net(points(4), torch.arange(1, 5)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


def test_as_denoiser_takes_it_in_single_precision():
    denoiser = as_denoiser(network(), cosine(10))
    assert denoiser(points(3), 10).dtype == torch.float32
    assert denoiser(points(3), torch.tensor([1, 5, 10])).shape == (3, 2)


def test_a_short_training_comes_near_the_exact_denoiser():
    """Two thirds of what can be learned: the excess over the exact v, against that of a network that answers 0."""
    schedule, generator = cosine(100), torch.Generator().manual_seed(0)
    data = GaussianMixture([0.3, 0.7], [[-1.0, 0.5], [1.0, -0.5]], [0.05, 0.05])
    net = network(hidden=32, depth=2)
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)

    def example(n):
        x_0, t = data.sample(n, generator).float(), torch.randint(1, 101, (n,), generator=generator)
        x_t = q_sample(x_0, t, torch.randn(n, 2, generator=generator), schedule)
        return x_0, x_t, t

    for _ in range(300):
        x_0, x_t, t = example(256)
        loss = (net(x_t, t) - v_from_x_0(x_t, x_0, t, schedule)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    _, x_t, t = example(5000)
    v_hat = v_from_x_0(x_t, data.denoiser(schedule)(x_t, t), t, schedule)
    assert (net(x_t, t) - v_hat).square().mean() < v_hat.square().mean() / 3
