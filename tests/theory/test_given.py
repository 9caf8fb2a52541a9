"""What a measurement leaves of a mixture, against the product of two densities on a grid, and Kalman's formulas."""

import copy

import pytest
import torch

from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine

TWO = GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], [0.2, 0.1])
TILTED = GaussianMixture([0.4, 0.6], [[-1.0, 0.0], [1.0, 0.5]], [[[0.5, 0.3], [0.3, 0.4]], [[0.2, -0.1], [-0.1, 0.3]]])
PAIR = GaussianMixture([1.0], [[0.0, 0.0]], [[[1.0, 0.8], [0.8, 1.0]]])


def float64(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.mark.parametrize("mixture", [TWO, TILTED])
@pytest.mark.parametrize(("A", "y", "std"), [
    ([[1.0, 0.0]], [0.2], 0.3), ([[1.0, -2.0]], [1.5], 0.5), ([[1.0, 0.0], [0.5, 0.5]], [0.1, 0.4], 0.4),
])
def test_it_is_the_prior_times_the_likelihood_over_their_integral(mixture, A, y, std):
    line = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    off = float64(*y) - grid @ float64(*A).mT
    posterior = torch.softmax(mixture.log_prob(grid) - off.square().sum(dim=1) / (2 * std**2), dim=0) / 0.01**2
    found = mixture.given(float64(*A), float64(*y), std).log_prob(grid).exp()
    assert torch.allclose(found, posterior, atol=1e-6 * posterior.max())


def test_the_pair_of_correlation_four_fifths():
    after = PAIR.given(float64([1.0, 0.0]), float64(1.0), 1e-4)
    assert after.mean[0].tolist() == pytest.approx([1.0, 0.8], abs=1e-6)
    assert after.var[0].diag().tolist() == pytest.approx([0.0, 0.36], abs=1e-6)


def test_one_measurement_after_the_other_is_both_at_once():
    A, y = float64([1.0, 0.3], [-0.4, 1.0]), float64(0.3, -0.2)
    one_by_one = TILTED.given(A[:1], y[:1], 0.4).given(A[1:], y[1:], 0.4)
    both = TILTED.given(A, y, 0.4)
    for name in ("weight", "mean", "var"):
        assert torch.allclose(getattr(one_by_one, name), getattr(both, name), atol=1e-12), name


def test_a_state_of_the_chain_is_a_measurement_of_all_coordinates():
    schedule, t = cosine(), 400
    alpha_bar = schedule.alpha_bar[t]
    x_t = float64(0.4, -0.7)
    noise_std = ((1 - alpha_bar) / alpha_bar).sqrt().item()
    after = TILTED.given(torch.eye(2, dtype=torch.float64), x_t / alpha_bar.sqrt(), noise_std)
    mean, cov = TILTED.posterior(x_t[None], t, schedule)
    assert torch.allclose(after.weight @ after.mean, mean[0], atol=1e-12)
    apart = after.mean - mean
    total = torch.einsum("k,kij->ij", after.weight, after.var) + torch.einsum("k,ki,kj->ij", after.weight, apart, apart)
    assert torch.allclose(total, cov[0], atol=1e-12)


def test_what_it_gives_is_a_mixture_that_can_be_asked_again_and_copied():
    after = copy.deepcopy(TWO.given(float64([0.0, 1.0]), float64(0.1), 0.2))
    assert after.sample(5, torch.Generator().manual_seed(0)).shape == (5, 2)
    assert after.denoiser(cosine())(torch.zeros(3, 2), 500).shape == (3, 2)


def test_a_component_that_cannot_have_made_y_keeps_next_to_no_weight():
    after = TWO.given(float64([1.0, 0.0]), float64(60.0), 0.01)
    assert after.weight[1] < 1e-300  # the narrower one
    assert after.weight.sum() == 1


@pytest.mark.parametrize(("A", "y", "std", "words"), [
    ([[1.0, 0.0, 0.0]], [0.0], 0.1, r"needs A \(m, 2\) and y \(m,\), but got \(1, 3\) and \(1,\)"),
    ([[1.0, 0.0]], [0.0, 1.0], 0.1, r"but got \(1, 2\) and \(2,\)"),
    ([1.0, 0.0], [0.0], 0.1, r"but got \(2,\) and \(1,\)"),
    ([[1.0, 0.0]], [0.0], 0, "std must be positive"), ([[1.0, 0.0]], [0.0], "0.1", "std must be"),
])
def test_refusals(A, y, std, words):
    with pytest.raises(ValueError, match=words):
        TWO.given(torch.tensor(A), torch.tensor(y), std)
