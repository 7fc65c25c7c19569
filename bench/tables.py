"""From pytest-benchmark's JSON to bench/results.json, BENCHMARKS.md and the table of README.md.

python -m bench.tables build/bench.json         a whole run: replaces what was kept
python -m bench.tables build/bench.json --keep  a part of a run on the same machine: the other lines stay
python -m bench.tables                          writes both pages again from bench/results.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench import goals, shown
from bench.goal_rows import GOALS
from bench.readme_rows import ROWS

ROOT = Path(__file__).parents[1]
RESULTS, PAGE, README = ROOT / "bench" / "results.json", ROOT / "BENCHMARKS.md", ROOT / "README.md"
EARLIER = ROOT / "bench" / "results_avx512.json"  # another processor's, of older code
QUIET = 1.0  # programs that were busy before a run: with more, its times say little
BEGIN, END = "<!-- made by `python -m bench.tables` from bench/results.json -->", "<!-- end of what is made -->"
SUBJECTS = (
    "audio", "points", "sequences", "graphs", "targets", "features", "losses", "linear", "network", "selection",
    "files", "torch",
)  # fmt: skip
HEAD = """# Benchmarks

Written by `make bench`. Each line is one work on one set of arrays: fastdl, its reference and the peers in one process,
each at its best setting, BLAS on one thread, after their results were compared; the shortest of several times each.

"Of the limit" is the bytes the work must move (or the multiply-adds it must do) over the time, as a fraction of what
this machine was measured to do at most: copy, read and write are memory, products BLAS's matrix product, all on one
thread. Beyond 1 the arrays were in a cache. "Times faster than" compares one thread with one, two with two, on the
same outputs; numbers below 1 mean that the peer is faster.
"""


def gather(taken, where: dict) -> dict:
    """One record for each work: what it is held against and the seconds of all who do it.

    Parameters
    ----------
    taken : iterable of (extra_info, group, seconds)
        What each benchmark says of itself, the work it belongs to, its shortest time.
    where : dict
        Processor, system, versions and limits.
    """
    works: dict[str, dict] = {}
    for info, group, seconds in taken:
        record = {key: info[key] for key in ("subject", "items", "moved", "limit")}
        work = works.setdefault(group, {"work": group, **record, "seconds": {}})
        if any(work[key] != record[key] for key in record):
            raise ValueError(f"{info['who']} declares {record} for {group!r}, another declares {work}")
        if info["who"] in work["seconds"]:
            raise ValueError(f"{info['who']} stands twice in {group!r}")
        work["seconds"][info["who"]] = float(f"{seconds:.4g}")
        if info.get("note"):
            work.setdefault("notes", {})[info["who"]] = info["note"]
    limits = {name: float(f"{limit:.4g}") for name, limit in where["limits"].items()}
    order = {subject: k for k, subject in enumerate(SUBJECTS)}
    return {
        "machine": {**where, "limits": limits},
        "works": sorted(works.values(), key=lambda work: order[work["subject"]]),
    }


def of_run(run: dict) -> dict:
    """`gather` from the JSON that pytest-benchmark writes."""
    taken = [(b["extra_info"], b["group"], b["stats"]["min"]) for b in run["benchmarks"]]
    return gather(taken, run["machine_info"])


def merge(kept: dict, new: dict) -> dict:
    """The lines of `new` in place of those of the same names in `kept`; both must be of one machine."""
    for key in ("processor", "system", "versions"):
        if kept["machine"][key] != new["machine"][key]:
            raise ValueError(f"--keep needs the same {key}: {kept['machine'][key]} was kept, {new['machine'][key]} ran")
    again = {work["work"]: work for work in new["works"]}
    new["machine"]["load"] = max(kept["machine"].get("load", 0), new["machine"].get("load", 0))
    works = [again.pop(work["work"], work) for work in kept["works"]] + list(again.values())
    works.sort(key=lambda work: SUBJECTS.index(work["subject"]))
    return {"machine": new["machine"], "works": works}


def dump(results: dict) -> str:
    """JSON with a line for each work, so that a change shows as the lines it changes."""
    lines = ",\n".join("  " + json.dumps(work) for work in results["works"])
    machine = json.dumps(results["machine"], indent=2).replace("\n", "\n ")
    return f'{{\n "machine": {machine},\n "works": [\n{lines}\n ]\n}}\n'


def page(results: dict) -> str:
    """BENCHMARKS.md."""
    return f"{HEAD}\n{body(results)}\n{goals.section(results, GOALS, json.loads(EARLIER.read_text()))}"


def body(results: dict) -> str:
    """The machine, and a table for each subject."""
    where = results["machine"]
    parts = [
        f"- Processor: {where['processor']}",
        f"- System: {where['system']}",
        f"- At most, on one thread: {_limits(where['limits'])}",
        "- Versions: " + ", ".join(f"{name} {version}" for name, version in where["versions"].items()),
        *_warning(where),
    ]
    for subject in SUBJECTS:
        works = [work for work in results["works"] if work["subject"] == subject]
        if works:
            parts += ["", f"## {subject.capitalize()}", ""]
            parts += [
                "| work | one thread | two threads | of the limit | times faster than |",
                "|---|---:|---:|---:|---|",
            ]
            for work in works:
                parts += lines(work, where["limits"])
    return "\n".join(parts) + "\n"


def lines(work: dict, limits: dict) -> list[str]:
    """The line of a work, and one for each other way fastdl has of doing it."""
    seconds, found = work["seconds"], []
    for who in seconds:
        if not who.startswith("fastdl") or (who == "fastdl 2 threads" and "fastdl" in seconds):
            continue
        name = work["work"] + (f" ({who.removeprefix('fastdl').strip()})" if who != "fastdl" else "")
        two = shown.duration(seconds["fastdl 2 threads"]) if who == "fastdl" and "fastdl 2 threads" in seconds else ""
        line = [name, shown.duration(seconds[who]), two, fraction(work, who, limits), faster(work, who)]
        found.append("| " + " | ".join(line) + " |")
    if not found:  # what no part of fastdl does in this run
        named = ", ".join(f"{who} {shown.duration(s)}" for who, s in seconds.items())
        found.append(f"| {work['work']} |  |  |  | {named} |")
    return found


def fraction(work: dict, who: str, limits: dict) -> str:
    """Of the limit that the work is held against."""
    if not work["moved"] or who not in work["seconds"]:
        return ""
    return f"{work['items'] * work['moved'] / work['seconds'][who] / limits[work['limit']]:.2f} of {work['limit']}"


def faster(work: dict, who: str = "fastdl", names: dict[str, str] | None = None) -> str:
    """How many times faster than each peer; `names` chooses peers and how they are called."""
    seconds, found = work["seconds"], []
    for peer in names or seconds:
        if peer not in seconds or (peer.startswith("fastdl") and not names):
            continue
        ours = seconds.get("fastdl 2 threads", seconds[who]) if "2 threads" in peer else seconds[who]
        note = work.get("notes", {}).get(peer, "") if names is None else ""
        name = peer if names is None else names[peer]
        found.append(f"{name} {shown.ratio(seconds[peer] / ours)}" + (f" ({note})" if note else ""))
    return ", ".join(found)


def short_table(results: dict, rows) -> str:
    """The table of README.md: the rows of bench/readme_rows.py that were measured."""
    where, works = results["machine"], {work["work"]: work for work in results["works"]}
    parts = [
        BEGIN,
        f"Here on {where['processor']}; at most {_limits(where['limits'])}, on one thread:",
        *_warning(where),
        "",
        "| work | time | of the limit | times faster than |",
        "|---|---:|---:|---|",
    ]
    for title, name, who, peers in rows:
        work = works.get(name)
        if work and who in work["seconds"]:
            part = fraction(work, who, where["limits"])
            part = "" if part.startswith("0.0") else part  # far from the limit, it says nothing
            cells = [title, shown.duration(work["seconds"][who]), part, faster(work, who, peers)]
            parts.append("| " + " | ".join(cells) + " |")
    return "\n".join([*parts, END])


def between(text: str, made: str) -> str:
    """`text` with what stands from the one marker to the other replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the page must hold {BEGIN!r} once, and after it {END!r}")
    before, _, rest = text.partition(BEGIN)
    return before + made + rest.partition(END)[2]


