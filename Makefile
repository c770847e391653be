# Needs Python 3.11 or newer and make; everything else comes from the lock in requirements/.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?=
LOCKED := $(VENV)/.locked
READY  := $(VENV)/.ready

# The newest one that runs, is new enough and can make virtual environments. A version manager's shim may be
# on PATH and not run, so that each candidate is tried.
CANDIDATES := python3.14 python3.13 python3.12 python3.11 python3
SUITABLE   := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: help setup setup-browser demo test lint types unit integration bench lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '  %-14s %s\n' "$$target" "$$text"; done

setup: $(READY) ## Make .venv from the hash lock (PYTHON=... chooses the interpreter)

$(LOCKED): requirements/dev.txt
	@chosen=; for candidate in $(or $(PYTHON),$(CANDIDATES)); do \
		if "$$candidate" -c '$(SUITABLE)' 2>/dev/null; then chosen=$$candidate; break; fi; done; \
	if [ -z "$$chosen" ]; then \
		echo 'No suitable Python among: $(or $(PYTHON),$(CANDIDATES)).' >&2; \
		echo 'Needed: Python 3.11 or newer with venv (on Debian: apt-get install python3-venv).' >&2; \
		exit 1; fi; \
	echo "$(VENV): $$("$$chosen" -V), $$(command -v "$$chosen")"; \
	"$$chosen" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

$(READY): $(LOCKED) pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

setup-browser: ## Install Debian's chromium for the browser tests (as root, where apt-get exists)
	@if command -v chromium; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium; \
	else echo 'No chromium on PATH, and no way to install it from here.'; fi

demo: setup ## Run the demonstration (DEMO_SECONDS=60 stops it, DEMO_KEEP=1 keeps its data)
	@$(BIN)/exchange demo

test: lint ## Run everything: linters, types, import rules, all tests
	$(BIN)/python -m pytest

lint: setup ## Run ruff, mypy, import-linter and hadolint; all of them, then fail if one did
	@failed=; \
	check() { echo "== $$*"; $(BIN)/"$$@" || failed="$$failed [$$*]"; }; \
	check ruff check .; \
	check ruff format --check .; \
	check mypy; \
	check lint-imports --no-logo; \
	check hadolint Dockerfile; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed" >&2; exit 1; fi

types: setup ## Run mypy alone
	$(BIN)/mypy

unit: setup ## Run the unit tests
	$(BIN)/python -m pytest tests/unit

integration: setup ## Run the integration tests
	$(BIN)/python -m pytest tests/integration

bench: setup ## Run the benchmarks
	$(BIN)/python -m bench

# Keeps every version that still fits; `make lock UPGRADE=--upgrade` takes the newest.
UPGRADE ?=
COMPILE  = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command 'make lock'

lock: ## Write requirements/ anew from pyproject.toml (UPGRADE=--upgrade for the newest versions)
	@[ -x $(BIN)/uv ] || { echo 'uv comes with make setup' >&2; exit 1; }
	$(COMPILE) $(UPGRADE) --output-file requirements/dev.txt --group dev pyproject.toml
	$(COMPILE) --constraints requirements/dev.txt --output-file requirements/runtime.txt pyproject.toml
	$(COMPILE) --constraints requirements/dev.txt --output-file requirements/build.txt --group build

clean: ## Remove the environment and every cache; DATA folders stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
