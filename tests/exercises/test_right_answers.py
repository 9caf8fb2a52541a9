"""A right answer is right in any form whose meaning is clear: another formula, a list, numpy, plain numbers."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diffusion_lab.exercises.denoiser import check_eps_from_v, check_from_memory, check_gradient, check_training_example
from diffusion_lab.exercises.elbo import check_eps_weight, check_pixel_prob, check_step_term, check_to_bits
from diffusion_lab.exercises.gaussian_pdf import check_conditional, check_draw, check_kl_to_standard, check_sum
from diffusion_lab.exercises.reverse_posterior import (
    check_ancestral_step,
    check_denoised_mean,
    check_posterior_mean,
    check_times,
)
from diffusion_lab.exercises.sampling import check_better_guess, check_ddim_step, check_guide, check_noise_shares
from diffusion_lab.exercises.start_here import check_to_pixels
from diffusion_lab.exercises.train import check_average, check_drop_labels, check_stratified_times, check_train_step
from diffusion_lab.exercises.unet import check_attend, check_convolution, check_join, check_modulate
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.parameterization import v_from_x_0


def squared(w, x, y):
    return ((w * x - y) ** 2).mean()


def slope(form):
    def answer(w, x, y):
        w.grad = None
        squared(w, x, y).backward()
        return form(w.grad)

    return answer


def example(form):
    def answer(x_0, schedule, generator):
        t = (torch.rand(len(x_0), generator=generator) * schedule.T).long() + 1
        x_t = q_sample(x_0, t, torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype), schedule)
        return form(x_t, t, v_from_x_0(x_t, x_0, t, schedule))

    return answer


def weights(points, x_t, a):
    return torch.softmax(-(torch.cdist(x_t, a**0.5 * points) ** 2) / (2 - 2 * a), dim=1)


def shares(form):
    def answer(a, b, eta):
        var = eta**2 * (1 - a / b) * (1 - b) / (1 - a)
        return form(1 - b - var, var)

    return answer


def mu(step, decay):
    return min(decay, (1 + step) / (10 + step))


def train_step(clear=lambda weight, optimizer: optimizer.zero_grad(), form=lambda loss: loss.item()):
    def answer(weight, loss_of, optimizer):
        clear(weight, optimizer)
        loss = loss_of()
        loss.backward()
        weight.grad /= max(1.0, weight.grad.norm().item())
        optimizer.step()
        return form(loss.detach())

    return answer


def convolved(form):
    return lambda n, a, b, k, s, p: form((n + 2 * p - k) // s + 1, (a * k * k + 1) * b)


def shared(q, k):
    return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), dim=-1)


def pixels(form):
    """Each pixel's probability from the 257 edges of the bins, in float32."""
    def answer(k, mean, std):
        inner, end = (torch.arange(1, 256) * 2 - 1) / 255 - 1, torch.tensor([torch.inf])
        normal = torch.distributions.Normal(torch.tensor(mean), torch.tensor(std))
        return form(normal.cdf(torch.cat([-end, inner, end])).diff()[k])

    return answer


def back(x_0, x_t, t, s):
    return (s**0.5 * (1 - t / s) * x_0 + (t / s) ** 0.5 * (1 - s) * x_t) / (1 - t)


def normals(m, v, n, w):
    return [torch.distributions.Normal(mean, var**0.5) for mean, var in ((m, v), (n, w))]


