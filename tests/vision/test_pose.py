"""Turning upright: what a pose does to a picture, what ten steps share out, and what one answer is made of."""

import math

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.networks.pose import POSE, PoseNet
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import last, spaced_in_log_snr
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.vision.pose import (
    STD,
    angle_of,
    around,
    at_angle,
    densest,
    pose_loss,
    random_poses,
    sampled_poses,
    seeing,
    turned,
    turned_batches,
)
from diffusion_lab.weights.pretrained import HERE, load_network, read_facts

SCHEDULE = cosine()
IMAGES = load_digits("train")[0][:40]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def network(width=8):
    torch.manual_seed(0)
    return PoseNet(width, 16, 32)


def angles(*degrees):
    return torch.deg2rad(torch.tensor(degrees))


def test_each_number_of_a_pose_has_mean_0_and_standard_deviation_1():
    poses = random_poses(20_000, seeded(0))
    assert poses.dtype == torch.float32
    assert torch.allclose(poses.mean(dim=0), torch.zeros(POSE), atol=0.03)
    assert torch.allclose(poses.std(dim=0), torch.ones(POSE), atol=0.02)
    assert torch.allclose((poses[:, :2] * STD[:2]).norm(dim=1), torch.ones(20_000), atol=1e-5)


def test_a_quarter_turn_is_that_of_torch_against_the_clock():
    quarter = at_angle(torch.full((40,), math.pi / 2))
    assert torch.allclose(turned(IMAGES, quarter), torch.rot90(IMAGES, 1, (2, 3)), atol=1e-4)
    assert torch.allclose(turned(IMAGES, quarter, back=True), torch.rot90(IMAGES, -1, (2, 3)), atol=1e-4)


def test_a_shift_goes_right_and_down():
    pose = at_angle(torch.zeros(40))
    pose[:, 2], pose[:, 3] = 2 / STD[2], 1 / STD[3]
    assert torch.allclose(turned(IMAGES, pose)[:, :, 1:, 2:], IMAGES[:, :, :-1, :-2], atol=1e-4)


def test_a_scale_makes_the_ink_larger():
    pose = at_angle(torch.zeros(40))
    pose[:, 4] = math.log(1.2) / STD[4]
    ink = (turned(IMAGES, pose) + 1).sum() / (IMAGES + 1).sum()
    assert abs(ink - 1.2**2) < 0.06


@pytest.mark.parametrize("column", range(POSE))
def test_there_and_back_is_the_smooth_picture_again(column):
    """On a smooth blob that stays inside, where to interpolate costs little."""
    y, x = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    blob = 2 * torch.exp(-((x - 2) ** 2 / 18 + (y + 1) ** 2 / 32))[None, None] - 1
    pose = at_angle(torch.zeros(1))
    pose[:, column] += 1.0
    assert (turned(turned(blob, pose), pose, back=True) - blob)[:, :, 5:-5, 5:-5].abs().max() < 0.08
    if column > 1:
        assert (turned(blob, pose) - blob).abs().max() > 0.1


def test_what_is_widened_has_more_ink_and_the_same_pose():
    wide = turned(IMAGES, at_angle(torch.zeros(40)), stretch=torch.full((40,), 1.2))
    assert abs((wide + 1).sum() / (IMAGES + 1).sum() - 1.2) < 0.05
    columns = (wide + 1).sum(dim=(1, 2)).mean(dim=0)
    assert torch.allclose(wide.sum(dim=3).argmax(), IMAGES.sum(dim=3).argmax(), atol=60)
    assert columns.argmax() in range(10, 18)


def test_batches_depend_on_the_step_alone():
    recipe = Recipe(steps=4, batch=8)
    batch, again = turned_batches(IMAGES, recipe), turned_batches(IMAGES, recipe)
    pictures, pose = batch(3)
    assert pictures.shape == (8, 1, 28, 28)
    assert pose.shape == (8, POSE)
    assert all(torch.equal(a, b) for a, b in zip((pictures, pose), again(3)))
    assert not torch.equal(pose, batch(2)[1])
    assert pictures.min() >= -1 - 1e-6
    assert pictures.max() <= 1 + 1e-6


def test_angles_are_brought_back_onto_the_circle():
    assert torch.allclose(around(angles(181.0, -181.0, 360.0, 90.0)), angles(-179.0, 179.0, 0.0, 90.0), atol=1e-5)
    assert torch.allclose(angle_of(3 * at_angle(angles(170.0, -20.0))), angles(170.0, -20.0), atol=1e-5)


def test_the_densest_cluster_is_averaged_across_the_cut():
    angle = angles(178.0, -178.0, 179.0, 0.0, 1.0, 90.0)[None]
    answer, share = densest(angle)
    assert abs(answer.item() - math.radians(179 + 2 / 3)) < 1e-4
    assert share.item() == 0.5
    other, other_share = densest(angle, besides=answer)
    assert abs(other.item() - math.radians(0.5)) < 1e-4
    assert abs(other_share.item() - 2 / 6) < 1e-9
    assert densest(angle[:, :3], besides=answer)[1].item() == 0


@pytest.mark.parametrize("weight", [0.5, 0.7, 0.9])
def test_ten_steps_share_out_two_answers_as_they_are_weighed(weight):
    mixture = GaussianMixture([weight, 1 - weight], at_angle(angles(40.0, 220.0)), [0.02, 0.02])
    x_T = torch.randn(20_000, POSE, generator=seeded(0), dtype=torch.float64)
    exact = mixture.denoiser(SCHEDULE)
    samples = last(dpm_solver(exact, x_T, spaced_in_log_snr(SCHEDULE, 10)))
    off = around(angle_of(samples) - math.radians(40))
    assert abs((off.abs() < math.pi / 2).double().mean() - weight) < 0.012
    assert 0.085 < off[off.abs() < math.pi / 2].std() < 0.105  # √(0.02/2) is 0.1
    first = exact(x_T, 1000).mean(dim=0)
    assert abs((first[:2].norm() / 2**0.5).item() - abs(2 * weight - 1)) < 1e-3


