"""A right answer is right in any form whose meaning is clear: another formula, a list, numpy, plain numbers."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diffusion_lab.exercises.denoiser import (
    check_best_width,
    check_expected_rate,
    check_from_memory,
    check_target_weight,
    check_training_example,
    check_what_it_learned,
)
from diffusion_lab.exercises.elbo import (
    check_chances,
    check_cost_rates,
    check_one_call,
    check_prior_bits,
    check_which_follow,
)
from diffusion_lab.exercises.forward_markov_chain import check_drowning, check_found_by, check_memory
from diffusion_lab.exercises.gaussian_pdf import (
    check_claims,
    check_equally_costly,
    check_fault,
    check_mixture,
    check_pooled,
)
from diffusion_lab.exercises.reverse_posterior import (
    check_denoised_mean,
    check_repaired_step,
    check_sampler,
    check_table_back,
    check_two_variances,
    check_what_follows,
)
from diffusion_lab.exercises.sampling import (
    check_about_the_weight,
    check_five_times,
    check_heun,
    check_repaired_ddim,
    check_two_factors,
)
from diffusion_lab.exercises.start_here import check_average_of_walks, check_copies, check_repaired, check_to_pixels
from diffusion_lab.exercises.train import check_fit, check_jitters, check_left_of_the_start, check_step_in_parts
from diffusion_lab.exercises.train import check_what_follows as check_whom_to_believe
from diffusion_lab.exercises.unet import (
    check_attend,
    check_convolution,
    check_justified,
    check_reach,
    check_transformer_block,
)
from diffusion_lab.sampling.chain import last, spaced
from diffusion_lab.sampling.ddim import ddim
from diffusion_lab.sampling.ddpm import ddpm
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.elbo import kl_t
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.parameterization import v_from_x_0
from diffusion_lab.theory.schedule import cosine
from diffusion_lab.theory.spectrum import wave_power
from diffusion_lab.training.recipe import rate


def one_after_the_other(denoiser, x_t, t, n, generator):
    total = 0
    for _ in range(n):
        total = total + last(ddpm(denoiser, x_t, spaced(t, 50), generator=generator))
    return total / n


def in_batches(size):
    def answer(denoiser, x_t, t, n, generator):
        walks = []
        for _ in range(n // size):
            many = x_t.expand(size, *x_t.shape[1:])
            walks.append(last(ddpm(denoiser, many, spaced(t, 50), generator=generator)))
        return torch.cat(walks).mean(dim=0, keepdim=True)

    return answer


def kernel_density(points, x, h):
    """Mean log-density of x under Gaussians of standard deviation h on the points."""
    log_p = -torch.cdist(x, points) ** 2 / (2 * h**2) - math.log((2 * math.pi * h**2) ** (x.shape[1] / 2) * len(points))
    return float(torch.logsumexp(log_p, dim=1).mean())


def by_the_largest(points, x_t, a):
    exponent = -torch.cdist(x_t, a**0.5 * points) ** 2 / (2 - 2 * a)
    density = torch.exp(exponent - exponent.max(dim=1, keepdim=True).values)
    return density / density.sum(dim=1, keepdim=True) @ points


def each_alone(n, T, generator):
    return (torch.rand(n, generator=generator) * T).long() + 1


def spread(n, T, generator):
    """Evenly from a random start, as lesson 07 draws them."""
    u = torch.rand(1, generator=generator, dtype=torch.float64)
    return (T * ((torch.arange(n) / n + u) % 1)).long() + 1


def example(form, times=each_alone):
    def answer(x_0, schedule, generator):
        t = times(len(x_0), schedule.T, generator)
        x_t = q_sample(x_0, t, torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype), schedule)
        return form(x_t, t, v_from_x_0(x_t, x_0, t, schedule))

    return answer


def weights(points, x_t, a):
    return torch.softmax(-(torch.cdist(x_t, a**0.5 * points) ** 2) / (2 - 2 * a), dim=1)


def two_factors(form):
    def answer(a, b, v):
        c_t, c_s = a * v + 1 - a, b * v + 1 - b
        gain = math.sqrt(a) * v / c_t
        of_eps = math.sqrt((1 - b) / (1 - a)) * (1 - math.sqrt(a) * gain)
        return form(math.sqrt(b) * gain + of_eps, math.sqrt(c_s / c_t))

    return answer


def asking_twice(form=lambda x: x):
    """By half log SNR and expm1, as the solver of lesson 08 is written."""

    def answer(denoise, x_T, times, alpha_bar):
        x, half = x_T, (torch.log(alpha_bar) - torch.log1p(-alpha_bar)) / 2
        for t, s in zip(times, [*times[1:], 0]):
            kept = torch.sqrt((1 - alpha_bar[s]) / (1 - alpha_bar[t]))
            towards = -alpha_bar[s].sqrt() * torch.expm1(half[t] - half[s])
            D = denoise(x, t)
            if s:
                D = torch.lerp(D, denoise(kept * x + towards * D, s), 0.5)
            x = kept * x + towards * D
        return form(x)

    return answer


def by_two_roots(x_t, output, t, s, alpha_bar, eta, eps):
    a, b = alpha_bar[t].item(), alpha_bar[s].item()
    var = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
    return b**0.5 * output + ((1 - b - var) / (1 - a)) ** 0.5 * (x_t - a**0.5 * output) + var**0.5 * eps


def mu(step, decay):
    return min(decay, (1 + step) / (10 + step))


def trained(form, clear=lambda weights: [setattr(weight, "grad", None) for weight in weights]):
    """The loop of lesson 07, with everything done by hand."""

    def answer(weights, averages, loss_of, optimizer, recipe):
        losses = []
        for k in range(recipe.steps):
            clear(weights)
            loss = loss_of(k)
            loss.backward()
            norm = torch.cat([weight.grad for weight in weights]).norm()
            for weight in weights:
                weight.grad *= min(1.0, 1.0 / norm.item())
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * rate(k, recipe)
            optimizer.step()
            for average, weight in zip(averages, weights):
                average.copy_(mu(k, recipe.decay) * average + (1 - mu(k, recipe.decay)) * weight.detach())
            losses.append(form(loss.detach()))
        return losses

    return answer


def in_parts(form):
    def answer(parts, loss_of, optimizer):
        optimizer.zero_grad()
        loss = loss_of(torch.cat(parts))
        loss.backward()
        optimizer.step()
        return form(loss.detach())

    return answer


def jittering(form):
    def answer(schedule, n, generator):
        u = torch.rand(1000, n, generator=generator)
        ways = (torch.randint(1, schedule.T + 1, (1000, n), generator=generator),
                1 + (schedule.T * ((torch.arange(n) / n + u[:, :1]) % 1)).long().clamp(max=schedule.T - 1),
                1 + (schedule.T * (torch.arange(n) + u) / n).long().clamp(max=schedule.T - 1))
        return form([schedule.alpha_bar[t].mean(dim=1).std() for t in ways])

    return answer


def mixture_by_loop(weights, means, variances, u, eps):
    draws = []
    for one, noise in zip(u, eps):
        k = 0
        while one >= sum(weights[: k + 1]) and k < len(weights) - 1:
            k += 1
        draws.append(means[k] + variances[k] ** 0.5 * noise)
    return draws


def one_call(form):
    def answer(denoiser, x_0, generator):
        schedule, n = denoiser.schedule, len(x_0)
        t = 2 + (torch.rand(n, generator=generator, dtype=torch.float64) * (schedule.T - 1)).long()
        a = schedule.alpha_bar[t, None]
        x_t = a.sqrt() * x_0 + (1 - a).sqrt() * torch.randn(x_0.shape, generator=generator, dtype=torch.float64)
        share = torch.linalg.vector_norm(x_0 - denoiser(x_t, t), dim=1) ** 2 * -schedule.snr.diff()[t - 1] / 2
        return form(share * (schedule.T - 1))

    return answer


def by_the_library(denoiser, x_0, generator):
    T = denoiser.schedule.T
    t = torch.randint(2, T + 1, (len(x_0),), generator=generator)
    eps = torch.randn(x_0.shape, generator=generator, dtype=x_0.dtype)
    return (T - 1) * kl_t(x_0, q_sample(x_0, t, eps, denoiser.schedule), t, denoiser)


def drowning_times(form):
    def answer(images, alpha_bar, k):
        large = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        return form([int((alpha_bar * wave_power(x)[k] < 1 - alpha_bar).nonzero()[0]) for x in (images, large)])

    return answer


def convolved(form):
    return lambda n, a, b, k, s, p: form((n + 2 * p - k) // s + 1, (a * k * k + 1) * b)


def shared(q, k):
    return torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), dim=-1)


def in_numpy(x, modulation, attend, mlp):
    n, channels, height, width = x.shape
    places = x.numpy().reshape(n, channels, -1).transpose(0, 2, 1)
    six = modulation.numpy().reshape(n, 6, 1, channels)
    for k, f in ((0, attend), (3, mlp)):
        centred = places - places.mean(axis=2, keepdims=True)
        h = (1 + six[:, k]) * centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-5) + six[:, k + 1]
        places = places + six[:, k + 2] * f(torch.from_numpy(h)).numpy()
    return places.transpose(0, 2, 1).reshape(x.shape)


def one_picture_after_the_other(x, modulation, attend, mlp):
    norm = torch.nn.LayerNorm(x.shape[1], elementwise_affine=False)
    found = []
    for picture, six in zip(x, modulation):
        rows = picture.flatten(1).T
        a, b, c, d, e, f = six.split(len(picture))
        rows = rows + c * attend((norm(rows) * (1 + a) + b)[None])[0]
        rows = rows + f * mlp((norm(rows) * (1 + d) + e)[None])[0]
        found.append(rows.T.reshape(picture.shape))
    return torch.stack(found)


def by_backward(denoiser, x_t, t, radius):
    x = x_t.detach().requires_grad_()
    denoiser(x, t)[:, 0, 14, 14].sum().backward()
    far = (torch.arange(28) - 14).abs()
    inside = torch.maximum(far[:, None], far) <= radius
    return float((x.grad**2)[:, 0, inside].sum() / x.grad.square().sum())


def back(x_0, x_t, t, s):
    return (s**0.5 * (1 - t / s) * x_0 + (t / s) ** 0.5 * (1 - s) * x_t) / (1 - t)


def step_back(x_t, x_0, t, s, eps):
    return back(x_0, x_t, t, s) + ((1 - s) / (1 - t) * (1 - t / s)) ** 0.5 * eps


def walked_back(form):
    def answer(denoise, x_T, times, a, noise):
        x = x_T
        for i, t in enumerate(times):
            s = times[i + 1] if i + 1 < len(times) else 0
            x = step_back(x, denoise(x, t), a[t].item(), a[s].item(), noise[i])
        return form(x)

    return answer


def both_variances(mixture, n, generator=None):
    """With the average, and with a draw of x_0: a component, then a point of it."""
    schedule = cosine()

    def draw(x_t, t, label):
        y, noise_var = x_t / schedule.alpha_bar[t].sqrt(), 1 / schedule.snr[t]
        k = torch.distributions.Categorical(logits=mixture.log_joint(y, noise_var)).sample()
        var = 1 / (1 / mixture.var[k] + 1 / noise_var)[:, None]
        return torch.normal(var * (mixture.mean[k] / mixture.var[k, None] + y / noise_var), var.sqrt())

    x_T = torch.randn(20_000, 1, generator=generator, dtype=torch.float64)
    answers = mixture.denoiser(schedule), Denoiser(draw, schedule)
    return torch.stack([last(ddpm(each, x_T, spaced(1000, n), generator=generator)).var() for each in answers])


def normals(m, v, n, w):
    return [torch.distributions.Normal(mean, var**0.5) for mean, var in ((m, v), (n, w))]


RIGHT = [
    (check_average_of_walks, one_after_the_other),
    (check_average_of_walks, in_batches(10)),
    (check_average_of_walks, in_batches(20)),
    (check_average_of_walks, lambda denoiser, x_t, t, n, generator:
        last(ddim(denoiser, torch.cat([x_t] * n), spaced(t, 50), eta=1.0, generator=generator)).mean(0)[None].numpy()),
    (check_repaired, lambda made, pixels: torch.cdist(made.flatten(1), (pixels / 127.5 - 1).flatten(1)).min(1).values),
    (check_repaired, lambda made, pixels: [min(((x - y / 127.5 + 1) ** 2).sum() ** 0.5 for y in pixels.numpy())
                                           for x in made.numpy()]),
    (check_repaired, lambda made, pixels: (made[:, None] - 2 * pixels / 255 + 1).flatten(2).norm(dim=2).amin(dim=1)),
    (check_copies, lambda: {"A", "B", "C", "F"}),
    (check_copies, lambda: ["f", "c", "b", "a"]),
    (check_copies, lambda: ("A", "B", "C", "F")),
    (check_copies, lambda: "A, B, C and F"),
    (check_to_pixels, lambda x: (x.numpy() + 1) / 2 * 255),
    (check_to_pixels, lambda x: torch.lerp(torch.zeros_like(x), torch.full_like(x, 255), (x + 1) / 2)),
    (check_pooled, lambda m, v: [sum(a / b for a, b in zip(m, v)) / sum(1 / b for b in v), 1 / sum(1 / b for b in v)]),
    (check_pooled, lambda m, v: torch.stack([(m / v).sum(), torch.ones(()).double()]) / (1 / v).sum()),
    (check_pooled, lambda m, v: (np.average(m, weights=1 / v), np.float32(1 / np.sum(1 / v.numpy())))),
    (check_mixture, lambda w, m, v, u, eps: [
        m[k] + math.sqrt(v[k]) * e
        for k, e in zip(np.searchsorted(np.cumsum(w.numpy())[:-1], u, side="right"), eps)]),
    (check_mixture, lambda w, m, v, u, eps: (m + v**0.5 * eps[:, None]).gather(
        1, (u[:, None] >= w.cumsum(0)[:-1]).sum(dim=1, keepdim=True))[:, 0]),
    (check_mixture, lambda *given: mixture_by_loop(*(list(map(float, numbers)) for numbers in given))),
    (check_equally_costly, lambda narrow: next(wide for wide in np.geomspace(1, 1e5, 10_000)
                                             if 2 * np.log(wide) + wide**-2.0 >= 2 * np.log(narrow) + narrow**-2.0)),
    (check_equally_costly, lambda narrow: torch.tensor([{0.5: 3.55, 0.8: 1.305, 0.25: 742.0, 0.2: 53900.0}[narrow]])),
    (check_fault, lambda log_var: [log_var.exp() ** 2, log_var.exp().sqrt()]),
    (check_fault, lambda log_var: (np.exp(2 * log_var.numpy()), [math.sqrt(math.exp(one)) for one in log_var])),
    (check_fault, lambda log_var: torch.stack([2 * log_var, log_var / 2]).exp()),
    (check_claims, lambda: "bde"),
    (check_claims, lambda: ["E", "D", "B"]),
    (check_claims, lambda: {letter: letter in "BDE" for letter in "ABCDEF"}),
    (check_claims, lambda: "B, D, E"),
    (check_memory, lambda s, t: torch.tensor([t * (1 - s) / (s * (1 - t))]).sqrt()),
    (check_memory, lambda s, t: np.float32(math.sqrt(t / (1 - t) / (s / (1 - s))))),
    (check_table_back, lambda q, p: [[p[i] * q[i, j] / (p @ q)[j] for i in range(len(p))] for j in range(len(p))]),
    (check_table_back, lambda q, p: (q.numpy() * p.numpy()[:, None] / (p @ q).numpy()).T),
    (check_table_back, lambda q, p: torch.einsum("i,ij,j->ji", p, q, 1 / (p @ q))),
    (check_denoised_mean, lambda x, a, m, v: m + math.sqrt(a) * v / (a * v + 1 - a) * (x - math.sqrt(a) * m)),
    (check_denoised_mean, lambda x, a, m, v: ((m / v + x * a**0.5 / (1 - a)) / (1 / v + a / (1 - a))).tolist()),
    (check_two_variances, lambda mixture, n: both_variances(mixture, n).tolist()),
    (check_two_variances, lambda mixture, n: both_variances(mixture, n).numpy().astype("float32")),
    (check_two_variances, lambda mixture, n: [one[None].float() for one in both_variances(mixture, n)]),
    (check_two_variances, lambda mixture, n: both_variances(mixture, n, torch.Generator().manual_seed(5))),
    (check_sampler, walked_back(lambda x: x.tolist())),
    (check_sampler, walked_back(lambda x: x.numpy())),
    (check_sampler, walked_back(lambda x: list(x))),
    (check_repaired_step, lambda x, y, t, s, a, e: step_back(x, y, a[t].item(), a[s].item(), e).tolist()),
    (check_repaired_step, lambda x, y, t, s, a, e: step_back(x.numpy(), y.numpy(), *a[[t, s]].tolist(), e.numpy())),
    (check_what_follows, lambda: "bcf"),
    (check_what_follows, lambda: ["F", "C", "B"]),
    (check_what_follows, lambda: np.array(["B", "C", "F"])),
    (check_what_follows, lambda: "B, C, F"),
    (check_cost_rates, lambda lam, s, x, e: [(-np.exp(lam.numpy()) * s.numpy() * x.numpy() / 2), [-0.5 * float(a * b)
                                             for a, b in zip(s, e)]]),
    (check_cost_rates, lambda lam, s, x, e: torch.stack([lam.exp() * x, e]) * s.neg() / 2),
    (check_one_call, one_call(lambda value: value)),
    (check_one_call, by_the_library),
    (check_drowning, drowning_times(torch.tensor)),
    (check_drowning, drowning_times(lambda times: [torch.tensor(t) for t in times])),
    (check_drowning, drowning_times(np.array)),
    (check_found_by, lambda: {"a": "3 and 5", "b": {2.0, 5.0}, "c": np.array([4, 5])}),
    (check_found_by, lambda: {"q_sample_A": [3, 5], "q_sample_B": ("2", "5"), "q_sample_C": {4: True, 5: True}}),
    (check_one_call, one_call(lambda value: value.numpy())),
    (check_one_call, one_call(lambda value: value.tolist())),
    (check_chances, lambda costs, squares: (squares**0.5 / (squares**0.5).sum()).tolist()),
    (check_chances, lambda costs, squares: np.sqrt(squares.numpy()) / np.sqrt(squares.numpy()).sum()),
    (check_chances, lambda costs, squares: (squares**0.5 / (squares**0.5).sum() + 0.0001) / (1 + 0.0001 * len(costs))),
    (check_which_follow, lambda: "bd"),
    (check_which_follow, lambda: ["D", "B"]),
    (check_which_follow, lambda: {letter: letter in "BD" for letter in "ABCDE"}),
    (check_prior_bits, lambda x, a: [(a * row**2 - a - math.log(1 - a)).mean() / math.log(4) for row in x]),
    (check_prior_bits, lambda x, a: torch.distributions.kl_divergence(
        *normals(a**0.5 * x, torch.full_like(x, 1 - a), 0 * x, 1 + 0 * x)).mean(1) / math.log(2)),
    (check_prior_bits, lambda x, a: np.mean(a * x.numpy() ** 2 - a - np.log(1 - a), axis=1) / np.log(4)),
    (check_expected_rate, lambda p: [(k + 1) * p[k + 1] / p[k] for k in range(len(p) - 1)]),
    (check_expected_rate, lambda p: np.arange(1, len(p)) * p.numpy()[1:] / p.numpy()[:-1]),
    (check_expected_rate, lambda p: (torch.arange(len(p)) * p)[1:] / p[:-1]),
    (check_target_weight, lambda a, b, c: (a**2 * (1 - c) - 2 * a * b * (c * (1 - c)) ** 0.5 + b**2 * c) / (1 - c)),
    (check_target_weight, lambda a, b, c: [float((x - y * (z / (1 - z)) ** 0.5) ** 2) for x, y, z in zip(a, b, c)]),
    (check_target_weight, lambda a, b, c: ((a - b * torch.exp(torch.logit(c) / 2)) ** 2).numpy()),
    (check_best_width, lambda p, x, widths: torch.tensor(max(widths, key=lambda h: kernel_density(p, x, h)))),
    (check_best_width, lambda p, x, widths: np.float32(max(widths, key=lambda h: kernel_density(p, x, h)))),
    (check_best_width, lambda p, x, widths: np.float64(max(widths, key=lambda h: kernel_density(p, x, h)))),
    (check_best_width, lambda p, x, widths: torch.tensor(widths, dtype=torch.float64)[
        int(torch.tensor([kernel_density(p, x, h) for h in widths]).argmax())]),
    (check_best_width, lambda p, x, widths: min((-kernel_density(p, x, h), h) for h in widths)[1]),
    (check_what_it_learned, lambda: "bce"),
    (check_what_it_learned, lambda: ["E", "C", "B"]),
    (check_what_it_learned, lambda: {letter: letter for letter in "BCE"}),
    (check_what_it_learned, lambda: "B, C, E"),
    (check_training_example, example(lambda *three: list(three))),
    (check_training_example, example(lambda *three: tuple(part.numpy() for part in three))),
    (check_from_memory, lambda p, x, a: [sum(w * q for w, q in zip(row, p)) for row in weights(p, x, a)]),
    (check_from_memory, lambda p, x, a: weights(p, x, a).numpy() @ p.numpy()),
    (check_from_memory, by_the_largest),
    (check_training_example, example(lambda *three: three, times=spread)),
    (check_convolution, convolved(lambda *two: list(two))),
    (check_convolution, convolved(lambda *two: np.array(two))),
    (check_convolution, convolved(lambda one, other: (np.int64(one), np.int32(other)))),
    (check_transformer_block, in_numpy),
    (check_transformer_block, one_picture_after_the_other),
    (check_transformer_block, lambda x, m, attend, mlp: one_picture_after_the_other(x, m, attend, mlp).tolist()),
    (check_attend, lambda q, k, v: np.concatenate(list((shared(q, k) @ v).numpy().transpose(1, 0, 2, 3)), axis=-1)),
    (check_attend, lambda q, k, v: torch.einsum("nhij,nhjd->nihd", shared(q, k), v).flatten(2).tolist()),
    (check_attend, lambda q, k, v: F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)),
    (check_reach, lambda *case: torch.tensor(by_backward(*case), dtype=torch.float32)),
    (check_reach, lambda *case: np.float64(by_backward(*case))),
    (check_reach, by_backward),
    (check_justified, lambda: "abceg"),
    (check_justified, lambda: ["G", "E", "C", "B", "A"]),
    (check_justified, lambda: {letter: letter in "ABCEG" for letter in "ABCDEFG"}),
    (check_left_of_the_start, lambda n, decay: [decay**n, np.prod([mu(k, decay) for k in range(n)])]),
    (check_left_of_the_start, lambda n, decay: np.exp(
        [n * np.log(decay), sum(np.log(mu(k, decay)) for k in range(n))])),
    (check_left_of_the_start, lambda n, decay: (
        torch.tensor(decay, dtype=torch.float64) ** n,
        torch.tensor([mu(k, decay) for k in range(n)], dtype=torch.float64).prod())),
    (check_fit, trained(float)),
    (check_fit, trained(lambda loss: loss)),
    (check_fit, trained(lambda loss: np.float64(loss))),
    (check_jitters, jittering(list)),
    (check_jitters, jittering(torch.stack)),
    (check_jitters, jittering(lambda three: tuple(map(float, three)))),
    (check_step_in_parts, in_parts(float)),
    (check_step_in_parts, in_parts(lambda loss: loss)),
    (check_step_in_parts, in_parts(lambda loss: loss.numpy()[()])),
    (check_whom_to_believe, lambda: "adf"),
    (check_whom_to_believe, lambda: ["F", "D", "A"]),
    (check_whom_to_believe, lambda: "A, D and F"),
    (check_two_factors, two_factors(lambda one, two: [math.sqrt(one**2), two])),
    (check_two_factors, two_factors(lambda one, two: (np.float64(one), np.float64(two)))),
    (check_two_factors, two_factors(lambda one, two: torch.tensor([one, two]))),
    (check_two_factors, two_factors(lambda one, two: (torch.tensor(one), torch.tensor(two)))),
    (check_heun, asking_twice()),
    (check_heun, asking_twice(form=lambda x: x.numpy())),
    (check_heun, asking_twice(form=lambda x: x.tolist())),
    (check_five_times, lambda: [1000, 880, 760, 570, 80]),
    (check_five_times, lambda: (1000, 880.0, 760, 570, 80)),
    (check_five_times, lambda: torch.tensor([1000, 880, 760, 570, 80])),
    (check_five_times, lambda: np.array([1000, 880, 760, 570, 80])),
    (check_repaired_ddim, by_two_roots),
    (check_about_the_weight, lambda: "a, b, d and f"),
    (check_about_the_weight, lambda: dict(zip("ABCDEFG", (True, True, False, True, False, True, False)))),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_right_answer_in_another_form_is_right(check, answer, capsys):
    check(answer)
    printed = capsys.readouterr().out
    assert printed.startswith("Correct."), printed
