"""The commands: python -m diffusion_lab train … | sample … | doctor

Each imports what it needs when it runs: `doctor` must run where packages are missing, and `sample` needs few of them.
"""

import argparse
import os
import shlex
import sys
import time
from dataclasses import fields
from functools import partial
from pathlib import Path

DATA = ("digits", "mnist", "fashion-mnist")
SAMPLERS = ("ddpm", "ddim", "dpm_solver")
SAVE_EVERY = 30  # seconds


def load_data(name):
    """Training images and labels: the shipped digits, or a download."""
    if name == "digits":
        from diffusion_lab.data.digits import load_digits

        return load_digits("train")
    from diffusion_lab.data import openml

    return {"mnist": openml.load_mnist, "fashion-mnist": openml.load_fashion_mnist}[name]("train")


def device_of(choice):
    """The device for "auto" (CUDA where there is one), "cpu" or "cuda". torchrun's processes have one each."""
    import torch

    from diffusion_lab.guard import require

    there = torch.cuda.is_available()
    require(there or choice != "cuda", "PyTorch finds no CUDA device here. Leave out --device, or give --device cpu.")
    if choice == "cpu" or not there:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def picture_of(denoiser, n, steps=10, sampler="dpm_solver", guidance=0.5, seed=0):
    """n digits, ten in a row, labels 0, 1, …, 9, 0, …, as the bytes of a PNG."""
    import torch

    from diffusion_lab.sampling.chain import draw, spaced
    from diffusion_lab.sampling.ddim import ddim
    from diffusion_lab.sampling.ddpm import ddpm
    from diffusion_lab.sampling.dpm_solver import dpm_solver
    from diffusion_lab.sampling.guidance import guided
    from diffusion_lab.view.pictures import mosaic, png

    fresh = torch.Generator().manual_seed(2**32 + seed)  # not the noise that the chain starts from
    chosen = {"ddpm": partial(ddpm, generator=fresh), "ddim": ddim, "dpm_solver": dpm_solver}[sampler]
    times = spaced(denoiser.schedule.T, steps)
    digits = draw(guided(denoiser, guidance), torch.arange(n) % 10, chosen, times, seed)
    return png(mosaic(digits.numpy(), columns=10))


