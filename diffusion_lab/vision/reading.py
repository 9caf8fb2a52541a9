"""Reading with a denoiser: the label under which it restores a picture best   (Li et al. 2023; Clark & Jaini 2023).

What makes this Bayes' rule is pointwise I-MMSE (Guo, Shamai & Verdú 2005; Kong et al. 2023): with D_y = E[x_0 given
x_t, y], and one digit x_0,

    log p(x_0 given y) - log p(x_0 given y') = ½ ∫ E[|x_0 - D_y'|² - |x_0 - D_y|²] dSNR        over SNR from 0 to ∞.

Taught in: lessons/13_vision
"""

from dataclasses import dataclass

import torch

from diffusion_lab.guard import (
    check_count,
    check_data,
    check_denoiser,
    check_generator,
    check_number,
    check_schedule,
    check_times,
    require,
    same_shape,
)
from diffusion_lab.theory.forward import noise_like
from diffusion_lab.theory.schedule import at


def two_looks(picture, t, eps, schedule, noise_std=0.0):
    """Two independent looks at one digit x_0, which together know what the picture knows: the state x_t, and the rest.

    The picture is x_0 + noise of variance σ² = noise_std², so its SNR is 1/σ². With the share k = σ² SNR_t of it,

        u = picture + √(1/SNR_t - σ²) ε,   x_t = √ᾱ_t u,   rest = (picture - k u)/(1 - k).

    Given x_0, the noise of the rest is independent of that of x_t, so the rest is a fair target for a denoiser that
    sees x_t. For a clean picture, σ = 0, the rest is x_0 itself and x_t is `q_sample`.

    picture: float, (n, …). t: int or int64 (n,), 1…T, of an SNR below 1/σ². eps: standard normal, shape of picture.
    Returns (x_t, rest), shape and dtype of picture. Raises ValueError for other times or shapes.
    """
    check_schedule(schedule)
    same_shape(picture=picture, eps=eps)
    check_times(t, schedule.T, first=1, like=picture)
    check_number(noise_std, "noise_std", 0)
    snr_t = at(schedule.snr, t, like=picture)
    kept = noise_std**2 * snr_t
    require(bool((kept < 1).all()), f"t must lie where the SNR is below 1/noise_std², that of the picture, but with a "
                                    f"noise_std of {noise_std} it is up to {kept.max().item():.3g} times as large.")
    u = picture + (1 / snr_t - noise_std**2).sqrt() * eps
    rest = (picture - kept * u) / (1 - kept)
    x_t = at(schedule.alpha_bar, t, like=picture).sqrt() * u
    return x_t.to(picture.dtype), rest.to(picture.dtype)


def label_errors(denoiser, x_t, target, t, labels):
    """|target - D_y(x_t)|² for each of its labels y: how badly each restores the *same* noisy state.

    x_t, target: float, (n, …). t: int or int64 (n,), 1…T. labels: int64 (n, k), those to try for each example.
    Returns float64 (n, k). It takes n k evaluations of the denoiser. Raises ValueError for shapes that differ.
    """
    check_denoiser(denoiser)
    same_shape(x_t=x_t, target=target)
    check_times(t, denoiser.schedule.T, first=1, like=x_t)
    require(torch.is_tensor(labels) and labels.dtype == torch.int64 and labels.ndim == 2 and len(labels) == len(x_t),
            f"labels must be an int64 tensor of shape ({len(x_t)}, k), the k labels to try for each example, but got "
            f"{(labels.dtype, tuple(labels.shape)) if torch.is_tensor(labels) else type(labels).__name__}.")
    n, k = labels.shape
    t = torch.as_tensor(t).expand(n).repeat_interleave(k)
    x_0_hat = denoiser(x_t.repeat_interleave(k, dim=0), t, labels.flatten())
    error = target.repeat_interleave(k, dim=0) - x_0_hat
    return error.double().square().flatten(1).sum(dim=1).reshape(n, k)


@dataclass(frozen=True)
class Reading:
    """What `read` found: label (n,), the costs (n, k) of the labels (n, k) still in the race, and what it took.

    evaluations: of the denoiser, for each example.
    """

    label: torch.Tensor
    labels: torch.Tensor
    cost: torch.Tensor
    evaluations: int


@torch.no_grad()
def read(denoiser, picture, rounds, weight, generator=None, noise_std=0.0, kinds=10):
    """Which label restores the picture best: a race in rounds, after each of which only the best go on.

    The cost of a label y is Σ weight_t |rest - D_y(x_t)|² over all times, each averaged over ε and -ε. All labels
    see the same x_t, so that what the noise does to all of them alike is in no difference. With the weights of ½ dSNR,
    over all SNR, it is -log p(picture given y) but for a constant, by the equation at the head of this module.

    picture: float, (n, …), with noise of standard deviation noise_std, which you know; 0 is a clean one. rounds: pairs
    (how many labels race, times): [(10, [850, 700]), (4, [800])] takes 2·(10·2 + 4·1) = 48 evaluations. weight: float
    (T+1,), a number for each time: the SNR, if times are even in log SNR. kinds: the labels are 0…kinds-1.
    Returns `Reading`. Raises ValueError for rounds in which more labels race than before, or times that do not fit.
    """
    check_denoiser(denoiser)
    check_data(picture)
    check_generator(generator)
    check_number(noise_std, "noise_std", 0)
    check_count(kinds, "kinds")
    require(len(rounds) > 0 and all(len(times) > 0 for _, times in rounds),
            "there must be at least one round, and a time in each, such as (10, [850, 700]).")
    require(all(1 <= keep <= before for before, (keep, _) in zip([kinds, *(keep for keep, _ in rounds)], rounds)),
            f"a label that is out stays out: of {kinds} labels {[keep for keep, _ in rounds]} cannot race in turn.")
    schedule = denoiser.schedule
    require(torch.is_tensor(weight) and weight.shape == (schedule.T + 1,),
            f"weight must be a table, a tensor of shape ({schedule.T + 1},), one number for each time 0…{schedule.T}.")
    labels = torch.arange(kinds).expand(len(picture), kinds)
    cost = torch.zeros(labels.shape, dtype=torch.float64)
    evaluations = 0
    for keep, times in rounds:
        best = cost.argsort(dim=1, stable=True)[:, :keep]
        labels = labels.gather(1, best)
        cost = cost.gather(1, best)
        for t in times:
            eps = noise_like(picture, generator)
            for signed in (eps, -eps):
                x_t, rest = two_looks(picture, t, signed, schedule, noise_std)
                cost = cost + weight[t] / 2 * label_errors(denoiser, x_t, rest, t, labels)
                evaluations += keep
    best = cost.argmin(dim=1, keepdim=True)
    return Reading(labels.gather(1, best)[:, 0], labels, cost, evaluations)
