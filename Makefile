# `make` alone prints the targets. PYTHON=python3.12 make setup chooses another interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Each of the two has a Spark session of its own: tests of one file stay together.
TWO_AT_ONCE := -n 2 --dist loadfile
# Offline and quiet, for everything that the targets start.
export MLFLOW_DISABLE_TELEMETRY = true
export DO_NOT_TRACK = true
export AIRFLOW_HOME = $(CURDIR)/.dayfold/airflow

.DEFAULT_GOAL := help
.PHONY: help setup demo check test test-all test-gpu format clean

help:  ## print the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) .dayfold/.ready  ## environment, databases and key, all inside this folder

demo: setup java  ## a shop, its history, eight days with a planted drift, start to end
	@$(BIN)/dayfold demo

check: setup  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

test: setup java  ## everything but the slow ones: under an hour on 2 cores
	@$(BIN)/pytest -m "not slow" $(TWO_AT_ONCE)

test-all: setup java  ## the slow ones as well (two hours)
	@$(BIN)/pytest -m "not slow" $(TWO_AT_ONCE)
	@$(BIN)/pytest -m slow

test-gpu: setup  ## what a CUDA GPU trains, beside the CPU; skipped where there is none
	@$(BIN)/pytest -m gpu -rs

format: setup  ## rewrite the code in the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## delete the environment and all that Dayfold keeps here
	rm -rf $(VENV) .dayfold

.PHONY: java python
java:
	@command -v $${JAVA_HOME:+$$JAVA_HOME/bin/}java >/dev/null 2>&1 || { echo "Java was not found, and Spark needs it. Install Java 17 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless), or set JAVA_HOME."; exit 1; }

python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "$(PYTHON) was not found. Install Python 3.11, 3.12 or 3.13, or name one: PYTHON=python3.12 make setup"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { echo "$$($(PYTHON) --version) is not supported: expected 3.11, 3.12 or 3.13. Name one: PYTHON=python3.12 make setup"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }

# uv does not read pip's configuration: hand on where this machine keeps wheels.
$(STAMP): pyproject.toml constraints.txt | python
	@echo "Setting up $(VENV) (a minute or two the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@UV_FIND_LINKS="$${UV_FIND_LINKS:-$$PIP_FIND_LINKS}" UV_INDEX_URL="$${UV_INDEX_URL:-$$PIP_INDEX_URL}" \
		sh -c 'test -n "$$UV_FIND_LINKS" || unset UV_FIND_LINKS; test -n "$$UV_INDEX_URL" || unset UV_INDEX_URL; \
		exec $(BIN)/uv pip install --quiet --python $(BIN)/python -e ".[dev]" -c constraints.txt'
	@touch $@

.dayfold/.ready: $(STAMP)
	@$(BIN)/dayfold setup
	@touch $@
