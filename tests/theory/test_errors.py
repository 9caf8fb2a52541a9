"""Bad input is refused with a ValueError that says what was given and what is allowed."""

import math

import pytest
import torch

from diffusion_lab.theory import parameterization as convert
from diffusion_lab.theory.forward import q_sample, q_step
from diffusion_lab.theory.gaussian import kl, log_prob, product
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.posterior import posterior_mean, posterior_var, reverse_var
from diffusion_lab.theory.schedule import Schedule, at, cosine, linear

S = linear(10)
X = torch.zeros(3, 2)
KERNELS = {"q_sample": (q_sample, 0), "q_step": (q_step, 1)}  # name: (function, smallest t)
CONVERSIONS = {
    name: (getattr(convert, name), 0 if name.startswith("x_0_from") else 1)
    for name in ("x_0_from_eps", "x_0_from_v", "x_0_from_score", "eps_from_x_0", "v_from_x_0", "score_from_x_0")
}
FOUR = {name: (lambda x, t, y, s, f=f: f(x, t, y, s), first) for name, (f, first) in KERNELS.items()} | {
    name: (lambda x, t, y, s, f=f: f(x, y, t, s), first) for name, (f, first) in CONVERSIONS.items()} | {
    "posterior_mean": (lambda x, t, y, s: posterior_mean(y, x, t, s), 1),
    "mixture's denoiser": (lambda x, t, y, s: same(x, y, MIXTURE.denoiser(s)(x, t)), 1),
    "network's denoiser": (lambda x, t, y, s: convert.as_denoiser(lambda x_t, times, label: y, s)(x, t), 1),
}
MIXTURE = GaussianMixture([0.5, 0.5], [[0.0, 0.0], [1.0, 1.0]], [1.0, 1.0])
functions = pytest.mark.parametrize(("function", "first"), FOUR.values(), ids=FOUR)


def same(x, y, answer):
    """The answer of a function that takes no y."""
    if x.shape != y.shape:
        raise ValueError("same shape, but got")
    return answer


def refused(function, *words):
    """The message, after it was found to contain all the words."""
    with pytest.raises(ValueError, match=".") as caught:
        function()
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in {caught.value}"


@functions
def test_times_out_of_range(function, first):
    for t in (first - 1, 11, torch.tensor([1, 11, 3]), torch.tensor([1, first - 1, 3])):
        refused(lambda t=t: function(X, t, X, S), f"t must lie within {first}…10",
                f"but got {t.tolist() if torch.is_tensor(t) else t}")
    for t in (first, 10, torch.tensor([first, 5, 10])):
        assert function(X, t, X, S).shape == X.shape, "the ends are allowed"


@functions
@pytest.mark.parametrize(("t", "given"), [
    (3.0, "3.0"), (True, "True"), ("3", "'3'"), (None, "None"), ([1, 2, 3], "[1, 2, 3]"),
    (torch.tensor([1.0, 2.0, 3.0]), "a tensor of torch.float32"),
    (torch.tensor([1, 2, 3], dtype=torch.int32), "a tensor of torch.int32"),
], ids=str)
def test_times_that_are_no_whole_numbers(function, first, t, given):
    refused(lambda: function(X, t, X, S), "t must be an int or an int64 tensor", f"but got {given}")


@functions
@pytest.mark.parametrize("shape", [(2,), (3, 1), (1,)])
def test_times_that_do_not_fit_the_examples(function, first, shape):
    t = torch.ones(shape, dtype=torch.int64)
    refused(lambda: function(X, t, X, S), "a time for each example (3)", f"shape is {tuple(shape)}")


@functions
def test_shapes_that_differ(function, first):
    """(3, 2) and (3, 1) would broadcast, and hide the mistake."""
    refused(lambda: function(X, 1, X[:, :1], S), "same shape", "but got")


@pytest.mark.parametrize(("function", "names"), [
    (lambda a, b: q_sample(a, 1, b, S), ("x_0", "eps")), (lambda a, b: q_step(a, 1, b, S), ("x_s", "eps")),
    (lambda a, b: posterior_mean(a, b, 1, S), ("x_0", "x_t")),
    (lambda a, b: convert.x_0_from_eps(a, b, 1, S), ("x_t", "eps")),
    (lambda a, b: convert.x_0_from_v(a, b, 1, S), ("x_t", "v")),
    (lambda a, b: convert.x_0_from_score(a, b, 1, S), ("x_t", "score")),
    (lambda a, b: convert.eps_from_x_0(a, b, 1, S), ("x_t", "x_0")),
    (lambda a, b: convert.as_denoiser(lambda x_t, t, label: b, S)(a, 1), ("x_t", "output")),
    (lambda a, b: convert.as_denoiser(lambda x_t, t, label: b, S, "x_0")(a, 1), ("x_t", "output")),
])
def test_shapes_that_differ_are_named(function, names):
    refused(lambda: function(X, X[:, :1]), f"{names[0]} (3, 2), {names[1]} (3, 1)")


