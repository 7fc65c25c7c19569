"""Code listings: run, timed beside the reference, and shown with syntax colours."""

from __future__ import annotations

import html
import inspect
import io
import keyword
import textwrap
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

_BUDGET = 0.25  # seconds that repetitions of one run may take
_MOST = 15  # repetitions


@dataclass(frozen=True)
class Run:
    """The result of a function, and the shortest of its times in seconds."""

    result: Any
    seconds: float


def least_time(call: Callable[[], Any], budget: float = _BUDGET) -> Run:
    """Call until the budget of seconds is spent, at least once; the shortest time is the least disturbed one."""
    spent, seconds, result = 0.0, float("inf"), None
    for _ in range(_MOST):
        start = perf_counter()
        result = call()
        taken = perf_counter() - start
        seconds, spent = min(seconds, taken), spent + taken
        if spent + taken > budget:
            break
    return Run(result, seconds)


def agreement(ours: object, theirs: object) -> str:
    """How two results differ, in words."""
    a, b = _arrays(ours), _arrays(theirs)
    if len(a) != len(b) or any(x.shape != y.shape for x, y in zip(a, b)):
        return ""
    if all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b)):
        return "the same result to the bit"
    scale = max(float(np.max(np.abs(y), initial=0.0)) for y in b) or 1.0
    furthest = max(float(np.max(np.abs(x.astype(float) - y), initial=0.0)) for x, y in zip(a, b))
    return f"results within {furthest / scale:.0e} of the largest value"


def _arrays(result: object) -> list[np.ndarray]:
    parts = result if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(part) for part in parts]


def source_of(function: Callable[..., Any]) -> str:
    """The body of a function, as one would type it."""
    lines = inspect.getsource(function).splitlines()
    start = next(k for k, line in enumerate(lines) if line.rstrip().endswith(":"))
    body = textwrap.dedent("\n".join(lines[start + 1 :]))
    if body.startswith('"""'):
        body = body[body.index('"""', 3) + 3 :]
    return body.strip("\n")


def highlight(code: str) -> str:
    """HTML of Python code."""
    lines = code.splitlines(keepends=True)
    starts = np.cumsum([0, *map(len, lines)])
    marked, at = [], 0
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        kind = _kind(token)
        if kind:
            start = int(starts[token.start[0] - 1]) + token.start[1]
            stop = int(starts[token.end[0] - 1]) + token.end[1]
            marked += [html.escape(code[at:start]), f"<span class={kind}>{html.escape(code[start:stop])}</span>"]
            at = stop
    return "".join([*marked, html.escape(code[at:])])


def _kind(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME and keyword.iskeyword(token.string):
        return "kw"
    if token.type == tokenize.NAME and token.string == "fastdl":
        return "us"
    return {tokenize.STRING: "st", tokenize.NUMBER: "nu", tokenize.COMMENT: "co"}.get(token.type, "")


def duration(seconds: float) -> str:
    """A time with three digits, in seconds, milliseconds or microseconds."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def times(ours: float, theirs: float, other: str, remark: str) -> str:
    """A table of two bars: ours, the other's, and how many times shorter ours is."""
    longest = max(ours, theirs)
    rows = "".join(
        f"<tr><th scope=row>{html.escape(name)}</th><td class=n>{duration(seconds)}</td>"
        f'<td class=bar aria-hidden=true><span style="--w:{max(100 * seconds / longest, 0.4):.1f}%"></span></td></tr>'
        for name, seconds in (("fastdl", ours), (other, theirs))
    )
    ratio = theirs / ours
    digits = f"{ratio:.2g}" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}"
    words = f"<b>{digits}</b> times as fast{', ' + html.escape(remark) if remark else ''}"
    head = "<tr><th scope=col>run</th><th scope=col class=n>time</th><td></td></tr>"
    table = f"<caption>{words}</caption><thead class=hidden>{head}</thead><tbody>{rows}</tbody>"
    return f"<div class=times><table>{table}</table></div>"
