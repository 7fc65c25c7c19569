"""Every check and every message: what was wrong, what is allowed, what was got."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastdl.errors import FastdlError as FastdlError
from fastdl.errors import FileError as FileError
from fastdl.errors import InputError as InputError
from fastdl.errors import InputTypeError as InputTypeError
from fastdl.errors import MissingExtra as MissingExtra

Array = np.ndarray


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """`value`, which must be in `allowed`."""
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """`value` as an int within [low, high]."""
    if type(value) is not int:
        if isinstance(value, (bool, np.bool_)):
            raise InputTypeError(f"{name} must be an integer, got {value!r}")
        try:
            value = operator.index(value)
        except TypeError:
            raise InputTypeError(f"{name} must be an integer, got {value!r}") from None
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{name} must be {_interval(low, high)}, got {value}")
    return value


def number(name: str, value: Any, low: float | None = None, high: float | None = None, *, above: bool = False) -> float:
    """`value` as a finite float within [low, high], or above `low` when `above` is true."""
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise InputTypeError(f"{name} must be a number, got {value!r}") from None
    if not np.isfinite(value):
        raise InputError(f"{name} must be finite, got {value}")
    if above and low is not None and value <= low:
        raise InputError(f"{name} must be above {low}, got {value}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{name} must be {_interval(low, high)}, got {value}")
    return value


def _interval(low: Any, high: Any) -> str:
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"between {low} and {high}"


def array(name: str, value: Any, dtypes: Sequence[Any] | None = None, ndim: int | Sequence[int] | None = None) -> Array:
    """`value` as an aligned C-contiguous array in the machine's byte order; copied only where it is not that already.

    `dtypes` lists dtypes or kinds ("i", "u", "f", "b") that are allowed; nothing is cast.
    """
    x = asarray(name, value)
    if dtypes is not None:
        dtype(name, x.dtype, dtypes)
    if ndim is not None and x.ndim != ndim and (isinstance(ndim, int) or x.ndim not in ndim):
        wanted = ndim if isinstance(ndim, int) else " or ".join(map(str, ndim))
        raise InputError(f"{name} must have {wanted} dimension(s), got shape {x.shape}")
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    if not x.flags.aligned:
        x = x.copy()
    return x if x.flags.c_contiguous else np.ascontiguousarray(x)


def floats(name: str, value: Any, ndim: int | Sequence[int] | None = None) -> Array:
    """`value` as contiguous floats: float32 and float64 as they are, integers, bool and other floats as float64."""
    x = array(name, value, ("f", "i", "u", "b"), ndim)
    return x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)


def asarray(name: str, value: Any) -> Array:
    """`value` as an array, without a copy where it has the buffer or the array interface."""
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise InputError(f"{name} has masked values, which would be read as numbers; fill or drop them")
    try:
        x = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(f"{name} cannot be read as an array: {error}") from None
    if x.dtype == object:
        raise InputTypeError(f"{name} must be numeric, got {type(value).__name__} of objects")
    return x


def dtype(name: str, got: np.dtype, allowed: Sequence[Any]) -> None:
    """Raise unless `got` is one of `allowed`: dtypes, or kinds as NumPy's one-letter codes."""
    for kind in allowed:
        if got.kind == kind if isinstance(kind, str) and len(kind) == 1 else got.newbyteorder("=") == kind:
            return
    raise InputTypeError(f"{name} must be {_list(allowed)}, got {got}")


_KINDS = {"i": "signed integers", "u": "unsigned integers", "f": "floats", "b": "bool", "S": "bytes"}


def _list(allowed: Sequence[Any]) -> str:
    words = [_KINDS[a] if isinstance(a, str) and len(a) == 1 else str(np.dtype(a)) for a in allowed]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def out(name: str, given: Any, shape: tuple[int, ...], dtype: Any, *inputs: Any) -> Array:
    """The array to write to: a fresh one, or `given` where it fits and overlaps none of the user's `inputs`."""
    if given is None:
        return np.empty(shape, dtype)
    dtype = np.dtype(dtype)
    if (
        not isinstance(given, np.ndarray)
        or given.shape != shape
        or given.dtype != dtype
        or not given.flags.c_contiguous
        or not given.flags.aligned
        or not given.flags.writeable
    ):
        got = (
            f"{'' if given.flags.writeable else 'read-only '}{'' if given.flags.c_contiguous else 'non-contiguous '}"
            f"{'' if given.flags.aligned else 'unaligned '}"
            f"{given.dtype} {given.shape}"
            if isinstance(given, np.ndarray)
            else type(given).__name__
        )
        raise InputError(f"{name} must be a writable C-contiguous {dtype} array of shape {shape}, got {got}")
    for x in inputs:
        if np.may_share_memory(given, np.asarray(x)):
            raise InputError(f"{name} must not overlap an input")
    return given


def same_length(**arrays: Any) -> int:
    """The common length of the first axis of the named arrays; None is skipped."""
    sizes = {name: len(x) for name, x in arrays.items() if x is not None}
    if len(set(sizes.values())) > 1:
        raise InputError("lengths must agree, got " + ", ".join(f"{name}: {n}" for name, n in sizes.items()))
    return next(iter(sizes.values()))


def finite(name: str, x: Array) -> None:
    """Raise where `x` holds a NaN or an infinity, naming the first."""
    bad = ~np.isfinite(x)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(f"{name} must be finite, got {x[place]} at index {place[0] if len(place) == 1 else place}")


def extra(module: str, extra_name: str, purpose: str) -> Any:
    """Import an optional library, or say which extra of fastdl brings it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        message = f"{purpose} needs {module.partition('.')[0]}; install it with: pip install 'fastdl[{extra_name}]'"
        raise MissingExtra(message) from None


def existing(path: Any) -> Path:
    """`path` as a Path to a file that is there."""
    path = Path(path)
    if not path.exists():
        raise FileError(path, "no such file")
    if path.is_dir():
        raise FileError(path, "is a folder, not a file")
    return path
