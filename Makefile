# `make demo` and `make test` are all there is to know; each sets up what it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench drill format clean mutation

# Installed, not editable: what is tested is what a user gets.
$(VENV)/demo: setup.cfg pyproject.toml $(shell find devport -name '*.py' -o -name '*.json')
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check .
	touch $@

$(VENV)/tools: setup.cfg $(VENV)/demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[test]'
	touch $@

demo: $(VENV)/demo
	@$(BIN)/devport start -f Procfile.example

test: lint
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(VENV)/demo
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench

# The long columns, walks, soak, controls, and the peers that are installed (docs/promises.md): an hour on two cores.
drill: $(VENV)/tools
	rm -f $(VENV)/counted
	DEVPORT_TEST_DRILL_REPORT=$(CURDIR)/$(VENV)/counted $(BIN)/python -m pytest -n auto --dist worksteal --drill -m "drill or drill_only"
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=tests $(BIN)/python -m drill.peers

# How many small changes of the pure machine its tests notice (docs/mutation.md): some minutes, not part of test.
mutation:
	$(PYTHON) tests/support/mutation.py $(VENV)/mutation

format: $(VENV)/tools
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis bench/results
