"""DDIM's steps are equations 12 and 16 of Song et al. 2021, on any chain; η is the share of fresh noise."""

import pytest
import torch
from exact import alpha_bar, posterior
from samplers import normal, seeded, waves

from diffusion_lab.sampling.chain import spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.theory.schedule import cosine, linear

kinds = pytest.mark.parametrize(("kind", "make"), [("linear", linear), ("cosine", cosine)])


@kinds
@pytest.mark.parametrize("timesteps", [None, [12, 7, 3], [9], [12, 11], spaced(12, 5)], ids=str)
@pytest.mark.parametrize("eta", [0, 0.0, 0.3, 1, 1.0])
def test_each_step_has_the_marginal_that_it_should(kind, make, timesteps, eta):
    """Coefficients to 40 digits, from the two conditions that define the step.

    Given x_0, x_s must have mean √ᾱ_s x_0 and variance 1-ᾱ_s, of which η² β̃ is fresh; the rest is the noise of x_t,
    rescaled. So x_s = w x_t + (√ᾱ_s - w √ᾱ_t) x̂_0 + √(η² β̃) ε with w² (1-ᾱ_t) + η² β̃ = 1-ᾱ_s.
    """
    T, generator = 12, seeded(1)
    rounding = 1e-12 if eta < 1 else 3e-8  # with η = 1 the root may be of a difference of equals: √1e-16
    for step in ddim(waves(make(T)), normal(5, 2), timesteps, eta, generator=seeded(1)):
        a_s, a_t = alpha_bar(kind, step.s, T), alpha_bar(kind, step.t, T)
        fresh = eta**2 * posterior(a_s, a_t)[0]
        w = ((1 - a_s - fresh) / (1 - a_t)) ** 0.5
        of_x_0 = a_s**0.5 - w * a_t**0.5
        mean = float(w) * step.x_t + float(of_x_0) * step.x_0_hat
        assert torch.allclose(step.mean, mean, rtol=1e-10, atol=rounding)
        if eta == 0 or step.s == 0:
            assert torch.equal(step.x_s, step.mean), "no fresh noise"
            continue
        eps = torch.randn(5, 2, generator=generator, dtype=torch.float64)
        assert torch.allclose(step.x_s, step.mean + float(fresh) ** 0.5 * eps, rtol=1e-10, atol=1e-12)
    ours = seeded(1)
    list(ddim(waves(make(T)), normal(5, 2), timesteps, eta, generator=ours))
    assert torch.equal(ours.get_state(), generator.get_state()), "no more noise is drawn than is added"


@kinds
def test_without_fresh_noise_two_steps_that_keep_the_guess_are_one(kind, make):
    """While x̂_0 stays the same the path is exact, so that it does not matter how often one stops on the way."""
    def same(x_t, t, label=None):
        return torch.full_like(x_t, 0.3)

    same.schedule = make(100)
    direct = [step.x_s for step in ddim(same, normal(4), [100, 10])][0]
    stops = [step.x_s for step in ddim(same, normal(4), [100, 77, 50, 49, 11, 10])][-2]
    assert torch.allclose(direct, stops, rtol=1e-11)


def test_more_eta_is_more_fresh_noise():
    """The spread over seeds, from one start, rises with η; at 0 there is none."""
    spreads = []
    for eta in (0.0, 0.3, 0.6, 1.0):
        firsts = [next(ddim(waves(cosine(50)), normal(1000), spaced(50, 5), eta, generator=seeded(k))).x_s
                  for k in range(20)]
        spreads.append(torch.stack(firsts).std(dim=0).mean().item())
    assert spreads[0] == 0
    assert spreads[1:] == pytest.approx([eta * spreads[3] for eta in (0.3, 0.6, 1.0)], rel=0.02)
