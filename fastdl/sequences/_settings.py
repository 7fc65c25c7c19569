"""The tables behind one-hot encoding: the row of every byte, built from the reference and kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check
from fastdl._typing import Array, DTypeLike
from fastdl.reference import sequences as reference
from fastdl.reference.sequences import complement

UNKNOWN = ("zero", "uniform", "n-uniform", "iupac", "channel", "raise")
CASES = ("fold", "strict")
LAYOUTS = ("last", "first")
DTYPES = tuple(np.dtype(t) for t in ("bool", "uint8", "int8", "float16", "float32", "float64"))


class LetterTables(NamedTuple):
    """What a byte becomes: for NumPy, and in bytes for the kernels."""

    rows: Array  # (256, channels)
    row_bytes: Array  # (256, bytes of a row)
    column_bytes: Array  # (channels, 256 * entry)
    entry: int  # bytes of one number
    compared: Array | None  # the letters, where a row is 1 for byte & mask == letter and 0 elsewhere
    mask: int
    known: Array | None  # 1 for each byte that is allowed, where others are errors


@dataclass(frozen=True, eq=False)
class Encoding:
    """Every setting of an encoding, and its tables."""

    alphabet: str
    unknown: str
    case: str
    layout: str
    dtype: np.dtype
    ignore: str
    first: bool  # whether the channels come before the letters
    tables: LetterTables  # of the forward strand

    @cached_property
    def channels(self) -> int:
        """Channels of a letter."""
        return self.tables.rows.shape[1]

    @cached_property
    def reverse_tables(self) -> LetterTables:
        """The tables of the reverse strand."""
        check_complementary(self.alphabet)
        return _build(self.tables.rows[complement(self.alphabet)], self.tables.known)

    def shape(self, count: int, length: int) -> tuple[int, int, int]:
        """Of `count` encoded sequences of one length."""
        channels = self.channels
        return (count, channels, length) if self.first else (count, length, channels)

    def keywords(self) -> dict[str, Any]:
        """The settings as keywords."""
        return {name: getattr(self, name) for name in ("alphabet", "unknown", "case", "layout", "dtype", "ignore")}


def settings(
    alphabet: str,
    *,
    unknown: str | None = None,
    case: str | None = None,
    layout: str | None = None,
    dtype: DTypeLike | None = None,
    ignore: str | None = None,
    like: str | None = None,
) -> Encoding:
    """The settings as given, else the peer's, else the default: checked, and built once."""
    global _last
    given, (known, last) = (alphabet, unknown, case, layout, dtype, ignore, like), _last
    if last is not None and all(map(is_, given, known)):
        return last
    try:
        encoding = _encoding(given)
        _last = given, encoding  # in one, since other threads read it; names and dtypes do not change
        return encoding
    except TypeError as error:
        if isinstance(error, _check.FastdlError):
            raise
        raise _check.InputTypeError(f"settings must be names and a dtype, got {given}") from None


#: The settings of the last call, and their encoding: to compute their hashes takes as long as to encode 100 letters.
_last: tuple[tuple[Any, ...], Encoding | None] = ((), None)


@lru_cache(256)
def _encoding(settings: tuple[Any, ...]) -> Encoding:
    alphabet, unknown, case, layout, dtype, ignore, like = settings
    for name, value in (("alphabet", alphabet), ("ignore", ignore or "")):
        if not isinstance(value, str):
            raise _check.InputTypeError(f"{name} must be a str, got {type(value).__name__}")
    if like is not None:
        _check.one_of("like", like, tuple(reference.LIKE))
    given = {"unknown": unknown, "case": case, "layout": layout, "dtype": dtype, "ignore": ignore}
    unknown, case, layout, dtype, ignore = reference.settings(like, **given).values()
    _check.one_of("unknown", unknown, UNKNOWN)
    _check.one_of("case", case, CASES)
    _check.one_of("layout", layout, LAYOUTS)
    kind = np.dtype(dtype).newbyteorder("=")
    _check.dtype("dtype", kind, DTYPES)
    _letters("alphabet", alphabet, case)
    if ignore:
        _letters("ignore", ignore, case)
        _letters("alphabet + ignore", alphabet + ignore, case)
    if unknown in ("uniform", "n-uniform", "iupac") and kind.kind != "f":
        raise _check.InputTypeError(f"unknown={unknown!r} gives fractions: dtype must be a float, got {kind}")
    if unknown == "iupac" and sorted(alphabet.upper()) != sorted(reference.AMINO["X"]):
        check_complementary(alphabet)
    if unknown == "n-uniform" and "N" in alphabet.upper():
        raise _check.InputError(f"unknown='n-uniform' needs an alphabet without N, got {alphabet!r}")
    known = None
    if unknown == "raise":
        known = reference.table(alphabet + ignore, "zero", case, np.uint8).any(axis=1).astype(np.uint8)
    tables = _build(reference.table(alphabet, unknown, case, kind, ignore), known)
    return Encoding(alphabet, unknown, case, layout, kind, ignore, layout == "first", tables)


def _letters(name: str, letters: str, case: str) -> None:
    folded = letters.upper() if case == "fold" else letters
    if not letters.isascii() or not letters or len(set(folded)) < len(folded):
        raise _check.InputError(f"{name} must be distinct ASCII characters (case {case!r}), got {letters!r}")


def check_complementary(alphabet: str) -> None:
    """Raise unless every letter has its complement in the alphabet."""
    if not isinstance(alphabet, str):
        raise _check.InputTypeError(f"alphabet must be a str, got {type(alphabet).__name__}")
    if sorted(alphabet.upper()) not in (list("ACGT"), list("ACGU")):
        raise _check.InputError(f"alphabet must be that of DNA or RNA here, in any order, got {alphabet!r}")


def _build(rows: Array, known: Array | None) -> LetterTables:
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
    return LetterTables(rows, rows.view(np.uint8), columns.view(np.uint8), rows.itemsize, compared, mask, known)


def padding_row(pad: str | None, tables: LetterTables) -> Array:
    """The row of padding: that of a letter, or zeros."""
    if pad is None:
        return np.zeros_like(tables.rows[0])
    if not isinstance(pad, str) or len(pad) != 1 or not pad.isascii():
        raise _check.InputError(f"pad must be one ASCII character, got {pad!r}")
    return tables.rows[ord(pad)]


@lru_cache(1)
def letters_of_packed_byte() -> Array:
    """The four letters of each packed byte, as one 32-bit value."""
    codes = np.arange(256)[:, None] >> np.array([6, 4, 2, 0]) & 3
    return np.frombuffer(b"TCAG", np.uint8)[codes].copy().view(np.uint32).reshape(-1)
