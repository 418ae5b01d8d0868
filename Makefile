# The doors of Carillon. `make` alone lists them.
PYTHON := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
CARILLON_DATA ?= .carillon

.DEFAULT_GOAL := help
.PHONY: help setup run demo test lint format proto proto-lint proto-release lock bench bench-plane test-slow test-kill fuzz fuzz-plane fuzz-frames sanitize docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## install what is missing (Debian packages, .venv, native code); the other targets do it themselves
	@tools/setup

run: setup ## start everything on this machine with the example company; Ctrl-C ends it
	@carillon up --demo --data $(CARILLON_DATA)

demo: setup ## place the calls of the example company's story and show what happened
	@carillon demo

test: setup ## lint, then every test but the slow ones, in two processes where each can have a network of its own
	@$(MAKE) -s lint
	@pytest -m "not slow" $$($(PYTHON) tools/own_network.py)

lint: setup ## style, types, import rules, purity, generated code, deployment files
	@ruff check .
	@ruff format --check .
	@tools/typecheck
	@lint-imports --no-logo >.lint-imports.log 2>&1 || { cat .lint-imports.log; exit 1; }
	@$(PYTHON) tools/check_purity.py
	@$(PYTHON) tools/generate_grpc.py --check
	@$(PYTHON) tools/make_docs.py --check

format: ## put the code into shape
	@ruff format .
	@ruff check --fix .

proto: ## generate the gRPC code of proto/
	@$(PYTHON) tools/generate_grpc.py

BUF := npx --yes @bufbuild/buf@1.75.0

proto-lint: ## buf's style of proto/, and nothing that breaks clients of the last release; needs npm
	@$(BUF) lint proto
	@$(BUF) breaking proto --against proto/released.binpb.gz

proto-release: ## what proto-lint compares with from now on: proto/ as it is
	@$(BUF) build proto --exclude-source-info -o proto/released.binpb.gz

docs: ## make the generated pages of docs/ anew
	@$(PYTHON) tools/make_docs.py

lock: ## pin the newest allowed Python packages in requirements.lock
	@tools/lock

bench: setup ## measure; about five minutes
	@$(PYTHON) benchmarks/run.py

bench-plane: setup ## the media plane's targets, on a quiet machine: relay, floor, SRTP, codecs, rooms, recording, prompts; six minutes
	@$(PYTHON) benchmarks/media/targets.py

test-slow: setup ## fault and load suites; about fifteen minutes
	@pytest -m slow --timeout 900

test-kill: setup ## kill -9 of the media plane and of signalling with 200 calls up: percentiles until audio is back, packets lost; two minutes
	@bash -o pipefail -c "pytest -m slow --timeout 600 --log-cli-level INFO services/media/tests/component/test_process.py -k kill_9_of 2>&1 | grep -v '\"level\"'"

fuzz: setup ## coverage-guided fuzzing of the SIP library, SECONDS=60 for each of its seven targets
	@libs/sip/tests/fuzz/run $(or $(SECONDS),60)

fuzz-plane: ## coverage-guided fuzzing of the media plane's C code for SECONDS=60; needs clang
	@$(MAKE) -s -C libs/rtp fuzz SECONDS=$(or $(SECONDS),60)

fuzz-frames: setup ## coverage-guided fuzzing of what comes over the media plane's control socket for SECONDS=60
	@$(PYTHON) -c 'import atheris' 2>/dev/null || .venv/bin/uv pip install -q --python $(PYTHON) --group fuzz
	@mkdir -p .fuzz/findings
	@nice -n 19 $(PYTHON) libs/rtp/fuzz/frames.py -max_total_time=$(or $(SECONDS),60) -artifact_prefix=.fuzz/findings/frames-

sanitize: setup ## the media plane's C code under address and undefined-behaviour sanitizers
	@$(MAKE) -s -C libs/rtp sanitize

clean: ## remove what was built here, never your data
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .lint-imports.log
