"""Repairing digits: every method of lesson 11 and the baselines that it has to beat, scored by the truth and by judges.

    pip install scikit-image==0.26.0 PyWavelets==1.9.0 bm3d==4.0.3     (for the baselines of this file alone)
    python benchmarks/restoration.py            (about an hour on two cores; --quick: ten digits, writes nothing)

100 test digits, ten of each kind, four answers each, by the shipped weights without any label. What is slow has 50 or
20, the first of each kind; on these 20 all methods stand beside it. What has a parameter was tuned on training digits:
Σ_t of `measured_cov`, the filters' strengths, the number of steps. Writes diffusion_lab/results/restoration.json after
every row; a row that is there for these weights is not made again.

psnr_sample, psnr_mean: of one answer, and of the mean of the four, in dB, with a range of 2. error_ratio: the squared
error of an answer over that of the mean of infinitely many, estimated without bias; 2 for answers drawn from the exact
posterior. residual: root mean square of y - A x over std. read_first, read_second: read as the truth by the judges.
rank_p: the truth is ranked among its answers by how many pixels are light; the probability of ranks at least as uneven
(χ²), were the truth one more answer. (Not by ink: the truth's ground is exactly black, which no answer is.)
"""

import argparse
import time
from functools import partial

import bm3d
import numpy as np
import torch
from PIL import Image
from scipy.stats import chisquare
from skimage import restoration as filters
from skimage.filters import median
from skimage.morphology import disk
from sklearn.svm import SVC

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.evaluation.second_judge import load_second_judge
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import last, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.denoiser import clipped
from diffusion_lab.sampling.measurement import average_pooling, gaussian_blur, kept_pixels, measure
from diffusion_lab.sampling.restoration import given, measured_cov, repaint, twisted
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.weights.pretrained import load_pretrained, read_facts

K = 4  # answers for each digit
STD = 0.05
STEPS = 50
ENDS = (-4.5, 4.5)  # of λ: a measurement is seen sooner, and sharper, than a sample needs
TIMES = [1, 8, 32, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950, 1000]  # where Σ_t is measured
BATCH = 100
TRAIN, TRAIN_LABELS = load_digits("train")
DENOISER = load_pretrained("mnist")
SCHEDULE = DENOISER.schedule
JUDGES = {"read_first": load_judge(), "read_second": load_second_judge()}


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def masks():
    """{name: bool (28, 28), True where a pixel is kept}."""
    box = torch.ones(28, 28, dtype=torch.bool)
    box[8:20, 8:20] = False
    half = torch.ones(28, 28, dtype=torch.bool)
    half[14:] = False
    return {"box": box, "half": half, "pixels": torch.rand(28, 28, generator=seeded(0)) > 0.7}


TASKS = {"sr4": average_pooling(4), "box": kept_pixels(masks()["box"]), "sr2": average_pooling(2),
         "half": kept_pixels(masks()["half"]), "pixels": kept_pixels(masks()["pixels"]), "blur": gaussian_blur(1.5)}


def counted(denoiser, count):
    """The denoiser, which adds to count[0] for each image that it is asked about."""

    def answer(x_t, t, label):
        count[0] += len(x_t)
        return denoiser(x_t, t, label)

    return Denoiser(answer, denoiser.schedule)


def as_it_is(denoiser):
    return denoiser


# Methods: called as method(denoiser, A, y) with y (n, m), they give answers (n, …), one for each row. Updates are kept
# within the range of pixels, for without that "pigdm, Σ" meets NaN where a box is missing; two rows go without.

def by_given(denoiser, A, y, method, cov, limited=clipped):
    times = spaced_in_log_snr(SCHEDULE, STEPS, *ENDS)
    noise = torch.randn(len(y), 1, 28, 28, generator=seeded(2))
    fresh = seeded(3)
    return torch.cat([last(ddim(limited(given(denoiser, A, some_y, STD, method, cov)), some, times, eta=1.0,
                                generator=fresh)) for some, some_y in zip(noise.split(BATCH), y.split(BATCH))])


