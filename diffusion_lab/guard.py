"""Refuse bad input with a sentence that helps, before anything is computed.

Guards are statements: they return nothing, so that a function without them computes the same. Lessons leave them out,
and the test that compares a lesson with the package does so, too.
"""

import math

import torch


def require(condition, message):
    """Raise ValueError, with a message that says what was given and what is allowed, unless the condition is true."""
    if not condition:
        raise ValueError(message)


def same_shape(**tensors):
    """Raise ValueError unless all that is named is tensors of one shape: broadcasting would hide a mistake."""
    for name, tensor in tensors.items():
        if not torch.is_tensor(tensor):
            raise ValueError(f"{name} must be a tensor, but got {type(tensor).__name__}.")
    if len({tuple(tensor.shape) for tensor in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"these must have the same shape, but got {shapes}.")


def check_times(t, T, first=0, like=None):
    """Raise ValueError unless t is an int, or an int64 tensor of times, within first…T.

    like: data that t must fit, one time for all examples or one for each: float, (n, …).
    """
    one = isinstance(t, int) and not isinstance(t, bool)
    if not one and not (torch.is_tensor(t) and t.dtype == torch.int64):
        given = f"a tensor of {t.dtype}" if torch.is_tensor(t) else repr(t)
        raise ValueError(f"a time must be an int or an int64 tensor, but got {given}.")
    if not (first <= t <= T if one else bool(((t >= first) & (t <= T)).all())):
        raise ValueError(f"times must lie within {first}…{T}, but got {t if one else t.tolist()}.")
    if like is not None:
        check_data(like)
        shape = () if one else tuple(t.shape)
        require(shape in ((), like.shape[:1]),
                f"t must hold a time for each example ({len(like)}), but its shape is {shape}.")


def check_data(x):
    """Raise ValueError unless x is a floating-point tensor whose first axis counts examples, at least one."""
    if not torch.is_tensor(x) or not torch.is_floating_point(x) or x.ndim == 0 or x.numel() == 0:
        given = f"a tensor of {x.dtype}, {tuple(x.shape)}" if torch.is_tensor(x) else f"{type(x).__name__}"
        raise ValueError(f"data must be a floating-point tensor of shape (n, …), n at least 1, but got {given}.")


def check_schedule(schedule):
    """Raise ValueError unless schedule has a table ᾱ_t."""
    if not hasattr(schedule, "alpha_bar"):
        given = getattr(schedule, "__name__", type(schedule).__name__)
        raise ValueError(f"a schedule is due here, for example cosine() or linear(), but got {given}.")


def check_denoiser(denoiser):
    """Raise ValueError unless denoiser can be called and has a schedule."""
    if not callable(denoiser) or not hasattr(getattr(denoiser, "schedule", None), "alpha_bar"):
        raise ValueError("a denoiser is due here, x_0_hat = denoiser(x_t, t, label) with its schedule, but got "
                         f"{type(denoiser).__name__}. as_denoiser(network, schedule, predicts) makes one of a network.")


def check_generator(generator):
    """Raise ValueError unless generator is None or a torch.Generator."""
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise ValueError(f"generator must be a torch.Generator, for example torch.Generator().manual_seed(0), or None, "
                         f"but got {generator!r}.")


def check_tables(log_snr):
    """Raise ValueError unless noise grows at each step, as far as float64 can tell, and some of the data is left.

    Samplers divide by √ᾱ_t, and by the noise of a step.
    """
    require(bool((log_snr.diff() < 0).all()),
            "each step must add noise that float64 can see, but there is one after which ᾱ_t/(1-ᾱ_t) is as it was "
            "before: a β_t is too small, or ᾱ_t has become 0.")
    require(log_snr[-1] > -math.log(1e60),
            f"ᾱ_T must be at least 1e-60, so that √ᾱ_T can be divided by, but it is {log_snr[-1].exp().item():.3g}.")


def check_step(t, s, T):
    """Raise ValueError unless a step goes from t back to an earlier time s, 0 <= s < t <= T. s = None means t-1."""
    check_times(t, T, first=1)
    if s is None:
        return
    check_times(s, T)
    if torch.is_tensor(t) and torch.is_tensor(s) and t.ndim and s.ndim and t.shape != s.shape:
        raise ValueError(f"s and t must have the same shape, but got {tuple(s.shape)} and {tuple(t.shape)}.")
    if not bool(torch.as_tensor(s < t).all()):
        raise ValueError(f"a step goes from t back to an earlier time s, but got t = {t} and s = {s}.")


def check_number(value, name, least=-math.inf, most=math.inf):
    """Raise ValueError unless value is one finite number (no bool) from least to most."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most:
        limits = f" from {least} to {most}" if math.isfinite(most) else f" of at least {least}"
        allowed = limits if math.isfinite(least) else ""
        raise ValueError(f"{name} must be a finite number{allowed}, but got {value!r}.")


def check_count(value, name, multiple_of=1):
    """Raise ValueError unless value is an int of at least 1, and a multiple of the last argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value % multiple_of:
        wanted = f"a multiple of {multiple_of}, at least {multiple_of}" if multiple_of > 1 else "at least 1"
        raise ValueError(f"{name} must be a whole number, {wanted}, but got {value!r}.")


def check_choice(value, name, choices):
    """Raise ValueError, naming the choices, unless value is one of them."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, but got {value!r}.")


def check_positive(**values):
    """Raise ValueError unless all entries of the named numbers or tensors are positive and finite."""
    for name, value in values.items():
        tensor = torch.as_tensor(math.nan if value is None or isinstance(value, str) else value)
        if not bool((torch.isfinite(tensor) & (tensor > 0)).all()):
            raise ValueError(f"{name} must be positive and finite, but got {value}.")


def check_label(label, n, null_label=None):
    """Raise ValueError unless label is None, an int, or an int64 tensor with one label for each of n examples.

    null_label: the largest that is allowed; None if any is.
    """
    one = label is None or isinstance(label, int) and not isinstance(label, bool)
    if not one and not (torch.is_tensor(label) and label.dtype == torch.int64 and label.shape in ((), (n,))):
        given = f"a tensor of {label.dtype}, {tuple(label.shape)}" if torch.is_tensor(label) else repr(label)
        raise ValueError("label must be None, an int or an int64 tensor with one label for each example "
                         f"({n}), but got {given}.")
    if label is not None and null_label is not None:
        labels = torch.as_tensor(label)
        if not bool(((labels >= 0) & (labels <= null_label)).all()):
            raise ValueError(f"labels must lie within 0…{null_label - 1} ({null_label} means any class), but got "
                             f"{labels.tolist()}.")


def check_no_label(label):
    """Raise ValueError if a label is given to what knows none."""
    require(label is None, f"this knows no labels; leave label out (it was {label!r}).")


def check_pixels(x):
    """Raise ValueError unless the values of x are 8-bit pixels scaled to [-1, 1]."""
    pixels = (torch.as_tensor(x).double() + 1) * 127.5
    whole = (pixels - pixels.round()).abs() < 1e-3
    require(bool((whole & (pixels > -0.5) & (pixels < 255.5)).all()),
            "the discretised decoder gives probability to 8-bit pixels, -1 + k/127.5 with k = 0…255, but this data "
            'holds other values. For continuous data use decoder="gaussian".')


def check_points(x, d):
    """Raise ValueError unless x is a table of points in d dimensions, float, (n, d)."""
    check_data(x)
    require(x.ndim == 2 and x.shape[1] == d, f"points must have shape (n, {d}), but got {tuple(x.shape)}.")


def check_density(var):
    """Raise ValueError unless all variances of a mixture are positive: without width there is no density."""
    require(bool((var > 0).all()), "a component of variance 0 has no density. Add noise to it: its marginal at t = 1 "
                                   "and later has one.")


def check_mixture(weight, mean, var):
    """Raise ValueError unless float64 tables weight (K,), mean (K, d), var (K,) or (K, d, d) make a mixture."""
    shapes = (mean.shape[:1], (*mean.shape, mean.shape[-1])) if mean.ndim == 2 else ()
    require(mean.numel() > 0 and weight.shape == mean.shape[:1] and var.shape in shapes,
            "a mixture of K Gaussians in d dimensions needs weight (K,), mean (K, d) and var (K,) or (K, d, d), "
            f"but got {tuple(weight.shape)}, {tuple(mean.shape)} and {tuple(var.shape)}.")
    require(bool((weight > 0).all()) and abs(weight.sum().item() - 1) <= 1e-6,  # float32 weights are welcome
            f"weights must be positive and add up to 1, but they add up to {weight.sum().item():.6g} "
            f"and the smallest is {weight.min().item():.6g}.")
    require(bool(torch.isfinite(mean).all()), "means must be finite, but some are not.")
    require(bool(torch.isfinite(var).all()) and (var.ndim == 3 or bool((var >= 0).all())),
            f"variances must be finite and not negative, but they run from {var.min().item()} to {var.max().item()}.")
    if var.ndim == 3:
        apart = (var - var.mT).abs().amax(dim=(1, 2))
        least = torch.linalg.eigvalsh(var).amin(dim=1)
        rounding = 1e-6 * var.abs().amax(dim=(1, 2))  # float32 covariances are welcome
        require(bool((apart <= rounding).all()), "covariances must be symmetric, but an entry and its mirror image "
                                                 f"differ by {apart.max().item():.6g}.")
        require(bool((least >= -rounding).all()), "covariances must have no negative eigenvalue, but one is "
                                                  f"{least.min().item():.6g}.")


def check_numbers(x, name):
    """Raise ValueError unless x is a tensor of whole or real numbers, (n,)."""
    if not torch.is_tensor(x) or x.ndim != 1 or x.dtype == torch.bool or x.is_complex():
        given = f"{x.dtype}, {tuple(x.shape)}" if torch.is_tensor(x) else repr(x)
        raise ValueError(f"{name} must be a tensor of numbers, shape (n,), but got {given}.")


def check_input(x_t, t, weight, shape):
    """Raise ValueError unless x_t and t can go into a network: x_t (n, *shape) of its weights' dtype, t int64 (n,)."""
    if not torch.is_tensor(x_t) or x_t.dtype != weight.dtype or x_t.shape[1:] != shape or x_t.numel() == 0:
        given = f"{x_t.dtype}, {tuple(x_t.shape)}" if torch.is_tensor(x_t) else type(x_t).__name__
        raise ValueError(f"this network takes x_t of shape (n, {', '.join(map(str, shape))}), n at least 1, and of the "
                         f"dtype of its weights, {weight.dtype}, but got {given}.")
    if not torch.is_tensor(t) or t.dtype != torch.int64 or t.shape != x_t.shape[:1]:
        given = f"{t.dtype}, {tuple(t.shape)}" if torch.is_tensor(t) else repr(t)
        raise ValueError(f"a network takes times as an int64 tensor, one for each example ({len(x_t)},), but got "
                         f"{given}.")


def check_images(images):
    """Raise ValueError unless images are float, (n, 1, 28, 28), with values in [-1, 1]."""
    if not torch.is_tensor(images) or images.ndim != 4 or images.shape[1:] != (1, 28, 28) or len(images) == 0:
        given = tuple(images.shape) if torch.is_tensor(images) else type(images).__name__
        raise ValueError(f"digits must have shape (n, 1, 28, 28), but got {given}.")
    require(torch.is_floating_point(images), f"images must be floats, -1 for black and 1 for white, but these are "
                                             f"{images.dtype}.")
    least, most = (value.item() for value in images.aminmax())
    require(math.isfinite(least + most), "the images hold NaN or infinite values.")
    require(max(-least, most) < 1.001,  # rounding is welcome
            f"images must lie within [-1, 1], -1 for black and 1 for white, but these run from {least:.4g} to "
            f"{most:.4g}.")


def check_classes(labels, n, classes=10):
    """Raise ValueError unless labels are an int64 tensor (n,), within 0…classes-1."""
    if not torch.is_tensor(labels) or labels.dtype != torch.int64 or labels.shape != (n,):
        given = f"{labels.dtype}, {tuple(labels.shape)}" if torch.is_tensor(labels) else repr(labels)
        raise ValueError(f"labels must be an int64 tensor with one label for each example, ({n},), but got {given}.")
    if not bool(((labels >= 0) & (labels < classes)).all()):
        raise ValueError(f"labels must lie within 0…{classes - 1}, but these run from {labels.min()} to "
                         f"{labels.max()}.")
