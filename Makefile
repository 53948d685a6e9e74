# gridsignal: the words a newcomer guesses. Needs make (GNU, 3.81 or newer) and Python 3.11 or newer, nothing else.
#
#   make demo                    the whole loop on one machine
#   make test                    the whole suite
#   make demo ARGS='--day 2024-12-12'
#   make test PYTHON=python3.13  with another Python
#   make test WORKERS=0          one test after the other, in one process
#   make venv LOCKED=1           exactly what requirements-dev.lock has, each file checked against its hash

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
SPEED  ?= 900
LOCKED ?=
# most tests wait for timers and other processes: twice as many workers as the two cores of a small machine
WORKERS ?= 4

PY  := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check

# What Python compiled once it need not compile again for each process that the tests start.
unexport PYTHONDONTWRITEBYTECODE

# Recorded answers of public feeds, where they lie beside the project: more tests run then.
ifneq ($(wildcard ../shared/samples),)
GRIDSIGNAL_SAMPLES ?= $(abspath ../shared/samples)
export GRIDSIGNAL_SAMPLES
endif

.DEFAULT_GOAL := help
.PHONY: help venv embedded up down logs demo unit test coverage compose-test check lock docs site console screenshots bench clean
.SUFFIXES:

help: ## this list
	@echo "gridsignal: make <word>"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

venv: $(VENV)/.dev ## the virtual environment .venv with everything, installed again only when pyproject.toml changes

demo: $(VENV)/.server ## a real day in three minutes: prices, requests, offers, orders, summary (ARGS='--day 2024-12-12')
	@$(PY) -m gridsignal demo --speed $(SPEED) $(ARGS)

embedded: $(VENV)/.server ## the stack in one process on one folder, with its addresses, tokens and commands to try
	@$(PY) -m gridsignal up $(ARGS)

up: ## the local stack with docker compose: Kafka, registry, cache, the three doors; waits until all is healthy
	@docker compose up --build --wait $(ARGS)
	@echo "for data centers  ws://127.0.0.1:$${GATEWAY_PORT:-8081}     for operators  http://127.0.0.1:$${DISPATCH_PORT:-8082}/docs"
	@echo "a token           docker compose run --rm token mint --participant acme-ai   (or --operator tso-north)"

down: ## stops the local stack and keeps its data (ARGS=--volumes: forgets it)
	@docker compose --profile '*' down $(ARGS)

logs: ## what the local stack says, as it says it (ARGS=gateway)
	@docker compose logs --follow $(ARGS)

unit: $(VENV)/.dev ## while you write: the unit and contract tests that need no service, on all cores, each law on a few cases (ARGS=tests/unit/ledger)
	@$(PY) -m pytest -q --hypothesis-profile=quick -m "not services" $(or $(ARGS),-n auto --dist worksteal tests/unit tests/contract)

test: $(VENV)/.dev ## the whole suite; it ends with a list of what was tested against what (ARGS='-m "not services"': without Kafka and Redis; WORKERS=0: in one process)
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

coverage: $(VENV)/.dev ## how much of each room `make unit` takes, held to tests/coverage_floors.toml (ARGS=--raise: raises the floors)
	@$(PY) -m coverage run -m pytest -q --hypothesis-profile=quick -m "not services" tests/unit tests/contract
	@$(PY) -m tests.floors $(ARGS)

compose-test: $(VENV)/.dev ## the local stack brought up with docker compose and driven from outside (ARGS='-k kill')
	@$(PY) -m pytest -s -o faulthandler_timeout=400 tests/stack $(ARGS)

check: $(VENV)/.dev ## style, types, import directions, house rules
	@echo "ruff check"          && $(PY) -m ruff check --quiet .
	@echo "ruff format --check" && $(PY) -m ruff format --check --quiet .
	@echo "mypy --strict"       && $(PY) -m mypy --no-error-summary
	@echo "lint-imports"        && $(VENV)/bin/lint-imports --no-logo > $(VENV)/.lint 2>&1 || { cat $(VENV)/.lint; exit 1; }
	@echo "house rules"         && $(PY) -m pytest -q tests/tidy
	@echo "check: all well"

lock: $(VENV)/.dev ## newest versions that pyproject.toml allows, with their hashes, into requirements*.lock
	@$(PIP) install --quiet '.[supply]' && $(PY) deploy/lock.py

docs: $(VENV)/.dev ## write the generated parts of the documentation again
	@$(PY) docs/generate.py

site: $(VENV)/.dev ## the documentation as pages for a browser, in build/site; nothing in it is loaded from elsewhere
	@$(PY) -m sphinx -q -W --keep-going -j auto -b html -d build/site-read -c docs/site . build/site $(ARGS)
	@echo "built build/site/index.html"

console: ## builds the console's page anew from clients/console (needs node 20 or newer and npm)
	@cd clients/console && npm ci --no-audit --no-fund --silent && npm run --silent build

screenshots: $(VENV)/.dev ## pictures of every view of the console, in build/screenshots, for somebody to look at
	@$(PY) -m benchmarks screenshots $(ARGS)

bench: $(VENV)/.dev ## what one CPU carries (ARGS='fanout', 'offers', 'kafka', 'entsoe', 'fuzz', 'over' or 'coldstart')
	@$(PY) -m benchmarks $(ARGS)

clean: ## remove caches and builds (.venv stays)
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# --- the virtual environment: one stamp for what a user runs, one for what a developer runs ---------------------

$(PY):
	@command -v $(PYTHON) > /dev/null || { \
	  echo "make: no $(PYTHON) here; gridsignal needs Python 3.11 or newer (name one: make PYTHON=python3.12 ...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: gridsignal needs Python 3.11 or newer, got $$($(PYTHON) --version 2>&1) (name another: make PYTHON=python3.12 ...)" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version 2>&1)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "make: $(PYTHON) can't make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.server: pyproject.toml | $(PY)
	@echo "installing gridsignal and what it runs on into $(VENV) (once, half a minute)"
	@$(PIP) install --quiet --editable '.[server]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(PY)
	@echo "installing gridsignal and what it is tested with into $(VENV) (once, a minute)"
	@$(if $(LOCKED),$(PIP) install --quiet --require-hashes --requirement requirements-dev.lock,:)
	@$(PIP) install --quiet $(if $(LOCKED),--no-deps --no-build-isolation) --editable '.[server,kafka,redis,agent,dsx,kubernetes,dev]'
	@touch $(VENV)/.server $@
