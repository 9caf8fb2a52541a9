"""Muon's step is U Vᵀ of the momentum, nearly: against the singular value decomposition and against torch's own."""

import pytest
import torch

from diffusion_lab.training.muon import Muon, orthogonalised

SHAPES = pytest.mark.parametrize("shape", [(7, 7), (24, 9), (9, 24), (1, 5), (5, 1), (48, 432)], ids=str)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_singular_values(values, m, n, seed=0):
    """A matrix (m, n) with these singular values, and its U and Vᵀ."""
    u = torch.linalg.qr(normal(m, len(values), seed=seed)).Q
    v = torch.linalg.qr(normal(n, len(values), seed=seed + 1)).Q
    return u * torch.tensor(values) @ v.T, u, v.T


@SHAPES
def test_singular_values_become_about_1_and_singular_vectors_stay(shape):
    """Uᵀ X V is diagonal, and the new singular values are in it. Those that were far below the norm stay smaller."""
    matrix = normal(*shape)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonalised(matrix)
    inner = u.T @ found @ vh.T
    large = s > 0.002 * s.square().sum().sqrt()
    assert found.shape == shape
    assert large.sum() >= len(s) - 1
    assert inner.diagonal()[large].min() > 0.68
    assert inner.diagonal().max() < 1.21
    assert (inner - torch.diag(inner.diagonal())).abs().max() < 2e-3
    assert torch.allclose(u @ inner @ vh, found, atol=2e-3), "nothing outside that space"


@pytest.mark.parametrize("shape", [(24, 9), (9, 24), (48, 432)], ids=str)
def test_near_to_the_nearest_matrix_with_orthonormal_rows_or_columns(shape):
    """Nearest to U Vᵀ of all: no singular value is farther from 1 than 0.32, so neither is the matrix."""
    u, _, vh = torch.linalg.svd(normal(*shape), full_matrices=False)
    assert torch.linalg.matrix_norm(orthogonalised(normal(*shape)) - u @ vh, 2) < 0.33


@pytest.mark.parametrize(("m", "n"), [(12, 5), (5, 12)])
def test_known_singular_values_follow_the_polynomial(m, n):
    """Each goes its own way by p(s) = a s + b s³ + c s⁵, five times, from s / ‖matrix‖."""
    values = [3.0, 2.0, 1.0, 0.5, 0.3]
    matrix, u, vh = with_singular_values(values, m, n)
    s = torch.tensor(values, dtype=torch.float64)
    s /= s.square().sum().sqrt()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    assert torch.allclose(orthogonalised(matrix).double(), (u.double() * s) @ vh.double(), atol=1e-4)


@pytest.mark.parametrize("factor", [1e-3, 0.5, 1e4])
def test_the_scale_of_the_matrix_does_not_matter(factor):
    matrix = normal(8, 20)
    assert torch.allclose(orthogonalised(factor * matrix), orthogonalised(matrix), atol=1e-4)


def test_tall_and_wide_agree_and_nothing_becomes_nothing():
    matrix = normal(20, 8)
    assert torch.equal(orthogonalised(matrix.T), orthogonalised(matrix).T)
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def stepped(start, gradients, lr=0.1, optimizer=Muon, **keywords):
    weight = torch.nn.Parameter(start.clone())
    chosen = optimizer([weight], lr=lr, **keywords)
    for gradient in gradients:
        weight.grad = gradient.clone()
        chosen.step()
    return weight.detach()


@pytest.mark.parametrize("shape", [(12, 3), (3, 12)], ids=str)
def test_steps_by_hand(shape):
    """m ← 0.95 m + 0.05 g; the update is of 0.95 m + 0.05 g; √(m/n) for tall matrices; U Vᵀ within the tolerance."""
    start, gradients = normal(*shape), [normal(*shape, seed=k) for k in (1, 2, 3)]
    expected, memory = start.double(), torch.zeros(shape, dtype=torch.float64)
    for k, gradient in enumerate(gradients, 1):
        memory = 0.95 * memory + 0.05 * gradient
        nesterov = 0.95 * memory + 0.05 * gradient
        direction = orthogonalised(nesterov)
        expected = expected - 0.1 * (2.0 if shape[0] > shape[1] else 1.0) * direction
        assert torch.allclose(stepped(start, gradients[:k]).double(), expected, atol=1e-5)
    assert not torch.allclose(expected, start.double(), atol=0.1)


def test_each_weight_has_a_memory_of_its_own():
    weights = [torch.nn.Parameter(normal(4, 6, seed=k)) for k in (1, 2)]
    alone = [stepped(w.detach(), [normal(4, 6, seed=k), normal(4, 6, seed=k + 2)], lr=0.1)
             for k, w in zip((3, 4), weights)]
    optimizer = Muon(weights, 0.1)
    for seeds in ((3, 4), (5, 6)):
        for weight, seed in zip(weights, seeds):
            weight.grad = normal(4, 6, seed=seed)
        optimizer.step()
    assert all(torch.equal(weight.detach(), other) for weight, other in zip(weights, alone))


def test_the_rate_can_be_changed_between_steps():
    weight = torch.nn.Parameter(torch.zeros(4, 4))
    optimizer = Muon([weight], lr=5.0)
    optimizer.param_groups[0]["lr"] = 0.0
    weight.grad = normal(4, 4)
    optimizer.step()
    assert torch.equal(weight.detach(), torch.zeros(4, 4))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_convolution_counts_as_its_matrix(memory_format):
    start, gradient = normal(4, 3, 3, 3), normal(4, 3, 3, 3, seed=1)
    flat = stepped(start.flatten(1), [gradient.flatten(1)] * 2)
    found = stepped(start.to(memory_format=memory_format),
                    [gradient.to(memory_format=memory_format)] * 2)
    assert torch.allclose(found, flat.reshape(4, 3, 3, 3), atol=1e-5)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon came with torch 2.9")
@pytest.mark.parametrize("shape", [(16, 16), (32, 8), (8, 32)], ids=str)
def test_agrees_with_torch_as_far_as_bfloat16_goes(shape):
    """Relative to the way gone, since the singular values of bfloat16 matrices are off by some percent."""
    start, gradients = normal(*shape), [normal(*shape, seed=k) for k in (1, 2, 3)]
    ours = stepped(start, gradients) - start
    theirs = stepped(start, gradients, optimizer=torch.optim.Muon, momentum=0.95, nesterov=True,
                     weight_decay=0.0, adjust_lr_fn="original") - start
    assert (ours - theirs).norm() < 0.05 * theirs.norm()
