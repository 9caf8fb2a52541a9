"""`repaint` agrees with the diffusers library's RePaintScheduler on a mask of pixels, step by step, noise for noise.

Theirs takes one noise for the step and for what is pasted (the two never meet: a pixel is kept or not), so ours is
handed each of these noises twice. It is fed with our float64 tables. It is compared where it steps from t to t-1: with
longer strides its variance is that of one short step.
"""

import pytest
import torch
from diffusers import RePaintScheduler

from diffusion_lab.sampling import restoration
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.measurement import kept_pixels
from diffusion_lab.sampling.restoration import repaint
from diffusion_lab.theory.schedule import Schedule

T = 40
SCHEDULE = Schedule(torch.linspace(0, 0.2, T + 1, dtype=torch.float64))
MASK = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 1]], dtype=torch.bool)  # what is kept


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(x_t, t, label=None):
    """An estimate of the noise in which every pixel depends on all others."""
    return torch.sin(3 * x_t + x_t.flatten(1).mean(dim=1).reshape(-1, 1, 1, 1) + t.reshape(-1, 1, 1, 1) / 20)


def theirs(x, original, repeats):
    """The states after each time."""
    scheduler = RePaintScheduler(num_train_timesteps=T, eta=1.0, clip_sample=False)
    scheduler.betas, scheduler.alphas_cumprod = SCHEDULE.beta[1:], SCHEDULE.alpha_bar[1:]
    scheduler.num_inference_steps = T
    generator, states = torch.Generator().manual_seed(1), []
    for i in reversed(range(T)):
        for again in reversed(range(repeats if i > 0 else 1)):
            eps_hat = network(x, torch.full((len(x),), i + 1))
            x = scheduler.step(eps_hat, i, x, original, MASK.double(), generator).prev_sample
            if again:
                x = scheduler.undo_step(x, i, generator)
        states.append(x)
    return torch.stack(states)


def noises(repeats):
    """What `theirs` draws, in its order; that of a step twice: for the step, and for what is pasted after it."""
    generator = torch.Generator().manual_seed(1)
    for i in reversed(range(T)):
        for again in reversed(range(repeats if i > 0 else 1)):
            of_the_step = torch.randn(3, 1, 4, 4, generator=generator, dtype=torch.float64)
            yield from (of_the_step, of_the_step)
            if again:
                yield torch.randn(3, 1, 4, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("repeats", [1, 3])
def test_the_states_after_each_time(repeats, monkeypatch):
    waiting = noises(repeats)
    monkeypatch.setattr(restoration, "noise_like", lambda x, generator: next(waiting))
    x_T, original, A = normal(3, 1, 4, 4), normal(3, 1, 4, 4, seed=2), kept_pixels(MASK)
    y = original.flatten(1) @ A.double().mT
    steps = repaint(as_denoiser(network, SCHEDULE, "eps"), A, y, x_T, repeats=repeats)
    ours = torch.stack([step.x_s for step in steps])
    expected = theirs(x_T, original, repeats)
    assert (ours - expected).abs().max() < 1e-10 * expected.abs().max()
    assert torch.allclose(ours[-1][..., MASK], original[..., MASK])  # what is kept is there in the end
    assert next(waiting, None) is None
