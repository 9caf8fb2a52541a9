"""The U-Net against formulas written out, against PyTorch's own attention, and for what every user relies on."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from diffusion_lab.networks.embedding import time_embedding
from diffusion_lab.networks.unet import Attention, Condition, ResidualBlock, UNet, zeroed
from diffusion_lab.sampling.denoiser import as_denoiser
from diffusion_lab.theory.schedule import cosine


def made(build, *args, zeros=False, **settings):
    """A module from fixed first weights; with those that are zeroed filled as well, unless zeros are asked for."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = build(*args, **settings)
        if not zeros:
            for parameter in module.parameters():
                if not parameter.any():
                    nn.init.normal_(parameter, std=0.05)
    return module


def small(**settings):
    return made(UNet, **({"fine": 8, "coarse": 16, "dim": 24, "labels": 10} | settings))


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TIMES, LABELS = torch.tensor([1, 10, 100, 300, 700, 1000]), torch.tensor([0, 9, 3, 10, 3, 5])


def normalised(x, norm, groups=8):
    """Group normalisation, written out."""
    parts = x.unflatten(1, (groups, -1)).flatten(2)
    mean, var = parts.mean(2, keepdim=True), parts.var(2, keepdim=True, correction=0)
    flat = ((parts - mean) / (var + 1e-5).sqrt()).reshape(x.shape)
    return flat * norm.weight[:, None, None] + norm.bias[:, None, None]


def convolved(x, conv):
    """A convolution with a frame of zeros, as a sum over the shifts of the picture."""
    size, (_, _, height, width) = conv.kernel_size[0], x.shape
    x = F.pad(x, [size // 2] * 4)
    total = sum(torch.einsum("oc,nchw->nohw", conv.weight[:, :, a, b], x[:, :, a : a + height, b : b + width])
                for a in range(size) for b in range(size))
    return total + conv.bias[:, None, None]


def silu(x):
    return x / (1 + (-x).exp())


def test_zeroed_returns_the_same_layer_with_zeros():
    layer = nn.Linear(3, 2)
    assert zeroed(layer) is layer
    assert not layer.weight.any()
    assert not layer.bias.any()


def test_the_condition_is_its_formula():
    condition, label = made(Condition, 10, 6), torch.tensor([3, 0, 10])
    t = torch.tensor([1, 500, 1000])
    first, _, second = condition.time
    hidden = silu(time_embedding(t, 64).float() @ first.weight.T + first.bias)
    expected = silu(hidden @ second.weight.T + second.bias + condition.label.weight[label])
    assert torch.allclose(condition(t, label), expected, atol=1e-6)


@pytest.mark.parametrize("labels", [1, 10])
def test_there_is_a_row_for_each_label_and_one_for_none(labels):
    assert made(Condition, labels, 6).label.weight.shape == (labels + 1, 6)
    assert made(Condition, labels, 6).null_label == made(UNet, labels=labels).null_label == labels


def test_no_label_is_the_null_label_and_an_int_is_the_label_of_all():
    condition = made(Condition, 10, 6)
    assert torch.equal(condition(TIMES), condition(TIMES, torch.full((6,), 10)))
    assert torch.equal(condition(TIMES, 4), condition(TIMES, torch.full((6,), 4)))
    assert not torch.allclose(condition(TIMES), condition(TIMES, 4))


@pytest.mark.parametrize(("channels_in", "channels"), [(16, 16), (32, 16), (8, 24)])
def test_a_residual_block_is_its_formula(channels_in, channels):
    block, x, c = made(ResidualBlock, channels_in, channels, 5), normal(3, channels_in, 6, 4), normal(3, 5, seed=1)
    with torch.no_grad():
        for norm in (block.norm_1, block.norm_2):
            norm.weight.add_(normal(len(norm.weight), seed=2))
    numbers = c @ block.scale_and_shift.weight.T + block.scale_and_shift.bias
    scale, shift = numbers[:, :channels, None, None], numbers[:, channels:, None, None]
    h = convolved(silu(normalised(x, block.norm_1)), block.conv_1)
    h = convolved(silu(normalised(h, block.norm_2) * (1 + scale) + shift), block.conv_2)
    around = x if channels_in == channels else convolved(x, block.shortcut)
    assert torch.allclose(block(x, c), around + h, atol=1e-4)


def test_a_new_residual_block_and_a_new_attention_change_nothing():
    x, c = normal(2, 16, 7, 7), normal(2, 5, seed=1)
    assert torch.equal(made(ResidualBlock, 16, 16, 5, zeros=True)(x, c), x)
    assert torch.equal(made(Attention, 16, zeros=True)(x), x)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attention_is_the_librarys(heads):
    attention, library = made(Attention, 16, heads), nn.MultiheadAttention(16, heads, batch_first=True)
    with torch.no_grad():
        for theirs, ours in ((library.in_proj_weight, attention.to_qkv.weight),
                             (library.in_proj_bias, attention.to_qkv.bias),
                             (library.out_proj.weight, attention.leave.weight),
                             (library.out_proj.bias, attention.leave.bias)):
            theirs.copy_(ours)
    x = normal(2, 16, 3, 5)
    places = normalised(x, attention.norm).flatten(2).transpose(1, 2)
    expected = x + library(places, places, places)[0].transpose(1, 2).reshape(x.shape)
    assert torch.allclose(attention(x), expected, atol=1e-5)


@pytest.mark.parametrize("n", [1, 3])
def test_it_returns_the_shape_and_type_of_its_input(n):
    answer = small()(normal(n, 1, 28, 28), TIMES[:n], LABELS[:n])
    assert answer.shape == (n, 1, 28, 28)
    assert answer.dtype == torch.float32


def test_a_new_network_answers_0():
    assert not UNet()(normal(2, 1, 28, 28), TIMES[:2]).any()


def test_the_default_network_is_that_of_the_lesson():
    assert UNet().arguments == {"fine": 48, "coarse": 96, "dim": 128, "labels": 10}
    assert UNet().condition.label.weight.shape == (11, 128)


def test_it_begins_with_the_same_weights_from_the_same_seed_and_is_small():
    one, other = made(UNet, zeros=True), made(UNet, zeros=True)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters()))
    assert sum(p.numel() for p in one.parameters()) < 1_500_000  # under 6 MB in float32, as the shipped weights must be


