"""The checks of the exercises of lessons/07_train."""

import torch

from diffusion_lab.exercises.feedback import Wrong, answers, close, tensor_like

W = torch.tensor([[1.0, -2.0], [0.5, 4.0]], dtype=torch.float64)


@answers
def check_average(attempt):
    for step in (0, 5, 100_000):
        mu = min(0.99, (1 + step) / (10 + step))
        average, weight = W.clone(), -W
        given, expected = tensor_like(attempt(average, weight, step, 0.99), W), W.lerp(-W, 1 - mu)
        if close(given, (1 - mu) * W + mu * -W):
            raise Wrong("old and new are swapped: μ is the share of the old one, and most is forgotten at each step.")
        if step == 0 and close(given, 0.99 * W - 0.01 * W):
            raise Wrong("without a warm-up the first, random weights keep a share for hundreds of steps: "
                        "μ = min(decay, (1 + step) / (10 + step)).")
        if step == 100_000 and close(given, (1 + step) / (10 + step) * W + 9 / (10 + step) * -W):
            raise Wrong("right at first; but later μ goes on to 1, and the average stands still. `decay` is its limit.")
        if close(given, -W):
            raise Wrong("that is the new value alone: nothing is averaged.")
        if not close(given, expected):
            raise Wrong(f"at step {step} μ is {mu:.4f}, and the average is μ · average + (1 - μ) · weight.")
    return "Short memory at first, long memory later."


@answers
def check_drop_labels(attempt):
    label, generator = torch.arange(20_000) % 10, torch.Generator().manual_seed(0)
    given = tensor_like(attempt(label, 10, 0.1, generator), label)
    if given.dtype != torch.int64:
        raise Wrong(f"labels are whole numbers (int64), but yours are {given.dtype}.")
    changed = given != label
    share = changed.double().mean().item()
    if share > 0 and bool((given[changed] == 0).all()):
        raise Wrong("dropped labels became 0, which is a digit. The null label is a number of its own.")
    if share > 0 and bool((given[changed] == -1).all()):
        raise Wrong("dropped labels became -1, which has no row in the embedding. Use null_label.")
    if share > 0 and not bool((given[changed] == 10).all()):
        raise Wrong("dropped labels became other digits: the network would learn wrong names. They become null_label.")
    if abs(share - 0.9) < 0.02:
        raise Wrong("you dropped 90 % and kept 10 %: it is the other way round.")
    if share in (0, 1):
        raise Wrong(f"{share:.0%} of the labels were dropped: draw for each label alone, not once for the batch.")
    if abs(share - 0.1) > 0.011:  # five standard errors
        raise Wrong(f"the share of dropped labels should be 10 %, but yours is {share:.1%}.")
    places = changed.double().view(-1, 10).mean(0)
    if bool((places == 1).any()) or bool((given == attempt(label, 10, 0.1, generator)).all()):
        raise Wrong("the same labels are dropped each time: draw them with the generator.")
    if not torch.equal(*(attempt(label, 10, 0.1, torch.Generator().manual_seed(1)) for _ in range(2))):
        raise Wrong("two equal generators gave different labels: without `generator=generator` no run can be resumed.")
    if len({int((attempt(label, 10, 0.1, generator) == 10).sum()) for _ in range(4)}) == 1:
        raise Wrong("the number of dropped labels never varies: draw for each label by itself, not a fixed share.")
    return "One network now learns both: digits of a given kind, and digits of any kind."


