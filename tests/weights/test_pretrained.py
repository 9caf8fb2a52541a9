"""Weights are loaded as the network that their facts name; what is damaged or unknown is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from diffusion_lab.data.digits import load_digits
from diffusion_lab.evaluation.distances import label_accuracy
from diffusion_lab.evaluation.judge import load_judge
from diffusion_lab.evaluation.strokes import slant, thickness
from diffusion_lab.networks.mlp import MLP
from diffusion_lab.networks.styled import both
from diffusion_lab.networks.unet import UNet
from diffusion_lab.results import files as results
from diffusion_lab.sampling.chain import draw, spaced_in_log_snr
from diffusion_lab.sampling.dpm_solver import dpm_solver
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.theory.schedule import linear
from diffusion_lab.training.loop import start
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.training.runs import save_run
from diffusion_lab.weights.pretrained import (
    HERE,
    SHIPPED,
    load_network,
    load_pretrained,
    read,
    read_facts,
    save_weights,
)

RECIPE = Recipe(steps=2, batch=4, width=8, seed=3)
X_T = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def a_run(build=None, **facts):
    """A run whose average differs from its weights, and whose last layer from 0."""
    run = start(RECIPE, build, **facts)
    for weight in run.average.parameters():
        weight.data += 0.1
    return run


def test_the_shipped_weights_are_those_that_the_results_were_measured_with():
    assert SHIPPED == ["early", "find", "mnist", "style", "upright"]
    for name in ("steps", "likelihood", "sampling", "guidance", "editing"):
        assert results.read(name)["weights"] == read_facts("mnist")["sha256"]
    assert results.read("guidance")["early"] == read_facts("early")["sha256"]
    assert results.read("editing")["style"] == read_facts("style")["sha256"]


def test_the_early_weights_are_those_of_the_shipped_run_after_a_sixteenth_of_its_steps():
    early, late = read_facts("early"), read_facts("mnist")
    assert early["step"] == 625 == late["step"] // 16
    assert all(early[name] == late[name] for name in ("network", "arguments", "recipe", "data", "schedule", "T"))
    x_t = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert load_pretrained("early")(x_t, 500, 3).shape == x_t.shape


def test_the_weights_with_styles_draw_what_they_are_asked_for():
    """Thin and thick, leaning left and right, printed: forty digits of each."""
    denoiser, digits = load_pretrained("style"), torch.arange(40) % 10
    times = spaced_in_log_snr(denoiser.schedule, 8)
    strong = guided(denoiser, 1.0)
    images = {style: draw(strong, both(digits, style), dpm_solver, times) for style in (1, 7, 3, 5, 9)}
    assert thickness(images[7]).mean() > thickness(images[1]).mean() + 1
    assert slant(images[5]).mean() > slant(images[3]).mean() + 0.3
    for some in images.values():
        assert label_accuracy(load_judge(), some, digits) > 0.9
    assert slant(images[9]).std() < 0.7 * slant(load_digits("test")[0]).std()


def test_the_card_of_the_styles_says_what_they_were_trained_for():
    facts, card = read_facts("style"), (HERE / "style" / "README.md").read_text(encoding="utf-8")
    assert f"{sum(p.numel() for p in load_network('style').parameters()):,} weights" in card
    assert f"{facts['recipe']['steps']:,} steps" in card
    assert facts["step"] == facts["recipe"]["steps"]
    assert (HERE / "style" / "weights.safetensors").stat().st_size < 2_000_000


def test_the_shipped_weights_load_without_touching_the_global_state():
    state = torch.get_rng_state()
    denoiser = load_pretrained("mnist")
    x_0_hat = denoiser(torch.zeros(1, 1, 28, 28), 1, torch.tensor([3]))
    assert x_0_hat.shape == (1, 1, 28, 28)
    assert torch.isfinite(x_0_hat).all()
    assert denoiser.schedule.T == 1000
    assert torch.equal(torch.get_rng_state(), state)
    card = (HERE / "mnist" / "README.md").read_text(encoding="utf-8")
    assert f"{sum(p.numel() for p in load_network('mnist').parameters()):,} weights" in card


@pytest.mark.parametrize("build", [None, lambda: UNet(16, 24, 32, labels=5)])
def test_a_run_can_be_sampled_with_its_average(tmp_path, build):
    run = a_run(build)
    save_run(tmp_path, run)
    network = load_network(tmp_path)
    assert network.arguments == run.network.arguments
    for (name, ours), theirs in zip(network.named_parameters(), run.average.parameters()):
        assert torch.equal(ours, theirs), name
        assert not ours.requires_grad
    v = network(X_T, torch.tensor([500, 500]), torch.tensor([4, 2]))
    denoiser = load_pretrained(tmp_path)
    a = denoiser.schedule.alpha_bar[500]
    expected = (a.sqrt() * X_T - (1 - a).sqrt() * v).float()
    assert torch.allclose(denoiser(X_T, 500, torch.tensor([4, 2])), expected, atol=1e-6)


def test_schedule_T_and_the_question_are_those_that_were_saved(tmp_path):
    save_run(tmp_path, a_run(schedule="linear", T=500, predicts="x_0"))
    denoiser = load_pretrained(tmp_path)
    assert torch.equal(denoiser.schedule.beta, linear(500).beta)
    network = load_network(tmp_path)
    assert torch.equal(denoiser(X_T, 7, 3), network(X_T, torch.tensor([7, 7]), 3))


@pytest.mark.parametrize(("fact", "words"), [
    ({"schedule": "cubic"}, "the schedule that the weights name must be one of 'cosine', 'linear', but got 'cubic'"),
    ({"T": -1}, "the T that the weights name must be a whole number"),
    ({"predicts": "noise"}, "predicts must be one of .* but got 'noise'"),
])
def test_facts_that_the_package_does_not_know_are_refused(tmp_path, fact, words):
    save_run(tmp_path, a_run(**fact))
    with pytest.raises(ValueError, match=words):
        load_pretrained(tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    run = a_run()
    next(iter(run.average.parameters())).view(-1)[3] = value
    save_run(tmp_path, run)
    with pytest.raises(ValueError, match=f"{tmp_path} holds weights that are NaN or infinite"):
        load_pretrained(tmp_path)


def test_saved_weights_are_the_average_in_float16(tmp_path):
    run = a_run()
    save_weights(tmp_path, run, minutes="3")
    weights, facts = read(tmp_path)
    expected = run.average.state_dict()
    assert {name: value.dtype for name, value in weights.items()} == dict.fromkeys(expected, torch.float16)
    assert (facts["minutes"], facts["network"], facts["data"]) == ("3", "UNet", "digits")
    for name, value in load_network(tmp_path).state_dict().items():
        assert torch.equal(value, expected[name].half().float()), name


def test_a_folder_called_as_shipped_weights_is_told_from_them_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_run("mnist", a_run())
    shipped = load_network("mnist").arguments
    assert shipped["fine"] == 48
    for folder in ("./mnist", Path("mnist"), tmp_path / "mnist"):
        assert load_network(folder).arguments["fine"] == 8


@pytest.mark.parametrize(("name", "words"), [
    ("mnits", "there is no folder mnits. "), (Path("nowhere"), "there is no folder nowhere. "),
    ("", "holds no weights: give a folder "), (".", "holds no weights: give a folder "),
])
def test_where_there_are_no_weights(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words + r".* shipped weights \(early, find, mnist, style, upright\)"):
        load_pretrained(name)


def test_a_file_in_place_of_its_folder(tmp_path):
    (tmp_path / "run.safetensors").touch()
    with pytest.raises(ValueError, match=f"is a file: give the folder that it is in, {tmp_path}"):
        load_pretrained(tmp_path / "run.safetensors")


def test_a_network_that_the_package_does_not_know_is_refused(tmp_path):
    save_run(tmp_path, start(RECIPE, lambda: MLP(hidden=8, depth=1)))
    with pytest.raises(ValueError, match=f"{tmp_path} holds weights, but not of a network of this course"):
        load_pretrained(tmp_path)


def change(**facts):
    def damage(folder):
        file = folder / "facts.json"
        file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | facts), encoding="utf-8")
    return damage


def one_bit(folder):
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-3] ^= 1
    (folder / "weights.safetensors").write_bytes(content)


def half_the_facts(folder):
    (folder / "facts.json").write_bytes((folder / "facts.json").read_bytes()[:99])


def no_weights(folder):
    (folder / "weights.safetensors").unlink()


@pytest.mark.parametrize(("damage", "words"), [
    (one_bit, "weights.safetensors is damaged: .*SHA-256"), (no_weights, "holds no weights"),
    (half_the_facts, r"facts.json is damaged \("), (change(sha256=None), "weights.safetensors is damaged"),
    (change(network="Net"), "not of a network of this course"), (change(arguments=None), "not of a network of this"),
    (change(arguments={"fine": 8}), "not of a network of this course"),
    (change(arguments={"fine": 7}), "not of a network of this course"),
])
def test_damaged_weights_are_refused(tmp_path, damage, words):
    folder = shutil.copytree(HERE / "mnist", tmp_path / "copy")
    damage(folder)
    with pytest.raises(ValueError, match=words):
        load_pretrained(folder)
