# `make help` lists the targets. Python 3.11+ and make are all that is assumed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint fmt cases docs bench interop soak clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/tidegate: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(BIN)/tidegate
	$(BIN)/python tools/install_dev.py
	@touch $@

demo: $(BIN)/tidegate ## run the gateway with simulated providers and sample keys
	$(BIN)/tidegate demo

test: $(VENV)/.dev lint ## linters, types, import rules and the whole test suite
	$(BIN)/python -m pytest

lint: $(VENV)/.dev ## format check, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

fmt: $(VENV)/.dev ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

cases: $(VENV)/.dev ## write the scenes of every pair of dialects anew (then read the difference)
	$(BIN)/python -m tests.support.write_cases

docs: $(BIN)/tidegate ## write the generated pages of docs/ anew
	$(BIN)/python tools/generate_docs.py

bench: $(BIN)/tidegate ## measure against peers on this machine (bench/README.md)
	$(BIN)/python bench/run.py

interop: $(VENV)/.dev ## real servers behind the gateway, real agents and frameworks in front of it (some need npm)
	$(BIN)/python -m tests.interop.real_server
	$(BIN)/python -m tests.interop.real_mlserver
	$(BIN)/python -m tests.interop.real_clients
	$(BIN)/python -m tests.interop.real_frameworks
	$(BIN)/python -m tests.interop.real_open_responses

soak: $(VENV)/.dev ## ten minutes at full load with faults
	$(BIN)/python bench/soak.py

clean: ## remove what the targets above made
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
