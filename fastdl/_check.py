"""Every check and every message: what was wrong, what is allowed, what was got."""

from __future__ import annotations

import math
import operator
import os
import stat
from collections.abc import Iterable, Sequence, Sized
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np

from fastdl import _frames
from fastdl._frames import column_names as column_names
from fastdl._memory import free_bytes
from fastdl._typing import Array, ArrayLike, DLPackLike, DTypeLike, TableLike
from fastdl.errors import DISTRIBUTION
from fastdl.errors import FastdlError as FastdlError
from fastdl.errors import FileError as FileError
from fastdl.errors import InputError as InputError
from fastdl.errors import InputTypeError as InputTypeError
from fastdl.errors import MissingExtra as MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

_LARGE = 1 << 28  # bytes of an array for which there may be too little memory
_READABLE = (1, 3, 11, 13)  # of DLPack's kinds of devices: the CPU, host memory of CUDA and ROCm, and managed memory
_BUILT_IN = (int, float, list, tuple, np.ndarray, np.generic)  # never a frame: no need to look
T = TypeVar("T")


def one_of(name: str, value: T, allowed: Iterable[T]) -> T:
    """`value`, which must be in `allowed`."""
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def integer(name: str, value: object, low: int | None = None, high: int | None = None) -> int:
    """`value` as an int within [low, high]."""
    if type(value) is not int:
        if isinstance(value, (bool, np.bool_)):
            raise InputTypeError(f"{name} must be an integer, got {value!r}")
        try:
            value = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise InputTypeError(f"{name} must be an integer, got {value!r}") from None
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{name} must be {_interval(low, high)}, got {value}")
    return value


def number(
    name: str,
    value: object,
    low: float | None = None,
    high: float | None = None,
    *,
    above: bool = False,
) -> float:
    """`value` as a finite float within [low, high], or above `low` when `above` is true."""
    try:
        value = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InputTypeError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(value):
        raise InputError(f"{name} must be finite, got {value}")
    if above and low is not None and value <= low:
        raise InputError(f"{name} must be above {low}, got {value}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{name} must be {_interval(low, high)}, got {value}")
    return value


def _interval(low: float | None, high: float | None) -> str:
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"between {low} and {high}"


def array(
    name: str, value: TableLike, dtypes: Sequence[DTypeLike] | None = None, ndim: int | Sequence[int] | None = None
) -> Array:
    """`value` as a C-contiguous array in the machine's byte order; copied only where it is not that already.

    `dtypes` lists dtypes or kinds ("i", "u", "f", "b") that are allowed; nothing is cast.
    """
    x = value if type(value) is np.ndarray else asarray(name, value)
    if dtypes is not None:
        dtype(name, x.dtype, dtypes)
    if ndim is not None and x.ndim != ndim and (isinstance(ndim, int) or x.ndim not in ndim):
        wanted = ndim if isinstance(ndim, int) else " or ".join(map(str, ndim))
        raise InputError(f"{name} must have {wanted} dimension(s), got shape {x.shape}")
    # Most arrays need no conversion: in calls with few items, reading the flags once is faster than `native`.
    return x if x.flags.carray and x.dtype.isnative else native(x)


def contiguous(x: ArrayLike, dtype: DTypeLike) -> Array:
    """`x` as `native` returns it, of `dtype`; np.ascontiguousarray alone would keep an unaligned array."""
    y = np.ascontiguousarray(x, dtype)
    return y if y.flags.aligned else y.copy()


def native(x: Array) -> Array:
    """`x` as kernels read memory: C-contiguous, aligned, in the machine's byte order; copied only where it is not."""
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    return x if x.flags.c_contiguous and x.flags.aligned else x.copy("C")


def floats(name: str, value: TableLike, ndim: int | Sequence[int] | None = None) -> Array:
    """`value` as `array` gives it, as float32 where its floats have 32 bits or fewer and as float64 otherwise."""
    x = array(name, value, ("i", "u", "f", "b"), ndim)
    return x.astype(np.float32 if x.dtype.kind == "f" and x.dtype.itemsize <= 4 else np.float64, copy=False)


