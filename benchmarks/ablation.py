"""What each part of the U-Net is for: take it away, train again from three seeds, and measure.

    python benchmarks/ablation.py [STEPS]

Writes diffusion_lab/results/ablation.json, which lessons/06_unet reads, and prints a table. The default,
100 steps of 64 digits, takes about ten minutes in all on two cores.
"""

import sys
import time
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.networks.unet import ResidualBlock, UNet
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe

SEEDS, SAMPLES, SCHEDULE = (0, 1, 2), 250, cosine()
LOSS = partial(objective, schedule=SCHEDULE)
RECIPE = Recipe(batch=64, lr_rest=2e-3, warm_up=50)  # written out: the file does not change with the defaults


class Zero(nn.Module):
    """0 for any input."""

    def forward(self, x):
        return 0


class Flat(UNet):
    """The U-Net without its coarse level: what happens at 7×7 is left out, and nothing grows back."""

    def __init__(self):
        super().__init__()
        for name in ("shrink", "coarse_down", "attention", "middle", "coarse_up", "grow"):
            delattr(self, name)

    def forward(self, x_t, t, label=None):
        condition = self.condition(t, label)
        fine = self.fine_down(self.enter(nn.functional.pixel_unshuffle(x_t, 2)), condition)
        x = self.fine_up(torch.cat([fine, fine], dim=1), condition)
        return nn.functional.pixel_shuffle(self.leave(x), 2)


def without_skips():
    """The blocks of the way up get zeros in place of what the skips bring, the second half of their input."""

    def forget(_, inputs):
        kept, skipped = inputs[0].chunk(2, dim=1)
        return torch.cat([kept, torch.zeros_like(skipped)], dim=1), inputs[1]

    network = UNet()
    for block in (network.coarse_up, network.fine_up):
        block.register_forward_pre_hook(forget)
    return network


def without_attention():
    network = UNet()
    network.attention = nn.Identity()
    return network


def without_time():
    """The condition is told t = 0, whatever the time is."""
    network = UNet()
    network.condition.register_forward_pre_hook(lambda _, inputs: (torch.zeros_like(inputs[0]), *inputs[1:]))
    return network


def without_shortcut():
    """f(x, condition) in place of x + f(x, condition). The last layer of f gets ordinary first weights, not zeros."""
    network = UNet()
    for block in network.children():
        if isinstance(block, ResidualBlock):
            block.conv_2.reset_parameters()
            block.shortcut = Zero()
    return network


NETWORKS = {"whole": UNet, "no skips": without_skips, "no attention": without_attention, "no time": without_time,
            "no shortcut": without_shortcut, "no coarse level": Flat}


@torch.no_grad()
def held_out_loss(network, images, labels, rounds=4):
    """E‖v - network‖² per pixel, over digits it was not trained on, always at the same times with the same noise."""
    generator, total = torch.Generator().manual_seed(0), 0.0
    for i in range(rounds):
        t = 1 + (torch.arange(len(images)) * SCHEDULE.T // len(images) + i * SCHEDULE.T // rounds) % SCHEDULE.T
        x_t = q_sample(images, t, torch.randn(images.shape, generator=generator), SCHEDULE)
        v = v_from_x_0(x_t, images, t, SCHEDULE)
        for part in torch.arange(len(images)).split(250):
            total += (network(x_t[part], t[part], labels[part]) - v[part]).square().mean(dim=(1, 2, 3)).sum().item()
    return total / rounds / len(images)


def generated(network, label):
    """Digits of these labels: DPM-Solver++, 10 steps, guidance 0.5, always from the same noise."""
    return draw(guided(as_denoiser(network, SCHEDULE), 0.5), label, dpm_solver, spaced(SCHEDULE.T, 10), batch=250)


def measure(build, seed, steps, digits, test, judge, floor):
    """Train one network, and measure its average. Returns a dict of numbers."""
    run, started = start(replace(RECIPE, steps=steps, seed=seed), build), time.perf_counter()
    for _ in train(run, batches_of(*digits, run.recipe), LOSS):
        pass
    seconds, label = time.perf_counter() - started, torch.arange(SAMPLES) % 10
    images = generated(run.average, label)
    return {"parameters": sum(p.numel() for p in run.network.parameters()),
            "milliseconds_per_step": round(1000 * seconds / steps),
            "loss": round(held_out_loss(run.average, *test), 5),
            "label_accuracy": label_accuracy(judge, images, label),
            "times_floor": round(distance_to_test(images, judge, test[0]) / floor, 2)}


def main(steps=100):
    digits, test, judge = load_digits("train"), load_digits("test"), load_judge()
    floor, _ = floor_distance(judge, digits, test[0], n=SAMPLES)
    facts = {"command": f"python benchmarks/ablation.py {steps}", "torch": torch.__version__, "steps": steps,
             "batch": RECIPE.batch, "seeds": list(SEEDS), "samples": SAMPLES, "floor": round(floor, 4), "runs": []}
    print("| network | seed | parameters | ms/step | held-out loss | label accuracy | distance / floor |")
    print("|---|---|---|---|---|---|---|")
    for name, build in NETWORKS.items():
        for seed in SEEDS:
            found = measure(build, seed, steps, digits, test, judge, floor)
            facts["runs"].append({"network": name, "seed": seed} | found)
            print(f"| {name} | {seed} | " + " | ".join(str(value) for value in found.values()) + " |", flush=True)
    results.write("ablation", facts)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
