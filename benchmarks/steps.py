"""What a sampler's step buys: digits of the shipped weights, judged, for each sampler and number of steps.

    python benchmarks/steps.py            (about 20 minutes on two cores)

Writes diffusion_lab/evaluation/steps.json, which notebooks/08_sampling.ipynb reads, after every row; rows that are
there for these weights already are not made again. 1,000 digits, a hundred of each label, no guidance, three seeds;
one seed for 50 steps. The chain of all 1,000 steps draws 400 digits, and to compare, ten steps of DPM-Solver++ do so
once more. Each distance is given as a multiple of the floor for as many real digits.
"""

import json
from pathlib import Path

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import distance_to_test, floor_distance, label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.timesteps import spaced
from diffusion_lab.training.pretrained import SHIPPED, load_pretrained

FILE = Path(__file__).parents[1] / "diffusion_lab" / "evaluation" / "steps.json"
SAMPLERS = {"DDPM": ddpm, "DDIM": ddim, "DPM-Solver++": dpm_solver}
ROWS = [(name, n, seed, 1000) for n in (5, 10, 20) for seed in range(3) for name in SAMPLERS]
ROWS += [("DPM-Solver++", 10, 0, 400), ("DDPM", 1000, 0, 400)] + [(name, 50, 0, 1000) for name in SAMPLERS]


def made(denoiser, name, n, seed, size):
    """Digits by a sampler in n steps: float32 (size, 1, 28, 28). The same seed is the same first noise for all."""
    generator, images = torch.Generator().manual_seed(seed), []
    fresh = torch.Generator().manual_seed(1000 + seed)
    for label in (torch.arange(size) % 10).split(64):
        x_T = torch.randn(len(label), 1, 28, 28, generator=generator)
        extra = {"generator": fresh} if name == "DDPM" else {}
        with torch.no_grad():
            for step in SAMPLERS[name](denoiser, x_T, spaced(1000, n), label=label, **extra):  # noqa: B007
                pass
        images.append(step.x_s.clamp(-1, 1))
    return torch.cat(images)


def main():
    weights = json.loads((SHIPPED["mnist"] / "checkpoint.json").read_text(encoding="utf-8"))["sha256"]
    judge, denoiser, test = load_judge(), load_pretrained("mnist"), load_digits("test")[0]
    floor = {size: floor_distance(judge, load_digits("train"), test, n=size) for size in (400, 1000)}
    facts = {"command": "python benchmarks/steps.py", "weights": weights, "floor": floor, "rows": []}
    if FILE.exists() and (before := json.loads(FILE.read_text(encoding="utf-8")))["weights"] == weights:
        facts = before
    done = {(row["sampler"], row["steps"], row["seed"], row["digits"]) for row in facts["rows"]}
    print("| sampler | steps | seed | digits | label accuracy | distance / floor |\n|---|---|---|---|---|---|")
    for name, n, seed, size in ROWS:
        if (name, n, seed, size) in done:
            continue
        images = made(denoiser, name, n, seed, size)
        distance = distance_to_test(images, judge, test)
        row = {"sampler": name, "steps": n, "seed": seed, "digits": size, "times_floor": distance / floor[size][0],
               "label_accuracy": label_accuracy(judge, images, torch.arange(len(images)) % 10)}
        facts["rows"].append(row)
        FILE.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        print("| " + " | ".join(map(str, (name, n, seed, size))),
              f"| {row['label_accuracy']:.3f} | {row['times_floor']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
