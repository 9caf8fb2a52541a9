"""Guidance weighs two answers, costs an evaluation, and is exact where the answers are."""

import pytest
import torch
from samplers import SAMPLERS, normal, seeded
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import autoguided, classifier_guided, guided
from diffusion_lab.theory.denoiser import Denoiser
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


# What guided samples are samples of, on Gaussians: three closed forms

V, LABELS_VAR = 1.0, 0.5  # of all data, and of those with the label


def halved():
    """All data is N(0, 1), that with the label N(1, 1/2)."""
    whole = GaussianMixture([1.0], [[0.0]], [V]).denoiser(cosine())
    part = GaussianMixture([1.0], [[1.0]], [LABELS_VAR]).denoiser(cosine())
    return Denoiser(lambda x_t, t, label: (whole if label is None else part)(x_t, t), cosine())


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 2.0])
def test_on_the_smooth_path_the_variance_of_a_gaussian_is_a_product_of_powers(weight):
    ends = last(ddim(guided(halved(), weight), torch.tensor([[0.0], [1.0]]).double(), label=0))
    expected = LABELS_VAR ** (1 + weight) * V**-weight
    assert (ends[1] - ends[0]).item() ** 2 == pytest.approx(expected, rel=0.006)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_with_fresh_noise_it_is_another_one_and_neither_is_that_of_the_tilted_density(weight):
    samples = last(ddpm(guided(halved(), weight), normal(20_000, 1), spaced(1000, 500), label=0, generator=seeded()))
    v = LABELS_VAR
    expected = v * (V - v * (v / V) ** (2 * weight)) / ((2 * weight + 1) * (V - v))
    assert samples.var().item() == pytest.approx(expected, rel=0.04)
    tilted = 1 / ((1 + weight) / v - weight / V)
    assert abs(tilted / expected - 1) > 0.1 or weight == 0


# Autoguidance

def believes(var):
    return GaussianMixture([1.0], [[0.0]], [var]).denoiser(cosine())


def test_autoguidance_at_its_best_weight_repairs_the_variance_of_a_gaussian():
    """Both networks blur; (v + d_1)^(1+w) (v + d_0)^(-w) = v at w = log(1.1) / log(1.3/1.1)."""
    best = 0.57053
    ends = last(ddim(autoguided(believes(1.1), believes(1.3), best), torch.ones(1, 1, dtype=torch.float64)))
    assert ends.item() ** 2 == pytest.approx(1.0, abs=0.004)
    assert last(ddim(believes(1.1), torch.ones(1, 1, dtype=torch.float64))).item() ** 2 == pytest.approx(1.1, abs=0.004)


@pytest.mark.parametrize("label", [None, 2])
@pytest.mark.parametrize("until", [None, 400, 399])
def test_autoguidance_asks_both_with_the_label_where_it_guides(label, until):
    blurred = GaussianMixture(CLOUDS.weight, CLOUDS.mean, 2 * CLOUDS.var)
    good, weak = labelled(CLOUDS, cosine()), labelled(blurred, cosine())
    x = normal(4, 2)
    given = autoguided(good, weak, 1.5, until)(x, 400, label)
    guides = until != 399
    assert (good.calls, weak.calls) == ([label], [label] if guides else [])
    expected = 2.5 * good(x, 400, label) - 1.5 * weak(x, 400, label) if guides else good(x, 400, label)
    assert torch.allclose(given, expected, rtol=1e-12)


def test_autoguidance_refuses_a_weaker_denoiser_of_another_schedule():
    with pytest.raises(ValueError, match="the same schedule"):
        autoguided(labelled(CLOUDS, cosine()), labelled(CLOUDS, linear()), 1.0)
    with pytest.raises(ValueError, match="a denoiser is due"):
        autoguided(labelled(CLOUDS, cosine()), None, 1.0)
    with pytest.raises(ValueError, match="guidance_weight"):
        autoguided(labelled(CLOUDS, cosine()), labelled(CLOUDS, cosine()), -1.0)


# Classifier guidance

def exact_classifier(x_t, t):
    """log of weight times density of each label, from torch.distributions; its softmax is Bayes' rule."""
    a = cosine().alpha_bar[int(t[0])]
    parts = Independent(Normal(a.sqrt() * CLOUDS.mean, (a * CLOUDS.var + 1 - a).sqrt()[:, None].expand(3, 2)), 1)
    return parts.log_prob(x_t[:, None]) + CLOUDS.weight.log()


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("label", [1, torch.tensor([2, 0, 1, 1])])
@pytest.mark.parametrize("t", [1, 300, 900])
def test_with_the_exact_classifier_it_is_classifier_free_guidance(weight, label, t):
    denoiser, x = labelled(CLOUDS, cosine()), normal(4, 2)
    with torch.no_grad():  # as samplers call it
        given = classifier_guided(denoiser, exact_classifier, weight)(x, t, label)
    assert denoiser.calls == [None]
    assert torch.allclose(given, guided(denoiser, weight)(x, t, label), atol=1e-8)


def test_a_classifier_guides_until_a_time_and_never_without_a_label():
    denoiser, x = labelled(CLOUDS, cosine()), normal(4, 2)
    late = classifier_guided(denoiser, exact_classifier, 1.0, until=400)
    assert torch.equal(late(x, 401, 2), denoiser(x, 401))
    assert not torch.allclose(late(x, 400, 2), denoiser(x, 400))
    assert torch.equal(late(x, 400, None), denoiser(x, 400))


def test_each_example_follows_its_own_gradient_whatever_is_beside_it():
    guide, x = classifier_guided(labelled(CLOUDS, cosine()), exact_classifier, 1.0), normal(3, 2)
    together = guide(x, 500, torch.tensor([2, 0, 1]))
    alone = torch.cat([guide(x[i : i + 1], 500, label) for i, label in enumerate((2, 0, 1))])
    assert torch.allclose(together, alone)


def test_classifier_guidance_keeps_the_dtype_and_refuses_what_is_no_classifier():
    denoiser = labelled(CLOUDS, cosine())
    assert classifier_guided(denoiser, exact_classifier, 1.0)(normal(3, 2).float(), 500, 1).dtype == torch.float32
    with pytest.raises(ValueError, match="a classifier is due"):
        classifier_guided(denoiser, None, 1.0)
    with pytest.raises(ValueError, match="guidance_weight"):
        classifier_guided(denoiser, exact_classifier, -0.5)
