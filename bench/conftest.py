"""Runs reference, fastdl and peers in one process, and keeps what was measured for `bench.tables`."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import fastdl
from bench import peers, tables
from fastdl import _bandwidth, _threads

LIMITS = {"copy": _bandwidth.copy_bandwidth, "read": _bandwidth.read_bandwidth, "write": _bandwidth.write_bandwidth}


def pytest_addoption(parser):
    parser.addoption("--seconds", type=float, default=0.7, help="spent on each competitor (default: 0.7)")
    parser.addoption("--no-keep", action="store_true", help="leave BENCHMARKS.md as it is")


@pytest.fixture
def compare(benchmark, request):
    """compare(group, label, run, items=, moved=, limit=, check=): time run(), once check(run()) has compared.

    `group` names the line of competitors, `label` this one ("fastdl", "reference", a peer); `moved` is the bytes an
    item must move, `limit` the bandwidth it is held against ("copy", "read" or "write").
    """

    def go(group, label, run, *, items, moved=0.0, limit="copy", check=None):
        if check is not None:
            check(run())
        benchmark.group = group
        benchmark.name = f"{group} {label}"
        subject = request.path.stem.removeprefix("bench_").replace("_", " ")
        benchmark.extra_info.update(subject=subject, label=label, items=items, moved=moved, limit=limit)
        benchmark.pedantic(run, **effort(run, request.config.getoption("--seconds")))

    return go


def effort(run, seconds) -> dict:
    """Enough rounds to see the undisturbed time, within about so many seconds."""
    from time import perf_counter

    start = perf_counter()
    run()
    once = perf_counter() - start
    iterations = max(1, int(2e-5 / max(once, 1e-9)))
    return {
        "rounds": int(np.clip(seconds / (once * iterations + 1e-9), 3, 200)),
        "iterations": iterations,
        "warmup_rounds": 1,
    }


def pytest_terminal_summary(terminalreporter, config):
    """Keep what was measured, and make BENCHMARKS.md of it; a run of some benchmarks replaces their rows alone."""
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    limits = {name: limit() for name, limit in LIMITS.items()}
    results = {"machine": describe_machine(), "limits": limits, "rows": tables.rows_of(session.benchmarks)}
    terminalreporter.write_line("")
    terminalreporter.write(tables.whole_table(results))
    if config.getoption("--no-keep"):
        return
    if tables.RESULTS.exists():
        results = tables.merge(json.loads(tables.RESULTS.read_text()), results)
    tables.RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    tables.main([])
    terminalreporter.write_line("saved as BENCHMARKS.md; python -m bench.tables --readme brings it into README.md")


def describe_machine() -> dict[str, str]:
    """What the figures depend on."""
    names = [line.split("[")[0].split("=")[0].split(">")[0] for line in peers.names()]
    found = {}
    for name in ("numpy", "numba", "scipy", "scikit-learn", "torch", *names):
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {
        "processor": f"{_processor()}, {_threads.count(None)} cores",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "fastdl": f"{fastdl.__version__}, {platform.python_compiler()}",
        "peers": ", ".join(f"{name} {version}" for name, version in found.items()),
    }


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
