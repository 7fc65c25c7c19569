"""The base class of point-cloud readers, and helpers to read records that stand one after the other in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.files.points.fields import Field, record_dtype, unique

_EXACT = 1 << 53  # float64 represents all integers up to here


class PointReader:
    """A cloud in a file: the number of points, the columns, and the points in chunks.

    Attributes
    ----------
    path : Path
    points : int
        Points in the file.
    schema : numpy.dtype
        A structured dtype: "x", "y", "z", then the attributes, each in the dtype that holds its values.
    record : numpy.dtype
        The dtype of what `chunks` yields: the file's own records in the machine's byte order.
    fields : dict of Field
        The place of each column in a record.
    remarks : list of str
        Remarks for the user about this file, such as what was not read.
    """

    path: Path
    points: int
    schema: np.dtype
    record: np.dtype
    fields: dict[str, Field]
    remarks: list[str]

    def _describe(self, fields: Sequence[Field], size: int, points: int) -> None:
        """Set the attributes, from the fields of records of `size` bytes; x, y and z must be among them."""
        names = [f.name for f in fields]
        lower = {name.lower(): name for name in reversed(names)}
        missing = [axis for axis in "xyz" if axis not in lower]
        if missing:
            raise FileError(self.path, f"has no column {', '.join(missing)}; its columns are {', '.join(names)}")
        axes = {lower[axis]: axis for axis in "xyz"}
        taken = set("xyz")
        by_name = {axes[f.name]: f for f in fields if f.name in axes}
        by_name = {axis: by_name[axis] for axis in "xyz"}
        by_name |= {unique(f.name, taken): f for f in fields if f.name not in axes}
        for name, f in by_name.items():
            if f.dtype.kind not in "iuf" or f.dtype.shape or f.dtype.itemsize > 8:
                raise FileError(self.path, f"column {name} is {f.dtype}; only columns of numbers are read")
        kinds = [(n, f.kind if n not in "xyz" or f.kind.kind == "f" else np.float64) for n, f in by_name.items()]
        self.fields, self.schema, self.points = by_name, np.dtype(kinds), points
        self.record = record_dtype(fields, size)
        self.remarks = []

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: x, y, z, then the attributes."""
        return tuple(self.schema.names or ())

    def chunks(self, points: int) -> Iterator[Array]:
        """Arrays of at most `points` records, in the order of the file."""
        raise NotImplementedError

    def borders(self, points: int) -> list[int] | None:
        """Borders of parts of about `points` points, from 0 to the number of points.

        None where a part cannot be read without those before it.
        """
        del points
        return None

    def part(self, start: int, stop: int) -> Array:
        """The records between two borders, without reading those before."""
        raise NotImplementedError

    def column(self, chunk: Array, name: str) -> Array:
        """One column of a chunk, in the dtype that `schema` says."""
        return self.fields[name].read(chunk).astype(self.schema[name], copy=False)

    def table(self, chunk: Array, columns: Sequence[str] | None = None, dtype: object = np.float64) -> Array:
        """(n, C) floats of a chunk's columns; the first three of `columns` are x, y, z."""
        columns = self.columns if columns is None else columns
        out = np.empty((len(chunk), len(columns)), np.dtype(dtype))  # type: ignore[call-overload]
        for k, name in enumerate(columns):
            x = self.fields[name].read(chunk)
            if x.dtype.kind in "iu" and x.dtype.itemsize == 8 and len(x) and max(int(x.max()), -int(x.min())) > _EXACT:
                problem = f"column {name} holds integers beyond 2^53, which float64 cannot hold"
                raise FileError(self.path, problem)
            out[:, k] = x
        return out

    def rows(self, chunk: Array) -> Array:
        """The columns of a chunk as records of `schema`."""
        out = np.empty(len(chunk), self.schema)
        for name in self.columns:
            out[name] = self.fields[name].read(chunk)
        return out

    def cells(self, chunk: Array, voxel_size: Sequence[float], origin: Sequence[float]) -> Array | None:
        """(n, 3) int64 cells of the points of a chunk, exact, if the file has integer coordinates; else None."""
        del chunk, voxel_size, origin
        return None


def native_records(dtype: np.dtype) -> np.dtype:
    """Packed records of the same fields in the machine's byte order; float16 becomes float32, bool uint8."""
    names = dtype.names or ()
    kinds = {np.dtype(np.float16): np.dtype(np.float32), np.dtype(bool): np.dtype(np.uint8)}
    own = [dtype[name].newbyteorder("=") for name in names]
    return np.dtype([(name, kinds.get(kind, kind)) for name, kind in zip(names, own)])


def fields_of(dtype: np.dtype) -> list[Field]:
    """The fields of records, each a column."""
    return [Field(name, int(dtype.fields[name][1]), dtype[name]) for name in dtype.names or ()]  # type: ignore[index]


def binary(path: Path, dtype: np.dtype, offset: int, total: int, size: int) -> Iterator[Array]:
    """`total` records from byte `offset` on, in chunks of `size`, converted to the machine's byte order."""
    own = dtype if dtype.isnative else dtype.newbyteorder("=")
    with open(path, "rb", buffering=0) as file:
        file.seek(offset)
        for start in range(0, total, size):
            n = min(size, total - start)
            x = np.fromfile(file, dtype, n)
            if len(x) < n:
                place = offset + (start + len(x)) * dtype.itemsize
                raise FileError(path, "became shorter while it was read", place)
            yield x if own is dtype else x.astype(own)


def binary_part(path: Path, dtype: np.dtype, offset: int, start: int, stop: int) -> Array:
    """The records from start to stop of those that `binary` yields."""
    return next(binary(path, dtype, offset + start * dtype.itemsize, stop - start, stop - start))


def even_borders(total: int, size: int) -> list[int]:
    """The borders of parts of `size` records."""
    return [*range(0, total, size), total]


def check_room(path: Path, offset: int, record: int, points: int) -> None:
    """Raise where the file ends before the `points` records of `record` bytes that its header announces."""
    there = max(path.stat().st_size - offset, 0)
    if there < points * record:
        problem = f"truncated: {points} points of {record} bytes announced, {there // record} there"
        raise FileError(path, problem, offset + there)


def digits_value(text: str) -> int | None:
    """The value of at most 18 ASCII digits, as headers have counts; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def decode(raw: bytes) -> str:
    """Text of a header: UTF-8, or Latin 1 if it is not valid UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin1")