@functions
def test_data_that_is_not_floating_point(function, first):
    refused(lambda: function(X.long(), 1, X.long(), S), "floating-point", "but got torch.int64")


@pytest.mark.parametrize("function", [FOUR[name][0] for name in (*KERNELS, *CONVERSIONS, "posterior_mean")])
def test_data_without_examples(function):
    one = torch.tensor(1.0)
    for t in (1, torch.tensor([1])):
        refused(lambda t=t: function(one, t, one, S), "a first axis that counts examples")


@pytest.mark.parametrize("T", [0, -1, 2.5, 10.0, True, "10", None, float("nan")])
@pytest.mark.parametrize("make", [linear, cosine])
def test_lengths_of_chains(make, T):
    refused(lambda: make(T), "T must be a whole number of at least 1", f"but got {T!r}")


@pytest.mark.parametrize(("beta", "words"), [
    ([0.0, 0.1, math.nan], "beta[2] is nan"),
    ([0.0, 0.1, 0.2, 1.0], "beta[3] is 1.0"),
    ([0.0, 0.0, 0.2], "beta[1] is 0.0"),
    ([0.0, -0.1], "beta[1] is -0.1"),
    ([0.0, math.inf], "beta[1] is inf"),
    ([0.1, 0.2], "beta[0] must be 0 (time 0 is the data, no noise yet), but got 0.1"),
    ([math.nan, 0.2], "beta[0] must be 0"),
    ([0.0], "but got shape (1,)"),
    ([], "but got shape (0,)"),
    ([[0.0, 0.1]], "but got shape (1, 2)"),
    (0.1, "but got shape ()"),
])
def test_tables_of_beta(beta, words):
    allowed = "(T+1,)" if "shape" in words else "beta[0] must be 0" if "beta[0]" in words else "between 0 and 1"
    refused(lambda: Schedule(torch.tensor(beta)), words[:14], allowed)
    refused(lambda: Schedule(torch.tensor(beta, dtype=torch.float64)), words, allowed)


@pytest.mark.parametrize("function", [lambda t, s: posterior_mean(X, X, t, S, s), lambda t, s: posterior_var(t, S, s),
                                      lambda t, s: reverse_var(t, S, "small", s)],
                         ids=["posterior_mean", "posterior_var", "reverse_var"])
def test_steps_that_do_not_go_back(function):
    five = torch.tensor([5, 5, 5])
    for t, s in ((5, 5), (5, 6), (5, -1), (five, torch.tensor([4, 5, 0])), (five, torch.tensor([4, -1, 0])), (five, 7)):
        given = [value.tolist() if torch.is_tensor(value) else value for value in (t, s)]
        refused(lambda t=t, s=s: function(t, s), "0 <= s < t", f"but got t = {given[0]} and s = {given[1]}")
    refused(lambda: function(five, torch.tensor([1, 2])), "s and t must have the same shape", "(2,) and (3,)")
    for s, given in ((2.0, "2.0"), (True, "True"), ("2", "'2'"), (torch.tensor([1.0, 2.0]), "tensor([1., 2.])")):
        refused(lambda s=s: function(5, s), "s must be an int or an int64 tensor", f"but got {given}")
    for t in (0, 11):
        refused(lambda t=t: function(t, None), "t must lie within 1…10", f"but got {t}")
    refused(lambda: function(2.0, None), "t must be an int or an int64 tensor, but got 2.0")
    refused(lambda: function(2.0, 1), "t must be an int or an int64 tensor, but got 2.0")


@pytest.mark.parametrize("variance", ["beta", "SMALL", "", -0.1, 1.1, math.nan, None, True, torch.tensor(0.5)])
def test_words_for_the_variance(variance):
    refused(lambda: reverse_var(5, S, variance), 'variance must be "small", "large" or a number from 0 to 1',
            f"but got {variance!r}")


