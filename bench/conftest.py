"""Runs reference, fastdl and peers in one process and prints one table: throughput, part of the limit, times faster."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from fastdl import _bandwidth

LIMITS = {"copy": _bandwidth.copy_bandwidth, "read": _bandwidth.read_bandwidth, "write": _bandwidth.write_bandwidth}


@pytest.fixture
def compare(benchmark):
    """compare(group, label, run, items=, moved=, limit=, check=): time run(), once check(run()) has compared.

    `group` names the line of competitors, `label` this one ("fastdl", "reference", a peer); `moved` is the bytes an
    item must move, `limit` the bandwidth it is held against ("copy", "read" or "write").
    """

    def go(group, label, run, *, items, moved=0.0, limit="copy", check=None):
        if check is not None:
            check(run())
        benchmark.group = group
        benchmark.name = f"{group} {label}"
        benchmark.extra_info.update(label=label, items=items, moved=moved, limit=limit)
        benchmark.pedantic(run, **effort(run))

    return go


def effort(run) -> dict:
    """Enough rounds to see the undisturbed time, within about a second."""
    from time import perf_counter

    start = perf_counter()
    run()
    once = perf_counter() - start
    iterations = max(1, int(2e-5 / max(once, 1e-9)))
    return {
        "rounds": int(np.clip(0.7 / (once * iterations + 1e-9), 3, 200)),
        "iterations": iterations,
        "warmup_rounds": 1,
    }


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    if session is None or not session.benchmarks:
        return
    text = table(session.benchmarks)
    terminalreporter.write_line("")
    terminalreporter.write(text)
    folder = Path(config.rootpath) / "build"
    folder.mkdir(exist_ok=True)
    (folder / "bench.md").write_text(text)
    terminalreporter.write_line(f"saved as {folder / 'bench.md'}")


def table(benchmarks) -> str:
    groups = defaultdict(list)
    for b in benchmarks:
        if b.stats.rounds:
            groups[b.group].append(b)
    lines = [
        "Machine: " + ", ".join(f"{name} {limit() / 1e9:.1f} GB/s" for name, limit in LIMITS.items()) + " (one thread)",
        "",
        "| work | who | time | items/s | GB/s | of the limit | fastdl is |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for group, rows in groups.items():
        ours = next((b.stats.min for b in rows if b.extra_info["label"] == "fastdl"), None)
        for b in rows:
            info, seconds = b.extra_info, b.stats.min
            rate = info["items"] * info["moved"] / seconds
            fraction = f"{rate / LIMITS[info['limit']]():.2f} {info['limit']}" if info["moved"] else ""
            times = f"{seconds / ours:.1f}x faster" if ours and not info["label"].startswith("fastdl") else ""
            lines.append(
                f"| {group} | {info['label']} | {_time(seconds)} | {info['items'] / seconds / 1e6:.1f} M "
                f"| {rate / 1e9:.1f} | {fraction} | {times} |"
            )
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
