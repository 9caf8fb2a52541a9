"""The loss is what its definition says, for each target, with times and dropped labels as they should be."""

import math

import pytest
import torch
from scipy import stats

from diffusion_lab.theory.schedule import cosine, linear
from diffusion_lab.training.objective import objective, spread_times, uniform_times

BOTH = pytest.mark.parametrize("times", [spread_times, uniform_times])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Fixed(torch.nn.Module):
    """A network that always answers the same, and notes what it was asked."""

    null_label = 10

    def __init__(self, answer=0.25):
        super().__init__()
        self.answer, self.calls = torch.nn.Parameter(torch.tensor(answer)), []

    def forward(self, x_t, t, label):
        self.calls.append((x_t, t, label))
        return self.answer.expand_as(x_t)


def batch(n=6, seed=5):
    return torch.rand(n, 1, 4, 4, generator=seeded(seed)) * 2 - 1, torch.arange(n) % 10


def by_hand(predicts, x_0, T, seed, times):
    """Loss, x_t and t from the definitions in float64, with a second generator that draws in the same order."""
    generator = seeded(seed)
    t = times(len(x_0), cosine(T), generator)
    eps = torch.randn(x_0.shape, generator=generator).double()
    loss, noisy = 0.0, []
    for x, e, time in zip(x_0.double(), eps, t.tolist()):
        signal, noise = ((math.cos((u + 0.008) / 1.008 * math.pi / 2)
                          / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2 for u in (time / T, 0))
        alpha_bar = signal / noise
        a, s = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
        target = {"eps": e, "x_0": x, "v": a * e - s * x}[predicts]
        noisy.append(a * x + s * e)
        loss += (0.25 - target).square().sum().item()
    return loss / x_0.numel(), torch.stack(noisy), t


@BOTH
@pytest.mark.parametrize("predicts", ["eps", "v", "x_0"])
@pytest.mark.parametrize("T", [20, 1000])
def test_loss_is_that_of_the_definitions(predicts, times, T):
    x_0, label = batch()
    network = Fixed()
    loss = objective(network, (x_0, label), seeded(3), cosine(T), predicts, times)
    [(x_t, t, _)] = network.calls
    expected, noisy, drawn = by_hand(predicts, x_0, T, 3, times)
    assert T not in drawn, "choose another seed: at T the schedule caps β, and this derivation does not"
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(x_t.double(), noisy, atol=1e-6)
    assert torch.equal(t, drawn)
    assert (loss.shape, loss.dtype, x_t.dtype, t.dtype) == ((), *[torch.float32] * 2, torch.int64)


def test_v_and_spread_times_and_a_tenth_dropped_unless_told():
    x_0, label = batch()
    chosen = objective(Fixed(), (x_0, label), seeded(2), cosine(), "v", spread_times, 0.1)
    assert objective(Fixed(), (x_0, label), seeded(2), cosine()) == chosen


def test_loss_has_its_gradient():
    """d/da mean (a - target)² = 2 (a - mean target), and the mean target from the loss at two answers."""
    x_0, label = batch()
    losses = []
    for answer in (0.25, 1.25):
        network = Fixed(answer)
        loss = objective(network, (x_0, label), seeded(3), cosine())
        loss.backward()
        losses.append((loss.item(), network.answer.grad.item()))
    (low, slope), (high, _) = losses
    assert slope == pytest.approx(high - low - 1, rel=1e-4)


def test_pixels_and_images_count_alike():
    x_0, label = batch(2)
    wide = objective(Fixed(0.0), (x_0.reshape(2, 16), label), seeded(4), linear(50), "x_0")
    assert wide.item() == pytest.approx(x_0.square().mean().item(), rel=1e-6)


@BOTH
@pytest.mark.parametrize(("n", "T"), [(1, 1), (4, 10), (64, 1000), (7, 10), (13, 5), (1000, 1000)])
@pytest.mark.parametrize("schedule", [cosine, linear])
def test_times_lie_on_the_chain(times, n, T, schedule):
    drawn = torch.cat([times(n, schedule(T), seeded(seed)) for seed in range(40)])
    assert drawn.dtype == torch.int64
    assert len(drawn) == 40 * n
    assert drawn.min() >= 1
    assert drawn.max() <= T
    if n * 40 > 20 * T:
        assert set(drawn.tolist()) == set(range(1, T + 1)), "both ends are visited"


@BOTH
def test_each_time_alone_is_uniform(times):
    """Chi-square for every place in the batch: all of 1…T as often as each other."""
    T, n, draws = 10, 7, 4000
    generator = seeded(0)
    drawn = torch.stack([times(n, cosine(T), generator) for _ in range(draws)])
    for place in range(n):
        counts = torch.bincount(drawn[:, place], minlength=T + 1)[1:]
        assert stats.chisquare(counts.numpy()).pvalue > 1e-4, place


def test_uniform_times_are_drawn_one_by_one():
    """No two places depend on each other: their sum has the variance of independent draws, n (T²-1)/12."""
    generator, n, T, draws = seeded(1), 8, 20, 4000
    sums = torch.stack([uniform_times(n, cosine(T), generator) for _ in range(draws)]).double().sum(1)
    expected = n * (T**2 - 1) / 12
    assert abs(sums.var().item() - expected) < 5 * expected * (2 / draws) ** 0.5


@pytest.mark.parametrize(("n", "T"), [(4, 20), (10, 1000), (125, 1000), (20, 20), (1, 9)])
def test_spread_times_fall_once_in_each_part(n, T):
    for seed in range(30):
        parts = (spread_times(n, cosine(T), seeded(seed)) - 1) // (T // n)
        assert sorted(parts.tolist()) == list(range(n))


@pytest.mark.parametrize(("n", "T"), [(64, 1000), (7, 10), (3, 1000)])
def test_spread_times_are_as_far_apart_as_they_can_be(n, T):
    """Round the chain, neighbours are ⌊T/n⌋ or ⌈T/n⌉ apart, where T is no multiple of n."""
    for seed in range(30):
        t = spread_times(n, cosine(T), seeded(seed)).sort().values
        apart = torch.cat([t.diff(), t[:1] + T - t[-1:]])
        assert set(apart.tolist()) <= {T // n, -(-T // n)}


def test_spread_times_depend_on_one_draw():
    generator, alone = seeded(6), seeded(6)
    spread_times(50, cosine(), generator)
    torch.rand(1, generator=alone, dtype=torch.float64)
    assert torch.equal(generator.get_state(), alone.get_state())


@pytest.mark.parametrize("drop", [0.1, 0.5])
def test_labels_are_dropped_as_often_as_asked_and_only_to_the_null_label(drop):
    n = 5000
    network, label = Fixed(), torch.arange(n) % 10
    kept = label.clone()
    objective(network, (torch.zeros(n, 1), label), seeded(7), cosine(), drop=drop)
    given = network.calls[0][2]
    changed = given != label
    assert set(given[changed].tolist()) == {10}
    assert abs(changed.sum().item() - n * drop) < 5 * (n * drop * (1 - drop)) ** 0.5
    assert torch.equal(label, kept), "the caller's labels are left alone"
    of_each = torch.bincount(label[changed], minlength=10)
    assert stats.chisquare(of_each.numpy()).pvalue > 1e-4, "no class is dropped more than another"


@pytest.mark.parametrize(("drop", "expected"), [(0, list(range(6))), (1, [10] * 6)])
def test_none_or_all_dropped(drop, expected):
    network = Fixed()
    for seed in range(20):
        objective(network, batch(), seeded(seed), cosine(), drop=drop)
        assert network.calls[-1][2].tolist() == expected


@pytest.mark.parametrize("predicts", ["score", "epsilon", "V", None])
def test_other_targets_are_refused_before_the_network_runs(predicts):
    network = Fixed()
    with pytest.raises(ValueError, match="predicts must be one of 'eps', 'v', 'x_0', but got"):
        objective(network, batch(), seeded(), cosine(), predicts)
    assert network.calls == []


@pytest.mark.parametrize("drop", [-0.1, 1.1, math.nan])
def test_a_drop_that_is_no_share_is_refused(drop):
    with pytest.raises(ValueError, match="drop must be a finite number from 0 to 1, but got"):
        objective(Fixed(), batch(), seeded(), cosine(), drop=drop)


def test_labels_and_answers_that_would_broadcast_are_refused():
    x_0, label = batch()
    with pytest.raises(ValueError, match=r"one label for each example, \(6,\), but got torch.int64, \(6, 1\)"):
        objective(Fixed(), (x_0, label[:, None]), seeded(), cosine())
    network = Fixed()
    network.forward = lambda x_t, t, label: x_t[:, :, :1]
    with pytest.raises(ValueError, match=r"same shape, but got answer \(6, 1, 1, 4\), target \(6, 1, 4, 4\)"):
        objective(network, (x_0, label), seeded(), cosine())


def test_a_seed_fixes_the_loss_and_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    losses = [objective(Fixed(), batch(), seeded(seed), cosine()).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), state)
