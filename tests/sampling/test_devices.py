"""Data on another device than the tables: no GPU is needed to find what would fail there.

PyTorch's meta device has shapes and types, but no numbers. On its own it forgives what CUDA does not, so the rules of
CUDA are put on top: an operation takes tensors of one device (numbers aside), and a generator that lives there.
"""

from functools import partial

import pytest
import torch
from samplers import SAMPLERS, seeded
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from diffusion_lab.data.augment import augmented
from diffusion_lab.networks.mlp import MLP
from diffusion_lab.networks.unet import UNet
from diffusion_lab.sampling.chain import last
from diffusion_lab.sampling.denoiser import as_denoiser, clipped
from diffusion_lab.sampling.guidance import guided
from diffusion_lab.sampling.restoration import METHODS, given, measured_cov, repaint, twisted
from diffusion_lab.theory import parameterization
from diffusion_lab.theory.elbo import elbo_terms
from diffusion_lab.theory.forward import noise_like, q_sample, q_step
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.posterior import posterior_mean
from diffusion_lab.theory.schedule import cosine

CPU = torch.device("cpu")
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
INDEXES = torch.ops.aten.index.Tensor  # a table on the GPU may be read at times on the CPU, but not the other way round
S = cosine(6)
T = torch.tensor([1, 4, 6])


class AsStrictAsCuda(TorchDispatchMode):
    """Within it, the meta device is as strict as CUDA. What is moved back from there is 0; a number read there is 1."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if torch.is_tensor(leaf)]
        if function is torch.ops.aten._local_scalar_dense.default and tensors[0].is_meta:
            return 1
        if function is torch.ops.aten._to_copy.default and tensors[0].is_meta and kwargs.get("device") == CPU:
            return torch.zeros(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        found = {tensor.device.type for tensor in tensors if tensor.ndim}
        if function is INDEXES:
            found = {"cpu" if part.device == CPU else "meta" for part in tensors[1:]} - {"cpu"} | {args[0].device.type}
        if len(found) > 1 and function not in MOVES:
            raise RuntimeError(f"{function} was given tensors on different devices, {found}")
        answer = function(*args, **kwargs)
        generator = kwargs.get("generator")
        if generator is not None and answer.device.type != generator.device.type:
            raise RuntimeError(f"{function} was given a generator on {generator.device} for {answer.device}")
        return answer


def there(*shape, dtype=torch.float32):
    return torch.empty(*shape, dtype=dtype, device="meta")


def on_meta(x_t, t, label=None):
    """A network whose weights are on the device."""
    return there(3, 2) * x_t + t[:, None]


MIXTURE = GaussianMixture([0.4, 0.6], [[0.0, 1.0], [1.0, 0.0]], [0.1, 0.2])
FULL = GaussianMixture([0.4, 0.6], [[0.0, 1.0], [1.0, 0.0]], [[[1.0, 0.5], [0.5, 1.0]]] * 2)
TWO_TENSORS = [getattr(parameterization, name) for name in vars(parameterization) if "_from_" in name]
CALLS = {
    "q_sample": lambda x, t: q_sample(x, t, x, S),
    "q_step": lambda x, t: q_step(x, t, x, S),
    "posterior_mean": lambda x, t: posterior_mean(x, x, t, S),
    "mixture": lambda x, t: MIXTURE.denoiser(S)(x, t),
    "full mixture": lambda x, t: FULL.denoiser(S)(x, t),
    "network": lambda x, t: clipped(guided(as_denoiser(on_meta, S, "eps"), 2.0))(x, t, 3),
    "MLP": lambda x, t: as_denoiser(MLP().to("meta"), S)(x, t),
} | {function.__name__: lambda x, t, f=function: f(x, x, t, S) for function in TWO_TENSORS}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("t", [4, T], ids=["one time", "times"])
def test_answers_are_where_the_data_is(call, t):
    with AsStrictAsCuda():
        answer = call(there(3, 2), t)
    assert (answer.device.type, answer.shape, answer.dtype) == ("meta", (3, 2), torch.float32)


def test_times_may_be_there_too():
    with AsStrictAsCuda():
        assert q_sample(there(3, 2), T.to("meta"), there(3, 2), S).is_meta


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("denoiser", [as_denoiser(on_meta, S), MIXTURE.denoiser(S)], ids=["network", "mixture"])
def test_samplers_stay_where_they_start_and_their_generators_on_the_cpu(name, denoiser):
    generator = seeded()
    with AsStrictAsCuda():
        for step in SAMPLERS[name](denoiser, there(3, 2), [6, 4, 1], generator=generator):
            assert all(tensor.is_meta for tensor in step[2:])
    here = seeded()
    last(SAMPLERS[name](MIXTURE.denoiser(S), torch.zeros(3, 2), [6, 4, 1], generator=here))
    assert torch.equal(generator.get_state(), here.get_state()), "the same numbers are drawn as on the CPU"


SEEN = torch.tensor([[1.0, 0.5]]), torch.tensor([0.3])  # A and y, on the CPU


@pytest.mark.parametrize("method", METHODS)
def test_restoration_stays_where_the_data_is(method):
    with AsStrictAsCuda():
        assert given(as_denoiser(on_meta, S), *SEEN, 0.1, method)(there(3, 2), 4).is_meta
        for step in repaint(as_denoiser(on_meta, S), *SEEN, there(3, 2), generator=seeded()):
            assert step.x_s.is_meta
        for step in twisted(as_denoiser(on_meta, S), *SEEN, 0.1, there(3, 2), generator=seeded()):
            assert step.x_s.is_meta
        measured_cov(as_denoiser(on_meta, S), there(3, 2), [1, 6], seeded())(3)


@pytest.mark.parametrize("decoder", ["gaussian", "discretised"])
def test_the_bound(decoder):
    with AsStrictAsCuda():
        terms = elbo_terms(as_denoiser(on_meta, S), there(3, 2), decoder=decoder, generator=seeded())
    assert all(term.is_meta for term in terms)


def test_the_unet_and_the_augmented_digits():
    network = UNet(fine=8, coarse=8).to("meta")
    with AsStrictAsCuda():
        x = augmented(there(3, 1, 28, 28), seeded())
        for label in (None, 7, torch.tensor([1, 2, 3])):
            assert as_denoiser(network, S)(x, T, label).is_meta


@pytest.mark.parametrize("wrong", [
    lambda x: S.alpha_bar[T][:, None] * x,
    lambda x: S.alpha_bar[T.to("meta")],
    lambda x: torch.cdist(MIXTURE.mean.float(), x),
    lambda x: torch.randn(x.shape, generator=seeded(), device=x.device),
    partial(q_sample, t=4, eps=torch.zeros(3, 2), schedule=S),
], ids=["product", "look-up", "distance", "randn", "noise left behind"])
def test_what_cuda_refuses_is_refused(wrong):
    with AsStrictAsCuda(), pytest.raises(RuntimeError, match="device|generator"):
        wrong(there(3, 2))


def test_noise_is_that_of_the_seed():
    x = torch.zeros(4, 2, dtype=torch.float64)
    assert torch.equal(noise_like(x, seeded(3)), torch.randn(4, 2, generator=seeded(3), dtype=torch.float64))
    assert noise_like(x.float()).dtype == torch.float32
