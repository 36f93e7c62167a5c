# `make help` lists the targets. Build output and tools are kept in $(CACHE), so that clones share them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE ?= $(HOME)/.cache/plixo
# One folder a checkout: cargo tells sources of two checkouts apart by their times only.
export CARGO_TARGET_DIR ?= $(CACHE)/target/$(shell pwd -P | cksum | cut -d" " -f1)
TOOLS := $(CACHE)/tools
export PATH := $(TOOLS)/bin:$(PATH)
PYTHON ?= python3
PORT ?= 8787
ARCH ?= $(shell uname -m)
STAGE ?= dev

FUNCTIONS := $(notdir $(wildcard functions/*))
VENV := .venv/bin/python
CHECKS := .venv-checks/bin/python
NEXTEST := 0.9.143
DENY := 0.20.2
CARGO_LAMBDA := 1.9.2

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

# ---- Running -----------------------------------------------------------------------------------------------------------

.PHONY: run
run: needs-run functions-dev .venv/.ready ## start all of it on this machine and pay an invoice (PORT=8787, DATA=dir keeps data)
	@exec $(VENV) -m infra.local run --port $(PORT) --bin-dir $(CARGO_TARGET_DIR)/debug $(if $(DATA),--data $(DATA))

.PHONY: needs-run
needs-run:
	@$(PYTHON) infra/needs.py cargo python

.PHONY: functions-dev
functions-dev:
	@echo "building the functions (the first time takes minutes)"
	@cargo build --quiet --locked $(addprefix -p ,$(FUNCTIONS)) -p plixoctl

# ---- Testing -----------------------------------------------------------------------------------------------------------

.PHONY: test
test: needs-test .venv/.ready tests/node_modules/.ready $(TOOLS)/.nextest-$(NEXTEST) ## run all tests
	@echo "building all of it and its tests (the first time takes minutes)"
	@# At once: of fewer packages, or without their tests, the dependencies have other features, and are built again.
	cargo build --quiet --locked --workspace --all-targets
	cargo nextest run --workspace --locked
	@# Two stacks, a file at a time on each.
	PLIXO_BIN_DIR=$(CARGO_TARGET_DIR)/debug $(VENV) -m pytest -vv -n 2 --dist loadfile --no-loadscope-reorder --durations=15 infra/local tests

.PHONY: needs-test
needs-test:
	@$(PYTHON) infra/needs.py cargo python node java chromium

.PHONY: fuzz
fuzz: ## fuzz the parsers, the verifiers and the redaction (SECONDS_EACH=60)
	fuzz/run.sh $(or $(SECONDS_EACH),60)

.PHONY: bench
bench: needs-test ## measure the functions beside Node and Python, hold the goals, write docs/PERFORMANCE.md
	$(PYTHON) benches/lambda/run.py

.PHONY: bench-cash
bench-cash: ## measure automatic cash application on the corpus, hold the goals
	cargo run --quiet --locked -p plixo-cash --example measure

.PHONY: bench-worker-cash
bench-worker-cash: ## measure what a matched payment costs among 100,000 open invoices
	cargo run --quiet --locked --release -p worker-cash --example costs

.PHONY: bench-worker-export
bench-worker-export: ## measure the memory of an export of 100,000 rows
	cargo run --quiet --locked --release -p worker-export --example memory

.PHONY: bench-seal
bench-seal: ## measure how long plixoctl verifies an audit log of a million events, and in how much memory
	cargo build --quiet --locked --release -p plixoctl
	cargo run --quiet --locked --release -p plixo-seal --example million -- $(CARGO_TARGET_DIR)/million.jsonl $(CARGO_TARGET_DIR)/million.key
	python3 benches/peak.py 60 200 $(CARGO_TARGET_DIR)/release/plixoctl audit verify $(CARGO_TARGET_DIR)/million.jsonl --key $(CARGO_TARGET_DIR)/million.key
	rm $(CARGO_TARGET_DIR)/million.jsonl

.PHONY: bench-retention
bench-retention: needs-test ## measure how fast job-retention deletes on DynamoDB Local (DUE=10000), and what it costs
	cargo build --quiet --locked --workspace --all-targets
	cargo build --quiet --locked --release -p job-retention --example due
	PLIXO_BIN_DIR=$(CARGO_TARGET_DIR)/debug PLIXO_BENCH_BIN_DIR=$(CARGO_TARGET_DIR)/release PLIXO_BENCH_RETENTION=$(or $(DUE),10000) $(VENV) -m pytest -q -s tests/e2e/test_retention_costs.py -k figures

.PHONY: openapi
openapi: ## write docs/openapi.json as the handlers say it
	cargo run --quiet --locked -p pages-docs --example openapi > docs/openapi.json.new
	mv docs/openapi.json.new docs/openapi.json

# ---- Checking ----------------------------------------------------------------------------------------------------------

.PHONY: check
check: check-format check-lints check-python check-deny check-template ## format, lints, dependencies, template

.PHONY: check-format
check-format:
	cargo fmt --all --check

.PHONY: check-lints
check-lints:
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: check-python
check-python: .venv-checks/.ready
	.venv-checks/bin/ruff check

.PHONY: check-deny
check-deny: $(TOOLS)/.deny-$(DENY)
	cargo deny --locked check --hide-inclusion-graph bans licenses sources

.PHONY: advisories
advisories: $(TOOLS)/.deny-$(DENY) ## look the dependencies up among known vulnerabilities (fetches the RustSec database)
	cargo deny --locked check advisories

.PHONY: check-template
check-template: .venv-checks/.ready ## check the template, its transformed form, and that the checks see what they should
	$(CHECKS) infra/checks/check.py template.yaml
	$(CHECKS) -m pytest -q infra/checks

# ---- Shipping ----------------------------------------------------------------------------------------------------------

.PHONY: build
build: .venv-build/.ready ## build the functions to ship into target/lambda (ARCH=x86_64 or arm64)
	PATH="$$PWD/.venv-build/bin:$$PATH" cargo lambda build --release --locked \
	  $(if $(filter $(ARCH),$(shell uname -m)),--compiler cargo,$(if $(filter arm64,$(ARCH)),--arm64)) $(addprefix -p ,$(FUNCTIONS)) \
	  --lambda-dir target/lambda

.PHONY: deploy
deploy: build .venv-checks/.ready ## deploy to AWS (ARCH=arm64, STAGE=dev, PARAMETERS="Name=value ..."; asks before it changes anything)
	.venv-checks/bin/sam deploy --stack-name plixo-$(STAGE) --resolve-s3 --capabilities CAPABILITY_IAM --confirm-changeset \
	  --parameter-overrides Architecture=$(if $(filter x86_64,$(ARCH)),x86_64,arm64) $(PARAMETERS)

# ---- Tools, each installed once ------------------------------------------------------------------------------------------

.venv/.ready: infra/local/requirements.txt tests/requirements.txt
	@echo "installing the local stack's Python packages"
	@flock .venv.lock sh -c '$(PYTHON) -m venv .venv && .venv/bin/pip install -q $(addprefix -r ,$^) && touch $@'

.venv-checks/.ready: infra/checks/requirements.txt
	@echo "installing the template's checkers"
	@flock .venv-checks.lock sh -c '$(PYTHON) -m venv .venv-checks && .venv-checks/bin/pip install -q --no-deps -r $< && touch $@'

.venv-build/.ready:
	@flock .venv-build.lock sh -c '$(PYTHON) -m venv .venv-build && .venv-build/bin/pip install -q cargo-lambda==$(CARGO_LAMBDA) && touch $@'

tests/node_modules/.ready: tests/package-lock.json
	@flock .node.lock sh -c 'npm --prefix tests ci --no-audit --no-fund --silent && touch $@'

$(TOOLS)/.nextest-$(NEXTEST):
	@mkdir -p $(TOOLS)
	@flock $(TOOLS).lock sh -c 'cargo nextest --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-nextest --version $(NEXTEST) --root $(TOOLS)'
	@touch $@

$(TOOLS)/.deny-$(DENY):
	@mkdir -p $(TOOLS)
	@flock $(TOOLS).lock sh -c 'cargo deny --version 2>/dev/null | grep -q " $(DENY)$$" || cargo install --debug --quiet --locked cargo-deny --version $(DENY) --root $(TOOLS)'
	@touch $@
