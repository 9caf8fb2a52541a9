"""The bound, against 60 digits, closed forms and a second derivation."""

import math

import mpmath as mp
import pytest
import torch

from diffusion_lab.theory.elbo import (
    bits_per_dim,
    decoder_var,
    discretised_log_prob,
    elbo_terms,
    kl_prior,
    kl_t,
    nll_recon,
)
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var
from diffusion_lab.theory.schedule import cosine, linear

PIXELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def exact_log_prob(k, mean, var):
    """log of the area under N(mean, var) over the bin of pixel k, in 60 digits."""
    with mp.workdps(60):
        low, high = ((mp.mpf(2 * k + side) / 255 - 1 - mp.mpf(mean)) / mp.sqrt(mp.mpf(var)) for side in (-1, 1))
        low, high = (-mp.inf if k == 0 else low), (mp.inf if k == 255 else high)
        if low > 0:
            low, high = -high, -low
        return mp.log((mp.erfc(-high / mp.sqrt(2)) - mp.erfc(-low / mp.sqrt(2))) / 2)


@pytest.mark.parametrize("mean", [-1.0, -0.97, 0.0, 0.3, 1.1])
@pytest.mark.parametrize("var", [5e-5, 1e-3, 0.04, 1.0, 25.0])
def test_each_of_256_pixels_agrees_with_60_digits(mean, var):
    ours = discretised_log_prob(PIXELS, torch.tensor(mean, dtype=torch.float64), var)
    assert all(abs(mp.mpf(value) - exact_log_prob(k, mean, var)) < 1e-9 for k, value in enumerate(ours.tolist()))
    assert abs(ours.exp().sum() - 1) < 1e-12


def test_float32_images_are_pixels():
    assert discretised_log_prob(PIXELS.float(), torch.tensor(0.2, dtype=torch.float64), 0.04).isfinite().all()


def test_decoder_variances_are_those_of_ddpm():
    s = linear()
    assert decoder_var(s, "large") == s.beta[1]
    beta_tilde_2 = (1 - s.alpha_bar[1]) / (1 - s.alpha_bar[2]) * s.beta[2]
    assert torch.isclose(decoder_var(s, "small"), beta_tilde_2, rtol=1e-11)
    assert torch.isclose(decoder_var(s, 0.5), (s.beta[1] * beta_tilde_2).sqrt(), rtol=1e-11)


def gaussian_bound(v, s, variance):
    """-E log of the bound for data N(0, v) with the exact denoiser, from the reverse chain read as a Gaussian chain.

    A second derivation: the bound is E_q[log q(x_1..x_T given x_0) - log p(x_0..x_T)], computed step by step from
    the entropies of the forward steps and the second moments of the reverse ones, without any posterior KL.
    """
    ab, T = s.alpha_bar, s.T
    minus_entropy = sum(-0.5 * math.log(2 * math.pi * math.e * s.beta[t].item()) for t in range(1, T + 1))
    second = [(ab[t] * v + 1 - ab[t]).item() for t in range(T + 1)]
    bound = minus_entropy + 0.5 * math.log(2 * math.pi) + 0.5 * second[T]
    for t in range(1, T + 1):
        gain = (ab[t].sqrt() * v / (ab[t] * v + 1 - ab[t])).item()
        one = torch.ones(1, dtype=torch.float64)
        factor = posterior_mean(gain * one, one, t, s).item()
        var = (decoder_var(s, variance) if t == 1 else reverse_var(t, s, variance)).item()
        cross = s.alpha[t].sqrt().item() * second[t - 1]
        error = second[t - 1] - 2 * factor * cross + factor**2 * second[t]
        bound += 0.5 * math.log(2 * math.pi * var) + 0.5 * error / var
    return bound


@pytest.mark.parametrize("schedule", [cosine(12), linear(12), cosine(40)], ids=["cosine12", "linear12", "cosine40"])
@pytest.mark.parametrize("variance", ["small", "large", 0.4])
def test_monte_carlo_agrees_with_a_second_derivation_and_never_falls_below_entropy(schedule, variance):
    v, n = 0.3, 40_000
    data = GaussianMixture([1.0], [[0.0]], [v])
    terms = elbo_terms(data.denoiser(schedule), data.sample(n, generator()), variance, generator=generator(1))
    draws = terms.kl_prior + terms.kl_t.sum(dim=1) + terms.nll_recon
    truth = gaussian_bound(v, schedule, variance)
    assert abs(draws.mean() - truth) < 4 * draws.std() / n**0.5
    assert truth > 0.5 * math.log(2 * math.pi * math.e * v)


