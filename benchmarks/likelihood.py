"""Bits per dimension of the shipped weights on the 1,000 test digits, beside gzip and xz.

    python benchmarks/likelihood.py [DIGITS]       (about two minutes on two cores for all 1,000)

The bound of lesson 04, by `evaluation.likelihood`: small variance, discretised decoder, x̂_0 not clipped, groups of 20
digits that share their times. Writes diffusion_lab/results/likelihood.json, which lessons/08_sampling reads.
"""

import gzip
import lzma
import sys

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.likelihood import bound
from diffusion_lab.results import files as results
from diffusion_lab.weights.pretrained import load_pretrained, read_facts


def main(digits=1000):
    x_0 = load_digits("test")[0][:digits]
    found = bound(load_pretrained("mnist"), x_0, torch.Generator().manual_seed(0))
    pixels = ((x_0 + 1) * 127.5).round().to(torch.uint8).numpy()
    packed = {"gzip": len(gzip.compress(pixels.tobytes(), 9)), "xz": len(lzma.compress(pixels.tobytes(), preset=9))}
    facts = {"command": "python benchmarks/likelihood.py", "weights": read_facts("mnist")["sha256"],
             "digits": len(x_0), "terms": len(found.kl) + 2, "bpd": found.total.mean().item(),
             "standard_error": found.standard_error}
    facts |= {name: 8 * size / pixels.size for name, size in packed.items()}
    if digits == 1000:
        results.write("likelihood", facts)
    print(f"bits per dimension: bound {facts['bpd']:.3f} ± {facts['standard_error']:.3f} (standard error); "
          f"gzip {facts['gzip']:.3f}; xz {facts['xz']:.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
