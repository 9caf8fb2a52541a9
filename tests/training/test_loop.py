"""The loop does what the recipe says: rates, average, clipping; it learns, and it stops when it diverges."""

import copy
import math
from functools import partial
from itertools import islice

import pytest
import torch
from torch.nn.functional import mse_loss

from diffusion_lab.data.digits import load_digits
from diffusion_lab.networks.mlp import MLP
from diffusion_lab.networks.unet import UNet
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training.average import update_average
from diffusion_lab.training.batches import batches_of
from diffusion_lab.training.loop import FACTS, Progress, optimizers, start, train
from diffusion_lab.training.objective import objective
from diffusion_lab.training.recipe import Recipe, rate

LOSS = partial(objective, schedule=cosine())


def small():
    return UNet(fine=8, coarse=8, dim=8)


def batches(recipe, n=16):
    images, labels = load_digits("train")
    return batches_of(images[:n], labels[:n], recipe)


def steps_of(run, loss=LOSS):
    return train(run, batches(run.recipe), loss)


def weights(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def test_the_average_is_the_weighted_sum_of_all_networks():
    """From the definition, unrolled: Σ_k (1 - d_k) Π_{j>k} d_j network_k + Π d_j first."""
    generator = torch.Generator().manual_seed(0)
    first, decay, steps = torch.nn.Linear(3, 2), 0.6, 16
    seen = [copy.deepcopy(first) for _ in range(steps)]
    for network in seen:
        for weight in network.parameters():
            weight.data = torch.randn(weight.shape, generator=generator)
    d = [min(decay, (1 + k) / (10 + k)) for k in range(steps)]
    assert d[0] == 0.1
    assert d[-1] == 0.6
    expected = math.prod(d) * weights(first).double()
    for k, network in enumerate(seen):
        expected += (1 - d[k]) * math.prod(d[k + 1:]) * weights(network).double()
    average = copy.deepcopy(first)
    for k, network in enumerate(seen):
        before = weights(network)
        update_average(average, network, k, decay)
        assert torch.equal(weights(network), before)
    assert torch.allclose(weights(average).double(), expected, atol=1e-6)


def test_train_averages_after_each_step():
    run = start(Recipe(steps=4, batch=4, decay=0.9), small)
    expected = copy.deepcopy(run.network)
    for progress in steps_of(run):
        update_average(expected, run.network, progress.step - 1, 0.9)
        assert torch.allclose(weights(run.average), weights(expected), atol=1e-7)
    assert not torch.equal(weights(run.average), weights(run.network))
    assert not any(weight.requires_grad for weight in run.average.parameters())


@pytest.mark.parametrize("build", [UNet, small, MLP])
def test_each_parameter_is_in_one_optimizer(build):
    network = build()
    muon, adam = optimizers(network, Recipe())
    held = [id(weight) for optimizer in (muon, adam) for weight in optimizer.param_groups[0]["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(weight) for weight in network.parameters()}
    assert all(weight.ndim > 1 for weight in muon.param_groups[0]["params"])
    assert (muon.defaults["lr"], adam.defaults["lr"], adam.defaults["betas"]) == (0.02, 6e-3, (0.9, 0.99))


def test_the_ends_that_the_network_names_are_not_for_muon():
    network = small()
    muon, adam = optimizers(network, Recipe())
    of_muon = {id(weight) for weight in muon.param_groups[0]["params"]}
    names = {name for name, weight in network.named_parameters() if id(weight) in of_muon}
    assert {"middle.conv_1.weight", "attention.to_qkv.weight", "condition.time.0.weight"} <= names
    assert not {"enter.weight", "leave.2.weight", "condition.label.weight"} & names
    network.ends = list
    assert {id(network.enter.weight), id(network.condition.label.weight)} <= {
        id(weight) for weight in optimizers(network, Recipe())[0].param_groups[0]["params"]}, "it asks the network"


def test_every_parameter_learns():
    """Four steps: the blocks that end in zeros get a gradient only after the first."""
    run = start(Recipe(steps=4, batch=8), small)
    before = {name: weight.detach().clone() for name, weight in run.network.named_parameters()}
    list(steps_of(run))
    for name, weight in run.network.named_parameters():
        assert not torch.equal(weight, before[name]), name
        assert weight.grad is None, "no gradient is carried into the next step"


def test_the_rates_of_a_step_are_its_share_of_the_peaks():
    run = start(Recipe(steps=5, batch=4, lr=0.3, lr_rest=0.07), small)
    for progress in steps_of(run):
        assert progress.rate == rate(progress.step - 1, run.recipe)
        shares = [optimizer.param_groups[0]["lr"] for optimizer in run.optimizers]
        assert shares == pytest.approx([0.3 * progress.rate, 0.07 * progress.rate])


@pytest.mark.parametrize("factor", [1e4, 1e-3])
def test_a_long_gradient_is_clipped_to_1_and_a_short_one_left_alone(monkeypatch, factor):
    """The first optimizer to step sees all gradients; each clears its own after its step."""
    lengths, run = [], start(Recipe(steps=3, batch=4), small)
    monkeypatch.setattr(run.optimizers[0], "step", lambda: lengths.append(torch.cat(
        [weight.grad.flatten() for weight in run.network.parameters()]).norm().item()))
    progress = list(steps_of(run, lambda *arguments: factor * LOSS(*arguments)))
    expected = [min(1, done.gradient_norm) for done in progress]
    assert lengths == pytest.approx(expected, rel=1e-3)
    assert (min(expected) == 1) == (factor > 1)


def test_the_loss_falls():
    """At the start v̂ = 0, and the loss is E v² = E[ᾱ + (1-ᾱ) x_0²]; sixteen images are then soon learned."""
    images, labels = load_digits("train")
    recipe = Recipe(steps=300, batch=16, seed=1)
    run = start(recipe, small)
    losses = [progress.loss for progress in train(run, batches_of(images[:16], labels[:16], recipe), LOSS)]
    alpha_bar = cosine().alpha_bar[1:].mean().item()
    expected = alpha_bar + (1 - alpha_bar) * images[:16].square().mean().item()
    assert losses[0] == pytest.approx(expected, rel=0.15)
    assert sum(losses[-10:]) / 10 < 0.4 * losses[0]


def test_another_network_and_loss_on_points_in_the_plane():
    """An MLP that learns to undo a rotation, from batches that are one tensor: the same loop."""
    def points(step):
        return (torch.randn(256, 2, generator=torch.Generator().manual_seed(step)),)

    def loss(network, batch, generator):
        [x] = batch
        t = torch.randint(1, 11, (len(x),), generator=generator)
        return mse_loss(network(x, t), x.flip(1))

    run = start(Recipe(steps=150, lr=0.02), partial(MLP, hidden=16, depth=2), data="points")
    losses = [progress.loss for progress in train(run, points, loss)]
    assert losses[-1] < 0.05 * losses[0]
    assert run.facts == FACTS | {"data": "points"}


def test_facts_that_are_none_are_refused():
    with pytest.raises(ValueError, match="the facts of a run are data, schedule, T, predicts, but got date"):
        start(Recipe(), small, date="mnist")


def test_each_step_is_reported_and_the_run_is_up_to_date():
    run = start(Recipe(steps=6, batch=4), small)
    steps = []
    for progress in steps_of(run):
        assert isinstance(progress, Progress)
        assert run.step == progress.step
        assert all(math.isfinite(number) for number in progress)
        steps.append(progress.step)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert list(steps_of(run)) == [], "it has come to its end"


@pytest.mark.parametrize("augment", [0.0, 0.5])
def test_a_run_that_is_left_and_taken_up_again_is_the_same(augment):
    recipe = Recipe(steps=6, batch=4, augment=augment)
    whole, parts = start(recipe, small), start(recipe, small)
    expected, found = list(steps_of(whole)), []
    for count in (1, 2, 3):
        found += islice(steps_of(parts), count)
    assert found == expected
    assert torch.equal(weights(parts.network), weights(whole.network))
    assert torch.equal(weights(parts.average), weights(whole.average))


def test_a_seed_fixes_a_run_and_the_global_generator_is_left_alone():
    ends, state = [], torch.get_rng_state()
    for seed in (4, 4, 5):
        run = start(Recipe(steps=3, batch=4, augment=0.5, seed=seed), small)
        list(steps_of(run))
        ends.append(weights(run.network))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(*(weights(start(Recipe(seed=seed), small).network) for seed in (4, 5)))


def test_a_loss_that_is_not_finite_stops_the_run_before_it_changes_a_weight():
    run = start(Recipe(steps=4, batch=4), small)
    factor = iter([1.0, 1.0, math.nan])
    steps = train(run, batches(run.recipe), lambda *arguments: next(factor) * LOSS(*arguments))
    list(islice(steps, 2))
    before = weights(run.network), weights(run.average)
    with pytest.raises(ValueError, match="diverged: at step 3 the loss is nan.*lower learning rate"):
        next(steps)
    assert run.step == 2
    assert torch.equal(weights(run.network), before[0])
    assert torch.equal(weights(run.average), before[1])


def test_a_gradient_that_is_not_finite_stops_it_too():
    """√x at 0 is finite, its slope is not."""
    run = start(Recipe(steps=2, batch=4), small)

    def steep(network, batch, generator):
        return LOSS(network, batch, generator) + (0 * network.enter.bias).sum().sqrt()

    with pytest.raises(ValueError, match="diverged: at step 1 the loss is [0-9.]*, the gradient's norm nan"):
        next(steps_of(run, steep))


def test_a_rate_that_is_far_too_high_ends_with_that_refusal():
    with pytest.raises(ValueError, match="diverged"):
        list(steps_of(start(Recipe(steps=20, batch=4, lr=1e30), small)))
