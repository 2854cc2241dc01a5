# The verbs of Weir. `make` alone lists them. Each installs what it needs; a repeat is instant.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PAGE := widget/page
APT := DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300
CHROMIUM := /usr/bin/chromium
FIREFOX := /usr/bin/firefox-esr
IP := /usr/sbin/ip

CRATE := focus/native
NATIVE := $(CRATE)/_native.abi3.so
# Folders too, so that a file that went away is noticed.
NATIVE_SOURCES := $(shell find $(CRATE)/src) $(CRATE)/Cargo.toml $(CRATE)/Cargo.lock $(CRATE)/build.rs
TARGET := $(or $(CARGO_TARGET_DIR),$(CRATE)/target)
OF_CRATE := --locked --manifest-path $(CRATE)/Cargo.toml --target-dir $(TARGET)
RUST := $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' $(CRATE)/Cargo.toml)
# Whether there is a Rust that can build the native engine; without, the reference engine carries media.
HAS_RUST := $(shell cargo --version 2>/dev/null | awk -v want=$(RUST) \
	'{ split($$2, has, "."); split(want, least, "."); if (has[1] * 1000 + has[2] >= least[1] * 1000 + least[2]) print "yes" }')
HAS_RUST_LINT := $(and $(HAS_RUST),$(shell command -v cargo-clippy),$(shell command -v cargo-fmt))

