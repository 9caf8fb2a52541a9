"""Reading where the answer is known: Bayes' rule on mixtures, clean and under noise."""

import numpy as np
import pytest
import torch
from samplers import seeded

from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.forward import q_sample
from diffusion_lab.theory.mixture import GaussianMixture
from diffusion_lab.theory.schedule import Schedule, cosine
from diffusion_lab.vision.reading import label_errors, read, two_looks

LEFT = GaussianMixture([0.5, 0.5], [[-1.0], [0.6]], [0.05, 0.1])
RIGHT = GaussianMixture([0.7, 0.3], [[0.0], [1.2]], [0.2, 0.02])
POINTS = [-1.0, -0.2, 0.5, 1.1, 2.0]
FULL = torch.ones(1001, dtype=torch.float64)


def labelled(mixtures, schedule):
    """The exact denoiser of label y: that of mixture y."""
    def answer(x_t, t, label):
        answers = torch.stack([mixture.expected_x_0(x_t, t, schedule) for mixture in mixtures])
        return answers[label, torch.arange(len(x_t))]

    return Denoiser(answer, schedule)


def of_snr(snr):
    """A schedule with these ratios, falling."""
    alpha_bar = torch.cat([torch.ones(1), snr / (1 + snr)])
    return Schedule(torch.cat([torch.zeros(1), 1 - alpha_bar[1:] / alpha_bar[:-1]]))


def integral(picture, snr, width, noise_std=0.0, nodes=100):
    """½ ∫ E[|rest - D_1|² - |rest - D_0|²] dSNR by quadrature: over ε by Gauss–Hermite, over SNR by these nodes."""
    eps, weight = np.polynomial.hermite_e.hermegauss(nodes)
    schedule = of_snr(snr)
    denoiser = labelled([LEFT, RIGHT], schedule)
    pictures = torch.full((nodes, 1), picture, dtype=torch.float64)
    total = 0.0
    for t in range(1, schedule.T + 1):
        x_t, rest = two_looks(pictures, t, torch.tensor(eps)[:, None], schedule, noise_std)
        error = label_errors(denoiser, x_t, rest, t, torch.arange(2).expand(nodes, 2))
        mean = torch.tensor(weight / weight.sum()) @ (error[:, 1] - error[:, 0])
        total += 0.5 * width[t - 1] * mean.item()
    return total


@pytest.mark.parametrize("picture", POINTS)
def test_the_difference_of_errors_is_the_logarithm_of_the_likelihood_ratio(picture):
    log_snr = torch.linspace(20, -20, 200, dtype=torch.float64)
    found = integral(picture, log_snr.exp(), 40 / 199 * log_snr.exp())
    x = torch.tensor([[picture]], dtype=torch.float64)
    assert found == pytest.approx((LEFT.log_prob(x) - RIGHT.log_prob(x)).item(), abs=1e-6)


@pytest.mark.parametrize("noise_std", [0.3, 1.0])
@pytest.mark.parametrize("picture", POINTS)
def test_of_a_noisy_picture_the_integral_ends_at_its_snr(picture, noise_std):
    node, weight = np.polynomial.legendre.leggauss(60)
    snr = torch.tensor((node[::-1] + 1) / 2 / noise_std**2)
    found = integral(picture, snr, weight[::-1] / 2 / noise_std**2, noise_std)
    x = torch.tensor([[picture]], dtype=torch.float64)
    under_noise = [GaussianMixture(m.weight, m.mean, m.var + noise_std**2).log_prob(x).item() for m in (LEFT, RIGHT)]
    assert found == pytest.approx(under_noise[0] - under_noise[1], abs=1e-8)


def test_of_a_clean_picture_the_looks_are_the_state_and_the_picture():
    x_0 = torch.randn(4, 3, generator=seeded())
    eps = torch.randn(4, 3, generator=seeded(1))
    x_t, rest = two_looks(x_0, 600, eps, cosine())
    assert torch.equal(rest, x_0)
    assert torch.allclose(x_t, q_sample(x_0, 600, eps, cosine()))


def test_two_looks_are_independent_and_together_know_what_the_picture_knows():
    schedule, n, std = cosine(), 200_000, 0.8
    picture = std * torch.randn(n, 1, generator=seeded(), dtype=torch.float64)  # x_0 is 0
    eps = torch.randn(n, 1, generator=seeded(1), dtype=torch.float64)
    x_t, rest = two_looks(picture, 650, eps, schedule, std)
    y = x_t / schedule.alpha_bar[650].sqrt()
    assert abs(torch.corrcoef(torch.cat([y, rest], dim=1).T)[0, 1]) < 0.01
    assert y.var().item() == pytest.approx(1 / schedule.snr[650].item(), rel=0.02)
    assert (1 / y.var() + 1 / rest.var()).item() == pytest.approx(1 / std**2, rel=0.02)


