"""The loop does what the recipe says: rates, order of the data, average, clipping; and it learns."""

import copy
import math
from itertools import islice

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.networks.unet import UNet
from diffusion_lab.training import loop
from diffusion_lab.training.loop import (
    Progress,
    Recipe,
    Run,
    batch_at,
    optimizers,
    rate,
    start,
    train,
    update_average,
)


def small():
    return UNet(fine=8, coarse=8, dim=8)


def digits(n=16):
    images, labels = load_digits("train")
    return images[:n], labels[:n]


def weights(network):
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


@pytest.mark.parametrize("steps", [50, 600, 7000])
def test_rate_rises_in_a_line_and_falls_as_half_a_cosine(steps):
    """The cosine by its half-angle: ½(1 + cos x) = cos² x/2."""
    recipe = Recipe(steps=steps, warm_up=50)
    for step in range(steps):
        expected = min((step + 1) / 50, 1) * math.cos(math.pi * step / (2 * steps)) ** 2
        assert rate(step, recipe) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert rate(0, recipe) == pytest.approx(1 / 50)
    assert 0 < rate(steps - 1, recipe) < 3e-3
    assert max(rate(step, recipe) for step in range(steps)) <= 1
    assert all(rate(step + 1, recipe) < rate(step, recipe) for step in range(49, steps - 1))


@pytest.mark.parametrize(("n", "batch"), [(12, 4), (14, 4), (5, 5), (7, 1)])
def test_an_epoch_shows_no_image_twice_and_the_next_another_order(n, batch):
    recipe, places = Recipe(batch=batch, seed=2), n // batch
    epochs = []
    for epoch in range(6):
        steps = [batch_at(epoch * places + place, n, recipe) for place in range(places)]
        assert all(index.shape == (batch,) and index.dtype == torch.int64 for index in steps)
        epochs.append(torch.cat(steps).tolist())
        assert len(set(epochs[-1])) == places * batch
        assert set(epochs[-1]) <= set(range(n))
    assert len({tuple(epoch) for epoch in epochs}) == 6
    if n % batch:
        assert set().union(*epochs) == set(range(n)), "what one epoch leaves out, others show"


def test_the_order_depends_on_step_and_seed_alone():
    recipe = Recipe(batch=8, seed=5)
    state = torch.get_rng_state()
    assert torch.equal(batch_at(130, 50, recipe), batch_at(130, 50, recipe))
    assert torch.equal(torch.get_rng_state(), state)
    other = Recipe(batch=8, seed=6)
    assert not any(torch.equal(batch_at(k, 50, recipe), batch_at(k, 50, other)) for k in range(60))


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
    run = start(Recipe(steps=4, batch=4), small)
    expected = copy.deepcopy(run.network)
    for progress in train(run, *digits()):
        update_average(expected, run.network, progress.step - 1, 0.99)
        assert torch.allclose(weights(run.average), weights(expected), atol=1e-7)
    assert not torch.equal(weights(run.average), weights(run.network))
    assert not any(weight.requires_grad for weight in run.average.parameters())


@pytest.mark.parametrize("build", [UNet, small])
def test_each_parameter_is_in_one_optimizer(build):
    network = build()
    muon, adam = optimizers(network, Recipe())
    held = [id(weight) for optimizer in (muon, adam) for group in optimizer.param_groups
            for weight in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(weight) for weight in network.parameters()}
    of_muon = {id(weight) for weight in muon.param_groups[0]["params"]}
    names = {name for name, weight in network.named_parameters() if id(weight) in of_muon}
    assert all(weight.ndim > 1 for weight in muon.param_groups[0]["params"])
    assert {"middle.conv_1.weight", "attention.to_qkv.weight", "condition.time.0.weight"} <= names
    assert not {"enter.weight", "leave.2.weight", "condition.label.weight"} & names


def test_every_parameter_learns():
    """Four steps: the blocks that end in zeros get a gradient only after the first."""
    run = start(Recipe(steps=4, batch=8), small)
    before = {name: weight.detach().clone() for name, weight in run.network.named_parameters()}
    list(train(run, *digits()))
    for name, weight in run.network.named_parameters():
        assert not torch.equal(weight, before[name]), name
        assert weight.grad is None, "no gradient is carried into the next step"


def test_the_rates_of_a_step_are_its_share_of_the_peaks():
    run = start(Recipe(steps=5, batch=4, lr=0.3, lr_rest=0.07), small)
    for progress in train(run, *digits()):
        assert progress.rate == rate(progress.step - 1, run.recipe)
        shares = [optimizer.param_groups[0]["lr"] for optimizer in run.optimizers]
        assert shares == pytest.approx([0.3 * progress.rate, 0.07 * progress.rate])


def test_a_steep_loss_is_clipped(monkeypatch):
    """The loss times 1e4 is reported with its gradient's length, but what the optimizers get has length 1."""
    lengths, real = [], loop.objective
    monkeypatch.setattr(loop, "objective", lambda *arguments: 1e4 * real(*arguments))
    run = start(Recipe(steps=3, batch=4), small)
    # the first optimizer to step sees all gradients; each clears its own after its step
    monkeypatch.setattr(run.optimizers[0], "step", lambda: lengths.append(torch.cat(
        [weight.grad.flatten() for weight in run.network.parameters()]).norm().item()))
    progress = list(train(run, *digits()))
    assert all(done.gradient_norm > 100 for done in progress)
    assert lengths == pytest.approx([1, 1, 1], rel=1e-3)


