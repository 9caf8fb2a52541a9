"""How a check answers: in the reader's terms, and never with an exception, so that *Run All* goes on.

A check is a table of causes, see `diagnosed`. What it says are templates with named fields, so that a catalogue can
hold them.
"""

import inspect
import math
import re
from functools import wraps

import numpy as np
import torch

RIGHT, NEARLY = 1e-6, 1e-5  # relative to the largest number of the right answer; float32 keeps seven digits

NOT_ATTEMPTED = "Not attempted yet: replace `raise NotImplementedError` in the cell above, then run both cells."
STOPPED = "your code stopped with {kind}: {error}"
LEFT = "your code left Python ({kind}); a function hands its result back with `return`."
HINTS = {  # words of an error that say too little: what to tell the reader about it
    "must be Tensor, not float": "For the root of a plain number write x ** 0.5.",
    "repeat dims can not be smaller": "A tensor may have more axes than yours has: x.expand(n, *x.shape[1:]) fits any.",
    "number of sizes provided": "A tensor may have more axes than yours has: x.expand(n, *x.shape[1:]) fits any.",
    "math domain error": "The module math says so of the root of a negative number, and of the logarithm of 0 or less.",
}
CHANGED = ("your function changed {name} itself (+=, [...] = and methods such as mul_ work in place), and whoever "
           "called it still needs {name}: compute something new, or work on {name}.{copy}().")
NONE = "your function returned None: is the `return` missing?"
ONE_NONE = ("entry {i} of the {n} in a {kind} that your function returned is None: was it never computed, or did a "
            "function that computes it forget its `return`?")
NO_NUMBERS = "numbers were expected, but your function returned {kind}."
VALUES_AND_INDICES = ("your function returned two tensors, values and their indices, as torch's min, max and sort do: "
                      "take the .values (or the .indices) of it.")
NO_INT = "a whole number (int) was expected, but your function returned {kind}: int(…) makes one of a single number."
ONE_INT = "one whole number (int) was expected, but your function returned {n} numbers."
NO_FUNCTION = ("hand over the function itself, its name without brackets: `check(f)`, and not `check(f())`, which "
               "hands over "
               "what it returned ({kind}).")
NOT_SO_MANY = "{n} results were expected, in this order, as in `return a, b`; your function returned {kind}."
SHAPE = "the shape should be {expected}, but yours is {given}."
DTYPE = "the result should be {expected}, but yours is {given}: look where the type changes on the way."
NAN = "the result contains NaN (not a number): did something divide by 0, or take √ of a negative?"
DIFFERS = ("two calls with the same numbers gave different results: does your function draw numbers of its own, or "
           "keep something between calls? It should depend on its arguments alone.")
DIGITS = ("only the first digits are right: {place} should be {expected}, but yours is {given}, with {numbers}. Do all "
          "steps stay in float64, and is nothing added or left out that is merely small?")
NO_LETTERS = ('letters from {among} were expected, as a set like {{"A", "B"}} or a text like "AB", but your function '
              "returned {kind}.")
SEVERAL = "{n} letters are wrong or missing. Go through the statements once more; at the last one, this check says why."
FOUND = "{otherwise} With {numbers}, {place} should be {expected}, but yours is {given}."


class Wrong(Exception):
    """What is wrong with an answer, as a sentence to the reader: a template, and the values of its named fields.

    `Wrong("your noise has variance {given:.2f}", given=var)`. Without fields the sentence is taken as it is.
    """

    def __init__(self, template, **fields):
        super().__init__(template.format(**fields) if fields else template)


