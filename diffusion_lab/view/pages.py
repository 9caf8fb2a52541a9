"""Whether pages for site and slides are being made: then pictures are sharper, and scrubbers bring their player."""

import os

SWITCH = "DIFFUSION_LAB_PLAYER"


def for_pages():
    """Whether the environment says so: SWITCH is set to 1."""
    return os.environ.get(SWITCH) == "1"
