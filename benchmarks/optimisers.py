"""Muon and AdamW, the same network, the same seconds of one core: is Muon worth its lines?

    OMP_NUM_THREADS=1 python benchmarks/optimisers.py        (about 15 minutes)

Writes diffusion_lab/results/optimisers.json, which lessons/09_engineering reads, after every row; rows that are there
already are not made again. Each optimiser first tries three rates with seed 0; 500 training digits, which no run
trains on, say which is best. With that rate it runs for two more seeds. Seconds are those of
the processor (`time.process_time`): what other programs take is not counted. The test digits judge.
"""

import time
from functools import partial

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.report import Rulers
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced_in_log_snr
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe

SECONDS, SEEDS, DIGITS = 60, 3, 500
RATES = {"Muon": (0.01, 0.02, 0.04), "AdamW": (2e-3, 4e-3, 8e-3)}
SCHEDULE = cosine()
LOSS = partial(objective, schedule=SCHEDULE)
IMAGES, LABELS = load_digits("train")
CHOOSING = torch.randperm(len(IMAGES), generator=torch.Generator().manual_seed(0)) < 500


def new_run(optimiser, rate, seed, steps):
    """A run of the recipe; for AdamW with one optimiser for all weights."""
    recipe = Recipe(steps=steps, seed=seed)
    if optimiser == "Muon":
        return start(Recipe(steps=steps, seed=seed, lr=rate))
    run = start(recipe)
    run.optimizers = [torch.optim.AdamW(run.network.parameters(), rate, betas=(0.9, 0.99), fused=True)]
    return run


def steps_of(run):
    return train(run, batches_of(IMAGES[~CHOOSING], LABELS[~CHOOSING], run.recipe), LOSS)


def steps_that_fit(seconds, optimiser, rate, trial=30):
    """How many steps fit into so many seconds of the processor."""
    steps = steps_of(new_run(optimiser, rate, 0, 1000))
    for _ in range(5):  # the first steps also set things up
        next(steps)
    begin = time.process_time()
    for _ in range(trial):
        next(steps)
    return round(seconds * trial / (time.process_time() - begin))


@torch.no_grad()
def held_out_loss(network, images, labels):
    """The loss with all labels, always with the same times and noise."""
    return objective(network, (images, labels), torch.Generator().manual_seed(9), SCHEDULE, drop=0.0).item()


def row(optimiser, rate, seed, rulers):
    """Train, draw and measure. Returns the facts of the row."""
    steps = steps_that_fit(SECONDS, optimiser, rate)
    run, begin = new_run(optimiser, rate, seed, steps), time.process_time()
    losses = [progress.loss for progress in steps_of(run)]
    taken = time.process_time() - begin
    asked = torch.arange(DIGITS) % 10
    denoiser = guided(as_denoiser(run.average, SCHEDULE), 0.2)
    told = rulers.measure(draw(denoiser, asked, dpm_solver, spaced_in_log_snr(SCHEDULE, 10), seed, batch=250), asked)
    test = load_digits("test")
    return {"optimiser": optimiser, "rate": rate, "seed": seed, "seconds": SECONDS, "taken": round(taken, 1),
            "steps": steps, "choosing_loss": held_out_loss(run.average, IMAGES[CHOOSING], LABELS[CHOOSING]),
            "test_loss": held_out_loss(run.average, *test), "label_accuracy": told["first"]["label_accuracy"],
            "first": told["first"]["times_floor"], "second": told["second"]["times_floor"],
            "losses": [round(sum(losses[i:i + 10]) / 10, 3) for i in range(0, steps // 10 * 10, 10)]}


def main():
    facts = {"command": "OMP_NUM_THREADS=1 python benchmarks/optimisers.py", "torch": torch.__version__,
             "threads": torch.get_num_threads(), "digits": DIGITS, "rows": []}
    if (results.HERE / "optimisers.json").exists():
        facts = results.read("optimisers")
    rulers = Rulers(load_digits("test"), (IMAGES, LABELS), DIGITS)
    for optimiser, rates in RATES.items():
        for rate in rates:
            add(facts, rulers, optimiser, rate, 0)
    for optimiser in RATES:
        rate = best_rate(facts, optimiser)
        for seed in range(1, SEEDS):
            add(facts, rulers, optimiser, rate, seed)


def best_rate(facts, optimiser):
    """The rate whose run of seed 0 has the least loss on the digits that no run trains on."""
    tried = [one for one in facts["rows"] if one["optimiser"] == optimiser and one["seed"] == 0]
    return min(tried, key=lambda one: one["choosing_loss"])["rate"]


def add(facts, rulers, *key):
    """Make a row and write it, unless it is there."""
    if key in [(one["optimiser"], one["rate"], one["seed"]) for one in facts["rows"]]:
        return
    facts["rows"].append(row(*key, rulers))
    results.write("optimisers", facts)
    print({name: value for name, value in facts["rows"][-1].items() if name != "losses"}, flush=True)


if __name__ == "__main__":
    main()
