"""Whole trajectories agree with the diffusers library's DDPMScheduler, where it visits the same times.

Its index t is 0…999 for our 1…1000, and its noise is added by `step`, from the same generator. It is fed with our
float64 ᾱ: its own float32 tables are compared in tests/theory. The spacings that differ are stated below.
"""

import pytest
import torch
from diffusers import DDPMScheduler

from diffusion_lab.sampling.chain import spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.theory.schedule import cosine, linear

both = pytest.mark.parametrize(("name", "make"), [("linear", linear), ("squaredcos_cap_v2", cosine)])
words = pytest.mark.parametrize(("predicts", "theirs"), [("eps", "epsilon"), ("v", "v_prediction"), ("x_0", "sample")])


def network(x_t, t, label=None):
    """Something that depends on state and time, and is neither linear nor large."""
    return torch.sin(3 * x_t + t.reshape(-1, *[1] * (x_t.ndim - 1)) / 200)


def both_trajectories(name, make, predicts, theirs, n, variance="small", own_tables=False, dtype=torch.float64):
    """The states after each step, ours and the library's, from the same noise."""
    schedule = make()
    scheduler = DDPMScheduler(beta_schedule=name, prediction_type=theirs, clip_sample=False,
                              timestep_spacing="trailing", variance_type=f"fixed_{variance}")
    if not own_tables:
        scheduler.alphas_cumprod = schedule.alpha_bar[1:]
    scheduler.set_timesteps(n)
    x_T = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0), dtype=dtype)
    steps = ddpm(as_denoiser(network, schedule, predicts), x_T, spaced(1000, n), variance,
                 generator=torch.Generator().manual_seed(1))
    generator, x, expected, given = torch.Generator().manual_seed(1), x_T, [], []
    for t, step in zip(scheduler.timesteps, steps, strict=True):
        assert t + 1 == step.t
        x = scheduler.step(network(x, (t + 1).expand(3)), t, x, generator=generator).prev_sample
        expected.append(x)
        given.append(step.x_s)
    return torch.stack(given), torch.stack(expected)


@both
@words
@pytest.mark.parametrize("n", [5, 20, 250])
def test_trajectories(name, make, predicts, theirs, n):
    """Known difference: they add noise on any step from t > 1, so on a strided chain's last step, too. Its variance, 0,
    they hold above 1e-20, so that noise of deviation 1e-10 is on every sample."""
    ours, expected = both_trajectories(name, make, predicts, theirs, n)
    apart = (ours - expected).abs().flatten(1).amax(dim=1) / expected.abs().max()
    assert apart[:-1].max().item() < 1e-12
    assert apart[-1].item() < 1e-9
    if predicts != "eps":  # whose samples are too large to show it
        assert apart[-1].item() > 1e-12


@both
@pytest.mark.parametrize("variance", ["small", "large"])
def test_all_thousand_steps(name, make, variance):
    ours, expected = both_trajectories(name, make, "v", "v_prediction", 1000, variance)
    assert (ours - expected).abs().max().item() < 1e-11


@both
def test_float32_with_their_own_tables_agrees_to_what_those_hold(name, make):
    ours, expected = both_trajectories(name, make, "x_0", "sample", 50, own_tables=True, dtype=torch.float32)
    assert ours.dtype == expected.dtype == torch.float32
    assert (ours - expected).abs().max().item() < 1e-3


def test_known_difference_trailing_may_visit_one_time_too_many():
    """They count down in floating point: with n = 61 there is a 62nd time, -1 in their index, which is the data's."""
    scheduler = DDPMScheduler(timestep_spacing="trailing")
    scheduler.set_timesteps(61)
    assert (len(scheduler.timesteps), scheduler.timesteps[-1].item()) == (62, -1)
    assert (len(spaced(1000, 61)), spaced(1000, 61)[-1].item()) == (61, 16)
