"""Wrong answers to the exercises of notebook 00, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.start_here import (
    check_average_of_walks,
    check_copies,
    check_repaired,
    check_to_pixels,
)
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.dpm_solver import dpm_solver


def walked(form=lambda ends, n: ends.mean(dim=0, keepdim=True), begin=lambda t: t, rows=lambda n: n, sampler=ddpm,
           times=50, take=last, start=lambda x_t: x_t, seed=lambda generator: generator):
    """An answer to exercise 2, right but for what is given."""
    def answer(denoiser, x_t, t, n, generator):
        more = {} if sampler is dpm_solver else {"generator": seed(generator)}
        many = start(x_t).expand(rows(n), *x_t.shape[1:])
        return form(take(sampler(denoiser, many, spaced(begin(t), times), **more)), n)

    return answer


def one_from_the_other(denoiser, x_t, t, n, generator):
    """Each walk begins where the one before has ended."""
    ends = []
    for _ in range(n):
        x_t = last(ddpm(denoiser, x_t, spaced(t, 50), generator=generator))
        ends.append(x_t)
    return torch.stack(ends).mean(dim=0)


def jittered(denoiser, x_t, t, n, generator):
    many = x_t + 0.3 * torch.randn(n, *x_t.shape[1:], generator=generator, dtype=torch.float64)
    return last(ddpm(denoiser, many, spaced(t, 50), generator=generator)).mean(dim=0, keepdim=True)


def for_points_alone(denoiser, x_t, t, n, generator):
    """Right for points in the plane, and for nothing else."""
    return last(ddpm(denoiser, x_t.repeat(n, 1), spaced(t, 50), generator=generator)).mean(dim=0, keepdim=True)


def half_by_itself(denoiser, x_t, t, n, generator):
    """Half of the walks draw their noise from elsewhere."""
    half = x_t.expand(n // 2, *x_t.shape[1:])
    ends = [last(ddpm(denoiser, half, spaced(t, 50), generator=source)) for source in (generator, None)]
    return torch.cat(ends).mean(dim=0, keepdim=True)


def distances(scaled=lambda pixels: pixels / 127.5 - 1, form=lambda squares: squares.sqrt().min(dim=1).values,
              other=lambda made: made):
    """An answer to exercise 3, right but for what is given."""
    return lambda made, pixels: form((other(made)[:, None] - scaled(pixels)[None]).square().sum(dim=(2, 3, 4)))


WRONG = {
    check_to_pixels: [
        (lambda x: x * 255, "Shift first"),
        (lambda x: (x + 1) * 255, "the factor is 127.5"),
        (lambda x: x + 1 * 127.5, "without brackets"),
        (lambda x: (x + 1) / 2, "range from 0 to 1"),
        (lambda x: x * 127.5, "shift by 1"),
        (lambda x: ((x + 1) * 127.5).round(), "do not round"),
        (lambda x: ((x + 1) * 127.5).to(torch.uint8), "cut the fractions off"),
        (lambda x: x.clamp(0, 1) * 255, "do not clamp"),
        (lambda x: x.add_(1).mul_(127.5), "changed x itself"),
        (lambda x: 255 - (x + 1) * 127.5, "your image is a negative"),
        (lambda x: ((x + 1) * 127.5).float(), "should be float64, but yours is float32"),
        (lambda x: (x + 1) * 128, "white became 256"),
        (lambda x: (x + 1) / 2 * 256, "white became 256"),
        (lambda x: (x + 1) * 127, "white became 254"),
        (lambda x: x * 127.5 + 128, "black became 0.5"),
        (lambda x: x * 127.5 + 1, "after you multiplied"),
        (lambda x: x * 255 + 127.5, "white 382.5"),
        (lambda x: x.abs() * 255, "absolute values"),
        (lambda x: (x - x.min()) / (x.max() - x.min()) * 255, "not all images hold black and white"),
        (lambda x: [int(value) for value in ((x + 1) * 127.5).flatten()], "the shape should be (2, 3)"),
        (lambda x: (x + 0.5) * 255, "white 382.5"),
        (lambda x: torch.sigmoid(x) * 255, "Black, -1, should become 0"),
        (lambda x: [value * 127.5 for value in x], "shift by 1"),
        (lambda x: torch.where(x < 0, 0.0, (x + 1) * 127.5), "should be 63.75, but yours is 0"),
    ],
    check_average_of_walks: [
        (walked(form=lambda ends, n: ends), "average them"),
        (walked(form=lambda ends, n: ends.mean(dim=0)), "keepdim=True keeps the first axis"),
        (walked(form=lambda ends, n: ends.sum(dim=0, keepdim=True)), "divide by their number"),
        (walked(form=lambda ends, n: ends.mean()), "the shape should be (1, 2)"),
        (walked(form=lambda ends, n: -ends.mean(dim=0, keepdim=True)), "the sign is turned"),
        (walked(form=lambda ends, n: ends.median(dim=0, keepdim=True).values), "the median of the ends"),
        (walked(begin=lambda t: 1000), "your walk begins at the time 1000"),
        (walked(begin=lambda t: t - 1), "the first of the times must be t"),
        (walked(rows=lambda n: 1), "you walked 1 times"),
        (walked(rows=lambda n: 32), "you walked 32 times"),
        (walked(sampler=dpm_solver), "in one and the same point"),
        (walked(start=lambda x_t: 10 + x_t), "began elsewhere"),
        (walked(rows=lambda n: n + 1), "you walked 61 times"),
        (walked(times=10), "walk in fifty steps"),
        (walked(take=lambda steps: list(steps)[25].x_s), "the states after 26 of the fifty steps"),
        (walked(take=lambda steps: list(steps)[-2].x_s), "the states after 49 of the fifty steps"),
        (walked(take=lambda steps: list(steps)[-1].x_t), "the states after 49 of the fifty steps"),
        (walked(take=lambda steps: torch.stack([step.x_s for step in steps]).mean(dim=0)), "all states on the way"),
        (walked(form=lambda ends, n: ends.sum(dim=0, keepdim=True) / (n - 1)), "you divided by n-1"),
        (walked(form=lambda ends, n: ends.clamp(-1, 1).mean(dim=0, keepdim=True)), "you clamped the ends"),
        (walked(form=lambda ends, n: 1.05 * ends.mean(dim=0, keepdim=True)), "whose average is"),
        (walked(form=lambda ends, n: ends[:1]), "where your first walk ends"),
        (one_from_the_other, "began elsewhere"),
        (jittered, "began elsewhere"),
        (walked(take=lambda steps: next(iter(steps)).x_0_hat), "asked the denoiser once"),
        (walked(take=lambda steps: [next(steps) for _ in range(10)][-1].x_s), "stops half-way"),
        (walked(seed=lambda generator: None), "not all noise of your walks came from the `generator`"),
        (walked(seed=lambda generator: torch.Generator().manual_seed(1)), "not all noise of your walks"),
        (half_by_itself, "not all noise of your walks"),
        (for_points_alone, "x.expand(n, *x.shape[1:]) fits any"),
        (lambda denoiser, x_t, t, n, generator: denoiser(x_t, t), "asked the denoiser once"),
        (lambda denoiser, x_t, t, n, generator: x_t, "was not asked once"),
    ],
    check_repaired: [
        (distances(lambda pixels: pixels / 255), "as it was"),
        (distances(lambda pixels: pixels / 255, other=lambda made: (made + 1) / 2), "half as large"),
        (distances(lambda pixels: pixels, other=lambda made: (made + 1) * 127.5), "127.5 times as far away"),
        (distances(lambda pixels: pixels / 255 - 1), "run from -1 to 0"),
        (distances(lambda pixels: pixels / 127.5), "run from 0 to 2"),
        (distances(lambda pixels: pixels / 255 - 0.5), "stretch them, too"),
        (distances(lambda pixels: pixels / 128 - 1), "0.992"),
        (distances(form=lambda squares: squares.min(dim=1).values), "the root is missing"),
        (distances(other=lambda made: ((made + 1) * 127.5).round() / 127.5 - 1), "rounded `made`"),
        (distances(other=lambda made: ((made + 1) * 127.5).to(torch.uint8).double() / 127.5 - 1), "(int, uint8)"),
        (distances(form=lambda squares: squares.sqrt().max(dim=1).values), "farthest"),
        (distances(form=lambda squares: squares.sqrt().min(dim=0).values), "the second axis"),
        (distances(form=lambda squares: squares.argmin(dim=1).double()), "not their distances"),
        (distances(form=lambda squares: squares.sqrt().min(dim=1).values.float()), "should be float64"),
        (lambda made, pixels: distances()(made, pixels) / made[0].numel() ** 0.5, "you averaged over the pixels"),
        (distances(lambda pixels: (pixels - pixels.min()) / (pixels.max() - pixels.min()),
                   other=lambda made: (made - made.min()) / (made.max() - made.min())), "its own darkest"),
        (lambda made, pixels: distances()(made, pixels) * 0, "should have distance 0, and all others"),
        (lambda made, pixels: distances(lambda pixels: pixels.div_(127.5) - 1)(made, pixels), "changed pixels itself"),
    ],
    check_copies: [
        (lambda: "ABCDF", "D does not follow"),
        (lambda: {"A", "B", "C", "E", "F"}, "pure noise is far away"),
        (lambda: ["B", "C", "F"], "A is right"),
        (lambda: ("a", "c", "f"), "B is right"),
        (lambda: "A, B and F", "C is right"),
        (lambda: {"A", "B", "C"}, "learned by heart is denoised better"),
        (lambda: "ABCDEF", "2 letters are wrong or missing"),
        (lambda: {"A", "D"}, "4 letters are wrong or missing"),
        (lambda: set(), "4 letters are wrong or missing"),
        (lambda: "ABCG", "letters from A to F were expected"),
        (lambda: 4, "your function returned int"),
        (lambda: {1, 2, 3}, "your function returned {1, 2, 3}"),
        (lambda: None, "is the `return` missing"),
    ],
}
