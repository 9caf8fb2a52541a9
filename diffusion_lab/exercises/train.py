"""The checks of the exercises of lessons/07_train."""

import numpy as np
import torch

from diffusion_lab.exercises.feedback import Wrong, answers, diagnosed, tensor_like

W = torch.tensor([[1.0, -2.0], [0.5, 4.0]], dtype=torch.float64)
V = torch.tensor([[-0.7, 1.6], [2.2, -0.3]], dtype=torch.float64)

BATCHES = 2000  # so many are drawn to see whether all times are equally frequent


@answers
def check_average(attempt):
    def mixture(share):
        """The average with another μ, a function of step and decay."""
        return lambda a, w, step, decay: share(step, decay) * a + (1 - share(step, decay)) * w

    def mu(step, decay):
        return min(decay, (1 + step) / (10 + step))

    def right(average, weight, step, decay):
        return mixture(mu)(average, weight, step, decay)

    causes = [
        ("old and new are swapped: μ is the share of the old one, and most is forgotten at each step.",
         lambda a, w, step, decay: right(w, a, step, decay)),
        ("without a warm-up the first, random weights keep a share for hundreds of steps: "
         "μ = min(decay, (1 + step) / (10 + step)), with all these brackets.", mixture(lambda step, decay: decay)),
        ("right at first; but later μ goes on to 1, and the average stands still. `decay` is its limit.",
         mixture(lambda step, decay: (1 + step) / (10 + step))),
        ("that is the new value alone: nothing is averaged.", lambda a, w, step, decay: w),
        ("that is the old average: the new weight is not in it.", lambda a, w, step, decay: a),
        ("μ is the smaller of the two, `min`, and you took the larger.",
         mixture(lambda step, decay: max(decay, (1 + step) / (10 + step)))),
        ("decay limits μ, `min`; you multiplied by it.", mixture(lambda step, decay: decay * (1 + step) / (10 + step))),
        ("without brackets the division comes first: μ = min(decay, (1 + step) / (10 + step)).",
         mixture(lambda step, decay: min(decay, (1 + step) / 10 + step))),
        ("the factor of the new weight is 1-μ; you took μ for both.",
         lambda a, w, step, decay: mu(step, decay) * (a + w)),
        ("the factor 1-μ of the new weight is missing.", lambda a, w, step, decay: mu(step, decay) * a + w),
        ("that is the plain mean of the two; they have the shares μ and 1-μ.", mixture(lambda step, decay: 0.5)),
    ]
    diagnosed(attempt, right, causes,
              "μ is the smaller of decay and (1 + step) / (10 + step); the average is μ · average + (1-μ) · weight.",
              [(W, V, step, decay) for step, decay in ((0, 0.99), (5, 0.2), (40, 0.99), (100_000, 0.99), (40, 0.6))])
    return "Short memory at first, long memory later."


@answers
def check_drop_labels(attempt):
    mixed = torch.randint(7, (80_000,), generator=torch.Generator().manual_seed(1))  # so many tell 0.35 from 1/3
    for label, null_label, p in ((torch.arange(20_000) % 10, 10, 0.1), (mixed, 7, 0.35)):
        generator = torch.Generator().manual_seed(0)
        given = labels(attempt(label, null_label, p, generator), label)
        require_dropped(given, label, null_label, p)
        if torch.equal(given, labels(attempt(label, null_label, p, generator), label)):
            raise Wrong("the same labels are dropped each time: draw them with the generator.")
        equal = [labels(attempt(label, null_label, p, torch.Generator().manual_seed(1)), label) for _ in range(2)]
        if not torch.equal(*equal):
            raise Wrong("two equal generators gave different labels: without `generator=generator` no run can be "
                        "resumed.")
        counts = {int((labels(attempt(label, null_label, p, generator), label) == null_label).sum()) for _ in range(4)}
        if len(counts) == 1:
            raise Wrong("the number of dropped labels never varies: draw for each label by itself, not a fixed share.")
    require_copy(getattr(attempt, "__wrapped__", attempt))
    return "One network now learns both: digits of a given kind, and digits of any kind."


def labels(given, label):
    """What the reader's function returned, as whole numbers; raises Wrong where it is something else."""
    given = tensor_like(given, label)
    if given.dtype != torch.int64:
        raise Wrong("labels are whole numbers (int64), but yours are {kind}.", kind=given.dtype)
    return given


