# The one way to build, test and check this repository. `make` alone lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# A missing toolchain is an error, never a download.
export RUSTUP_AUTO_INSTALL := 0

FUZZ_SECONDS ?= 60
SOAK_EDITS ?= 1000

# Nothing unwinds a program that ends when it panics: the tables for it are 2.6 MB. Where lld links,
# which the toolchain does on this platform, functions of the same code are one (1.5 MB), and
# addresses to put into place are packed (2.4 MB; it takes glibc 2.36 or musl).
RELEASE_RUSTFLAGS := -C force-unwind-tables=no
ifeq ($(shell uname -sm),Linux x86_64)
RELEASE_RUSTFLAGS += -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-z,pack-relative-relocs
endif

.PHONY: help demo demo-cluster release release-size image image-test chart test soak test-js lint generate plugins bench fuzz

# The guests and their template have workspaces of their own, and share what they are built into.
GUESTS := --locked --target-dir target/guests --manifest-path

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Build the plugin and show on examples/ what it does
	cargo build --release --locked --package kubectl-headscale
	@examples/demo.sh

demo-cluster: ## Start a control plane, and make an instance, a user and a key on it; needs Go
	tests/tools/build etcd kube-apiserver kubectl
	cargo build --locked --package kubectl-headscale
	cargo build --locked --package headscale-controlplane --example serve
	@examples/demo-cluster.sh

release: ## Build the plugin as it is released, with the built-in plugins compiled into it
	cargo xtask compile-plugins --out target/compiled-plugins
	RUSTFLAGS="$(RELEASE_RUSTFLAGS)" HEADSCALE_COMPILED_PLUGINS=target/compiled-plugins \
		cargo build --release --locked --package kubectl-headscale

release-size: release ## Build the plugin as it is released, and fail where it is too large
	@.ci/size "$${CARGO_TARGET_DIR:-target}/release/kubectl-headscale"

image: ## Build the images of the sidecar and the operator into target/images; needs buildah
	RELEASE_RUSTFLAGS="$(RELEASE_RUSTFLAGS)" images/build

image-test: image ## Build the images, look into them, and run them
	HEADSCALE_IMAGES=$(CURDIR)/target/images \
		cargo test --locked --package headscale-testkit --test image

chart: ## Package the Helm chart into target/chart; needs Go
	tests/tools/build helm
	"$${XDG_CACHE_HOME:-$$HOME/.cache}/kubectl-headscale/tools/helm" package charts/headscale-operator \
		--destination target/chart

test: ## Run all tests
	tests/tools/docker-registry
	-tests/tools/build
	cargo test --workspace --locked
	cargo test --workspace $(GUESTS) policies/Cargo.toml
	cargo test $(GUESTS) policies/templates/rust/Cargo.toml

soak: ## Edit and kill at random, SOAK_EDITS times (1,000); SOAK_SEED makes the same edits again
	SOAK_EDITS=$(SOAK_EDITS) cargo test --locked --package headscale-operator --test soak random -- --nocapture

test-js: ## Start, build and test a JavaScript plugin; needs node and the npm registry
	cargo build --locked --package kubectl-headscale
	rm -rf target/js
	target/debug/kubectl-headscale plugin new javascript no-contractors --dir target/js
	cd target/js && npm install --no-audit --no-fund && npm test
	target/debug/kubectl-headscale plugin build target/js
	cd target/js && ../debug/kubectl-headscale plugin test --require-coverage

lint: ## Format, clippy, rustdoc, licences, the dependency rule and generated files
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path policies/Cargo.toml
	cargo fmt --all --check --manifest-path policies/templates/rust/Cargo.toml
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --workspace --all-targets $(GUESTS) policies/Cargo.toml -- -D warnings
	cargo clippy --all-targets $(GUESTS) policies/templates/rust/Cargo.toml -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --package headscale-policy-sdk $(GUESTS) policies/Cargo.toml
	cargo deny --locked check licenses bans sources
	cargo deny --manifest-path policies/Cargo.toml --locked check licenses bans sources
	cargo xtask check-layers
	cargo xtask generate --check
	cargo xtask check-plugins

generate: ## Write the committed files that are made from code
	cargo xtask generate
	UPDATE_README=1 cargo test --quiet --locked --package kubectl-headscale --test cli --test kubernetes readme

plugins: ## Build the built-in plugins into policies/dist; needs Debian's rustc-web
	cargo xtask build-plugins

bench: ## Measure the policy engine, the host of plugins, the client and the sidecar
	cargo bench --locked --package headscale-acl --package headscale-policy-host --package headscale-client --package headscale-sidecar --benches

fuzz: ## Fuzz each target of acl/fuzz for FUZZ_SECONDS (60); needs a nightly toolchain
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz@0.13.2
	targets=$$(cargo +nightly fuzz list --fuzz-dir acl/fuzz); \
	for target in $$targets; do \
		echo "fuzz: $$target for $(FUZZ_SECONDS) s"; \
		cargo +nightly fuzz run --fuzz-dir acl/fuzz "$$target" -- -max_total_time=$(FUZZ_SECONDS); \
	done
