"""What pays in training: each lever alone, the same seconds of one core, three seeds; and the recipe of a known course.

    OMP_NUM_THREADS=1 python benchmarks/training.py                 (levers, 60 s each: about two hours)
    OMP_NUM_THREADS=1 python benchmarks/training.py --seconds 300   (three of them: an hour and a half)
    python benchmarks/training.py --throughput                      (the share of the machine's peak: a minute)

Writes diffusion_lab/results/training.json after every row; rows that are there are not made again. Seconds are those of
the processor on a quiet core: before anything is trained, a few steps of every lever that has no row yet are timed in
turn, and the fastest of ten rounds says how many steps fit; another seed, and other seconds, go by the steps that the
first row of a lever had, so that all its rows are of one machine. 300 s of one core are what lesson 07 takes on two.
Levers are judged on the held-back training digits of benchmarks/sampling.py, on which no run trains; 500 digits are
drawn as the commands draw.

The peer is unit 2 of the Hugging Face course on diffusion models: diffusers' UNet2DModel, channels 32-64-64, the class
as four extra channels, cosine schedule, noise prediction, Adam 1e-3, batches of 128. Its network has no null label, so
that it cannot be guided.
"""

import argparse
import copy
import statistics
import time
from functools import partial

import torch
from diffusers import DiTTransformer2DModel, UNet2DModel
from sampling import sets
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.evaluation.second_judge import load_second_judge
from diffusion_lab.evaluation.spectrum import power_ratio
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced_in_log_snr
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import autoguided, guided
from diffusion_lab.theory.schedule import at, cosine
from diffusion_lab.training.average import update_average
from diffusion_lab.training.batches import batch_at, batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective, spread_times, uniform_times
from diffusion_lab.training.recipe import Recipe, rate

SECONDS, SEEDS, DIGITS = 60, 3, 500
SCHEDULE = cosine()
JUDGES = {"first": load_judge(), "second": load_second_judge()}
REAL, (IMAGES, LABELS) = sets("train")
POWERS = (6.94, 16.97)  # of the averages of power-function form, as in Karras et al. 2024, "EDM2"


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────────────

class Peer(nn.Module):
    """The network of the Hugging Face course, unit 2, called as ours are."""

    null_label = 10  # never used: its labels are not dropped

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


class Patches(nn.Module):
    """A transformer on 49 patches of 4×4 pixels that answers x_0, turned into v   (Li & He 2025, "JiT").

    1 - ᾱ is not taken smaller than 0.05², as there. In training the transformer itself drops one label in ten.
    """

    null_label = 10

    def __init__(self, heads=4, layers=5):
        super().__init__()
        self.transformer = DiTTransformer2DModel(
            num_attention_heads=heads, attention_head_dim=32, in_channels=1, num_layers=layers, sample_size=28,
            patch_size=4, num_embeds_ada_norm=10)

    def ends(self):
        return [self.transformer.pos_embed, self.transformer.proj_out_2]

    def forward(self, x_t, t, label=None):
        if label is None:
            label = torch.full((len(x_t),), self.null_label)
        x_0_hat = self.transformer(x_t, timestep=t, class_labels=label).sample
        alpha_bar_t = at(SCHEDULE.alpha_bar, t, like=x_t).to(x_t.dtype)
        return (alpha_bar_t.sqrt() * x_t - x_0_hat) / (1 - alpha_bar_t).clamp(min=0.05**2).sqrt()


# ── levers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

