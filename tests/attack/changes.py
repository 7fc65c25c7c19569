"""What can be done to the arguments of a call: each change is a word, so that a call is a line of text."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray


def _strided(x: Array) -> Array:
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def _unaligned(x: Array) -> Array:
    held = np.zeros(x.nbytes + 1, np.uint8)
    y = held[1:].view(x.dtype).reshape(x.shape) if x.nbytes else x
    y[...] = x
    return y


def _filled(x: Array) -> Array:
    """An array of this kind that holds something else: what is not written to shows."""
    y = np.empty_like(x)
    y.reshape(-1).view(np.uint8)[:] = 85
    return y


def _frozen(x: Array) -> Array:
    y = x.copy()
    y.flags.writeable = False
    return y


def _put(value: float) -> Callable[[Array], Array]:
    def put(x: Array) -> Array:
        y = x.copy()
        if y.dtype.kind == "f" and y.size:
            y.reshape(-1)[:: max(1, y.size // 7)] = value
        return y

    return put


def _extreme(x: Array) -> Array:
    y = x.copy()
    if y.dtype.kind in "iu" and y.size:
        limits = np.iinfo(y.dtype)
        flat = y.reshape(-1)
        flat[0], flat[-1] = limits.min, limits.max
    return y


#: The same values in other memory: the result must be the same.
LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "strided": _strided,
    "reversed": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "read-only": _frozen,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "fortran": np.asfortranarray,
    "unaligned": _unaligned,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape) if len(x) else x,
}
#: Other values, shapes and types: the kernel and the reference must agree on the result, or on the refusal.
VALUES: dict[str, Callable[[Array], Any]] = {
    "nan": _put(np.nan),
    "inf": _put(np.inf),
    "minus-inf": _put(-np.inf),
    "minus-zero": _put(-0.0),
    "denormal": _put(1e-40),
    "large": _put(1e15),
    "extreme": _extreme,
    "empty": lambda x: x[:0],
    "one": lambda x: x[:1],
    "half": lambda x: x[: len(x) // 2],
    "deeper": lambda x: x[None],
    "flat": lambda x: x.reshape(-1),
    "scalar": lambda x: x.reshape(-1)[0] if x.size else 0,
    "list": lambda x: x.tolist(),
    "none": lambda x: None,
    "text": lambda x: "ACGT",
    "object": lambda x: x.astype(object),
    "masked": lambda x: np.ma.masked_array(x, np.arange(x.size).reshape(x.shape) % 3 == 0),
    **{
        f"to-{t}": lambda x, t=t: x.astype(t)
        for t in ("i1", "u1", "i2", "i4", "i8", "u8", "f2", "f4", "f8", "c16", "?")
    },
}
#: Arrays to write a result of this kind to: one that fits, and ones that must be refused.
OUTS: dict[str, Callable[[Array, Any], Any]] = {
    "fits": lambda result, first: _filled(result),
    "strided": lambda result, first: _strided(np.atleast_1d(result)),
    "read-only": lambda result, first: _frozen(result),
    "unaligned": lambda result, first: _unaligned(result),
    "other-shape": lambda result, first: np.empty((*result.shape, 1), result.dtype),
    "other-dtype": lambda result, first: np.empty(result.shape, "c16"),
    "big-endian": lambda result, first: np.empty(result.shape, result.dtype.newbyteorder(">")),
    "input": lambda result, first: first,
    "text": lambda result, first: "out",
}
SCALARS: tuple[Any, ...] = (
    0,
    -1,
    1,
    2,
    2**31 - 1,
    2**31,
    2**63 - 1,
    2**63,
    0.5,
    -0.0,
    float("nan"),
    float("inf"),
    None,
)
SCALARS += ("", "x", True, [], (), b"a")


def invent(rng: random.Random, places: list[Any], arrays: list[Any], threads: tuple[int, ...]) -> list[list[Any]]:
    """A few changes of the arguments at these places, of which some are arrays."""
    changes: list[list[Any]] = []
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        if arrays and rng.random() < 0.8:
            table = LAYOUTS if rng.random() < 0.5 else VALUES
            changes.append([rng.choice(arrays), rng.choice(list(table))])
        elif places:
            changes.append([rng.choice(places), "value", rng.randrange(len(SCALARS))])
    if threads and rng.random() < 0.5:
        changes.append(["threads", "threads", rng.randint(1, 4)])
    if rng.random() < 0.2:
        changes.append(["out", "out", rng.choice(list(OUTS))])
    return changes


def make(
    args: tuple[Any, ...], kwargs: dict[str, Any], changes: list[list[Any]]
) -> tuple[tuple[Any, ...], dict[str, Any], str]:
    """The arguments with the changes made to them; and, where a change cannot be made, why."""
    given, named = list(args), dict(kwargs)
    for place, kind, *more in changes:
        if kind == "threads":
            named["threads"] = more[0]
        if kind in ("threads", "out"):
            continue
        old = at(given, named, place)
        if kind == "value":
            new: Any = SCALARS[more[0]]
        elif not isinstance(old, np.ndarray) or not old.ndim:
            continue
        else:
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of complex numbers made real
                    new = {**LAYOUTS, **VALUES}[kind](old)
            except (ValueError, TypeError, OverflowError) as error:
                return (), {}, str(error)
        if isinstance(place, int):
            given[place] = new
        else:
            named[place] = new
    return tuple(given), named, ""


def at(args: Any, kwargs: dict[str, Any], place: Any) -> Any:
    """The argument at a place: a number or a name."""
    return args[place] if isinstance(place, int) else kwargs[place]
