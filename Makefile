# Every verb sets up what it needs: a virtual environment in .venv, filled from the hash-pinned locks in requirements/.
# Stamp files in it remember which lock it was filled from; nothing is fetched again until a lock changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
EDITABLE := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation \
          --editable
ARGS   ?=

# Where the wheel is put to the test: what a user meets first, and what could differ once it is installed, such as files
# that a package lacks. The rest is the same code, and `make test` runs it from the clone.
INSTALLED_TESTS := $(wildcard tests/house/test_installed.py tests/config \
    $(addprefix tests/cli/test_,init.py serve.py providers.py local.py models.py db.py) \
    tests/store/test_open.py tests/store/test_migrate.py tests/store/test_schema.py \
    tests/journeys/test_first_start.py tests/journeys/test_contract_chat.py tests/journeys/test_workers.py)
NPM_TESTS       := tests/sdk/typescript
NPM_SDKS        := sdks/typescript sdks/python
NPM_PACKAGES    := $(patsubst %/package-lock.json,%/node_modules/.package-lock.json,$(wildcard \
    $(addsuffix /package-lock.json,$(NPM_TESTS) $(NPM_SDKS))))
# The SDK's language for `make test-sdks`: typescript, go, python; empty: all of them.
SDK             ?=

# Of what speaks beside something else, lines come whole.
WHOLE_LINES   := grep --line-buffered ''

SHELL         := /bin/bash
.SHELLFLAGS   := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS     += --no-print-directory
.DELETE_ON_ERROR:
ifndef BESIDE
.NOTPARALLEL:
endif
.PHONY: help serve test check test-python test-wheel test-npm test-sdks chaos bench bench-money build lock clean

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.package ## Run the gateway on port 7410; ARGS="--port 8000" is passed on
	@exec $(BIN)/joytoken serve $(ARGS)

# The SDKs beside the checks and the wheel: each of them leaves half of two processors idle.
test: $(VENV)/.compiled $(VENV)/.go $(NPM_PACKAGES) ## Everything that CI checks: check, the wheel, the SDKs, all tests
	@$(MAKE) --jobs=2 BESIDE=1 test-sdks check test-wheel
	@echo "test: all tests, two at a time"
	@$(BIN)/pytest -q -n 2 --dist loadfile $(ARGS)

test-python: $(VENV)/.compiled ## The Python tests alone; ARGS="-k wallet" picks some
	@$(BIN)/pytest -q -n 2 --dist loadfile $(ARGS)

test-wheel: build ## Install the wheel beside nothing but the locks and run tests against it
	@tools/test-wheel dist/joytoken-*.whl $(INSTALLED_TESTS)

test-npm: $(VENV)/.dev $(NPM_PACKAGES) ## The tests with the official npm packages
	@if [ -d $(NPM_TESTS) ]; then $(BIN)/pytest -q $(NPM_TESTS) $(ARGS); else echo "test-npm: none yet"; fi

test-sdks: $(VENV)/.compiled $(VENV)/.go $(NPM_PACKAGES) ## The SDKs' own suites against one gateway; SDK=go picks a language
	@echo "test-sdks: the SDKs against one gateway"
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.sdk.world -- $(BIN)/python -m tests.sdk.suites $(SDK)

check: $(VENV)/.dev ## Format, lint, types, the floors of the house, and the house tests
	@echo "check: format"; $(BIN)/ruff format --check --quiet .
	@echo "check: lint"; $(BIN)/ruff check --quiet .
	@echo "check: types"; $(BIN)/mypy --no-error-summary
	@echo "check: floors"; $(BIN)/lint-imports --no-logo > $(VENV)/floors.log || { cat $(VENV)/floors.log; exit 1; }
	@echo "check: house"; $(BIN)/pytest -q tests/house | $(WHOLE_LINES)

chaos: $(VENV)/.dev ## Kill, starve and confuse the gateway, and prove its books; ARGS="--only killed" picks a scene
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(VENV)/.dev ## Measure CPU per request beside nginx and write docs/benchmarks.md
	@$(BIN)/python -m bench $(ARGS)

