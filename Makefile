# `make demo` and `make test` need Python >= 3.11, git and make; the rest is brought along.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check format-check lint types layers wheel bench fix lock clean
unexport PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

BIN := .venv/bin
WORKERS ?= 2
QUIET := tests/unit tests/property tests/samples
ENVIRONMENT := .venv/.bootstrapped

help: ## Lists what can be asked for
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(ENVIRONMENT) ## Audits a real package, or REPO=path
	@.ci/demo "$(REPO)"

test: $(ENVIRONMENT) ## Runs every test, those of one process on WORKERS cores; ARGS goes to pytest
	@$(BIN)/pytest $(QUIET) --numprocesses $(WORKERS) --dist loadfile $(ARGS)
	@$(BIN)/pytest tests $(QUIET:%=--ignore=%) $(ARGS) # each starts processes of its own

check: format-check lint types layers test ## Is what CI runs

format-check: $(ENVIRONMENT)
	@$(BIN)/ruff format --check

lint: $(ENVIRONMENT)
	@$(BIN)/ruff check

types: $(ENVIRONMENT)
	@$(BIN)/mypy

layers: $(ENVIRONMENT)
	@$(BIN)/lint-imports --no-logo

wheel: $(ENVIRONMENT) ## Compares the wheel with the tree
	@$(BIN)/pytest tests/acceptance/test_wheel.py

bench: $(ENVIRONMENT) ## Measures W1-W4 through the public API
	@$(BIN)/python benchmarks $(ARGS)

fix: $(ENVIRONMENT) ## Formats, and mends what the linter can
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

lock: ## Remakes requirements.lock; UPGRADE=1 takes the newest
	@UPGRADE="$(UPGRADE)" .ci/lock

clean: ## Removes the environment and every cache
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist *.egg-info

$(ENVIRONMENT): pyproject.toml requirements.lock .ci/bootstrap .ci/uv.txt
	@.ci/bootstrap
