"""Guidance weighs two answers, costs an evaluation, and is exact where the answers are."""

import pytest
import torch
from samplers import SAMPLERS, normal, seeded
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from diffusion_lab.sampling.chain import spaced
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear

CLOUDS = GaussianMixture([0.2, 0.3, 0.5], [[-1.5, 0.0], [1.0, 1.0], [0.5, -1.0]], [0.04, 0.09, 0.25])


def labelled(data, schedule):
    """The exact denoiser of a mixture whose components are the labels: one component's if one is named."""
    parts = [GaussianMixture([1.0], data.mean[k : k + 1], data.var[k : k + 1]).denoiser(schedule)
             for k in range(len(data.weight))]
    whole = data.denoiser(schedule)

    def denoiser(x_t, t, label=None):
        denoiser.calls.append(label)
        if label is None:
            return whole(x_t, t)
        labels = torch.as_tensor(label).expand(len(x_t))
        return torch.stack([part(x_t, t) for part in parts])[labels, torch.arange(len(x_t))]

    denoiser.schedule, denoiser.calls = schedule, []
    return denoiser


@pytest.mark.parametrize("weight", [0, 0.0])
def test_weight_0_is_the_plain_denoiser_with_one_evaluation(weight):
    denoiser, label = labelled(CLOUDS, cosine()), torch.tensor([0, 1, 2, 1])
    given = guided(denoiser, weight)(normal(4, 2), 400, label)
    assert denoiser.calls == [label]
    assert torch.equal(given, denoiser(normal(4, 2), 400, label))


@pytest.mark.parametrize("weight", [1, 0.5, 7.5, 1e-9])
def test_a_weight_costs_two_evaluations_one_without_a_label(weight):
    denoiser = labelled(CLOUDS, cosine())
    given = guided(denoiser, weight)(normal(4, 2), 400, 2)
    assert denoiser.calls == [2, None]
    expected = (1 + weight) * denoiser(normal(4, 2), 400, 2) - weight * denoiser(normal(4, 2), 400)
    assert torch.allclose(given, expected, rtol=1e-12)


@pytest.mark.parametrize("weight", [0, 0.5, 4.0])
def test_without_a_label_nothing_is_overdone(weight):
    denoiser = labelled(CLOUDS, cosine())
    given = guided(denoiser, weight)(normal(4, 2), 400)
    assert denoiser.calls == [None]
    assert torch.equal(given, denoiser(normal(4, 2), 400))


@pytest.mark.parametrize("until", [0, 1, 399, 400, 999, 1000])
@pytest.mark.parametrize("t", [1, 400, 1000])
def test_it_guides_until_a_time_and_costs_one_evaluation_after_it(until, t):
    denoiser, x = labelled(CLOUDS, cosine()), normal(4, 2)
    given = guided(denoiser, 1.5, until)(x, t, 2)
    assert denoiser.calls == ([2, None] if t <= until else [2])
    expected = guided(denoiser, 1.5)(x, t, 2) if t <= until else denoiser(x, t, 2)
    assert torch.equal(given, expected)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_chain_costs_two_evaluations_at_guided_times_alone(name):
    denoiser = labelled(CLOUDS, cosine(50))
    guide = guided(denoiser, 1.0, until=25)
    *_, last = SAMPLERS[name](guide, normal(3, 2), spaced(50, 10), label=1, generator=seeded())
    assert denoiser.calls == [1] * 5 + [1, None] * 5  # times 50, 45, …, 30, then 25, …, 5
    assert torch.isfinite(last.x_s).all()


def test_examples_at_several_times_are_guided_each_by_its_own():
    class Named:  # the label's answer is 3, that without a label 1
        schedule = cosine()

        def __call__(self, x_t, t, label=None):
            return torch.full_like(x_t, 1.0 if label is None else 3.0)

    given = guided(Named(), 0.5, until=400)(torch.zeros(3, 2), torch.tensor([399, 400, 401]), 2)
    assert given.tolist() == [[4.0, 4.0], [4.0, 4.0], [3.0, 3.0]]
    assert given.dtype == torch.float32


@pytest.mark.parametrize("until", [-1, 1001, 400.0, "400"])
def test_an_end_of_guidance_that_is_no_time_is_refused(until):
    with pytest.raises(ValueError, match=r"times must lie within 0…1000, but got|a time must be an int"):
        guided(labelled(CLOUDS, cosine()), 1.0, until)


@pytest.mark.parametrize("make", [linear, cosine])
@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("t", [1, 300, 700, 1000])
def test_with_a_mixture_it_is_the_closed_form(make, weight, t):
    """Guidance adds w ∇ log p(label given x_t) to the score of the label's marginal (Ho & Salimans 2022, section 3.1).

    Here both are known: the marginals are Gaussians, the classifier is Bayes' rule. Scores by automatic differentiation
    of torch.distributions; from them the denoised mean by Tweedie's formula. Nothing of the package but the schedule.
    """
    schedule, k = make(), 1
    a = schedule.alpha_bar[t]
    joint = MixtureSameFamily(Categorical(CLOUDS.weight), Independent(Normal(
        a.sqrt() * CLOUDS.mean, (a * CLOUDS.var + 1 - a).sqrt()[:, None].expand(3, 2)), 1))
    x = (a.sqrt() * CLOUDS.mean.repeat(2, 1) + (1 - a).sqrt() * normal(6, 2)).requires_grad_()
    log_own = joint.component_distribution.log_prob(x[:, None])[:, k]
    log_class = log_own + CLOUDS.weight[k].log() - joint.log_prob(x)
    [score] = torch.autograd.grad((log_own + weight * log_class).sum(), x)
    expected = (x + (1 - a) * score) / a.sqrt()
    given = guided(labelled(CLOUDS, schedule), weight)(x.detach(), t, torch.full((6,), k))
    assert torch.allclose(given, expected.detach(), rtol=1e-6, atol=1e-6)


def test_each_example_is_guided_by_its_own_label():
    denoiser, x = labelled(CLOUDS, cosine()), normal(3, 2)
    together = guided(denoiser, 2.0)(x, 500, torch.tensor([2, 0, 1]))
    alone = torch.cat([guided(denoiser, 2.0)(x[i : i + 1], 500, label) for i, label in enumerate((2, 0, 1))])
    assert torch.allclose(together, alone)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_takes_it_as_a_denoiser(name):
    """It has the schedule of the denoiser that it was made of, and 10 steps cost 20 evaluations."""
    denoiser = labelled(CLOUDS, cosine(50))
    assert guided(denoiser, 1.0).schedule is denoiser.schedule
    *_, last = SAMPLERS[name](guided(denoiser, 1.0), normal(3, 2), spaced(50, 10), label=1, generator=seeded())
    assert denoiser.calls == [1, None] * 10
    assert torch.isfinite(last.x_s).all()


def test_guidance_draws_away_from_the_other_labels():
    """Two clouds that overlap: with a weight, more of the samples asked for on the right lie where the right rules."""
    data, start = GaussianMixture([0.5, 0.5], [[-0.5], [0.5]], [0.25, 0.25]), normal(400, 1)

    def share_right(weight):
        *_, last = dpm_solver(guided(labelled(data, cosine()), weight), start, spaced(1000, 20), label=1)
        return (last.x_s > 0).double().mean().item(), last.x_s.std().item()

    found = [share_right(weight) for weight in (0.0, 1.0, 3.0)]
    assert found[0][0] == pytest.approx(0.841, abs=0.06), "Φ(1)"
    assert found[0][0] < found[1][0] < found[2][0]
    assert found[0][1] > found[1][1] > found[2][1], "at the cost of diversity"