@pytest.mark.parametrize("predicts", ["epsilon", "x0", "noise", None, 1])
def test_words_for_what_a_network_predicts(predicts):
    refused(lambda: convert.as_denoiser(lambda x_t, t, label: x_t, S, predicts),
            "predicts must be one of 'eps', 'v', 'score', 'x_0'", f"but got {predicts!r}")


def test_a_bad_time_is_refused_before_the_network_runs():
    def network(x_t, t, label):
        raise AssertionError

    refused(lambda: convert.as_denoiser(network, S)(X, 11), "t must lie within 1…10, but got 11")


@pytest.mark.parametrize("label", [0, 3, "a cat", torch.tensor([1, 2, 3])], ids=str)
def test_labels_that_mean_nothing(label):
    refused(lambda: MIXTURE.denoiser(S)(X, 1, label), "knows no labels; leave label out", repr(label))


@pytest.mark.parametrize(("weight", "mean", "var", "words"), [
    ([0.5, 0.4], [[0.0], [1.0]], [1.0, 1.0], ["add up to 1", "they add up to 0.9"]),
    ([1.5, -0.5], [[0.0], [1.0]], [1.0, 1.0], ["positive", "the smallest is -0.5"]),
    ([math.nan, 1.0], [[0.0], [1.0]], [1.0, 1.0], ["positive", "nan"]),
    ([0.5, 0.5], [0.0, 1.0], [1.0, 1.0], ["weight (K,), mean (K, d) and var (K,)", "(2,), (2,) and (2,)"]),
    ([1.0], [[0.0], [1.0]], [1.0, 1.0], ["weight (K,)", "(1,), (2, 1) and (2,)"]),
    ([0.5, 0.5], [[0.0], [1.0]], 1.0, ["var (K,)", "(2,), (2, 1) and ()"]),
    ([0.5, 0.5], [[0.0], [1.0]], [[1.0], [1.0]], ["var (K,)", "(2, 1) and (2, 1)"]),
    ([], torch.zeros(0, 2), [], ["(0,), (0, 2) and (0,)"]),
    ([0.5, 0.5], [[0.0], [math.nan]], [1.0, 1.0], ["means must be finite", "mean[1]", "nan"]),
    ([0.5, 0.5], [[0.0], [1.0]], [1.0, -1.0], ["variances must be finite and not negative", "var[1] is -1.0"]),
    ([0.5, 0.5], [[0.0], [1.0]], [math.nan, 1.0], ["variances must be", "var[0] is nan"]),
    ([0.5, 0.5], [[0.0], [1.0]], [math.inf, 1.0], ["variances must be finite", "var[0] is inf"]),
])
def test_tables_of_a_mixture(weight, mean, var, words):
    refused(lambda: GaussianMixture(weight, mean, var), *words)


@pytest.mark.parametrize("function", [MIXTURE.log_prob, MIXTURE.score, MIXTURE.log_joint,
                                      lambda x: MIXTURE.denoiser(S)(x, 1)])
def test_points_of_another_dimension(function):
    refused(lambda: function(torch.zeros(5, 3)), "points must have shape (n, 2)", "but got (5, 3)")


@pytest.mark.parametrize("function", [MIXTURE.log_prob, MIXTURE.score])
def test_points_that_are_no_table(function):
    refused(lambda: function(torch.zeros(2)), "points must have shape (n, 2)", "but got (2,)")


@pytest.mark.parametrize("t", [-1, 11, 2.0])
def test_times_of_a_marginal(t):
    refused(lambda: MIXTURE.at(t, S), "t must", f"but got {t}")


@pytest.mark.parametrize("var", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize(("function", "name"), [
    (lambda var: log_prob(0.0, 0.0, var), "var"), (lambda var: product(0.0, var, 0.0, 1.0), "var_1"),
    (lambda var: product(0.0, 1.0, 0.0, var), "var_2"), (lambda var: kl(0.0, var, 0.0, 1.0), "var_p"),
    (lambda var: kl(0.0, 1.0, 0.0, var), "var_q"),
])
def test_variances(function, name, var):
    refused(lambda: function(var), f"{name} must be positive and finite", f"but got {var}")
    refused(lambda: function(torch.tensor([1.0, var])), f"{name} must be positive and finite", f"{var:g}")


def test_looking_up_without_data():
    assert at(S.beta, torch.tensor([[1, 2]])).shape == (1, 2)
    refused(lambda: at(S.beta, torch.tensor([[1, 12]])), "within 0…10, but got [[1, 12]]")
