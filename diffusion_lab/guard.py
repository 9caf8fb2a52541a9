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


def check_times(t, T, first=0):
    """Raise ValueError unless t is an int, or an int64 tensor of times, within first…T."""
    one = isinstance(t, int) and not isinstance(t, bool)
    if not one and not (torch.is_tensor(t) and t.dtype == torch.int64):
        given = f"a tensor of {t.dtype}" if torch.is_tensor(t) else repr(t)
        raise ValueError(f"a time must be an int or an int64 tensor, but got {given}.")
    if not (first <= t <= T if one else bool(((t >= first) & (t <= T)).all())):
        raise ValueError(f"times must lie within {first}…{T}, but got {t if one else t.tolist()}.")


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
        allowed = "" if math.isinf(least) else f" of at least {least}" if math.isinf(most) else f" from {least} to {most}"
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
