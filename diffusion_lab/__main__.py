"""The commands: python -m diffusion_lab train … and python -m diffusion_lab sample …"""

import argparse
import sys
import time
from dataclasses import fields
from pathlib import Path

import torch
from tqdm import tqdm

from diffusion_lab.data.digits import load_digits
from diffusion_lab.data.openml import load_fashion_mnist, load_mnist
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.sampling.timesteps import spaced
from diffusion_lab.theory.parameterization import as_denoiser
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training import checkpoint
from diffusion_lab.training.loop import Recipe, start, train
from diffusion_lab.training.pretrained import load_pretrained
from diffusion_lab.training.resume import load_run, save_run
from diffusion_lab.training.stop import Stop
from diffusion_lab.view.pictures import mosaic, png

DATA = {"digits": load_digits, "mnist": load_mnist, "fashion-mnist": load_fashion_mnist}
SAMPLERS = {"ddpm": ddpm, "ddim": ddim, "dpm_solver": dpm_solver}
SAVE_EVERY = 30  # seconds


def picture_of(denoiser, n, steps=10, sampler="dpm_solver", guidance=0.5, seed=0):
    """n digits, ten in a row, labels 0, 1, …, 9, 0, …, as the bytes of a PNG."""
    generator, label = torch.Generator().manual_seed(seed), torch.arange(n) % 10
    x_T = torch.randn(n, 1, 28, 28, generator=generator)
    extra = {} if sampler == "dpm_solver" else {"generator": generator}
    times = spaced(denoiser.schedule.T, steps)
    with torch.no_grad():
        for step in SAMPLERS[sampler](guided(denoiser, guidance), x_T, times, label=label, **extra):  # noqa: B007
            pass
    return png(mosaic(step.x_s.numpy(), columns=10))


def run_train(args):
    """Train; draw samples ten times; save twice a minute. Returns the exit status: 0, or 130 after Ctrl-C."""
    recipe = Recipe(**{field.name: getattr(args, field.name) for field in fields(Recipe)})
    if checkpoint.exists(args.out) != args.resume:
        raise ValueError(f"{args.out} holds no run to go on with. Leave out --resume to begin one." if args.resume else
                         f"{args.out} holds a run already. Go on with it by --resume, or choose another folder.")
    run = load_run(args.out, recipe) if args.resume else start(recipe)
    images, labels = DATA[args.data]("train")
    try:
        save_run(args.out, run)  # now rather than after half a minute's work, if the folder cannot be written to
    except OSError as error:
        raise ValueError(f"{args.out} cannot be written to ({error.strerror}). Choose another folder.") from error
    denoiser, saved = as_denoiser(run.average, cosine()), time.monotonic()
    steps = train(run, images, labels)
    with Stop() as stop, tqdm(steps, desc="training", total=recipe.steps, initial=run.step, mininterval=1) as bar:
        for progress in bar:
            bar.set_postfix(loss=f"{progress.loss:.3f}", refresh=False)
            last = progress.step == recipe.steps
            if last or progress.step % max(1, recipe.steps // 10) == 0:  # before it is saved: a crash must not skip it
                (args.out / f"samples-{progress.step:06d}.png").write_bytes(picture_of(denoiser, 40))
            if last or stop.wanted or time.monotonic() - saved > SAVE_EVERY:
                save_run(args.out, run)
                saved = time.monotonic()
            if stop.wanted:
                break
    if run.step < recipe.steps:
        print(f"Stopped after step {run.step}; nothing is lost. The same command with --resume goes on.")
        return 130
    print(f"Trained. Look at {args.out}/samples-{run.step:06d}.png, or draw more: "
          f"python -m diffusion_lab sample --checkpoint {args.out} --out grid.png")
    return 0


def run_sample(args):
    """Draw digits into a PNG file. Returns the exit status, 0."""
    denoiser, begin = load_pretrained(args.checkpoint), time.monotonic()
    if args.out.is_dir() or not args.out.parent.is_dir():  # said now rather than after the work
        raise ValueError(f"{args.out} cannot be written: it is a folder, or lies in one that does not exist.")
    args.out.write_bytes(picture_of(denoiser, args.n, args.steps, args.sampler, args.guidance, args.seed))
    print(f"{args.n} digits in {time.monotonic() - begin:.1f} s: {args.out}")
    return 0


def natural(text):
    """A whole number of at least 1, for argparse."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, but got {number}")
    return number


def parser():
    """The two commands and their arguments."""
    whole = argparse.ArgumentParser(prog="python -m diffusion_lab", description="Train a U-Net on digits; sample it.")
    commands = whole.add_subparsers(dest="command", required=True)
    new = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    p = commands.add_parser("train", help="train the U-Net of notebook 06 as notebook 07 does", **new)
    p.set_defaults(run=run_train)
    p.add_argument("--data", choices=DATA, default="digits", help="the shipped digits, or a download from openml.org")
    p.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the samples")
    p.add_argument("--steps", type=natural, default=Recipe.steps, help="the default takes about 150 s on two cores")
    p.add_argument("--batch", type=natural, default=Recipe.batch, help="images in each step")
    p.add_argument("--width", type=natural, default=Recipe.width, help="channels at 14×14: a multiple of 8")
    p.add_argument("--lr", type=float, default=Recipe.lr, help="peak learning rate of Muon, for weight matrices")
    p.add_argument("--lr-rest", type=float, default=Recipe.lr_rest, help="peak learning rate of AdamW, for all else")
    p.add_argument("--warm-up", type=natural, default=Recipe.warm_up, help="steps in which the learning rates rise")
    p.add_argument("--augment", type=float, default=Recipe.augment, help="share of images turned and shifted a little")
    p.add_argument("--decay", type=float, default=Recipe.decay, help="of the average of the weights")
    p.add_argument("--seed", type=int, default=0, help="of all that is random")
    p.add_argument("--resume", action="store_true", help="go on with the run in --out, with the same arguments")
    p = commands.add_parser("sample", help="draw digits with a trained network", **new)
    p.set_defaults(run=run_sample)
    p.add_argument("--checkpoint", default="mnist", help='"mnist", the shipped weights, or the folder of a run')
    p.add_argument("--n", type=natural, default=64, help="how many digits")
    p.add_argument("--steps", type=natural, default=20, help="steps of the sampler")
    p.add_argument("--sampler", choices=SAMPLERS, default="ddim", help="all are compared in notebook 08")
    p.add_argument("--guidance", type=float, default=0.5, help="guidance weight w; 0 is none")
    p.add_argument("--seed", type=int, default=0, help="of the noise")
    p.add_argument("--out", type=Path, default=Path("grid.png"), help="the picture")
    return whole


def main(argv=None):
    """Run a command. Returns its exit status; 2, with one line about it, for what cannot be done."""
    args = parser().parse_args(argv)
    try:
        if not 0 <= args.seed < 2**32:
            raise ValueError(f"seed must be a whole number from 0 to {2**32 - 1}, but got {args.seed}.")
        return args.run(args)
    except KeyboardInterrupt:  # before there is anything to save, or for the second time
        return 130
    except (ValueError, OSError) as error:
        print(f"{args.command}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
