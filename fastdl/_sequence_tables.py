"""The tables behind one-hot encoding: the row of every byte, built from the reference and kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check
from fastdl.reference import sequences as reference
from fastdl.reference.bases import complement

Array = np.ndarray

UNKNOWN = ("zero", "uniform", "n-uniform", "iupac", "channel", "raise")
CASES = ("fold", "strict")
LAYOUTS = ("last", "first")
DTYPES = tuple(np.dtype(t) for t in ("bool", "uint8", "int8", "float16", "float32", "float64"))


class Coder(NamedTuple):
    """What a byte becomes: for the reference, and as the kernels want it."""

    rows: Array  # (256, channels)
    parts: tuple[Array, Array, int, Array | None, int]  # rows and columns as bytes, size, letters and mask of a compare
    known: Array | None  # 1 for each byte that is allowed, where others are errors


class How(NamedTuple):
    """Every setting of an encoding."""

    alphabet: str
    unknown: str
    case: str
    layout: str
    dtype: np.dtype
    ignore: str

    @property
    def first(self) -> bool:
        """Whether the channels come before the letters."""
        return self.layout == "first"

    def coder(self) -> Coder:
        """The tables of the forward strand."""
        return _coder(*self._key())

    def other(self) -> Coder:
        """The tables of the reverse strand."""
        complementary(self.alphabet)
        return _other(*self._key())

    def _key(self) -> tuple:
        return self.alphabet, self.unknown, self.case, self.dtype.str, self.ignore


@lru_cache(256)
def how(
    alphabet: str, unknown: str | None, case: str | None, layout: str | None, dtype: Any, ignore: str | None, like: Any
) -> How:
    """The settings as given, else the peer's, else the default: checked."""
    if like is not None:
        _check.one_of("like", like, tuple(reference.LIKE))
    all_ = reference.settings(like, unknown=unknown, case=case, layout=layout, dtype=dtype, ignore=ignore)
    _check.one_of("unknown", all_["unknown"], UNKNOWN)
    _check.one_of("case", all_["case"], CASES)
    _check.one_of("layout", all_["layout"], LAYOUTS)
    kind = np.dtype(all_["dtype"])
    _check.dtype("dtype", kind, DTYPES)
    _letters("alphabet", alphabet, all_["case"])
    if all_["ignore"]:
        _letters("ignore", all_["ignore"], all_["case"])
        _letters("alphabet + ignore", alphabet + all_["ignore"], all_["case"])
    if all_["unknown"] in ("uniform", "n-uniform", "iupac") and kind.kind != "f":
        raise _check.InputTypeError(f"unknown={all_['unknown']!r} gives fractions: dtype must be a float, got {kind}")
    if all_["unknown"] == "iupac":
        complementary(alphabet)
    if all_["unknown"] == "n-uniform" and "N" in alphabet.upper():
        raise _check.InputError(f"unknown='n-uniform' needs an alphabet without N, got {alphabet!r}")
    return How(alphabet, all_["unknown"], all_["case"], all_["layout"], kind.newbyteorder("="), all_["ignore"])


def settings(alphabet: Any, unknown: Any, case: Any, layout: Any, dtype: Any, ignore: Any, like: Any) -> How:
    """`how`, for anything a user gives."""
    for name, value in (("alphabet", alphabet), ("ignore", ignore or "")):
        if not isinstance(value, str):
            raise _check.InputTypeError(f"{name} must be a str, got {type(value).__name__}")
    try:
        return how(alphabet, unknown, case, layout, None if dtype is None else np.dtype(dtype), ignore, like)
    except TypeError as error:
        if isinstance(error, _check.FastdlError):
            raise
        raise _check.InputTypeError(f"dtype must be bool, an 8-bit integer or a float, got {dtype!r}") from None


def _letters(name: str, letters: str, case: str) -> None:
    folded = letters.upper() if case == "fold" else letters
    if not letters.isascii() or not letters or len(set(folded)) < len(folded):
        raise _check.InputError(f"{name} must be distinct ASCII characters (case {case!r}), got {letters!r}")


def complementary(alphabet: str) -> None:
    """Raise unless every letter has its complement in the alphabet."""
    if sorted(alphabet.upper()) not in (list("ACGT"), list("ACGU")):
        raise _check.InputError(f"alphabet must be that of DNA or RNA here, in any order, got {alphabet!r}")


@lru_cache(64)
def _coder(alphabet: str, unknown: str, case: str, dtype: str, ignore: str) -> Coder:
    known = None
    if unknown == "raise":
        known = reference.table(alphabet + ignore, "zero", case, np.uint8).any(axis=1).astype(np.uint8)
    return _build(reference.table(alphabet, unknown, case, np.dtype(dtype), ignore), known)


@lru_cache(64)
def _other(alphabet: str, unknown: str, case: str, dtype: str, ignore: str) -> Coder:
    ahead = _coder(alphabet, unknown, case, dtype, ignore)
    return _build(ahead.rows[complement(alphabet)], ahead.known)


def _build(rows: Array, known: Array | None) -> Coder:
    rows, columns = np.ascontiguousarray(rows), np.ascontiguousarray(rows.T)
    letters = (rows == 1).argmax(axis=0).astype(np.uint8)
    bytes_ = np.arange(256, dtype=np.uint8)[:, None]
    compared, mask = None, 0
    for mask in (0xFF, 0xDF):  # the second folds lower case
        if np.array_equal(rows, (bytes_ & np.uint8(mask)) == letters):
            compared = letters
            break
    for x in (rows, columns, letters):
        x.flags.writeable = False
    return Coder(rows, (rows.view(np.uint8), columns.view(np.uint8), rows.itemsize, compared, mask), known)


@lru_cache(1)
def quads() -> Array:
    """The four letters of each packed byte, as one 32-bit value."""
    codes = np.arange(256)[:, None] >> np.array([6, 4, 2, 0]) & 3
    return np.frombuffer(b"TCAG", np.uint8)[codes].copy().view(np.uint32).reshape(-1)
