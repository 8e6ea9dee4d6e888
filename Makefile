# `make` lists what there is. Everything works from a clean clone and honours CARGO_TARGET_DIR.

SHELL := /bin/bash
.DEFAULT_GOAL := help

CARGO ?= cargo
# What follows the subcommand: `make demo ARGS='--peers 4'`.
ARGS ?=
# Seconds that `fuzz-smoke` gives to each fuzz target.
FUZZ_SECONDS ?= 10
export FUZZ_SECONDS

# Most tests wait for other processes and for time to pass, so more of them at once than cores.
export RUST_TEST_THREADS ?= 8

# `cross` looks for another spelling by itself.
export CROSS_CONFIG := $(CURDIR)/cross.toml

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9_-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## a registry, two sidecars and two agents on this machine, every line and frame shown
	$(CARGO) run --release -- demo $(ARGS)

.PHONY: run
run: ## the sidecar itself, configured by the environment
	$(CARGO) run --release -- $(ARGS)

.PHONY: build
build: ## the release binary
	$(CARGO) build --release

.PHONY: test
test: ## every test that needs neither root nor other programs than Python 3
	$(CARGO) test

.PHONY: test-long
test-long: ## the simulation of the core with SIMULATION_SEEDS seeds, 5,000 unless told otherwise
	SIMULATION_SEEDS=$${SIMULATION_SEEDS:-5000} $(CARGO) test --profile fast --lib walk:: -- --nocapture

# The program that the tests with other programs use; without it they build one.
SIDECAR_BINARY ?=
BUILT_BINARY = $(or $(SIDECAR_BINARY),$(or $(CARGO_TARGET_DIR),target)/debug/chatixia-sidecar)

.PHONY: test-net
test-net: ## behind routers of every kind, in network namespaces, with coturn (ARGS='-v -k symmetric')
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	SIDECAR_BINARY="$(BUILT_BINARY)" python3 -B tests/net/run.py $(ARGS)

.PHONY: test-net-long
test-net-long: ## the same, what takes minutes to show or misses its target now and then
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	SIDECAR_BINARY="$(BUILT_BINARY)" HEAL_ALL=1 python3 -B tests/net/run.py -v endurance endurance_healing test_healing $(ARGS)

# The WebRTC stacks that `test-interop` runs, and how many at once.
INTEROP_STACKS ?= chromium chromium-plain aiortc aiortc-old werift libdatachannel pion
INTEROP_JOBS ?= 4
export INTEROP_TOOLS ?= $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/interop

.PHONY: test-interop
test-interop: ## with other WebRTC stacks, which it installs (INTEROP_STACKS='werift pion')
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	tests/interop/install $(INTEROP_STACKS)
	SIDECAR_BINARY="$(BUILT_BINARY)" tests/interop/run.py --jobs $(INTEROP_JOBS) $(INTEROP_STACKS)

# The tokio sidecar, which is on webrtc-rs. Without it that stack is left out.
FIELD_SIDECAR ?=

.PHONY: bench-foreign
bench-foreign: ## MB/s to other WebRTC stacks, which it installs, and among themselves (FIELD_SIDECAR=path)
	$(if $(SIDECAR_BINARY),,$(CARGO) build --release)
	tests/interop/install chromium-plain aiortc libdatachannel pion
	SIDECAR_BINARY="$(or $(SIDECAR_BINARY),$(or $(CARGO_TARGET_DIR),target)/release/chatixia-sidecar)" \
	    python3 -B tests/interop/throughput.py $(if $(FIELD_SIDECAR),--field "$(FIELD_SIDECAR)") $(ARGS)

# Check the types in clients/python, and that Python 3.9 has all that it uses; CI installs them.
MYPY ?= $(shell command -v mypy)
VERMIN ?= $(shell command -v vermin)

.PHONY: test-python
test-python: ## the Python client with the real binary, its types and what Python it takes
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	binary=$$(realpath "$(BUILT_BINARY)") && cd clients/python && SIDECAR_BINARY="$$binary" python3 -B -m unittest discover $(ARGS)
	@if [[ -n "$(MYPY)" ]]; then cd clients/python && $(MYPY) --cache-dir=/dev/null; \
	else echo 'mypy is not installed: the types of clients/python are not checked'; [[ -z "$$REQUIRE_TOOLS" ]]; fi
	@if [[ -n "$(VERMIN)" ]]; then $(VERMIN) -t=3.9- --no-tips --violations --eval-annotations clients/python/src; \
	else echo 'vermin is not installed: not checked whether Python 3.9 is enough'; [[ -z "$$REQUIRE_TOOLS" ]]; fi