def test_all_labels_see_the_same_state():
    seen = []

    def answer(x_t, t, label):
        seen.append((x_t, label))
        return x_t

    x_t = torch.randn(2, 3, generator=seeded())
    errors = label_errors(Denoiser(answer, cosine()), x_t, torch.zeros(2, 3), 5, torch.tensor([[4, 1], [0, 3]]))
    [(states, label)] = seen
    assert label.tolist() == [4, 1, 0, 3]
    assert torch.equal(states, x_t[[0, 0, 1, 1]])
    assert errors.dtype == torch.float64
    assert torch.allclose(errors, x_t.double().square().sum(dim=1, keepdim=True).expand(2, 2))


def test_reading_agrees_with_bayes_where_the_integral_is_drawn():
    """With many times and the weights of ½ dSNR, the label with the greater likelihood wins."""
    log_snr = torch.linspace(12, -6, 150, dtype=torch.float64)
    schedule = of_snr(log_snr.exp())
    x = torch.tensor([[-1.1], [-0.3], [0.15], [1.2]], dtype=torch.float64)
    weight = torch.cat([torch.zeros(1), 0.5 * 18 / 149 * log_snr.exp()])
    many = x.repeat_interleave(50, dim=0)
    found = read(labelled([LEFT, RIGHT], schedule), many, [(2, list(range(1, 151)))], weight, seeded(), kinds=2)
    assert found.evaluations == 600
    right = (LEFT.log_prob(x) < RIGHT.log_prob(x)).long()
    assert (found.label.reshape(4, 50).double().mean(dim=1).round().long() == right).all()
    ratio = (found.cost[:, 1] - found.cost[:, 0]).reshape(4, 50).mean(dim=1)
    assert ratio == pytest.approx((LEFT.log_prob(x) - RIGHT.log_prob(x)), abs=0.15)


def bent(schedule):
    """Label y restores everything to y/10: the race is known."""
    return Denoiser(lambda x_t, t, label: (label / 10).to(x_t)[:, None].expand_as(x_t), schedule)


def test_losers_drop_out_and_evaluations_are_counted():
    asked = []

    def answer(x_t, t, label):
        asked.append(len(x_t))
        return (label / 10).to(x_t)[:, None].expand_as(x_t)

    x = torch.tensor([[0.31], [0.78]], dtype=torch.float64)
    rounds = [(10, [850, 700]), (4, [800]), (2, [600, 500, 400])]
    found = read(Denoiser(answer, cosine()), x, rounds, FULL, seeded())
    assert found.label.tolist() == [3, 8]
    assert found.labels.sort(dim=1).values.tolist() == [[3, 4], [7, 8]]
    assert found.evaluations == 2 * (10 * 2 + 4 + 2 * 3) == sum(asked) / 2


def test_the_same_generator_reads_the_same():
    x = torch.randn(3, 2, generator=seeded(), dtype=torch.float64)
    costs = [read(bent(cosine()), x, [(10, [500])], FULL, seeded(3)).cost for _ in range(2)]
    assert torch.equal(*costs)


X = torch.zeros(2, 3)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: two_looks(X, 100, X, cosine(), 1.0), "t must lie where the SNR is below 1/noise_std"),
    (lambda: two_looks(X, 0, X, cosine()), "within 1…1000"),
    (lambda: two_looks(X, 5, X[:1], cosine()), "same shape"),
    (lambda: two_looks(X, 5, X, cosine(), -1.0), "noise_std"),
    (lambda: label_errors(bent(cosine()), X, X, 5, torch.zeros(2)), "labels must be an int64 tensor"),
    (lambda: label_errors(bent(cosine()), X, X[:1], 5, torch.zeros(2, 1).long()), "same shape"),
    (lambda: read(bent(cosine()), X, [], FULL), "at least one round"),
    (lambda: read(bent(cosine()), X, [(4, [500]), (5, [500])], FULL), "a label that is out stays out"),
    (lambda: read(bent(cosine()), X, [(11, [500])], FULL), "a label that is out stays out"),
    (lambda: read(bent(cosine()), X, [(0, [500])], FULL), "a label that is out stays out"),
    (lambda: read(bent(cosine()), X, [(10, [])], FULL), "a time in each"),
    (lambda: read(bent(cosine()), X, [(10, [500])], FULL[:5]), "weight must be a table"),
    (lambda: read(None, X, [(10, [500])], FULL), "a denoiser is due"),
])
def test_bad_input_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
