"""Tables, jump and velocity agree with the diffusers library, once these known differences are allowed for:

- its index t is 0…999 for the paper's 1…1000;
- its tables are float32, so 1-ᾱ_1 is off by 2e-4 and more; fed with our tables, it agrees to rounding;
- its "linear" is 1e-4…0.02 whatever T is; ours rescales by 1000/T (the same at T = 1000).

Both cap the cosine's β at 0.999.
"""

import pytest
import torch
from diffusers import DDPMScheduler

from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.posterior import posterior_var, reverse_var
from diffusion_lab.theory.schedule import cosine, linear

FLOAT32 = 2.0**-23  # the spacing of float32 numbers at 1
both = pytest.mark.parametrize(("name", "make"), [("linear", linear), ("squaredcos_cap_v2", cosine)])


def library(name, schedule=None, **settings):
    """Their scheduler, with its own tables, or with ours."""
    scheduler = DDPMScheduler(beta_schedule=name, **settings)
    if schedule is not None:
        scheduler.alphas_cumprod = schedule.alpha_bar[1:]
    return scheduler


def difference(ours, theirs):
    return (ours - theirs).abs().max().item()


@both
def test_tables_agree_as_far_as_float32_goes(name, make):
    schedule, scheduler = make(), library(name)
    assert difference(schedule.beta[1:], scheduler.betas) < FLOAT32
    assert difference(schedule.alpha[1:], scheduler.alphas) < FLOAT32
    assert difference(schedule.alpha_bar[1:], scheduler.alphas_cumprod) < 10 * FLOAT32
    assert schedule.beta[1000].item() == pytest.approx(scheduler.betas[999].item(), rel=1e-6)


@both
def test_known_difference_float32_loses_the_first_signal_to_noise_ratios(name, make):
    theirs, ours = 1 - library(name).alphas_cumprod[0].double(), 1 - make().alpha_bar[1]
    assert 1e-4 < abs(theirs / ours - 1).item() < 1e-3


def test_known_difference_their_linear_chain_is_not_rescaled():
    assert library("linear", num_train_timesteps=50).alphas_cumprod[-1] > 0.6
    assert linear(50).alpha_bar[50] < 1e-4


@both
@pytest.mark.parametrize("T", [3, 50, 200])
def test_cosine_tables_of_other_lengths(name, make, T):
    if name == "squaredcos_cap_v2":
        scheduler = library(name, num_train_timesteps=T)
        assert difference(make(T).beta[1:], scheduler.betas) < FLOAT32
    else:
        scheduler = library(name, num_train_timesteps=T, beta_start=0.1 / T, beta_end=min(20 / T, 1))
        assert difference(make(T).beta[1:-1], scheduler.betas[:-1]) < FLOAT32 or T == 3  # ours are capped from t = 2


@both
def test_jump_and_velocity(name, make):
    schedule, t = make(), torch.arange(1, 1001)
    generator = torch.Generator().manual_seed(0)
    x_0, eps = torch.randn(2, 1000, 3, generator=generator, dtype=torch.float64)
    x_t = q_sample(x_0, t, eps, schedule)
    with_ours = library(name, schedule)
    assert difference(x_t, with_ours.add_noise(x_0, eps, t - 1)) < 1e-14
    assert difference(x_t, library(name).add_noise(x_0, eps, t - 1)) < 1e-5
    # Our v comes from x_t and x_0, theirs from ε and x_0: the way there divides by √(1-ᾱ_t), at least 0.006.
    assert difference(v_from_x_0(x_t, x_0, t, schedule), with_ours.get_velocity(x_0, eps, t - 1)) < 1e-12


@both
def test_variances(name, make):
    """Theirs is held above 1e-20, where ours is 0 (at t = 1); the last step adds no noise in either."""
    schedule, scheduler = make(), library(name, make())
    small = torch.stack([scheduler._get_variance(t - 1) for t in range(2, 1001)])
    large = torch.stack([scheduler._get_variance(t - 1, variance_type="fixed_large") for t in range(2, 1001)])
    assert difference(posterior_var(torch.arange(2, 1001), schedule), small) < 1e-15
    assert difference(reverse_var(torch.arange(2, 1001), schedule, "large"), large) < 1e-15
    assert scheduler._get_variance(0).item() == pytest.approx(1e-20)
    assert posterior_var(1, schedule).item() == 0