def answers(check):
    """Make a check print its verdict: not attempted, not yet (with the cause), or correct (with what was shown).

    The check raises `Wrong` for a wrong answer, and returns a sentence for a right one. The reader's function gets
    copies of the tensors and arrays that the check hands over; if it changes one, this is what it is told.
    """

    @wraps(check)
    def answering(attempt):
        state = torch.get_rng_state()  # an attempt may draw from, or seed, the global generator
        try:
            if not callable(attempt):
                raise Wrong(NO_FUNCTION, kind=type(attempt).__name__)
            print("Correct.", check(with_copies(attempt) if inspect.isfunction(attempt) else attempt))
        except NotImplementedError:
            print(NOT_ATTEMPTED)
        except Wrong as cause:
            print("Not yet:", cause)
        except SystemExit as leaving:  # it would end *Run All*
            print("Not yet:", LEFT.format(kind=type(leaving).__name__))
        except Exception as error:  # whatever the reader's code raised is an answer to speak about
            print("Not yet:", STOPPED.format(kind=type(error).__name__, error=error))
            for words, hint in HINTS.items():
                if words in str(error):
                    print(hint)
        finally:
            torch.set_rng_state(state)

    return answering


def with_copies(attempt):
    """The reader's function, called with copies; raises Wrong where a copy was changed."""

    @wraps(attempt)
    def careful(*arguments):
        copies = [copied(argument) for argument in arguments]
        given = attempt(*copies)
        for i, (argument, copy) in enumerate(zip(arguments, copies)):
            if copy is not argument and not unchanged(argument, copy):
                names = list(inspect.signature(attempt).parameters)
                raise Wrong(CHANGED, name=names[i] if i < len(names) else f"number {i + 1}",
                            copy="clone" if torch.is_tensor(argument) else "copy")
        return given

    return careful


def copied(argument):
    """A copy of a tensor, an array or a list; all else, and what gradients are taken of, is handed over itself."""
    if torch.is_tensor(argument) and not argument.requires_grad:
        return argument.clone()
    return argument.copy() if isinstance(argument, (np.ndarray, list)) else argument


def unchanged(argument, copy):
    if isinstance(argument, list):
        return len(argument) == len(copy) and all(one is other for one, other in zip(argument, copy))
    same_form = argument.shape == copy.shape and argument.dtype == copy.dtype
    return same_form and bool(((argument == copy) | ((argument != argument) & (copy != copy))).all())


def diagnosed(attempt, right, causes, otherwise, numbers, tolerance=RIGHT):
    """Raise Wrong unless the reader's function gives, for all numbers, what the right one gives.

    right: a function that gives what is due: a tensor, a float, an int, or a tuple of these. causes: the usual
    mistakes, a list of (cause, wrong function); a cause is named only if the answer is that of the wrong function for
    all numbers. otherwise: what to look at when no cause is found; what was due and what was given, for which numbers,
    is added to it. numbers: at least two tuples of arguments, chosen so that right and wrong functions all differ.

    An answer is right in any form whose meaning is clear (numpy, list, tuple), if its numbers agree to within the
    tolerance (relative to the largest) and a dtype, where it has one, is that of the right answer. Where one number is
    due, a tensor or array of one, of any float dtype, is it, too. Where the exercise is about digits, the tolerance is
    one that float32 cannot meet: 1e-9.
    """
    expected = [results(right(*case)) for case in numbers]
    given = [matched(attempt(*case), due) for case, due in zip(numbers, expected)]
    if all(agree(mine, due, tolerance) for mine, due in zip(given, expected)):
        return require_dtype(given, expected)
    off = next(i for i, due in enumerate(expected) if not agree(given[i], due, tolerance))
    if not agree(matched(attempt(*numbers[off]), expected[off]), given[off], 0):
        raise Wrong(DIFFERS)
    if all(agree(mine, due, NEARLY) for mine, due in zip(given, expected)):
        require_dtype(given, expected)
        raise Wrong(DIGITS, **difference(given[off], expected[off], right, numbers[off], tolerance))
    for cause, wrong in causes:
        if all(agree(mine, results(wrong(*case)), max(tolerance, NEARLY)) for mine, case in zip(given, numbers)):
            raise Wrong(cause)
    for mine, due in zip(given[off], expected[off]):
        if mine.shape != due.shape:
            raise Wrong(SHAPE, expected=tuple(due.shape), given=tuple(mine.shape))
        if bool(torch.isnan(mine).any()):
            raise Wrong(NAN)
    require_dtype(given, expected)
    raise Wrong(FOUND, otherwise=otherwise, **difference(given[off], expected[off], right, numbers[off], tolerance))


