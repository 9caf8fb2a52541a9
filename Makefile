# Everything happens in .venv; nothing is installed anywhere else.
PYTHON ?= python3
BIN := .venv/bin
READER := .venv/installed
DEVELOPER := .venv/installed-dev
# One thread for each of two processes: more would be in each other's way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
# Linux without a GPU: `make lab TORCH=cpu` takes the small CPU build of PyTorch and no CUDA packages.
# The choice is kept in .venv/torch, so that it need not be said again.
TORCH ?= $(shell cat .venv/torch 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help lab check test notebooks lesson site book slides student lint lowest clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s%s\n", $$1, $$2 }' Makefile

# As root, as in many containers, JupyterLab must be told that this is meant; without a screen there is no browser.
lab: $(READER)  ## open the course in JupyterLab, in your own copy of the notebooks (my-notebooks/)
	$(BIN)/python tools/working_copy.py
	@root=; browser=; \
	if [ "$$(id -u)" = 0 ]; then \
	    root=--allow-root; \
	    echo "You are root, so JupyterLab is started with --allow-root: what it runs may do anything on this machine."; \
	fi; \
	if [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY$$BROWSER" ]; then \
	    browser=--no-browser; \
	    echo "There is no screen here, so no browser is opened: open the address that JupyterLab prints below."; \
	fi; \
	exec $(BIN)/jupyter lab $$root $$browser --ServerApp.root_dir="$(CURDIR)" my-notebooks/00_start_here.ipynb

check: $(DEVELOPER)  ## check style, form, agreement of lessons and package, and run the fast tests
	$(BIN)/ruff check .
	$(PYTEST) -m "not slow"

test: $(DEVELOPER)  ## run the whole test suite, every notebook included
	$(PYTEST) --durations=15
	TQDM_DISABLE=1 $(PYTEST) -c tests/nbval.ini --rootdir=. --durations=15 notebooks

notebooks: $(DEVELOPER)  ## build the notebooks whose lesson, or something that it uses, changed; bring the documents up to date
	$(BIN)/python tools/build_documents.py
	$(BIN)/python tools/build_notebooks.py

lesson: $(DEVELOPER)  ## make a new lesson from a template: make lesson NAME=11_restoration
	$(BIN)/python tools/new_lesson.py $(NAME)

site: $(DEVELOPER)  ## build the course as static pages, build/site/index.html (the first time it needs Node.js and a network)
	$(BIN)/python tools/build_site.py

book: $(DEVELOPER)  ## build the course as a book, build/diffusion-lab.pdf (needs Chromium, and what `make site` needs)
	$(BIN)/python tools/build_site.py
	$(BIN)/python tools/build_book.py

slides: $(DEVELOPER)  ## build a deck of slides for each notebook, build/slides/index.html (needs what `make site` needs)
	$(BIN)/python tools/build_slides.py

student: $(DEVELOPER)  ## make a folder to hand out, build/student: the notebooks without solutions, and what they need
	$(BIN)/python tools/build_student.py

lint: $(DEVELOPER)  ## check style in package, tests, tools and notebooks
	$(BIN)/ruff check .

lowest:  ## run the fast tests with the lowest versions that pyproject.toml admits, in build/lowest
	$(PYTHON) -m venv build/lowest
	grep -o '"[a-z][a-z-]*>=[0-9.]*"' pyproject.toml | sed 's/"//g; s/>=/==/' | sort -u > build/lowest/requirements.txt
ifeq ($(TORCH),cpu)
	build/lowest/bin/python -m pip install "$$(grep '^torch==' build/lowest/requirements.txt)" --index-url https://download.pytorch.org/whl/cpu
endif
	build/lowest/bin/python -m pip install -r build/lowest/requirements.txt
	build/lowest/bin/python -m pip install --no-deps --no-build-isolation -e .
	OMP_NUM_THREADS=1 build/lowest/bin/python -m pytest -n 2 --dist loadfile -m "not slow"

clean:  ## remove the virtual environment (my-notebooks/ stays)
	rm -rf .venv

# A stamp is made last, and made anew when what it depends on has changed: an installation that was broken off, or is
# out of date, is taken up again; one that is complete is left alone. `make lab` installs what a reader needs, every
# other command what a developer needs besides.
$(READER): requirements.txt pyproject.toml setup.py tools/overrides.json
	@command -v $(PYTHON) >/dev/null || { echo "There is no command $(PYTHON). Install Python 3.11 or newer, or name yours: make lab PYTHON=python3.12"; exit 1; }
	@$(PYTHON) tools/check_python.py
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),cpu)
	$(BIN)/python -m pip install "$$(grep '^torch==' requirements.txt)" --index-url https://download.pytorch.org/whl/cpu
	echo cpu > .venv/torch
endif
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	mkdir -p .venv/share/jupyter/lab/settings && cp tools/overrides.json .venv/share/jupyter/lab/settings/
	touch $@

$(DEVELOPER): $(READER) requirements-dev.txt
	$(BIN)/python -m pip install -r requirements-dev.txt
	touch $@
