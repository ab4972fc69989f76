# make demo    the quickstart on the embedded cluster      make test     everything that takes minutes at most
# make check   lint, format, types, import layers           make lock     rewrite the locked requirements
# make test-cluster KUBECONFIG=FILE    hold a real cluster against what the sandbox is held against
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := .stamp
# One more than there are processors: many tests wait for a process or a page.
WORKERS = $(shell $(BIN)/python -c 'import os; print((os.cpu_count() or 1) + 1)')
# Pods of the sandbox are processes here: one thread each keeps two cores fair.
export OMP_NUM_THREADS ?= 1

.PHONY: help demo test test-slow test-cluster test-web check bench bench-portal bench-search bench-storage clean lock install web

help:
	@sed -n '1,2s/^# //p' Makefile

install: $(STAMP)/install web

$(STAMP)/venv:
	@$(PYTHON) -c 'import sys; sys.exit("nni-kubeflow needs Python 3.11 or newer; this is %s (set PYTHON=python3.11)" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/install: requirements/dev.txt pyproject.toml src/nni/_version.py | $(STAMP)/venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

PAGE := src/nni/server/static/index.html
WEB := $(shell find web -path web/node_modules -prune -o -type f -print)

web: $(PAGE)

$(PAGE): $(WEB) hatch_build.py requirements/node.txt | $(STAMP)/install
	$(BIN)/python hatch_build.py
	@touch $@

demo: install
	$(BIN)/nnictl sandbox --nfs 10.20.30.40:/mnt/nfs/nni -- $(BIN)/python examples/quickstart/main.py --storage nfs

check: $(STAMP)/install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --verbose --no-cache 2>&1 | tail -n 40
	$(BIN)/vermin --quiet --no-tips --violations --eval-annotations --target=3.8- src/nni/__init__.py src/nni/_version.py src/nni/errors.py src/nni/parameter_expressions.py src/nni/trial.py src/nni/utils.py src/nni/wire src/nni/runtime

test: install check
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

test-slow: install
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --slow

# The user of KUBECONFIG must be an administrator; everything happens in a namespace of its own.
test-cluster: $(STAMP)/install
	@test -f "$(KUBECONFIG)" || { echo "make test-cluster needs KUBECONFIG=FILE, the kubeconfig of a cluster's administrator" >&2; exit 2; }
	NNI_TEST_KUBECONFIG="$(KUBECONFIG)" $(BIN)/pytest tests/cluster

bench: install
	$(BIN)/python -m benchmarks

bench-portal: install
	$(BIN)/python -m benchmarks.portal

test-web: web
	cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && npm test

# FULL=1 runs all of it, in parts if need be; benchmarks/search/__main__.py tells how.
bench-search: install
	$(BIN)/python -m benchmarks.search

bench-storage: install
	$(BIN)/python -m benchmarks.storage

lock: $(STAMP)/install
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  --python-version 3.11 --constraint requirements/constraints.in --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  --python-version 3.11 requirements/node.in -o requirements/node.txt

clean:
	rm -rf $(VENV) $(STAMP) dist web/node_modules src/nni/server/static .mypy_cache .pytest_cache .ruff_cache
