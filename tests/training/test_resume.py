"""A run that was stopped goes on, bit by bit, as if it had not been; what cannot go on is refused."""

import dataclasses
import subprocess
import sys
from itertools import islice

import pytest
import torch
from course import ROOT

from diffusion_lab.data.digits import load_digits
from diffusion_lab.networks.unet import UNet
from diffusion_lab.training import checkpoint
from diffusion_lab.training.loop import Recipe, start, train
from diffusion_lab.training.pretrained import load_network, load_pretrained
from diffusion_lab.training.resume import load_run, part, save_run, weights_only

RECIPE = Recipe(steps=7, batch=4, augment=0.5, seed=3)  # 8 images: an epoch has two steps
N = 8


def digits():
    images, labels = load_digits("train")
    return images[:N], labels[:N]


def small():
    return UNet(fine=8, coarse=8, dim=8)


def all_of(run):
    """Everything that decides how a run goes on, by name; each tensor with its order in memory."""
    tensors = {f"network {name}": value for name, value in run.network.state_dict().items()}
    tensors |= {f"average {name}": value for name, value in run.average.state_dict().items()}
    for i, optimizer in enumerate(run.optimizers):
        for j, weight in enumerate(optimizer.param_groups[0]["params"]):
            tensors |= {f"optimizer {i} {j} {name}": value.clone()
                        for name, value in optimizer.state[weight].items()}
    return tensors | {"generator": run.generator.get_state(), "step": torch.tensor(run.step)}


