"""Refuse bad input with a sentence that helps, before anything is computed.

These checks are plumbing: they keep the taught functions as short as their equations.
"""

import math

import torch


def double(value):
    """Return `value` as a float64 tensor: float32 data would round the answer."""
    return torch.as_tensor(value, dtype=torch.float64)


def positive(value, name):
    """Return `value` as a float64 tensor; raise ValueError unless every entry is positive and finite."""
    tensor = double(value)
    if not bool((torch.isfinite(tensor) & (tensor > 0)).all()):
        raise ValueError(f"{name} must be positive and finite, but got {value}.")
    return tensor


def positive_int(value, name, multiple_of=1):
    """Return `value`; raise ValueError unless it is an int of at least 1, and a multiple of the last argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, but got {value!r}.")
    if value % multiple_of:
        raise ValueError(f"{name} must be a multiple of {multiple_of}, but got {value}.")
    return value


def between_0_and_1(value, message):
    """Return `value` as a float; raise ValueError, beginning with `message`, unless it is a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{message}, but got {value!r}.")
    return float(value)


def at_least_0(value, message):
    """Return `value` as a float; raise ValueError, beginning with `message`, unless it is finite and at least 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"{message}, but got {value!r}.")
    return float(value)


def same_shape(**tensors):
    """Raise ValueError unless all named tensors have one shape (broadcasting would hide a mistake)."""
    if len({tuple(tensor.shape) for tensor in tensors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"these must have the same shape, but got {shapes}.")


def beta_table(beta):
    """Return a float64 table of shape (T+1,); raise ValueError unless beta[0] = 0 and the rest lies in (0, 1)."""
    beta = torch.as_tensor(beta, dtype=torch.float64)
    if beta.ndim != 1 or len(beta) < 2:
        raise ValueError(f"beta must have shape (T+1,) with T of at least 1, but got shape {tuple(beta.shape)}.")
    if beta[0] != 0:
        raise ValueError(f"beta[0] must be 0 (time 0 is the data, no noise yet), but got {beta[0].item()}.")
    bad = ~((beta[1:] > 0) & (beta[1:] < 1))  # NaN compares false, so it counts as bad
    if bad.any():
        t = int(bad.nonzero()[0]) + 1
        raise ValueError(f"beta[1], …, beta[T] must lie between 0 and 1, but beta[{t}] is {beta[t].item()}.")
    return beta.clone()


def before(t, s=None):
    """Return the time s that a reverse step from t goes to: t-1 unless given; raise ValueError unless 0 <= s < t."""
    if s is None:
        return t - 1
    if isinstance(s, bool) or not (isinstance(s, int) or torch.is_tensor(s) and s.dtype == torch.int64):
        raise ValueError(f"s must be an int or an int64 tensor, but got {s!r}.")
    if isinstance(s, int) and isinstance(t, int) and 0 <= s < t:
        return s
    early, late = torch.as_tensor(s), torch.as_tensor(t)
    if early.ndim > 0 and late.ndim > 0 and early.shape != late.shape:
        raise ValueError(f"s and t must have the same shape, but got {tuple(early.shape)} and {tuple(late.shape)}.")
    if bool(((early < 0) | (early >= late)).any()):
        raise ValueError("a step goes from t back to an earlier time s, 0 <= s < t, "
                         f"but got t = {late.tolist()} and s = {early.tolist()}.")
    return s


def mixture_tables(weight, mean, var):
    """Return weight (K,), mean (K, d), var (K,) as float64; raise ValueError unless they make a mixture."""
    weight, mean, var = (torch.as_tensor(table, dtype=torch.float64) for table in (weight, mean, var))
    if mean.ndim != 2 or mean.numel() == 0 or weight.shape != mean.shape[:1] or var.shape != mean.shape[:1]:
        raise ValueError("a mixture of K Gaussians in d dimensions needs weight (K,), mean (K, d) and var (K,), "
                         f"but got {tuple(weight.shape)}, {tuple(mean.shape)} and {tuple(var.shape)}.")
    if not bool((weight > 0).all()) or abs(weight.sum().item() - 1) > 1e-6:  # float32 weights are welcome
        raise ValueError(f"weights must be positive and add up to 1, but they add up to {weight.sum().item():.6g} "
                         f"and the smallest is {weight.min().item():.6g}.")
    finite = torch.isfinite(mean).all(dim=1)
    if not finite.all():
        k = int((~finite).nonzero()[0])
        raise ValueError(f"means must be finite, but mean[{k}] is {mean[k]}.")
    if not ((var >= 0) & torch.isfinite(var)).all():
        k = int((~((var >= 0) & torch.isfinite(var))).nonzero()[0])
        raise ValueError(f"variances must be finite and not negative, but var[{k}] is {var[k].item()}.")
    return weight / weight.sum(), mean, var


def points(x, mean):
    """Return points x (n, d) as float64; raise ValueError unless d is that of the means (K, d)."""
    if x.ndim != 2 or x.shape[1] != mean.shape[1]:
        raise ValueError(f"points must have shape (n, {mean.shape[1]}), but got {tuple(x.shape)}.")
    return x.double()


def no_label(label):
    """Raise ValueError if a label is given to a denoiser that knows none."""
    if label is not None:
        raise ValueError(f"this denoiser knows no labels; leave label out (it was {label!r}).")


def label_of(x_t, label):
    """Raise ValueError unless label is None, an int, or an int64 tensor with one label for each example in x_t."""
    if label is None or isinstance(label, int) and not isinstance(label, bool):
        return
    if not torch.is_tensor(label) or label.dtype != torch.int64 or label.shape not in ((), x_t.shape[:1]):
        given = f"a tensor of {label.dtype}, {tuple(label.shape)}" if torch.is_tensor(label) else repr(label)
        raise ValueError("label must be None, an int or an int64 tensor with one label for each example "
                         f"({len(x_t)}), but got {given}.")


def steps_at_least(schedule, least):
    """Raise ValueError unless the schedule has `least` steps or more."""
    if least > schedule.T:
        raise ValueError(f"this needs a chain of at least {least} steps, but the schedule has T = {schedule.T}.")


def one_of(choices, name, what):
    """Return choices[name]; raise ValueError, naming the choices, for another name."""
    if name not in choices:
        raise ValueError(f"{what} must be one of {', '.join(map(repr, choices))}, but got {name!r}.")
    return choices[name]


def pixel_values(x):
    """Return x as float64; raise ValueError unless its values are 8-bit pixels scaled to [-1, 1]."""
    x = torch.as_tensor(x).double()
    pixels = (x + 1) * 127.5
    if not bool(((pixels - pixels.round()).abs() < 1e-3).all() and ((pixels > -0.5) & (pixels < 255.5)).all()):
        raise ValueError("the discretised decoder gives probability to 8-bit pixels, -1 + k/127.5 k = 0…255, but this "
                         'data holds other values. For continuous data use decoder="gaussian".')
    return x
