"""python -m diffusion_lab restore: a picture of your own, repaired: eight answers, and their mean."""

import math
import sys
import time
import warnings
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from diffusion_lab.commands.sample import device_of
from diffusion_lab.guard import require
from diffusion_lab.sampling.chain import last, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.denoiser import clipped
from diffusion_lab.sampling.measurement import average_pooling, gaussian_blur, kept_pixels
from diffusion_lab.sampling.restoration import given
from diffusion_lab.training.runs import put
from diffusion_lab.view.pictures import mosaic, png
from diffusion_lab.weights.pretrained import load_pretrained

ANSWERS = 8
SIDE = 28
POOLED = 7  # the side of what sr4 begins with
MOST_PIXELS = 50_000_000
LEAST_NOISE, MOST_NOISE = 0.02, 10.0
LITTLE_NOISE = 0.05  # of a picture that looks clean: its grey levels, a scanner, a resize
BLUR = 1.5  # its standard deviation, in pixels
HOLE = slice(8, 20)
GREY_GROUND = -0.9  # the darkest ground that is not left as it is


class Broken(NamedTuple):
    """What a file holds: pixels, float32 (side, side) in [-1, 1]; known, bool, the same shape; what was done to it."""

    pixels: torch.Tensor
    known: torch.Tensor
    told: list


def read_grey(file):
    """The picture in a file: grey, float32 (H, W) from -1 to 1, and where it is opaque, bool (H, W)."""
    require(file.exists(), f"there is no file {file}.")
    require(file.is_file(), f"{file} is no file. Give a picture, PNG or JPEG.")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:  # Pillow's, of what it repairs
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            image = ImageOps.exif_transpose(image)  # a phone tells which side is up
            if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
                image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
            grey, alpha = (np.asarray(band) for band in image.convert("LA").split())
    except Image.DecompressionBombError as error:
        raise ValueError(f"{file} has more than {MOST_PIXELS // 10**6} million pixels, the most that are read. "
                         "Make it smaller, or cut out the digit.") from error
    except (OSError, SyntaxError, ValueError) as error:  # a text, half a file, a damaged one
        raise ValueError(f"{file} cannot be read as a picture. Give a PNG or a JPEG that a viewer shows.") from error
    return grey.astype(np.float32) / 127.5 - 1, alpha >= 128


def kept_by(mask, size):
    """Where a mask is not white: bool, of this size (H, W). Raises ValueError for another size, or with no white."""
    white, opaque = read_grey(mask)
    require(white.shape == size, f"the mask must be as large as the picture, {size[1]}×{size[0]}, but {mask} is "
                                 f"{white.shape[1]}×{white.shape[0]}.")
    missing = (white > 0) & opaque
    require(missing.any(), f"{mask} has no white pixel: white says what is missing.")
    return ~missing


def read_broken(file, task, mask=None):
    """The picture in a file, white on black and of the size of the task. Raises ValueError for what is none."""
    told = []
    grey, opaque = read_grey(file)
    require(opaque.any(), f"{file} is transparent all over: there is nothing to see.")
    known = np.ones_like(opaque) if mask is None else kept_by(mask, grey.shape)
    if task == "inpaint" and mask is None:
        known = opaque
    elif not opaque.all():
        ground = -1.0 if grey[opaque].mean() > 0 else 1.0
        grey = np.where(opaque, grey, ground)
        told.append(f"its transparent pixels are taken for {'black' if ground < 0 else 'white'}")
    require(known.any(), f"no pixel of {file} is left: {mask} is white all over.")
    if np.median(grey[known]) > 0:
        grey = -grey
        told.append("it is dark on light, and so inverted: the network has learned white on black")
    ground = float(np.quantile(grey[known], 0.25))
    if ground > GREY_GROUND:
        grey = (1 - (1 - grey) * 2 / (1 - ground)).clip(-1, 1)
        told.append("its ground is grey, and made black")
    side = POOLED if task == "sr4" else SIDE
    if grey.shape != (side, side):
        told.append(f"it is {grey.shape[1]}×{grey.shape[0]}, and resized to {side}×{side}")
        grey, known = resized(grey, side, -1.0), resized(~known, side, 0.0) < 1e-6
        require(known.any(), f"no pixel of {file} is left: at {side}×{side}, each holds something that is missing.")
    if task == "inpaint" and known.all():
        known[HOLE, HOLE] = False
        told.append("no pixel of it is transparent, and so a box in its middle is taken away; --mask can say where")
    require(task == "inpaint" or np.ptp(grey) > 0, f"{file} holds one grey alone: there is nothing to restore.")
    return Broken(torch.from_numpy(grey), torch.from_numpy(known), told)


def resized(array, side, empty):
    """An array (H, W), made a square by adding what is empty on two sides, and brought to (side, side)."""
    height, width = array.shape
    whole = max(height, width)
    square = np.full((whole, whole), empty, dtype=np.float32)
    top, left = (whole - height) // 2, (whole - width) // 2
    square[top : top + height, left : left + width] = array
    smooth = Image.Resampling.BOX if whole > side else Image.Resampling.BICUBIC  # the mean of what falls on a pixel
    return np.asarray(Image.fromarray(square).resize((side, side), smooth)).clip(-1, 1)