def half_in_log_snr(n, schedule, generator):
    """Of n times, half spread over 1…T and half spread evenly in log SNR between the ends of the samplers' steps."""
    t = spread_times(n, schedule, generator)
    log_snr = schedule.log_snr[1:].flip(0)  # rising
    u = (torch.rand(1, generator=generator, dtype=torch.float64) + torch.arange(n // 2, dtype=torch.float64) / (n // 2))
    wanted = 2 * (-2.7 + 6.1 * (u % 1))
    t[:n // 2] = schedule.T - torch.searchsorted(log_snr.contiguous(), wanted).clamp(max=schedule.T - 1)
    return t[torch.randperm(n, generator=generator)]


def in_a_line(step, steps, warm_up):
    """Share of the peak rate: up in a straight line, and down in one."""
    return min(1, (step + 1) / warm_up) * (1 - step / steps)


def growing(recipe):
    """Batches of the recipe's size, and twice as large in the last fifth of the steps: a third of all images."""
    small = batches_of(IMAGES, LABELS, recipe)

    def batch(step):
        if step < 0.8 * recipe.steps:
            return small(step)
        twice = Recipe(steps=recipe.steps, batch=2 * recipe.batch, seed=recipe.seed)
        index = batch_at(step, len(IMAGES), twice)
        return IMAGES[index], LABELS[index]

    return batch


LEVERS = {  # what differs from the recipe
    "the recipe": {},
    "rate falls in a line": {"share": in_a_line},
    "Muon at 0.03": {"recipe": {"lr": 0.03}},
    "AdamW in Muon's place": {"adam": 4e-3},
    "half of the times in log SNR": {"times": half_in_log_snr},
    "times drawn one by one": {"times": uniform_times},
    "half of the digits shifted": {"recipe": {"augment": 0.5}},
    "batches grow": {"batches": growing},
    "24 channels": {"recipe": {"width": 24}},
    "48 channels": {"recipe": {"width": 48}},
    "patches": {"build": Patches, "drop": 0.0, "recipe": {"lr": 0.01}},
    "Hugging Face course": {"build": Peer, "predicts": "eps", "drop": 0.0, "adam": 1e-3, "times": uniform_times,
                            "recipe": {"batch": 128}},
}
LONGER = ["the recipe", "rate falls in a line", "Hugging Face course"]  # what is trained for more than a minute, too


def new_run(lever, seed, steps):
    run = start(Recipe(steps=steps, seed=seed, **lever.get("recipe", {})), lever.get("build"))
    if "adam" in lever:
        run.optimizers = [torch.optim.AdamW(run.network.parameters(), lever["adam"], betas=(0.9, 0.99), fused=True)]
    return run


def steps_of(run, lever):
    """The course's loop; where the rate falls otherwise, its peak is moved so that the product falls so."""
    loss = partial(objective, schedule=SCHEDULE, **{name: lever[name] for name in ("predicts", "drop", "times")
                                                    if name in lever})
    batches = lever["batches"](run.recipe) if "batches" in lever else batches_of(IMAGES, LABELS, run.recipe)
    peaks = [optimizer.defaults["lr"] for optimizer in run.optimizers]
    steps = train(run, batches, loss)
    while run.step < run.recipe.steps:
        if "share" in lever:
            wanted = lever["share"](run.step, run.recipe.steps, run.recipe.warm_up) / rate(run.step, run.recipe)
            for optimizer, peak in zip(run.optimizers, peaks, strict=True):
                optimizer.defaults["lr"] = peak * wanted
        yield next(steps)


def seconds_of_a_step(levers, rounds=10, trial=2):
    """Seconds of the processor for one step of each lever: the fastest of some rounds, in which they take turns."""
    runs = {name: steps_of(new_run(lever, 0, 1000 if "batches" not in lever else 2), lever)
            for name, lever in levers.items() if "batches" not in lever}
    taken = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, steps in runs.items():
            begin = time.process_time()
            for _ in range(trial):
                next(steps)
            if turn:  # the first steps also set things up
                taken[name].append((time.process_time() - begin) / trial)
    least = {name: min(some) for name, some in taken.items()}
    return least | {name: 1.2 * least["the recipe"] for name in levers if name not in runs}  # a fifth twice as large


# ── a run, and what it draws ─────────────────────────────────────────────────────────────────────────────────────────

def trained(lever, seed, steps):
    """The run; its averages of power-function form; and its average a tenth of the way."""
    run = new_run(lever, seed, steps)
    powers = {power: copy.deepcopy(run.average) for power in POWERS}
    early = copy.deepcopy(run.average)
    for progress in steps_of(run, lever):
        for power, average in powers.items():
            update_average(average, run.network, 10**9, (1 - 1 / progress.step) ** (power + 1))
        if progress.step == steps // 10:
            early = copy.deepcopy(run.average)
    return run, powers, early


def measured(images, label, floors):
    """What the two judges and the spectrum say. (A few steps leave no digits in which variety could be measured.)"""
    told = {name: {"label_accuracy": label_accuracy(judge, images, label),
                   "times_floor": distance_to_test(images, judge, REAL[0]) / floors[name]}
            for name, judge in JUDGES.items()}
    return told | {"spectrum": power_ratio(images, REAL[0]).tolist()}


def line(name, rows):
    """A line of the table: means over the seeds, and the range of the distances."""
    cells = []
    for judge in JUDGES:
        cells.append(f"{statistics.mean(row[judge]['label_accuracy'] for row in rows):.3f}")
    for judge in JUDGES:
        distances = [row[judge]["times_floor"] for row in rows]
        cells.append(f"{statistics.mean(distances):.2f} ({min(distances):.2f}–{max(distances):.2f})")
    spectrum = torch.tensor([row["spectrum"] for row in rows]).mean(dim=0)[10:]
    cells.append(f"{spectrum.min():.2f}–{spectrum.max():.2f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def rows_of(name, lever, seed, steps, floors):
    """{row's name: measures}: one for a lever; for the recipe also those levers that need no training of their own."""
    run, powers, early = trained(lever, seed, steps)
    predicts = lever.get("predicts", "v")

    def denoiser(network):
        return as_denoiser(network.eval(), SCHEDULE, predicts)

    ways = {name: denoiser(run.average) if name == "Hugging Face course" else guided(denoiser(run.average), 0.4, 800)}
    if name == "the recipe":
        for power in POWERS:
            ways[f"average of power {power}"] = guided(denoiser(powers[power]), 0.4, 800)
        ways["guided by its own tenth"] = autoguided(denoiser(run.average), denoiser(early), 0.4, 800)
    label, times = torch.arange(DIGITS) % 10, spaced_in_log_snr(SCHEDULE, 10)
    return {way: measured(draw(one, label, dpm_solver, times, seed, batch=250), label, floors)
            for way, one in ways.items()}


def levers(seconds, names):
    facts = {"command": "OMP_NUM_THREADS=1 python benchmarks/training.py", "torch": torch.__version__,
             "digits": DIGITS, "rows": []}
    if (results.HERE / "training.json").exists():
        facts = results.read("training")
    floors = {name: floor_distance(judge, (IMAGES, LABELS), REAL[0], DIGITS)[0] for name, judge in JUDGES.items()}
    chosen = {name: LEVERS[name] for name in names}
    step = {row["lever"]: row["seconds"] / row["steps"] for row in reversed(facts["rows"])}  # of each lever's first row
    if new := {name: lever for name, lever in chosen.items() if name not in step}:
        step = seconds_of_a_step({"the recipe": {}} | new) | step  # what has rows keeps its steps
    print({name: f"{1000 * step[name]:.0f} ms" for name in chosen}, flush=True)
    for seed in range(SEEDS):
        for name, lever in chosen.items():
            if any((row["lever"], row["seed"], row["seconds"]) == (name, seed, seconds) for row in facts["rows"]):
                continue
            steps = round(seconds / step[name])
            for way, told in rows_of(name, lever, seed, steps, floors).items():
                facts["rows"].append({"lever": way, "seed": seed, "seconds": seconds, "steps": steps} | told)
                print(line(f"{way}, seed {seed}, {steps} steps", facts["rows"][-1:]), flush=True)
            results.write("training", facts)
    print(f"\n{seconds} s of one core, {SEEDS} seeds: accuracy by both judges, distance / floor by both, power at "
          "10 to 14 crests over that of real digits")
    for way in dict.fromkeys(row["lever"] for row in facts["rows"]):
        these = [row for row in facts["rows"] if (row["lever"], row["seconds"]) == (way, seconds)]
        if these:
            print(line(f"{way}, {these[0]['steps']} steps", these))


# ── throughput ───────────────────────────────────────────────────────────────────────────────────────────────────────

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


KINDS = {"convolutions": ("convolution",), "matrix products": ("aten::mm", "aten::addmm", "aten::bmm"),
         "attention": ("attention",), "normalisation": ("norm",), "SiLU": ("silu",)}  # by parts of the operators' names


def where_it_goes(steps, count=10):
    """{kind of operator: its share of the time} over some training steps; "the rest" moves and adds numbers."""
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(count):
            next(steps)
    shares, events = dict.fromkeys([*KINDS, "the rest"], 0.0), seen.key_averages()
    for event in events:
        kind = next((kind for kind, parts in KINDS.items() if any(part in event.key for part in parts)), "the rest")
        shares[kind] += event.self_cpu_time_total / sum(each.self_cpu_time_total for each in events)
    return shares


def throughput():
    """Sustained GFLOP/s of whole training steps (convolutions and matrix products), beside the convolution peak."""
    steps = steps_of(new_run({}, 0, 1000), {})
    next(steps)
    with FlopCounterMode(display=False) as counter:
        next(steps)
    reached = counter.get_total_flops() / best_time(lambda: next(steps), 60) / 1e9
    peak = convolution_peak()
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads: one training step {reached:.0f} GFLOP/s; "
          f"convolution peak {peak:.0f} GFLOP/s; share {reached / peak:.0%}")
    print("time of a step: " + ", ".join(f"{kind} {share:.0%}" for kind, share in where_it_goes(steps).items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of one core; other than 60: the recipe, "
                        "a rate in a line and the peer alone")
    parser.add_argument("--throughput", action="store_true")
    arguments = parser.parse_args()
    if arguments.throughput:
        throughput()
    else:
        levers(arguments.seconds, LEVERS if arguments.seconds == SECONDS else LONGER)


if __name__ == "__main__":
    main()
