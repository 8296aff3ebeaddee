# make demo    the whole pipeline on a small survey, on this machine
# make test    all tests; make lint, make bench, make install, make schemas, make fixtures

SHELL := /bin/bash
CARGO ?= cargo
VENV := .venv
PYTHON := $(VENV)/bin/python
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: demo test lint bench install schemas fixtures postgres chromium venv tools clean

demo: postgres
	$(CARGO) run --release --quiet --bin ssp-run -- demo

test: postgres chromium venv
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --all-targets --no-fail-fast
else
	$(CARGO) test --all-targets --no-fail-fast
endif
	$(CARGO) test --doc

lint: tools
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --no-deps --document-private-items --quiet
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --log-level error check licenses bans sources; \
	 else echo "lint: cargo-deny is not there and could not be installed: licences and sources were not checked"; fi
	@if $(CARGO) machete --version >/dev/null 2>&1; then $(CARGO) machete; \
	 else echo "lint: cargo-machete is not there and could not be installed: unused dependencies were not looked for"; fi

bench:
	$(CARGO) bench

install: postgres
	$(CARGO) install --locked --path .

schemas:
	SSP_UPDATE_SCHEMA=1 $(CARGO) test --lib the_schema_file_is_fresh

# Makes fixtures/survey anew; the Butler repository gets new ids.
fixtures: venv
	$(PYTHON) fixtures/survey/make_survey.py
	$(PYTHON) fixtures/survey/check_survey.py

postgres:
	@./ci/install postgres

chromium:
	@./ci/install chromium

venv:
	@./ci/install venv

tools:
	@./ci/install tools

clean:
	$(CARGO) clean
	rm -rf $(VENV) demo
