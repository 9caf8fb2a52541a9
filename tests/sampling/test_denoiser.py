"""From a network to a denoiser, whatever it predicts; and from a denoiser to another one."""

import dataclasses

import pytest
import torch
from samplers import SAMPLERS, normal, seeded

from diffusion_lab.sampling.chain import last
from diffusion_lab.sampling.denoiser import Denoiser, as_denoiser, clipped
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine, linear


def exact_network(exact, schedule, predicts):
    """A network that has learned perfectly: it returns what `predicts` says, made from the exact denoiser by hand."""
    def network(x_t, t, label):
        assert t.dtype == torch.int64
        assert t.shape == x_t.shape[:1]
        a = schedule.alpha_bar[t].reshape(-1, 1)
        x_0 = exact(x_t, t)
        eps = (x_t - a.sqrt() * x_0) / (1 - a).sqrt()
        return {"x_0": x_0, "eps": eps, "v": a.sqrt() * eps - (1 - a).sqrt() * x_0,
                "score": -eps / (1 - a).sqrt()}[predicts]
    return network


@pytest.mark.parametrize("predicts", ["x_0", "eps", "v", "score"])
@pytest.mark.parametrize("t", [7, torch.tensor([7, 7, 90, 100])])
def test_as_denoiser_gives_the_same_denoiser_whatever_is_predicted(predicts, t):
    schedule = linear(100)
    exact = GaussianMixture([0.5, 0.5], [[-1.0, 0.0], [2.0, 1.0]], [0.1, 0.4]).denoiser(schedule)
    denoiser = as_denoiser(exact_network(exact, schedule, predicts), schedule, predicts)
    x_t = normal(4, 2)
    assert torch.allclose(denoiser(x_t, t), exact(x_t, t), rtol=1e-10, atol=1e-10)
    assert denoiser.schedule is schedule


def test_as_denoiser_predicts_v_by_default_and_passes_the_label_on():
    seen, schedule = [], linear(10)

    def network(x_t, t, label):
        seen.append((t.tolist(), label))
        return torch.ones_like(x_t)

    denoiser, label = as_denoiser(network, schedule), torch.tensor([3, 4])
    x_t = torch.zeros(2, 1, 2, 2, dtype=torch.float64)
    assert torch.allclose(denoiser(x_t, 4, label), -(1 - schedule.alpha_bar[4]).sqrt() * torch.ones_like(x_t))
    denoiser(x_t, torch.tensor([1, 10]))
    assert seen == [([4, 4], label), ([1, 10], None)]


@pytest.mark.parametrize("predicts", ["x_0", "eps", "v", "score"])
def test_a_denoisers_answer_has_the_dtype_of_x_t(predicts):
    denoiser = as_denoiser(lambda x_t, t, label: x_t.float(), linear(10), predicts)
    for dtype in (torch.float32, torch.float64):
        assert denoiser(torch.ones(2, 3, dtype=dtype), 5).dtype == dtype


def test_a_denoiser_asks_its_answer_and_has_its_schedule():
    calls, schedule = [], linear(10)
    denoiser = Denoiser(lambda x_t, t, label: calls.append((t, label)) or x_t + t, schedule)
    assert denoiser(torch.zeros(2), 3).tolist() == [3, 3]
    denoiser(torch.zeros(2), t=4, label=7)
    assert calls == [(3, None), (4, 7)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        denoiser.schedule = cosine(5)
    other = dataclasses.replace(denoiser, schedule=cosine(5))
    assert (other.schedule.T, denoiser.schedule.T, other.answer) == (5, 10, denoiser.answer)


def test_clipped_answers_stay_within_the_range_of_pixels():
    wide = Denoiser(lambda x_t, t, label: x_t * t + label, linear(10))
    x_t = torch.tensor([-2.0, -0.375, 0.0, 0.5, 9.0])
    limited = clipped(wide)(x_t, 2, 0.5)
    assert torch.equal(limited, torch.tensor([-1.0, -0.25, 0.5, 1.0, 1.0]))
    assert clipped(wide).schedule is wide.schedule
    assert wide(x_t, 2, 0.5)[4] == 18.5, "the denoiser itself is left as it is"


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_with_a_clipped_denoiser_end_within_the_range(name):
    wild = GaussianMixture([0.5, 0.5], [[-4.0], [3.0]], [0.1, 0.1]).denoiser(cosine(20))
    assert last(SAMPLERS[name](wild, normal(20, 1), generator=seeded())).abs().max() > 2
    assert last(SAMPLERS[name](clipped(wild), normal(20, 1), generator=seeded())).abs().max() <= 1 + 1e-12
