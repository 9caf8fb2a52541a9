"""Bad input is refused with a ValueError that says what was given and what is allowed, before anything is computed."""

import ast
import inspect
import math
import re
from functools import partial

import pytest
import torch

from diffusion_lab import guard
from diffusion_lab.data.augment import augmented, shifted
from diffusion_lab.data.digits import as_images, load_digits
from diffusion_lab.data.toy import ring_of_gaussians, swiss_roll, two_moons
from diffusion_lab.networks.embedding import time_embedding
from diffusion_lab.networks.mlp import MLP
from diffusion_lab.networks.unet import Attention, Condition, ResidualBlock, UNet
from diffusion_lab.sampling.chain import draw, pairs, spaced, spaced_in_log_snr
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.denoiser import as_denoiser, clipped
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory import elbo, gaussian
from diffusion_lab.theory import parameterization as convert
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import noise_like, q_sample, q_step
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var
from diffusion_lab.theory.schedule import Schedule, at, cosine, linear
from diffusion_lab.training.batches import batch_at, batches_of
from diffusion_lab.training.muon import Muon, orthogonalised
from diffusion_lab.training.objective import objective, spread_times, uniform_times
from diffusion_lab.training.recipe import Recipe, rate

S = linear(10)
X = torch.zeros(3, 2)
FIVE = torch.tensor([5, 5, 5])
MIXTURE = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0])
POINTS = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [0.0, 0.0])
FULL = GaussianMixture([1.0], [[0.0, 0.0]], torch.eye(2)[None])
DENOISER = MIXTURE.denoiser(S)
PICTURES = torch.zeros(3, 1, 28, 28)
UNET, WEIGHT = UNet(8, 8), torch.zeros(2, 2)
SEEDED = torch.Generator().manual_seed(0)
TIMES = (uniform_times, spread_times)

def untouched(x_t, t, label=None):
    """The answer of a network or denoiser that must not be asked."""
    raise AssertionError


TWO = [[0.0, 0.0], [1.0, 0.0]]


def mixture(weight, mean, var):
    guard.check_mixture(*(torch.tensor(table, dtype=torch.float64) for table in (weight, mean, var)))