def rows(name: str, value: Any) -> Array:
    """`value` as `floats` gives it, (N, D); (N,) is one column."""
    x = floats(name, value, (1, 2))
    return x[:, None] if x.ndim == 1 else x


def sample_weight(value: ArrayLike | None, n: int, name: str = "sample_weight") -> Array | None:
    """The weights of n rows as float64, or None for equal weights; finite and not negative."""
    if value is None:
        return None
    weights = array(name, value, ("i", "u", "f", "b"), 1).astype(np.float64, copy=False)
    if len(weights) != n:
        raise InputError(f"{name} must have a value for each of the {n} rows, got {len(weights)}")
    finite(name, weights)
    if n and weights.min() < 0:
        raise InputError(f"{name} must not be negative, got {weights.min()} at index {int(weights.argmin())}")
    return weights


def is_masked_array(value: object) -> TypeGuard[np.ma.MaskedArray]:
    """Whether a value is NumPy's masked array; for most others that is known without loading numpy.ma."""
    return type(value) is not np.ndarray and isinstance(value, np.ndarray) and isinstance(value, np.ma.MaskedArray)


def asarray(name: str, value: TableLike) -> Array:
    """`value` as an array; not copied if it has the buffer protocol, the array interface or DLPack."""
    if type(value) is np.ndarray:
        return value
    if is_masked_array(value):
        raise InputTypeError(
            f"{name} must not be a masked array: fill or drop what is masked, or use NaN where it is allowed"
        )
    if not isinstance(value, _BUILT_IN):
        kind = _frames.kind_of(value)
        if kind is not None:
            return _frames.read_frame(name, value, kind)
        if _has_dlpack_alone(value):
            return _of_dlpack(name, value)
    try:
        x = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(f"{name} cannot be read as an array: {error}") from None
    if x.dtype == object:
        raise InputTypeError(f"{name} must be numeric, got {type(value).__name__} of objects")
    return x


def _has_dlpack_alone(value: object) -> TypeGuard[DLPackLike]:
    """Whether a value gives its memory by DLPack, and not by NumPy's interfaces."""
    kind = type(value)
    return hasattr(kind, "__dlpack__") and not (hasattr(kind, "__array__") or hasattr(kind, "__array_interface__"))


def _of_dlpack(name: str, value: DLPackLike) -> Array:
    """A value as an array over the same memory, which the CPU must be able to read."""
    kind, number = value.__dlpack_device__()
    if int(kind) not in _READABLE:
        what = f"{type(value).__name__} on device {number} of DLPack's kind {int(kind)}"
        raise InputTypeError(f"{name} must be in the memory of the CPU, got {what}: copy it to the CPU first")
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise InputTypeError(f"{name} cannot be read as an array: {error}") from None


def table(name: str, value: TableLike) -> tuple[Array, list[str] | None]:
    """A table of numbers as an array (N, D), and the names of its columns, where it has names.

    Tables are DataFrames of pandas (nullable, Arrow-backed and categorical numbers too) and polars, tables of pyarrow,
    and objects with an Arrow stream or the `__dataframe__` protocol. Columns of one dtype keep it; others become
    float32 if all are floats of 32 bits or fewer, else float64. A missing value is NaN. A column that holds no numbers
    is an `InputTypeError` that names it. Anything else is read by `asarray`, and has no names.
    """
    return asarray(name, value), _frames.column_names(value)


