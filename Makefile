# The commands of the project. `make help` lists them.
SHELL := bash
PYTHON ?= python3.11
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONPATH := $(CURDIR)/src
SNAKEMAKE := snakemake --profile profiles/local

.PHONY: help setup oracles demo tensorboard embed test test-slow check doctor docs lock clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## make .venv from requirements.lock, every file checked against its hash

# uv installs in seconds what takes pip minutes; where it cannot (a mirror that only pip knows), pip does.
.venv/.ready: requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON) on PATH; install Python 3.11 or say make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	awk '/^[a-z]/ {keep = /^uv==/} keep' requirements.lock > .venv/uv.txt
	python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	uv pip install --quiet --python .venv --require-hashes -r requirements.lock \
	|| python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

demo: setup ## train, probe and report the default run, from nothing (about 12 minutes)
	@bash workflow/demo.sh

tensorboard: setup ## open the logs of all runs in the browser: losses, probes, audio
	tensorboard --logdir results

embed: setup ## features of a folder: make embed RUN=results/wavemae AUDIO=~/recordings OUT=features.parquet
	python workflow/scripts/embed.py --model "$(or $(RUN),results/wavemae)" --audio "$(AUDIO)" --output "$(or $(OUT),features.parquet)"

# Outside references: beside the environment, without dependencies, so that they cannot bend it.
oracles: .oracles/.ready ## install what tests and benchmarks compare with
.oracles/.ready: requirements-oracles.lock .venv/.ready
	rm -rf .oracles
	uv pip install --quiet --python .venv --target .oracles --no-deps --require-hashes -r $< \
	|| python -m pip install --quiet --target .oracles --no-deps --require-hashes -r $<
	touch $@

test: setup oracles ## run the tests (fast ones; see test-slow)
	python -m pytest

test-slow: setup oracles ## run the tests that take minutes
	python -m pytest -m slow

check: setup ## linters, types, formatting of rules, workflow lint
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint

doctor: setup ## look at this machine, and say what to do about what is missing
	@python -m audiorig.doctor

docs: setup ## rewrite config/README.md and config/schema from the models
	python workflow/scripts/document_config.py

lock: setup ## resolve pyproject.toml anew into requirements.lock
	uv pip compile pyproject.toml --extra dev --extra cloud --extra wandb --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --quiet --output-file requirements.lock
	uv pip compile requirements-oracles.in --no-deps --generate-hashes --python-version 3.11 \
	  --python-platform x86_64-manylinux_2_28 --quiet --output-file requirements-oracles.lock

clean: ## delete the environment and caches; results and audio stay
	rm -rf .venv .oracles .pytest_cache .ruff_cache .mypy_cache
