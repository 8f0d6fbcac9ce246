# Every target makes what it needs; nothing has to be installed by hand but Python 3.11 or 3.12.
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
ARGS ?=

.PHONY: help demo test fuzz lint bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: .venv/service ## set up, then run the whole loop on real data (ARGS=--once: print the verdict and exit)
	$(BIN)/bandit demo $(ARGS)

test: .venv/dev ## set up, then run every test
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

fuzz: .venv/dev ## throw rubbish, bad tokens and Schemathesis at a running service (ARGS=rubbish: only that)
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: .venv/dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench ## set up, then measure (prints tables; nothing is asserted)
	$(BIN)/python -m tests.bench $(ARGS)

chaos: .venv/dev ## set up, then break the real service and judge its log (ARGS="--kills 200 --seconds 720")
	$(BIN)/python -m tests.chaos $(ARGS)

clean: ## forget the environment and the demo's data
	rm -rf .venv var

.venv/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed and was not found; set PYTHON=/path/to/it"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/service: .venv/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev: .venv/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/service

.venv/bench: .venv/dev
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev,bench,bakeoff]'
	@touch $@
