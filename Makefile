# Everything happens in .venv; nothing is installed anywhere else.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
# Linux without a GPU: `make lab TORCH=cpu` takes the small CPU build of PyTorch and no CUDA packages.
TORCH ?=

.DEFAULT_GOAL := help
.PHONY: help lab test notebooks lint clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

lab: $(STAMP)  ## open the course in JupyterLab, in your own copy of the notebooks (my-notebooks/)
	$(BIN)/python tools/working_copy.py
	$(BIN)/jupyter lab my-notebooks/00_start_here.ipynb

test: $(STAMP)  ## run the whole test suite, every notebook included
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest -c tests/nbval.ini --rootdir=. notebooks

notebooks: $(STAMP)  ## build and execute the notebooks whose text twin, package or data changed
	$(BIN)/python tools/build_notebooks.py

lint: $(STAMP)  ## check style in package, tests, tools and notebooks
	$(BIN)/ruff check .

clean:  ## remove the virtual environment (my-notebooks/ stays)
	rm -rf .venv

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, but $(PYTHON) is " + sys.version.split()[0] + ". Install a newer one, or name it: make lab PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	$(BIN)/python -m pip install "$$(grep '^torch==' requirements.txt)" --index-url https://download.pytorch.org/whl/cpu
endif
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	touch $@