.PHONY: bench-python
bench-python: ## what the Python client adds to a message's way, and how many messages it carries
	$(if $(SIDECAR_BINARY),,$(CARGO) build --release)
	SIDECAR_BINARY=$$(realpath "$(or $(SIDECAR_BINARY),$(or $(CARGO_TARGET_DIR),target)/release/chatixia-sidecar)") \
	    python3 -B clients/python/benchmarks/message_way.py $(ARGS)

# Where the SDKs are installed with which `test-mcp` makes its hosts.
export MCP_TOOLS ?= $(abspath $(or $(CARGO_TARGET_DIR),target))/mcp

.PHONY: test-mcp
test-mcp: ## the MCP server with hosts on the SDKs of others, which it installs (SHOW=1 prints what they say)
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	tests/mcp/install
	binary=$$(realpath "$(BUILT_BINARY)") && cd tests/mcp && SIDECAR_BINARY="$$binary" python3 -B -m unittest $(or $(ARGS),test_hosts)

.PHONY: test-docs
test-docs: ## the commands in README and docs/, each run and its output compared
	$(if $(SIDECAR_BINARY),,$(CARGO) build --features redis)
	SIDECAR_BINARY="$(BUILT_BINARY)" python3 -B tests/docs/run.py $(ARGS)

# Where the parser is installed that judges the metrics.
METRICS_TOOLS = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/metrics-tools

.PHONY: test-metrics
test-metrics: ## what parsers of OpenMetrics and promtool say of a sidecar's numbers
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	test -x "$(METRICS_TOOLS)/bin/python" || python3 -m venv "$(METRICS_TOOLS)"
	"$(METRICS_TOOLS)/bin/pip" install --quiet --disable-pip-version-check -r tests/metrics/requirements.txt
	SIDECAR_BINARY="$(BUILT_BINARY)" "$(METRICS_TOOLS)/bin/python" -B tests/metrics/run.py

.PHONY: test-load
test-load: ## how the registry holds: idle WebSockets, sidecars while it restarts, a soak (ARGS=soak, SOAK_SECONDS=3600)
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	SIDECAR_BINARY="$(BUILT_BINARY)" python3 -B tests/load/run.py $(ARGS)

# How long `soak` does harm.
MINUTES ?= 5

.PHONY: soak
soak: ## ten sidecars that talk while all goes wrong that may, for MINUTES; ends with an account of every message
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	SIDECAR_BINARY="$(BUILT_BINARY)" MINUTES=$(MINUTES) python3 -B tests/soak/run.py

.PHONY: test-redis
test-redis: ## registries that share a Redis (needs redis-server): an account of introductions, TLS, Sentinels, failures
	$(CARGO) test --features redis --lib -- registry:: config::
	$(CARGO) test --features redis --test registry
	$(if $(SIDECAR_BINARY),,$(CARGO) build --features redis)
	SIDECAR_BINARY="$(BUILT_BINARY)" python3 -B tests/load/run.py shared stores

.PHONY: test-examples
test-examples: ## the agents in examples/ with each other; one without its interpreter is named and skipped
	$(CARGO) test --test examples

.PHONY: packaging
packaging: ## manual page and completions in packaging/, from the table of settings
	UPDATE=1 $(CARGO) test --test packaging documents

# Where the tools that judge the container files are installed.
CONTAINER_TOOLS = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/container-tools

# The tools of the tests in tests/web.
web_tools = test -z "$$(find tests/web/package-lock.json -newer tests/web/node_modules/.package-lock.json 2>&1)" || \
    (cd tests/web && npm ci --no-audit --no-fund --loglevel error)