GUARDS = [  # what is called, what it is given, and words that its message must have
    (guard.require, (False, "what is allowed"), "what is allowed"),
    (lambda a, b: guard.same_shape(x_0=a, eps=b), (X, X[:, :1]), "the same shape, but got x_0 (3, 2), eps (3, 1)"),
    (lambda x: guard.same_shape(x_0=X, eps=x), ([0.5],), "eps must be a tensor, but got list"),
    *((guard.check_times, (t, 10), f"must be an int or an int64 tensor, but got {words}") for t, words in (
        (3.0, "3.0"), (True, "True"), ([1, 2], "[1, 2]"), (FIVE.int(), "a tensor of torch.int32"))),
    (guard.check_times, (0, 10, 1), "times must lie within 1…10, but got 0"),
    (guard.check_times, (torch.tensor([1, 11]), 10), "within 0…10, but got [1, 11]"),
    (guard.check_times, (FIVE[:2], 10, 0, X), "a time for each example (3), but its shape is (2,)"),
    (guard.check_times, (FIVE[:, None], 10, 0, X), "but its shape is (3, 1)"),
    (guard.check_data, (X.long(),), "of shape (n, …), n at least 1, but got a tensor of torch.int64, (3, 2)"),
    (guard.check_data, (torch.tensor(1.0),), "but got a tensor of torch.float32, ()"),
    (guard.check_data, ([0.5],), "but got list"), (guard.check_data, (X[:0],), "n at least 1, but got"),
    (guard.check_schedule, (cosine,), "a schedule is due here, for example cosine() or linear(), but got cosine"),
    (guard.check_schedule, (10,), "but got int"),
    *((guard.check_denoiser, (given,), f"a denoiser is due here, x_0_hat = denoiser(x_t, t, label) with its schedule, "
       f"but got {words}") for given, words in ((MLP(), "MLP"), (MIXTURE, "GaussianMixture"), (None, "NoneType"))),
    (guard.check_generator, (0,), "must be a torch.Generator, for example torch.Generator().manual_seed(0), or None, "),
    *((guard.check_tables, (torch.tensor(log_snr).double(),), words) for words, log_snr in (
        ("must add noise that float64 can see", [math.inf, math.inf]), ("a β_t is too small", [math.inf, 1, 1]),
        ("or ᾱ_t has become 0", [math.inf, -math.inf, -math.inf]), ("at least 1e-60", [math.inf, 0, -math.inf]),
        ("√ᾱ_T can be divided by, but it is 8.53e-61", [math.inf, -138.314]))),
    *((guard.check_step, (t, s, 10), f"from t back to an earlier time s, but got t = {t} and s = {s}") for t, s in (
        (5, 5), (5, 6), (FIVE, torch.tensor([4, 5, 0])))),
    (guard.check_step, (5, -1, 10), "within 0…10, but got -1"),
    (guard.check_step, (0, None, 10), "within 1…10, but got 0"),
    (guard.check_step, (FIVE, FIVE[:2] - 1, 10), "s and t must have the same shape, but got (2,) and (3,)"),
    *((guard.check_number, (x, "eta", 0, 1), f"eta must be a finite number from 0 to 1, but got {x!r}") for x in (
        -0.1, 1.1, math.nan, True, None, "1", torch.tensor(0.5))),
    (guard.check_number, (math.inf, "w", 0), "w must be a finite number of at least 0, but got inf"),
    *((guard.check_count, (n, "n"), f"a whole number, at least 1, but got {n!r}") for n in (0, 2.0, True, "2")),
    (guard.check_count, (6, "n", 4), "a multiple of 4, at least 4, but got 6"),
    *((guard.check_choice, (word, "it", ("eps", "v")), f"it must be one of 'eps', 'v', but got {word!r}") for word in (
        "noise", None, ["v"])),
    *((lambda var: guard.check_positive(var=var), (x,), f"var must be positive and finite, but got {x}") for x in (
        0.0, math.nan, math.inf, torch.tensor([1.0, -1.0]), None, "one")),
    *((guard.check_label, (label, 2), f"one label for each example (2), but got {words}") for label, words in (
        ("7", "'7'"), (7.0, "7.0"), (True, "True"), (FIVE, "a tensor of torch.int64, (3,)"))),
    *((guard.check_label, (label, 2, 10), f"within 0…9 (10 means any class), but got {words}") for label, words in (
        (-1, "-1"), (11, "11"), (torch.tensor([3, 11]), "[3, 11]"))),
    (guard.check_no_label, (0,), "knows no labels; leave label out (it was 0)"),
    *((guard.check_pixels, (torch.tensor([x]),), "8-bit pixels") for x in (0.1234, 1.5, -1 - 2 / 255)),
    (guard.check_points, (X, 3), "points must have shape (n, 3), but got (3, 2)"),
    (guard.check_points, (X > 0, 2), "floating-point"),
    *((guard.check_numbers, (x, "t"), f"of numbers, shape (n,), but got {words}") for x, words in (
        ([1], "[1]"), (FIVE > 0, "torch.bool, (3,)"), (FIVE + 0j, "torch.complex64"), (X, "torch.float32, (3, 2)"))),
    *((guard.check_input, (x, FIVE, WEIGHT, (2,)), f"of its weights, torch.float32, but got {words}") for x, words in (
        (X.double(), "torch.float64, (3, 2)"), (X[:, :1], "torch.float32, (3, 1)"), (X[:0], "torch.float32, (0, 2)"),
        ([[0.0, 0.0]], "list"))),
    *((guard.check_input, (X, t, WEIGHT, (2,)), f"one for each example (3,), but got {words}") for t, words in (
        (5, "5"), (FIVE > 0, "torch.bool, (3,)"), (FIVE[:1], "torch.int64, (1,)"), (FIVE.float(), "torch.float32"))),
    *((guard.check_images, (x,), f"digits must have shape (n, 1, 28, 28), but got {words}") for x, words in (
        ([0.5], "list"), (X, "(3, 2)"), (PICTURES[:0], "(0, 1, 28, 28)"), (PICTURES[:, :, 1:], "(3, 1, 27, 28)"))),
    *((guard.check_images, (PICTURES.to(dtype),), f"floats, -1 for black and 1 for white, but these are {dtype}")
      for dtype in (torch.uint8, torch.bool)),
    *((guard.check_images, (PICTURES + x,), "hold NaN or infinite values") for x in (math.nan, math.inf, -math.inf)),
    *((guard.check_images, (PICTURES + x,), f"within [-1, 1], -1 for black and 1 for white, but these run from {x}")
      for x in (1.1, -1.1, 255, 1e30)),
    *((guard.check_classes, (labels, 3), f"one label for each example, (3,), but got {words}") for labels, words in (
        (3, "3"), (FIVE[:1], "torch.int64, (1,)"), (FIVE[:, None], "torch.int64, (3, 1)"), (X[:, 0], "torch.float32"))),
    *((guard.check_classes, (labels, 3), f"within 0…9, but these run from {words}") for labels, words in (
        (FIVE - 105, "-100 to -100"), (FIVE + torch.tensor([0, 5, 0]), "5 to 10"))),
    (guard.check_density, (torch.tensor([1.0, 0.0]),), "variance 0 has no density"),
    *((mixture, tables, words) for words, *tables in (
        ("up to 1, but they add up to 0.9", [0.5, 0.4], TWO, [1, 1]), ("smallest is -0.5", [1.5, -0.5], TWO, [1, 1]),
        ("positive", [1.0, 0.0], TWO, [1, 1]), ("means must be finite", [0.5, 0.5], [[0, 0], [math.nan, 0]], [1, 1]),
        ("weight (K,), mean (K, d) and var (K,) or (K, d, d), but got (1,), (2, 2) and (2,)", [1.0], TWO, [1, 1]),
        ("(2, 2) and (2, 2)", [0.5, 0.5], TWO, TWO), ("(2,), (2,) and (2,)", [0.5, 0.5], [0, 1], [1, 1]),
        ("(0,), (0,) and (0,)", [], [], []), ("they run from -1.0 to 1.0", [0.5, 0.5], TWO, [1, -1]),
        ("finite and not negative", [0.5, 0.5], TWO, [math.inf, 1]), ("finite", [1.0], [[0]], [[[math.nan]]]),
        ("symmetric, but an entry and its mirror image differ by 0.1", [1.0], [[0, 0]], [[[1, 0.5], [0.4, 1]]]),
        ("no negative eigenvalue, but one is -1", [1.0], [[0, 0]], [[[1, 2], [2, 1]]]))),
]
TIMED = {  # functions of data x, times t and more data y; and their first time
    "q_sample": (lambda x, t, y: q_sample(x, t, y, S), 0), "q_step": (lambda x, t, y: q_step(x, t, y, S), 1),
    "posterior_mean": (lambda x, t, y: posterior_mean(y, x, t, S), 1),
    "network's denoiser": (lambda x, t, y: as_denoiser(lambda x_t, times, label: y, S)(x, t), 1),
    **{name: (lambda x, t, y, f=function: f(x, y, t, S), 0 if name.startswith("x_0") else 1)
       for name, function in vars(convert).items() if "_from_" in name}}
