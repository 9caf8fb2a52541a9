"""Guidance: go further in the direction in which a label pulls, or away from what a weaker network says.

Taught in: lessons/08_sampling, lessons/10_guidance
"""

import torch

from diffusion_lab.guard import check_denoiser, check_number, check_times, require
from diffusion_lab.theory.denoiser import Denoiser
from diffusion_lab.theory.schedule import at


def guided(denoiser, guidance_weight, until=None):
    """A denoiser that overdoes the label:  (1 + w) x̂_0(x_t, label) - w x̂_0(x_t)   (Ho & Salimans 2022, eq. 6).

    Written there for ε; x̂_0 is an affine function of ε, and the weights add up to 1, so it says the same.
    guidance_weight: w, finite, at least 0; 0 is the plain conditional denoiser. until: guide at times t <= until
    alone, an int within 0…T; None is at all of them (Kynkäänniemi et al. 2024, without a lower end).
    Costs two evaluations where it guides, and one elsewhere. Raises ValueError for another weight or time. Without a
    label the denoiser is left as it is: there is nothing to overdo.
    """
    check_denoiser(denoiser)
    check_number(guidance_weight, "guidance_weight", 0)
    schedule = denoiser.schedule
    until = schedule.T if until is None else until
    check_times(until, schedule.T)
    weight = guidance_weight * (torch.arange(schedule.T + 1) <= until).double()  # w at each time

    def answer(x_t, t, label):
        x_0_hat = denoiser(x_t, t, label)
        if label is None or not bool(at(weight, t).any()):
            return x_0_hat
        w = at(weight, t, like=x_t).to(x_t.dtype)
        return x_0_hat + w * (x_0_hat - denoiser(x_t, t))

    return Denoiser(answer, schedule)


def autoguided(denoiser, weaker, guidance_weight, until=None):
    """A denoiser that goes away from a weaker one:  (1 + w) x̂_0 - w x̂_0,weak   (Karras et al. 2024, section 4).

    Written there for the score; weights that add up to 1 make it the same. weaker: a denoiser with the same schedule,
    for example an early snapshot of the same training; both are asked with the label, or both without.
    guidance_weight: w, finite, at least 0. until: guide at times t <= until alone; None is at all of them.
    Costs two evaluations where it guides, and one elsewhere. Raises ValueError for another weight, time or schedule.
    """
    check_denoiser(denoiser)
    check_denoiser(weaker)
    check_number(guidance_weight, "guidance_weight", 0)
    schedule = denoiser.schedule
    require(torch.equal(weaker.schedule.alpha_bar, schedule.alpha_bar),
            "both denoisers must have the same schedule, since both are asked about the same x_t and t, but theirs "
            f"differ (T = {schedule.T} and {weaker.schedule.T}).")
    until = schedule.T if until is None else until
    check_times(until, schedule.T)
    weight = guidance_weight * (torch.arange(schedule.T + 1) <= until).double()  # w at each time

    def answer(x_t, t, label):
        x_0_hat = denoiser(x_t, t, label)
        if not bool(at(weight, t).any()):
            return x_0_hat
        w = at(weight, t, like=x_t).to(x_t.dtype)
        return x_0_hat + w * (x_0_hat - weaker(x_t, t, label))

    return Denoiser(answer, schedule)


def classifier_guided(denoiser, classifier, guidance_weight, until=None):
    """Ask for a label without a denoiser that knows one:  x̂_0(x_t) + (1 + w) (1-ᾱ_t)/√ᾱ_t ∇ log p(label given x_t).

    (Dhariwal & Nichol 2021, eq. 14, written there for ε; 1 + w is the scale of their algorithm 1.) With w = 0 and an
    exact classifier, the denoiser of that label, by Bayes' rule. denoiser: is asked without a label. classifier: called
    as classifier(x_t, t) with t int64 (n,); returns scores (logits), float (n, K), that can be differentiated, each
    from its own example. guidance_weight: w, finite, at least 0. until: guide at times t <= until alone; None is at all
    of them, but at t = T a small error of the gradient is multiplied by 1/√ᾱ_T, which may be thousands.
    Raises ValueError for another weight or time. Without a label the denoiser is left as it is.
    """
    check_denoiser(denoiser)
    require(callable(classifier), "a classifier is due here, scores = classifier(x_t, t), but got "
                                  f"{type(classifier).__name__}.")
    check_number(guidance_weight, "guidance_weight", 0)
    schedule = denoiser.schedule
    until = schedule.T if until is None else until
    check_times(until, schedule.T)
    weight = (1 + guidance_weight) * (torch.arange(schedule.T + 1) <= until).double()
    factor = weight * (1 - schedule.alpha_bar) / schedule.alpha_bar.sqrt()  # of the gradient at each time

    def answer(x_t, t, label):
        x_0_hat = denoiser(x_t, t)
        if label is None or not bool(at(weight, t).any()):
            return x_0_hat
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            log_p = classifier(x, torch.as_tensor(t).expand(len(x))).log_softmax(dim=1)
            of_label = log_p[torch.arange(len(x)), label]
            [gradient] = torch.autograd.grad(of_label.sum(), x)  # each example has its own
        return x_0_hat + (at(factor, t, like=x_t) * gradient).to(x_t.dtype)

    return Denoiser(answer, schedule)
