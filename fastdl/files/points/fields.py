"""A column of a cloud: where it stands in a file's records, which bits of its bytes it has, how its integers scale."""

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
        What the column is called, and the field of the record that holds it.
    offset : int
        Its first byte in the record.
    dtype : numpy.dtype
        What stands there.
    shift, mask : int
        Which bits of it are the column's; no mask, all of them.
    scale, zero : float
        Where the integers are steps: the column is integer * scale + zero.
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
        """What the column's values are: floats where the file's integers are steps."""
        return np.dtype(np.float64) if self.scale is not None else self.dtype.newbyteorder("=")

    def read(self, records: Array) -> Array:
        """The column of records that have a field of this name."""
        x = records[self.name]
        if self.mask:
            return (x >> self.shift) & self.dtype.type(self.mask)
        return x if self.scale is None else x * self.scale + self.zero

    def write(self, records: Array, column: Array) -> None:
        """Put a column in its place; where that holds integers, floats are rounded to the nearest (ties to even)."""
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
    """Some records, by their numbers or a mask: all their bytes, whatever the fields are."""
    raw = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), records.itemsize)
    found: Array = raw[rows].reshape(-1).view(records.dtype)
    return found


def unique(name: str, taken: set[str]) -> str:
    """`name`, or with the first number behind it that makes it new; it is taken then."""
    given, number = name, 2
    while given in taken:
        given, number = f"{name}_{number}", number + 1
    taken.add(given)
    return given
