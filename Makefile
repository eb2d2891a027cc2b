# The commands of this project; the work is done by cargo and by scripts/.
#   make demo     the main job on this machine, with nothing set up
#   make check    format, lints, unit tests and structure: under a minute
#   make test     every check and test of every language

STEPS := format clippy msrv features licences docs rust postgres bench c page python sdist

.PHONY: help demo check test bench bench-versions soak fuzz lint test-rust test-postgres test-c test-page test-python sdist header reference screenshot fixture libcxsink install uninstall deny clean $(addprefix step-,$(STEPS))

help: ## List what can be made
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo "  make step-NAME    One step of the tests: $(STEPS)"

demo: ## The main job on a simulated stream (EVENTS=n, DESTINATION=postgresql://…)
	@scripts/setup tools
	@cargo build --locked --profile demo --features cli
	@cargo run --quiet --locked --profile demo --features cli -- demo \
	    $${DESTINATION:+--destination "$$DESTINATION"} $${EVENTS:+--events "$$EVENTS"}

# Without Python: its bindings are left out, because pyo3 is built again whenever the interpreter changes. Without PostgreSQL: the unit tests
# that need one are below destination::postgres::tests, and no others. `make test` has both.
CHECKED := --workspace --exclude cxsink-python --all-features --locked

check: ## Format, lints, unit tests and structure, in under a minute (no Python, no PostgreSQL)
	@cargo fmt --all --check
	@cargo clippy --quiet $(CHECKED) --all-targets -- --deny=warnings
	@cargo test --quiet $(CHECKED) --lib --test structure -- --skip destination::postgres::tests

test: .venv/stamp ## Every check and test of every language
	@.venv/bin/python scripts/test

# End to end, then each part alone, beside a PostgreSQL that keeps its promises to the disk. docs/performance.md explains it.
bench: .venv/stamp ## Throughput, latency, CPU and memory beside what the database can take (QUICK=1: about a minute)
	@scripts/with-postgres --durable .venv/bin/python benches/end_to_end $(if $(QUICK),quick,full)
	@scripts/with-postgres --durable cargo bench --quiet --locked --features _bench --bench components -- \
	    --sort location $(if $(QUICK),--max-time 1) > target/bench.parts
	@cat target/bench.parts
	@rm -rf target/bench-python
	@.venv/bin/maturin build --quiet --release --locked --strip --out target/bench-python
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target target/bench-python target/bench-python/*.whl
	@PYTHONPATH=target/bench-python scripts/with-postgres --durable sh -c '.venv/bin/python benches/python_ingest.py \
	    --destination "$$CXSINK_TEST_POSTGRES" $(if $(QUICK),--events 50000 --rounds 1)'

# Each is found or installed as for `make test-postgres`.
PG_VERSIONS ?= 14 15 16 17 18

bench-versions: .venv/stamp ## Throughput with each PostgreSQL of PG_VERSIONS="14 …" (a minute for each)
	@rm -f target/bench-versions.jsonl
	@for version in $(PG_VERSIONS); do PG_VERSION=$$version scripts/with-postgres --durable .venv/bin/python benches/end_to_end versions \
	    --append --out target/bench-versions.jsonl || exit 1; done

soak: .venv/stamp ## The tests of faults and properties again and again, for an hour (MINUTES=n)
	@.venv/bin/python scripts/soak $(MINUTES)

fuzz: ## Fuzz event bytes, configuration text and spool files for a minute each (needs a nightly Rust and cargo-fuzz)
	for target in event config spool; do cargo +nightly fuzz run $$target -- -max_total_time=60 || exit 1; done

lint: step-format step-clippy step-msrv step-features step-licences step-docs ## Formatting, lints, licences, documentation
test-rust: step-rust ## The Rust tests, beside a private PostgreSQL
test-postgres: step-postgres ## The tests of values, upserts and the catalogue on every other PostgreSQL from 14 to 18
test-c: step-c ## The C tests
test-page: step-page ## The page of a running sink in headless Chromium, beside a private PostgreSQL
test-python: step-python ## The Python tests, beside a private PostgreSQL

$(addprefix step-,$(STEPS)): step-%: .venv/stamp
	@.venv/bin/python scripts/test $*

sdist: .venv/stamp ## The source distribution of the Python package, and a wheel built from it alone
	@.venv/bin/python scripts/make-sdist --check

# Always asked: scripts/setup itself sees whether there is anything to do.
.PHONY: .venv/stamp
.venv/stamp:
	@scripts/setup

# PREFIX, DESTDIR, LIBDIR, PROFILE and TARGET: scripts/libcxsink says what each is.
export PREFIX DESTDIR LIBDIR PROFILE TARGET
libcxsink: ## Build the C library, shared and static
	@scripts/libcxsink build

install: ## Install it with its headers, cxsink.pc and CMake package (PREFIX, DESTDIR, LIBDIR)
	@scripts/libcxsink install

uninstall: ## Remove what was installed (the same PREFIX, DESTDIR, LIBDIR)
	@scripts/libcxsink uninstall

header: ## Make include/cxsink.h from bindings/c
	CXSINK_UPDATE=1 cargo test --locked --package cxsink-c --test header

reference: ## Make docs/configuration.md and docs/metrics.md from src/, and the list of docs/schema.md
	CXSINK_UPDATE=1 cargo test --locked --all-features --test integration the_reference_is_the_committed_file
	CXSINK_UPDATE=1 cargo test --locked --lib rows::schema::tests::suite
	CXSINK_UPDATE=1 cargo test --locked --all-features --lib the_page_of_the_metrics_is_the_committed_file

screenshot: .venv/stamp ## Make docs/page.png, the picture of the page
	@cargo build --locked --all-features --bin cxsink
	@scripts/with-postgres .venv/bin/python tests/page/screenshot.py docs/page.png

fixture: ## Make tests/fixtures/spool, a spool file as this version writes it
	CXSINK_UPDATE=1 cargo test --locked --all-features --test integration a_spool_of_an_earlier_version_is_drained

deny: ## Advisories, licences and sources of the dependencies (needs cargo-deny and the network)
	cargo deny --locked check

clean: ## Remove what was built, the virtual environment and downloaded programs
	cargo clean
	rm -rf .venv .pg .pg.new .pg-versions .packages tests/foreign/node_modules tests/page/node_modules cxsink-demo
