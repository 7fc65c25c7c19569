"""What was wanted of works of BENCHMARKS.md; of one that ends below it, what was tried and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

from bench import shown

HEAD = """## What was wanted

These goals were set on a Zen 5 with AVX-512, before the work on them began. "Against" names what a work is held to: a
peer on as many threads (wanted: how many times faster), a limit of the machine (wanted: a fraction of it), or the clock
(wanted: the longest time, on that processor). "Earlier" is a run of older code on a processor of that kind, kept in
bench/results_avx512.json.
"""
NOT_REACHED = "What ends below, and why:"


@dataclass(frozen=True)
class Goal:
    """How a work is to stand against a peer, against a limit of the machine, or against the clock.

    Parameters
    ----------
    title, work : str
        How the line is called, and the work of the benchmarks that it reads.
    against : str
        A peer of the work ("fastdl" on one thread among them), a limit of the machine, or "" for seconds.
    wanted : float
        How many times faster, which fraction at least, or how many seconds at most.
    who : str
        Which of fastdl's times.
    less : str
        Whose seconds are taken off, where a time is held against the clock.
    why : str
        Where it ends below: what was tried, with the figures, and what stands in the way.
    """

    title: str
    work: str
    against: str
    wanted: float
    who: str = "fastdl"
    less: str = ""
    why: str = ""


def reached(goal: Goal, results: dict) -> float | None:
    """The ratio, the fraction or the seconds; None where the work or the peer was not measured."""
    work = next((work for work in results["works"] if work["work"] == goal.work), None)
    limits = results["machine"]["limits"]
    if work is None or goal.who not in work["seconds"]:
        return None
    seconds = work["seconds"][goal.who]
    if not goal.against:
        return seconds - (work["seconds"][goal.less] if goal.less else 0)
    if goal.against in limits:
        return work["items"] * work["moved"] / seconds / limits[goal.against]
    return work["seconds"][goal.against] / seconds if goal.against in work["seconds"] else None


def is_met(goal: Goal, value: float) -> bool:
    return value >= goal.wanted if goal.against else value <= goal.wanted


def section(results: dict, goals: list[Goal], earlier: dict) -> str:
    """The goals whose works were measured, beside another run; and the reasons of those that were not reached."""
    lines: list[str] = []
    reasons: dict[str, list[str]] = {}
    for goal in goals:
        value = reached(goal, results)
        if value is None:
            continue
        against = {"": "the clock", "fastdl": "one thread"}.get(goal.against, goal.against)
        show = shown.ratio if goal.against else shown.duration
        met = is_met(goal, value)
        end = show(value) if met else f"{show(value)}, below"
        before = reached(goal, earlier)
        cells = [goal.title, against, show(goal.wanted), end, "" if before is None else show(before)]
        lines.append("| " + " | ".join(cells) + " |")
        if not met:
            reasons.setdefault(goal.why, []).append(goal.title)
    table = ["| work | against | wanted | reached | earlier |", "|---|---|---:|---:|---:|", *lines]
    below = [f"- **{'; '.join(titles)}**: {why}." for why, titles in reasons.items()]
    return "\n".join([HEAD, *table, *(["", NOT_REACHED, "", *below] if below else [])]) + "\n"
