"""A real JupyterLab with a notebook of our making, and a real browser that looks at it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOW_TO_INSTALL = "no Chromium here: install it (Debian, Ubuntu: apt-get install chromium) to run the browser tests"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
PATIENCE = 300_000  # ms that a slow or busy machine may take, to start a kernel or to run a notebook

# The first cell has run since it had this prompt, none waits or runs (a star), and the kernel rests. JupyterLab leaves
# the prompt of a folded cell empty, whether it has run or not.
PROMPT = ".jp-CodeCell .jp-InputPrompt:not(:empty)"
HAS_RUN = """([selector, before]) => {
  const prompts = [...document.querySelectorAll(selector)].map((prompt) => prompt.textContent);
  return /\\d/.test(prompts[0]) && prompts[0] !== before && !prompts.some((prompt) => prompt.includes("*"))
      && document.body.innerText.includes("| Idle");
}"""


@contextmanager
def browser():
    """Headless Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


@contextmanager
def jupyter_lab(folder):
    """JupyterLab serving `folder`, with settings of its own, not the reader's; gives its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
               "--IdentityProvider.token=", "--ServerApp.password=", f"--ServerApp.root_dir={folder}",
               "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    settings = {"JUPYTERLAB_SETTINGS_DIR": f"{folder}/.settings", "JUPYTERLAB_WORKSPACES_DIR": f"{folder}/.workspaces",
                "JUPYTER_DATA_DIR": f"{folder}/.data"}  # where it notes which notebooks are trusted
    server = subprocess.Popen(command, env=os.environ | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        give_up = time.monotonic() + PATIENCE / 1000
        while True:
            try:
                urllib.request.urlopen(f"{address}/api", timeout=1)
                break
            except OSError:
                assert time.monotonic() < give_up, "JupyterLab did not answer within five minutes"
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE / 1000)


def new_page(chromium, **settings):
    """A page that waits as long as a busy machine may take."""
    page = chromium.new_page(**settings)
    page.set_default_timeout(PATIENCE)
    return page


def write_notebook(path, *sources):
    """Write a notebook of code cells, given as source or as cells with their output."""
    cells = [nbformat.v4.new_code_cell(source) if isinstance(source, str) else source for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    nbformat.write(notebook, Path(path))


def open_notebook(page, address, name):
    """Open a notebook and wait until its kernel is ready; nothing is run."""
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.locator(".jp-Notebook").wait_for(timeout=PATIENCE)
    page.get_by_text("| Idle").wait_for(timeout=PATIENCE)


def run_all(page):
    """Run all cells; returns when the last one has run."""
    before = page.locator(PROMPT).first.text_content()
    menu(page, "Run", "Run All Cells")
    page.wait_for_function(HAS_RUN, arg=[PROMPT, before], timeout=PATIENCE)


def open_and_run(page, address, name, ready):
    """Open a notebook, run all its cells, and wait for the CSS selector `ready`."""
    open_notebook(page, address, name)
    menu(page, "Edit", "Clear Outputs of All Cells")  # a saved [1] could not be told from the new one
    run_all(page)
    page.locator(ready).first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(1000)


def menu(page, *names):
    """Choose from JupyterLab's menu bar, from a menu down to its command."""
    first, *rest = names
    page.get_by_role("menuitem", name=first, exact=True).click()
    for name in rest:
        page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).click()


def choose_theme(page, theme):
    """Light or Dark."""
    menu(page, "Settings", "Theme", f"JupyterLab {theme}")
    page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']").wait_for(state="attached")
    page.wait_for_timeout(1000)


# In the page: `shown()` says what the picture shows at this moment, and each animation frame is noted in `seen`. Frame
# number i is a picture of grey level 8 i, so that its decoded pixels say which one it is; null is a blank.
WATCH = """(selector) => {
  const canvas = document.createElement("canvas"), ink = canvas.getContext("2d", { willReadFrequently: true });
  const scroller = document.querySelector(".jp-WindowedPanel-outer") || document.scrollingElement;
  window.shown = () => {
    const picture = document.querySelector(selector);
    if (!picture || !picture.naturalWidth) return null;  // while a new one loads, the one before is on the screen
    ink.drawImage(picture, 0, 0, 1, 1);
    return Math.round(ink.getImageData(0, 0, 1, 1).data[0] / 8);
  };
  window.seen = [];
  if (!window.pressed) document.addEventListener("keydown", () => window.pressed.push(performance.now()), true);
  window.pressed = [];
  (function look() {
    window.seen.push([performance.now(), window.shown(), scroller.scrollTop]);
    window.watching = requestAnimationFrame(look);
  })();
}"""


@contextmanager
def watching(page, picture):
    """Watch a picture; the list that this gives is filled at the end: [(ms, frame or None, scroll position)]."""
    seen = []
    page.evaluate(WATCH, picture)
    yield seen
    page.evaluate("cancelAnimationFrame(window.watching)")
    seen += page.evaluate("window.seen")


def press_and_watch(page, picture, key="ArrowRight", presses=30, rate=30):
    """Press a key at a steady rate while watching a picture, for benchmarks: what is seen depends on the machine.

    Returns [(ms, frame or None, scroll position)] for each animation frame, and the ms at which each key was pressed.
    """
    with watching(page, picture) as seen:
        for _ in range(presses):
            start = time.perf_counter()
            page.keyboard.press(key)
            time.sleep(max(0, 1 / rate - (time.perf_counter() - start)))
        page.wait_for_timeout(2500)
    return seen, page.evaluate("window.pressed")
