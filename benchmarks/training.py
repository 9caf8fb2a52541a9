"""What seconds of training buy, beside the recipe of the Hugging Face course, on the same digits and machine.

    python benchmarks/training.py [SECONDS …]        (default: 60 150; takes about 15 minutes)

The peer is unit 2 of that course: diffusers' UNet2DModel, channels 32-64-64, the class as four extra channels, cosine
schedule, noise prediction, Adam 1e-3, batches of 128. All draw 1,000 digits with 25 steps of DDIM; ours with guidance
0.5, which the peer's network cannot have. Distances are multiples of that of 1,000 real digits, `floor_distance`.
"""

import sys
import time
from functools import partial

import torch
from diffusers import UNet2DModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.report import Rulers, report
from diffusion_lab.sampling.chain import draw, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective, uniform_times
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.weights.pretrained import load_pretrained

DIGITS, TEST, SCHEDULE = load_digits("train"), load_digits("test"), cosine()
RULERS = Rulers(TEST, DIGITS)
LOSS = partial(objective, schedule=SCHEDULE)


class Peer(nn.Module):
    """The network of the Hugging Face course, unit 2, called as ours are."""

    null_label = 0  # never used: its labels are not dropped

    def __init__(self):
        super().__init__()
        self.label = nn.Embedding(10, 4)
        self.unet = UNet2DModel(
            sample_size=28, in_channels=5, out_channels=1, layers_per_block=2, block_out_channels=(32, 64, 64),
            down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"))

    def forward(self, x_t, t, label):
        channels = self.label(label)[:, :, None, None].expand(-1, -1, *x_t.shape[2:])
        return self.unet(torch.cat([x_t, channels], dim=1), t).sample


def train_peer(seconds):
    torch.manual_seed(0)
    network, generator = Peer(), torch.Generator().manual_seed(0)
    optimizer, begin, steps = torch.optim.Adam(network.parameters(), lr=1e-3), time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        index = torch.randint(len(DIGITS[0]), (128,), generator=generator)
        optimizer.zero_grad()
        batch = DIGITS[0][index], DIGITS[1][index]
        objective(network, batch, generator, SCHEDULE, "eps", uniform_times, drop=0.0).backward()
        optimizer.step()
        steps += 1
    return network.eval(), steps * 128, time.perf_counter() - begin


def adam_alone(run):
    """Replace Muon by AdamW at the rate that suited it best here, 2e-3."""
    run.optimizers = [torch.optim.AdamW(run.network.parameters(), 2e-3, betas=(0.9, 0.99), fused=True)]
    return run


def steps_of(run):
    return train(run, batches_of(*DIGITS, run.recipe), LOSS)


def train_ours(seconds, change=lambda run: run, **parts):
    """The notebook's recipe, with these parts exchanged, and with as many steps as fit into the seconds."""
    trial = steps_of(change(start(Recipe(steps=1000, **parts))))
    for _ in range(5):
        next(trial)
    begin = time.perf_counter()
    for _ in range(40):
        next(trial)
    steps = max(1, round(seconds / (time.perf_counter() - begin) * 40))
    run, begin = change(start(Recipe(steps=steps, **parts))), time.perf_counter()
    for _ in steps_of(run):
        pass
    return run.average, steps * run.recipe.batch, time.perf_counter() - begin


def measures(denoiser):
    label = torch.arange(1000) % 10
    return report(draw(denoiser, label, ddim, spaced(1000, 25), batch=250), label, DIGITS, TEST, RULERS)


def row(name, denoiser, images=0, seconds=0.0):
    m = measures(denoiser)
    rate = f"{images / seconds:.0f}" if seconds else "–"
    first, second, sharp = m["first"], m["second"], m["spectrum"][10:]
    print(f"| {name} | {seconds:.0f} | {rate} | {first['label_accuracy']:.3f} | {first['distance']:.2f} "
          f"| {first['times_floor']:.2f} | {second['times_floor']:.2f} | {min(sharp):.2f}–{max(sharp):.2f} "
          f"| {m['share_of_real']:.3f} | {m['memorisation_ratio']:.2f} |", flush=True)
    return m


def best_time(function, repeats=12):
    """The shortest of some calls, in seconds."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return min(times)


def convolution_peak():
    """The most GFLOP/s that a 3×3 convolution, forward and backward, reaches here, over sizes around the U-Net's."""
    peak = 0.0
    for channels, side in ((64, 14), (128, 14), (128, 7), (256, 14)):
        layer = nn.Conv2d(channels, channels, 3, padding=1).to(memory_format=torch.channels_last)
        x = torch.randn(64, channels, side, side, requires_grad=True).to(memory_format=torch.channels_last)
        seconds = best_time(lambda layer=layer, x=x: layer(x).sum().backward())
        peak = max(peak, 3 * 2 * 64 * side**2 * channels**2 * 9 / seconds / 1e9)
    return peak


def throughput():
    """Sustained GFLOP/s of whole training steps (convolutions and matrix products), and the convolution peak."""
    steps = steps_of(start(Recipe()))
    next(steps)
    with FlopCounterMode(display=False) as counter:
        next(steps)
    seconds = sorted(best_time(lambda: next(steps), 1) for _ in range(60))[30]
    return counter.get_total_flops() / seconds / 1e9, convolution_peak()


def main(budgets):
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    reached, peak = throughput()
    print(f"one training step: {reached:.0f} GFLOP/s; convolution peak {peak:.0f} GFLOP/s; "
          f"share {reached / peak:.0%}\n")
    print("| training | s | images/s | label accuracy | distance | × floor | second judge | power, k = 10…14 "
          "| share of real | memorisation |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for seconds in budgets:
        network, images, taken = train_ours(seconds)
        ours = row("ours", guided(as_denoiser(network, SCHEDULE), 0.5), images, taken)
    network, images, taken = train_ours(budgets[0], width=48)
    row("ours, 48 channels in place of 32", guided(as_denoiser(network, SCHEDULE), 0.5), images, taken)
    network, images, taken = train_ours(budgets[0], adam_alone)
    row("ours, Adam in Muon's place", guided(as_denoiser(network, SCHEDULE), 0.5), images, taken)
    network, images, taken = train_peer(budgets[-1])
    peer = row("peer", as_denoiser(network, SCHEDULE, "eps"), images, taken)
    row("shipped weights", guided(load_pretrained("mnist"), 0.5))
    peer, ours = peer["first"], ours["first"]
    print(f"\nfloor {ours['floor']:.3f} ± {ours['floor_std']:.3f}; the peer's distance is "
          f"{peer['distance'] / ours['distance']:.0f} times ours after {budgets[-1]} s")


if __name__ == "__main__":
    main([float(seconds) for seconds in sys.argv[1:]] or [60.0, 150.0])
