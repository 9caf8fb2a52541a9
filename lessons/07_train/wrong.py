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


def one_in(whole):
    """Labels dropped with probability 1/k, where k is a whole number near 1/p."""

    def attempt(label, null_label, p, generator):
        return label.masked_fill(torch.randint(whole(1 / p), (len(label),), generator=generator) == 0, null_label)

    return attempt


def together(doubled):
    """Labels dropped by half as many draws as there are labels, each of which is used twice."""

    def attempt(label, null_label, p, generator):
        return label.masked_fill(doubled(torch.rand(len(label) // 2, generator=generator)) < p, null_label)

    return attempt


def every_tenth(label, null_label, p, generator):
    given = label.clone()
    given[:: round(1 / p)] = null_label
    return given


def one_kind(label, null_label, p, generator):
    return label.masked_fill(label == int(torch.randint(0, 10, (1,), generator=generator)), null_label)


def stratified(change=lambda i, u, n, T: (T * (i + u) / n).long() + 1):
    """An answer to the exercise on times: a function of the stretches' numbers i and the draws u."""

    def attempt(n, T, generator):
        return change(torch.arange(n), torch.rand(n, generator=generator, dtype=torch.float64), n, T)

    return attempt


def without_the_generator(n, T, generator):
    return stratified()(n, T, torch.Generator().manual_seed(0))


def upper_end_left_out(n, T, generator):
    return torch.randint(0, T - 1, (n,), generator=generator)


def without_any_generator_at_all(n, T, generator):
    return (T * (torch.arange(n) + torch.rand(n, dtype=torch.float64)) / n).long() + 1


def in_whole_stretches(n, T, generator):
    return torch.arange(n) * (T // n) + torch.randint(1, T // n + 1, (n,), generator=generator)


def in_rounded_stretches(n, T, generator):
    return torch.cat([torch.randint(1 + T * i // n, 1 + T * (i + 1) // n, (1,), generator=generator) for i in range(n)])


def one_time(n, T, generator):
    return torch.randint(1, T + 1, (1,), generator=generator).expand(n)


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
            elif part == "clip to 2":
                torch.nn.utils.clip_grad_norm_([weight], 2.0)
            elif part == "up":
                weight.grad.neg_()
            elif part == "by hand":
                weight.data -= optimizer.param_groups[0]["lr"] * weight.grad
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


def returns_a_bare_tensor(weight, loss_of, optimizer):
    return torch.tensor(step_by("clear", "backward", "clip", "step")(weight, loss_of, optimizer))


WRONG = {
    check_average: [
        (averaged(warm, swapped=True), "swapped"),
        (averaged(lambda step, decay: decay), "without a warm-up"),
        (averaged(lambda step, decay: (1 + step) / (10 + step)), "stands still"),
        (lambda average, weight, step, decay: weight, "nothing is averaged"),
        (averaged(lambda step, decay: min(decay, (2 + step) / (20 + step))), "μ is"),
        (lambda average, weight, step, decay: average.lerp_(weight, 1 - warm(step, decay)), "in place"),
        (averaged(lambda step, decay: max(decay, (1 + step) / (10 + step))), "you took the larger"),
        (averaged(lambda step, decay: decay * (1 + step) / (10 + step)), "you multiplied by it"),
        (averaged(lambda step, decay: min(decay, (1 + step) / 10 + step)), "without brackets"),
        (averaged(lambda step, decay: decay if step > 10 else (1 + step) / (10 + step)), "μ is the smaller"),
        (averaged(lambda step, decay: min(decay, 1 + step / 10 + step)), "with all these brackets"),
        (lambda average, weight, step, decay: warm(step, decay) * average + weight, "1-μ of the new weight is missing"),
        (lambda average, weight, step, decay: (average + weight) / 2, "the plain mean"),
        (lambda *four: averaged(warm)(*four).float(), "should be float64"),
    ],
    check_drop_labels: [
        (in_place, "changed label itself"),
        (lambda label, null_label, p, generator: label.double(), "int64"),
        (dropped(lambda label, null_label: torch.zeros_like(label)), "became 0"),
        (dropped(lambda label, null_label: -torch.ones_like(label)), "-1"),
        (dropped(lambda label, null_label: (label + 3) % 10), "other digits"),
        (dropped(null, keep=lambda r, p: r < p), "the other way round"),
        (whole_batch, "once for the batch"),
        (lambda label, null_label, p, generator: label, "0% of the labels were dropped"),
        (dropped(null, keep=lambda r, p: r >= p / 2), "the share"),
        (dropped(null, seeded=False), "with the generator"),
        (without_any_generator, "equal generators"),
        (fixed_share, "never varies"),
        (dropped(lambda label, null_label: torch.full_like(label, 10)), "with null_label = 7 some labels became 10"),
        (dropped(null, keep=lambda r, p: r >= 0.1), "with p = 0.35"),
        (dropped(lambda label, null_label: label + null_label), "some labels became 11"),
        (lambda *four: dropped(null)(*four).int(), "int64"),
        (lambda *four: dropped(null)(*four) == four[1], "torch.bool"),
        (every_tenth, "of the labels 0, 100.0% were dropped"),
        (one_kind, "should not depend on what they are"),
        (one_in(round), "yours is 33."),
        (together(lambda r: r.repeat_interleave(2)), "labels that stand 1 apart"),
        (together(lambda r: r.repeat(2)), "labels that stand 10000 apart"),
        (lambda *four: four[0] if four[2] == 0 else dropped(null)(*four), "asked is a copy"),
        (lambda *four: dropped(null)(*four[:2], max(four[2], 0.9 * (four[2] == 0)), four[3]), "with p = 0 no label"),
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
        (without_any_generator_at_all, "two equal generators"),
        (in_whole_stretches, "with n = 8 and T = 50"),
        (one_time, "all times of a batch are the same"),
        (in_rounded_stretches, "with n = 8 and T = 20"),
        (stratified(lambda i, u, n, T: 1 + T * ((i + u) / n).long()), "Round last"),
        (stratified(lambda i, u, n, T: T * ((i + u) / n).long()), "all your times are 0"),
        (stratified(lambda i, u, n, T: (T // n * (i + u)).long() + 1), "with n = 8 and T = 50"),
        (stratified(lambda i, u, n, T: (T * (i + u) / n).round().long()), "then add 1"),
        (stratified(lambda i, u, n, T: (T * (i + 1 + u) / n).long() + 1), "reach from 51 to 1050"),
        (stratified(lambda i, u, n, T: (T * (i + 0.25 + u / 2) / n).long() + 1), "equally frequent"),
        (stratified(lambda i, u, n, T: ((T * (i + u) / n).long() + 1).int()), "int64"),
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
        (step_by("clear", "backward", "clip", "by hand"), "without `optimizer.step()`"),
        (step_by("clear", "backward", "clip", "up", "step"), "you went up"),
        (step_by("clear", "backward", "clip", "step", "step"), "two steps were taken"),
        (step_by("backward", "step", "clear"), "not clipped, and at the first call"),
        (step_by("backward", "step"), "neither cleared nor clipped"),
        (step_by("clear", "backward", "clip to 2", "step"), "should be 2.814, but yours is 2.629"),
        (lambda weight, loss_of, optimizer: loss_of().backward(), "and `optimizer.step()` return nothing"),
        (returns_a_bare_tensor, "your function returned Tensor"),
    ],
}