def results(value):
    """What a function returned, as a list of tensors: one, or one for each part of a tuple."""
    parts = value if isinstance(value, tuple) else (value,)
    return [torch.as_tensor(part if torch.is_tensor(part) else np.asarray(part)) for part in parts]


def matched(given, expected):
    """The reader's result as a list of tensors, one for each that is due; raises Wrong where it cannot be one."""
    if given is None:
        raise Wrong(NONE)
    if len(expected) == 1:
        return [as_tensor(given, expected[0])]
    return [as_tensor(part, due) for part, due in zip(several(given, len(expected)), expected)]


def several(given, n):
    """The n results that a function returned, in their order; raises Wrong where these are not n, or have no order."""
    if given is None:
        raise Wrong(NONE)
    ordered = isinstance(given, (tuple, list)) or len(getattr(given, "shape", ())) > 0
    if not ordered or len(given) != n:
        raise Wrong(NOT_SO_MANY, n=n, kind=how_many(given))
    require_no_none(given)
    return given


def how_many(given):
    """What a function returned in place of several results, in words: how many, or of what kind."""
    if not isinstance(given, (tuple, list)):
        shape = tuple(getattr(given, "shape", ()))
        return f"{type(given).__name__} of shape {shape}" if shape else type(given).__name__
    return "1 result" if len(given) == 1 else f"{len(given)} results"


def require_no_none(given):
    """Raise Wrong where an entry of a list or tuple is None."""
    for i, part in enumerate(given if isinstance(given, (tuple, list)) else ()):
        if part is None:
            raise Wrong(ONE_NONE, i=i, n=len(given), kind=type(given).__name__)


def as_tensor(given, expected):
    """One result as a tensor, with its dtype if it had one."""
    if type(given).__module__ == "torch.return_types":
        raise Wrong(VALUES_AND_INDICES)
    if expected.shape == () and expected.dtype == torch.int64:
        size = math.prod(getattr(given, "shape", ()))
        if size != 1:
            raise Wrong(ONE_INT, n=size)
        kind = str(getattr(given, "dtype", type(given).__name__)).removeprefix("torch.")
        if not kind.startswith(("int", "uint")):
            raise Wrong(NO_INT, kind=type(given).__name__)
        return torch.tensor(int(given.item() if hasattr(given, "item") else given))
    tensor = numbers_of(given, expected.dtype)
    if expected.shape == () and tensor.numel() == 1:  # one number has no shape, and no dtype was promised
        tensor = tensor.reshape(())
        return tensor.to(expected.dtype) if tensor.is_floating_point() and expected.is_floating_point() else tensor
    return tensor


def numbers_of(given, dtype):
    """What was given as a tensor, with its dtype if it had one; what had none, such as a list, gets the one due."""
    if torch.is_tensor(given):
        return given.detach()
    require_no_none(given)
    try:
        tensor = torch.as_tensor(np.asarray(given))
    except (TypeError, ValueError, RuntimeError):
        raise Wrong(NO_NUMBERS, kind=type(given).__name__) from None
    kept = hasattr(given, "dtype") or not torch.can_cast(tensor.dtype, dtype)  # 833.3 is no whole number
    return tensor if kept else tensor.to(dtype)


def agree(given, expected, tolerance):
    """Whether two lists of tensors agree in shapes, and in numbers to within `tolerance`, relative to the largest."""
    return all(mine.shape == due.shape and numbers_agree(mine, due, tolerance) for mine, due in zip(given, expected))


def numbers_agree(given, expected, tolerance):
    if not expected.is_floating_point() and not expected.is_complex():
        tolerance = 0
    kind = torch.complex128 if given.is_complex() or expected.is_complex() else torch.float64
    given, expected = given.to(kind), expected.to(kind)
    finite = expected[expected.isfinite()].abs()
    near = tolerance * float(finite.max()) if len(finite) else 0.0
    return torch.allclose(given, expected, rtol=0.0, atol=near, equal_nan=True)


