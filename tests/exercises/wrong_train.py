"""Wrong answers to the exercises of notebook 07, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.train import check_average, check_drop_labels, check_train_step


def averaged(d_of, swapped=False):
    """An answer to the exercise on the average, with the weight of the old value exchanged."""

    def attempt(average, weight, step, decay):
        d = d_of(step, decay)
        return (1 - d) * average + d * weight if swapped else d * average + (1 - d) * weight

    return attempt


def warm(step, decay):
    return min(decay, (1 + step) / (10 + step))


def dropped(replacement, keep=lambda r, p: r >= p, seeded=True):
    """An answer to the exercise on labels, with one part exchanged."""

    def attempt(label, null_label, p, generator):
        own = generator if seeded else torch.Generator().manual_seed(5)
        kept = keep(torch.rand(len(label), generator=own), p)
        return torch.where(kept, label, replacement(label, null_label))

    return attempt


def null(label, null_label):
    return torch.full_like(label, null_label)


def in_place(label, null_label, p, generator):
    label[torch.rand(len(label), generator=generator) < p] = null_label
    return label


def whole_batch(label, null_label, p, generator):
    return torch.full_like(label, null_label) if torch.rand(1, generator=generator) < p else label


def step_by(*order):
    """An answer to the exercise on the training step: these parts, in this order."""

    def attempt(weight, loss_of, optimizer):
        loss = loss_of()
        for part in order:
            if part == "clear":
                optimizer.zero_grad()
            elif part == "backward":
                loss.backward(retain_graph=True)
            elif part == "clip":
                torch.nn.utils.clip_grad_norm_([weight], 1.0)
            else:
                optimizer.step()
        return loss.item()

    return attempt


def returns_a_tensor(weight, loss_of, optimizer):
    step_by("clear", "backward", "clip", "step")(weight, loss_of, optimizer)
    return loss_of()


WRONG = {
    check_average: [
        (averaged(warm, swapped=True), "swapped"),
        (averaged(lambda step, decay: decay), "without a warm-up"),
        (averaged(lambda step, decay: (1 + step) / (10 + step)), "stands still"),
        (lambda average, weight, step, decay: weight, "nothing is averaged"),
        (averaged(lambda step, decay: min(decay, (2 + step) / (20 + step))), "d is"),
    ],
    check_drop_labels: [
        (in_place, "handed in"),
        (lambda label, null_label, p, generator: label.double(), "int64"),
        (dropped(lambda label, null_label: torch.zeros_like(label)), "became 0"),
        (dropped(lambda label, null_label: -torch.ones_like(label)), "-1"),
        (dropped(lambda label, null_label: (label + 3) % 10), "other digits"),
        (dropped(null, keep=lambda r, p: r < p), "the other way round"),
        (whole_batch, "once for the batch"),
        (dropped(null, keep=lambda r, p: r >= p / 2), "the share"),
        (dropped(null, seeded=False), "with the generator"),
    ],
    check_train_step: [
        (step_by("backward", "clip", "step"), "of an earlier step"),
        (step_by("clear", "backward", "step"), "not clipped"),
        (step_by("clear", "clip", "backward", "step"), "not clipped"),
        (step_by("backward", "clear", "clip", "step"), "has not moved"),
        (step_by("clear", "backward", "clip"), "has not moved"),
        (returns_a_tensor, "loss.item()"),
    ],
}
