"""Turn upright: a digit was turned, shifted and scaled; which turn was it? Not one answer, but all that fit.

A pose is a point of five numbers, (cos θ, sin θ, shift right, shift down, log scale), each divided by its standard
deviation. The angle is two numbers, a point on a circle, since a circle has no end: -179° and 179° are neighbours,
and as numbers they are as far apart as can be. A denoiser of such points that sees a picture gives p(pose | picture).

Taught in: lessons/13_vision
"""

import math

import torch
import torch.nn.functional as F

from diffusion_lab.guard import check_count, check_generator, check_images, check_positive, require
from diffusion_lab.sampling.chain import last, spaced_in_log_snr
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.forward import noise_like, q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.training.batches import batch_at
from diffusion_lab.training.objective import spread_times

SHIFT = 3.0  # pixels, in each direction
LOG_SCALE = math.log(1.25)
STD = torch.tensor([0.5**0.5, 0.5**0.5, SHIFT / 3**0.5, SHIFT / 3**0.5, LOG_SCALE / 3**0.5])


def random_poses(n, generator=None):
    """n poses: any angle, a shift of up to 3 pixels in each direction, a scale from 0.8 to 1.25, all uniform.

    Returns float32 (n, 5), each number with standard deviation 1 over many poses.
    """
    check_count(n, "n")
    check_generator(generator)
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    right, down, scale = 2 * torch.rand(3, n, generator=generator) - 1
    return torch.stack([angle.cos(), angle.sin(), SHIFT * right, SHIFT * down, LOG_SCALE * scale], dim=1) / STD


def angle_of(pose):
    """θ = atan2(sin θ, cos θ) of poses (…, 5), whatever the length of (cos θ, sin θ). Returns (…), in (-π, π]."""
    return torch.atan2(pose[..., 1], pose[..., 0])


def at_angle(angle):
    """Poses that turn by these angles, float (n,), in radians, and do nothing else. Returns float32 (n, 5)."""
    nothing = torch.zeros_like(angle)
    return torch.stack([angle.cos(), angle.sin(), nothing, nothing, nothing], dim=1).float() / STD


