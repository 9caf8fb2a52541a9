"""Keep notes that compiled code writes to the error stream out of the page."""

import os
from contextlib import contextmanager


@contextmanager
def quiet():
    """While this lasts, nothing that is written to the error stream of the process is shown; exceptions still are."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
