"""The tables of the benchmarks, from what was measured: `python -m bench.tables` writes BENCHMARKS.md and README's.

`make bench` measures and leaves `bench/results.json`; `--readme` writes the chosen rows into README.md, too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results.json"
BEGIN, END = "<!-- made by python -m bench.tables -->", "<!-- up to here -->"
#: README's rows: the benchmark, and how README says it; the peers are those that were measured.
CHOSEN = (
    ("mu-law encode, DRAM", "mu-law encode, 50 M int16"),
    ("mu-law decode to float32, DRAM", "mu-law decode, 50 M to float32"),
    ("G.711 mu-law encode, DRAM", "G.711 encode, 50 M int16"),
)


def rows_of(benchmarks: Iterable[Any]) -> list[dict[str, Any]]:
    """What pytest-benchmark measured, as plain numbers: one row for each competitor."""
    rows = []
    for b in benchmarks:
        if b.stats.rounds:
            info = dict(b.extra_info)
            rows.append({"group": b.group, "seconds": b.stats.min, "median": b.stats.median, **info})
    return rows


def merge(known: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The rows of a run beside those of other groups; only rows of one machine and one version of fastdl mix."""
    if known.get("machine") != new["machine"]:
        return new
    groups = {row["group"] for row in new["rows"]}
    return {**new, "rows": [row for row in known["rows"] if row["group"] not in groups] + new["rows"]}


def whole_table(results: dict[str, Any]) -> str:
    """BENCHMARKS.md."""
    machine, limits = results["machine"], results["limits"]
    lines = [
        "# Benchmarks",
        "",
        "Measured by `make bench`: in one process, on the same arrays, after the results were compared; the least of",
        "many runs, one thread unless a row says otherwise. A fraction is of the machine's own bandwidth, measured in",
        "the same run, for the bytes that the work must move.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "- bandwidth of one thread: " + ", ".join(f"{name} {value / 1e9:.1f} GB/s" for name, value in limits.items()),
        "",
    ]
    subject = None
    for group, rows in _groups(results["rows"]).items():
        if rows[0].get("subject") != subject:
            subject = rows[0].get("subject")
            lines += ["", f"## {subject}", "", *_HEAD]
        ours = _ours(rows)
        for row in rows:
            rate, fraction = _rate(row, limits)
            ratio = "" if ours is None or row["label"].startswith("fastdl") else format_ratio(row["seconds"] / ours)
            cells = (group, row["label"], format_time(row["seconds"]), _items(row), rate, fraction, ratio)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_HEAD = (
    "| work | who | time | items/s | GB/s | of the limit | times slower than fastdl |",
    "|---|---|---:|---:|---:|---:|---:|",
)


def short_table(results: dict[str, Any], chosen: Sequence[tuple[str, str]] = CHOSEN) -> str:
    """README's table: the chosen benchmarks, a line each."""
    groups = _groups(results["rows"])
    lines = ["| work | time | of the memory limit | times faster than |", "|---|---:|---:|---|"]
    for group, text in chosen:
        rows = groups.get(group, [])
        ours = _ours(rows)
        if ours is None:
            continue
        own = next(row for row in rows if row["label"] == "fastdl")
        peers = [
            f"{row['label']} {format_ratio(row['seconds'] / ours)}"
            for row in rows
            if not row["label"].startswith(("fastdl", "reference"))
        ]
        lines.append(f"| {text} | {format_time(ours)} | {_rate(own, results['limits'])[1]} | {', '.join(peers)} |")
    return "\n".join(lines)


def with_table(text: str, table: str) -> str:
    """A page whose table, between the two marks, is another."""
    start, rest = text.split(BEGIN)
    return f"{start}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}"


def _groups(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row)
    return found


def _ours(rows: Iterable[dict[str, Any]]) -> float | None:
    return next((row["seconds"] for row in rows if row["label"] == "fastdl"), None)


def _rate(row: dict[str, Any], limits: dict[str, float]) -> tuple[str, str]:
    """GB/s, and the fraction of the limit; empty where no bytes are named."""
    if not row["moved"]:
        return "", ""
    rate = row["items"] * row["moved"] / row["seconds"]
    return f"{rate / 1e9:.1f}", f"{rate / limits[row['limit']]:.2f} of {row['limit']}"


def _items(row: dict[str, Any]) -> str:
    return f"{row['items'] / row['seconds'] / 1e6:.3g} M"


def format_time(seconds: float) -> str:
    """With three digits and its unit."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def format_ratio(times: float) -> str:
    """With two digits, or all before the point."""
    return f"{times:.0f}" if times >= 10 else f"{times:.2g}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readme", action="store_true", help="README.md's table too")
    options = parser.parse_args(arguments)
    results = json.loads(RESULTS.read_text())
    (ROOT / "BENCHMARKS.md").write_text(whole_table(results))
    if options.readme:
        page = ROOT / "README.md"
        page.write_text(with_table(page.read_text(), short_table(results)))


if __name__ == "__main__":
    main()
