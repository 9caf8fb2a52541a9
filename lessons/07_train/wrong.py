"""Wrong answers to the exercises of notebook 07, each with words that the check's message must contain."""

import torch

from diffusion_lab.exercises.train import check_average, check_drop_labels, check_stratified_times, check_train_step


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


def without_any_generator(label, null_label, p, generator):
    return label.masked_fill(torch.rand(len(label)) < p, null_label)


def fixed_share(label, null_label, p, generator):
    given = label.clone()
    given[torch.randperm(len(label), generator=generator)[:int(p * len(label))]] = null_label
    return given


def stratified(change=lambda i, u, n, T: (T * (i + u) / n).long() + 1):
    """An answer to the exercise on times: a function of the stretches' numbers i and the draws u."""

    def attempt(n, T, generator):
        return change(torch.arange(n), torch.rand(n, generator=generator, dtype=torch.float64), n, T)

    return attempt


def without_the_generator(n, T, generator):
    return stratified()(n, T, torch.Generator().manual_seed(0))


def upper_end_left_out(n, T, generator):
    return torch.randint(0, T - 1, (n,), generator=generator)


def each_by_itself(n, T, generator):
    return torch.randint(1, T + 1, (n,), generator=generator)


def step_by(*order):
    """An answer to the exercise on the training step: these parts, in this order."""

    def attempt(weight, loss_of, optimizer):
        loss = loss_of()
        for part in order:
            if part == "clear":
                optimizer.zero_grad()
            elif part == "backward":
                loss.backward(retain_graph=True)
            elif part == "backward by the loss":
                loss.backward(loss)
            elif part == "clip each":
                weight.grad.clamp_(-1, 1)
            elif part == "stretch":
                weight.grad /= weight.grad.norm()
            elif part == "clip":
                torch.nn.utils.clip_grad_norm_([weight], 1.0)
            else:
                optimizer.step()
        return loss.item()

    return attempt


def returns_a_later_loss(weight, loss_of, optimizer):
    step_by("clear", "backward", "clip", "step")(weight, loss_of, optimizer)
    return loss_of().item()


def returns_a_tensor(weight, loss_of, optimizer):
    step_by("clear", "backward", "clip", "step")(weight, loss_of, optimizer)
    return loss_of()


WRONG = {
    check_average: [
        (averaged(warm, swapped=True), "swapped"),
        (averaged(lambda step, decay: decay), "without a warm-up"),
        (averaged(lambda step, decay: (1 + step) / (10 + step)), "stands still"),
        (lambda average, weight, step, decay: weight, "nothing is averaged"),
        (averaged(lambda step, decay: min(decay, (2 + step) / (20 + step))), "μ is"),
        (lambda average, weight, step, decay: average.lerp_(weight, 1 - warm(step, decay)), "in place"),
    ],
    check_drop_labels: [
        (in_place, "changed label itself"),
        (lambda label, null_label, p, generator: label.double(), "int64"),
        (dropped(lambda label, null_label: torch.zeros_like(label)), "became 0"),
        (dropped(lambda label, null_label: -torch.ones_like(label)), "-1"),
        (dropped(lambda label, null_label: (label + 3) % 10), "other digits"),
        (dropped(null, keep=lambda r, p: r < p), "the other way round"),
        (whole_batch, "once for the batch"),
        (dropped(null, keep=lambda r, p: r >= p / 2), "the share"),
        (dropped(null, seeded=False), "with the generator"),
        (without_any_generator, "equal generators"),
        (fixed_share, "never varies"),
    ],
    check_stratified_times: [
        (stratified(lambda i, u, n, T: (T * (i + u) / n).long()), "then add 1"),
        (upper_end_left_out, "is never trained"),
        (stratified(lambda i, u, n, T: (T * (i + u) / n).round().long() + 1), "round down"),
        (stratified(lambda i, u, n, T: (T * (i + u)).long() + 1), "divide by n"),
        (stratified(lambda i, u, n, T: T * (i + u) / n + 1), "int64"),
        (stratified(lambda i, u, n, T: (T * (i + u[:1]) / n).long() + 1), "move all together"),
        (stratified(lambda i, u, n, T: (T * (i / n + u[:1]) % T).long() + 1), "move all together"),
        (each_by_itself, "lie in one stretch"),
        (stratified(lambda i, u, n, T: (T * (i + u) / n).long().flip(0) + 1), "not in order"),
        (stratified(lambda i, u, n, T: (T * (i + u**2) / n).long() + 1), "equally frequent"),
        (stratified(lambda i, u, n, T: T * i // n + 1), "the same times each time"),
        (without_the_generator, "with the generator"),
        (stratified(lambda i, u, n, T: (T * i / n + u).long() + 1), "add it inside"),
    ],
    check_train_step: [
        (step_by("clear", "backward by the loss", "clip", "step"), "multiplied by the loss"),
        (step_by("clear", "backward by the loss", "step"), "multiplied by the loss"),
        (step_by("clear", "backward", "stretch", "step"), "was stretched"),
        (step_by("backward", "clip", "step", "clear"), "of an earlier step"),
        (returns_a_later_loss, "you returned"),
        (step_by("backward", "clip", "step"), "of an earlier step"),
        (step_by("clear", "backward", "clip each", "step"), "Its length is to be clipped"),
        (step_by("clear", "backward", "step"), "not clipped"),
        (step_by("clear", "clip", "backward", "step"), "not clipped"),
        (step_by("backward", "clear", "clip", "step"), "has not moved"),
        (step_by("clear", "backward", "clip"), "has not moved"),
        (returns_a_tensor, "loss.item()"),
    ],
}
