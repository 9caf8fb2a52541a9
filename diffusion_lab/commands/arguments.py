"""The words of the commands: what may be given to train, sample, restore and judge, and how a wrong one is refused.

Nothing that may be missing is imported before `parser` is called: `doctor` must run without it.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DATA = ("digits", "mnist", "fashion-mnist")
REAL = ("digits", "fashion-mnist")
SAMPLERS = ("ddpm", "ddim", "dpm_solver")
TASKS = ("inpaint", "sr4", "denoise", "deblur")
MOST_DIGITS = 10_000  # Pillow, among others, takes larger pictures for an attack
MOST_GUIDANCE = 100  # from here on, the judge reads fewer and fewer of them as what was asked for


class Parser(argparse.ArgumentParser):
    """Refuses in one line, as the commands do: what was given, what is allowed, where to look."""

    def parse_known_args(self, args=None, namespace=None):
        """Refuse what a command does not know in its own name; argparse would leave that to the whole."""
        known, others = super().parse_known_args(args, namespace)
        if others:
            self.error(f"unrecognized arguments: {' '.join(others)}")
        return known, others

    def error(self, message):
        message = re.sub(r"^argument (\S+): (must )?", lambda found: f"{found[1]} {found[2] or 'has an '}", message)
        print(f"{self.prog.split()[-1]}: {message}. All there is: {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def command_line(*words):
    """A command as it can be given here: with the Python that was called, quoted for the shell."""
    words = [sys.orig_argv[0], "-m", "diffusion_lab", *words]
    return shlex.join(words) if os.name == "posix" else subprocess.list2cmdline(words)


def natural(text, most=10**18 - 1):
    """A whole number from 1 to the most, for argparse."""
    if not re.fullmatch("[0-9]{1,18}", text) or not 1 <= int(text) <= most:
        shown = "10¹⁸ - 1" if most == 10**18 - 1 else most
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {shown}, but got {text}")
    return int(text)


def digit_count(text):
    """How many digits one picture or file can hold, for argparse."""
    return natural(text, MOST_DIGITS)


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

    whole = Parser(prog=command_line(), allow_abbrev=False, usage="%(prog)s COMMAND [--help] …",
                   description="Train a U-Net on digits; draw digits with it; restore digits with it; judge digits.")
    whole.add_argument("--version", action="version", version=f"Diffusion Lab {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (add_train, add_sample, add_restore, add_judge):
        add(commands)
    commands.add_parser("doctor", help="examine the environment, and name the remedy for each problem")
    return whole


def new(commands, name, what, usage):
    """A command that prints its defaults, and its usage in one line."""
    prog = command_line(name)
    return commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", prog=prog,
                               usage=f"{prog} {usage}", allow_abbrev=False,
                               formatter_class=argparse.ArgumentDefaultsHelpFormatter)


def add_device(p):
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto",
                   help="where; auto: CUDA where there is one")


def add_train(commands):
    from diffusion_lab.training.recipe import Recipe

    p = new(commands, "train", "train the U-Net of lesson 06 as lesson 07 does", "--out FOLDER [options]")
    p.set_defaults(resume=False)
    p.add_argument("--data", choices=DATA, default="digits", help="the shipped digits, or a download from openml.org")
    p.add_argument("--out", type=path, required=True, default=argparse.SUPPRESS, metavar="FOLDER",
                   help="folder of the run")
    p.add_argument("--steps", type=natural, default=Recipe.steps, help="the default takes about 150 s on two cores")
    p.add_argument("--batch", type=natural, default=Recipe.batch, help="images in each step")
    p.add_argument("--width", type=natural, default=Recipe.width, help="channels at 14×14: a multiple of 8")
    p.add_argument("--lr", type=float, default=Recipe.lr, help="peak learning rate of Muon, for weight matrices")
    p.add_argument("--lr-rest", type=float, default=Recipe.lr_rest, help="peak learning rate of AdamW, for all else")
    p.add_argument("--warm-up", type=natural, default=Recipe.warm_up, help="steps in which the learning rates rise")
    p.add_argument("--augment", type=float, default=Recipe.augment, help="share of images shifted by a pixel")
    p.add_argument("--decay", type=float, default=Recipe.decay, help="of the average of the weights")
    p.add_argument("--seed", type=int, default=0, help="of all that is random")
    add_device(p)
    p.add_argument("--resume", action="store_true", default=argparse.SUPPRESS,
                   help="go on with the run in --out, with the same arguments")


def add_checkpoint(p):
    p.add_argument("--checkpoint", default="mnist", help='shipped weights, "mnist", or the folder of a run; '
                                                         'a folder that is called mnist is "./mnist"')


def add_sample(commands):
    p = new(commands, "sample", "draw digits with a trained network", "[options]")
    add_checkpoint(p)
    p.add_argument("--n", type=digit_count, default=60, help=f"how many digits, at most {MOST_DIGITS}")
    p.add_argument("--digits", type=digits, default="0-9", help="which ones, in turn: 7, or 0-9, or 1,3,7-9")
    p.add_argument("--steps", type=natural, default=10, help="steps of the sampler, spaced in log SNR")
    p.add_argument("--sampler", choices=SAMPLERS, default="dpm_solver", help="all are compared in lesson 08")
    p.add_argument("--guidance", type=float, default=0.4,
                   help=f"guidance weight w, from t = 800 on, 0 to {MOST_GUIDANCE}; 0 is none")
    p.add_argument("--seed", type=int, default=0, help="of the noise")
    add_device(p)
    p.add_argument("--out", type=path, default=Path("grid.png"),
                   help="a picture, PNG; or numbers for `judge`, NPZ: images and labels")


def add_restore(commands):
    p = new(commands, "restore", "repair a picture of a digit: eight answers, and their mean",
            "--task TASK --in PICTURE [options]")
    p.set_defaults(mask=None, noise=None, digit=None)
    p.add_argument("--task", choices=TASKS, required=True, default=argparse.SUPPRESS,
                   help="what is wrong with the picture. inpaint: pixels are missing; sr4: it has 7×7 pixels alone; "
                        "denoise: it is noisy; deblur: it is blurred, by a Gaussian of 1.5 pixels")
    p.add_argument("--in", dest="picture", type=path, required=True, default=argparse.SUPPRESS, metavar="PICTURE",
                   help="PNG or JPEG, grey or in colours: one digit, in the middle, about 20 of 28 pixels high")
    p.add_argument("--out", type=path, default=Path("grid.png"), help="a picture, PNG: what was given, mean, answers")
    p.add_argument("--mask", type=path, default=argparse.SUPPRESS, metavar="PICTURE",
                   help="for inpaint: as large as the picture, and white where it is missing (default: what is "
                        "transparent, or else a box in the middle)")
    p.add_argument("--noise", type=float, default=argparse.SUPPRESS, metavar="STD",
                   help="standard deviation of the noise in the picture, where black is -1 and white is 1 "
                        "(default: 0.05, or for denoise what it seems to be)")
    p.add_argument("--digit", type=int, choices=range(10), default=argparse.SUPPRESS,
                   help="which digit it is, if you know")
    p.add_argument("--steps", type=natural, default=50, help="steps of the sampler, spaced in log SNR")
    add_checkpoint(p)
    p.add_argument("--seed", type=int, default=0, help="of the noise")
    add_device(p)


def add_judge(commands):
    p = new(commands, "judge", "measure a file of samples, beside real digits and the shipped weights",
            "FILE.npz [options]")
    p.add_argument("file", type=path, metavar="FILE.npz",
                   help="as numpy.savez writes it: images, (n, 28, 28) or (n, 1, 28, 28), uint8 from 0 to 255 or "
                        "floats from -1 or 0 to 1; and labels, (n,), if there are any")
    p.add_argument("--data", choices=REAL, default="digits",
                   help="what the samples should look like; Fashion-MNIST is a download, and its judges are fewer")
