"""A column of a cloud: its offset in the file's records, its bits, and the scale of its integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastdl._typing import Array


@dataclass(frozen=True)
class Field:
    """A column within a record.

    Attributes
    ----------
    name : str
        The name of the column, and of the record's field that holds it.
    offset : int
        Its first byte in the record.
    dtype : numpy.dtype
        The dtype in the record.
    shift, mask : int
        For a column of some bits of an integer: (integer >> shift) & mask; with mask 0 it has all bits.
    scale, zero : float
        For scaled integers: the column is integer * scale + zero; scale is None for others.
    """

    name: str
    offset: int
    dtype: np.dtype
    shift: int = 0
    mask: int = 0
    scale: float | None = None
    zero: float = 0.0

    @property
    def kind(self) -> np.dtype:
        """The dtype of the column: float64 for scaled integers."""
        return np.dtype(np.float64) if self.scale is not None else self.dtype.newbyteorder("=")

    def read(self, records: Array) -> Array:
        """The column of records that have a field of this name."""
        x = records[self.name]
        if self.mask:
            return (x >> self.shift) & self.dtype.type(self.mask)
        return x if self.scale is None else x * self.scale + self.zero

    def write(self, records: Array, column: Array) -> None:
        """Write a column into records; for integers, floats are rounded to the nearest (ties to even)."""
        if self.scale is not None:
            column = (column - self.zero) / self.scale
        if self.dtype.kind in "iu" and column.dtype.kind == "f":
            column = np.rint(column)
        if self.mask:
            bits = self.dtype.type(self.mask << self.shift)
            column = (records[self.name] & ~bits) | ((column.astype(self.dtype) << self.shift) & bits)
        records[self.name] = column


def record_dtype(fields: Sequence[Field], size: int) -> np.dtype:
    """Records of `size` bytes with these fields, which may share bytes."""
    return np.dtype(
        {
            "names": [f.name for f in fields],
            "formats": [f.dtype for f in fields],
            "offsets": [f.offset for f in fields],
            "itemsize": size,
        }
    )


def take(records: Array, rows: Array) -> Array:
    """Some records, by a mask or their indices: all their bytes, also those of no field."""
    raw = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), records.itemsize)
    found: Array = raw[rows].reshape(-1).view(records.dtype)
    return found


def unique(name: str, taken: set[str]) -> str:
    """`name`, or `name_2`, `name_3`, ... if it is taken; the result is added to `taken`."""
    given, number = name, 2
    while given in taken:
        given, number = f"{name}_{number}", number + 1
    taken.add(given)
    return given
