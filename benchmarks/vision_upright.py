"""Turn upright: digits turned by any angle, shifted and scaled; which angle was it?

    python benchmarks/vision_upright.py --train   (six minutes of one core: makes the weights "upright")
    python benchmarks/vision_upright.py           (a quarter of an hour, as it trains others; --quick: 100 digits)

Each of the 1,000 test digits is turned once, by any angle. Writes diffusion_lab/results/vision_upright.json. What has a
parameter was chosen on 400 held-back training digits. Angles and errors are in degrees.

error: median angle between answer and truth. error_kind: the same, where half a turn more is right, too. flipped: share
that is more than 90 degrees off. crps: continuous ranked probability score of the answer's whole distribution, E|Θ-θ| -
½ E|Θ-Θ'|, a mean; for one answer it is the mean error. both: share of digits of which at least 3 of 32 samples lie
within 20 degrees of the truth, and at least 3 within 20 degrees of the truth and half a turn. length: median length of
the mean (cos θ, sin θ). Baselines get a picture with the middle of its ink in the middle, where digits have it.
"""

import argparse
import math
import time
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.judge import in_batches, load_judge, read_digits
from diffusion_lab.evaluation.strokes import slant
from diffusion_lab.networks.pose import PoseNet
from diffusion_lab.results import files as results
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import FILE, load_run, save_run
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
from diffusion_lab.weights.pretrained import HERE, load_network, read_facts, save_weights

RECIPE = Recipe(steps=8000, batch=128, lr=0.01, lr_rest=0.003, warm_up=50, decay=0.995)
CLOSED = Recipe(steps=3000, batch=128, lr=0.01, lr_rest=0.003, warm_up=50, decay=0.995)
TOY = Recipe(steps=2000, batch=12, lr=0.01, lr_rest=0.003, warm_up=50, decay=0.99)
SCHEDULE = cosine()
SAMPLES, STEPS = 32, 10
WIDTH = 20.0  # degrees
ENOUGH = 3  # samples of 32 that make an answer found
TURNS = 36
GROUPS = {"one answer": (2, 3, 4, 5, 7), "two answers": (0, 1, 8), "6 and 9": (6, 9), "all": range(10)}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def trained(name, recipe, loss, batches, build=PoseNet):
    """A run to its end; one that lies in build/upright is not made again."""
    run, folder = start(recipe, build, data="digits, turned"), Path("build", "upright", name)
    if (folder / FILE).exists():
        return load_run(folder, run)
    for _ in tqdm(train(run, batches, loss), total=recipe.steps, mininterval=30):
        pass
    save_run(folder, run)
    return run


def denoising(network, batch, generator):
    return pose_loss(network, batch, generator, SCHEDULE)


# The same network with one answer.

def only_answer(network, pictures):
    """What the network says when it is shown no pose: a regression."""
    nothing = torch.zeros(len(pictures), len(STD))
    return network(nothing, torch.full((len(pictures),), SCHEDULE.T), network.look(pictures))


def squared_error(network, batch, generator):
    pictures, pose = batch
    return (only_answer(network, pictures) - pose).square().mean()


# Baselines that are trained on nothing, or not for this.

def centred(pictures):
    """Pictures with the middle of the ink in the middle, as MNIST's digits have it."""
    ink = (pictures + 1).double()
    place = torch.arange(28) - 13.5
    total = ink.sum(dim=(1, 2, 3))
    pose = at_angle(torch.zeros(len(pictures)))
    pose[:, 2] = (ink.sum(dim=(1, 2)) @ place.double() / total / STD[2]).float()
    pose[:, 3] = (ink.sum(dim=(1, 3)) @ place.double() / total / STD[3]).float()
    return turned(pictures, pose, back=True).clamp(-1, 1)


def axis(pictures):
    """Direction of the longest extent of the ink, against the clock from the horizontal, known but for half a turn.

    ½ atan2(2 μ_11, μ_20 - μ_02), with central moments μ of the ink and y upwards. Returns float64 (n,).
    """
    ink = (pictures[:, 0].double() + 1) / 2
    total = ink.sum(dim=(1, 2))
    x = (torch.arange(28) - 13.5).double()
    right = x - (ink.sum(dim=1) @ x / total)[:, None]
    up = -(x - (ink.sum(dim=2) @ x / total)[:, None])
    mu_11 = torch.einsum("nyx,ny,nx->n", ink, up, right)
    mu_20 = torch.einsum("nyx,nx->n", ink, right.square())
    mu_02 = torch.einsum("nyx,ny->n", ink, up.square())
    return torch.atan2(2 * mu_11, mu_20 - mu_02) / 2


