"""Where the course lives, and what opens a notebook of it in the browser: on Binder, in Colab.

The repository's address stands in pyproject.toml and the release in diffusion_lab/__init__.py, and nowhere else:
badges, site, slides and the cell for Colab ask here, and tests hold the README to it.
"""

import tomllib
from pathlib import Path

from diffusion_lab import __version__

ROOT = Path(__file__).parents[1]
TAG = f"v{__version__}"
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
OWNER_AND_NAME = REPOSITORY.removeprefix("https://github.com/")
SITE = "https://{}.github.io/{}/".format(*OWNER_AND_NAME.split("/"))  # where .github/workflows/site.yml puts it
INSTALL = f"git+{REPOSITORY}@{TAG}"


def binder(name):
    """The address that opens the notebook `name` (02_forward_markov_chain) in JupyterLab on Binder."""
    return f"https://mybinder.org/v2/gh/{OWNER_AND_NAME}/{TAG}?urlpath=lab/tree/notebooks/{name}.ipynb"


def colab(name):
    """The address that opens the notebook `name` in Colab."""
    return f"https://colab.research.google.com/github/{OWNER_AND_NAME}/blob/{TAG}/notebooks/{name}.ipynb"


def source(path):
    """The address at which a file of this release can be read."""
    return f"{REPOSITORY}/blob/{TAG}/{path}"


def badges(name):
    """The two badges, as Markdown."""
    return [f"[![Open on Binder](https://mybinder.org/badge_logo.svg)]({binder(name)})",
            f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab(name)})"]
