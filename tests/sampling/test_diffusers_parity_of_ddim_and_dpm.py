"""Whole trajectories agree with the diffusers library's DDIM and DPM-Solver++, where the library is right.

Its index t is 0…999 for our 1…1000. It is fed with our float64 tables, as its own are float32. Where it is not right,
the last tests show it: a spacing that never visits T, and previous steps that are not the next time visited.
"""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from samplers import gaussian, normal, seeded

from diffusion_lab.sampling.chain import pairs, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.schedule import cosine, linear

both = pytest.mark.parametrize(("name", "make"), [("linear", linear), ("squaredcos_cap_v2", cosine)])
words = pytest.mark.parametrize(("predicts", "theirs"), [("eps", "epsilon"), ("v", "v_prediction"), ("x_0", "sample")])


def network(x_t, t, label=None):
    """Something that depends on state and time, and is neither linear nor large."""
    return torch.sin(3 * x_t + t.reshape(-1, *[1] * (x_t.ndim - 1)) / 200)


def with_our_tables(library, schedule, n=None, timesteps=None, **settings):
    """Their scheduler, ready for n steps, with ᾱ (and what it makes of it) in float64."""
    scheduler = library(**settings)
    scheduler.alphas_cumprod = schedule.alpha_bar[1:]
    scheduler.set_timesteps(n) if timesteps is None else scheduler.set_timesteps(timesteps=timesteps)
    if library is DPMSolverMultistepScheduler:
        a = schedule.alpha_bar[torch.cat([scheduler.timesteps + 1, torch.tensor([0])])]
        assert torch.allclose(scheduler.sigmas.double(), ((1 - a) / a).sqrt(), rtol=1e-6), "the same but for rounding"
        scheduler.sigmas = ((1 - a) / a).sqrt()
    return scheduler


def farthest(ours, theirs):
    """The largest difference in any step, as a share of the largest number."""
    return ((torch.stack(ours) - torch.stack(theirs)).abs().max() / torch.stack(theirs).abs().max()).item()


@both
@words
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n", [1, 4, 20, 125])
def test_trajectories_of_ddim(name, make, predicts, theirs, eta, n):
    scheduler = with_our_tables(DDIMScheduler, make(), n, beta_schedule=name, prediction_type=theirs, clip_sample=False,
                                timestep_spacing="trailing")
    x, generator, expected = normal(3, 1, 4, 4), seeded(1), []
    steps = list(ddim(as_denoiser(network, make(), predicts), x, spaced(1000, n), eta, generator=seeded(1)))
    for t, step in zip(scheduler.timesteps, steps, strict=True):
        assert t + 1 == step.t
        x = scheduler.step(network(x, (t + 1).expand(3)), t, x, eta=eta, generator=generator).prev_sample
        expected.append(x)
    assert farthest([step.x_s for step in steps], expected) < 1e-11


@both
def test_all_thousand_steps_of_ddim(name, make):
    scheduler = with_our_tables(DDIMScheduler, make(), 1000, beta_schedule=name, prediction_type="v_prediction",
                                clip_sample=False, timestep_spacing="trailing")
    x = normal(3, 1, 4, 4)
    *_, last = ddim(as_denoiser(network, make(), "v"), x, spaced(1000, 1000))
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, (t + 1).expand(3)), t, x).prev_sample
    assert (last.x_s - x).abs().max().item() < 1e-9


DPM = {"algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint", "final_sigmas_type": "zero"}


@both
@words
@pytest.mark.parametrize("times", [[1000], [1000, 500], [1000, 700, 400, 2], spaced(1000, 7).tolist(),
                                   spaced(1000, 10).tolist(), spaced(1000, 61).tolist()], ids=len)
def test_updates_of_dpm_solver_in_float64(name, make, predicts, theirs, times):
    """Their two updates; for any times, as this scheduler looks up the next one in its list."""
    scheduler = with_our_tables(DPMSolverMultistepScheduler, make(), timesteps=[t - 1 for t in times],
                                beta_schedule=name, prediction_type=theirs, **DPM)
    x, guesses, expected = normal(3, 1, 4, 4), [], []
    steps = list(dpm_solver(as_denoiser(network, make(), predicts), x, times))
    for i, t in enumerate(times):
        scheduler._step_index = i
        guesses.append(scheduler.convert_model_output(network(x, torch.tensor(t).expand(3)), sample=x))
        if i in (0, len(times) - 1):
            x = scheduler.dpm_solver_first_order_update(guesses[-1], sample=x)
        else:
            x = scheduler.multistep_dpm_solver_second_order_update(guesses[-2:], sample=x)
        expected.append(x)
    assert farthest([step.x_s for step in steps], expected) < 1e-9