def by_axis(pictures, train_images):
    """The turn that brings the axis to where training digits have theirs, on average over the doubled angle."""
    known = 2 * axis(train_images)
    usual = torch.atan2(known.sin().mean(), known.cos().mean()) / 2
    return around(2 * (axis(pictures) - usual)) / 2  # from -90 to 90 degrees: it cannot tell which end is up


def each_turn(pictures):
    """Each picture, centred, turned back by 36 angles: (n · 36, 1, 28, 28); and the angles (36,)."""
    angle = around(torch.arange(TURNS) * (2 * math.pi / TURNS))
    pose = at_angle(angle.repeat(len(pictures)))
    return turned(centred(pictures).repeat_interleave(TURNS, dim=0), pose, back=True).clamp(-1, 1), angle


def by_judge(pictures, judge):
    """The turn at which the judge is surest of any digit."""
    found = []
    for some in pictures.split(100):
        upright, angle = each_turn(some)
        surest = in_batches(judge, upright).log_softmax(dim=1).amax(dim=1).reshape(len(some), TURNS)
        found.append(angle[surest.argmax(dim=1)])
    return torch.cat(found)


def by_nearest(pictures, known):
    """The turn at which the picture is nearest to one of the known ones, by pixels."""
    found = []
    for some in pictures.split(100):
        upright, angle = each_turn(some)
        nearest = torch.cdist(upright.flatten(1), known.flatten(1)).amin(dim=1).reshape(len(some), TURNS)
        found.append(angle[nearest.argmin(dim=1)])
    return torch.cat(found)


# Scores.

def degrees(angle):
    return angle.double().rad2deg()


def crps(angle, truth):
    """E|Θ-θ| - ½ E|Θ-Θ'| on the circle, degrees  (Grimit et al. 2006). angle: (n, samples). Returns (n,)."""
    n = angle.shape[1]
    off = degrees(around(angle - truth[:, None]).abs()).mean(dim=1)
    if n == 1:
        return off
    apart = degrees(around(angle[:, :, None] - angle[:, None, :]).abs()).sum(dim=(1, 2)) / (n * (n - 1))
    return off - apart / 2


def scores(answer, truth, labels, angle=None, vector=None):
    """For each group of digits: the scores of one answer (n,) each, and of samples (n, SAMPLES) where there are any."""
    off = degrees(around(answer - truth).abs())
    each = {"error": off, "error_kind": torch.minimum(off, 180 - off), "flipped": (off > 90).double(),
            "crps": crps(answer[:, None] if angle is None else angle, truth)}
    if angle is not None:
        near, opposite = ((degrees(around(angle - truth[:, None] - more).abs()) < WIDTH).sum(dim=1)
                          for more in (0, math.pi))
        each["both"] = ((near >= ENOUGH) & (opposite >= ENOUGH)).double()
    if vector is not None:
        each["length"] = (vector[:, :2] * STD[:2]).norm(dim=1).double()
    middle = {"error", "error_kind", "length"}
    found = {}
    for group, kinds in (GROUPS | {str(kind): (kind,) for kind in range(10)}).items():
        chosen = torch.isin(labels, torch.tensor(list(kinds)))
        found[group] = {name: (value[chosen].median() if name in middle else value[chosen].mean()).item()
                        for name, value in each.items()}
    return found


def reliability(angle, truth, labels):
    """The share of samples in the half circle around the answer, and how often the truth lies there, by share."""
    answer, _ = densest(angle, WIDTH)
    inside = (around(angle - answer[:, None]).abs() < math.pi / 2).double().mean(dim=1)
    right = (around(answer - truth).abs() < math.pi / 2).double()
    found = []
    for low, high in ((0.0, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 1.01)):
        chosen = (inside >= low) & (inside < high)
        if chosen.any():
            found.append({"from": low, "to": min(high, 1.0), "digits": int(chosen.sum()),
                          "share": inside[chosen].mean().item(), "right": right[chosen].mean().item()})
    return found