def _limits(limits: dict[str, float]) -> str:
    units = {"copy": "copying {} GB/s", "read": "reading {}", "write": "writing {}"}
    units |= {f"{t} products": f"{t} products {{}} G multiply-adds/s" for t in ("float32", "float64")}
    return ", ".join(units[name].format(f"{limit / 1e9:.0f}") for name, limit in limits.items())


def _warning(where: dict) -> list[str]:
    load = where.get("load", 0)
    busy = f"Measured while {load:g} other programs were busy: times, fractions and ratios are rough."
    return ["", busy] if load > QUIET else []


def main(arguments: list[str]) -> None:
    """Write the results and both pages."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.tables", description="Write BENCHMARKS.md and README's table."
    )
    parser.add_argument("run", nargs="?", type=Path, help="what pytest --benchmark-json wrote")
    parser.add_argument("--keep", action="store_true", help="keep the lines that this run does not have")
    given = parser.parse_args(arguments)
    if given.run:
        results = of_run(json.loads(given.run.read_text()))
        if given.keep:
            results = merge(json.loads(RESULTS.read_text()), results)
        RESULTS.write_text(dump(results))
    results = json.loads(RESULTS.read_text())
    PAGE.write_text(page(results))
    README.write_text(between(README.read_text(), short_table(results, ROWS)))
    named = {name for _, name, _, _ in ROWS} - {work["work"] for work in results["works"]}
    print(f"{len(results['works'])} works in {PAGE.name}; README.md lacks {sorted(named) or 'none'}")


if __name__ == "__main__":
    main(sys.argv[1:])
