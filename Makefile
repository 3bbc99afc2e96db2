# Each target does its own set-up: what can be installed is installed, what cannot is named with the exact command.
# What each one is for: CONTRIBUTING.md

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint docs bench soak matrix images stack stack-test

# The binaries that `cargo build` leaves.
TARGET := $(or $(CARGO_TARGET_DIR),target)

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## back up a real Neo4j while clients write to it, restore it, and prove it equal (SPOIL=1: spoil the restored one first, to see it noticed)
	@scripts/setup demo
	cargo build -p grap-app --bin grap -p grap-testkit --bin demo
	@$(TARGET)/debug/demo $(if $(SPOIL),--spoil)

test: ## the whole suite, real servers and real restic included
	@scripts/setup test
	cargo test --workspace
	cargo test -p grap --features faults --test crash

lint: ## format, clippy, documentation, licences
	@scripts/setup lint
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p grap --features faults --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	@scripts/deny

docs: ## write the generated pages of docs/ anew (the suite fails when they are stale)
	@scripts/setup lint
	UPDATE_DOCS=1 cargo test -p grap --lib documented
	UPDATE_DOCS=1 cargo test -p grap-app --bin grap documented

# The program as it is shipped; what drives it need not be optimised.
RELEASE := cargo build --quiet --release -p grap-app --bin grap
DRIVE := GRAP_BINARY=$(abspath $(TARGET))/release/grap cargo run --quiet -p grap-testkit --bin

bench: ## figures, optimised build, takes minutes
	@scripts/setup bench
	$(RELEASE)
	$(DRIVE) bench
	$(DRIVE) pitr -- bench
	$(DRIVE) storages
	$(DRIVE) health -- speed

soak: ## the long tests: every crash point, kills at random instants, rounds under load, archiving and recovery to a point, the daemon for an hour, promotions struck, health, fuzzing (SECONDS_EACH=600)
	@scripts/setup soak
	GRAP_CRASH_STRIDE=1 cargo test --release -p grap --features faults --test crash
	GRAP_MODEL_SECONDS=$(or $(SECONDS_EACH),600) cargo test --release -p grap --test model -- --ignored campaign --nocapture
	cargo test --release -p grap --test check -- --ignored flips --nocapture
	cargo test --release -p grap --test validate -- --ignored --nocapture
	$(RELEASE)
	$(DRIVE) soak
	$(DRIVE) pitr
	$(DRIVE) serve
	$(DRIVE) recoveries
	GRAP_TEST_VERSIONS="$(or $(GRAP_TEST_VERSIONS),5.13.0,5.26.30,2026.08.1)" GRAP_SOAK_SECONDS=$(or $(SECONDS_EACH),600) $(DRIVE) promotions
	GRAP_TEST_VERSIONS="$(or $(GRAP_TEST_VERSIONS),5.13.0,5.26.30,2026.08.1)" $(DRIVE) health
	@scripts/fuzz $(or $(SECONDS_EACH),600)

matrix: ## the tests with real servers, and rounds under load, on every version of Neo4j (VERSIONS="5.13.0 5.26.30 2026.08.1")
	@scripts/setup matrix
	$(RELEASE)
	@GRAP_BINARY=$(abspath $(TARGET))/release/grap scripts/matrix $(VERSIONS)

images: ## the image of the stack in containers, on the official Neo4j image or, where no registry answers, on a base made here
	@scripts/setup stack
	@settings=$$(scripts/engine start) && eval "$$settings" && scripts/images

stack: ## Neo4j and Grap in containers: image, secrets, repository; waits until both are healthy, and says what to do next
	@scripts/setup stack
	@settings=$$(scripts/engine start) && eval "$$settings" && scripts/images && scripts/stack

# What cannot be tried here is no failure, and says so.
stack-test: ## the stack in containers, tried from outside: kills, down and up, recovery, promotion, rollback (LONG=1: at every step)
	@scripts/stack-test $(if $(LONG),long) || [ $$? = 3 ]
