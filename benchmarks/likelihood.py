"""Bits per dimension of weights on the 1,000 test digits, beside gzip and xz.

    python benchmarks/likelihood.py [FOLDER]       (four minutes on one core)

FOLDER: a run or weights of your own; without it, those that come with the course, and only then does it write
diffusion_lab/results/likelihood.json, which lessons/08_sampling reads.

Two bounds of `evaluation.likelihood`. That of the chain, by lesson 04: small variance, discretised decoder, x̂_0 not
clipped, groups of 20 digits that share their times. And the one with infinitely many steps and the decoder by Bayes'
rule: for x̂_0 as it is, clipped, and calibrated on 200 training digits. The rows below the first change one thing each.
The grey levels are counted, and the table is fitted, on training digits; nothing is chosen by the test digits.
"""

import gzip
import lzma
import sys
import time
from dataclasses import replace

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.likelihood import bound, calibrated, chain_bound, grey_levels
from diffusion_lab.results import files as results
from diffusion_lab.sampling.denoiser import clipped
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.weights.pretrained import load_pretrained, read_facts


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def remembering(denoiser):
    """The denoiser, which answers a state that it has seen before from memory: three rows ask about the same ones."""
    known = {}

    def answer(x_t, t, label):
        state = x_t.numpy().tobytes(), t.numpy().tobytes()
        key = hash(state)
        if key not in known:
            known[key] = denoiser(x_t, t, label)
        return known[key]

    return Denoiser(answer, denoiser.schedule)


def bounds(denoiser, x_0, training):
    """{row: Bound}, from the chain's to the best. All but the first see the same noise."""
    prior = grey_levels(training)
    chain = chain_bound(denoiser, x_0, seeded(0))
    memory = remembering(denoiser)
    fitted = calibrated(memory, training[::20], seeded(1))
    without_end = {name: bound(one, x_0, prior, seeded(0)) for name, one in
                   (("continuous time", memory), ("clipped", clipped(memory)), ("calibrated", fitted))}
    recon = without_end["continuous time"].nll_recon
    return {"chain": chain, "Bayes decoder": replace(chain, nll_recon=recon)} | without_end


def facts_of(found):
    """A bound and its parts, means over the digits, in bits per dimension."""
    kl = sum(found.kl.values())
    return {"bpd": found.total.mean().item(), "standard_error": found.standard_error,
            "kl_prior": found.kl_prior.mean().item(), "kl": kl.mean().item(),
            "nll_recon": found.nll_recon.mean().item(), "terms": len(found.kl) + 2}


def main(folder="mnist"):
    begin = time.perf_counter()
    measured = {"command": "python benchmarks/likelihood.py", "weights": read_facts()["sha256"]}
    x_0, training = (load_digits(split)[0] for split in ("test", "train"))
    rows = {name: facts_of(found) for name, found in bounds(load_pretrained(folder), x_0, training).items()}
    pixels = ((x_0 + 1) * 127.5).round().to(torch.uint8).numpy()
    packed = {"gzip": len(gzip.compress(pixels.tobytes(), 9)), "xz": len(lzma.compress(pixels.tobytes(), preset=9))}
    packed = {name: 8 * size / pixels.size for name, size in packed.items()}
    if folder == "mnist":
        results.write("likelihood",
                      measured | {"digits": len(x_0), "bpd": rows["calibrated"]["bpd"], "rows": rows} | packed)
    print(f"{'bits per dimension':17}   bound   ± error     step terms   last step")
    for name, row in rows.items():
        print(f"{name:17} {row['bpd']:8.3f} ± {row['standard_error']:.3f} {row['kl']:14.3f} {row['nll_recon']:11.3f}")
    print(f"packed by xz {packed['xz']:.3f}, by gzip {packed['gzip']:.3f}; {time.perf_counter() - begin:.0f} seconds")


if __name__ == "__main__":
    main(*sys.argv[1:2])
