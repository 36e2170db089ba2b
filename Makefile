# The one way to build, test and check this repository. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# A missing toolchain is an error, never a download.
export RUSTUP_AUTO_INSTALL := 0

FUZZ_SECONDS ?= 60

.PHONY: help demo test lint generate bench fuzz

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Build the plugin and show on examples/ what it does
	cargo build --release --locked --package kubectl-headscale
	@examples/demo.sh

test: ## Run all tests
	tests/tools/docker-registry
	cargo test --workspace --locked

lint: ## Format, clippy, rustdoc, licences, the dependency rule and generated files
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	cargo deny --locked check licenses bans sources
	cargo xtask check-layers
	cargo xtask generate --check

generate: ## Write the committed files that are made from code
	cargo xtask generate
	UPDATE_README=1 cargo test --quiet --locked --package kubectl-headscale --test cli readme

bench: ## Measure the policy engine and the host of plugins
	cargo bench --locked --package headscale-acl --package headscale-policy-host --benches

fuzz: ## Fuzz each target of acl/fuzz for FUZZ_SECONDS (60); needs a nightly toolchain
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz@0.13.2
	targets=$$(cargo +nightly fuzz list --fuzz-dir acl/fuzz); \
	for target in $$targets; do \
		echo "fuzz: $$target for $(FUZZ_SECONDS) s"; \
		cargo +nightly fuzz run --fuzz-dir acl/fuzz "$$target" -- -max_total_time=$(FUZZ_SECONDS); \
	done
