"""The tables of benchmarks agree with the stored results, and the counts of instructions are compared as documented."""

import json
from dataclasses import replace

import pytest

from bench import goals, instructions, tables
from bench.goal_rows import GOALS
from bench.readme_rows import ROWS

LIMITS = {"copy": 10e9, "read": 20e9, "write": 5e9, "float32 products": 40e9, "float64 products": 20e9}
MACHINE = {"processor": "A processor, 2 cores", "system": "Linux", "versions": {"numpy": "2.0"}, "limits": LIMITS}


def taken(who, seconds, work="encode, DRAM", subject="audio", **more):
    info = {"subject": subject, "who": who, "items": 1_000_000, "moved": 3, "limit": "copy", "note": "", **more}
    return {"extra_info": info, "group": work, "stats": {"min": seconds, "median": 9.0}}


def run(*benchmarks, machine=MACHINE):
    return tables.of_run({"machine_info": machine, "benchmarks": list(benchmarks)})


def test_a_line_has_times_fraction_and_ratios():
    results = run(
        taken("fastdl", 6e-4), taken("fastdl 2 threads", 3e-4), taken("librosa", 0.06, note="on floats"),
        taken("peer 2 threads", 6e-4), taken("np.take", 3e-4),
    )  # fmt: skip
    line = next(line for line in tables.page(results).splitlines() if line.startswith("| encode"))
    # 3 MB in 0.6 ms is 5 GB/s of 10; a peer with two threads is held against two.
    assert line == (
        "| encode, DRAM | 600 us | 300 us | 0.50 of copy | librosa 100 (on floats), peer 2 threads 2, np.take 0.50 |"
    )


def test_other_ways_of_fastdl_have_lines_of_their_own():
    results = run(taken("fastdl", 1e-3), taken("fastdl fresh", 2e-3), taken("peer", 4e-3))
    names = [line.split(" | ")[0] for line in tables.page(results).splitlines() if line.startswith("| encode")]
    assert names == ["| encode, DRAM", "| encode, DRAM (fresh)"]
    assert "peer 2 |" in tables.page(results)


def test_a_work_without_fastdl_and_one_without_bytes():
    results = run(taken("peer", 2.0), taken("fastdl", 1e-7, work="a call", moved=0))
    page = tables.page(results)
    assert "| encode, DRAM |  |  |  | peer 2 s |" in page
    assert "| a call | 100 ns |  |  |  |" in page


def test_a_busy_machine_is_named():
    quiet, busy = (run(taken("fastdl", 1), machine={**MACHINE, "load": load}) for load in (0.4, 7.0))
    for page in (tables.page, lambda results: tables.short_table(results, [])):
        assert "7 other programs were busy" in page(busy)
        assert "busy" not in page(quiet)
    assert tables.merge(busy, quiet)["machine"]["load"] == 7


def test_products_are_held_against_products():
    results = run(taken("fastdl", 1e-3, moved=10, limit="float64 products"))
    assert "0.50 of float64 products" in tables.page(results)


def test_subjects_stand_in_their_order():
    results = run(taken("fastdl", 1, subject="points", work="b"), taken("fastdl", 1, work="a"))
    page = tables.page(results)
    assert page.index("## Audio") < page.index("## Points")


def test_lines_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="declares"):
        run(taken("fastdl", 1), taken("peer", 1, moved=4))
    with pytest.raises(ValueError, match="twice"):
        run(taken("fastdl", 1), taken("fastdl", 1))


def test_a_part_of_a_run_keeps_the_other_lines():
    kept = run(taken("fastdl", 1), taken("fastdl", 2, work="other"))
    again = tables.merge(kept, run(taken("fastdl", 3), taken("fastdl", 4, work="new")))
    assert {work["work"]: work["seconds"]["fastdl"] for work in again["works"]} == {
        "encode, DRAM": 3, "other": 2, "new": 4,
    }  # fmt: skip
    with pytest.raises(ValueError, match="the same versions"):
        tables.merge(kept, run(taken("fastdl", 3), machine={**MACHINE, "versions": {"numpy": "2.1"}}))


def test_results_survive_their_file():
    results = run(taken("fastdl", 1.23456789e-3, note="n"), taken("peer", 2))
    assert json.loads(tables.dump(results)) == results
    assert results["works"][0]["seconds"]["fastdl"] == 1.235e-3


def test_the_short_table_shows_the_chosen_lines_and_peers():
    results = run(taken("fastdl", 1e-3), taken("librosa", 2e-1), taken("np.take", 1e-2))
    rows = [
        ("mu-law", "encode, DRAM", "fastdl", {"np.take": "`np.take`", "absent": "x"}),
        ("gone", "gone", "fastdl", {}),
    ]
    table = tables.short_table(results, rows)
    assert "| mu-law | 1 ms | 0.30 of copy | `np.take` 10 |" in table
    assert "gone" not in table
    assert "librosa" not in table
    page = f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n"
    assert tables.between(page, table) == f"before\n{table}\nafter\n"
    with pytest.raises(ValueError, match="once"):
        tables.between("no markers", table)