def other_digit(pictures, angle, labels, judge):
    """Of the 6s and 9s with a second answer: the share that the judge, after this turn, reads as the other digit."""
    first, _ = densest(angle, WIDTH)
    second, share = densest(angle, WIDTH, besides=first)
    found = {}
    for kind, other in ((6, 9), (9, 6)):
        chosen = (labels == kind) & (share >= ENOUGH / SAMPLES)
        read = [read_digits(judge, turned(centred(pictures[chosen]), at_angle(a[chosen]), back=True).clamp(-1, 1))
                for a in (first, second)]
        found[str(kind)] = {"digits": int(chosen.sum()),
                            "as one and the other": ((read[0] == kind) & (read[1] == other)
                                                     | (read[0] == other) & (read[1] == kind)).double().mean().item()}
    return found


# Exact checks.

def half_and_half(images, pictures, truth, labels):
    """Data closed under half turns: each training digit is there upside down, too. Then p(θ) = p(θ + half a turn)."""
    closed = torch.cat([images, images.flip((2, 3))])
    network = trained("closed", CLOSED, denoising, turned_batches(closed, CLOSED)).average
    angle = angle_of(sampled_poses(network, pictures, SCHEDULE, SAMPLES, STEPS, seeded(3)))
    share = (around(angle - truth[:, None]).abs() < math.pi / 2).double().mean(dim=1)
    return {"recipe": "3,000 steps", "share": share.mean().item(), "share_se": (share.std() / len(share) ** 0.5).item(),
            "share_std": share.std().item(), "binomial_std": (0.25 / SAMPLES) ** 0.5,
            "groups": scores(densest(angle, WIDTH)[0], truth, labels, angle)}


