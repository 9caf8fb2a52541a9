"""What a sampler's step buys: digits of the shipped weights, judged, for each sampler and number of steps.

    python benchmarks/steps.py            (about 50 minutes on two cores)

Writes diffusion_lab/results/steps.json, which lessons/08_sampling reads, after every row; rows that are
there for these weights already are not made again. 1,000 digits, a hundred of each label, no guidance, times even in t,
three seeds. The chain of all 1,000 steps draws 400 digits, and to compare, ten steps of DPM-Solver++ do so once more.
Each distance is given as a multiple of the floor for as many real digits, by both judges; "detail" is the power at 10
to 14 crests across the picture, over that of real digits.
"""

from functools import partial

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.evaluation.second_judge import load_second_judge
from diffusion_lab.evaluation.spectrum import power_ratio
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.weights.pretrained import load_pretrained, read_facts

SAMPLERS = {"DDPM": ddpm, "DDIM": ddim, "DPM-Solver++": dpm_solver}
ROWS = [(name, n, seed, 1000) for n in (5, 10, 20, 50) for seed in range(3) for name in SAMPLERS]
ROWS += [(*chain, seed, 400) for seed in range(3) for chain in (("DPM-Solver++", 10), ("DDPM", 1000))]


def made(denoiser, name, n, seed, size):
    """Digits by a sampler in n steps: float32 (size, 1, 28, 28). The same seed is the same first noise for all."""
    fresh = torch.Generator().manual_seed(1000 + seed)
    sampler = partial(ddpm, generator=fresh) if name == "DDPM" else SAMPLERS[name]
    return draw(denoiser, torch.arange(size) % 10, sampler, spaced(1000, n), seed)


def main(rows=ROWS):
    weights = read_facts("mnist")["sha256"]
    judge, second, denoiser, test = load_judge(), load_second_judge(), load_pretrained("mnist"), load_digits("test")[0]
    floor = {size: floor_distance(judge, load_digits("train"), test, n=size) for size in (400, 1000)}
    floor_2 = {size: floor_distance(second, load_digits("train"), test, n=size) for size in (400, 1000)}
    facts = {"command": "python benchmarks/steps.py", "weights": weights, "floor": floor, "floor_second": floor_2,
             "rows": []}
    before = results.read("steps")
    if before["weights"] == weights:
        facts = before
    done = {(row["sampler"], row["steps"], row["seed"], row["digits"]) for row in facts["rows"]}
    print("| sampler | steps | seed | digits | label accuracy | distance / floor | second judge | detail |")
    print("|---|---|---|---|---|---|---|---|")
    for name, n, seed, size in rows:
        if (name, n, seed, size) in done:
            continue
        images = made(denoiser, name, n, seed, size)
        row = {"sampler": name, "steps": n, "seed": seed, "digits": size,
               "times_floor": distance_to_test(images, judge, test) / floor[size][0],
               "times_floor_second": distance_to_test(images, second, test) / floor_2[size][0],
               "detail": power_ratio(images, test)[10:].mean().item(),
               "label_accuracy": label_accuracy(judge, images, torch.arange(len(images)) % 10)}
        facts["rows"].append(row)
        results.write("steps", facts)
        print("| " + " | ".join(map(str, (name, n, seed, size))),
              f"| {row['label_accuracy']:.3f} | {row['times_floor']:.2f} | {row['times_floor_second']:.2f} "
              f"| {row['detail']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
