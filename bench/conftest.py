"""Runs reference, fastdl and peers in one process, results compared before times are taken, and prints their table."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from bench import machine, tables

DECLARED: dict[str, dict] = {}  # what the competitors of a work agree on, so that a table of them can be made


def pytest_addoption(parser):
    parser.addoption("--seconds", type=float, help="spent on each competitor (0.7, or 0.14 with --quick)")
    parser.addoption("--quick", action="store_true", help="a fifth of the time each, and fewer of the sizes")


@pytest.fixture(scope="session", autouse=True)
def before():
    """What the machine can do is measured before it is warm, and kept."""
    machine.machine()
    machine.limits()


@pytest.fixture
def compare(benchmark, request):
    """compare(work, who, run, items=, moved=, limit=, check=): time run(), once check(run()) has compared.

    `work` names the line of competitors, `who` this one ("fastdl", "reference", a peer); `moved` is the bytes an item
    must move, `limit` the bandwidth it is held against ("copy", "read" or "write"), or the multiply-adds an item must
    do and "float32 products" or "float64 products". `note` says of a peer what its time does not.
    """

    def go(work, who, run, *, items, moved=0.0, limit="copy", check=None, note=""):
        subject = request.node.path.stem.removeprefix("bench_").partition("_")[0]
        record = {"subject": subject, "items": items, "moved": moved, "limit": limit}
        first = DECLARED.setdefault(work, {"record": record, "who": []})
        assert first["record"] == record, f"{who} declares {record} for {work!r}, {first['who']} {first['record']}"
        assert who not in first["who"], f"{who} stands twice in {work!r}"
        first["who"].append(who)
        if check is not None:
            check(run())
        benchmark.group = work
        benchmark.name = f"{work} {who}"
        benchmark.extra_info.update(record, who=who, note=note)
        seconds = request.config.getoption("--seconds") or (0.14 if request.config.getoption("--quick") else 0.7)
        benchmark.pedantic(run, **effort(run, seconds))

    with machine.one_blas_thread():
        yield go


def effort(run, seconds) -> dict:
    """Enough rounds to see the undisturbed time, within about so many seconds."""
    start = perf_counter()
    run()
    once = perf_counter() - start
    iterations = max(1, int(2e-5 / max(once, 1e-9)))
    most = max(2, int(seconds / 0.7 * 200))
    fewest = 3 if once < seconds else 2
    return {
        "rounds": int(np.clip(seconds / (once * iterations + 1e-9), fewest, most)),
        "iterations": iterations,
        "warmup_rounds": 0,  # the check and the call that was timed were enough
    }


def pytest_collection_modifyitems(config, items):
    """With --quick leave out what is marked `more`."""
    if config.getoption("--quick"):
        left_out = [item for item in items if item.get_closest_marker("more")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("more")]


def pytest_configure(config):
    config.addinivalue_line("markers", "more: a size, a kind or a peer that --quick leaves out")


def pytest_benchmark_update_machine_info(machine_info):
    """In place of pytest-benchmark's, which names the machine."""
    machine_info.clear()
    machine_info.update(machine.machine(), limits=machine.limits())


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    if session is None or not any(b.stats.rounds for b in session.benchmarks):
        return
    taken = [(b.extra_info, b.group, b.stats.min) for b in session.benchmarks if b.stats.rounds]
    results = tables.gather(taken, {**machine.machine(), "limits": machine.limits()})
    terminalreporter.write_line("")
    terminalreporter.write(tables.body(results))
