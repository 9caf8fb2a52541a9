"""What each part of the U-Net is for: put something else in its place, train again from three seeds, and measure.

    python benchmarks/ablation.py [STEPS]

Writes diffusion_lab/results/ablation.json, which lessons/06_unet reads, and prints a table. The network has a third of
the widths of the one that comes with the course, and all five have the same number of weights, within one per cent.
The default, 1,500 steps of 32 digits, takes about half an hour in all on one quiet core. Each training is written to
the file as soon as it is measured; started again with the same steps, the command goes on with those that are missing.
"""

import base64
import io
import sys
import time
from dataclasses import asdict, replace
from functools import partial

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.evaluation.second_judge import load_second_judge
from diffusion_lab.evaluation.spectrum import power_ratio
from diffusion_lab.networks.unet import ResidualBlock, UNet, zeroed
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.view.pictures import mosaic

SEEDS, SAMPLES, SCHEDULE = (0, 1, 2), 1000, cosine()
LOSS = partial(objective, schedule=SCHEDULE)
WIDTHS = {"fine": 16, "coarse": 32, "dim": 48}
RECIPE = Recipe(batch=32, width=16, lr=0.02, lr_rest=6e-3, warm_up=20, decay=0.99)  # does not change with the defaults


def whole():
    return UNet(**WIDTHS)


class WithoutSkips(UNet):
    """The way up sees only what comes from below. The weights that the skips leave over go into a longer condition."""

    def __init__(self, fine=16, coarse=32, dim=80):
        super().__init__(fine, coarse, dim)
        self.coarse_up = ResidualBlock(coarse, coarse, dim)
        self.fine_up = ResidualBlock(fine, fine, dim)

    def forward(self, x_t, t, label=None):
        condition = self.condition(t, label)
        fine = self.fine_down(self.enter(F.pixel_unshuffle(x_t, 2)), condition)
        coarse = self.coarse_down(self.shrink(fine), condition)
        x = self.coarse_up(self.middle(self.attention(coarse), condition), condition)
        return F.pixel_shuffle(self.leave(self.fine_up(self.grow(x), condition)), 2)


class EachForItself(nn.Module):
    """As many weights as an attention of so many channels, but no place hears of another."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.enter = nn.Conv2d(channels, 2 * channels, 1)
        self.leave = zeroed(nn.Conv2d(2 * channels, channels, 1))

    def forward(self, x):
        return x + self.leave(F.silu(self.enter(self.norm(x))))


def without_attention():
    network = whole()
    network.attention = EachForItself(WIDTHS["coarse"])
    return network


def without_time():
    """The condition is told t = 0, whatever the time is."""
    network = whole()
    network.condition.register_forward_pre_hook(lambda _, inputs: (torch.zeros_like(inputs[0]), *inputs[1:]))
    return network


def without_coarse_level():
    """The same weights, all at 14×14: the network does not shrink the picture, and need not let it grow again."""
    network = whole()
    network.shrink.stride = (1, 1)
    network.grow[1] = nn.Identity()
    return network


NETWORKS = {"whole": whole, "no time": without_time, "no skips": WithoutSkips, "no attention": without_attention,
            "no coarse level": without_coarse_level}


@torch.no_grad()
def held_out_losses(network, images, labels, rounds=4):
    """E‖v - network‖² per pixel in each tenth of 1…T, over digits it was not trained on. Returns ten floats.

    Always at the same times with the same noise.
    """
    generator, losses = torch.Generator().manual_seed(0), []
    for i in range(rounds):
        t = 1 + (torch.arange(len(images)) * SCHEDULE.T // len(images) + i * SCHEDULE.T // rounds) % SCHEDULE.T
        x_t = q_sample(images, t, torch.randn(images.shape, generator=generator), SCHEDULE)
        v = v_from_x_0(x_t, images, t, SCHEDULE)
        parts = torch.arange(len(images)).split(250)
        answer = torch.cat([network(x_t[part], t[part], labels[part]) for part in parts])
        losses.append((t, (answer - v).square().mean(dim=(1, 2, 3))))
    t, loss = (torch.cat(column) for column in zip(*losses))
    return [round(loss[(t - 1) * 10 // SCHEDULE.T == tenth].mean().item(), 5) for tenth in range(10)]


def as_png(images):
    """The images in one row, as a PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(mosaic(images, columns=len(images), scale=1)).convert("L").save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def measure(build, seed, steps, digits, test, judges):
    """Train one network, and measure its average. Returns a dict of numbers, and a picture of ten digits."""
    run, started = start(replace(RECIPE, steps=steps, seed=seed), build), time.process_time()
    for _ in train(run, batches_of(*digits, run.recipe), LOSS):
        pass
    seconds, label = time.process_time() - started, torch.arange(SAMPLES) % 10
    losses = held_out_losses(run.average, *test)
    images = draw(as_denoiser(run.average, SCHEDULE), label, dpm_solver, spaced(SCHEDULE.T, 20), batch=250)
    judged = {name: {"label_accuracy": round(label_accuracy(judge, images, label), 3),
                     "times_floor": round(distance_to_test(images, judge, test[0]) / floor, 2)}
              for name, (judge, floor) in judges.items()}
    return {"parameters": sum(p.numel() for p in run.network.parameters()),
            "cpu_milliseconds_per_step": round(1000 * seconds / steps),
            "loss": round(sum(losses) / 10, 5), "losses": losses} | judged | {
            "spectrum": [round(ratio, 3) for ratio in power_ratio(images, test[0]).tolist()],
            "digits": as_png(images[:10])}


def row(run):
    first, second = run["first"], run["second"]
    values = [run["network"], run["seed"], run["parameters"], run["cpu_milliseconds_per_step"], run["loss"],
              first["label_accuracy"], second["label_accuracy"], first["times_floor"], second["times_floor"]]
    return f"| {' | '.join(map(str, values))} |"


def main(steps=1500):
    digits, test = load_digits("train"), load_digits("test")
    judges = {name: (judge, floor_distance(judge, digits, test[0], SAMPLES)[0])
              for name, judge in (("first", load_judge()), ("second", load_second_judge()))}
    facts = {"command": f"python benchmarks/ablation.py {steps}", "torch": torch.__version__,
             "widths": WIDTHS, "recipe": asdict(replace(RECIPE, steps=steps)), "seeds": list(SEEDS), "samples": SAMPLES,
             "floors": {name: round(floor, 4) for name, (_, floor) in judges.items()}}
    before = results.read("ablation")
    runs = before["runs"] if facts.items() <= before.items() else []
    done = {(run["network"], run["seed"]) for run in runs}
    print("| network | seed | parameters | CPU ms/step | held-out loss | accuracy, two judges | | distance / floor | |")
    print("|---|---|---|---|---|---|---|---|---|", *map(row, runs), sep="\n", flush=True)
    for seed in SEEDS:
        for name, build in NETWORKS.items():
            if (name, seed) not in done:
                runs.append({"network": name, "seed": seed} | measure(build, seed, steps, digits, test, judges))
                results.write("ablation", facts | {"runs": runs})
                print(row(runs[-1]), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
