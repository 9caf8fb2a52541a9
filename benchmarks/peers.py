"""Our samplers beside diffusers' schedulers: the same network, the same noise, the same run.

    python benchmarks/peers.py         (about ten minutes on two cores; benchmarks/sampling.py runs it at its end)

Seconds: 64 digits of the shipped weights, no guidance, the median of some rounds in which all take turns. Distance:
400 digits to the test digits, as a multiple of the floor of 400 real ones, and as a ratio to that of DDPM in 1,000
steps; mean over three seeds. That last distance takes minutes, and is not computed here: it is the row "DDPM, 1000, 400
digits" of diffusion_lab/results/steps.json, made by benchmarks/steps.py with the same weights (checked).

Overhead: what a step costs beside the network, as a share of its forward pass. The network is replaced by one that
hands back a tensor computed before, so that only the sampler's own work is left (for ours, `as_denoiser` included).
diffusers counts times from 0, so its time t is our t + 1; it is used as well as it can be: float32 tables, "trailing"
spacing with n that divides 1000, no clipping.
"""

import statistics
import time

import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.weights.pretrained import load_network, read_facts

SCHEDULE, DIGITS, SEEDS = cosine(), 400, 3
THEIRS = {"beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction", "timestep_spacing": "trailing"}
WHOLE = {"clip_sample": False}


def ours(sampler):
    """A function (network, x_T, n, label, generator) → digits."""
    def draw(network, x_T, n, label, generator):
        options = {} if sampler is dpm_solver else {"generator": generator}
        return last(sampler(as_denoiser(network, SCHEDULE), x_T, spaced(1000, n), label=label, **options))
    return draw


def theirs(library, **settings):
    """Likewise, the loop of the library's documentation."""
    scheduler = library(**THEIRS, **settings)

    def draw(network, x, n, label, generator):
        scheduler.set_timesteps(n)
        for t in scheduler.timesteps:
            v = network(x, (t + 1).expand(len(x)), label)
            x = scheduler.step(v, t, x, generator=generator).prev_sample
        return x
    return draw


ROWS = {
    "DDPM, ours": ours(ddpm), "DDPM, diffusers": theirs(DDPMScheduler, **WHOLE),
    "DDIM, ours": ours(ddim), "DDIM, diffusers": theirs(DDIMScheduler, **WHOLE),
    "DPM-Solver++, ours": ours(dpm_solver), "DPM-Solver++, diffusers": theirs(DPMSolverMultistepScheduler),
}
STEPS = (5, 10, 20)


def clock(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def seconds_of(network, n, rounds):
    """{row: median seconds for 64 digits}, all rows taking turns."""
    x_T, label = torch.randn(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10
    taken = {name: [] for name in ROWS}
    for _ in range(rounds + 1):
        for name, draw in ROWS.items():
            taken[name].append(clock(draw, network, x_T, n, label, torch.Generator().manual_seed(1)))
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def quality(network, draw, n, judge, test, floor):
    """(distance as a multiple of the floor, label accuracy): means over seeds, and the range of the distance."""
    label, distances, accuracies = torch.arange(DIGITS) % 10, [], []
    for seed in range(SEEDS):
        generator, fresh = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(1000 + seed)
        images = torch.cat([draw(network, torch.randn(len(some), 1, 28, 28, generator=generator), n, some, fresh)
                            for some in label.split(64)]).clamp(-1, 1)
        distances.append(distance_to_test(images, judge, test) / floor)
        accuracies.append(label_accuracy(judge, images, label))
    return statistics.mean(distances), min(distances), max(distances), statistics.mean(accuracies)


@torch.no_grad()
def main():
    facts = results.read("steps")
    if facts["weights"] != read_facts("mnist")["sha256"]:
        raise SystemExit("steps.json was measured with other weights: run benchmarks/steps.py first.")
    [whole] = [row for row in facts["rows"] if (row["sampler"], row["steps"], row["digits"]) == ("DDPM", 1000, DIGITS)]
    network, judge, test = load_network("mnist"), load_judge(), load_digits("test")[0]
    floor, deviation = floor_distance(judge, load_digits("train"), test, n=DIGITS)
    x, t, label = torch.randn(64, 1, 28, 28), torch.full((64,), 500), torch.arange(64) % 10
    v = network(x, t, label)
    forward = statistics.median(clock(network, x, t, label) for _ in range(100))
    idle = seconds_of(lambda x_t, t, label: v, 100, rounds=9)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads; the network's forward pass on 64 digits: "
          f"{1e3 * forward:.1f} ms\nfloor {floor:.2f} ± {deviation:.2f}; DDPM in 1,000 steps: "
          f"{whole['times_floor']:.2f} × floor, label accuracy {whole['label_accuracy']:.3f} (one seed)\n")
    print("| sampler | evaluations | s for 64 | × floor (range of seeds) | ratio to DDPM 1000 | label accuracy "
          "| µs a step beside the network | overhead |\n|---|---|---|---|---|---|---|---|")
    for n in STEPS:
        seconds = seconds_of(network, n, rounds=5)
        for name, draw in ROWS.items():
            distance, low, high, accuracy = quality(network, draw, n, judge, test, floor)
            print(f"| {name} | {n} | {seconds[name]:.2f} | {distance:.2f} ({low:.2f}–{high:.2f}) "
                  f"| {distance / whole['times_floor']:.2f} | {accuracy:.3f} | {1e6 * idle[name] / 100:.0f} "
                  f"| {idle[name] / 100 / forward:.1%} |", flush=True)


if __name__ == "__main__":
    main()
