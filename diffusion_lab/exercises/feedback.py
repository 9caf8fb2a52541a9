"""How a check answers: in the reader's terms, and never with an exception, so that *Run All* goes on."""

from functools import wraps

import torch


class Wrong(Exception):
    """What is wrong with an answer, as one sentence to the reader."""


def answers(check):
    """Make a check print its verdict: not attempted, not yet (with the cause), or correct (with what was shown).

    The check raises `Wrong(cause)` for a wrong answer, and returns a sentence for a right one.
    """

    @wraps(check)
    def answering(attempt):
        state = torch.get_rng_state()  # an attempt may draw from, or seed, the global generator
        try:
            print("Correct.", check(attempt))
        except NotImplementedError:
            print("Not attempted yet: replace `raise NotImplementedError` in the cell above, then run both cells.")
        except Wrong as cause:
            print("Not yet:", cause)
        except Exception as error:  # whatever the reader's code raised is an answer to speak about
            print(f"Not yet: your code stopped with {type(error).__name__}: {error}")
            if "must be Tensor, not float" in str(error):
                print("For the root of a plain number write x ** 0.5.")
        finally:
            torch.set_rng_state(state)

    return answering


def tensor_like(given, expected):
    """Return `given`; raise Wrong unless it is a tensor of the shape of `expected`, with no NaN in it."""
    if given is None:
        raise Wrong("your function returned None: is the `return` missing?")
    if not torch.is_tensor(given):
        raise Wrong(f"a tensor was expected, but your function returned {type(given).__name__}.")
    if given.shape != expected.shape:
        raise Wrong(f"the shape should be {tuple(expected.shape)}, but yours is {tuple(given.shape)}.")
    if bool(torch.isnan(given).any()):
        raise Wrong("the result contains NaN (not a number): did something divide by 0, or take √ of a negative?")
    return given


def close(given, expected, tolerance=1e-6):
    """Whether two tensors agree to within `tolerance`, absolute and relative."""
    return torch.allclose(given.double(), expected.double(), rtol=tolerance, atol=tolerance)