bench-money: $(VENV)/.dev ## Measure holds, settles, batches, recovery and durability on both databases
	@$(BIN)/python -m bench.escrow $(ARGS)

build: $(VENV)/.dev ## Build the wheel into dist/
	@echo "build: the wheel"; rm -rf dist; $(BIN)/hatchling build -t wheel -d dist

# Without --upgrade every pin that still fits is kept.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --custom-compile-command "make lock"
lock: $(VENV)/.dev ## Resolve requirements/*.txt anew; ARGS=--upgrade takes newer versions
	@echo "lock: requirements/runtime.txt and dev.txt"
	@$(LOCK) $(ARGS) -o requirements/runtime.txt pyproject.toml requirements/build.in
	@$(LOCK) $(ARGS) -o requirements/dev.txt pyproject.toml requirements/build.in requirements/dev.in
	@echo "lock: requirements/go.txt"
	@$(LOCK) $(ARGS) -o requirements/go.txt requirements/go.in

clean: ## Remove the environment, caches and builds (never a data folder)
	@rm -rf $(VENV) $(NPM_TESTS)/node_modules dist build .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find $(wildcard $(NPM_SDKS)) /dev/null \( -name node_modules -o -name dist -o -name build \) -type d -prune -exec rm -rf {} +


# ── What the verbs stand on ───────────────────────────────────────────────────────────────────────────────────────────

# The first of these that is new enough; PYTHON=/path/to/python chooses.
$(VENV)/.made:
	@for python in $(PYTHON) python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	        echo "setup: $(VENV) with $$("$$python" --version)"; \
	        "$$python" -m venv $(VENV) || { echo "error: $$python cannot make a virtual environment" \
	            "(on Debian: apt install python3-venv)" >&2; exit 1; }; \
	        touch $@; exit 0; \
	    fi; \
	done; \
	version=$$("$(PYTHON)" --version 2>&1) || version="not there"; \
	echo "error: JoyToken needs Python 3.11 or newer, and $(PYTHON) is $$version;" \
	    "name one with: make PYTHON=/path/to/python3.12 …" >&2; exit 1

$(VENV)/.runtime: requirements/runtime.txt | $(VENV)/.made
	@echo "setup: packages of requirements/runtime.txt"
	@$(PIP) -r requirements/runtime.txt && touch $@

# Editable, by the pinned hatchling of the lock: the command, its metadata and src itself, and nothing fetched.
$(VENV)/.package: pyproject.toml $(VENV)/.runtime
	@echo "setup: joytoken itself"
	@$(EDITABLE) . && touch $@

# With the SDK for Python, editable, which stands on the openai of these packages.
$(VENV)/.dev: requirements/dev.txt sdks/python/pyproject.toml $(VENV)/.package
	@echo "setup: packages of requirements/dev.txt, and the SDK for Python"
	@$(PIP) -r requirements/dev.txt
	@$(EDITABLE) sdks/python && touch $@

# The tests start the command a thousand times: compiled once, also where Python may not keep what it compiles.
$(VENV)/.compiled: $(VENV)/.dev
	@$(BIN)/python -m compileall -q src tests sdks/python/src

# The machine's own Go where that is new enough; else the pinned wheel, which holds the compiler as it is published.
# Debian's package is too old on Debian 12.
$(VENV)/.go: requirements/go.txt | $(VENV)/.made
	@if [[ "$$(go env GOVERSION 2> /dev/null)" =~ ^go1\.([0-9]+) ]] && (( BASH_REMATCH[1] >= 23 )); then \
	    touch $@; exit 0; \
	fi; \
	echo "setup: Go of requirements/go.txt"; \
	$(PIP) --force-reinstall -r requirements/go.txt; \
	go=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin; \
	ln -sf "$$go/go" "$$go/gofmt" $(BIN)/ && touch $@

# Named by npm itself. No index is named in the lock: `npm ci` asks the one that the machine is set up with.
%/node_modules/.package-lock.json: %/package-lock.json
	@echo "setup: packages of $*"
	@npm ci --prefix $* --silent --ignore-scripts --no-audit --no-fund && touch $@
