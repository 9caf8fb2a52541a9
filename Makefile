# Everything happens in .venv; nothing is installed anywhere else.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
# Linux without a GPU: `make lab TORCH=cpu` takes the small CPU build of PyTorch and no CUDA packages.
# The choice is kept in .venv/torch, so that it need not be said again.
TORCH ?= $(shell cat .venv/torch 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help lab test notebooks site slides student lint clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s%s\n", $$1, $$2 }' Makefile

lab: $(STAMP)  ## open the course in JupyterLab, in your own copy of the notebooks (my-notebooks/)
	$(BIN)/python tools/working_copy.py
	$(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" my-notebooks/00_start_here.ipynb

test: $(STAMP)  ## run the whole test suite, every notebook included
	$(BIN)/python -m pytest
	TQDM_DISABLE=1 $(BIN)/python -m pytest -c tests/nbval.ini --rootdir=. notebooks

notebooks: $(STAMP)  ## build and execute the notebooks whose text twin, package or data changed
	$(BIN)/python tools/build_notebooks.py

site: $(STAMP)  ## build the course as static pages, build/site/index.html (the first time it needs Node.js and a network)
	$(BIN)/python tools/build_site.py

slides: $(STAMP)  ## build a deck of slides for each notebook, build/slides/index.html (needs what `make site` needs)
	$(BIN)/python tools/build_slides.py

student: $(STAMP)  ## make a folder to hand out, build/student: the notebooks without solutions, and what they need
	$(BIN)/python tools/build_student.py

lint: $(STAMP)  ## check style in package, tests, tools and notebooks
	$(BIN)/ruff check .

clean:  ## remove the virtual environment (my-notebooks/ stays)
	rm -rf .venv

# The stamp is made last, and made anew when what it depends on has changed: an installation that was
# broken off, or is out of date, is taken up again; one that is complete is left alone.
$(STAMP): requirements.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no command $(PYTHON). Install Python 3.11 or newer, or name yours: make lab PYTHON=python3.12"; exit 1; }
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	$(BIN)/python -m pip install "$$(grep '^torch==' requirements.txt)" --index-url https://download.pytorch.org/whl/cpu
	echo cpu > .venv/torch
endif
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	touch $@
