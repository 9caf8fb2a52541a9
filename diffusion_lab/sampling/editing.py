"""Editing: keep something of a picture that is there already, and let the sampler make the rest anew.

Taught in: lessons/12_editing
"""

import torch

from diffusion_lab.guard import check_count, check_data, check_denoiser, check_number, require, same_shape
from diffusion_lab.sampling.chain import Step, pairs
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.parameterization import v_from_x_0


def sdedit(denoiser, x_0, timesteps, sampler=ddim, label=None, generator=None):
    """Yield each step of SDEdit (Meng et al. 2022, algorithm 1): noise to t*, the first of the times, and walk back.

    x_{t*} = √ᾱ_{t*} x_0 + √(1-ᾱ_{t*}) ε, from which the sampler goes on. The larger t*, the less is kept of x_0. Of
    data from N(m, v) the deviation x_0 - m keeps the share ᾱv/(ᾱv + 1-ᾱ) on average with `ddpm`, and the root of it
    with `ddim`, in the limit of many steps.
    x_0: float (n, …). timesteps: t* and the times below it that the sampler visits, for example spaced(t_star, 50).
    sampler: called as sampler(denoiser, x_t, timesteps, label=label). generator: of ε. Raises as `ddim`.
    """
    check_denoiser(denoiser)
    check_data(x_0)
    schedule = denoiser.schedule
    t_star = pairs(timesteps, schedule.T)[0][0]
    x_t = q_sample(x_0, t_star, noise_like(x_0, generator), schedule)
    yield from sampler(denoiser, x_t, timesteps, label=label)


def invert(denoiser, x_0, timesteps=None, label=None, repeats=1, grain=None):
    """Yield the steps by which `ddim` would have come to x_0, from the last to the first: the last x_t is its noise.

    A step of `ddim` turns the state by an angle δ (Salimans & Ho 2022, appendix D): x_s = cos δ x_t - sin δ v̂, with
    cos φ = √ᾱ and δ = φ_t - φ_s. So x_t = (x_s + sin δ v̂)/cos δ, where v̂ is what the denoiser says of x_t, which is
    what we look for. Guess x_t = x_s, and put in what comes out, `repeats` times. Once is the usual inversion, off by
    an error of order 1 in 1/n; more often is a fixed-point iteration, which ends in the very path of `ddim`. (Written
    with x̂_0 or ε̂ it has the same fixed point, but where noise grows fast it comes there slowly, or not at all.)
    Where the data has no width, as in the black of a picture, x_0 does not tell its noise: many states lead to it.
    grain: ε of the shape of x_0, fresh noise to go the first step with, from s = 0, by `q_sample` instead of the turn
    (Staniszewski et al. 2024); None is none.
    x_0: float (n, …). timesteps: those of `ddim`, falling. repeats: evaluations a step, at least 1.
    Yields Step(t, s, x_t, x_0_hat, mean, x_s), the first with s = 0. Raises as `ddim`, or for another grain.
    """
    check_denoiser(denoiser)
    check_data(x_0)
    check_count(repeats, "repeats")
    schedule = denoiser.schedule
    x_s = x_0
    for t, s in reversed(pairs(timesteps, schedule.T)):
        phi_t = schedule.alpha_bar[t].sqrt().acos()
        phi_s = schedule.alpha_bar[s].sqrt().acos()
        delta = phi_t - phi_s
        x_t = x_s
        x_0_hat = x_0
        if s == 0 and grain is not None:
            x_t = q_sample(x_0, t, grain, schedule)
        else:
            for _ in range(repeats):
                x_0_hat = denoiser(x_t, t, label)
                v_hat = v_from_x_0(x_t, x_0_hat, t, schedule)
                x_t = ((x_s + delta.sin() * v_hat) / delta.cos()).to(x_0.dtype)
        yield Step(t, s, x_t, x_0_hat, x_s, x_s)
        x_s = x_t


def bridge(source, target, x_0, timesteps=None, repeats=1, grain=None):
    """Yield the steps of a dual diffusion implicit bridge (Su et al. 2023): `invert` by one, `ddim` by the other.

    In one dimension, in the limit of many steps, it is the quantile map: x_0 becomes what lies as high in the target's
    distribution. Between Gaussians it is m_B + C_B^½ C_A^-½ (x_0 - m_A), with symmetric roots.
    source, target: denoisers with the same T, for example `labelled` ones. Yields the steps of `ddim`.
    """
    *_, first = invert(source, x_0, timesteps, repeats=repeats, grain=grain)
    yield from ddim(target, first.x_t, timesteps)


def labelled(denoiser, label):
    """The denoiser with a label of its own: it is asked for this one, whatever label it is called with."""
    check_denoiser(denoiser)
    return Denoiser(lambda x_t, t, _: denoiser(x_t, t, label), denoiser.schedule)


def slerp(a, b, share):
    """On the arc from a to b:  sin((1-u)θ)/sin θ a + sin(uθ)/sin θ b, θ the angle of a and b   (Shoemake 1985).

    Between two draws of standard normal noise it stays about as long as they are, and so is as likely. The straight
    line does not: its middle has half the variance.
    a, b: float (n, …), not parallel; each pair has its own θ. share: u, a number from 0 to 1. Returns (n, …).
    """
    check_data(a)
    same_shape(a=a, b=b)
    check_number(share, "share", 0, 1)
    shape = (len(a), *[1] * (a.ndim - 1))
    flat = a.flatten(1).double()
    other = b.flatten(1).double()
    angle = torch.acos(torch.cosine_similarity(flat, other).clamp(-1, 1)).reshape(shape)
    require(bool((angle.sin() > 1e-6).all()), "a and b point in the same or in opposite directions: no arc leads from "
                                              "one to the other, or many do.")
    return ((((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()).to(a.dtype)
