# One word for everything; `make` alone explains the words.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
ARGS   ?=

# LightGBM's OpenMP threads spin beside a busy neighbour; passive waiting costs nothing.
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix serve bench docs notebook lock clean

help: ## say what each word does
	@echo "Holdfast: churn prediction you can act on."
	@echo
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-13s %s\n", $$1, $$2}'
	@echo
	@echo "Every word but help and clean sets the project up first, in $(VENV); another Python: make PYTHON=python3.12"

setup: $(STAMP) ## create .venv and install what requirements.lock names

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "make: Holdfast needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "      Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	$(BIN)/python -m features.tally
	$(BIN)/python -m models.tree_shap
	@touch $@

demo: $(STAMP) ## groceries of 2,469 households: ingest, train, score, serve (ARGS=--no-serve stops before)
	$(BIN)/holdfast demo $(ARGS)

test: $(STAMP) ## all tests, the examples in docstrings among them (ARGS=tests/features for some)
	$(BIN)/python -m pytest -q -n 2 $(ARGS)

check: $(STAMP) ## lint, format, types, floors of the house, lock in step; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_house.py

fix: $(STAMP) ## mend what can be mended without thought: imports, format, simple lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

serve: $(STAMP) ## the API and console over holdfast.toml's data (ARGS="--port 8080")
	$(BIN)/holdfast serve $(ARGS)

bench: $(STAMP) ## quality and speed beside the baselines (ARGS="--data DIR" for data of your own)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(STAMP) ## write the pages that come from code: docs/settings.md, docs/commands.md
	$(BIN)/python -m holdfast.pages docs

notebook: $(STAMP) ## run the notebook in docs/ and store what it shows
	$(BIN)/python -m tests.notebook

lock: $(STAMP) ## compile requirements.lock anew from pyproject.toml (needs the network)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra postgres --extra otel -c requirements.lock --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o deploy/requirements.lock
	echo hatchling | $(BIN)/uv pip compile - -c requirements.lock --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet -o deploy/build.lock

clean: ## remove .venv and caches; data stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