def toy():
    """Three grey pictures, each with poses from a mixture that we know: the trained network beside the exact answer."""
    weights = torch.tensor([[0.5, 0.5], [0.7, 0.3], [0.9, 0.1]], dtype=torch.float64)
    pictures = torch.tensor([-1.0, 0.0, 1.0])[:, None, None, None].expand(-1, 1, 28, 28)
    mixtures = []
    for k, weight in enumerate(weights):
        angle = torch.tensor([0.3 + k, 0.3 + k + math.pi])
        mixtures.append(GaussianMixture(weight, at_angle(angle), torch.full((2,), 0.02)))

    def batch(step):
        generator = seeded(2**50 + step)
        poses = [mixture.sample(TOY.batch // 3, generator).float() for mixture in mixtures]
        return pictures.repeat_interleave(TOY.batch // 3, dim=0), torch.cat(poses)

    loss = partial(pose_loss, schedule=SCHEDULE, draws=64)
    network = trained("toy", TOY, loss, batch, lambda: PoseNet(8, 16, 64)).average
    found = []
    for k, mixture in enumerate(mixtures):
        x_0, exact = mixture.sample(4000, seeded(k)).float(), mixture.denoiser(SCHEDULE)
        learned = seeing(network, pictures[k:k + 1], SCHEDULE, len(x_0))
        off, size = [], []
        with torch.no_grad():
            for t in range(50, 1001, 50):
                alpha_bar = SCHEDULE.alpha_bar[t].item()
                x_t = alpha_bar**0.5 * x_0 + (1 - alpha_bar) ** 0.5 * torch.randn(x_0.shape, generator=seeded(t))
                off.append((learned(x_t, t) - exact(x_t, t)).square().mean())
                size.append(exact(x_t, t).square().mean())
        angle = angle_of(sampled_poses(network, pictures[k:k + 1], SCHEDULE, 4000, STEPS, seeded(9)))[0]
        share = (around(angle - (0.3 + k)).abs() < math.pi / 2).double().mean().item()
        found.append({"weight": weights[k, 0].item(), "share": share,
                      "off": (torch.stack(off).mean() / torch.stack(size).mean()).sqrt().item()})
    return found


def ship(minutes=None):
    images, _ = load_digits("train")
    begin = time.process_time()
    run = trained("shipped", RECIPE, denoising, turned_batches(images, RECIPE))
    save_weights(HERE / "upright", run)
    print(f"{(time.process_time() - begin) / 60:.1f} minutes")


def line(name, found):
    return f"{name:34}" + "".join(f"{found[group].get(key, math.nan):9.2f}" for group, key in COLUMNS)


COLUMNS = (("one answer", "error"), ("one answer", "error_kind"), ("one answer", "flipped"), ("one answer", "crps"),
           ("two answers", "error_kind"), ("two answers", "both"), ("two answers", "crps"), ("6 and 9", "both"),
           ("6 and 9", "crps"), ("two answers", "length"), ("all", "crps"))


def measure(quick):
    n = 100 if quick else 1000
    train_images, train_labels = load_digits("train")
    images, labels = (part[:: 1000 // n] for part in load_digits("test"))
    pose = random_poses(n, seeded(0))
    pictures, truth = turned(images, pose), angle_of(pose)
    judge = load_judge()
    facts = {"command": "python benchmarks/vision_upright.py", "weights": read_facts("upright")["sha256"],
             "samples": SAMPLES, "steps": STEPS, "width": WIDTH, "enough": ENOUGH, "digits": n, "seed": 0,
             "machine": "one core of a two-core machine with AVX-512", "rows": []}
    print(" " * 34 + "".join(f"{group[:8]:>9}" for group, _ in COLUMNS))
    print(" " * 34 + "".join(f"{key[:8]:>9}" for _, key in COLUMNS))

    def row(method, make):
        begin = time.process_time()
        answer, *more = make()
        seconds = time.process_time() - begin
        found = scores(answer, truth, labels, *more)
        facts["rows"].append({"method": method, "milliseconds": 1000 * seconds / n, "groups": found})
        print(line(method, found), flush=True)

    network = load_network("upright")

    def denoised():
        angle = angle_of(sampled_poses(network, pictures, SCHEDULE, SAMPLES, STEPS, seeded(1)))
        return densest(angle, WIDTH)[0], angle

    _, angle = denoised()

    def first_answer():
        with torch.no_grad():
            x_T = torch.randn(n * 8, 5, generator=seeded(1))
            vector = seeing(network, pictures, SCHEDULE, 8)(x_T, SCHEDULE.T).reshape(n, 8, 5).mean(dim=1)
        return angle_of(vector), None, vector

    row("denoised: largest cluster of 32", denoised)
    row("denoised: mean of all 32", lambda: (torch.atan2(angle.sin().mean(dim=1), angle.cos().mean(dim=1)),))
    row("the denoiser's first answer", first_answer)
    row("principal axis", lambda: (by_axis(pictures, train_images).float(),))
    row("judge surest of 36 turns", lambda: (by_judge(pictures, judge),))
    row("nearest mean digit, 36 turns", lambda: (by_nearest(pictures, torch.stack(
        [train_images[train_labels == kind].mean(dim=0) for kind in range(10)])),))
    row("nearest training digit, 36 turns", lambda: (by_nearest(pictures, train_images),))
    facts["reliability"] = reliability(angle, truth, labels)
    facts["six and nine"] = other_digit(pictures, angle, labels, judge)
    lean = torch.atan(slant(train_images)).rad2deg()
    facts["lean"] = {str(kind): lean[train_labels == kind].std().item() for kind in range(10)}
    for name in ("reliability", "six and nine", "lean"):
        print(name, facts[name], flush=True)
    if not quick:
        facts["toy"] = toy()
        print("toy", facts["toy"], flush=True)
        facts["closed"] = half_and_half(train_images, pictures, truth, labels)
        print("closed", facts["closed"], flush=True)
        regression = trained("regression", RECIPE, squared_error, turned_batches(train_images, RECIPE)).average

        def regressed():
            with torch.no_grad():
                vector = only_answer(regression, pictures)
            return angle_of(vector), None, vector

        row("regression, the same network", regressed)
        results.write("vision_upright", facts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="make the weights upright")
    parser.add_argument("--quick", action="store_true", help="100 digits, no training; writes nothing")
    arguments = parser.parse_args()
    ship() if arguments.train else measure(arguments.quick)


if __name__ == "__main__":
    main()