.PHONY: test-web
test-web: ## the browser's module and the registry's page: simulated, in Chromium and Firefox, types, axe-core (root)
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	$(web_tools)
	tests/web/node_modules/.bin/tsc -p tests/web/tsconfig.json
	export SIDECAR_BINARY=$$(realpath "$(BUILT_BINARY)"); for tests in tests/web/*.test.mjs; do \
	    unshare --net -- node --test --test-force-exit $(ARGS) "$$tests" || exit 1; \
	done

.PHONY: bench-web
bench-web: ## the page: time to the first answer, frames with 20 peers, what 50 idle pages cost the registry (root)
	$(if $(SIDECAR_BINARY),,$(CARGO) build --release)
	$(web_tools)
	SIDECAR_BINARY=$$(realpath "$(or $(SIDECAR_BINARY),$(or $(CARGO_TARGET_DIR),target)/release/chatixia-sidecar)") \
	    unshare --net -- node tests/web/figures.mjs

.PHONY: test-container
test-container: ## Dockerfile and compose.yaml, linted and played without a container engine
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	test -x "$(CONTAINER_TOOLS)/bin/python" || python3 -m venv "$(CONTAINER_TOOLS)"
	"$(CONTAINER_TOOLS)/bin/pip" install --quiet --disable-pip-version-check -r tests/container/requirements.txt
	binary=$$(realpath "$(BUILT_BINARY)") && cd tests/container && \
	    SIDECAR_BINARY="$$binary" "$(CONTAINER_TOOLS)/bin/python" -B -m unittest $(ARGS)

.PHONY: lint
lint: ## format, clippy, documentation and shell scripts, warnings are errors
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --no-default-features -- -D warnings
	$(CARGO) clippy --features redis --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items
	@if command -v shellcheck >/dev/null; then \
	    shellcheck .ci/run tests/interop/install tests/mcp/install tests/container/stand-ins/* tests/docs/stand-ins/* examples/shell/* packaging/completions/*.bash $$(grep -lE '^#!.*(ba)?sh$$' scripts/*); \
	else echo 'shellcheck is not installed: shell scripts not checked'; fi

.PHONY: check-macos
check-macos: ## whether it compiles for macOS on ARM, as far as that shows without Apple's tools
	scripts/check-macos

.PHONY: audit
audit: ## licences, banned crates, sources and number of dependencies, offline
	scripts/check-dependencies
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny --offline check licenses bans sources; fi

.PHONY: bench
bench: ## the benchmark, a sweep of all sizes included: tables for people, JSON for machines
	-tests/interop/install libdatachannel
	$(CARGO) bench --bench '*' -- $(ARGS)

.PHONY: fuzz-smoke
fuzz-smoke: ## each fuzz target for FUZZ_SECONDS, with the nightly toolchain
	scripts/fuzz-smoke

.PHONY: fuzz
fuzz: ## the same for a minute each
	FUZZ_SECONDS=60 scripts/fuzz-smoke

# The same commit gives the same archive: it bears the commit's time.
release = scripts/cross-build $(1) && \
    scripts/package $(1) "$(or $(CARGO_TARGET_DIR),target)/$(1)/release/chatixia-sidecar"

.PHONY: dist
dist: wheels packages ## the release folder, dist/: static binaries for Linux, packed for all who install them, and checksums
	scripts/checksums

.PHONY: dist-binaries
dist-binaries: dist-x86_64 dist-aarch64 dist-armv7 dist-arm

.PHONY: dist-x86_64
dist-x86_64: ## dist/ for x86_64 alone
	$(call release,x86_64-unknown-linux-musl)

.PHONY: dist-aarch64
dist-aarch64: ## dist/ for 64-bit ARM alone
	$(call release,aarch64-unknown-linux-musl)

.PHONY: dist-armv7
dist-armv7: ## dist/ for 32-bit ARM alone, from ARMv7 on (Raspberry Pi 2 and later)
	$(call release,armv7-unknown-linux-musleabihf)

.PHONY: dist-arm
dist-arm: ## dist/ for 32-bit ARM alone, from ARMv6 on (Raspberry Pi Zero and 1)
	$(call release,arm-unknown-linux-musleabihf)

# The binaries that cross-build has built, by target.
TARGETS = x86_64-unknown-linux-musl aarch64-unknown-linux-musl armv7-unknown-linux-musleabihf arm-unknown-linux-musleabihf
TARGETS_OF_NPM = $(filter-out armv7-%,$(TARGETS))
built = $(foreach target,$(1),$(target)=$(or $(CARGO_TARGET_DIR),target)/$(target)/release/chatixia-sidecar)

.PHONY: wheels
wheels: dist-binaries ## Python wheels in dist/, of the binaries and of the client; nothing is compiled for them
	scripts/wheels $(call built,$(TARGETS))

.PHONY: packages
packages: dist-binaries ## Debian and npm packages in dist/, of the same binaries
	scripts/deb $(call built,$(TARGETS))
	scripts/npm $(call built,$(TARGETS_OF_NPM))

.PHONY: homebrew
homebrew: ## a formula for what is in dist/, published at RELEASE_URL=https://...
	scripts/homebrew "$(RELEASE_URL)"

# Reads and checks bills of materials.
CYCLONEDX = .cache/cyclonedx-11.12.0

$(CYCLONEDX):
	python3 -m venv $@
	$@/bin/pip install --quiet --disable-pip-version-check 'cyclonedx-python-lib[json-validation]==11.12.0' \
	    || { rm -rf $@; exit 1; }

.PHONY: test-package
test-package: | $(CYCLONEDX) ## the archive and the packages of a release, installed and run, around a binary of this machine
	$(if $(SIDECAR_BINARY),,$(CARGO) build)
	$(CYCLONEDX)/bin/python -B scripts/test-package
	SIDECAR_BINARY="$(BUILT_BINARY)" python3 -B scripts/test-installing $(ARGS)

.PHONY: test-arm
test-arm: dist-aarch64 dist-armv7 dist-arm ## the three ARM binaries run the demo under qemu
	scripts/test-arm

.PHONY: test-reproducible
test-reproducible: ## two builds of dist-x86_64 in different folders give the same bytes
	scripts/test-reproducible x86_64-unknown-linux-musl
