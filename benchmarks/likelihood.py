"""Bits per dimension of the shipped weights on the 1,000 test digits, beside gzip and xz.

    python benchmarks/likelihood.py       (about two minutes on two cores)

The bound of notebook 04: cosine schedule, small variance, discretised decoder, x̂_0 not clipped. Of the 999 terms for
t = 2…1000 a stratified choice is computed: the times are cut into strata, narrow where the terms are large, and each
digit gets one random time in each; its term counts for the whole stratum. Writes
diffusion_lab/evaluation/likelihood.json, which notebooks/08_sampling.ipynb reads.
"""

import gzip
import json
import lzma
from pathlib import Path

import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.theory.elbo import bits_per_dim, kl_prior, kl_t, nll_recon
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.training.pretrained import SHIPPED, load_pretrained

FILE = Path(__file__).parents[1] / "diffusion_lab" / "evaluation" / "likelihood.json"


def strata():
    """(first, last) times: each single up to 20, then wider and wider, up to 1000."""
    edges = [*range(2, 21), *range(22, 60, 4), *range(60, 200, 14), *range(200, 1000, 50), 1001]
    return [(a, b - 1) for a, b in zip(edges, edges[1:])]


@torch.no_grad()
def bound(denoiser, x_0, generator):
    """The bound on -log p(x_0), one estimate for each example: float64 (n,), nats."""
    def noisy(t):
        return q_sample(x_0, t, torch.randn(x_0.shape, generator=generator), denoiser.schedule)

    total = kl_prior(x_0, denoiser.schedule) + nll_recon(x_0, noisy(1), denoiser, decoder="discretised")
    for first, last in strata():
        t = int(torch.randint(first, last + 1, (1,), generator=generator))
        total += (last - first + 1) * kl_t(x_0, noisy(t), t, denoiser)
    return total


def main():
    x_0, denoiser = load_digits("test")[0], load_pretrained("mnist")
    weights = json.loads((SHIPPED["mnist"] / "checkpoint.json").read_text(encoding="utf-8"))["sha256"]
    generator = torch.Generator().manual_seed(0)
    found = torch.cat([bits_per_dim(bound(denoiser, some, generator), 784) for some in x_0.split(20)])
    by_group = found.reshape(-1, 20).mean(dim=1)  # digits of a group share their times
    pixels = ((x_0 + 1) * 127.5).round().to(torch.uint8).numpy()
    packed = {"gzip": len(gzip.compress(pixels.tobytes(), 9)), "xz": len(lzma.compress(pixels.tobytes(), preset=9))}
    facts = {"command": "python benchmarks/likelihood.py", "weights": weights, "digits": len(x_0),
             "terms": len(strata()) + 2, "bpd": found.mean().item(),
             "standard_error": (by_group.std() / len(by_group) ** 0.5).item()}
    facts |= {name: 8 * size / pixels.size for name, size in packed.items()}
    FILE.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(f"bits per dimension: bound {facts['bpd']:.3f} ± {facts['standard_error']:.3f} (standard error); "
          f"gzip {facts['gzip']:.3f}; xz {facts['xz']:.3f}")


if __name__ == "__main__":
    main()