def estimated_noise(pixels):
    """The standard deviation of the noise in a picture, from how much neighbours differ: float, at least 0.05.

    The median of |a - b - c + d| / 2 over its squares of 2×2 pixels: most of them lie on the ground, where there is
    noise alone, and there it is 0.674 standard deviations. A file cuts off what is darker than black, as is told by
    many pixels that are quite black; then it is 0.60 times as large, as measured on training digits with noise of 0.5.
    """
    a, b, c, d = pixels[:-1, :-1], pixels[:-1, 1:], pixels[1:, :-1], pixels[1:, 1:]
    noise = (a - b - c + d).abs().median().item() / 2 / 0.674
    cut_off = (pixels <= -1).double().mean() > 0.2
    return max(noise / 0.60 if cut_off else noise, LITTLE_NOISE)


def measurement(task, broken):
    """What is known of the whole picture x_0, y = A x_0 + noise: A, float32 (m, 784), and y, (m,)."""
    A = {"sr4": lambda: average_pooling(SIDE // POOLED), "inpaint": lambda: kept_pixels(broken.known),
         "deblur": lambda: gaussian_blur(BLUR)}[task]()
    return A, broken.pixels[broken.known]


def restored(denoiser, task, broken, noise, steps=50, digit=None, seed=0, shown=False):
    """Eight pictures that may have been: float32 (8, 1, 28, 28). shown: with a progress bar, in a terminal.

    A noisy picture is a state of the chain, at the time where (1-ᾱ_t) / ᾱ_t = noise²: from there, the chain goes on.
    """
    schedule = denoiser.schedule
    generator = torch.Generator().manual_seed(seed)
    first, end = (-math.log(noise) if task == "denoise" else -4.5), 4.5  # of half the log SNR
    times = spaced_in_log_snr(schedule, steps, first, end)
    x_T = torch.randn(ANSWERS, 1, SIDE, SIDE, generator=generator)
    if task == "denoise":
        t = 1 + (schedule.log_snr[1:] / 2 - first).abs().argmin()
        times = torch.cat([t[None], times[times < t]])
        x_T = (schedule.alpha_bar[t].sqrt() * broken.pixels).float().expand_as(x_T)
    else:
        denoiser = clipped(given(denoiser, *measurement(task, broken), noise))
    label = None if digit is None else torch.full((ANSWERS,), digit)
    chain = ddim(denoiser, x_T, times, eta=1.0, label=label, generator=generator)
    with torch.no_grad():
        answers = last(tqdm(chain, "restoring", len(times), leave=False, disable=None if shown else True))
    require(bool(torch.isfinite(answers).all()), "the restoration has diverged. Give a larger --noise.")
    return answers.clamp(-1, 1)


def grid_of(broken, answers):
    """In a row, as the bytes of a PNG: what was given, missing pixels grey; the mean of the answers; the answers."""
    seen = torch.where(broken.known, broken.pixels, 0.0)
    larger = SIDE // len(seen)
    seen = seen.repeat_interleave(larger, dim=0).repeat_interleave(larger, dim=1)
    return png(mosaic(torch.cat([seen[None, None], answers.mean(dim=0, keepdim=True), answers])))


def say(what):
    print(f"restore: {what}", file=sys.stderr)


def run(args):
    """Restore a picture into a grid. Returns the exit status, 0."""
    require(0 <= args.seed < 2**32, f"--seed must be a whole number from 0 to {2**32 - 1}, but got {args.seed}.")
    require(not args.out.is_dir() and args.out.parent.is_dir(),  # said now rather than after the work
            f"{args.out} cannot be written: it is a folder, or lies in one that does not exist.")
    require(args.out.suffix.lower() == ".png", f"--out must end in .png, but got {args.out}.")
    require(args.mask is None or args.task == "inpaint", "--mask says which pixels are missing: it goes with --task "
                                                         f"inpaint, but got --task {args.task}.")
    require(not any(args.out.exists() and file and file.exists() and args.out.samefile(file)
                    for file in (args.picture, args.mask)),
            f"{args.out} is what is to be read: it would be overwritten. Give another --out.")
    require(args.noise is None or LEAST_NOISE <= args.noise <= MOST_NOISE,
            f"--noise must lie within {LEAST_NOISE}…{MOST_NOISE} (black is -1, white is 1), but got {args.noise}.")
    broken = read_broken(args.picture, args.task, args.mask)
    denoiser = load_pretrained(args.checkpoint, device_of(args.device))
    T = denoiser.schedule.T
    require(args.steps <= T, f"--steps must be at most {T} (the chain has no more times), but got {args.steps}.")
    for what in broken.told:
        say(f"{args.picture}: {what}.")
    noise = LITTLE_NOISE if args.noise is None else args.noise
    if args.noise is None and args.task == "denoise":
        noise = estimated_noise(broken.pixels)
        say(f"{args.picture}: its noise seems to be {noise:.2f}; give --noise if you know it.")
    begin = time.monotonic()
    answers = restored(denoiser, args.task, broken, noise, args.steps, args.digit, args.seed, shown=True)
    put(args.out, grid_of(broken, answers))
    print(f"{args.task} in {time.monotonic() - begin:.1f} s: {args.out}")
    print(f"From the left: what was given, the mean of {ANSWERS} answers, and these answers.")
    return 0
