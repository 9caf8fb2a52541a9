"""Where a sampler's steps should lie, and how much guidance: digits of the shipped weights by both judges and more.

    python benchmarks/sampling.py               (hours on two cores; --quick: 500 digits, one seed, no peers)
    python benchmarks/sampling.py --against test --chosen

Settings are chosen against real digits of which the second judge knows nothing: a hundred training digits of each kind,
`held_back`. The test digits are looked at once, at the end, by the settings that were chosen. Every distance is a
multiple of the floor for as many real digits. Writes diffusion_lab/results/sampling.json after every row, with the
spectrum, accuracy, variety, density and coverage; a row that is there for these weights is not made again.

Then our samplers beside diffusers' schedulers: benchmarks/peers.py.
"""

import argparse
import statistics
from functools import partial
from typing import NamedTuple

import peers
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.report import Rulers
from diffusion_lab.evaluation.second_judge import held_back
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.weights.pretrained import load_pretrained, read_facts


class Setting(NamedTuple):
    """How digits are drawn: which sampler, in how many steps, where these lie, and what guides them."""

    sampler: str
    steps: int
    ends: tuple | None = None  # of `spaced_in_log_snr`; None is evenly spaced in t
    weight: float = 0.0
    until: int | None = None

    def name(self):
        where = "evenly in t" if self.ends is None else f"in log SNR {self.ends[0]:g}…{self.ends[1]:g}"
        until = "" if self.until is None else f" at t ≤ {self.until}"
        return f"{self.sampler} {self.steps}, {where}, w = {self.weight:g}{until}"

    def images(self, denoiser, label, seed):
        fresh = torch.Generator().manual_seed(2**32 + seed)
        sampler = {"DPM-Solver++": dpm_solver, "DDIM": ddim, "DDPM": partial(ddpm, generator=fresh),
                   "DDPM large": partial(ddpm, variance="large", generator=fresh)}[self.sampler]
        schedule = denoiser.schedule
        times = spaced(schedule.T, self.steps) if self.ends is None else spaced_in_log_snr(
            schedule, self.steps, *self.ends)
        return draw(guided(denoiser, self.weight, self.until), label, sampler, times, seed)


ENDS = (-2.7, 3.4)
CHOSEN = [Setting("DPM-Solver++", steps, ENDS, weight, until) for steps in (10, 20)
          for weight, until in ((0.25, None), (0.4, 800))]
SETTINGS = [
    Setting("DPM-Solver++", 10), Setting("DPM-Solver++", 10, ENDS), *CHOSEN, Setting("DDPM", 10, ENDS),
    Setting("DDPM", 10, ENDS, 0.25), *(Setting("DPM-Solver++", 10, ENDS, weight) for weight in (1.0, 3.0, 8.0)),
    Setting("DPM-Solver++", 10, ENDS, 0.5), Setting("DPM-Solver++", 10, ENDS, 0.25, until=850),
    Setting("DPM-Solver++", 10, (-2.7, 2.2), 0.25), Setting("DPM-Solver++", 10, (-2.2, 3.4), 0.25),
    Setting("DPM-Solver++", 5, ENDS, 0.25), Setting("DDIM", 10, ENDS, 0.25), Setting("DDIM", 20, weight=0.5),
    Setting("DPM-Solver++", 10, weight=0.5), Setting("DPM-Solver++", 10, weight=0.5, until=700),
]


def sets(against):
    """The real digits to measure against, and those that the floor is drawn from: two pairs (images, labels)."""
    train = load_digits("train")
    if against == "test":
        return load_digits("test"), train
    back = held_back(train[1])
    return tuple(part[back] for part in train), tuple(part[~back] for part in train)


def blurred(images, share=0.05):
    """Each pixel gives a share to each of its four neighbours."""
    ink = torch.nn.functional.pad(images + 1, [1] * 4)
    around = ink[:, :, :-2, 1:-1] + ink[:, :, 2:, 1:-1] + ink[:, :, 1:-1, :-2] + ink[:, :, 1:-1, 2:]
    return (1 - 4 * share) * (images + 1) + share * around - 1


def line(name, rows):
    """A line of the table: means over the seeds, and the range of the distances."""
    def mean(*path):
        return statistics.mean(value_at(row, path) for row in rows)

    cells = []
    for judge in ("first", "second"):
        distances = [row[judge]["times_floor"] for row in rows]
        cells.append(f"{mean(judge, 'times_floor'):.2f} ({min(distances):.2f}–{max(distances):.2f})")
    spectrum = torch.tensor([row["spectrum"] for row in rows]).mean(dim=0)
    cells.append(f"{spectrum[10:].min():.2f}–{spectrum[10:].max():.2f}")
    cells.append(f"{spectrum[3:10].min():.2f}–{spectrum[3:10].max():.2f}")
    cells += [f"{mean(*path):.3f}" for path in (("first", "label_accuracy"), ("second", "label_accuracy"))]
    cells += [f"{mean(*path):.2f}" for path in (("first", "variety"), ("second", "variety"),
                                                ("first", "variety_of_shapes"), ("second", "density"),
                                                ("second", "coverage"))]
    return f"| {name} | " + " | ".join(cells) + " |"


def value_at(row, path):
    for key in path:
        row = row[key]
    return row


HEAD = """| digits | × floor, first judge | second judge | power / real, k = 10…14 | k = 3…9 | read as asked, first \
| second | variety, first | second | of shapes | density | coverage |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


def made_and_measured(arguments):
    """Draw and measure digits by each setting and seed; those that are there for these weights already, not again."""
    weights = read_facts(arguments.weights)["sha256"]
    facts = {"command": "python benchmarks/sampling.py", "weights": weights, "rows": []}
    if (results.HERE / "sampling.json").exists() and results.read("sampling")["weights"] == weights:
        facts = results.read("sampling")
    denoiser, label = load_pretrained(arguments.weights), torch.arange(arguments.digits) % 10
    real, others = sets(arguments.against)
    rulers = Rulers(real, others, arguments.digits)
    print("floors: " + "; ".join(f"{name} judge {mean:.3f} ± {std:.3f}" for name, (mean, std) in rulers.floor.items()))
    print(HEAD)
    fresh = torch.cat([others[0][others[1] == kind][:arguments.digits // 10] for kind in range(10)])
    kinds = torch.arange(10).repeat_interleave(arguments.digits // 10)
    for name, images in (("real digits", fresh), ("the same, 5 % to each neighbour", blurred(fresh))):
        print(line(name, [rulers.measure(images, kinds)]), flush=True)
    for setting in CHOSEN if arguments.chosen else SETTINGS:
        rows = []
        for seed in range(arguments.seeds):
            key = {"against": arguments.against, "digits": arguments.digits, "seed": seed} | setting._asdict()
            key["ends"] = setting.ends and list(setting.ends)
            found = [row for row in facts["rows"] if {name: row[name] for name in key} == key]
            if not found:
                found = [key | rulers.measure(setting.images(denoiser, label, seed), label)]
                facts["rows"] += found
                if not arguments.quick:
                    results.write("sampling", facts)
            rows += found
        print(line(setting.name(), rows), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", choices=("train", "test"), default="train", help="which real digits")
    parser.add_argument("--weights", default="mnist", help="shipped weights, or a folder of weights")
    parser.add_argument("--digits", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--chosen", action="store_true", help="only the settings that the course uses")
    parser.add_argument("--quick", action="store_true", help="500 digits, one seed; writes nothing, and no peers")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.digits, arguments.seeds = 500, 1
    made_and_measured(arguments)
    if not arguments.quick and not arguments.chosen:
        peers.main()


if __name__ == "__main__":
    main()