def texts(name: str, value: object) -> list[Any] | None:
    """The strings of a list, array or column of text, as a list of str or bytes; None for any other value.

    Text is a list or tuple of str or bytes, an array of dtype U, S, StringDType or object, a Series, Index or
    Categorical of pandas (object, category, string, Arrow), a Series of polars, or an array of pyarrow. A single str is
    no list. A missing value, and text mixed with something else, are errors that name the first.
    """
    if isinstance(value, (str, bytes, bytearray)):
        return None
    items: Any = value
    if is_masked_array(value) and value.dtype.kind in "USTO" and np.ma.is_masked(value):
        raise InputError(f"{name} has masked values, which are not text; fill or drop them")
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "USTO":
            return None
        items = value.tolist() if value.ndim else None
    elif not isinstance(value, (list, tuple)):
        for method in ("to_pylist", "to_list", "tolist"):  # pyarrow; pandas and polars; array-likes of NumPy
            if callable(getattr(value, method, None)):
                items = getattr(value, method)()
                break
    if not isinstance(items, (list, tuple)):
        return None
    kinds = set(map(type, items))
    if kinds <= {str, bytes}:
        return list(items) if kinds else None
    if not any(issubclass(kind, (str, bytes)) for kind in kinds):
        return None
    for i, item in enumerate(items):
        if not isinstance(item, (str, bytes)):
            missing = item is None or type(item).__name__ == "NAType" or (isinstance(item, float) and item != item)
            if missing:
                raise InputError(f"{name} must be text without missing values, got {item!r} at index {i}")
            raise InputTypeError(f"{name} must be text alone, got {type(item).__name__} at index {i}")
    return list(items)


def dtype(name: str, got: np.dtype, allowed: Sequence[DTypeLike]) -> None:
    """Raise unless `got` is one of `allowed`: dtypes, or kinds as NumPy's one-letter codes."""
    for kind in allowed:
        if got.kind == kind if isinstance(kind, str) and len(kind) == 1 else got.newbyteorder("=") == kind:
            return
    raise InputTypeError(f"{name} must be {_list(allowed)}, got {got}")


_KINDS = {"i": "signed integers", "u": "unsigned integers", "f": "floats", "b": "bool", "S": "bytes"}


def _list(allowed: Sequence[DTypeLike]) -> str:
    words = [_KINDS[a] if isinstance(a, str) and len(a) == 1 else str(np.dtype(a)) for a in allowed]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def empty(what: str, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """A new array; an error that says its size, if that is more than the free memory."""
    try:
        result = np.empty(shape, dtype)
        if result.nbytes < _LARGE or (free := free_bytes()) is None or result.nbytes <= free:
            return result
    except (MemoryError, ValueError):
        pass
    size = math.prod(int(n) for n in shape) * np.dtype(dtype).itemsize
    raise InputError(f"{what} of shape {shape} takes {size} bytes, more than there are")


def out(
    name: str, given: Array | DLPackLike | None, shape: tuple[int, ...], dtype: DTypeLike, *inputs: ArrayLike
) -> Array:
    """The array to write to: a new one, or `given`, which must fit and must not overlap the user's `inputs`.

    For another library's tensor on the CPU it is an array over the same memory.
    """
    if given is None:
        return empty("a result", shape, dtype)
    if not isinstance(given, np.ndarray) and hasattr(given, "__dlpack__"):
        given = asarray(name, given)
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
        raise InputError(f"{name} must be a writable, aligned, C-contiguous {dtype} array of shape {shape}, got {got}")
    for x in inputs:
        if np.may_share_memory(given, _of_dlpack(name, x) if _has_dlpack_alone(x) else np.asarray(x)):
            raise InputError(f"{name} must not overlap an input")
    return given


def same_length(**arrays: Sized | None) -> int:
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


def extra(module: str, extra_name: str, purpose: str) -> ModuleType:
    """Import an optional library; if it is missing, the error says which extra of fastdl installs it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        message = f"{purpose} needs {library}; install it with: pip install '{DISTRIBUTION}[{extra_name}]'"
        raise MissingExtra(message) from None


def existing(path: str | os.PathLike[str]) -> Path:
    """`path` as a Path; an error unless it is a file that exists."""
    from pathlib import Path  # takes milliseconds to load, which calls without files are spared

    path = Path(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        raise FileError(path, "no such file") from None
    if stat.S_ISDIR(mode):
        raise FileError(path, "is a folder, not a file")
    return path
