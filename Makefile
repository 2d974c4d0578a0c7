# Everything here works on a fresh machine with Python 3.11+ and make, as root or not.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Bytecode is kept, whatever the environment says: some hundred processes import the same modules.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-thorough check lint types unit bench help-text clean

# The main job on a sandbox, in about half a minute.
demo: $(READY)
	@$(BIN)/replica-access demo

# All that a fresh machine can run. Much of it waits, so that there are two workers a core; the files go out in the
# order of tests/conftest.py, since those with the fewest tests are not the shortest.
test: $(READY) check
	$(BIN)/python -m pytest --ignore=tests/unit -m "not slow" -n 4 --dist loadfile --no-loadscope-reorder

# Lint, types and the tests without I/O, side by side.
check: $(READY)
	@$(MAKE) --no-print-directory --jobs=2 types lint unit

lint:
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types:
	$(BIN)/mypy

unit:
	$(BIN)/python -m pytest -q tests/unit

# The proofs that take long.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Thousands of random worlds and specs on every server, other ones each time; for a night.
test-thorough: $(READY)
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n 2 tests/postgres/test_properties.py \
	  tests/postgres/test_effective_access.py tests/postgres/test_cuts.py

# Figures, as ratios within one run.
bench: $(READY)
	$(BIN)/python -m tests.bench

# Write the help of every command into README.md; `make test` checks that it is there.
help-text: $(READY)
	$(BIN)/python -m tests.cli.write_help

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

# One virtual environment, made again only when what it is made from has changed.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@echo "Installing into .venv …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $(READY)
