"""Make the weights NAME of a finished run: float16 weights, facts with measures of 1,000 digits, and the model card.

    python -m diffusion_lab train --out runs/mnist --steps 10000 --batch 64 --width 48 --lr 0.02 --lr-rest 0.002 \
        --warm-up 50 --augment 0.5 --decay 0.999
    python tools/ship_weights.py NAME runs/mnist MINUTES "MACHINE"

Writes diffusion_lab/weights/NAME. Settings are chosen beforehand, on training digits (benchmarks/sampling.py): the test
digits are looked at here. What was measured with the weights of this name before is to be measured again.
"""

import sys
from pathlib import Path

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.report import Rulers, report
from diffusion_lab.sampling.chain import draw, spaced_in_log_snr
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.training.loop import start
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import load_run, read_run
from diffusion_lab.weights.pretrained import HERE, load_pretrained, save_weights

WEIGHT, UNTIL = 0.4, 800  # of guidance, as `python -m diffusion_lab sample` has it
STEPS = (20, 10)  # of DPM-Solver++, spaced in log SNR
SEEDS = 3

CARD = """\
# Model card: the shipped weights

A class-conditional U-Net (`diffusion_lab/networks/unet.py`, {parameters:,} weights, predicting v) that draws
handwritten digits, 28×28. `load_pretrained("{name}")` loads it. It is made for this course, and good for nothing else.

- **Data**: the 4,000 training digits shipped in `diffusion_lab/data/` (from MNIST), and nothing else. Of the images of
  each batch a share of {augment} is moved by up to one whole pixel in each direction.
- **Command**: `python -m diffusion_lab train --data {data} --out runs/{name} --steps {steps} --batch {batch}
  --width {width} --lr {lr} --lr-rest {lr_rest} --warm-up {warm_up} --augment {augment} --decay {decay} --seed {seed}`,
  then `python tools/ship_weights.py {name} runs/{name}`. One label in ten is dropped in training.
- **Time**: {minutes} minutes on {machine}.
- **Files**: the average of the weights in float16, `weights.safetensors`, {size:.1f} MB.
- **Licence**: CC BY-SA 3.0, as the digits that it was trained on.

## Measures

1,000 digits, a hundred of each kind, by DPM-Solver++ with times spaced in log SNR and guidance, w = {weight} at t ≤
{until}. Mean over noise of the seeds 0, 1 and 2, and in brackets the smallest and the largest. A distance is a
Fréchet distance to the 1,000 test digits in a judge's features, as a multiple of that of 1,000 training digits, a
hundred of each kind (the floor). The first judge (`evaluation/judge.py`) was trained on turned and stretched digits,
and does not see softness; the second (`evaluation/second_judge.py`) has seen digits as they are, and does.

| measure | {heads} |
|---|{rules}
{rows}

All these are measured on the test digits, once; the settings were chosen on training digits
(`benchmarks/sampling.py`).
"""
MEASURES = {
    "label accuracy, first judge": (("first", "label_accuracy"), 3),
    "label accuracy, second judge": (("second", "label_accuracy"), 3),
    "distance, first judge": (("first", "times_floor"), 2),
    "distance, second judge": (("second", "times_floor"), 2),
    "least power / real, over 3 to 14 crests across the picture": (("power_least",), 2),
    "most power / real": (("power_most",), 2),
    "variety within a kind / real: features of the first judge": (("first", "variety"), 2),
    "variety: features of the second judge": (("second", "variety"), 2),
    "variety: shapes (pixels, ink normalised)": (("first", "variety_of_shapes"), 2),
    "density, second judge": (("second", "density"), 2),
    "coverage, second judge": (("second", "coverage"), 2),
    "accuracy of a reader trained on them, as a share of one trained on as many real digits": (("share_of_real",), 3),
    "distance to the nearest training digit, as a multiple of that of the test digits": (("memorisation_ratio",), 2),
}


def value_at(found, path):
    """The number at the end of a path of names."""
    for name in path:
        found = found[name]
    return found


def measured_digits(denoiser, steps, seed, rulers):
    """All measures of a thousand digits."""
    schedule, label = denoiser.schedule, torch.arange(1000) % 10
    digits = draw(guided(denoiser, WEIGHT, UNTIL), label, dpm_solver, spaced_in_log_snr(schedule, steps), seed, 250)
    found = report(digits, label, load_digits("train"), load_digits("test"), rulers)
    return found | {"power_least": min(found["spectrum"][3:]), "power_most": max(found["spectrum"][3:])}


def cell(sets, path, places):
    """Mean over the seeds, and the range."""
    values = [value_at(found, path) for found in sets]
    return (f"{sum(values) / len(values):.{places}f} ({min(values):.{places}f}–{max(values):.{places}f})")


def main(name, folder, minutes, machine):
    facts = read_run(folder)[1]
    run = load_run(folder, start(Recipe(**facts["recipe"]), data=facts["data"]))
    target = HERE / name
    save_weights(target, run)  # in float16, in which they are measured
    denoiser, rulers = load_pretrained(target), Rulers(load_digits("test"), load_digits("train"))
    measured = {steps: [measured_digits(denoiser, steps, seed, rulers) for seed in range(SEEDS)] for steps in STEPS}
    save_weights(target, run, minutes=minutes, machine=machine, measures=measured)
    rows = "\n".join(f"| {label} | " + " | ".join(cell(sets, *what) for sets in measured.values()) + " |"
                     for label, what in MEASURES.items())
    card = CARD.format(name=name, data=facts["data"], parameters=sum(p.numel() for p in run.network.parameters()),
                       minutes=minutes, machine=machine, size=(target / "weights.safetensors").stat().st_size / 1e6,
                       heads=" | ".join(f"{steps} steps" for steps in STEPS),
                       rules="---|" * len(STEPS), weight=WEIGHT, until=UNTIL, rows=rows, **facts["recipe"])
    Path(target, "README.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main(*sys.argv[1:5])
