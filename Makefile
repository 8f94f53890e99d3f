# Each target sets up what it needs on a Debian machine (scripts/setup) and says what it does.
#
# RocksDB takes ten minutes to compile and is compiled once: there is one profile, --release, for the
# program, its tests and its benches (invariants are assert!, which release builds keep), and every
# command selects --workspace, because a part of it would give the dependencies other features.

# One build cache outside the checkout, shared by all checkouts and by .ci/run.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/systole/target
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test verify soak bench bench-smoke bench-peers doc fmt lint

cargo_flags := --release --locked --workspace
examples := quickstart two_devices
VERIFY_MINUTES ?= 3
VERIFY_ROUNDS ?= 200
SOAK_MINUTES ?= 240

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile
	@printf 'build cache: %s\n' "$$CARGO_TARGET_DIR"

demo: ## import this checkout's Git history, show it and verify it
	@scripts/setup build
	@scripts/demo

test: ## all tests: unit, integration, documentation, examples
	@scripts/setup test
	@if cargo nextest --version >/dev/null 2>&1; then \
	  echo cargo nextest run $(cargo_flags); \
	  cargo nextest run $(cargo_flags); \
	else \
	  echo cargo test $(cargo_flags) --lib --bins --tests --no-fail-fast; \
	  cargo test $(cargo_flags) --lib --bins --tests --no-fail-fast; \
	fi
	cargo test $(cargo_flags) --doc
	cargo build $(cargo_flags) --examples
	@for example in $(examples); do \
	  echo running the example $$example; \
	  timeout 120 "$$CARGO_TARGET_DIR/release/examples/$$example"; \
	done

verify: ## VERIFY_MINUTES of simulated histories, failing disks, VERIFY_ROUNDS of killed processes
	@scripts/setup test
	cargo build $(cargo_flags) --bins --examples
	"$$CARGO_TARGET_DIR/release/examples/marathon" --minutes $(VERIFY_MINUTES) \
	  --first "$$((16#$$(git rev-parse --short=7 HEAD 2>/dev/null || echo 0) * 1000000))"
	@export SYSTOLE_CRASH_ROUNDS=$(VERIFY_ROUNDS); \
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run $(cargo_flags) --success-output immediate \
	    -E 'package(systole-sim) or binary(/^(faults|crash|files)$$/)'; \
	else \
	  cargo test $(cargo_flags) --no-fail-fast --test planted --test clean --test real_engine \
	    --test faults --test crash --test files; \
	fi
	"$$CARGO_TARGET_DIR/release/soak" --seconds 20

soak: ## a mixed workload for SOAK_MINUTES; memory and disk must be flat
	@scripts/setup build
	cargo build $(cargo_flags) --bins
	"$$CARGO_TARGET_DIR/release/soak" --strict --minutes $(SOAK_MINUTES) --csv "$$CARGO_TARGET_DIR/soak.csv"

bench: ## all workloads beside what the machine allows: a table, JSON, and a page with charts
	@scripts/setup build
	cargo bench --locked --workspace --bench systolic -- $(BENCH)

bench-smoke: ## every workload of bench, small: checks results, not times
	@scripts/setup build
	cargo bench --locked --workspace --bench systolic -- --smoke $(BENCH)

bench-peers: ## compare with other systems; PEERS='--scale 0.1 p2panda' is quick, PEERS=--smoke only checks
	@scripts/setup build
	@scripts/bench-peers $(PEERS)

doc: ## build the documentation; warnings are errors
	@scripts/setup build
	RUSTDOCFLAGS='-D warnings' cargo doc $(cargo_flags) --no-deps

fmt: ## format the sources
	@scripts/setup lint
	cargo fmt --all

lint: ## check format, lints, house rules and dependencies; changes nothing
	@scripts/setup lint
	cargo fmt --all --check
	cargo clippy $(cargo_flags) --all-targets -- -D warnings
	@scripts/tidy
	@scripts/dependencies
