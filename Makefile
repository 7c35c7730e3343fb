# Everything a user or a developer does, in one word. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Workers and tests use one thread: two are many times slower when a core is taken.
export OMP_NUM_THREADS := 1

# An index with other builds of PyTorch, e.g. for a CPU; README.md names one.
TORCH_INDEX ?=

.DEFAULT_GOAL := help
.PHONY: help setup sweep report test test-slow test-kill test-calibration test-hydra14 bench bench-sweep bench-report lint dist clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/ready ## make .venv with the tested versions of all packages

$(VENV)/ready: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("cnnlab needs Python 3.10 or newer; choose one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip setuptools wheel
	$(if $(TORCH_INDEX),$(BIN)/pip install --quiet -c constraints.txt --index-url $(TORCH_INDEX) torch torchvision)
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --no-build-isolation -c constraints.txt -e '.[dev]'
	@touch $@

sweep: setup ## batch norm x learning rate on the bundled digits, then the report
	@echo 'python -m cnnlab.run -m norm=bn,none lr=0.01,0.02,0.1'
	@$(BIN)/python -m cnnlab.run -m norm=bn,none lr=0.01,0.02,0.1; status=$$?; \
	$(BIN)/python -m cnnlab.report && exit $$status

report: setup ## tables and pictures of every sweep below outputs/
	$(BIN)/python -m cnnlab.report

test: setup ## the tests that need seconds each
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: setup ## the tests that need minutes each
	$(BIN)/python -m pytest -m slow

test-kill: setup ## a sweep that is killed 50 times, compared with one that never was
	$(BIN)/python tests/execution/kill.py --kills 50

bench: setup ## how fast sweeps are: beside the lab's own way, the arithmetic, single runs
	$(BIN)/python -m benchmarks.speed

test-calibration: setup ## how often verdicts are wrong in 2,000 simulated sweeps of each kind
	$(BIN)/python tests/statistics/calibration.py --sweeps 2000

bench-sweep: setup ## what a sweep costs over its task, beside Hydra's own launchers
	$(BIN)/python -m benchmarks.sweep

bench-report: setup ## what a report costs, beside a plain pandas loop over the same files
	$(BIN)/python -m benchmarks.report

test-hydra14: setup ## the tests with Hydra 1.4 in the place of 1.3
	$(BIN)/pip install --quiet --pre --upgrade --target .venv-hydra14 -c constraints-hydra14.txt hydra-core omegaconf
	PYTHONPATH=.venv-hydra14 $(BIN)/python -m pytest

lint: setup ## style, common mistakes, and the order of the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

dist: setup ## a wheel and an sdist below dist/, checked
	$(BIN)/pip install --quiet --no-build-isolation -c constraints.txt -e '.[release]'
	rm -rf build dist
	$(BIN)/python -m build --no-isolation --quiet
	$(BIN)/twine check --strict dist/*

clean: ## take away caches and .venv; never outputs/
	rm -rf build dist $(VENV) .venv-hydra14 .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './outputs/*' -prune -exec rm -rf {} +