def test_a_small_gradient_is_left_as_it_is(monkeypatch):
    lengths, real = [], loop.objective
    monkeypatch.setattr(loop, "objective", lambda *arguments: 1e-3 * real(*arguments))
    run = start(Recipe(steps=1, batch=4), small)
    # the first optimizer to step sees all gradients; each clears its own after its step
    monkeypatch.setattr(run.optimizers[0], "step", lambda: lengths.append(torch.cat(
        [weight.grad.flatten() for weight in run.network.parameters()]).norm().item()))
    [progress] = train(run, *digits())
    assert progress.gradient_norm < 1
    assert lengths == pytest.approx([progress.gradient_norm], rel=1e-4)


def test_the_loss_falls():
    """At the start v̂ = 0, and the loss is E v² = E[ᾱ + (1-ᾱ) x_0²]; sixteen images are then soon learned."""
    images, labels = digits()
    run = start(Recipe(steps=300, batch=16, seed=1), small)
    losses = [progress.loss for progress in train(run, images, labels)]
    alpha_bar = loop.cosine().alpha_bar[1:].mean().item()
    assert losses[0] == pytest.approx(alpha_bar + (1 - alpha_bar) * images.square().mean().item(), rel=0.15)
    assert sum(losses[-10:]) / 10 < 0.4 * losses[0]


def test_each_step_is_reported_and_the_run_is_up_to_date():
    run = start(Recipe(steps=6, batch=4), small)
    steps = []
    for progress in train(run, *digits()):
        assert isinstance(progress, Progress)
        assert run.step == progress.step
        assert all(math.isfinite(number) for number in progress)
        steps.append(progress.step)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert list(train(run, *digits())) == [], "it has come to its end"


@pytest.mark.parametrize("augment", [0.0, 0.5, 1.0])
def test_a_run_that_is_left_and_taken_up_again_is_the_same(augment):
    recipe, data = Recipe(steps=6, batch=4, augment=augment), digits(8)
    whole, parts = start(recipe, small), start(recipe, small)
    expected, found = list(train(whole, *data)), []
    for count in (1, 2, 3):
        found += islice(train(parts, *data), count)
    assert found == expected
    assert torch.equal(weights(parts.network), weights(whole.network))
    assert torch.equal(weights(parts.average), weights(whole.average))


def test_a_seed_fixes_a_run_and_the_global_generator_is_left_alone():
    ends, state = [], torch.get_rng_state()
    for seed in (4, 4, 5):
        run = start(Recipe(steps=3, batch=4, augment=0.5, seed=seed), small)
        list(train(run, *digits()))
        ends.append(weights(run.network))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(*(weights(start(Recipe(seed=seed), small).network) for seed in (4, 5)))


def test_the_share_of_images_that_are_augmented(monkeypatch):
    """What reaches the loss: the image as it is, or one that `augmented` gave (here: white)."""
    shares, images = [], torch.full((400, 1, 28, 28), -1.0)

    def white(x, generator, strength):
        return torch.ones_like(x)

    def look(network, x_0, *rest):
        flat = x_0.flatten(1)
        assert ((flat == 1).all(1) | (flat == -1).all(1)).all(), "an image is augmented as a whole"
        shares.append((flat == 1).all(1).double().mean().item())
        return sum(weight.square().sum() for weight in network.parameters())

    monkeypatch.setattr(loop, "augmented", white)
    monkeypatch.setattr(loop, "objective", look)
    for augment in (0.0, 0.3, 1.0):
        list(train(start(Recipe(steps=1, batch=400, augment=augment), small), images, torch.zeros(400)))
    none, some, every = shares
    assert (none, every) == (0, 1)
    assert abs(some - 0.3) < 5 * (0.3 * 0.7 / 400) ** 0.5


def test_an_image_keeps_its_label(monkeypatch):
    """Each image's pixels are its label here."""
    label = torch.arange(10)
    images = (label / 10.0).reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28)
    seen = []

    def look(network, x_0, label, *rest):
        assert torch.equal((10 * x_0[:, 0, 0, 0]).round().long(), label)
        seen.extend(label.tolist())
        return sum(weight.square().sum() for weight in network.parameters())

    monkeypatch.setattr(loop, "objective", look)
    list(train(start(Recipe(steps=4, batch=5), small), images, label))
    assert sorted(seen) == sorted([*range(10)] * 2)


def test_too_few_images_are_refused_at_the_first_step():
    run = start(Recipe(batch=17), small)
    steps = train(run, *digits(16))
    with pytest.raises(ValueError, match="one batch takes 17 images, but there are only 16"):
        next(steps)
    assert run.step == 0


@pytest.mark.parametrize(("changes", "words"), [
    ({"steps": 0}, "steps must be a whole number of at least 1, but got 0"),
    ({"warm_up": 0}, "warm_up must be a whole number of at least 1, but got 0"),
    ({"width": 0}, "width must be a whole number of at least 1, but got 0"),
    ({"width": 20}, "width must be a multiple of 8, but got 20"),
    ({"batch": 1.5}, "batch must be a whole number of at least 1, but got 1.5"),
    ({"augment": 1.1}, "augment must be a share, from 0 to 1, but got 1.1"),
    ({"augment": math.nan}, "augment must be a share, from 0 to 1, but got nan"),
    ({"decay": -0.1}, "decay must be a number from 0 to 1, but got -0.1"),
])
def test_a_recipe_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Run(Recipe(**changes), small())
