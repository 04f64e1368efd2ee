# Everything runs in .venv, which tools/setup makes from the lock files; a second run finds it ready.
#
#   make demo [ARGS=--once]     the add-on against its own sandbox
#   make test [ARGS=tests/unit] the tests, with real PostgreSQL, Redis and Chromium
#   make check                  format, lint, types, import rules
#   make translations           collect the texts of the pages and compile the languages (docs/operations.md)
#   make coverage               how much of the core its own tests reach, by line and branch
#   make audit                  whether a locked package is known to be vulnerable; fails where nobody can be asked
#   make mutants [ARGS=pattern] whether the core's tests notice small faults (docs/testing.md); takes long
#   make simulate [SEEDS=1-100]  tells so many made-up stories of faults, deaths and clocks in one process (docs/reliability.md)
#   make storm [ARGS=--kills=60] kills everything again and again, then asks for every law (docs/reliability.md); takes long

SHELL := /bin/bash
BIN := .venv/bin
ARGS ?=

# What Python has compiled is kept, whatever the caller's environment says: each of some forty processes that the tests
# and the demo start would compile everything anew, which takes longer than what it then does.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo dev test check audit coverage mutants storm simulate translations bench format lock clean setup

help:
	@sed -n 's/^#   //p' Makefile

setup:
	@tools/setup dev

demo:
	@tools/setup run
	@$(BIN)/kvitt demo $(ARGS)

dev: setup
	@$(BIN)/kvitt demo $(ARGS)

test: setup
	@tools/chromium
	@$(BIN)/pytest -q -n 3 --dist loadgroup $(ARGS)

# All four are run, so that one call shows everything there is to mend.
check: setup
	@status=0; \
	$(BIN)/ruff format --check --output-format concise . >.venv/format.log 2>&1 \
		|| { grep -v '^All' .venv/format.log; echo "make format mends that."; status=1; }; \
	$(BIN)/ruff check --quiet --output-format concise . || status=1; \
	$(BIN)/mypy --no-error-summary || status=1; \
	$(BIN)/python tools/import_rules.py || status=1; \
	if [ $$status = 0 ]; then echo "Format, lint, types and import rules: all well."; fi; exit $$status

audit: setup
	@$(BIN)/python tools/audit.py

coverage: setup
	@$(BIN)/pytest -q tests/core --cov=addon.core --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=98 $(ARGS)

mutants: setup
	@HYPOTHESIS_PROFILE=mutants nice -n 10 $(BIN)/mutmut run $(ARGS)
	@$(BIN)/mutmut results

# Three storms of 200 kills each, seeds 1, 2 and 3; one seed: ARGS="--seed 1". A failing storm leaves its logs in .artifacts.
storm: setup
	@$(BIN)/python -m tests.storm $(ARGS)

SEEDS ?= 1-100
simulate: setup
	@KVITT_SEEDS=$(SEEDS) $(BIN)/pytest -q -n 2 -p no:cacheprovider tests/simulation -k laws_hold

translations: setup
	@$(BIN)/python tools/translations.py $(ARGS)

bench: setup
	@$(BIN)/python -m bench $(ARGS)

format: setup
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix .

# New versions: change pyproject.toml, then this. The locks name versions and hashes and no index.
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --override overrides.txt
lock: setup
	@$(LOCK) --extra build -o requirements.lock
	@$(LOCK) --extra build --extra dev -o requirements-dev.lock

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache htmlcov .coverage mutants
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