@torch.no_grad()
def by_repaint(denoiser, A, y, repeats):
    times = spaced_in_log_snr(SCHEDULE, STEPS, *ENDS)
    noise = torch.randn(len(y), 1, 28, 28, generator=seeded(2))
    return last(repaint(denoiser, A, y, noise, times, repeats, generator=seeded(3)))


@torch.no_grad()
def by_particles(denoiser, A, y, cov, particles):
    """One of the particles of a filter for each answer: those of one filter are near copies of each other."""
    times = spaced_in_log_snr(SCHEDULE, STEPS, *ENDS)
    answers = []
    for i, one in enumerate(y):
        noise = torch.randn(particles, 1, 28, 28, generator=seeded(100 + i))
        answers.append(last(twisted(denoiser, A, one, STD, noise, times, generator=seeded(1000 + i), cov=cov))[:1])
    return torch.cat(answers)


def methods(cov):
    """{name: (method, on how many digits)}, those that cost least first."""
    return {
        "ddnm": (partial(by_given, method="ddnm", cov=None), 100),
        "ddnm, Σ": (partial(by_given, method="ddnm", cov=cov), 100),
        "pigdm": (partial(by_given, method="pigdm", cov=None), 100),
        "pigdm, Σ": (partial(by_given, method="pigdm", cov=cov), 100),
        "pigdm, not clipped": (partial(by_given, method="pigdm", cov=None, limited=as_it_is), 100),
        "pigdm, Σ, not clipped": (partial(by_given, method="pigdm", cov=cov, limited=as_it_is), 100),
        "dps": (partial(by_given, method="dps", cov=None), 100),
        "tmpd": (partial(by_given, method="tmpd", cov=None), 50),
        "repaint 1": (partial(by_repaint, repeats=1), 100),
        "repaint 5": (partial(by_repaint, repeats=5), 50),
        "particles": (partial(by_particles, cov=None, particles=16), 20),
    }


# Baselines.

def wiener(A, y, std):
    """The best linear estimate of x_0 from y: mean and covariance of the training digits are all it knows."""
    flat = TRAIN.flatten(1).double()
    mean = flat.mean(dim=0)
    cov = (flat - mean).mT @ (flat - mean) / len(flat)
    A = A.double()
    gain = torch.linalg.solve(A @ cov @ A.mT + std**2 * torch.eye(len(A), dtype=torch.float64), A @ cov).mT
    return (mean + (y.double() - A @ mean) @ gain.mT).float().reshape(-1, 1, 28, 28)


def bicubic(y):
    side = round(y.shape[1] ** 0.5)
    small = y.reshape(-1, side, side).numpy()
    return torch.stack([torch.from_numpy(np.array(Image.fromarray(one).resize((28, 28), Image.BICUBIC)))
                        for one in small])[:, None]


def each(filter_one):
    """A filter of one picture (28, 28), as one of many (n, 1, 28, 28)."""
    return lambda noisy: torch.stack([torch.from_numpy(np.asarray(filter_one(one[0].numpy()), dtype=np.float32))
                                      for one in noisy])[:, None]


FILTERS = {  # name: {strength, as a multiple of the noise: filter}, of which the best on training digits is taken
    "median": lambda std: [each(lambda one, r=r: median(one, disk(r))) for r in (1, 2)],
    "wavelet": lambda std: [each(lambda one, s=s: filters.denoise_wavelet(one, sigma=s * std, rescale_sigma=False))
                            for s in (0.5, 0.75, 1.0, 1.5)],
    "non-local means": lambda std: [each(lambda one, s=s, p=p: filters.denoise_nl_means(
        one, patch_size=p, patch_distance=9, h=s * std, sigma=std, fast_mode=False))
        for s in (0.4, 0.7, 1.0) for p in (3, 5)],
    "total variation": lambda std: [each(lambda one, s=s: filters.denoise_tv_chambolle(one, weight=s * std))
                                    for s in (0.5, 0.8, 1.2, 1.8, 2.5)],
    "BM3D": lambda std: [each(lambda one, s=s: bm3d.bm3d(one, s * std)) for s in (0.75, 1.0, 1.25)],
}


