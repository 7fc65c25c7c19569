# Each command does its own set-up: a Python (3.11 or later), a C compiler and make are all it needs.
PYTHON ?= python3
BIN = .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: help demo docs test bench bench-table bench-compare instructions fuzz lint levels attack sanitize sanitize-short wheel-test clean
help:
	@echo "make demo       build, run the demo, write fastdl-demo.html"
	@echo "make test       build, run the tests"
	@echo "make docs       build the documentation site, docs/_build/html/index.html"
	@echo "make bench      build, compare with the peers that install here, write BENCHMARKS.md and README's table"
	@echo "make bench-table   write both again from bench/results.json"
	@echo "make bench-compare BASE=rev   the benchmarks on this tree and on a revision"
	@echo "make instructions  count the instructions of kernels under Valgrind, compare with bench/instructions.json"
	@echo "make fuzz       damaged files and hostile data of fits, each for SECONDS (300)"
	@echo "make lint       ruff, format check, mypy, cython-lint"
	@echo "make levels     build once per CPU level, compare the bits"
	@echo "make attack     hostile use at random for SECONDS (300): calls, streams, forks, kills, full disks"
	@echo "make sanitize   kernels under the address and undefined-behaviour sanitizers"
	@echo "make wheel-test build sdist and wheel, test the wheel in an empty environment"
	@echo "make clean      remove .venv and what was built"

# One stamp for the build; extras are added on top without building again. The sources make the stamp stale.
SOURCES = pyproject.toml setup.py $(wildcard fastdl_ext/*.pyx fastdl_ext/*.pxd fastdl_ext/*.h)
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.venv/python:
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade pip
	@touch $@

.venv/built: .venv/python $(SOURCES)
	FASTDL_REQUIRE_EXT=1 $(PIP) -e .
	@touch $@

.venv/test .venv/docs: .venv/%: .venv/built
	$(PIP) 'fastdl-kernels[$*]'
	@touch $@

.venv/report: .venv/built
	$(PIP) 'fastdl-kernels[all]'
	@touch $@

.venv/lint: .venv/built
	$(PIP) 'fastdl-kernels[lint]'
	@touch $@

# The peers are many and large, and named in pyproject.toml alone; one that has no build for this machine is left out,
# and its benchmarks skip. torch comes first, and without what it needs on GPUs where there is a choice.
.venv/bench: .venv/test
	$(PIP) torch==2.13.0 || echo "left out: torch"
	$(BIN)/python bench/peers.py | while read -r peer; do $(PIP) $$peer || echo "left out: $$peer"; done
	@touch $@

# Warnings are errors; nothing is fetched from the network. A change of a docstring is seen without a new build.
docs: .venv/docs
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs docs/_build/html
	@echo "docs/_build/html/index.html"

demo: .venv/report
	$(BIN)/fastdl demo

# Side by side, as two processes take half the time; more than four would take more memory than a small machine has.
test: .venv/test
	$(BIN)/python -m pytest -n auto --maxprocesses 4

# BENCH="--quick" takes ten minutes instead of an hour; BENCH="-k encode" a part, which replaces only its own lines with
# `python -m bench.tables build/bench.json --keep`. Peers get one thread where they are not asked for two.
BENCHED = mkdir -p build && PATH="$(CURDIR)/$(BIN):$$PATH" OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python
bench: .venv/bench
	$(BENCHED) -m pytest bench --benchmark-quiet --benchmark-json=build/bench.json $(BENCH)
	$(BIN)/python -m bench.tables build/bench.json

bench-table: .venv/test
	$(BIN)/python -m bench.tables

bench-compare: .venv/bench
	$(BENCHED) -m bench.revisions $(BASE) $(BENCH)

instructions: .venv/test
	$(BIN)/python -m bench.instructions $(if $(RECORD),--record)

fuzz: .venv/test
	$(BIN)/python -m tests.fuzz files --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.fuzz fits --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

lint: .venv/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint fastdl_ext

# The same bits whatever the CPU: build once per level, compare a hash of every case. Levels this CPU lacks are left out.
LEVELS = default x86-64-v3 x86-64-v4
levels: .venv/test
	@for level in $(LEVELS); do \
	  $(BIN)/python -c "import sys; from fastdl_ext.cpu import level; sys.exit('$$level' not in 'default x86-64-v3 x86-64-v4'.partition(level())[0] + level())" || continue; \
	  FASTDL_REQUIRE_EXT=1 FASTDL_CPU=$$level $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/level-$$level . \
	  && PYTHONPATH=build/level-$$level:. $(BIN)/python -P -m tests.digest > build/$$level.txt || exit 1; \
	  cmp build/default.txt build/$$level.txt || exit 1; echo "$$level: same bits"; done

# Hostile use at random; the seed is printed, and SEED=N repeats a run. A shorter one: make attack SECONDS=60.
SECONDS ?= 300
attack: .venv/test
	$(BIN)/python -m tests.attack --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(KINDS)

# The kernels once more, with sanitizers, and the calls that the tests and the attack make of them. The sanitizers must be
# the first library that is loaded; Python's own allocator would hide what they look for. A short form takes the kernels
# that read what others wrote: make sanitize-short.
SANITIZED = build/sanitized
SANITIZERS = LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" PYTHONMALLOC=malloc \
  ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
  PYTHONPATH=$(SANITIZED):.
sanitize: .venv/test
	FASTDL_SANITIZE=1 FASTDL_CPU=default FASTDL_REQUIRE_EXT=1 $(PIP) --no-deps --upgrade --target $(SANITIZED) .
	$(SANITIZERS) $(BIN)/python -P -m pytest -q -x -p no:cacheprovider -o pythonpath="$(SANITIZED) ." tests/test_equivalence.py
	$(SANITIZERS) $(BIN)/python -P -m tests.attack calls --seconds $(SECONDS) $(if $(SEED),--seed $(SEED))

SHORT = files_lzf,files_numbers,files_sequences,sequences_windows,sequences,features
SHORT_TESTS = tests/test_points_lzf.py tests/test_points_text_rows.py tests/test_sequences_windows.py
sanitize-short: .venv/test
	FASTDL_KERNELS=$(SHORT) FASTDL_SANITIZE=1 FASTDL_CPU=default FASTDL_REQUIRE_EXT=1 \
	  $(PIP) --no-deps --upgrade --target $(SANITIZED) .
	$(SANITIZERS) $(BIN)/python -P -m pytest -q -x -p no:cacheprovider -o pythonpath="$(SANITIZED) ." $(SHORT_TESTS)
	for f in one_hot one_hot_windows vandermonde; do \
	  $(SANITIZERS) $(BIN)/python -P -m tests.attack calls --function $$f --seconds 15 --seed 1 || exit 1; done

# What a stranger installs: the wheel made of the sdist, in an environment that holds nothing else.
wheel-test: .venv/python
	rm -rf build/dist build/empty
	$(PIP) build
	FASTDL_REQUIRE_EXT=1 $(BIN)/python -m build --outdir build/dist .
	$(PYTHON) -m venv build/empty
	build/empty/bin/python -m pip install --quiet --disable-pip-version-check build/dist/*.whl 'pytest>=8' 'pytest-benchmark>=4'
	build/empty/bin/python -P tests/wheel.py .

clean:
	rm -rf .venv build docs/_build docs/auto_gallery docs/api/generated *.egg-info fastdl_ext/*.so