def run_train(args):
    """Train; draw samples ten times; save twice a minute. Returns the exit status: 0, or 130 if it was stopped."""
    from tqdm import tqdm

    from diffusion_lab.guard import require
    from diffusion_lab.theory.schedule import cosine
    from diffusion_lab.training import several
    from diffusion_lab.training.batches import batches_of
    from diffusion_lab.training.loop import start, train
    from diffusion_lab.training.objective import objective
    from diffusion_lab.training.recipe import Recipe
    from diffusion_lab.training.runs import FILE, Stop, load_run, put, save_run
    from diffusion_lab.weights.pretrained import denoiser_of

    there = (args.out / FILE).exists()
    require(there or not args.resume, f"{args.out} holds no run to go on with. Leave out --resume to begin one.")
    require(args.resume or not there,
            f"{args.out} holds a run already. Go on with it by --resume, or choose another folder.")
    recipe = Recipe(**{field.name: getattr(args, field.name) for field in fields(Recipe)})
    run = start(recipe, device=device_of(args.device), data=args.data)
    if args.resume:
        load_run(args.out, run)
    batches = batches_of(*load_data(args.data), recipe)
    number, count = several.begin(run.device)  # after this, no process refuses what another one accepts
    loss = several.shared(run, partial(objective, schedule=cosine()))
    if number == 0:
        try:
            save_run(args.out, run)  # now rather than after half a minute's work, if the folder cannot be written to
        except OSError as error:
            raise ValueError(f"{args.out} cannot be written to ({error.strerror}). Choose another folder.") from error
    saved = time.monotonic()
    bar = tqdm(train(run, batches, loss), desc="training", total=recipe.steps, initial=run.step, mininterval=1,
               disable=number > 0)
    with Stop(patient=count > 1) as stop, bar:
        for progress in bar:
            bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
            last = progress.step == recipe.steps
            drawn = last or progress.step % max(1, recipe.steps // 10) == 0
            if number == 0 and drawn:  # before it is saved: a crash must not skip it
                put(args.out / f"samples-{progress.step:06d}.png", picture_of(denoiser_of(run.average, run.facts), 40))
            stopped = several.any_wants(stop.wanted, run.device)
            if number == 0 and (last or stopped or time.monotonic() - saved > SAVE_EVERY):
                save_run(args.out, run)
                saved = time.monotonic()
            if stopped:
                break
    several.end()
    if number == 0 and run.step < recipe.steps:
        print(f"Stopped after step {run.step}; nothing is lost. The same command with --resume goes on.")
    elif number == 0:
        print(f"Trained. Look at {args.out}/samples-{run.step:06d}.png, or draw more: "
              f"python -m diffusion_lab sample --checkpoint {as_argument(args.out)} --out grid.png")
    return 130 if run.step < recipe.steps else 0


def as_argument(folder):
    """A folder as the argument of --checkpoint: quoted for the shell, and never mistaken for shipped weights."""
    from diffusion_lab.weights.pretrained import SHIPPED

    return shlex.quote(os.path.join(".", folder) if str(folder) in SHIPPED else str(folder))


def run_sample(args):
    """Draw digits into a PNG file. Returns the exit status, 0."""
    from diffusion_lab.guard import require
    from diffusion_lab.training.runs import put
    from diffusion_lab.weights.pretrained import load_pretrained

    require(0 <= args.seed < 2**32, f"seed must be a whole number from 0 to {2**32 - 1}, but got {args.seed}.")
    require(not args.out.is_dir() and args.out.parent.is_dir(),  # said now rather than after the work
            f"{args.out} cannot be written: it is a folder, or lies in one that does not exist.")
    denoiser = load_pretrained(args.checkpoint, device_of(args.device))
    begin = time.monotonic()
    put(args.out, picture_of(denoiser, args.n, args.steps, args.sampler, args.guidance, args.seed))
    print(f"{args.n} digits in {time.monotonic() - begin:.1f} s: {args.out}")
    return 0


def natural(text):
    """A whole number of at least 1, for argparse."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, but got {number}")
    return number


def parser():
    """The commands and their arguments."""
    from diffusion_lab.training.recipe import Recipe

    whole = argparse.ArgumentParser(prog="python -m diffusion_lab", description="Train a U-Net on digits; sample it.")
    commands = whole.add_subparsers(dest="command", required=True)
    new = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    device = {"choices": ("auto", "cpu", "cuda"), "default": "auto", "help": "where; auto: CUDA where there is one"}
    p = commands.add_parser("train", help="train the U-Net of lesson 06 as lesson 07 does", **new)
    p.set_defaults(run=run_train)
    p.add_argument("--data", choices=DATA, default="digits", help="the shipped digits, or a download from openml.org")
    p.add_argument("--out", type=Path, required=True, help="folder for the run and its samples")
    p.add_argument("--steps", type=natural, default=Recipe.steps, help="the default takes about 150 s on two cores")
    p.add_argument("--batch", type=natural, default=Recipe.batch, help="images in each step")
    p.add_argument("--width", type=natural, default=Recipe.width, help="channels at 14×14: a multiple of 8")
    p.add_argument("--lr", type=float, default=Recipe.lr, help="peak learning rate of Muon, for weight matrices")
    p.add_argument("--lr-rest", type=float, default=Recipe.lr_rest, help="peak learning rate of AdamW, for all else")
    p.add_argument("--warm-up", type=natural, default=Recipe.warm_up, help="steps in which the learning rates rise")
    p.add_argument("--augment", type=float, default=Recipe.augment, help="share of images turned and shifted a little")
    p.add_argument("--decay", type=float, default=Recipe.decay, help="of the average of the weights")
    p.add_argument("--seed", type=int, default=0, help="of all that is random")
    p.add_argument("--device", **device)
    p.add_argument("--resume", action="store_true", help="go on with the run in --out, with the same arguments")
    p = commands.add_parser("sample", help="draw digits with a trained network", **new)
    p.set_defaults(run=run_sample)
    p.add_argument("--checkpoint", default="mnist", help='shipped weights, "mnist", or the folder of a run; '
                                                         'a folder that is called mnist is "./mnist"')
    p.add_argument("--n", type=natural, default=64, help="how many digits")
    p.add_argument("--steps", type=natural, default=20, help="steps of the sampler")
    p.add_argument("--sampler", choices=SAMPLERS, default="ddim", help="all are compared in lesson 08")
    p.add_argument("--guidance", type=float, default=0.5, help="guidance weight w; 0 is none")
    p.add_argument("--seed", type=int, default=0, help="of the noise")
    p.add_argument("--device", **device)
    p.add_argument("--out", type=Path, default=Path("grid.png"), help="the picture")
    commands.add_parser("doctor", help="examine the environment, and name the remedy for each problem")
    return whole


def main(argv=None):
    """Run a command. Returns its exit status; 2, with one line about it, for what cannot be done."""
    argv = sys.argv[1:] if argv is None else argv
    if argv == ["doctor"]:  # before anything is imported that may be missing
        from diffusion_lab.course.doctor import report

        report()
        return 0
    args = parser().parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:  # before there is anything to save, or for the second time
        return 130
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"{args.command}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