@pytest.mark.slow
def test_a_trained_network_answers_as_the_exact_denoiser():
    """One grey picture whose poses come from a mixture of two."""
    mixture = GaussianMixture([0.7, 0.3], at_angle(angles(40.0, 220.0)), [0.05, 0.05])
    grey = torch.zeros(1, 1, 28, 28)

    def batch(step):
        return grey.expand(4, -1, -1, -1), mixture.sample(4, seeded(step)).float()

    def loss(network, batch, generator):
        pictures, pose = batch
        return pose_loss(network, (pictures[:1].expand(len(pose), -1, -1, -1), pose), generator, SCHEDULE, draws=64)

    run = start(Recipe(steps=400, batch=4, lr=0.01, lr_rest=0.003, warm_up=20, decay=0.98), lambda: PoseNet(8, 16, 64))
    assert sum(1 for _ in train(run, batch, loss)) == 400
    x_0 = mixture.sample(2000, seeded(0)).float()
    exact, learned = mixture.denoiser(SCHEDULE), seeing(run.average, grey, SCHEDULE, len(x_0))
    with torch.no_grad():
        for t in (200, 500, 800, 1000):
            alpha_bar = SCHEDULE.alpha_bar[t].item()
            x_t = alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * torch.randn(x_0.shape, generator=seeded(t))
            assert (learned(x_t, t) - exact(x_t, t)).square().mean().sqrt() < 0.3
    angle = angle_of(sampled_poses(run.average, grey, SCHEDULE, 2000, generator=seeded(1)))
    assert abs((around(angle - math.radians(40)).abs() < math.pi / 2).double().mean() - 0.7) < 0.1


def test_samples_belong_to_their_pictures_and_a_picture_is_looked_at_once():
    net = network()
    looks = []
    net.first.register_forward_hook(lambda *_: looks.append(1))
    poses = sampled_poses(net, IMAGES[:3], SCHEDULE, samples=4, steps=5, generator=seeded(0))
    assert poses.shape == (3, 4, POSE)
    assert len(looks) == 1
    x_T = torch.randn(12, POSE, generator=seeded(0))
    alone = seeing(net, IMAGES[1:2], SCHEDULE, 4)
    with torch.no_grad():
        middle = last(dpm_solver(alone, x_T[4:8], spaced_in_log_snr(SCHEDULE, 5)))
    assert torch.allclose(poses[1], middle, atol=1e-5)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="one pose of 5 numbers for each of 40 images"):
        turned(IMAGES, random_poses(3))
    with pytest.raises(ValueError, match="digits must have shape"):
        turned(IMAGES[:, 0], random_poses(40))
    with pytest.raises(ValueError, match="n must be a whole number"):
        random_poses(0)
    with pytest.raises(ValueError, match=r"angles must have shape \(n, samples\), but got \(3,\)"):
        densest(torch.zeros(3))
    with pytest.raises(ValueError, match="width must be positive"):
        densest(torch.zeros(3, 2), width=-1.0)
    with pytest.raises(ValueError, match="samples must be a whole number"):
        seeing(network(), IMAGES[:1], SCHEDULE, 0)
    net = network()
    with pytest.raises(ValueError, match=r"takes x_t of shape \(n, 5\)"):
        net(torch.zeros(2, 4), torch.ones(2, dtype=torch.int64), torch.zeros(2, 16))
    with pytest.raises(ValueError, match=r"what is seen must be a tensor \(2, 16\)"):
        net(torch.zeros(2, 5), torch.ones(2, dtype=torch.int64), torch.zeros(1, 16))
    with pytest.raises(ValueError, match="width must be a whole number"):
        PoseNet(0)


def test_the_shipped_weights_turn_digits_upright():
    """Training digits that are seen as a picture for the first time; what is measured on test digits is in results."""
    images, labels = load_digits("train")
    images = images[torch.isin(labels, torch.tensor([2, 3, 4, 5, 7]))][:100]
    pose = random_poses(100, seeded(5))
    poses = sampled_poses(load_network("upright"), turned(images, pose), SCHEDULE, 32, generator=seeded(6))
    off = around(densest(angle_of(poses))[0] - angle_of(pose)).abs().rad2deg()
    assert off.median() < 9
    assert (poses[:, :, 2:].median(dim=1).values - pose[:, 2:]).abs().median() < 0.3


def test_the_card_and_the_results_are_of_the_shipped_weights():
    facts, found = read_facts("upright"), results.read("vision_upright")
    card = (HERE / "upright" / "README.md").read_text(encoding="utf-8")
    assert found["weights"] == facts["sha256"]
    assert found["command"] == "python benchmarks/vision_upright.py"
    assert f"{sum(p.numel() for p in load_network('upright').parameters()):,} weights" in card
    assert f"{facts['recipe']['steps']:,} steps of {facts['recipe']['batch']} digits" in card
    assert (HERE / "upright" / "weights.safetensors").stat().st_size < 400_000
    groups = {row["method"]: row["groups"] for row in found["rows"]}["denoised: largest cluster of 32"]
    for group, name in {"one answer": "2, 3, 4, 5, 7"}.items() | {(kind, kind) for kind in "01869"}:
        assert f"| {name} | {groups[group]['error']:.1f}° | {groups[group]['error_kind']:.1f}° |" in card
    for kind in "01869":
        assert f"| {groups[kind]['both']:.2f} |" in card