def assert_the_same(run, other):
    ours, theirs = all_of(run), all_of(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name
        assert value.stride() == theirs[name].stride(), name
        assert value.dtype == theirs[name].dtype, name


@pytest.fixture(scope="module")
def uninterrupted():
    run = start(RECIPE)
    progress = list(train(run, *digits()))
    return run, progress


@pytest.mark.parametrize("stops", [[1], [2, 5], [7]], ids=str)
def test_a_stopped_run_goes_on_bit_by_bit(tmp_path, uninterrupted, stops):
    """Within an epoch and at its border, once and twice, after the first step and after the last."""
    run, progress = start(RECIPE), []
    for stop in stops:
        progress += islice(train(run, *digits()), stop - run.step)
        save_run(tmp_path, run)
        resumed = load_run(tmp_path, RECIPE)
        assert_the_same(run, resumed)
        run = resumed
    progress += train(run, *digits())
    assert progress == uninterrupted[1]
    assert_the_same(run, uninterrupted[0])


ELSEWHERE = """
import sys
import torch
from diffusion_lab.data.digits import load_digits
from diffusion_lab.training.loop import Recipe, train
from diffusion_lab.training.resume import load_run, save_run

torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(99)  # what the global state is does not matter
torch.rand(5)
run = load_run(sys.argv[1], Recipe(steps=7, batch=4, augment=0.5, seed=3))
images, labels = load_digits("train")
for progress in train(run, images[:8], labels[:8]):
    print(*map(repr, progress))
save_run(sys.argv[1], run)
"""


def test_another_process_goes_on_bit_by_bit(tmp_path, uninterrupted):
    run = start(RECIPE)
    list(islice(train(run, *digits()), 3))
    save_run(tmp_path, run)
    done = subprocess.run([sys.executable, "-c", ELSEWHERE, tmp_path, str(torch.get_num_threads())],
                          cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [" ".join(map(repr, p)) for p in uninterrupted[1][3:]]
    assert_the_same(load_run(tmp_path, RECIPE), uninterrupted[0])


def test_saving_and_loading_change_nothing_in_the_run(tmp_path):
    run = start(RECIPE)
    list(islice(train(run, *digits()), 2))
    kept = {name: value.clone() for name, value in all_of(run).items()}
    state = torch.get_rng_state()
    save_run(tmp_path, run)
    load_run(tmp_path, RECIPE)
    assert all(torch.equal(value, kept[name]) for name, value in all_of(run).items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_run_that_has_not_begun_can_be_saved(tmp_path):
    save_run(tmp_path, start(RECIPE))
    assert_the_same(load_run(tmp_path, RECIPE), start(RECIPE))


OTHER = {"steps": 8, "batch": 5, "width": 16, "lr": 0.01, "lr_rest": 1e-3, "warm_up": 9, "decay": 0.9, "augment": 0.25,
         "seed": 4, "data": "mnist"}


def test_every_argument_has_another_value_above():
    assert OTHER.keys() == {field.name for field in dataclasses.fields(Recipe)}


@pytest.mark.parametrize("name", OTHER)
def test_other_arguments_are_refused_by_name(tmp_path, name):
    save_run(tmp_path, start(RECIPE, small))
    words = f"{name}: {getattr(RECIPE, name)} there, {OTHER[name]} now"
    with pytest.raises(ValueError, match="started with other arguments") as refusal:
        load_run(tmp_path, dataclasses.replace(RECIPE, **{name: OTHER[name]}))
    assert f"({words})" in str(refusal.value), "this one and no other"
    assert str(tmp_path) in str(refusal.value)


def test_all_arguments_that_differ_are_named(tmp_path):
    save_run(tmp_path, start(RECIPE, small))
    with pytest.raises(ValueError, match="seed: 3 there, 4 now; steps: 7 there, 8 now"):
        load_run(tmp_path, dataclasses.replace(RECIPE, seed=4, steps=8))


def test_weights_to_sample_with_are_not_a_run(tmp_path):
    weights_only(tmp_path, start(RECIPE))
    with pytest.raises(ValueError, match="holds weights to sample with, but not what training needs"):
        load_run(tmp_path, RECIPE)


def test_a_run_of_another_network_is_refused(tmp_path):
    save_run(tmp_path, start(RECIPE, small))
    with pytest.raises(ValueError, match="not of this course's U-Net"):
        load_run(tmp_path, RECIPE)


def without_a_tensor(tensors, facts):
    del tensors["network.enter.weight"]


def with_one_more(tensors, facts):
    tensors["network.more"] = torch.zeros(2)


def without_the_step(tensors, facts):
    del facts["step"]


def with_memory_of_one_more_weight(tensors, facts):
    tensors["optimizer.0.999.momentum"] = torch.zeros(2)


def with_memory_of_another_shape(tensors, facts):
    tensors["optimizer.0.0.momentum"] = torch.zeros(2)


def without_memory(tensors, facts):
    for name in [name for name in tensors if name.startswith("optimizer.1.0.")]:
        del tensors[name]


@pytest.mark.parametrize("change", [without_a_tensor, with_one_more, without_the_step, without_memory,
                                    with_memory_of_one_more_weight, with_memory_of_another_shape])
def test_a_run_that_does_not_fit_is_refused(tmp_path, uninterrupted, change):
    save_run(tmp_path, uninterrupted[0])
    tensors, facts = checkpoint.read(tmp_path)
    change(tensors, facts)
    checkpoint.save(tmp_path, tensors, facts)
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds a checkpoint, but not of"):
        load_run(tmp_path, RECIPE)


def test_no_checkpoint_no_run(tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        load_run(tmp_path / "nowhere", RECIPE)


def test_a_run_can_be_sampled_with_its_average(tmp_path):
    run = start(RECIPE)
    list(islice(train(run, *digits()), 2))
    save_run(tmp_path, run)
    network = load_network(tmp_path)
    for (name, ours), theirs in zip(network.named_parameters(), run.average.parameters()):
        assert torch.equal(ours, theirs), name
        assert not ours.requires_grad
    x_t, label = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0)), torch.tensor([4, 7])
    denoiser = load_pretrained(tmp_path)
    v, a = network(x_t, torch.tensor([500, 500]), label), denoiser.schedule.alpha_bar[500]
    assert denoiser.schedule.T == 1000
    assert torch.allclose(denoiser(x_t, 500, label), (a.sqrt() * x_t - (1 - a).sqrt() * v).float(), atol=1e-6)


def test_weights_only_are_the_average_in_float16(tmp_path):
    run = start(RECIPE)
    list(islice(train(run, *digits()), 2))
    weights_only(tmp_path, run, minutes="3")
    tensors, facts = checkpoint.read(tmp_path)
    expected = run.average.state_dict()
    assert part(tensors, "average.").keys() == expected.keys()
    assert len(tensors) == len(expected)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert facts["minutes"] == "3"
    assert facts["recipe"] == dataclasses.asdict(RECIPE)
    assert facts["step"] == 2
    for name, value in load_network(tmp_path).state_dict().items():
        assert torch.equal(value, expected[name].half().float()), name


def test_weights_of_any_width_are_loaded(tmp_path):
    for build in (small, None, lambda: UNet(16, 24, 32)):
        run = start(RECIPE, build)
        weights_only(tmp_path, run)
        loaded = load_network(tmp_path).state_dict()
        for name, value in run.average.state_dict().items():
            assert torch.equal(loaded[name], value.half().float()), name


def test_the_width_of_the_recipe_is_that_of_the_network():
    network = start(dataclasses.replace(RECIPE, width=24)).network
    assert network.enter.out_channels == 24
    assert network.shrink.out_channels == 48


def test_weights_of_another_network_are_refused(tmp_path):
    weights_only(tmp_path, start(RECIPE, lambda: torch.nn.Sequential(torch.nn.Conv2d(1, 32, 3))))
    for load in (load_network, load_pretrained):
        with pytest.raises(ValueError, match="holds a checkpoint, but not of this course's U-Net") as refusal:
            load(tmp_path)
        assert str(tmp_path) in str(refusal.value)
    with pytest.raises(ValueError, match="mnits holds no checkpoint"):
        load_pretrained("mnits")


def test_the_shipped_weights_load_without_touching_the_global_state():
    state = torch.get_rng_state()
    denoiser = load_pretrained("mnist")
    x_0_hat = denoiser(torch.zeros(1, 1, 28, 28), 1, torch.tensor([3]))
    assert x_0_hat.shape == (1, 1, 28, 28)
    assert torch.isfinite(x_0_hat).all()
    assert torch.equal(torch.get_rng_state(), state)
