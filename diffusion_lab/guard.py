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
    """Raise ValueError unless all named tensors have one shape: broadcasting would hide a mistake."""
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
    """Raise ValueError unless x is a floating-point tensor whose first axis counts examples."""
    if not torch.is_tensor(x) or not torch.is_floating_point(x) or x.ndim == 0:
        given = f"a tensor of {x.dtype}, {tuple(x.shape)}" if torch.is_tensor(x) else f"{type(x).__name__}"
        raise ValueError(f"data must be a floating-point tensor of shape (n, …), but got {given}.")


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
        tensor = torch.as_tensor(value)
        if not bool((torch.isfinite(tensor) & (tensor > 0)).all()):
            raise ValueError(f"{name} must be positive and finite, but got {value}.")


def check_label(label, n):
    """Raise ValueError unless label is None, an int, or an int64 tensor with one label for each of n examples."""
    if label is None or isinstance(label, int) and not isinstance(label, bool):
        return
    if not torch.is_tensor(label) or label.dtype != torch.int64 or label.shape not in ((), (n,)):
        given = f"a tensor of {label.dtype}, {tuple(label.shape)}" if torch.is_tensor(label) else repr(label)
        raise ValueError("label must be None, an int or an int64 tensor with one label for each example "
                         f"({n}), but got {given}.")


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
    """Raise ValueError unless x is a table of points in d dimensions, (n, d)."""
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