def require_copy(attempt):
    """Raise Wrong unless p = 0 drops nothing, and still gives a copy. attempt: what gets the very tensor itself."""
    label = torch.arange(10)
    given = labels(attempt(label, 10, 0.0, torch.Generator().manual_seed(0)), label)
    if not torch.equal(given, torch.arange(10)):
        raise Wrong("with p = 0 no label is dropped, but yours changes some.")
    if given.data_ptr() == label.data_ptr():
        raise Wrong("with p = 0 your function returned the tensor that it got, and asked is a copy: who changes one "
                    "of them would change the other. `label.clone()`.")


def require_dropped(given, label, null_label, p):
    """Raise Wrong unless about a share p of each kind of label became null_label, and all others are kept."""
    changed = given != label
    share, became = changed.double().mean().item(), given[changed].unique().tolist()
    if became == [0]:
        raise Wrong("dropped labels became 0, which is a digit. The null label is a number of its own.")
    if became == [-1]:
        raise Wrong("dropped labels became -1, which has no row in the embedding. Use null_label.")
    if became and null_label not in became and set(became) <= set(label.tolist()):
        raise Wrong("dropped labels became other digits: the network would learn wrong names. They become null_label.")
    if became and became != [null_label]:
        raise Wrong("with null_label = {null_label} some labels became {other}. Dropped ones become null_label, all "
                    "others stay as they are.", null_label=null_label, other=min(set(became) - {null_label}))
    if abs(share - (1 - p)) < 0.02:
        raise Wrong("you dropped {share:.0%} and kept {kept:.0%}: it is the other way round.",
                    share=share, kept=1 - share)
    if share in (0, 1):
        raise Wrong("{share:.0%} of the labels were dropped, and with p = {p} it should be about {p:.0%}. Draw for "
                    "each label alone: a draw made once for the batch drops all or none.", share=share, p=p)
    error = (p * (1 - p) / len(label)) ** 0.5
    if abs(share - p) > 5 * error:
        raise Wrong("with p = {p} the share of dropped labels should be {p:.0%}, but yours is {share:.1%}.",
                    p=p, share=share)
    for kind in label.unique().tolist():
        of_kind = changed[label == kind].double()
        if abs(of_kind.mean().item() - p) > 5 * (p * (1 - p) / len(of_kind)) ** 0.5:
            raise Wrong("of the labels {kind}, {share:.1%} were dropped, and not about {p:.0%} as of all: which are "
                        "dropped should not depend on what they are, or where they stand.",
                        kind=kind, share=of_kind.mean().item(), p=p)
    for apart in (1, len(label) // 2):  # draws that were repeated one by one, or all together
        both = (changed & changed.roll(apart)).double().mean().item()
        if abs(both - p**2) > 6 * p / len(label) ** 0.5:  # at least five standard errors
            raise Wrong("labels that stand {apart} apart are both dropped in {both:.1%} of cases, where p² = {due:.1%} "
                        "is due: does one draw decide for several labels? Draw one number for each.",
                        apart=apart, both=both, due=p**2)


@answers
def check_stratified_times(attempt):
    for n, T in ((20, 1000), (8, 50), (8, 20)):  # n does not divide 50 and 20; at 20 rounded stretches differ most
        generator = torch.Generator().manual_seed(0)
        t = torch.stack([times(attempt(n, T, generator), n) for _ in range(BATCHES)])
        require_stratified(t, n, T)
        if not torch.equal(*(times(attempt(n, T, torch.Generator().manual_seed(1)), n) for _ in range(2))):
            raise Wrong("two equal generators gave different times: without `generator=generator` no run can be "
                        "resumed.")
    return "One in each stretch, and every time as likely as any other."


def times(given, n):
    """What the reader's function returned, as whole numbers; raises Wrong where it is something else."""
    given = tensor_like(given, torch.zeros(n, dtype=torch.int64))
    if given.dtype != torch.int64:
        raise Wrong("times are whole numbers (int64), but yours are {kind}: `.long()` makes them so, and rounds down.",
                    kind=given.dtype)
    return given


def require_stratified(t, n, T):
    """Raise Wrong unless each row of t has one time of each stretch, in order, and all times are equally frequent."""
    if bool((t == t[0, 0]).all()) and int(t[0, 0]) in (0, 1):
        raise Wrong("all your times are {t}. (i + u_i)/n is below 1: was it rounded down before it was multiplied by "
                    "T? Round last.", t=int(t[0, 0]))
    if bool((t == t[0]).all()):
        raise Wrong("the same times each time: draw u with the generator, and add it inside, T (i + u_i) / n.")
    if bool((t == t[:, :1]).all()):
        raise Wrong("all times of a batch are the same: draw one in each stretch.")
    if t.min() == 0:
        end = "" if t.max() >= T else f", and T = {T}, where sampling starts, is never trained"
        raise Wrong("t = 0 occurs, where there is nothing to denoise{end}. Times go from 1 to T: round down, then "
                    "add 1.", end=end)
    if t.min() < 1 or t.max() > T:
        raise Wrong("with n = {n} times must lie within 1…{T}, but yours reach from {least} to {most}. Compare with "
                    "T (i + u_i) / n: divide by n, round down, add 1.", n=n, T=T, least=int(t.min()), most=int(t.max()))
    ordered = t.sort(dim=1).values
    if bool(((ordered.diff(dim=1) - T / n).abs() <= 1).all()):
        raise Wrong("your times move all together: one u for all is equation (1). Here each draws its own.")
    i = torch.arange(n)
    first, last = T * i // n + 1, -(-T * (i + 1) // n)  # of each stretch; at its ends two may share a time
    outside = (ordered < first) | (ordered > last)
    if bool(outside.any()):
        row, k = outside.nonzero()[0].tolist()
        raise Wrong("with n = {n} and T = {T} stretch {k} (of 0…{end}) is {first}…{last}, but a batch of yours, put in "
                    "order, has {time} at that place. So two of its times lie in one stretch, and another is empty.",
                    n=n, T=T, k=k, end=n - 1, first=int(first[k]), last=int(last[k]), time=int(ordered[row, k]))
    if not bool(((t >= first) & (t <= last)).all()):
        raise Wrong("each stretch has one time, but not in order: the i-th of them belongs in the i-th stretch.")
    counts, due = torch.bincount(t.flatten(), minlength=T + 1)[1:], t.numel() / T
    if float((counts - due).abs().max()) > 6 * due**0.5:  # six standard errors
        k = int((counts - due).abs().argmax())
        raise Wrong("not all times are equally frequent: with n = {n} and T = {T}, t = {t} occurs {given} times in "
                    "{batches} batches, where about {due:.0f} are due. Is u drawn with `torch.rand`, uniform on 0…1, "
                    "and the rounding done last? Stretches whose ends were rounded before are not equally long.",
                    n=n, T=T, t=k + 1, given=int(counts[k]), batches=len(t), due=due)


X, Y = torch.tensor([[1.0, 0.5], [2.0, -1.0], [-1.0, 0.2]]), torch.tensor([2.0, 1.0, 0.5])


@answers
def check_train_step(attempt):
    def two_steps(step, losses=False):
        """A function of a start: the weight after one and after two steps of it, or the losses that it returned."""

        def run(start, left, lr, momentum):
            weight = torch.nn.Parameter(torch.tensor(start))
            optimizer = torch.optim.SGD([weight], lr=lr, momentum=momentum)
            weight.grad = torch.tensor(left)  # what an earlier, careless step left behind
            after, returned = [], []
            for _ in range(2):
                returned.append(step(weight, lambda: ((X @ weight - Y) ** 2).mean(), optimizer))
                after.append(weight.detach().clone())
            return returned if losses else torch.stack(after).double()

        return run

    def numbers(weight, loss_of, optimizer):
        loss = attempt(weight, loss_of, optimizer)
        if loss is None:
            raise Wrong("your function returned None. `loss.backward()` and `optimizer.step()` return nothing; return "
                        "the loss as a number, `loss.item()`.")
        if isinstance(loss, torch.Tensor) and loss.requires_grad:
            raise Wrong("return a number, `loss.item()`: a tensor with its record keeps every step's memory alive.")
        if not isinstance(loss, (float, np.floating)):
            raise Wrong("return the loss as a number, `loss.item()`; your function returned {kind}.",
                        kind=type(loss).__name__)
        return loss

    causes = [
        ("the weight has not moved: is `optimizer.step()` missing, or the gradient cleared before it?",
         two_steps(lambda weight, loss_of, optimizer: None)),
        ("the gradient was not clipped: `clip_grad_norm_([weight], 1.0)` between backward and step.",
         two_steps(in_order("clear", "backward", "step"))),
        ("the gradient of an earlier step was added: `optimizer.zero_grad()` before `backward`.",
         two_steps(in_order("backward", "clip", "step"))),
        ("at the first call the gradient of an earlier step was added: clear it first, and not last.",
         two_steps(in_order("backward", "clip", "step", "clear"))),
        ("neither cleared nor clipped: `optimizer.zero_grad()` before `backward`, `clip_grad_norm_` after it.",
         two_steps(in_order("backward", "step"))),
        ("not clipped, and at the first call the gradient of an earlier step was added: clear it first, and not last.",
         two_steps(in_order("backward", "step", "clear"))),
        ("the gradient is multiplied by the loss: `loss.backward(loss)` does that; leave it empty.",
         two_steps(in_order("clear", "backward by the loss", "step"))),
        ("you clipped each entry to -1…1, which turns the gradient. Its length is to be clipped: all "
         "entries are divided by one number.", two_steps(in_order("clear", "backward", "clip each", "step"))),
        ("a gradient shorter than 1 was stretched to 1. Clipping shortens long ones only.",
         two_steps(in_order("clear", "backward", "stretch", "step"))),
        ("the gradient is multiplied by the loss, and then clipped: `loss.backward(loss)` does that; leave it empty.",
         two_steps(in_order("clear", "backward by the loss", "clip", "step"))),
        ("you moved the weight yourself, without `optimizer.step()`. An optimiser may remember earlier steps, as the "
         "check's does in its last case, and a step by hand leaves that out.",
         two_steps(in_order("clear", "backward", "clip", "by hand"))),
        ("you went up: the optimiser turns the sign itself.",
         two_steps(in_order("clear", "backward", "clip", "up", "step"))),
        ("two steps were taken at each call: call `optimizer.step()` once.",
         two_steps(in_order("clear", "backward", "clip", "step", "step"))),
    ]
    starts = [([3.0, -1.0], [-100.0, 50.0], 0.1, 0.0), ([0.7, 0.6], [-100.0, 50.0], 0.1, 0.0),
              ([2.0, 1.5], [30.0, 0.0], 0.05, 0.9)]  # gradients that must be clipped, and others that must not
    right = in_order("clear", "backward", "clip", "step")
    diagnosed(two_steps(numbers), two_steps(right), causes,
              "Clear, backward, clip to length 1, step. (Entry [i, j] is weight j after i+1 steps from `start`; before "
              "the first, the gradient was `left`.)", starts)
    later = [("the step is right; but you returned the loss after the step, and asked is that before it.",
              two_steps(lambda *given: (right(*given), given[1]().item())[1], losses=True))]
    diagnosed(two_steps(numbers, losses=True), two_steps(right, losses=True), later,
              "The step is right, but not the loss that you returned: it is the one whose slope was taken.", starts)
    return "Clear, backward, clip, step. Cleared last, as in section 3, it is the same from the second step on."


def in_order(*parts):
    """A training step: these parts, in this order."""

    def step(weight, loss_of, optimizer):
        loss = loss_of()
        for part in parts:
            PARTS[part](weight, loss, optimizer)
        return loss.item()

    return step


PARTS = {
    "clear": lambda weight, loss, optimizer: optimizer.zero_grad(),
    "backward": lambda weight, loss, optimizer: loss.backward(),
    "backward by the loss": lambda weight, loss, optimizer: loss.backward(loss),
    "clip": lambda weight, loss, optimizer: torch.nn.utils.clip_grad_norm_([weight], 1.0),
    "clip each": lambda weight, loss, optimizer: weight.grad.clamp_(-1, 1),
    "stretch": lambda weight, loss, optimizer: weight.grad.div_(weight.grad.norm()),
    "up": lambda weight, loss, optimizer: weight.grad.neg_(),
    "by hand": lambda weight, loss, optimizer: weight.data.sub_(optimizer.param_groups[0]["lr"] * weight.grad),
    "step": lambda weight, loss, optimizer: optimizer.step(),
}
