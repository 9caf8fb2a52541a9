"""Bad input is refused with a ValueError that says what was given and what is allowed, before anything is computed."""

import ast
import inspect
import math
import re

import pytest
import torch

from diffusion_lab import guard
from diffusion_lab.data.digits import load_digits
from diffusion_lab.data.toy import ring_of_gaussians, swiss_roll, two_moons
from diffusion_lab.networks.embedding import time_embedding
from diffusion_lab.networks.mlp import MLP
from diffusion_lab.networks.unet import UNet
from diffusion_lab.sampling.chain import draw, pairs, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory import elbo, gaussian
from diffusion_lab.theory import parameterization as convert
from diffusion_lab.theory.forward import q_sample, q_step
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var
from diffusion_lab.theory.schedule import Schedule, at, cosine, linear

S = linear(10)
X = torch.zeros(3, 2)
FIVE = torch.tensor([5, 5, 5])
MIXTURE = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0])
POINTS = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [0.0, 0.0])
DENOISER = MIXTURE.denoiser(S)


TWO = [[0.0, 0.0], [1.0, 0.0]]


def mixture(weight, mean, var):
    guard.check_mixture(*(torch.tensor(table, dtype=torch.float64) for table in (weight, mean, var)))


GUARDS = [  # what is called, what it is given, and words that its message must have
    (guard.require, (False, "what is allowed"), "what is allowed"),
    (lambda a, b: guard.same_shape(x_0=a, eps=b), (X, X[:, :1]), "the same shape, but got x_0 (3, 2), eps (3, 1)"),
    *((guard.check_times, (t, 10), f"must be an int or an int64 tensor, but got {words}") for t, words in (
        (3.0, "3.0"), (True, "True"), ([1, 2], "[1, 2]"), (FIVE.int(), "a tensor of torch.int32"))),
    (guard.check_times, (0, 10, 1), "times must lie within 1…10, but got 0"),
    (guard.check_times, (torch.tensor([1, 11]), 10), "within 0…10, but got [1, 11]"),
    (guard.check_times, (FIVE[:2], 10, 0, X), "a time for each example (3), but its shape is (2,)"),
    (guard.check_times, (FIVE[:, None], 10, 0, X), "but its shape is (3, 1)"),
    (guard.check_data, (X.long(),), "a floating-point tensor of shape (n, …), but got a tensor of torch.int64, (3, 2)"),
    (guard.check_data, (torch.tensor(1.0),), "but got a tensor of torch.float32, ()"),
    (guard.check_data, ([0.5],), "but got list"),
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
        0.0, math.nan, math.inf, torch.tensor([1.0, -1.0]))),
    *((guard.check_label, (label, 2), f"one label for each example (2), but got {words}") for label, words in (
        ("7", "'7'"), (7.0, "7.0"), (True, "True"), (FIVE, "a tensor of torch.int64, (3,)"))),
    (guard.check_no_label, (0,), "knows no labels; leave label out (it was 0)"),
    *((guard.check_pixels, (torch.tensor([x]),), "8-bit pixels") for x in (0.1234, 1.5, -1 - 2 / 255)),
    (guard.check_points, (X, 3), "points must have shape (n, 3), but got (3, 2)"),
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
        ("shape (1,)", [0.0]), ("shape ()", 0.1), ("shape (1, 2)", [[0.0, 0.1]]))),
    (posterior_mean, (X, X, 5, S, 5), "earlier time"), (posterior_var, (5, S, 5), "earlier time"),
    (reverse_var, (5, S, "small", 5), "earlier time"), (reverse_var, (5, S, 1.1), "from 0 to 1, but got 1.1"),
    (reverse_var, (5, S, "beta"), "variance must be one of 'small', 'large', but got 'beta'"),
    (gaussian.log_prob, (0.0, 0.0, 0.0), "var must be"), (gaussian.product, (0.0, 0.0, 0.0, 1.0), "var_1 must be"),
    (gaussian.product, (0.0, 1.0, 0.0, 0.0), "var_2 must be"), (gaussian.kl, (0.0, 0.0, 0.0, 1.0), "var_p must be"),
    (gaussian.kl, (0.0, 1.0, 0.0, 0.0), "var_q must be"), (GaussianMixture, ([1.0], [[0.0]], [-1.0]), "not negative"),
    (GaussianMixture, ([1.0], [[0.0]], [[[-1.0]]]), "no negative eigenvalue"),
    (MIXTURE.log_prob, (torch.zeros(5, 3),), "shape (n, 2)"), (MIXTURE.score, (torch.zeros(2),), "shape (n, 2)"),
    (POINTS.log_prob, (X,), "no density"), (POINTS.score, (X,), "no density"),
    (MIXTURE.marginal, (FIVE, S), "one time, an int"), (MIXTURE.marginal, (11, S), "0…10, but got 11"),
    (DENOISER, (X, 1, 7), "knows no labels"), (MLP(), (X, FIVE, FIVE), "knows no labels"),
    (elbo.kl_t, (X, X, 1, DENOISER), "2…10, but got 1"), (elbo.kl_t, (X, X, FIVE, DENOISER), "one time for all"),
    (elbo.nll_recon, (X, X, DENOISER, "small", "laplace"), "'gaussian', 'discretised', but got 'laplace'"),
    (elbo.nll_recon, (X, X[:2], DENOISER), "same shape"), (elbo.decoder_var, (S, "tiny"), "'small', 'large'"),
    (elbo.nll_recon, (X + 0.1234, X, DENOISER, "small", "discretised"), "8-bit pixels"),
    (elbo.decoder_var, (Schedule([0.0, 0.5]),), "at least 2 steps, but the schedule has T = 1"),
    (as_denoiser, (MLP(), S, "noise"), "predicts must be one of 'eps', 'v', 'score', 'x_0', but got 'noise'"),
    (as_denoiser(MLP(), S), (X, 5, FIVE[:2]), "one label for each example (3)"),
    (guided, (DENOISER, -0.1), "guidance_weight must be a finite number of at least 0, but got -0.1"),
    (spaced, (10, 11), "T = 10 times has at most 10 steps, but got n = 11"), (spaced, (10, 0), "n must be"),
    *((pairs, (times, 10), f"in a list, falling strictly, within 1…10, but got {times}") for times in (
        [], 5, [3, 3], [3, 4], [4, 0], [11, 3], [4.0, 2.5], [True], [[4, 2]])),
    *((draw, (DENOISER, labels, ddim), "labels must be int64, shape (n,)") for labels in (3, FIVE[:0], torch.ones(3))),
    *((time_embedding, (t, dim), f"shape (n,) and dim be even, but got {tuple(t.shape)} and {dim}") for t, dim in (
        (torch.tensor(3), 8), (FIVE, 7), (FIVE, 0))),
    *((UNet(8, 8), (torch.zeros(3, 1, 28, 28), FIVE, label), "0…9 (10 means any class)") for label in (-1, 11)),
    *((cloud, (n,), f"a whole number of at least 2, but got {n!r}") for n in (1, 2.0, True)
      for cloud in (two_moons, swiss_roll, ring_of_gaussians)),
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
    def network(x_t, t, label):
        raise AssertionError

    denoiser = as_denoiser(network, S)
    refused(denoiser, (X, 11), "1…10")
    refused(denoiser, (X, 5, "7"), "label")
    refused(lambda: next(ddim(denoiser, X, eta=1.1)), (), "eta must be a finite number from 0 to 1, but got 1.1")
    refused(lambda: next(ddpm(denoiser, X, variance="beta")), (), "'small', 'large', but got 'beta'")
    refused(lambda: guided(denoiser, math.nan), (), "guidance_weight")