@pytest.mark.skipif(not tables.README.exists(), reason="the pages are in a checkout")
def test_the_pages_are_made_of_the_kept_results():
    results = json.loads(tables.RESULTS.read_text())
    assert tables.PAGE.read_text() == tables.page(results)
    text = tables.README.read_text()
    assert text == tables.between(text, tables.short_table(results, ROWS))


def test_rows_of_the_readme_are_named_once():
    titles = [title for title, _, _, _ in ROWS]
    assert len(set(titles)) == len(titles)


GOAL = goals.Goal("mu-law", "encode, DRAM", "peer", 2)


@pytest.mark.parametrize(
    ("goal", "value", "line"),
    [
        (GOAL, 4, "| mu-law | peer | 2 | 4 |  |"),
        (replace(GOAL, wanted=4), 4, "| mu-law | peer | 4 | 4 |  |"),
        (replace(GOAL, wanted=4.001), 4, "| mu-law | peer | 4 | 4, below |  |"),
        (replace(GOAL, who="fastdl 2 threads", against="fastdl"), 1.25, "| mu-law | one thread | 2 | 1.2, below |  |"),
        (replace(GOAL, against="copy", wanted=0.2), 0.3, "| mu-law | copy | 0.20 | 0.30 |  |"),
        (replace(GOAL, against="", wanted=1e-3), 1e-3, "| mu-law | the clock | 1 ms | 1 ms |  |"),
        (replace(GOAL, against="", wanted=9e-4), 1e-3, "| mu-law | the clock | 900 us | 1 ms, below |  |"),
        (
            replace(GOAL, against="", who="peer", less="fastdl", wanted=9e-3),
            3e-3,
            "| mu-law | the clock | 9 ms | 3 ms |  |",
        ),
    ],
)
def test_a_goal_is_held_against_a_peer_a_limit_or_the_clock(goal, value, line):
    results = run(taken("fastdl", 1e-3), taken("fastdl 2 threads", 8e-4), taken("peer", 4e-3))
    goal = replace(goal, why="No way was found")
    assert goals.reached(goal, results) == pytest.approx(value)
    shown = goals.section(results, [goal], {**results, "works": []})
    assert line in shown.splitlines()
    assert ("No way was found." in shown) == ("below" in line)


def test_goals_of_one_reason_share_it():
    results = run(taken("fastdl", 1e-3), taken("peer", 1e-3))
    some = [replace(GOAL, title=title, why=why) for title, why in (("a", "Cold"), ("b", "Wet"), ("c", "Cold"))]
    assert goals.section(results, some, results).endswith("- **a; c**: Cold.\n- **b**: Wet.\n")


def test_a_goal_without_its_work_or_its_peer_is_left_out():
    results = run(taken("fastdl", 1e-3))
    assert goals.reached(GOAL, results) is goals.reached(replace(GOAL, work="none", against=""), results) is None
    assert goals.section(results, [GOAL], results).endswith("---:|\n")


def test_a_goal_shows_the_other_run_too():
    now, before = run(taken("fastdl", 1e-3), taken("peer", 4e-3)), run(taken("fastdl", 2e-3), taken("peer", 4e-3))
    assert "| mu-law | peer | 2 | 4 | 2 |" in goals.section(now, [GOAL], before)


def test_a_goal_that_is_not_reached_has_its_reason():
    results = json.loads(tables.RESULTS.read_text())
    for goal in GOALS:
        value = goals.reached(goal, results)
        assert value is not None, f"{goal.title} was not measured"
        assert goals.is_met(goal, value) or len(goal.why) > 40, f"{goal.title} ends at {value:.3g} without a reason"


PROFILE = """ob=/usr/lib/libc.so
fn=malloc
1 500
ob=/somewhere/fastdl_ext/audio.cpython-311-x86_64-linux-gnu.so
fl=???
fn=__pyx_f_10fastdl_ext_5audio_mu_law_256.arch_x86_64_v3
1 100
+2 20
cob=/usr/lib/libc.so
cfn=malloc
calls=1 0
+3 4000
fe=other.c
* 3
fn=__Pyx_InitGlobals
1 70

fn=__pyx_f_10fastdl_ext_5audio_decode_8_32
-1 7
totals: 4700
"""


def test_only_what_kernels_execute_themselves_is_counted():
    found = instructions.executed(PROFILE.splitlines(keepends=True))
    assert found == {
        ("audio", "__pyx_f_10fastdl_ext_5audio_mu_law_256.arch_x86_64_v3"): 123,
        ("audio", "__pyx_f_10fastdl_ext_5audio_decode_8_32"): 7,
    }


def test_five_percent_more_instructions_are_an_error_that_names_both():
    kept = {"counts": {"encode": 1000, "decode": 1000}}
    shown = []
    worse = instructions.compare(kept, {"counts": {"encode": 1050, "decode": 1051, "new": 5}}, shown.append)
    assert worse == ["decode: 1,051, was 1,000 (+5.1%)"]
    assert len(shown) == 3


def test_every_recorded_kernel_is_still_counted():
    kept = json.loads(instructions.KEPT.read_text())
    assert set(kept["counts"]) == set(instructions.KERNELS)
    assert len(kept["counts"]) >= 10
    assert all(n > 10_000 for n in kept["counts"].values())
