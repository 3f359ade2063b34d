# What people do here. Everything is built by meson and ninja; see CONTRIBUTING.md.
#
#   make build                      build/frazil and build/libfrazil.so
#   make demo [ROWS=n] [CSV=file]   load trade statistics into a new lake and report on them
#   make demo-s3 [ROWS=n] [CSV=file]   the same from a public bucket to tables on S3 behind a REST catalog, all on this machine
#   make test | test-long           run the tests | also what takes longer
#   make bench [BENCH="load cold"]  measure against other engines; bench-s3: on S3 behind a REST catalog
#   make wheel                      the Python package as a wheel, in build/wheel/
#   make fuzz [SECONDS=n]           fuzz every decoder for so long
#   make install [PREFIX=dir] | make uninstall | make clean

PREFIX ?= /usr/local
ROWS ?= 1000000
SECONDS ?= 60
NINJA = ninja -C build

.PHONY: build demo demo-s3 test test-long bench bench-s3 wheel fuzz install uninstall clean

build:
	@scripts/setup build
	@scripts/configure build
	@$(NINJA) --quiet frazil lib gen_trade to_arrow
	@echo "built: build/frazil, build/libfrazil.so"

demo: build
	@ROWS='$(ROWS)' CSV='$(CSV)' scripts/demo

demo-s3: build
	@scripts/setup test
	@ROWS='$(ROWS)' CSV='$(CSV)' scripts/demo-s3

test:
	@scripts/setup test
	@scripts/run-tests

test-long:
	@scripts/setup test
	@scripts/run-tests --long

bench: build
	@scripts/setup bench
	@.venv/peers/bin/python bench/bench.py $(BENCH)

bench-s3: build
	@scripts/setup bench
	@$(NINJA) --quiet bench_rest
	@.venv/peers/bin/python bench/bench_s3.py $(BENCH)

wheel:
	@scripts/wheel

fuzz:
	@scripts/setup test
	@scripts/run-fuzz $(SECONDS)

install: build
	@scripts/install '$(DESTDIR)' '$(PREFIX)'

uninstall:
	@scripts/install --remove '$(DESTDIR)' '$(PREFIX)'

clean:
	rm -rf build build-asan build-tsan build-fuzz
