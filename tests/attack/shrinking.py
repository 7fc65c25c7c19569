"""A failing call made smaller as long as it fails, and printed as the lines of Python that show it.

First its words: fewer changes, fewer items. Then its values: arguments left out, axes cut (all of one length at once,
for they belong together), plain dtypes, and numbers replaced by 0, 1 or whole ones.
"""

from __future__ import annotations

import base64
import json
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.attack import changes
from tests.attack.more_cases import CALLS, arguments

Call = dict[str, Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
_PRINTED = 300  # numbers that are printed of an array


def shrink(call: Call, fails: Callable[[Call], bool], seconds: float = 20.0) -> Call:
    """A smaller call that fails, too; looked for no longer than so many seconds."""
    until = time.monotonic() + seconds
    call = _smaller(call, _words, fails, until)
    held = _hold(call)
    if held is None or not fails(held):
        return call
    return _smaller(held, _values, fails, until)


def _smaller(
    call: Call, candidates: Callable[[Call], Iterator[Call]], fails: Callable[[Call], bool], until: float
) -> Call:
    found = True
    while found:
        found = False
        for candidate in candidates(call):
            if time.monotonic() > until:
                return call
            if fails(candidate):
                call, found = candidate, True
                break
    return call


def _words(call: Call) -> Iterator[Call]:
    made = call["changes"]
    for k in range(len(made)):
        yield {**call, "changes": made[:k] + made[k + 1 :]}
    for n in dict.fromkeys((0, 1, 2, 3, call["n"] // 2, call["n"] - 1)):
        if 0 <= n < call["n"]:
            yield {**call, "n": n}


def _hold(call: Call) -> Call | None:
    """The call with its values instead of a seed; what is left of its changes is layouts, threads and out."""
    late = [change for change in call["changes"] if change[1] in (*changes.LAYOUTS, "threads", "out")]
    early = [change for change in call["changes"] if change not in late]
    _, args, kwargs = arguments({**call, "changes": early})
    return None if kwargs is None else _with(call | {"changes": late}, args, kwargs)


def _with(call: Call, args: Any, kwargs: Any) -> Call | None:
    try:
        values = base64.b64encode(pickle.dumps((args, kwargs))).decode()
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    return {**call, "values": values}


def _values(call: Call) -> Iterator[Call]:
    args, kwargs = pickle.loads(base64.b64decode(call["values"]))
    for changed in _simpler(args, kwargs):
        candidate = _with(call, *changed)
        if candidate is not None and candidate["values"] != call["values"]:
            yield candidate


def _simpler(args: Any, kwargs: Any) -> Iterator[Arguments]:
    for name in kwargs:
        yield args, {key: value for key, value in kwargs.items() if key != name}
    lengths = {n for x in (*args, *kwargs.values()) if isinstance(x, np.ndarray) for n in x.shape}
    for length in sorted(lengths, reverse=True):
        for part in (slice(length // 2), slice(length // 2, None), slice(length - 1), slice(1, None)):
            yield _each(args, kwargs, lambda x, length=length, part=part: _cut(x, length, part))
    for place in (*range(len(args)), *kwargs):
        old = changes.at(args, kwargs, place)
        if isinstance(old, np.ndarray) and old.dtype != object:
            for new in _plainer(old):
                yield _put(args, kwargs, place, new)


def _each(args: Any, kwargs: Any, change: Callable[[Any], Any]) -> Arguments:
    return tuple(change(x) for x in args), {name: change(x) for name, x in kwargs.items()}


def _cut(x: Any, length: int, part: slice) -> Any:
    """An array's axes of a length, cut; and a number that is the length, too."""
    if isinstance(x, np.ndarray):
        return x[tuple(part if n == length else slice(None) for n in x.shape)]
    return len(range(length)[part]) if type(x) is int and x == length and length > 3 else x


def _put(args: Any, kwargs: Any, place: Any, new: Any) -> Arguments:
    if isinstance(place, int):
        return (*args[:place], new, *args[place + 1 :]), kwargs
    return args, {**kwargs, place: new}


def _plainer(x: np.ndarray) -> Iterator[np.ndarray]:
    """The same or simpler numbers: each way brings an array nearer to whole numbers of the plain dtypes, so it ends."""
    plain = {"f": np.float64, "i": np.int64}.get(x.dtype.kind)
    if plain and x.dtype != plain:
        yield x.astype(plain)
    if x.dtype.kind not in "iuf":
        return
    for value in (0, 1):
        if (x != value).any() and not (value and (x == 0).all()):
            yield np.full_like(x, value)
    if x.dtype.kind == "f":
        with np.errstate(all="ignore"):
            whole = np.where(np.abs(x) < 2**53, np.round(x), x).astype(x.dtype)
        if whole.tobytes() != x.tobytes():
            yield whole
    flat = x.reshape(-1)
    for k in np.flatnonzero((flat != 0) & (flat != 1))[:16]:
        for value in (0, 1):
            new = flat.copy()
            new[k] = value
            yield new.reshape(x.shape)


def report(call: Call, wrong: str, problem: Callable[[Call], str], seconds: float = 20.0) -> str:
    """A failure in its smallest form: what is wrong, the lines that show it, and the command that makes the call."""
    first = wrong.split()[:3]

    def fails(candidate: Call) -> bool:
        return problem(candidate).split()[:3] == first

    small = shrink(call, fails, seconds) if fails(call) else call  # some fail by what went before
    wrong = problem(small) or wrong
    command = f"python -m tests.attack.calls '{json.dumps(call)}'"
    return "\n  ".join([f"FAILED {CALLS[call['case']]}: {wrong}", command, *reproduction(small)])


def reproduction(call: Call) -> list[str]:
    """The lines of Python that make a call."""
    made = call["changes"]
    case, args, kwargs = arguments({**call, "changes": [c for c in made if c[1] not in changes.LAYOUTS]})
    if kwargs is None:
        return []
    lines, words = ["import numpy as np, fastdl; from numpy import inf, nan"], []
    ways = [(place, kind) for place, kind, *_ in made if kind in changes.LAYOUTS]
    if ways or case.call:
        lines.append("from tests.attack import changes; from tests.attack.more_cases import CALLS")
    for place, value in (*enumerate(args), *kwargs.items()):
        text = _text(value)
        for at, kind in ways:
            text = f"changes.LAYOUTS[{kind!r}]({text})" if at == place else text
        words.append(text if isinstance(place, int) else f"{place}={text}")
    words += [f"out=... ({more[0]})" for _, kind, *more in made if kind == "out"]
    function = f"CALLS[{call['case']}].call" if case.call else f"fastdl.{case.function}"
    return [*lines, f"print({function}({', '.join(words)}))"]


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size > _PRINTED:
            return f"<{value.shape} of {value.dtype}>"
        shape = f".reshape({value.shape})" if not value.size else ""
        return f"np.array({value.tolist()!r}, {value.dtype.str!r}){shape}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(_text, value))
        return f"[{inner}]" if type(value) is list else f"({inner}{',' * (len(value) == 1)})"
    if type(value) is dict:
        return f"{{{', '.join(f'{key!r}: {_text(x)}' for key, x in value.items())}}}"
    if type(value).__name__ == "Graph":
        of_edges = [
            f"{name}={_text(array)}" for name in ("edge_order", "weight") if (array := getattr(value, name)) is not None
        ]
        arrays = [_text(value.indptr), _text(value.indices), *of_edges, f"num_sources={value.num_sources}"]
        return f"fastdl.Graph({', '.join(arrays)})"
    return repr(value)
