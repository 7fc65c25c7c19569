"""Sequences of two bits a base, as .2bit files hold them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.reference import _sequence_kernels as reference
from fastdl.sequences._settings import letters_of_packed_byte

kernel = _kernels.load("sequences_windows") or reference

_NONE = np.zeros((0, 2), np.int64)


@dataclass(frozen=True, eq=False)
class PackedSequence:
    """A sequence of two bits a base: a quarter of the memory of bytes.

    Parameters
    ----------
    packed : ndarray of uint8, shape (ceil(length / 4),)
        Four bases a byte, the first in the high bits; T, C, A, G = 0..3. It is copied: what was checked cannot change.
    length : int
        Bases.
    unknown, masked : ndarray of int64, shape (n, 2)
        Sorted ranges, start and stop, that are N, and that are in lower case.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdl.sequences import PackedSequence
    >>> genome = PackedSequence(np.array([0b10011100], np.uint8), 4)
    >>> genome[1:4].tobytes()
    b'CGT'
    """

    packed: Array
    length: int
    unknown: Array = field(default_factory=lambda: _NONE)
    masked: Array = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        packed = _unchangeable(_check.array("packed", self.packed, (np.uint8,), 1))
        object.__setattr__(self, "packed", packed)
        object.__setattr__(self, "length", _check.integer("length", self.length, 0, 4 * len(packed)))
        for name in ("unknown", "masked"):
            ranges = _check.array(name, getattr(self, name), ("i", "u"))
            ranges = check_ranges(name, ranges, self.length)
            object.__setattr__(self, name, _unchangeable(ranges))

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedSequence, (self.packed, self.length, self.unknown, self.masked)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, which: slice) -> Array:
        """Letters as uint8."""
        if not isinstance(which, slice) or which.step not in (None, 1):
            raise _check.InputTypeError(f"a packed sequence is read by slices of step 1, got {which!r}")
        start, stop, _ = which.indices(self.length)
        letters = np.empty(max(stop - start, 0), np.uint8)
        if len(letters):
            kernel.unpack(self.parts(), start, letters)
        return letters

    def parts(self) -> tuple[Array, Array, Array, Array]:
        """Codes, the letters of each packed byte, and the ranges, as kernels take them."""
        return self.packed, letters_of_packed_byte(), self.unknown, self.masked


def check_ranges(name: str, ranges: Array, length: int) -> Array:
    """Ranges as int64 (n, 2): sorted, apart, within `length` bases."""
    flat = ranges.reshape(-1)
    # Compared, not subtracted: a difference of integers may wrap.
    wrong = len(flat) and (flat[0] < 0 or flat[-1] > length or (flat[1:] < flat[:-1]).any())
    if ranges.ndim != 2 or ranges.shape[1] != 2 or wrong:
        raise _check.InputError(f"{name} must be sorted ranges (n, 2) within {length} bases")
    return ranges.astype(np.int64, copy=False)


def _unchangeable(x: Array) -> Array:
    """`x` on memory that nobody can write to: bytes, of which an array cannot be made writable."""
    if isinstance(x.base, bytes):
        return x
    return np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape) if x.size else x.copy()