def require_dtype(given, expected):
    """Raise Wrong unless each tensor has the dtype that is due."""
    for mine, due in ((mine, due) for pair in zip(given, expected) for mine, due in zip(*pair)):
        if mine.dtype != due.dtype:
            kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in (due, mine)]
            raise Wrong(DTYPE, expected=kinds[0], given=kinds[1])


def difference(given, expected, right, case, tolerance):
    """The fields of a sentence that says where two lists of tensors differ most, and for which numbers."""
    part = next(i for i, due in enumerate(expected) if not agree([given[i]], [due], tolerance))
    mine, due = given[part].reshape(-1), expected[part].reshape(-1)
    worst = int((mine - due).abs().nan_to_num(torch.inf).argmax())
    where = [int(i) for i in np.unravel_index(worst, expected[part].shape)]
    place = f"entry {where}" if where else "the result"
    near = numbers_agree(mine, due, NEARLY) or shown(mine[worst]) == shown(due[worst])  # then four digits show nothing
    digits = 12 if near else 4
    names = inspect.signature(right).parameters
    return {"place": " of ".join([place] * bool(where) + [f"result {part + 1}"]) if len(expected) > 1 else place,
            "expected": shown(due[worst], digits), "given": shown(mine[worst], digits),
            "numbers": ", ".join(f"{name} = {shown(value)}" for name, value in zip(names, case))}


def shown(value, digits=4):
    """A number, or up to six numbers of a tensor, as they stand in a sentence."""
    if not torch.is_tensor(value):
        return f"{value:.{digits}g}" if isinstance(value, float) else str(value)
    if value.dim() == 0:
        return shown(value.item(), digits)
    entries = [shown(entry, digits) for entry in value.reshape(-1)]
    return f"[{', '.join(entries if len(entries) < 7 else [*entries[:3], '…', *entries[-2:]])}]"


def require_letters(given, right, reasons):
    """Raise Wrong unless the letters of an answer are the right ones.

    While more than one is wrong or missing it says only how many, so that nobody reads the answer off the check; for
    the last one it gives the reason. reasons: for each letter, what to say to a reader who has it wrong.
    """
    off = sorted(letters(given, reasons) ^ set(right))
    if len(off) > 1:
        raise Wrong(SEVERAL, n=len(off))
    if off:
        raise Wrong(reasons[off[0]])


def letters(given, among):
    """The letters of an answer, as a set of capitals; raises Wrong where one is not `among` those that there are.

    given: a set, list, tuple or array of letters, a text in which they stand, or a dict that tells True or False of
    each.
    """
    among = sorted(among)
    if given is None:
        raise Wrong(NONE)
    if isinstance(given, dict):
        given = [letter for letter, chosen in given.items() if chosen]
    parts = [given] if isinstance(given, str) else given
    if not isinstance(parts, (set, frozenset, list, tuple, np.ndarray)):
        raise Wrong(NO_LETTERS, among=f"{among[0]} to {among[-1]}", kind=type(given).__name__)
    chosen = set(re.sub(r"[\s,;.]|\bAND\b", "", " ".join(map(str, parts)).upper()))
    if not chosen <= set(among):
        raise Wrong(NO_LETTERS, among=f"{among[0]} to {among[-1]}", kind=repr(given))
    return chosen


def tensor_like(given, expected):
    """Return `given` as a tensor; raise Wrong unless it has the shape of `expected`, with no NaN in it."""
    if given is None:
        raise Wrong(NONE)
    given = as_tensor(given, expected)
    if given.shape != expected.shape:
        raise Wrong(SHAPE, expected=tuple(expected.shape), given=tuple(given.shape))
    if bool(torch.isnan(given).any()):
        raise Wrong(NAN)
    return given


def close(given, expected, tolerance=1e-6):
    """Whether two tensors agree to within `tolerance`, absolute and relative."""
    return torch.allclose(given.double(), expected.double(), rtol=tolerance, atol=tolerance)