def test_error_bars_cover_the_truth_as_often_as_they_should():
    s, v, n, runs = cosine(8), 0.3, 200, 300
    data = GaussianMixture([1.0], [[0.0]], [v])
    source, truth, covered = generator(2), gaussian_bound(v, s, "large"), 0
    for _ in range(runs):
        terms = elbo_terms(data.denoiser(s), data.sample(n, source), "large", generator=source)
        draws = terms.kl_prior + terms.kl_t.sum(dim=1) + terms.nll_recon
        covered += abs(draws.mean().item() - truth) < 2 * draws.std().item() / n**0.5
    assert abs(covered / runs - 0.954) < 4 * (0.954 * 0.046 / runs) ** 0.5


def test_terms_are_per_example_sums_over_dimensions():
    s, x_0 = cosine(5), torch.randn(3, 1, 4, 4, generator=generator())
    data = GaussianMixture([1.0], [[0.0] * 16], [0.5])
    x_t = torch.randn(x_0.shape, generator=generator(1))
    flat = kl_t(x_0.flatten(1), x_t.flatten(1), 3, data.denoiser(s))
    assert torch.allclose(kl_t(x_0, x_t, 3, data.denoiser(s)), flat)
    times = torch.arange(len(x_0)) % 2 + 3
    each = torch.stack([kl_t(x_0[i : i + 1], x_t[i : i + 1], int(t), data.denoiser(s))[0] for i, t in enumerate(times)])
    assert torch.allclose(kl_t(x_0, x_t, times, data.denoiser(s)), each)
    one = torch.distributions.Normal(posterior_mean(x_0.double(), x_t.double(), 3, s), posterior_var(3, s).sqrt())
    other = torch.distributions.Normal(
        posterior_mean(data.denoiser(s)(x_t, 3).double(), x_t.double(), 3, s), reverse_var(3, s, "large").sqrt())
    expected = torch.distributions.kl_divergence(one, other).flatten(1).sum(dim=1)
    assert torch.allclose(kl_t(x_0, x_t, 3, data.denoiser(s), "large"), expected, rtol=1e-10)
    prior = torch.distributions.kl_divergence(
        torch.distributions.Normal(s.alpha_bar[-1].sqrt() * x_0.double(), (1 - s.alpha_bar[-1]).sqrt()),
        torch.distributions.Normal(0.0, 1.0)).flatten(1).sum(dim=1)
    assert torch.allclose(kl_prior(x_0, s), prior, rtol=1e-6, atol=1e-12)
    terms = elbo_terms(data.denoiser(s), x_0, generator=generator(3))
    assert [tuple(term.shape) for term in terms] == [(3,), (3, 4), (3,)]
    assert all(term.dtype == torch.float64 for term in terms)
    again = elbo_terms(data.denoiser(s), x_0, generator=generator(3))
    assert all(torch.equal(a, b) for a, b in zip(terms, again))


def test_the_discretised_reconstruction_is_a_probability_of_pixels():
    s = cosine(10)
    data = GaussianMixture([0.5, 0.5], [[-1.0] * 4, [1.0] * 4], [0.1, 0.1])
    x_0 = PIXELS[torch.tensor([[0, 10, 128, 255], [5, 5, 250, 200]])]
    x_1 = x_0 + 0.05
    ours = nll_recon(x_0, x_1, data.denoiser(s), "large", "discretised")
    mean, var = data.denoiser(s)(x_1, 1), s.beta[1].item()
    pixels = ((x_0 + 1) * 127.5).round().int().tolist()
    expected = [-sum(exact_log_prob(k, m, var) for k, m in zip(*rows)) for rows in zip(pixels, mean.tolist())]
    assert all(abs(mp.mpf(a) - b) < 1e-9 for a, b in zip(ours.tolist(), expected))
    assert (ours > 0).all()


def test_bits():
    assert bits_per_dim(784 * math.log(256), 784) == pytest.approx(8.0, abs=1e-12)
