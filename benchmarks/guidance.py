"""Guidance on digits: how much, at which times, and by what. Digits of the shipped weights, by both judges and more.

    python benchmarks/guidance.py                   (hours on two cores; --quick: 200 digits, writes nothing)
    python benchmarks/guidance.py --against test    (the settings that were chosen, three seeds)

1,000 digits, a hundred of each kind, by DPM-Solver++ in ten steps spaced in log SNR. Settings are chosen against real
digits of which the second judge knows nothing, the held-back training digits, by one seed; those that the lesson
speaks of have three. The test digits are looked at once, at the end. Writes diffusion_lab/results/guidance.json after
every row; a row that is there for these weights is not made again. The rulers are those of benchmarks/sampling.py.

Autoguidance asks, in the place of the network without a label, the same network early in its training: the weights
"early" (weights/early/README.md), with the label, or without it ("early, no label").
"""

import argparse
from typing import NamedTuple

import torch
from sampling import HEAD, line, sets

from diffusion_lab.evaluation.report import Rulers
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced_in_log_snr
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import autoguided, guided
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.weights.pretrained import load_pretrained, read_facts

STEPS = 10
UNLABELLED = "early, no label"


class Setting(NamedTuple):
    """What guides: the network without a label (weaker is None) or the weaker network; how much; at which times."""

    weight: float = 0.0
    until: int | None = None
    weaker: str | None = None

    def name(self):
        by = self.weaker or "no label"
        return f"w = {self.weight:g} by {by}" + ("" if self.until is None else f", t ≤ {self.until}")

    def images(self, denoisers, label, seed):
        """The digits, and how often a network was asked for each."""
        asked = {name: counted(denoiser) for name, denoiser in denoisers.items()}
        denoiser = asked["mnist"]
        if self.weaker is None:
            overdone = guided(denoiser, self.weight, self.until)
        else:
            weaker = unlabelled(asked["early"]) if self.weaker == UNLABELLED else asked["early"]
            overdone = autoguided(denoiser, weaker, self.weight, self.until)
        times = spaced_in_log_snr(denoiser.schedule, STEPS)
        digits = draw(overdone, label, dpm_solver, times, seed)
        return digits, sum(one.answer.images for one in asked.values()) / len(label)


class Counted:
    """A denoiser's answers, and for how many images it was asked."""

    def __init__(self, denoiser):
        self.denoiser = denoiser
        self.images = 0

    def __call__(self, x_t, t, label):
        self.images += len(x_t)
        return self.denoiser(x_t, t, label)


def counted(denoiser):
    return Denoiser(Counted(denoiser), denoiser.schedule)


def unlabelled(denoiser):
    """The denoiser, which is never told the label."""
    return Denoiser(lambda x_t, t, label: denoiser(x_t, t), denoiser.schedule)


SWEEP = [Setting(), *(Setting(weight, until) for until in (None, 900, 800, 700, 550)
                      for weight in (0.25, 0.4, 0.6, 1.0, 2.0)),
         *(Setting(weight, until, "early") for until in (None, 800) for weight in (0.25, 0.5, 1.0, 2.0)),
         *(Setting(weight, until, UNLABELLED) for until in (None, 800) for weight in (0.15, 0.25, 0.4, 0.6))]
CHOSEN = [Setting(), Setting(0.25), Setting(0.6), Setting(0.4, 800), Setting(0.6, 800), Setting(0.5, weaker="early"),
          Setting(0.4, 800, UNLABELLED)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", choices=("train", "test"), default="train", help="which real digits")
    parser.add_argument("--digits", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="200 digits; writes nothing")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.digits = 200
    weights = read_facts("mnist")["sha256"]
    early = read_facts("early")["sha256"]
    facts = {"command": "python benchmarks/guidance.py", "weights": weights, "early": early, "rows": []}
    if (results.HERE / "guidance.json").exists():
        before = results.read("guidance")
        if (before["weights"], before["early"]) == (weights, early):
            facts = before
    denoisers = {name: load_pretrained(name) for name in ("mnist", "early")}
    label = torch.arange(arguments.digits) % 10
    rulers = Rulers(*sets(arguments.against), arguments.digits)
    print(HEAD)
    tried = [(setting, seed) for setting in SWEEP for seed in range(1)] if arguments.against == "train" else []
    tried += [(setting, seed) for setting in CHOSEN for seed in range(3)]
    for setting, seed in tried:
        key = {"against": arguments.against, "digits": arguments.digits, "seed": seed, "sampler": "DPM-Solver++",
               "steps": STEPS} | setting._asdict()
        found = [row for row in facts["rows"] if {name: row[name] for name in key} == key]
        if not found:
            images, evaluations = setting.images(denoisers, label, seed)
            found = [key | {"evaluations": evaluations} | rulers.measure(images, label)]
            facts["rows"] += found
            if not arguments.quick:
                results.write("guidance", facts)
        print(line(f"{setting.name()}, seed {seed}", found), flush=True)


if __name__ == "__main__":
    main()