def psnr(images, truth):
    return (10 * torch.log10(4 / (images.clamp(-1, 1) - truth).square().mean())).item()


def best_on_training_digits(name, std, damage):
    truth = TRAIN[::80]
    noisy = damage(truth, seeded(5))
    return max(FILTERS[name](std), key=lambda one: psnr(one(noisy), truth))


def by_chain(denoiser, y, std, steps):
    """A sample of p(x_0 given y = x_0 + std ε): y/√(1+std²) is a state of the chain, from which `ddpm` walks on."""
    log_snr = -2 * np.log(std)
    start = 1 + (SCHEDULE.log_snr[1:] - log_snr).abs().argmin().item()
    λ = np.linspace(log_snr / 2, ENDS[1], steps + 1)[1:]
    times = [start] + [1 + (SCHEDULE.log_snr[1:] / 2 - one).abs().argmin().item() for one in λ]
    times = sorted(set(times), reverse=True)
    x_t = SCHEDULE.alpha_bar[start].sqrt().float() * y
    with torch.no_grad():
        return torch.cat([last(ddpm(denoiser, some, times, generator=fresh))
                          for fresh in [seeded(4)] for some in x_t.split(BATCH)])


# The table.

def measures(answers, truth, labels, A=None, y=None):
    """What the file's head says, for answers (n K, …), K in a row for each truth (n, …); a filter gives one each."""
    answers = answers.clamp(-1, 1)
    many = len(answers) // len(truth)
    found = {name: label_accuracy(judge, answers, labels.repeat_interleave(many)) for name, judge in JUDGES.items()}
    grouped = answers.reshape(len(truth), many, *truth.shape[1:])
    found |= {"psnr_sample": psnr(grouped, truth[:, None]), "psnr_mean": psnr(grouped.mean(dim=1), truth)}
    if A is not None:
        off = answers.flatten(1) @ A.mT - y.repeat_interleave(many, dim=0)
        found["residual"] = off.square().mean().sqrt().item() / STD
    if many > 1:
        apart = grouped.var(dim=1).mean().item()
        of_mean = (grouped.mean(dim=1) - truth).square().mean().item() - apart / many
        found["error_ratio"] = (grouped - truth[:, None]).square().mean().item() / of_mean
        light = (grouped > 0).flatten(2).double().sum(dim=2)
        true_light = (truth > 0).flatten(1).double().sum(dim=1, keepdim=True)
        ties = torch.rand(light.shape, generator=seeded(7)) - 0.5  # a tie is decided by chance
        rank = (light + ties / 2 < true_light).sum(dim=1)
        found["rank_p"] = chisquare(rank.bincount(minlength=many + 1)).pvalue.item()
    return found