@both
@pytest.mark.parametrize(("spacing", "n"), [("trailing", 5), ("trailing", 20), ("linspace", 10), ("linspace", 23)])
def test_whole_trajectories_of_dpm_solver(name, make, spacing, n):
    """By their `step`, which chooses the order itself. It rounds the state to float32, so no more digits agree."""
    scheduler = with_our_tables(DPMSolverMultistepScheduler, make(), n, beta_schedule=name, timestep_spacing=spacing,
                                prediction_type="v_prediction", **DPM)
    x, expected = normal(3, 1, 4, 4), []
    steps = list(dpm_solver(as_denoiser(network, make(), "v"), x, scheduler.timesteps + 1))
    if spacing == "trailing":
        assert (scheduler.timesteps + 1).tolist() == spaced(1000, n).tolist()
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, (t + 1).expand(3)), t, x).prev_sample
        expected.append(x)
    assert steps[0].t == 1000
    assert farthest([step.x_s for step in steps], expected) < 1e-5


@pytest.mark.parametrize("library", [DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler])
def test_known_difference_leading_never_visits_T(library):
    """The default of two of the three. Sampling starts from noise, at a time whose states are not yet noise."""
    for n in (1, 5, 7, 20, 50):
        scheduler = library(timestep_spacing="leading")
        scheduler.set_timesteps(n)
        assert scheduler.timesteps[0] + 1 <= 1000 - 1000 // (n + 1) + 1 < 1000
        assert spaced(1000, n)[0] == 1000
    defaults = {DDIMScheduler: "leading", DDPMScheduler: "leading", DPMSolverMultistepScheduler: "linspace"}
    assert library().config.timestep_spacing == defaults[library]


def where_ddim_steps(spacing, n):
    """The times (t, s) of the steps that DDIMScheduler takes, in our index, read off the states.

    When x̂_0 = 0, x_s is x_t √((1-ᾱ_s)/(1-ᾱ_t)), which gives s.
    """
    scheduler = with_our_tables(DDIMScheduler, linear(), n, timestep_spacing=spacing, clip_sample=False,
                                prediction_type="sample")
    noise_var, x, found = 1 - linear().alpha_bar, torch.ones(1, 1, dtype=torch.float64), []
    for t in scheduler.timesteps:
        x_s = scheduler.step(torch.zeros_like(x), t, x).prev_sample
        found.append((t.item() + 1, int((noise_var - noise_var[t + 1] * x_s.item() ** 2).abs().argmin())))
    return found


@pytest.mark.parametrize(("spacing", "n", "right"), [
    ("trailing", 20, True), ("trailing", 250, True), ("trailing", 7, False), ("trailing", 300, False),
    ("linspace", 20, False), ("linspace", 7, False), ("linspace", 250, False),
])
def test_known_difference_the_previous_step_of_ddim(spacing, n, right):
    """It steps from t to t - T//n, whatever it visits next. Only where T/n is whole and t = T is visited is this right.

    Each step must end where the next begins, and the last one at 0.
    """
    found = where_ddim_steps(spacing, n)
    assert (found == pairs([t for t, _ in found], 1000)) == right
    assert all(s == max(t - 1000 // n, 0) for t, s in found)


@pytest.mark.parametrize("spacing", ["trailing", "linspace", "leading"])
@pytest.mark.parametrize("n", [7, 20, 250])
def test_the_previous_step_of_ddpm_is_the_next_time(spacing, n):
    """DDPMScheduler looks it up in its list, as ours do."""
    scheduler = DDPMScheduler(timestep_spacing=spacing)
    scheduler.set_timesteps(n)
    times = (scheduler.timesteps + 1).tolist()
    assert [(t, int(scheduler.previous_timestep(t - 1)) + 1) for t in times] == pairs(times, 1000)


@both
@pytest.mark.parametrize(("spacing", "n", "converges"), [
    ("trailing", (20, 200), True), ("trailing", (30, 300), False), ("linspace", (30, 300), False),
    ("leading", (30, 300), False)])
def test_known_difference_where_ddim_does_not_come_nearer(name, make, spacing, n, converges):
    """With the exact denoiser of a Gaussian, ten times the steps make a tenth of our error; of theirs if steps fit."""
    schedule, mean, var = make(), 0.7, 0.25
    a, exact = schedule.alpha_bar[1000], gaussian(schedule, mean, var)
    z = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    start, end = a.sqrt() * mean + (a * var + 1 - a).sqrt() * z, mean + var**0.5 * z

    def their_error(n):
        scheduler = with_our_tables(DDIMScheduler, schedule, n, timestep_spacing=spacing, clip_sample=False,
                                    prediction_type="sample")
        x = start
        for t in scheduler.timesteps:
            x = scheduler.step(exact(x, int(t) + 1), t, x).prev_sample
        return (x - end).abs().max().item()

    def our_error(n):
        *_, last = ddim(exact, start, spaced(1000, n))
        return (last.x_s - end).abs().max().item()

    assert our_error(n[1]) < our_error(n[0]) / 8
    assert (their_error(n[1]) < their_error(n[0]) / 8) == converges
    assert (their_error(n[1]) < 1.01 * our_error(n[1])) == converges