def test_the_whole_is_its_parts_in_order():
    """Each level once down and once up, the way up with the skip behind what comes from below."""
    net, x, t = small(), normal(2, 1, 28, 28), TIMES[:2]
    c = net.condition(t, LABELS[:2])
    squares = torch.stack([x[:, 0, a::2, b::2] for a in (0, 1) for b in (0, 1)], dim=1)
    fine = net.fine_down(convolved(squares, net.enter), c)
    coarse = net.coarse_down(convolved(fine, net.shrink)[:, :, ::2, ::2], c)
    up = net.coarse_up(torch.cat([net.middle(net.attention(coarse), c), coarse], dim=1), c)
    grown = convolved(up, net.grow[0]).repeat_interleave(2, 2).repeat_interleave(2, 3)
    last = convolved(silu(normalised(net.fine_up(torch.cat([grown, fine], dim=1), c), net.leave[0])), net.leave[2])
    expected = torch.empty_like(x)
    for k, (a, b) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        expected[:, 0, a::2, b::2] = last[:, k]
    assert torch.allclose(net(x, t, LABELS[:2]), expected, atol=1e-4)


def test_each_example_is_treated_alone():
    net, x = small(), normal(6, 1, 28, 28)
    together, order = net(x, TIMES, LABELS), torch.tensor([3, 0, 5, 1, 4, 2])
    assert torch.allclose(net(x[order], TIMES[order], LABELS[order]), together[order], atol=1e-5)
    for i in range(6):
        alone = net(x[i : i + 1], TIMES[i : i + 1], LABELS[i : i + 1])
        assert torch.allclose(alone[0], together[i], atol=1e-5)


def test_time_and_label_matter():
    net, x = small(), normal(1, 1, 28, 28).expand(6, 1, 28, 28)
    for answers in (net(x, TIMES, 3), net(x, torch.full((6,), 300), torch.tensor([0, 1, 2, 3, 4, 10]))):
        differences = torch.cdist(answers.flatten(1), answers.flatten(1)) + torch.eye(6)
        assert differences.min() > 1e-3


def test_what_it_says_about_a_place_depends_on_the_whole_picture():
    x = normal(1, 1, 28, 28).requires_grad_()
    small()(x, TIMES[:1])[0, 0, 0, 0].backward()
    assert (x.grad != 0).all()


def test_every_weight_learns_once_the_zeros_are_left():
    net = made(UNet, fine=8, coarse=16, dim=24, zeros=True)
    x, target = normal(6, 1, 28, 28), normal(6, 1, 28, 28, seed=1)
    learned = set()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(4):  # the zeroed layers leave zero one behind the other, the last one first
        optimizer.zero_grad()
        (net(x, TIMES, LABELS) - target).square().mean().backward()
        learned |= {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
    assert learned == {name for name, _ in net.named_parameters()}


def test_the_order_in_memory_does_not_change_the_answer():
    net, x = small(), normal(6, 1, 28, 28)
    plain = net(x, TIMES, LABELS)
    net.to(memory_format=torch.channels_last)
    last = net(x.to(memory_format=torch.channels_last), TIMES, LABELS)
    assert torch.allclose(last, plain, atol=1e-5)


def test_it_makes_a_denoiser():
    denoiser = as_denoiser(small(), cosine())
    assert denoiser(normal(2, 1, 28, 28), 500).shape == (2, 1, 28, 28)
    assert denoiser(normal(2, 1, 28, 28), TIMES[:2], torch.tensor([3, 4])).dtype == torch.float32
