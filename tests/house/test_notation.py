"""The conversions of NOTATION.md are true, and the names that it gives for diffusers exist there."""

import inspect
import re

import diffusers.training_utils
import pytest
import torch
from course import ROOT
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.parameterization import eps_from_x_0, score_from_x_0, v_from_x_0
from diffusion_lab.theory.schedule import linear

SCHEDULE = linear()
TIMES = pytest.mark.parametrize("t", [1, 50, 500, 1000])


def example(t):
    """(x_0, eps, x_t) for ten points in five dimensions, float64."""
    x_0, eps = torch.randn(2, 10, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return x_0, eps, q_sample(x_0, t, eps, SCHEDULE)


def equal(given, expected, tolerance=1e-9):
    assert torch.allclose(torch.as_tensor(given), torch.as_tensor(expected), rtol=tolerance, atol=tolerance)


@TIMES
def test_diffusers_has_the_same_x_t_and_v_at_index_t_minus_1(t):
    scheduler = DDPMScheduler()
    scheduler.alphas_cumprod = SCHEDULE.alpha_bar[1:]  # theirs is float32
    x_0, eps, x_t = example(t)
    times = torch.full((10,), t - 1)
    equal(scheduler.add_noise(x_0, eps, times), x_t)
    equal(scheduler.get_velocity(x_0, eps, times), v_from_x_0(x_t, x_0, t, SCHEDULE))
    equal(diffusers.training_utils.compute_snr(scheduler, times).double(), SCHEDULE.snr[t].expand(10), 1e-3)


@TIMES
def test_edm(t):
    """Dividing by √ᾱ_t gives data plus noise of deviation σ, the same denoised mean, and the score over √ᾱ_t."""
    x_0, eps, x_t = example(t)
    alpha_bar_t, std = SCHEDULE.alpha_bar[t], 1 / SCHEDULE.snr[t].sqrt()
    x = x_t / alpha_bar_t.sqrt()
    equal(x, x_0 + std * eps)
    equal(1 / (1 + std**2), alpha_bar_t)
    equal((x - x_0) / std, eps_from_x_0(x_t, x_0, t, SCHEDULE))
    equal((x_0 - x) / std**2, alpha_bar_t.sqrt() * score_from_x_0(x_t, x_0, t, SCHEDULE))
    c_skip, c_out, c_in = 1 / (1 + std**2), std / (1 + std**2).sqrt(), 1 / (1 + std**2).sqrt()  # sigma_data = 1
    equal(c_in * x, x_t)
    equal((x_0 - c_skip * x) / c_out, -v_from_x_0(x_t, x_0, t, SCHEDULE))


@TIMES
def test_edm_has_the_same_denoised_mean(t):
    """Of a mixture, by the score of data plus noise of deviation σ: D = x + σ² ∇ log p(x; σ)."""
    weight, mean = torch.tensor([0.3, 0.7]).double(), torch.tensor([[0.0, 1.0], [2.0, -1.0]]).double()
    var = torch.tensor([0.5, 0.2]).double()
    std_squared, x_t = 1 / SCHEDULE.snr[t], example(t)[2][:, :2]
    x = x_t / SCHEDULE.alpha_bar[t].sqrt()
    noisy = GaussianMixture(weight, mean, var + std_squared)
    equal(GaussianMixture(weight, mean, var).denoiser(SCHEDULE)(x_t, t), x + std_squared * noisy.score(x), 1e-6)


@TIMES
def test_flow_matching(t):
    x_0, eps, x_t = example(t)
    signal, noise = SCHEDULE.alpha_bar[t].sqrt(), (1 - SCHEDULE.alpha_bar[t]).sqrt()
    t_flow, x_flow = signal / (signal + noise), x_t / (signal + noise)
    equal(x_flow, t_flow * x_0 + (1 - t_flow) * eps)
    equal((t_flow / (1 - t_flow)) ** 2, SCHEDULE.snr[t])
    equal(t_flow**2 / (t_flow**2 + (1 - t_flow) ** 2), SCHEDULE.alpha_bar[t])
    u = x_0 - eps
    equal(x_flow + (1 - t_flow) * u, x_0)  # the rest of the straight path leads to the data


def test_flow_matching_in_diffusers_runs_from_sigma_1_to_0_with_noise_minus_data():
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(10)
    x_0, eps, _ = example(1)
    assert scheduler.sigmas[0] == 1
    assert scheduler.sigmas[-1] == 0
    equal(scheduler.timesteps, 1000 * scheduler.sigmas[:-1])
    x = eps
    for time in scheduler.timesteps:
        x = scheduler.step(eps - x_0, time, x).prev_sample
    equal(x, x_0, 1e-6)


def test_known_differences_of_diffusers():
    assert f"{1 - DDPMScheduler().alphas_cumprod[0].item():.5e}" == "1.00017e-04"
    assert DDPMScheduler().config.clip_sample
    assert DDPMScheduler().config.timestep_spacing == "leading"
    visited = {}
    for spacing in ("leading", "trailing"):
        scheduler = DDPMScheduler(timestep_spacing=spacing)
        scheduler.set_timesteps(20)
        visited[spacing] = scheduler.timesteps[0].item()
    assert visited == {"leading": 950, "trailing": 999}


def test_the_names_given_for_diffusers_exist():
    text = (ROOT / "NOTATION.md").read_text(encoding="utf-8")
    column = [row.split("|")[4] for row in text.splitlines() if row.startswith("|") and row.count("|") == 8]
    names = {name for cell in column for name in re.findall(r"`([a-z_]+)[`\[(=]", cell)}
    modules = [DDPMScheduler, FlowMatchEulerDiscreteScheduler, diffusers.DDIMScheduler,
               diffusers.DPMSolverMultistepScheduler, diffusers.training_utils.compute_snr,
               diffusers.ClassifierFreeGuidance]
    source = "\n".join(inspect.getsource(module) for module in modules) + " class_labels"  # the last: of its U-Net
    assert len(names) > 20
    assert {name for name in names if not re.search(rf"\b{name}\b", source)} == set()
