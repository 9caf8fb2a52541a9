"""Two processes with one global batch end with the weights of one process, and one goes on where the other stopped."""

import os
import subprocess
import sys
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.networks.unet import UNet
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training import several
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import start, train
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import load_run, read_run, save_run

RECIPE = Recipe(steps=20, batch=7, augment=0.5)  # 7 rows for 2 processes: 4 and 3
STOP = 8
LOSS = partial(objective, schedule=cosine())


def fresh():
    """In float64, so that the order in which numbers are added does not matter: Adam divides by a gradient's size, and
    makes whole steps of the rounding errors of a weight whose true gradient is 0."""
    return start(RECIPE, lambda: UNet(fine=8, coarse=8, dim=8).double())


def steps_of(run, loss):
    images, labels = load_digits("train")
    return train(run, batches_of(images.double(), labels, run.recipe), loss)


def both(folder):
    """What each of two processes does: train from the start, saving on the way; then go on with another's run."""
    number, count = several.begin(torch.device("cpu"))
    assert count == 2
    assert several.any_wants(number == 1, torch.device("cpu"))
    assert not several.any_wants(False, torch.device("cpu"))
    from_start, resumed = fresh(), load_run(folder / "one at 8", fresh())
    for run, name in ((from_start, "two"), (resumed, "one then two")):
        for progress in steps_of(run, several.shared(run, LOSS)):
            if number == 0 and progress.step in (STOP, RECIPE.steps):
                save_run(folder / f"{name} at {progress.step}", run)
    several.end()


def assert_equal_weights(folder, expected):
    tensors, _ = read_run(folder)
    for name, value in read_run(expected)[0].items():
        assert torch.allclose(tensors[name].double(), value.double(), rtol=0, atol=1e-9), name


@pytest.mark.slow
def test_the_same_weights_as_one_process_and_resumed_by_each_other(tmp_path):
    run = fresh()
    list(islice(steps_of(run, LOSS), STOP))
    save_run(tmp_path / "one at 8", run)
    list(steps_of(run, LOSS))
    save_run(tmp_path / "one", run)

    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
                           __file__, tmp_path], env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr
    two_then_one = load_run(tmp_path / "two at 8", fresh())
    list(steps_of(two_then_one, LOSS))
    save_run(tmp_path / "two then one", two_then_one)
    assert_equal_weights(tmp_path / "two at 8", tmp_path / "one at 8")
    for name in ("two at 20", "one then two at 20", "two then one"):
        assert_equal_weights(tmp_path / name, tmp_path / "one")


def test_alone_nothing_changes():
    device = torch.device("cpu")
    assert several.begin(device) == (0, 1)
    assert several.shared(fresh(), LOSS) is LOSS
    assert several.any_wants(True, device) is True
    assert several.any_wants(False, device) is False
    several.end()


if __name__ == "__main__":
    both(Path(sys.argv[1]))
