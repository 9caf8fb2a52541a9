"""The commands: python -m diffusion_lab train … | sample … | doctor

Each imports what it needs when it runs: `doctor` must run where packages are missing, and `sample` needs few of them.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path

DATA = ("digits", "mnist", "fashion-mnist")
SAMPLERS = ("ddpm", "ddim", "dpm_solver")
TIMES = ("spread", "mixed")
SAVE_EVERY = 30  # seconds
MOST_DIGITS = 10_000  # Pillow, among others, takes larger pictures for an attack
MOST_GUIDANCE = 100  # from here on, the judge reads fewer and fewer of them as what was asked for
MOST_WIDTH = 512  # 92 million weights
MOST_AT_ONCE = 2**17  # batch times width: 40 kB of memory for each, 5 GB in all


def load_data(name):
    """Training images and labels: the shipped digits, or a download."""
    if name == "digits":
        from diffusion_lab.data.digits import load_digits

        return load_digits("train")
    from diffusion_lab.data import openml

    try:
        return {"mnist": openml.load_mnist, "fashion-mnist": openml.load_fashion_mnist}[name]("train")
    except (ConnectionError, ModuleNotFoundError) as error:
        raise type(error)(f"{error} In this command: --data digits.") from error


def device_of(choice):
    """The device for "auto" (CUDA where there is one), "cpu" or "cuda". torchrun's processes have one each."""
    import torch

    from diffusion_lab.guard import require

    there = torch.cuda.is_available()
    require(there or choice != "cuda", "PyTorch finds no CUDA device here. Leave out --device, or give --device cpu.")
    if choice == "cpu" or not there:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def picture_of(denoiser, labels, steps=10, sampler="dpm_solver", guidance=0.2, seed=0, shown=False):
    """A digit for each label, in a grid, as the bytes of a PNG. shown: with a progress bar, in a terminal."""
    import torch
    from tqdm import tqdm

    from diffusion_lab.guard import require
    from diffusion_lab.sampling.chain import draw, spaced_in_log_snr
    from diffusion_lab.sampling.ddim import ddim
    from diffusion_lab.sampling.ddpm import ddpm
    from diffusion_lab.sampling.dpm_solver import dpm_solver
    from diffusion_lab.sampling.guidance import guided
    from diffusion_lab.view.pictures import mosaic, png

    fresh = torch.Generator().manual_seed(2**32 + seed)  # not the noise that the chain starts from
    chosen = {"ddpm": partial(ddpm, generator=fresh), "ddim": ddim, "dpm_solver": dpm_solver}[sampler]
    times = spaced_in_log_snr(denoiser.schedule, steps)
    batch = 64
    with tqdm(desc="drawing", total=steps * -(-len(labels) // batch), leave=False,
              disable=None if shown else True) as bar:  # None: wherever there is no terminal

        def told(*arguments, **keywords):
            for step in chosen(*arguments, **keywords):
                bar.update()
                yield step

        digits = draw(guided(denoiser, guidance), torch.tensor(labels), told, times, seed, batch)
    require(bool(torch.isfinite(digits).all()),
            "the training has diverged: the network draws NaN. Start anew with a lower --lr.")
    return png(mosaic(digits.numpy(), columns=columns_for(len(labels))))


def columns_for(n):
    """How many of n digits stand in a row: at most ten, more than half as many, such that few places stay empty."""
    most = min(n, 10)
    return min(range(most, most // 2, -1), key=lambda columns: -n % columns)


def run_train(args):
    """Begin or resume the run in a folder, and train to its end. Returns the exit status: 0, or 130 if stopped."""
    from diffusion_lab.guard import require
    from diffusion_lab.training import several
    from diffusion_lab.training.batches import batches_of
    from diffusion_lab.training.loop import start
    from diffusion_lab.training.recipe import Recipe
    from diffusion_lab.training.runs import FILE, alone, load_run, save_run

    file = args.out / FILE
    require(file.exists() or not args.resume,
            f"{args.out} holds no run to go on with. Leave out --resume to begin one.")
    recipe = Recipe(**{field.name: getattr(args, field.name) for field in fields(Recipe)})
    require(recipe.width <= MOST_WIDTH, f"--width must be at most {MOST_WIDTH}, but got {recipe.width}.")
    require(recipe.batch * recipe.width <= MOST_AT_ONCE,
            f"--batch times --width must be at most {MOST_AT_ONCE}, which takes 5 GB of memory, but got "
            f"{recipe.batch} × {recipe.width}.")
    first = int(os.environ.get("RANK", 0)) == 0  # of the processes of torchrun: it alone writes
    run = start(recipe, device=device_of(args.device), data=args.data, times=args.times)
    with ExitStack() as held:
        if first:
            with writing_to(args.out):
                held.enter_context(alone(args.out))
        require(args.resume or not file.exists(),
                f"{args.out} holds a run already. Go on with it by --resume, or choose another folder.")
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
        go_on(args.out, run, batches, first, count)
    several.end()
    if first and run.step < recipe.steps:
        print(f"Stopped after step {run.step}; nothing is lost. The same command with --resume goes on.")
    elif first:
        print(f"Trained. Look at {picture_file(args.out, run)}, or draw more: "
              + command_line("sample", "--checkpoint", as_argument(args.out), "--out", "grid.png"))
    return 130 if run.step < recipe.steps else 0


@contextmanager
def writing_to(folder):
    """Says what to do about a folder that cannot be written to."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{folder} cannot be written to ({error.strerror}). Choose another folder.") from error


def go_on(folder, run, batches, first, count):
    """Train; draw samples ten times; save twice a minute, at the end, and when it is stopped.

    first: whether this process writes. count: how many take part.
    """
    from tqdm import tqdm

    from diffusion_lab.theory.schedule import cosine
    from diffusion_lab.training import several
    from diffusion_lab.training.loop import train
    from diffusion_lab.training.objective import mixed_times, objective, spread_times
    from diffusion_lab.training.runs import Stop, put, save_run
    from diffusion_lab.weights.pretrained import denoiser_of

    steps = run.recipe.steps
    times = {"spread": spread_times, "mixed": mixed_times}[run.facts["times"]]
    loss = several.shared(run, partial(objective, schedule=cosine(), times=times))
    saved = time.monotonic()
    bar = tqdm(train(run, batches, loss), desc="training", total=steps, initial=run.step, mininterval=1,
               disable=not first)
    with Stop(patient=count > 1) as stop, bar:
        for progress in bar:
            bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
            last = progress.step == steps
            drawn = last or progress.step % max(1, steps // 10) == 0
            if first and drawn:  # before it is saved: a crash must not skip it
                put(picture_file(folder, run), picture_of(denoiser_of(run.average, run.facts), [*range(10)] * 4))
            stopped = several.any_wants(stop.wanted, run.device)
            if first and (last or stopped or time.monotonic() - saved > SAVE_EVERY):
                save_run(folder, run)
                saved = time.monotonic()
            if stopped:
                break


def picture_file(folder, run):
    """Where the samples of a run at its step are."""
    return folder / f"samples-{run.step:06d}.png"


def as_argument(folder):
    """A folder as the argument of --checkpoint: never mistaken for shipped weights."""
    from diffusion_lab.weights.pretrained import SHIPPED

    return os.path.join(".", folder) if str(folder) in SHIPPED else str(folder)


def command_line(*words):
    """A command as it can be given here: with the Python that was called, quoted for the shell."""
    words = [sys.orig_argv[0], "-m", "diffusion_lab", *words]
    return shlex.join(words) if os.name == "posix" else subprocess.list2cmdline(words)


def run_sample(args):
    """Draw digits into a PNG file. Returns the exit status, 0."""
    from diffusion_lab.guard import require
    from diffusion_lab.training.runs import put
    from diffusion_lab.weights.pretrained import load_pretrained

    require(0 <= args.seed < 2**32, f"--seed must be a whole number from 0 to {2**32 - 1}, but got {args.seed}.")
    require(not args.out.is_dir() and args.out.parent.is_dir(),  # said now rather than after the work
            f"{args.out} cannot be written: it is a folder, or lies in one that does not exist.")
    require(args.out.suffix.lower() == ".png", f"the picture is a PNG file: {args.out} does not end in .png.")
    require(args.n <= MOST_DIGITS, f"--n must be at most {MOST_DIGITS}, but got {args.n}.")
    require(0 <= args.guidance <= MOST_GUIDANCE,
            f"--guidance must lie within 0…{MOST_GUIDANCE} (more of it only distorts the digits), but got "
            f"{args.guidance}.")
    denoiser = load_pretrained(args.checkpoint, device_of(args.device))
    T = denoiser.schedule.T
    require(args.steps <= T, f"--steps must be at most {T} (the chain has no more times), but got {args.steps}.")
    labels = [args.digits[i % len(args.digits)] for i in range(args.n)]
    begin = time.monotonic()
    put(args.out, picture_of(denoiser, labels, args.steps, args.sampler, args.guidance, args.seed, shown=True))
    print(f"{args.n} digit{'s' if args.n > 1 else ''} in {time.monotonic() - begin:.1f} s: {args.out}")
    return 0


def natural(text):
    """A whole number of at least 1, for argparse."""
    if not re.fullmatch("[0-9]{1,18}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 10¹⁸ - 1, but got {text}")
    return int(text)


def path(text):
    """A path, for argparse; "" would mean the folder where one is."""
    if not text:
        raise argparse.ArgumentTypeError('must be a path, but got ""')
    return Path(text)


def digits(text):
    """The digits of "7", "0-9" or "1,3,7-9", in this order, for argparse."""
    asked = []
    for part in text.split(","):
        ends = re.fullmatch("([0-9])(?:-([0-9]))?", part.strip())
        some = range(int(ends[1]), int(ends[2] or ends[1]) + 1) if ends else []
        if not some:
            raise argparse.ArgumentTypeError(f"must be digits as in 7, 0-9 or 1,3,7-9, but got {text}")
        asked += some
    return asked


def parser():
    """The commands and their arguments."""
    from diffusion_lab import __version__
    from diffusion_lab.training.recipe import Recipe

    whole = argparse.ArgumentParser(prog=command_line(), allow_abbrev=False,
                                    description="Train a U-Net on digits; draw digits with it.")
    whole.add_argument("--version", action="version", version=f"Diffusion Lab {__version__}")
    commands = whole.add_subparsers(dest="command", required=True)
    new = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter, "allow_abbrev": False}
    device = {"choices": ("auto", "cpu", "cuda"), "default": "auto", "help": "where; auto: CUDA where there is one"}
    p = commands.add_parser("train", help="train the U-Net of lesson 06 as lesson 07 does", **new)
    p.set_defaults(run=run_train, resume=False)
    p.add_argument("--data", choices=DATA, default="digits", help="the shipped digits, or a download from openml.org")
    p.add_argument("--out", type=path, required=True, default=argparse.SUPPRESS, help="folder of the run")
    p.add_argument("--steps", type=natural, default=Recipe.steps, help="the default takes about 150 s on two cores")
    p.add_argument("--batch", type=natural, default=Recipe.batch, help="images in each step")
    p.add_argument("--width", type=natural, default=Recipe.width, help="channels at 14×14: a multiple of 8")
    p.add_argument("--lr", type=float, default=Recipe.lr, help="peak learning rate of Muon, for weight matrices")
    p.add_argument("--lr-rest", type=float, default=Recipe.lr_rest, help="peak learning rate of AdamW, for all else")
    p.add_argument("--warm-up", type=natural, default=Recipe.warm_up, help="steps in which the learning rates rise")
    p.add_argument("--augment", type=float, default=Recipe.augment, help="share of images shifted by a pixel")
    p.add_argument("--times", choices=TIMES, default="spread", help="of a batch: spread over t, or mixed, half of "
                                                                    "them over log SNR, as for the shipped weights")
    p.add_argument("--decay", type=float, default=Recipe.decay, help="of the average of the weights")
    p.add_argument("--seed", type=int, default=0, help="of all that is random")
    p.add_argument("--device", **device)
    p.add_argument("--resume", action="store_true", default=argparse.SUPPRESS,
                   help="go on with the run in --out, with the same arguments")
    p = commands.add_parser("sample", help="draw digits with a trained network", **new)
    p.set_defaults(run=run_sample)
    p.add_argument("--checkpoint", default="mnist", help='shipped weights, "mnist", or the folder of a run; '
                                                         'a folder that is called mnist is "./mnist"')
    p.add_argument("--n", type=natural, default=60, help=f"how many digits, at most {MOST_DIGITS}")
    p.add_argument("--digits", type=digits, default="0-9", help="which ones, in turn: 7, or 0-9, or 1,3,7-9")
    p.add_argument("--steps", type=natural, default=20, help="steps of the sampler, spaced in log SNR")
    p.add_argument("--sampler", choices=SAMPLERS, default="dpm_solver", help="all are compared in lesson 08")
    p.add_argument("--guidance", type=float, default=0.2, help=f"guidance weight w, 0 to {MOST_GUIDANCE}; 0 is none")
    p.add_argument("--seed", type=int, default=0, help="of the noise")
    p.add_argument("--device", **device)
    p.add_argument("--out", type=path, default=Path("grid.png"), help="the picture, a PNG file")
    commands.add_parser("doctor", help="examine the environment, and name the remedy for each problem")
    return whole


def main(argv=None):
    """Run a command. Returns its exit status; 2, with one line about it, for what cannot be done."""
    argv = sys.argv[1:] if argv is None else argv
    if argv == ["doctor"]:  # before anything is imported that may be missing
        from diffusion_lab.course.doctor import report

        report()
        return 0
    try:
        args = parser().parse_args(argv)  # here, for it imports torch, which may be missing
        return args.run(args)
    except KeyboardInterrupt:  # before there is anything to save, or for the second time
        return 130
    except ModuleNotFoundError as error:
        remedy = f". The remedy is told by: {command_line('doctor')}" if error.name else ""
        return refused(argv, f"{error}{remedy}")
    except (ValueError, OSError) as error:
        return refused(argv, error)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not re.search("allocate|out of memory", str(error)):
            raise
        smaller = "--batch or --width" if argv[0] == "train" else "--n"
        return refused(argv, f"there is not enough memory for this. Choose a smaller {smaller}.")


def refused(argv, why):
    """Say in one line what cannot be done. Returns the exit status, 2."""
    print(f"{argv[0] if argv else 'diffusion_lab'}: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # until `Stop`: imports make errors of their own of Ctrl-C
    sys.exit(main())
