# Two commands matter: `make demo` and `make test`. Both set the project up first, in the private .venv.
SHELL := /bin/bash
PYTHON := .venv/bin/python
# TensorFlow's start-up chatter is not news.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export GRPC_VERBOSITY ?= ERROR

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/installed ## Install everything into .venv from the lock file that this machine can run (once; 3 GB)
	@:

.venv/installed: requirements.lock requirements-dev.lock requirements-tfx121.lock requirements-tfx121-dev.lock pyproject.toml setup.py scripts/setup.sh $(wildcard trainer/native/*.cc trainer/native/*.h) \
		$(if $(wildcard trainer/native/liboperations.so),,not-compiled)
	@scripts/setup.sh

# Where what was compiled is gone, though all else is installed.
.PHONY: not-compiled
not-compiled:

.PHONY: demo
demo: setup ## Synthetic sample -> the whole pipeline -> served ensemble -> one answer (1 to 4 minutes on 2 cores)
	@$(PYTHON) -m pipeline.demo

.PHONY: test
test: setup ## The whole test suite, end-to-end pipeline runs included (12 to 20 minutes on 2 cores)
	$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: test-fast
test-fast: setup ## The tests that take seconds and import no TFX
	$(PYTHON) -m pytest -m 'not slow'

.PHONY: test-tfx121
test-tfx121: setup ## The whole test suite with TFX 1.21, in a Debian 13 that root makes by debootstrap (25 minutes on 2 cores)
	@scripts/test_tfx121.sh

.PHONY: test-image
test-image: ## Build the image's file system without Docker, in a Debian 13 as above, and run a step in it (3 minutes)
	@scripts/in_debian13.sh python3 scripts/image_root.py

.PHONY: test-portable
test-portable: setup ## The Beam steps on a real engine, Prism, which Go builds (5 minutes on 2 cores)
	@scripts/test_portable.sh

.PHONY: bench
bench: setup ## All benchmarks, to build/benchmarks.json and .md (6 to 18 minutes on 2 cores)
	@$(PYTHON) -m tests.benchmarks

.PHONY: growth
growth: setup ## Time and memory at 1, 4 and 16 times the data, to build/growth.md and docs/growth.svg (1 to 2 minutes)
	@$(PYTHON) -m tests.benchmarks.growth

.PHONY: load
load: setup ## The demo's served ensemble under load (after make demo; 3 minutes)
	@$(PYTHON) -m tests.load

.PHONY: lint
lint: setup ## ruff, clang-format and the import rule
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/clang-format --dry-run --Werror trainer/native/*.cc trainer/native/*.h
	.venv/bin/lint-imports --config pyproject.toml

.PHONY: lock
lock: ## Compile the lock files (pins and hashes, no addresses) from pyproject.toml
	@scripts/setup.sh --lock

.PHONY: docs
docs: setup ## Write docs/recipes.md, the reference of recipes, from the code
	@$(PYTHON) -m pipeline.recipe.reference > docs/recipes.md.new && mv docs/recipes.md.new docs/recipes.md
