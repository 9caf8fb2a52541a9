"""python -m diffusion_lab sample: digits in a picture, or in a file for `judge`."""

import os
import time
from functools import partial
from io import BytesIO

import numpy as np
import torch
from tqdm import tqdm

from diffusion_lab.commands.arguments import MOST_GUIDANCE
from diffusion_lab.guard import require
from diffusion_lab.sampling.chain import draw, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.training.runs import put
from diffusion_lab.view.pictures import mosaic, png
from diffusion_lab.weights.pretrained import load_pretrained

BATCH = 64
GUIDED_FROM = 800  # guidance in the first steps costs variety: benchmarks/sampling.py


def device_of(choice):
    """The device for "auto" (CUDA where there is one), "cpu" or "cuda". torchrun's processes have one each."""
    there = torch.cuda.is_available()
    require(there or choice != "cuda", "PyTorch finds no CUDA device here. Leave out --device, or give --device cpu.")
    if choice == "cpu" or not there:
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def drawn(denoiser, labels, steps=10, sampler="dpm_solver", guidance=0.4, seed=0, shown=False):
    """A digit for each label: float32 (n, 1, 28, 28). shown: with a progress bar, in a terminal."""
    fresh = torch.Generator().manual_seed(2**32 + seed)  # not the noise that the chain starts from
    chosen = {"ddpm": partial(ddpm, generator=fresh), "ddim": ddim, "dpm_solver": dpm_solver}[sampler]
    times = spaced_in_log_snr(denoiser.schedule, steps)
    with tqdm(desc="drawing", total=steps * -(-len(labels) // BATCH), leave=False,
              disable=None if shown else True) as bar:  # None: wherever there is no terminal

        def told(*arguments, **keywords):
            for step in chosen(*arguments, **keywords):
                bar.update()
                yield step

        digits = draw(guided(denoiser, guidance, GUIDED_FROM), torch.tensor(labels), told, times, seed, BATCH)
    require(bool(torch.isfinite(digits).all()),
            "the training has diverged: the network draws NaN. Start anew with a lower --lr.")
    return digits


def picture_of(digits):
    """The digits in a grid, as the bytes of a PNG."""
    return png(mosaic(digits.numpy(), columns=columns_for(len(digits))))


def numbers_of(digits, labels):
    """The digits, uint8 (n, 28, 28), and their labels, int64 (n,), as the bytes of an NPZ."""
    file = BytesIO()
    pixels = ((digits[:, 0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    np.savez_compressed(file, images=pixels.numpy(), labels=np.array(labels))
    return file.getvalue()


def columns_for(n):
    """How many of n digits stand in a row: at most ten, more than half as many, such that few places stay empty."""
    most = min(n, 10)
    return min(range(most, most // 2, -1), key=lambda columns: -n % columns)


def run(args):
    """Draw digits into a file. Returns the exit status, 0."""
    require(0 <= args.seed < 2**32, f"--seed must be a whole number from 0 to {2**32 - 1}, but got {args.seed}.")
    require(not args.out.is_dir() and args.out.parent.is_dir(),  # said now rather than after the work
            f"{args.out} cannot be written: it is a folder, or lies in one that does not exist.")
    ending = args.out.suffix.lower()
    require(ending in (".png", ".npz"),
            f"--out must end in .png, for a picture, or in .npz, for numbers, but got {args.out}.")
    require(0 <= args.guidance <= MOST_GUIDANCE,
            f"--guidance must lie within 0…{MOST_GUIDANCE} (more of it only distorts the digits), but got "
            f"{args.guidance}.")
    denoiser = load_pretrained(args.checkpoint, device_of(args.device))
    T = denoiser.schedule.T
    require(args.steps <= T, f"--steps must be at most {T} (the chain has no more times), but got {args.steps}.")
    labels = [args.digits[i % len(args.digits)] for i in range(args.n)]
    begin = time.monotonic()
    digits = drawn(denoiser, labels, args.steps, args.sampler, args.guidance, args.seed, shown=True)
    put(args.out, picture_of(digits) if ending == ".png" else numbers_of(digits, labels))
    print(f"{args.n} digit{'s' if args.n > 1 else ''} in {time.monotonic() - begin:.1f} s: {args.out}")
    return 0
