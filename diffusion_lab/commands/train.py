"""python -m diffusion_lab train: begin a training run in a folder, or go on with it."""

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial

from tqdm import tqdm

from diffusion_lab.commands.arguments import command_line
from diffusion_lab.commands.sample import device_of, drawn, picture_of
from diffusion_lab.data import openml
from diffusion_lab.data.digits import load_digits
from diffusion_lab.guard import require
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training import loop, several
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import FILE, Stop, alone, load_run, put, save_run
from diffusion_lab.weights.pretrained import SHIPPED, denoiser_of

SAVE_EVERY = 30  # seconds
DRAW_EVERY = 100  # steps, at least
MOST_WIDTH = 512  # 92 million weights
MOST_AT_ONCE = 2**17  # batch times width: 40 kB of memory for each, 5 GB in all


def load_data(name):
    """Training images and labels: the shipped digits, or a download."""
    if name == "digits":
        return load_digits("train")
    try:
        return {"mnist": openml.load_mnist, "fashion-mnist": openml.load_fashion_mnist}[name]("train")
    except (ConnectionError, ModuleNotFoundError) as error:
        raise type(error)(f"{error} In this command: --data digits.") from error


def run(args):
    """Begin or resume the run in a folder, and train to its end.

    Returns the exit status: 0, or, as a shell has it for a signal, 130 after Ctrl-C and 143 after SIGTERM.
    """
    file = args.out / FILE
    require(file.exists() or not args.resume,
            f"{args.out} holds no run to go on with. Leave out --resume to begin one.")
    recipe = Recipe(**{field.name: getattr(args, field.name) for field in fields(Recipe)})
    require(recipe.width <= MOST_WIDTH, f"--width must be at most {MOST_WIDTH}, but got {recipe.width}.")
    require(recipe.batch * recipe.width <= MOST_AT_ONCE,
            f"--batch times --width must be at most {MOST_AT_ONCE}, which takes 5 GB of memory, but got "
            f"{recipe.batch} × {recipe.width}.")
    first = int(os.environ.get("RANK", 0)) == 0  # of the processes of torchrun: it alone writes
    run = loop.start(recipe, device=device_of(args.device), data=args.data)
    again = command_line(*args.words, *([] if args.resume else ["--resume"]))
    with ExitStack() as held:
        if first:
            with writing_to(args.out):
                held.enter_context(alone(args.out))
        require(args.resume or not file.exists(),
                f"{args.out} holds a run already. Choose another folder, or go on with it: {again}")
        if args.resume:
            load_run(args.out, run)
        batches = batches_of(*load_data(args.data), recipe)
        if run.step == recipe.steps:
            print(f"The run is complete already. Look at {picture_file(args.out, run)}.")
            return 0
        _, count = several.begin(run.device)  # from here on, no process refuses what another one accepts
        if first:
            with writing_to(args.out):
                save_run(args.out, run)  # now rather than after half a minute's work, if it cannot be written
        number = go_on(args.out, run, batches, first, count)
    several.end()
    if first and run.step < recipe.steps:
        print(f"Stopped after step {run.step}; nothing is lost. Go on with: {again}")
    elif first:
        print(f"Trained. Look at {picture_file(args.out, run)}, or draw more: "
              + command_line("sample", "--checkpoint", as_argument(args.out), "--out", "grid.png"))
    return 128 + number if run.step < recipe.steps else 0


@contextmanager
def writing_to(folder):
    """Says what to do about a folder that cannot be written to."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{folder} cannot be written to ({error.strerror}). Choose another folder.") from error


def go_on(folder, run, batches, first, count):
    """Train; draw samples ten times or less often; save twice a minute, at the end, and when it is stopped.

    first: whether this process writes. count: how many take part. Returns the number of the signal that stops it.
    """
    steps = run.recipe.steps
    loss = several.shared(run, partial(objective, schedule=cosine()))
    saved = time.monotonic()
    bar = tqdm(loop.train(run, batches, loss), desc="training", total=steps, initial=run.step, mininterval=1,
               disable=not first)
    with Stop(patient=count > 1) as stop, bar:
        for progress in bar:
            bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
            last = progress.step == steps
            if first and (last or progress.step % max(DRAW_EVERY, steps // 10) == 0):
                digits = drawn(denoiser_of(run.average, run.facts), [*range(10)] * 4)
                put(picture_file(folder, run), picture_of(digits))  # before it is saved: a crash must not skip it
            stopped = several.any_wants(stop.wanted, run.device)
            if first and (last or stopped or time.monotonic() - saved > SAVE_EVERY):
                save_run(folder, run)
                saved = time.monotonic()
            if stopped:
                break
    return stop.number


def picture_file(folder, run):
    """Where the samples of a run at its step are."""
    return folder / f"samples-{run.step:06d}.png"


def as_argument(folder):
    """A folder as the argument of --checkpoint: never mistaken for shipped weights."""
    return os.path.join(".", folder) if str(folder) in SHIPPED else str(folder)