def chosen(n):
    """n test digits, as many of each kind."""
    images, labels = load_digits("test")
    index = torch.cat([(labels == kind).nonzero()[:n // 10, 0] for kind in range(10)])
    return images[index], labels[index]


def rows(quick):
    """Yield (task, method, digits, make), where make() gives what is measured."""
    for std in (0.25, 0.5, 1.0):
        for name in ("noisy", "the mean, in one step", "a sample", "best linear", *FILTERS):
            yield f"denoise {std:g}", name, 20 if quick else 200, partial(denoised, name, std)
    for name in ("noisy", "the mean, in one step", "median"):
        yield "salt and pepper", name, 20 if quick else 200, partial(denoised, name, None)
    cov = measured_cov(DENOISER, TRAIN[1::8], TIMES, seeded(1))
    for task in ("sr4", "box"):  # on the digits that the particles had, so that they can be compared
        A = TASKS[task]
        for name, (method, n) in methods(cov).items():
            if n > 20 and "Σ, not" not in name:
                yield task, name, 20, partial(repaired, A, method)
        yield task, "best linear", 20, partial(repaired, A, lambda _, A, y: wiener(A, y, STD), many=1)
        yield task, "a reader of y", 20, partial(read_from_y, A)
    for task, A in TASKS.items():
        for name, (method, n) in methods(cov).items():
            if (name == "particles" and task not in ("sr4", "box")) or ("not clipped" in name and task != "sr4"):
                continue
            yield task, name, 10 if quick else n, partial(repaired, A, method)
        yield task, "best linear", 10 if quick else 100, partial(
            repaired, A, lambda _, A, y: wiener(A, y, STD), many=1)
        if task.startswith("sr"):
            yield task, "bicubic", 10 if quick else 100, partial(
                repaired, A, lambda _, A, y: bicubic(y), many=1)
        yield task, "a reader of y", 1000, partial(read_from_y, A)


def repaired(A, method, truth, labels, many=K):
    y = measure(A, truth, STD, seeded(1))
    count = [0]
    begin = time.process_time()
    answers = method(counted(DENOISER, count), A, y.repeat_interleave(many, dim=0))
    seconds = time.process_time() - begin
    return {"evaluations": count[0] / len(answers), "seconds": seconds / len(answers)} | measures(
        answers, truth, labels, A, y)


def read_from_y(A, truth, labels):
    """How many of the digits can be read from what was measured, by one who was trained on measured digits."""
    fresh = seeded(6)
    reader = SVC(C=10).fit(measure(A, TRAIN, STD, fresh).numpy(), TRAIN_LABELS.numpy())
    return {"read_first": float(np.mean(reader.predict(measure(A, truth, STD, fresh).numpy()) == labels.numpy()))}


def salted(images, generator, share=0.1):
    """A share of the pixels, at random, becomes black or white."""
    hit = torch.rand(images.shape, generator=generator) < share
    return torch.where(hit, torch.randint(0, 2, images.shape, generator=generator) * 2.0 - 1, images)


def denoised(name, std, truth, labels):
    def damage(images, generator):
        if std is None:
            return salted(images, generator)
        return images + std * torch.randn(images.shape, generator=generator)

    noisy = damage(truth, seeded(1))
    count = [0]
    denoiser = counted(DENOISER, count)
    begin = time.process_time()
    if name == "noisy":
        answers = noisy
    elif name == "best linear":
        answers = wiener(torch.eye(784), noisy.flatten(1), std)
    elif name == "the mean, in one step":
        level = std or (damage(TRAIN[::80], seeded(5)) - TRAIN[::80]).std().item()
        t = 1 + (SCHEDULE.log_snr[1:] + 2 * np.log(level)).abs().argmin().item()
        with torch.no_grad():
            answers = denoiser(SCHEDULE.alpha_bar[t].sqrt().float() * noisy, t)
    elif name == "a sample":
        answers = by_chain(denoiser, noisy.repeat_interleave(K, dim=0), std, 100)
    else:
        answers = best_on_training_digits(name, std or 0.5, damage)(noisy)
    seconds = time.process_time() - begin
    return {"evaluations": count[0] / len(answers), "seconds": seconds / len(answers)} | measures(
        answers, truth, labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="ten digits; writes nothing")
    parser.add_argument("--tasks", nargs="*", help="only these, such as sr4 box")
    arguments = parser.parse_args()
    weights = read_facts("mnist")["sha256"]
    facts = {"command": "python benchmarks/restoration.py", "weights": weights, "steps": STEPS, "answers": K,
             "std": STD, "machine": "one core of a two-core machine with AVX-512", "rows": []}
    if (results.HERE / "restoration.json").exists() and results.read("restoration")["weights"] == weights:
        facts = results.read("restoration")
    done = {(row["task"], row["method"], row["digits"]) for row in facts["rows"]}
    for task, method, n, make in rows(arguments.quick):
        if ((task, method, n) in done and not arguments.quick) or (arguments.tasks and task not in arguments.tasks):
            continue
        row = {"task": task, "method": method, "digits": n} | make(*chosen(n))
        facts["rows"].append(row)
        if not arguments.quick:
            results.write("restoration", facts)
        print(f"{task:16} {method:24}", *(f"{name} {value:.3g}" for name, value in row.items()
                                          if isinstance(value, float)), flush=True)


if __name__ == "__main__":
    main()
