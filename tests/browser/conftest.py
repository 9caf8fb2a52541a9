"""A Chromium, and a JupyterLab over a folder of its own, for the tests of one module."""

import pytest
from browser import browser, jupyter_lab


@pytest.fixture(scope="module")
def chromium():
    with browser() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(folder):
    with jupyter_lab(folder) as address:
        yield address