def turned(images, pose, back=False, stretch=1.0):
    """Each image scaled about its middle by s, turned by θ against the clock, and then shifted; or `back` from there.

    A pixel at p, x to the right and y down from the middle, goes to s R p + shift with R = [[cos θ, sin θ], [-sin θ,
    cos θ]]. images: float32 (n, 1, 28, 28), -1 for black. pose: float32 (n, 5); only the direction of (cos θ, sin θ)
    counts. stretch: factors by which images are widened before that, a number or (n,), which is not undone.
    Returns the shape of images; what comes in from outside is black. Raises ValueError for other shapes.
    """
    check_images(images)
    require(torch.is_tensor(pose) and pose.shape == (len(images), 5),
            f"there must be one pose of 5 numbers for each of {len(images)} images, but got "
            f"{tuple(pose.shape) if torch.is_tensor(pose) else type(pose).__name__}.")
    angle = angle_of(pose)
    _, _, right, down, log_scale = (pose * STD).T
    scale = log_scale.exp()
    right, down = right / 14, down / 14  # half the picture's width is 1 to grid_sample
    cos, sin = angle.cos(), angle.sin()
    if back:  # grid_sample asks where each new pixel was: here at s R p + shift
        rows = [scale * cos, scale * sin, right, -scale * sin, scale * cos, down]
    else:  # and here at R⁻¹ (p - shift)/s
        cos, sin = cos / scale, sin / scale
        wide = [cos / stretch, -sin / stretch, (sin * down - cos * right) / stretch]
        rows = [*wide, sin, cos, -sin * right - cos * down]
    grid = F.affine_grid(torch.stack(rows, dim=1).reshape(-1, 2, 3), images.shape, align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1  # outside the picture is 0: black


def turned_batches(images, recipe, stretch=0.15):
    """The batches of a run: a function, called with a step, that returns the pair (turned pictures, their poses).

    Each digit is first made wider or narrower, by up to `stretch`: another hand, with the same uprights.
    """
    check_images(images)

    def batch(step):
        generator = torch.Generator().manual_seed(2**60 + 1_000_003 * recipe.seed + step)
        pose = random_poses(recipe.batch, generator)
        wide = 1 + stretch * (2 * torch.rand(recipe.batch, generator=generator) - 1)
        return turned(images[batch_at(step, len(images), recipe)], pose, stretch=wide), pose

    return batch


def pose_loss(network, batch, generator, schedule, draws=4):
    """E ‖v - network(x_t, t, look(picture))‖² / 5: the objective of lesson 07, for points beside a picture.

    Each picture is looked at once, and its pose gets noise `draws` times: noise is cheap here, and looking is not.
    """
    pictures, x_0 = batch
    seen = network.look(pictures).repeat_interleave(draws, dim=0)
    x_0 = x_0.repeat_interleave(draws, dim=0)
    t = spread_times(len(x_0), schedule, generator).to(x_0.device)
    x_t = q_sample(x_0, t, noise_like(x_0, generator), schedule)
    return (network(x_t, t, seen) - v_from_x_0(x_t, x_0, t, schedule)).square().mean()


def seeing(network, pictures, schedule, samples=1):
    """A denoiser of poses that sees pictures: of x_t, (n · samples, 5), the first `samples` rows are for the first one.

    network: a PoseNet that predicts v. pictures: float32 (n, 1, 28, 28). They are looked at here, once.
    """
    check_count(samples, "samples")
    seen = network.look(pictures).repeat_interleave(samples, dim=0)
    return as_denoiser(lambda x_t, t, label: network(x_t, t, seen), schedule)


@torch.no_grad()
def sampled_poses(network, pictures, schedule, samples=64, steps=10, generator=None):
    """Poses from p(pose | picture), many a picture, by DPM-Solver++ from noise. Returns float32 (n, samples, 5)."""
    denoiser = seeing(network, pictures, schedule, samples)
    x_T = torch.randn(len(pictures) * samples, 5, generator=generator)
    times = spaced_in_log_snr(schedule, steps)
    return last(dpm_solver(denoiser, x_T, times)).reshape(-1, samples, 5)


def around(angle):
    """An angle brought into (-π, π], by full turns: how far apart two directions are is |around(a - b)|."""
    return torch.atan2(angle.sin(), angle.cos())


def densest(angle, width=20.0, besides=None):
    """Where most samples lie: (answer, share), both (n,). The answer is the circular mean of the largest cluster.

    A cluster is what lies within `width` degrees of one of the samples; the share is how many of all these are. The
    circular mean is the direction of the sum of the (cos θ, sin θ)   (Mardia & Jupp 2000, eq. 2.2.4).
    angle: float (n, samples), in radians. besides: an answer (n,) that is known already: samples within twice the width
    of it do not count. Where none is left the share is 0, and the answer means nothing.
    """
    require(torch.is_tensor(angle) and angle.ndim == 2 and angle.numel() > 0,
            "angles must have shape (n, samples), but got "
            f"{tuple(angle.shape) if torch.is_tensor(angle) else type(angle).__name__}.")
    check_positive(width=width)
    width = math.radians(width)
    near = around(angle[:, :, None] - angle[:, None, :]).abs() < width
    if besides is not None:
        near = near & (around(angle - besides[:, None]).abs() > 2 * width)[:, None, :]
    crowded = near.sum(dim=2).argmax(dim=1)
    cluster = near[torch.arange(len(angle)), crowded]
    x = (cluster * angle.cos()).sum(dim=1)
    y = (cluster * angle.sin()).sum(dim=1)
    return torch.atan2(y, x), cluster.double().mean(dim=1)