RIGHT = [
    (check_to_pixels, lambda x: (x.numpy() + 1) / 2 * 255),
    (check_to_pixels, lambda x: torch.lerp(torch.zeros_like(x), torch.full_like(x, 255), (x + 1) / 2)),
    (check_draw, lambda mean, var, eps: torch.sqrt(torch.tensor(var)) * eps + mean),
    (check_draw, lambda mean, var, eps: [mean + math.sqrt(var) * z for z in eps]),
    (check_sum, lambda a, m, v, b, n, w: [a * m + b * n, (a * v**0.5) ** 2 + (b * w**0.5) ** 2]),
    (check_sum, lambda a, m, v, b, n, w: torch.tensor([a * m + b * n, a * a * v + b * b * w])),
    (check_sum, lambda a, m, v, b, n, w: (np.float32(a * m + b * n), np.float32(a * a * v + b * b * w))),
    (check_kl_to_standard, lambda m, v: [(b + a * a - 1 - math.log(b)) / 2 for a, b in zip(m, v)]),
    (check_kl_to_standard, lambda m, v: torch.distributions.kl_divergence(*normals(m, v, 0.0, 1.0))),
    (check_conditional, lambda y, a, v, w: [a * v / (a * a * v + w) * y, v - (a * v) ** 2 / (a * a * v + w)]),
    (check_conditional, lambda y, a, v, w: (y.numpy() / (a + w / (a * v)), torch.tensor(v * w / (a * a * v + w)))),
    (check_times, lambda T, n: np.linspace(T, 0, n + 1)[:-1].round().astype(np.int32)),
    (check_times, lambda T, n: torch.linspace(T, 0, n + 1)[:-1].round().int()),
    (check_times, lambda T, n: tuple(int(T * (n - k) / n + 0.5) for k in range(n))),
    (check_posterior_mean, lambda x_0, x_t, t, s, a: x_0 if s == 0 else back(x_0, x_t, a[t].item(), a[s].item())),
    (check_denoised_mean, lambda x, a, m, v: m + math.sqrt(a) * v / (a * v + 1 - a) * (x - math.sqrt(a) * m)),
    (check_denoised_mean, lambda x, a, m, v: ((m / v + x * a**0.5 / (1 - a)) / (1 / v + a / (1 - a))).tolist()),
    (check_ancestral_step, lambda x_t, x_0, t, s, eps:
        back(x_0, x_t, t, s) + max((1 - s) / (1 - t) * (1 - t / s), 1e-20) ** 0.5 * eps),
    (check_ancestral_step, lambda x_t, x_0, t, s, eps:
        back(x_0, x_t, t, s) + torch.tensor((1 - s) / (1 - t) * (1 - t / s)).sqrt() * eps),
    (check_to_bits, lambda nats, d: nats / d * math.log2(math.e)),
    (check_to_bits, lambda nats, d: nats.numpy() / d / np.log(2)),
    (check_step_term, lambda m, v, n, w: torch.distributions.kl_divergence(*normals(m, v, n, w))),
    (check_eps_weight, lambda b, a, v: (b / ((1 - b) * (1 - a)).sqrt()) ** 2 / (2 * v)),
    (check_pixel_prob, pixels(lambda prob: prob.double())),
    (check_pixel_prob, pixels(lambda prob: prob.tolist())),
    (check_gradient, slope(lambda g: g.item())),
    (check_gradient, slope(lambda g: g.numpy())),
    (check_gradient, lambda w, x, y: torch.autograd.grad(F.mse_loss(w * x, y), w)[0]),
    (check_eps_from_v, lambda x, v, a: a**0.5 * v.numpy() + (1 - a) ** 0.5 * x.numpy()),
    (check_eps_from_v, lambda x, v, a: [a**0.5 * q + (1 - a) ** 0.5 * p for p, q in zip(x, v)]),
    (check_training_example, example(lambda *three: list(three))),
    (check_training_example, example(lambda *three: tuple(part.numpy() for part in three))),
    (check_from_memory, lambda p, x, a: [sum(w * q for w, q in zip(row, p)) for row in weights(p, x, a)]),
    (check_from_memory, lambda p, x, a: weights(p, x, a).numpy() @ p.numpy()),
    (check_convolution, convolved(lambda *two: list(two))),
    (check_convolution, convolved(lambda *two: np.array(two))),
    (check_convolution, convolved(lambda one, other: (np.int64(one), np.int32(other)))),
    (check_modulate, lambda h, scale, shift: torch.einsum("nchw,nc->nchw", h, 1 + scale) + shift[..., None, None]),
    (check_modulate, lambda h, scale, shift: h + h * scale.view(*scale.shape, 1, 1) + shift.view(*shift.shape, 1, 1)),
    (check_join, lambda a, b: torch.cat([torch.kron(a, torch.ones(2, 2, dtype=a.dtype)), b], dim=-3)),
    (check_join, lambda a, b: np.concatenate([a.numpy().repeat(2, 2).repeat(2, 3), b.numpy()], axis=1)),
    (check_attend, lambda q, k, v: [shared(one, other) @ values for one, other, values in zip(q, k, v)]),
    (check_attend, lambda q, k, v: torch.einsum("nij,njd->nid", shared(q, k), v)),
    (check_average, lambda a, w, step, decay: (w + mu(step, decay) * (a - w)).tolist()),
    (check_average, lambda a, w, step, decay: torch.lerp(a, w, 1 - mu(step, decay)).numpy()),
    (check_drop_labels, lambda label, null, p, generator:
        [null if u < p else k for k, u in zip(label.tolist(), torch.rand(len(label), generator=generator))]),
    (check_drop_labels, lambda label, null, p, generator:
        np.where(torch.rand(len(label), generator=generator).numpy() < p, null, label.numpy())),
    (check_drop_labels, lambda label, null, p, generator:
        torch.where(torch.bernoulli(torch.full((len(label),), p), generator=generator) == 1, null, label)),
    (check_stratified_times, lambda n, T, generator:
        [1 + int(T * (i + float(torch.rand((), generator=generator))) / n) for i in range(n)]),
    (check_stratified_times, lambda n, T, generator:
        np.ceil(T * (np.arange(n) + torch.rand(n, generator=generator).numpy()) / n).astype(np.int64)),
    (check_train_step, train_step(form=float)),
    (check_train_step, train_step(form=lambda loss: loss.numpy()[()])),
    (check_train_step, train_step(clear=lambda weight, optimizer: setattr(weight, "grad", None))),
    (check_guide, lambda x, y, w: torch.lerp(y, x, 1 + w)),
    (check_guide, lambda x, y, w: (y + (1 + w) * (x - y)).tolist()),
    (check_noise_shares, shares(lambda kept, fresh: [math.sqrt(kept), math.sqrt(fresh)])),
    (check_noise_shares, shares(lambda kept, fresh: (np.sqrt(kept), np.sqrt(fresh)))),
    (check_noise_shares, shares(lambda kept, fresh: torch.tensor([kept, fresh]).sqrt())),
    (check_noise_shares, shares(lambda kept, fresh: (torch.tensor(kept).sqrt(), torch.tensor(fresh).sqrt()))),
    (check_ddim_step, lambda x, y, a, b: b**0.5 * y + ((1 - b) / (1 - a)) ** 0.5 * (x - a**0.5 * y)),
    (check_better_guess, lambda p, c, a, b, e: torch.lerp(p, c, 1 + (e - b) / 2 / (b - a))),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_right_answer_in_another_form_is_right(check, answer, capsys):
    check(answer)
    printed = capsys.readouterr().out
    assert printed.startswith("Correct."), printed
