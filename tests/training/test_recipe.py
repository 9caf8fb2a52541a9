"""The recipe refuses what cannot be; rates and batches depend on recipe and step alone."""

import math

import pytest
import torch

from diffusion_lab.training import batches
from diffusion_lab.training.batches import batch_at, batches_of
from diffusion_lab.training.recipe import Recipe, rate

NAN = math.nan


@pytest.mark.parametrize(("changes", "words"), [
    ({"steps": 0}, "steps must be a whole number, at least 1, but got 0"),
    ({"batch": 1.5}, "batch must be a whole number, at least 1, but got 1.5"),
    ({"warm_up": 0}, "warm_up must be a whole number, at least 1, but got 0"),
    ({"width": 20}, "width must be a whole number, a multiple of 8, at least 8, but got 20"),
    ({"width": 0}, "width must be"),
    ({"lr": NAN}, "lr must be a finite number, but got nan"),
    ({"lr": math.inf}, "lr must be a finite number, but got inf"),
    ({"lr": -1.0}, "lr must be positive and finite, but got -1.0"),
    ({"lr_rest": 0.0}, "lr_rest must be positive and finite, but got 0.0"),
    ({"augment": 1.1}, "augment must be a finite number from 0 to 1, but got 1.1"),
    ({"augment": NAN}, "augment must be a finite number from 0 to 1, but got nan"),
    ({"decay": -0.1}, "decay must be a finite number from 0 to 1, but got -0.1"),
    ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, but got -1"),
    ({"seed": 2**32}, "seed must be a whole number from 0 to 4294967295"),
    ({"seed": 1.0}, "seed must be a whole number from 0 to 4294967295, but got 1.0"),
])
def test_a_recipe_that_cannot_be_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        Recipe(**changes)


def test_the_defaults_and_the_limits_can_be():
    assert Recipe() == Recipe(1400, 32, 32, 0.02, 6e-3, 20, 0.99, 0.0, 0), "as lesson 07 explains them"
    Recipe(steps=1, batch=1, width=8, warm_up=1, decay=0.0, augment=1.0, seed=2**32 - 1)


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


def some_images(n=12):
    """Each image's pixels are its label here."""
    label = torch.arange(n)
    return (label / n).reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28), label


@pytest.mark.parametrize("augment", [0.0, 0.5, 1.0])
def test_a_batch_depends_on_step_and_seed_alone(augment):
    state = torch.get_rng_state()
    recipe, other = (Recipe(batch=4, seed=seed, augment=augment) for seed in (5, 6))
    batch = batches_of(*some_images(), recipe)
    seen = [batch(step) for step in range(30)]
    assert all(torch.equal(a, b) for step in (29, 3, 17) for a, b in zip(batch(step), seen[step]))
    assert torch.equal(torch.get_rng_state(), state)
    differ = [not torch.equal(a, b) for step in range(30)
              for a, b in [(seen[step][0], batches_of(*some_images(), other)(step)[0])]]
    assert all(differ)


def test_an_image_keeps_its_label():
    for x_0, label in map(batches_of(*some_images(), Recipe(batch=6)), range(4)):
        assert torch.equal((12 * x_0[:, 0, 3, 5]).round().long(), label)


def test_the_share_of_images_that_are_shifted(monkeypatch):
    """An image as it is (black), or as a whole one that `shifted` gave (here: white); fresh ones at each step."""
    monkeypatch.setattr(batches, "shifted", lambda x, generator: torch.ones_like(x))
    images, shares, chosen = torch.full((400, 1, 28, 28), -1.0), [], []
    for augment in (0.0, 0.3, 1.0):
        batch = batches_of(images, torch.zeros(400).long(), Recipe(batch=400, augment=augment))
        flat = [batch(step)[0].flatten(1) for step in range(2)]
        assert all(((x == 1).all(1) | (x == -1).all(1)).all() for x in flat)
        shares.append((flat[0] == 1).all(1).double().mean().item())
        chosen.append([x[:, 0] for x in flat])
    none, some, every = shares
    assert (none, every) == (0, 1)
    assert abs(some - 0.3) < 5 * (0.3 * 0.7 / 400) ** 0.5
    assert not torch.equal(*chosen[1])


def test_too_few_images_or_labels_are_refused():
    with pytest.raises(ValueError, match="one batch takes 17 images, but there are only 16"):
        batches_of(*some_images(16), Recipe(batch=17))
    with pytest.raises(ValueError, match=r"one label for each example, \(12,\), but got torch.int64, \(11,\)"):
        batches_of(some_images(12)[0], torch.arange(11), Recipe(batch=2))