VENV_READY := $(VENV)/.ready
PAGE_SOURCES := $(shell find $(PAGE) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
MODULES_READY := $(PAGE)/node_modules/.ready
PAGE_READY := $(PAGE)/dist/index.html
LOCUST_READY := .venv-locust/.ready
SYNAPSE_READY := .weir/synapse-venv/installed
ANY_TIME := .weir/any-time.log

WEIR := $(VENV_READY) $(PAGE_READY) $(if $(HAS_RUST),$(NATIVE),no-rust)
# Side by side: one waits for the network, another for the compiler.
needs = @$(MAKE) -j4 ready WHAT="$(1)"

.PHONY: help ready setup demo test accept soak bench fuzz screenshots wheel lint fmt clean no-rust real-time any-time out-of-the-way
help:  ## List the verbs
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup:  ## Install everything that running Weir needs: Python packages, the page, the native engine
	$(call needs,$(WEIR))
	@echo "Ready. Next: make demo"

demo:  ## A real 12-person call on this machine (PORT=8900 PEOPLE=10 ENGINE=python STACK=aiortc; CHECK=1: headless, with a verdict)
	$(call needs,$(WEIR) $(SYNAPSE_READY) $(if $(CHECK),$(CHROMIUM)))
	$(PY) -m weir $(if $(CHECK),check,demo) $(if $(PORT),--port $(PORT)) $(if $(PEOPLE),--people $(PEOPLE)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(STACK),--stack $(STACK))

test:  ## Every test: Python, Rust, real browsers, a real homeserver, the page's own (ARGS=...: what pytest is asked)
	$(call needs,$(WEIR) $(SYNAPSE_READY) $(CHROMIUM) $(FIREFOX))
	@$(if $(ARGS),$(PY) -m pytest $(ARGS),$(MAKE) -kj2 real-time any-time || failed=1; cat $(ANY_TIME); exit $${failed:-0})

accept:  ## Run and print the acceptance table (ISSUE=3 for one issue, ROW=name for one row)
	$(call needs,$(WEIR) $(SYNAPSE_READY) $(CHROMIUM) $(LOCUST_READY))
	$(PY) -m bench.accept $(if $(ISSUE),--issue $(ISSUE)) $(if $(ROW),--row $(ROW))

soak:  ## The long runs: 10,000 scenarios through both engines, 12 participants for 5 minutes
	$(call needs,$(WEIR) $(SYNAPSE_READY) $(CHROMIUM))
	$(if $(HAS_RUST),$(PY) -m bench.differential)
	$(PY) -m bench.soak $(ARGS)

bench:  ## One measurement, its figures as JSON on the last line (NAME=packet; no NAME lists them)
	$(call needs,$(WEIR) $(SYNAPSE_READY) $(CHROMIUM) $(if $(filter codecs,$(NAME)),$(FIREFOX)) $(if $(filter new_address thin_link loss,$(NAME)),$(IP)) $(LOCUST_READY))
	@$(if $(NAME),$(PY) -m bench.$(NAME) $(ARGS),$(PY) -m bench.accept --benches)

fuzz: $(VENV_READY)  ## Look for bytes that break a parser or an engine (SECONDS=60 for each; NAME=one of them; KEEP=1 renews the corpora)
	@$(if $(HAS_RUST),:,echo "Fuzzing needs Rust $(RUST) or newer"; exit 1)
	@$(PY) -m bench.fuzz $(if $(NAME),--name $(NAME)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(KEEP),--keep)

screenshots:  ## Pictures of the page in every state and shape, into .weir/screenshots
	$(call needs,$(WEIR) $(SYNAPSE_READY) $(CHROMIUM))
	$(PY) -m bench.screenshots

wheel:  ## One package with everything in it, into out/; it installs without Rust and Node
	$(call needs,$(VENV_READY) $(PAGE_READY))
	@$(if $(HAS_RUST),:,echo "The native engine needs Rust $(RUST) or newer to be built"; exit 1)
	$(VENV)/bin/maturin build --release --locked --out out

lint:  ## ruff, mypy --strict, clippy, and the page's type check
	$(call needs,$(VENV_READY) $(MODULES_READY) $(if $(HAS_RUST),$(NATIVE)))
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(if $(HAS_RUST),$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml focus.native._native)
	$(if $(HAS_RUST_LINT),cargo fmt --manifest-path $(CRATE)/Cargo.toml --check)
	$(if $(HAS_RUST_LINT),cargo clippy --release --quiet --all-targets $(OF_CRATE) -- -D warnings)
	$(if $(HAS_RUST_LINT),cargo clippy --release --quiet --features python $(OF_CRATE) -- -D warnings)
	npm --prefix $(PAGE) run lint

fmt: $(VENV_READY)  ## Sort imports, mend what ruff can mend, format Rust
	$(VENV)/bin/ruff check --fix .
	$(if $(HAS_RUST_LINT),cargo fmt --manifest-path $(CRATE)/Cargo.toml)

clean:  ## Remove everything that the other verbs made
	rm -rf $(VENV) .venv-locust .weir $(PAGE)/node_modules $(PAGE)/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info out $(CRATE)/target $(NATIVE)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What the verbs stand on.

ready: $(WHAT)
	@:

$(VENV_READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Weir needs Python 3.11 or newer; say which with PYTHON=python3.x"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(APT) update -q && $(APT) install -qy --no-install-recommends python3-venv; }
	@echo "Installing Python packages (half a minute) ..."
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(NATIVE): $(NATIVE_SOURCES)
	@echo "Building the native engine (a few minutes the first time) ..."
	cargo build --release --quiet --features python $(OF_CRATE)
	cp $(TARGET)/release/lib_native.so $@.new
	mv $@.new $@

# Two halves of the tests. What waits for sockets, processes and browsers leaves the processor idle most of the time; what
# needs no time takes it then, and must not be in its way. What the second prints is shown in one piece, at the end.
real-time:
	$(PY) -m pytest -m real_time

any-time:
	@echo "Beside it, in turn: the tests that need no time, the native engine's and the page's own (see $(ANY_TIME)) ..."
	@nice -n 10 $(MAKE) out-of-the-way > $(ANY_TIME) 2>&1

out-of-the-way:
	$(PY) -m pytest -m "not real_time" -o timeout=120
	$(if $(HAS_RUST),cargo test --release --quiet --lib $(OF_CRATE))
	npm --prefix $(PAGE) test

no-rust:
	@echo "No Rust $(RUST) or newer (cargo) here: the reference engine, in Python, carries media, for about a dozen people."

$(MODULES_READY): $(PAGE)/package-lock.json
	@command -v npm >/dev/null || { echo "Weir's page needs Node 20 or newer with npm to be built"; exit 1; }
	@echo "Installing the page's packages ..."
	npm --prefix $(PAGE) ci --no-audit --no-fund --loglevel=error
	@touch $@

$(PAGE_READY): $(MODULES_READY) $(PAGE_SOURCES)
	@echo "Building the page ..."
	npm --prefix $(PAGE) run --silent build
	@touch $@

$(SYNAPSE_READY): requirements/synapse.txt | $(VENV_READY)
	@echo "Installing Synapse, the homeserver of demo and tests (a minute) ..."
	@$(PY) -m weir.homeserver > /dev/null
	@! test -f $@ || touch $@

# One after the other: each wants the lists of apt for itself.
$(CHROMIUM): | $(VENV_READY)
$(FIREFOX) $(IP): | $(CHROMIUM)

$(CHROMIUM):
	@echo "Installing Chromium for the browser runs ..."
	$(APT) update -q
	$(APT) install -qy --no-install-recommends chromium fonts-liberation fonts-noto-color-emoji

$(IP):
	$(APT) update -q
	$(APT) install -qy --no-install-recommends iproute2

$(FIREFOX):
	@echo "Installing Firefox ..."
	$(APT) update -q
	$(APT) install -qy --no-install-recommends firefox-esr

$(LOCUST_READY): requirements/locust.txt
	@echo "Installing locust in an interpreter of its own (it patches the standard library) ..."
	test -x .venv-locust/bin/python || $(PYTHON) -m venv .venv-locust
	.venv-locust/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/locust.txt
	@touch $@