@answers
def check_stratified_times(attempt):
    n, T = 20, 1000
    generator = torch.Generator().manual_seed(0)
    given = [tensor_like(attempt(n, T, generator), torch.empty(n)) for _ in range(500)]
    if given[0].dtype != torch.int64:
        raise Wrong(f"times are whole numbers (int64), but yours are {given[0].dtype}: round down with `.long()`.")
    t = torch.stack(given)
    if bool((t == t[0]).all()):
        raise Wrong("the same times each time: draw u with the generator, and add it inside, T (i + u_i) / n.")
    if t.min() == 0:
        end = "" if t.max() == T else f", and T = {T}, where sampling starts, is never trained"
        raise Wrong(f"off by one: t = 0 occurs, where there is nothing to denoise{end}. Times go from 1 to T: add 1.")
    if t.min() < 1 or t.max() > T:
        raise Wrong(f"times must lie within 1…{T}, but yours reach from {t.min()} to {t.max()}: divide by n, "
                    "and round down.")
    gaps = t.sort(dim=1).values.diff(dim=1)
    if bool(((gaps - T // n).abs() <= 1).all()) or bool((gaps == 0).all()):
        raise Wrong("your times move all together: one u for all is equation (1). Here each draws its own.")
    stretch, within = (t - 1) // (T // n), (t - 1) % (T // n)
    if not bool((stretch.sort(dim=1).values == torch.arange(n)).all()):
        raise Wrong(f"two of your times lie in one stretch, and another stretch is empty. Each of 1…{T // n}, "
                    f"{T // n + 1}…{2 * T // n}, … must have one.")
    if not bool((stretch == torch.arange(n)).all()):
        raise Wrong("each stretch has one time, but not in order: the i-th of them belongs in the i-th stretch.")
    share = torch.bincount(within.flatten(), minlength=T // n) / within.numel()
    if abs(share - n / T).max() > 5 * (n / T / within.numel()) ** 0.5:  # five standard errors
        raise Wrong("within a stretch, not all times are equally frequent: draw u with `torch.rand`, uniform on 0…1.")
    return "One in each stretch, and every time as likely as any other."


@answers
def check_train_step(attempt):
    x, y = torch.tensor([[1.0, 0.5], [2.0, -1.0], [-1.0, 0.2]]), torch.tensor([2.0, 1.0, 0.5])
    weight = torch.nn.Parameter(torch.tensor([3.0, -1.0]))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.grad = torch.tensor([-100.0, 50.0])  # what an earlier, careless step left behind
    for start in ([3.0, -1.0], None, [0.7, 0.6], None):  # a gradient that must be clipped, and one that must not
        if start is not None:
            weight.data = torch.tensor(start)
        before = weight.detach().clone()
        gradient, loss_before = 2 * x.T @ (x @ before - y) / 3, ((x @ before - y) ** 2).mean()
        length = gradient.norm()
        loss = attempt(weight, lambda: ((x @ weight - y) ** 2).mean(), optimizer)
        taken = (before - weight.detach()) / 0.1
        if isinstance(loss, torch.Tensor) and loss.requires_grad:
            raise Wrong("return a number, `loss.item()`: a tensor with its record keeps every step's memory alive.")
        if not isinstance(loss, float):
            raise Wrong("return the loss as a number: `loss.item()`.")
        if close(taken, torch.zeros(2)):
            raise Wrong("the weight has not moved: is `optimizer.step()` missing, or the gradient cleared before it?")
        if close(taken, loss_before * gradient, 1e-4):
            raise Wrong("the gradient is multiplied by the loss: `loss.backward(loss)` does that; leave it empty.")
        if length > 1 and close(taken, gradient, 1e-4):
            raise Wrong("the gradient was not clipped: `clip_grad_norm_([weight], 1.0)` between backward and step.")
        if length > 1 and close(taken, gradient.clamp(-1, 1), 1e-4):
            raise Wrong("you clipped each entry to -1…1, which turns the gradient. Its length is to be clipped: all "
                        "entries are divided by one number.")
        if length < 1 and close(taken, gradient / length, 1e-4):
            raise Wrong("a gradient shorter than 1 was stretched to 1. Clipping shortens long ones only.")
        if not close(taken, gradient / length.clamp(min=1.0), 1e-4):
            raise Wrong("the gradient of an earlier step was added: `optimizer.zero_grad()` before `backward`.")
        if not close(torch.tensor(loss), loss_before, 1e-4):
            raise Wrong(f"the step is right, but its loss was {loss_before:.4f}, and you returned {loss:.4f}.")
    return "Clear, backward, clip, step. Cleared last, as in section 3, it is the same from the second step on."
