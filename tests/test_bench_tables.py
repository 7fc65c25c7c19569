"""The tables of BENCHMARKS.md and README.md are made of what was measured, not typed."""

import json

import pytest

from bench import instructions, tables

LIMITS = {"copy": 20e9, "read": 30e9, "write": 25e9}


def row(group, label, seconds, moved=10.0, limit="copy", subject="audio"):
    return {
        "group": group, "subject": subject, "label": label, "seconds": seconds, "median": seconds,
        "items": 1_000_000, "moved": moved, "limit": limit,
    }  # fmt: skip


ROWS = [
    row("encode", "fastdl", 1e-3),
    row("encode", "fastdl 2 threads", 0.6e-3),
    row("encode", "reference", 1.0),
    row("encode", "librosa", 0.2254),
    row("fit", "fastdl", 2.0, moved=0, subject="linear"),
    row("fit", "torch", 1.0, moved=0, subject="linear"),
]
RESULTS = {"machine": {"processor": "one"}, "limits": LIMITS, "rows": ROWS}


def test_every_row_stands_in_the_whole_table():
    text = tables.whole_table(RESULTS)
    assert "| encode | fastdl | 1 ms | 1e+03 M | 10.0 | 0.50 of copy |  |" in text
    assert "| encode | fastdl 2 threads | 600 us |" in text
    assert "| encode | librosa | 225 ms | 4.44 M | 0.0 | 0.00 of copy | 225 |" in text
    assert "| fit | torch | 1 s | 1 M |  |  | 0.5 |" in text
    assert text.index("## audio") < text.index("## linear")


def test_the_short_table_has_the_chosen_rows_and_the_peers():
    text = tables.short_table(RESULTS, [("fit", "a fit"), ("encode", "to codes"), ("gone", "not measured")])
    assert text.splitlines()[2:] == [
        "| a fit | 2 s |  | torch 0.5 |",
        "| to codes | 1 ms | 0.50 of copy | librosa 225 |",
    ]


def test_a_part_of_the_benchmarks_replaces_its_own_rows():
    new = {**RESULTS, "rows": [row("encode", "fastdl", 9.0)]}
    rows = tables.merge(RESULTS, new)["rows"]
    assert [(r["group"], r["seconds"]) for r in rows] == [("fit", 2.0), ("fit", 1.0), ("encode", 9.0)]
    other = {**new, "machine": {"processor": "another"}}
    assert tables.merge(RESULTS, other) == other


@pytest.mark.parametrize(("seconds", "text"), [(2, "2 s"), (0.0105, "10.5 ms"), (3.2e-6, "3.2 us"), (5e-8, "50 ns")])
def test_times(seconds, text):
    assert tables.format_time(seconds) == text


@pytest.mark.skipif(not tables.RESULTS.exists(), reason="nothing was measured yet")
def test_the_tables_are_those_of_the_results():
    results = json.loads(tables.RESULTS.read_text())
    assert (tables.ROOT / "BENCHMARKS.md").read_text() == tables.whole_table(results)
    page = (tables.ROOT / "README.md").read_text()
    assert tables.with_table(page, tables.short_table(results)) == page
    groups = {row["group"] for row in results["rows"]}
    assert {group for group, _ in tables.CHOSEN} <= groups


def test_more_instructions_are_told_with_both_numbers():
    known = {"audio.encode": 1_000_000, "points.fill": 1_000_000, "graphs.rows": 5}
    assert instructions.compare({"audio.encode": 1_049_000, "points.fill": 1_060_000}, known) == [
        "points.fill: 1,060,000 instructions, 1,000,000 recorded (+6.0%)",
        "graphs.rows: is not called any more",
    ]
