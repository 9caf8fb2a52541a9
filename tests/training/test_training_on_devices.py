"""All that moves tensors, on torch's meta device: no numbers, but as strict as CUDA about tensors of two devices."""

from types import SimpleNamespace

import pytest
import torch

from diffusion_lab.data.augment import augmented, shifted
from diffusion_lab.networks import unet
from diffusion_lab.networks.unet import UNet
from diffusion_lab.theory import forward, parameterization, schedule
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.training import objective as loss
from diffusion_lab.training.average import update_average
from diffusion_lab.training.loop import train
from diffusion_lab.training.muon import Muon
from diffusion_lab.training.objective import objective, spread_times, uniform_times
from diffusion_lab.training.recipe import Recipe
from diffusion_lab.weights.pretrained import denoiser_of

META = torch.device("meta")
X_0 = torch.zeros(4, 1, 28, 28, device=META)
FACTS = {"schedule": "cosine", "T": 1000, "predicts": "v"}


def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def no_guards(monkeypatch):
    """Guards look at values, and meta tensors have none."""
    for module in (schedule, forward, parameterization, loss, unet):
        for name in ("check_times", "check_classes", "check_label"):
            monkeypatch.setattr(module, name, lambda *_, **__: None, raising=False)


def test_meta_refuses_what_cuda_refuses():
    with pytest.raises(RuntimeError, match="[Dd]evice"):
        X_0 + torch.zeros(4, 1, 28, 28)


@pytest.mark.parametrize("t", [3, torch.tensor([1, 2, 3, 4])], ids=["int", "tensor"])
def test_forward_process_and_conversion(t):
    """The tables stay on the CPU; what is found in them goes to where the data is."""
    x_t = q_sample(X_0, t, torch.zeros_like(X_0), cosine())
    assert (x_t.device, x_t.shape) == (META, X_0.shape)
    assert v_from_x_0(x_t, X_0, t, cosine()).device == META


@pytest.mark.parametrize("change", [augmented, shifted])
def test_augmented(change):
    assert change(X_0, generator()).device == META


@pytest.mark.usefixtures("no_guards")
@pytest.mark.parametrize("times", [spread_times, uniform_times])
def test_a_training_step(times):
    """Loss, gradient, clipping, Muon and average. (AdamW in one kernel, `fused`, knows no meta device; and times on
    meta cannot be taken back to tables on the CPU, so that these are on meta, too.)"""
    network, average = (UNet(fine=8, coarse=8, dim=8).to(META) for _ in range(2))
    label = torch.zeros(4, dtype=torch.int64, device=META)
    tables = SimpleNamespace(T=1000, alpha_bar=cosine().alpha_bar.to(META), log_snr=cosine().log_snr)
    loss = objective(network, (X_0, label), generator(), tables, times=times)
    loss.backward()
    assert torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0).device == META
    assert {weight.grad.device for weight in network.parameters()} == {META}
    Muon([weight for weight in network.parameters() if weight.ndim > 1], 0.1).step()
    update_average(average, network, 0, 0.9)


def test_the_batch_is_moved_to_the_network():
    """The loop hands the loss tensors of the run's device."""
    class Seen(Exception):
        pass

    class Run:
        recipe, network, generator, device, step = Recipe(), None, None, META, 0

    def loss(network, batch, generator):
        assert [part.device for part in batch] == [META, META]
        raise Seen

    with pytest.raises(Seen):
        next(train(Run, lambda step: (torch.zeros(4), torch.zeros(4)), loss))


def test_a_denoiser_asks_its_network_where_that_is_and_answers_where_it_was_asked():
    class Elsewhere(torch.nn.Module):
        def __init__(self, answer):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1, device=META))
            self.answer = answer

        def forward(self, x_t, t, label):
            assert (x_t.device, t.device) == (META, META)
            assert label in (None, 3) if not torch.is_tensor(label) else label.device == META
            return self.answer(x_t)

    x_t = torch.zeros(2, 1, 28, 28)
    denoiser = denoiser_of(Elsewhere(lambda x: torch.ones(x.shape)), FACTS)  # an answer that is already back
    for label in (None, 3, torch.tensor([1, 2])):
        assert denoiser(x_t, 500, label).device.type == "cpu"
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):  # it tries to
        denoiser_of(Elsewhere(torch.zeros_like), FACTS)(x_t, 500)
