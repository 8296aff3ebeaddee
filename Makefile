# make demo       run the whole pipeline on a small survey, in ./demo
# make test       all tests
# make faults     the fault tests in full: 200 kills, 50 signals, 500 changes of the database, all cases of the property tests
# make fuzz       each fuzz target for one minute
# make lint       format, clippy, documentation, licences, unused dependencies
# make generated  write the files that are generated from the code; the test that fails names them
# make install    install the programs into ~/.cargo/bin; make package: the wheel and the Debian package
# make bench-...  the measurements of docs/performance.md, for example make bench-export

SHELL := /bin/bash
CARGO ?= cargo
VENV := .venv
PYTHON := $(VENV)/bin/python
# The demo is built without object stores, so that a first build is quicker.
FEATURES := --features stores
# Two tests of full and read-only disks need mount namespaces, which most containers forbid: elsewhere they are ignored. If CI is
# set, they always run.
NAMESPACES = $(or $(CI),$(shell unshare --user --map-root-user --mount true 2>/dev/null && echo yes))
NO_NAMESPACES = @echo "2 tests of full disks were ignored: this machine does not allow mount namespaces. To see the permission they need, run: $(CARGO) test --test faults -- --ignored"
NEXTEST := $(shell $(CARGO) nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: demo test faults fuzz lint release bench bench-export bench-incremental bench-night bench-extract bench-stores bench-ssobject bench-sssource bench-slurm bench-runner oracle-full install package sbom minimal-versions generated fixtures tools clean

demo:
	@./ci/install compiler postgres
	$(CARGO) run --bin ssp-run -- demo

# The tests of Slurm mostly wait, so more of them run at a time than there are cores.
test:
	@./ci/install compiler postgres venv chromium prometheus strace slurm nginx s3
ifeq ($(NEXTEST),yes)
	$(CARGO) nextest run --workspace $(FEATURES) --all-targets --no-fail-fast $(if $(NAMESPACES),--run-ignored all) -E 'not binary(slurm)'
	$(CARGO) nextest run $(FEATURES) --test slurm --no-fail-fast --test-threads 4
else
	$(CARGO) test --workspace $(FEATURES) --all-targets --no-fail-fast
	$(if $(NAMESPACES),$(CARGO) test $(FEATURES) --test faults -- --ignored)
endif
	$(CARGO) test --workspace $(FEATURES) --doc
	$(if $(NAMESPACES),,$(NO_NAMESPACES))

faults:
	@./ci/install compiler postgres venv strace slurm
	SSP_FAULTS=1 $(CARGO) test --workspace $(FEATURES) --lib --test postgres --test oracle --test butler --test incremental
	SSP_FAULTS=1 $(CARGO) test $(FEATURES) --test slurm reaches_its_time_limit
	SSP_FAULTS=1 $(CARGO) test $(FEATURES) --test slurm sees_otherwise
	SSP_FAULTS=1 $(CARGO) test $(FEATURES) --test faults -- --test-threads 1 $(if $(NAMESPACES),--include-ignored)
	$(if $(NAMESPACES),,$(NO_NAMESPACES))

# FUZZ_SECONDS=600: ten minutes for each target. Needs a nightly compiler and a C++ compiler. Failing inputs are written to
# fuzz/artifacts.
fuzz: FUZZ_SECONDS ?= 60
fuzz: fuzz/Cargo.lock
	@./ci/install tools cargo-fuzz
	set -e; export CARGO_TARGET_DIR=$(CURDIR)/target/fuzz; for target in $$($(CARGO) fuzz list); do \
	  $(CARGO) +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS); done

# The fuzz targets are only checked: to build them takes a nightly compiler. CUSTOM_LIBFUZZER_PATH may be any file here, and makes
# a C++ compiler unnecessary.
lint: tools fuzz/Cargo.lock
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --workspace --all-targets $(FEATURES) -- -D warnings
	@if $(CARGO) fetch --quiet --manifest-path fuzz/Cargo.toml; then \
	   CARGO_TARGET_DIR=$${CARGO_TARGET_DIR:-target} CUSTOM_LIBFUZZER_PATH=$(CURDIR)/fuzz/Cargo.toml \
	     $(CARGO) clippy --manifest-path fuzz/Cargo.toml -- -D warnings; \
	 else echo "lint: could not fetch the dependencies of the fuzz targets: they were not checked"; fi
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --workspace $(FEATURES) --no-deps --document-private-items --quiet
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --log-level error check licenses bans sources; \
	 else echo "lint: cargo-deny not found and could not be installed: licences and sources were not checked"; fi
	@if $(CARGO) machete --version >/dev/null 2>&1; then $(CARGO) machete; \
	 else echo "lint: cargo-machete not found and could not be installed: unused dependencies were not checked"; fi

# The same versions as the package, so that its compiled dependencies are used again.
fuzz/Cargo.lock: Cargo.lock
	cp $< $@