ONLY_X = {"mixture's denoiser": (lambda x, t, y: DENOISER(x, t), 1),
          "posterior": (lambda x, t, y: MIXTURE.posterior(x, t, S)[0], 1), "at": (lambda x, t, y: at(S.beta, t, x), 0)}
CALLS = [  # the other public functions, each with something that it passes to a guard, or refuses by itself
    *((make, (0,), "T must be a whole number") for make in (linear, cosine)),
    *((Schedule, (beta,), words) for words, beta in (
        ("between 0 and 1, but they run from nan", [0.0, 0.1, math.nan]), ("from 0.1 to 1.0", [0.0, 0.1, 1.0]),
        ("from 0.0 to", [0.0, 0.0]), ("beta[0] must be 0 (time 0 is the data, no noise yet), but got 0.1", [0.1, 0.2]),
        ("shape (1,)", [0.0]), ("shape ()", 0.1), ("shape (1, 2)", [[0.0, 0.1]]),
        ("can see", [0.0, 1e-17, 0.1]), ("can see", [0.0, 0.5, 1e-17]), ("can see", [0.0, *[0.999] * 150]),
        ("at least 1e-60, so that √ᾱ_T can be divided by, but it is 6.22e-61", [0.0, *[0.5] * 200]))),
    *((function, (*arguments, cosine), "a schedule is due here, for example cosine() or linear(), but got cosine")
      for function, *arguments in (
          *((vars(convert)[name], X, X, 5) for name in vars(convert) if "_from_" in name), (q_sample, X, 5, X),
          (q_step, X, 5, X), (posterior_mean, X, X, 5), (posterior_var, 5), (reverse_var, 5),
          *(call for data in (MIXTURE, FULL) for call in (
              (data.marginal, 5), (data.expected_x_0, X, 5), (data.posterior, X, 5), (data.denoiser,))),
          (as_denoiser, MLP()), (elbo.kl_prior, X),
          (lambda schedule: elbo.decoder_var(schedule),), (objective, UNET, (PICTURES, FIVE), SEEDED))),
    *((function, (*arguments,), "a denoiser is due here, x_0_hat = denoiser(x_t, t, label)")
      for function, *arguments in (
          *((lambda x, sampler=sampler: next(sampler(MLP(), x)), X) for sampler in (ddim, ddpm, dpm_solver)),
          (guided, MLP(), 1), (clipped, MLP()), (elbo.kl_t, X, X, 5, MLP()), (elbo.nll_recon, X, X, MLP()),
          (elbo.elbo_terms, MLP(), X), (draw, MLP(), FIVE, ddim))),
    *((lambda sampler, x: next(sampler(Denoiser(untouched, S), x)), (sampler, x), "shape (n, …), n at least 1")
      for sampler in (ddim, ddpm, dpm_solver) for x in (X.numpy(), [[0.0, 0.0]], X[:0], X.long())),
    *((function, (*arguments, 0), "must be a torch.Generator") for function, *arguments in (
        (noise_like, X), (MIXTURE.sample, 3), (FULL.sample, 3), *((times, 3, S) for times in TIMES),
        (augmented, PICTURES), (shifted, PICTURES),
        (partial(elbo.elbo_terms, DENOISER, X, "small", "gaussian"),))),
    (posterior_mean, (X, X, 5, S, 5), "earlier time"), (posterior_var, (5, S, 5), "earlier time"),
    (reverse_var, (5, S, "small", 5), "earlier time"), (reverse_var, (5, S, 1.1), "from 0 to 1, but got 1.1"),
    (reverse_var, (5, S, "beta"), "variance must be one of 'small', 'large', but got 'beta'"),
    (gaussian.log_prob, (0.0, 0.0, 0.0), "var must be"), (gaussian.product, (0.0, 0.0, 0.0, 1.0), "var_1 must be"),
    (gaussian.product, (0.0, 1.0, 0.0, 0.0), "var_2 must be"), (gaussian.kl, (0.0, 0.0, 0.0, 1.0), "var_q must be"),
    (gaussian.kl, (0.0, 1.0, 0.0, 0.0), "var_p must be"), (GaussianMixture, ([1.0], [[0.0]], [-1.0]), "not negative"),
    (GaussianMixture, ([1.0], [[0.0]], [[[-1.0]]]), "no negative eigenvalue"),
    (MIXTURE.log_prob, (torch.zeros(5, 3),), "shape (n, 2)"), (MIXTURE.score, (X > 0,), "floating-point"),
    *((data.sample, (n,), "n must be a whole number, at least 1") for data in (MIXTURE, FULL) for n in (-1, 0, 2.0)),
    (FULL.log_prob, (torch.zeros(5, 3),), "shape (n, 2)"), (FULL.marginal, (FIVE, S), "one time, an int"),
    (GaussianMixture([1.0], [[0.0]], [[[0.0]]]).log_prob, (X[:, :1],), "no density"),
    (MIXTURE.score, (torch.zeros(2),), "shape (n, 2)"),
    (POINTS.log_prob, (X,), "no density"), (POINTS.score, (X,), "no density"),
    (MIXTURE.marginal, (FIVE, S), "one time, an int"), (MIXTURE.marginal, (11, S), "0…10, but got 11"),
    (DENOISER, (X, 1, 7), "knows no labels"), (MLP(), (X, FIVE, FIVE), "knows no labels"),
    (elbo.kl_t, (X, X, 1, DENOISER), "2…10, but got 1"), (elbo.kl_t, (X, X, FIVE[:2], DENOISER), "a time for each "
                                                                                                 "example"),
    (elbo.nll_recon, (X, X, DENOISER, "small", "laplace"), "'gaussian', 'discretised', but got 'laplace'"),
    *((elbo.nll_recon, (X, X, Denoiser(lambda x, t, label, f=f: f(x), S)), "same shape, but got x_0 (3, 2), x_0_hat")
      for f in (lambda x: x[:, :1], lambda x: x[:1], lambda x: x.sum(), lambda x: x[:, None])),
    (elbo.discretised_log_prob, (X - 1, 0.0, -1.0), "var must be positive and finite, but got -1.0"),
    *((elbo.bits_per_dim, (1.0, d), "d must be a whole number, at least 1") for d in (-3, 0, 2.0)),
    *((function, (X.byte(), *arguments), "floating-point") for function, *arguments in (
        (elbo.kl_prior, S), (elbo.kl_t, X, 5, DENOISER), (elbo.nll_recon, X, DENOISER),
        (lambda x_0: elbo.elbo_terms(DENOISER, x_0),))),
    (elbo.kl_t, (X, X[:, :1], 5, DENOISER), "same shape"),
    (elbo.nll_recon, (X, X[:2], DENOISER), "x_0 (3, 2), x_1 (2, 2)"),
    (elbo.decoder_var, (S, "tiny"), "'small', 'large'"),
    (elbo.nll_recon, (X + 0.1234, X, DENOISER, "small", "discretised"), "8-bit pixels"),
    (elbo.decoder_var, (Schedule([0.0, 0.5]),), "at least 2 steps, but the schedule has T = 1"),
    (as_denoiser, (MLP(), S, "noise"), "predicts must be one of 'eps', 'v', 'score', 'x_0', but got 'noise'"),
    (as_denoiser(MLP(), S), (X, 5, FIVE[:2]), "one label for each example (3)"),
    (guided, (DENOISER, -0.1), "guidance_weight must be a finite number of at least 0, but got -0.1"),
    (spaced, (10, 11), "T = 10 times has at most 10 steps, but got n = 11"), (spaced, (10, 0), "n must be"),
    (spaced_in_log_snr, (S, 11), "has at most 10 steps, but got n = 11"), (spaced_in_log_snr, (S, 0), "n must be"),
    (spaced_in_log_snr, (10, 5), "a schedule is due here"), (spaced_in_log_snr, (S, 5, "a"), "first must be"),
    (spaced_in_log_snr, (S, 5, 1.0, 0.5), "end must be a finite number of at least 1.0, but got 0.5"),
    (spaced, (2.5, 1), "T must be"), (draw, (DENOISER, FIVE, ddim, None, 0, 0), "batch must be"),
    (as_denoiser(lambda x_t, t, label: x_t[:, :1], S, "x_0"), (X, 5), "same shape, but got x_t (3, 2), output (3, 1)"),
    *((pairs, (times, 10), f"in a list, falling strictly, within 1…10, but got {times}") for times in (
        [], 5, [3, 3], [3, 4], [4, 0], [11, 3], [4.0, 2.5], [True], [[4, 2]], [10**30], [[4], [2, 1]], "5", iter([3]))),
    *((draw, (DENOISER, labels, ddim), "labels must be int64, shape (n,)") for labels in (3, FIVE[:0], torch.ones(3))),
    *((time_embedding, (FIVE, dim), f"dim must be a whole number, a multiple of 2, at least 2, but got {dim}")
      for dim in (7, 0, 8.0)),
    *((time_embedding, (t, 8), "a tensor of numbers, shape (n,)") for t in (torch.tensor(3), FIVE > 0, FIVE + 0j, 5)),
    *((time_embedding, (FIVE, 8, longest), "max_period must be a finite number") for longest in (math.inf, 0, -1)),
    *((lambda name, value: MLP(**{name: value}), (name, value), f"{name} must be a whole number") for name, value in (
        ("dim", 0), ("hidden", 2.0), ("depth", -1), ("depth", True),
        *(("time_dim", size) for size in (0, -1, True, 3)))),
    (MLP(), (X.double(), FIVE), "torch.float64, (3, 2)"), (MLP(), (X, FIVE > 0), "torch.bool"),
    *((lambda name, value: UNet(**{name: value}), (name, value), f"{name} must be a whole number") for name, value in (
        ("fine", 20), ("coarse", 20), ("fine", 0), ("dim", 0), ("labels", -1), ("labels", 0))),
    (Condition, (0, 8), "labels must be"), (Condition, (10, 0), "dim must be"),
    (ResidualBlock, (20, 8, 8), "channels_in must be a whole number, a multiple of 8"),
    (ResidualBlock, (8, 20, 8), "channels must be a whole number, a multiple of 8"),
    (Attention, (8, 3), "channels must be a whole number, a multiple of 24"), (Attention, (8, 0), "heads must be"),
    *((UNET, (PICTURES, FIVE, label), "0…9 (10 means any class)") for label in (-1, 11)),
    *((UNET, (x, FIVE), "(n, 1, 28, 28), n at least 1, and of the dtype of its weights, torch.float32, but got")
      for x in (PICTURES[:0], PICTURES[:, :, 1:], PICTURES.double(), PICTURES.half(), PICTURES.expand(3, 3, 28, 28))),
    *((UNET, (PICTURES, t), "one for each example (3,)") for t in (FIVE > 0, FIVE[:1], 5)),
    (UNET, (PICTURES[:1], FIVE), "one for each example (1,)"), (UNET, (PICTURES, FIVE, FIVE.float()), "label must be"),
    *((times, (n, S, SEEDED), "must be a whole number, at least 1") for times in TIMES for n in (2.5, True, 0)),
    *((times, (4, T, SEEDED), "a schedule is due here") for times in TIMES for T in (1000, cosine)),
    *((objective, (UNET, (PICTURES, label), SEEDED, S), words) for label, words in (
        (FIVE[:1], "one label for each example, (3,)"), (FIVE[:, None], "(3, 1)"), (X[:, 0], "torch.float32"),
        (FIVE + 5, "within 0…9, but these run from 10 to 10"))),
    (objective, (UNET, (PICTURES[:0], FIVE[:0]), SEEDED, S), "floating-point tensor of shape (n, …), n at least 1"),
    *((batches_of, (x, FIVE, Recipe(batch=2)), words) for x, words in (
        ((PICTURES + 1) * 255, "within [-1, 1]"), (PICTURES.byte(), "floats"), (PICTURES.numpy(), "but got ndarray"))),
    *((batches_of, (PICTURES, labels, Recipe(batch=2)), "one label for each example, (3,)")
      for labels in (FIVE.repeat(2), FIVE.float(), [5, 5, 5])),
    (batches_of, (PICTURES, FIVE - 6, Recipe(batch=2)), "these run from -1 to -1"),
    (batch_at, (-1, 8, Recipe(batch=4)), "counted from 0, but got -1"),
    (batch_at, (0, 3, Recipe(batch=4)), "takes 4 images, but there are only 3"),
    *((rate, (step, Recipe(steps=5)), f"step must lie within 0…5, but got {step}") for step in (-1, 6)),
    (orthogonalised, (X, -1), "rounds must be"), (orthogonalised, (PICTURES,), "a matrix has two axes"),
    *((lambda lr, momentum: Muon([X], lr, momentum), numbers, words) for words, *numbers in (
        ("lr must be a finite number of at least 0, but got -1", -1, 0.9), ("momentum must be", 1, 2.0))),
    *((augmented, (PICTURES, SEEDED, strength), "strength must be") for strength in (-1, math.nan)),
    (augmented, (PICTURES[:0], SEEDED), "n at least 1"), (augmented, (X, SEEDED), "(n, 1, h, w), but got (3, 2)"),
    *((shifted, (PICTURES, SEEDED, most), "most must be a whole number, at least 1") for most in (0, 1.5)),
    (shifted, (PICTURES[:0], SEEDED), "n at least 1"), (shifted, (X, SEEDED), "(n, c, h, w), but got (3, 2)"),
    *((as_images, (torch.full((1, 28, 28), x).numpy(),), f"within 0…255, but these run from {x} to {x}")
      for x in (256, -1)),
    (as_images, (X.numpy(),), "pixels must have shape (n, 28, 28), but got (3, 2)"),
    *((cloud, (n,), f"a whole number of at least 2, but got {n!r}") for n in (1, 2.0, True)
      for cloud in (two_moons, swiss_roll, ring_of_gaussians)),
    (load_digits, (["train"],), "but got ['train']"),
    (load_digits, ("Train",), '"train", "test" or None (all), but got \'Train\''),
]


