# `make demo` and `make test` need Python 3.11 (or later) and make, nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# In the order that tests/conftest.py gives the files, which keeps all processes busy: three, since
# many tests wait for processes of their own. TensorFlow gives little memory back, so the tests run
# in three parts, after each of which it is free again; 24 GiB must hold one.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder --durations=15 --durations-min=15
FIRST := $(addprefix tests/,callbacks datasets evaluation fusion generative plotting training)
SECOND := $(addprefix tests/,sequences transfer tuning)
THIRD := tests $(addprefix --ignore=,$(FIRST) $(SECOND))
define IN_PARTS
@failed=0; for part in "$(FIRST)" "$(SECOND)" "$(THIRD)"; do \
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "$(TESTS)" $$part || failed=1; \
done; exit $$failed
endef
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: demo test test-slow test-long lint types imports bench format dist docs clean help

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; say which by: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing keras_transgen and what it needs into $(VENV) (TensorFlow is large: some minutes)"
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(READY)

demo: $(READY) ## Set up and run the main job on the embedded data; results under runs/demo/
	$(BIN)/keras-transgen demo --output runs/demo

test: TESTS := not slow and not long
test: $(READY) ## Set up and run the tests, but for test-slow and test-long
	$(IN_PARTS)

test-slow: TESTS := slow and not long
test-slow: $(READY) ## Tests of seconds each, examples of docstrings among them; .ci/run takes them, too
	$(IN_PARTS)

test-long: TESTS := long
test-long: $(READY) ## What takes processes of its own, whole pages and notebooks
	$(IN_PARTS)

lint: $(READY) ## Lint and format check, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Run every benchmark (long) and write benchmarks/RESULTS.md
	$(BIN)/python benchmarks/run_all.py

docs: $(READY) ## Build the documentation site into site/
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Open site/index.html, or serve it: $(BIN)/mkdocs serve"

dist: $(READY) ## Build the wheel and the source distribution
	$(BIN)/python -m build

clean: ## Remove what was made here
	rm -rf $(VENV) build dist site *.egg-info runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