# What packages carry, but built quickly.
release:
	@./ci/install compiler
	$(CARGO) build --release $(FEATURES) --bins

bench:
	$(CARGO) bench

# The time of an up-to-date run, compared with DVC and Snakemake.
bench-runner: release
	@./ci/install postgres
	python3 -m venv target/bench-runner-venv
	target/bench-runner-venv/bin/pip install --quiet --disable-pip-version-check -r benches/runner-requirements.txt
	target/bench-runner-venv/bin/python benches/runner.py

# SIZES=small,full,large also makes a table of 100 M detections, which needs 25 GB of disk.
bench-ssobject: SIZES ?= small,full
bench-ssobject: release
	@./ci/install venv
	$(PYTHON) benches/ssobject.py --sizes $(SIZES)
	$(CARGO) bench --bench kernels

# ssp-build-sssource on generated inputs (SIZES=small for a quick try), and orbits by class, compared with ASSIST.
bench-sssource: SIZES ?= small,full
bench-sssource: release
	@./ci/install venv
	$(PYTHON) benches/sssource.py --tool target/release/ssp-build-sssource --sizes $(SIZES)
	$(CARGO) bench --bench ephemeris
	test -x target/bench-assist/bin/python || python3 -m venv target/bench-assist
	target/bench-assist/bin/pip install --quiet --disable-pip-version-check -r fixtures/requirements-survey.txt
	target/bench-assist/bin/python benches/ephemeris_assist.py

# Stages as jobs of a Slurm that the script starts, compared with the same stages in one process.
bench-slurm: release
	@./ci/install venv slurm
	$(PYTHON) benches/slurm.py

# The MOID compared with a slow search, on 10,080 pairs. `make test` uses fewer pairs.
oracle-full:
	MOID_PAIRS=10080 $(CARGO) test --release --test oracle no_pair_is_missed -- --nocapture

# extract-catalog compared with the Python tool, and incremental extracts with full ones, on repositories made by the real Butler.
bench-extract: release
	@./ci/install venv
	$(PYTHON) benches/extract.py
	$(PYTHON) benches/incremental_extract.py
	$(CARGO) bench --bench extract

# extract-catalog on a local S3 server, with and without latency, compared with the real Butler and pyarrow.
bench-stores: release
	@./ci/install venv s3
	$(PYTHON) benches/stores.py

# fast-export compared with psql and other programs, on a database that the script makes.
bench-export: release
	@./ci/install postgres
	test -x target/bench-export/bin/python || python3 -m venv target/bench-export
	target/bench-export/bin/pip install --quiet --disable-pip-version-check -r benches/requirements.txt
	target/bench-export/bin/python benches/export.py --tool target/release/fast-export

# Incremental exports compared with psql and full exports.
bench-incremental: release
	@./ci/install postgres venv
	$(PYTHON) benches/incremental.py

# A whole night of real size, in full and with one more day of data: 35 GB of disk.
bench-night: release
	@./ci/install postgres venv
	$(PYTHON) benches/night.py

install:
	@./ci/install compiler postgres
	$(CARGO) install --locked $(FEATURES) --path .

# Writes the Debian package and the Python wheel to target/package, and tries them in a clean root and a fresh environment.
package:
	@./ci/install compiler postgres debootstrap
	./ci/package

# The list of the dependencies, as CycloneDX: target/package/ssp.cdx.json.
sbom:
	@./ci/install tools cargo-cyclonedx
	$(CARGO) cyclonedx --quiet $(FEATURES) --format json --spec-version 1.5 --override-filename ssp.cdx
	mkdir -p target/package && mv ssp.cdx.json target/package/
	rm -f src/science/ssp.cdx.json

# Checks the code with the oldest versions that Cargo.toml allows, in a copy, because this writes another Cargo.lock.
minimal-versions:
	rm -rf target/minimal && mkdir -p target/minimal && git archive HEAD | tar -x -C target/minimal
	cd target/minimal && RUSTC_BOOTSTRAP=1 $(CARGO) update -Z direct-minimal-versions && CARGO_TARGET_DIR=../minimal-build $(CARGO) check --workspace --all-targets $(FEATURES)

# Files made from the code: the schema of pipeline files, the reference pages and the plots of the documentation.
generated:
	SSP_UPDATE_SCHEMA=1 $(CARGO) test $(FEATURES) --lib the_schema_file_is_fresh
	SSP_UPDATE_DOCS=1 $(CARGO) test $(FEATURES) --test docs is_fresh

# Makes fixtures/survey again. Downloads 750 MB: the ephemerides of the planets and asteroids.
fixtures:
	@./ci/install venv
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r fixtures/requirements-survey.txt
	$(PYTHON) fixtures/survey/make_survey.py
	$(PYTHON) fixtures/survey/check_survey.py

tools:
	@./ci/install tools cargo-deny cargo-machete

clean:
	$(CARGO) clean
	rm -rf $(VENV) demo