def refused(function, arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        function(*arguments)


@pytest.mark.parametrize("row", [*GUARDS, *CALLS], ids=lambda row: row[2][:40])
def test_the_message_says_what_is_wrong(row):
    refused(*row)


def test_every_guard_is_in_the_table_and_returns_nothing():
    """A guard that returned something could become part of a formula, and lessons leave guards out."""
    source = ast.parse(inspect.getsource(guard))
    tried = {name for row in GUARDS for name in (row[0].__name__, *row[0].__code__.co_names)}
    assert {node.name for node in source.body if isinstance(node, ast.FunctionDef)} <= tried
    assert not [node for node in ast.walk(source) if isinstance(node, ast.Return) and node.value is not None]


@pytest.mark.parametrize("name", [*TIMED, *ONLY_X])
def test_data_and_times(name):
    function, first = (TIMED | ONLY_X)[name]
    for t in (first - 1, 11, torch.tensor([5, 11, 5])):
        refused(function, (X, t, X), f"within {first}…10")
    refused(function, (X, 3.0, X), "an int or an int64 tensor")
    refused(function, (X, FIVE[:2], X), "a time for each example (3)")
    for x in (X.long(), torch.tensor(1.0)):
        refused(function, (x, 5, x), "floating-point tensor of shape (n, …)")
    if name in TIMED:  # (3, 2) and (3, 1) would broadcast, and hide the mistake
        refused(function, (X, 5, X[:, :1]), "same shape")
    for t in (first, 10, torch.tensor([first, 5, 10])):
        assert function(X, t, X).shape[0] in (1, 3), "the ends are allowed"


def test_nothing_is_computed_before():
    denoiser = as_denoiser(untouched, S)
    refused(denoiser, (X, 11), "1…10")
    refused(denoiser, (X, 5, "7"), "label")
    refused(lambda: next(ddim(denoiser, X, eta=1.1)), (), "eta must be a finite number from 0 to 1, but got 1.1")
    refused(lambda: next(ddpm(denoiser, X, variance="beta")), (), "'small', 'large', but got 'beta'")
    refused(lambda: guided(denoiser, math.nan), (), "guidance_weight")
