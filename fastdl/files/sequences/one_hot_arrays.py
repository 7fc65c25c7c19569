"""Writes one-hot rows to .npy or .zarr, batch by batch; the array appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl._typing import Array, DTypeLike
from fastdl.files import temporaries
from fastdl.files.atomic import replacing, replacing_folder, replacing_together
from fastdl.files.npy import NpyWriter

_CHUNK = 1 << 22  # bytes of a chunk of zarr, before it is compressed


class _Planes:
    """Writes a .npy file of (A, total), some columns at a time."""

    def __init__(self, file: IO[bytes], dtype: np.dtype, channels: int, total: int):
        self.file, self.total, self.at = file, total, 0
        fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (channels, total)}
        np.lib.format.write_array_header_1_0(file, fields)
        self.start = file.tell()
        file.truncate(self.start + channels * total * dtype.itemsize)

    def write(self, columns: Array) -> None:
        """Append columns (A, n)."""
        size = columns.itemsize
        for j, plane in enumerate(columns):
            self.file.seek(self.start + (j * self.total + self.at) * size)
            self.file.write(np.ascontiguousarray(plane).data.cast("B") if plane.size else b"")
        self.at += columns.shape[1]

    def finish(self) -> None:
        """Does nothing: the header was complete from the start."""


class _Zarr:
    """Writes a zarr array that grows along one axis, in whole chunks."""

    def __init__(self, path: Path, dtype: np.dtype, row: tuple[int, ...], axis: int):
        zarr = _check.extra("zarr", "scale", "writing .zarr")
        self.axis, self.rows, self.buffered = axis, 0, 0
        self.buffer: list[Array] = []
        size = max(1, int(np.prod(row)) * dtype.itemsize)
        self.step = max(1, _CHUNK // size)
        self.shape = row if axis == 0 else row[:axis]
        shape, chunks = self._sized(0), self._sized(self.step)
        self.array = zarr.create_array(store=str(path), shape=shape, chunks=chunks, dtype=dtype)

    def _sized(self, n: int) -> tuple[int, ...]:
        return (n, *self.shape) if self.axis == 0 else (*self.shape, n)

    def write(self, rows: Array) -> None:
        """Append rows, or columns with axis 1."""
        self.buffer.append(rows)
        self.buffered += rows.shape[self.axis]
        if self.buffered >= self.step:
            self._flush(self.buffered // self.step * self.step)

    def _flush(self, n: int) -> None:
        if not n:
            return
        with temporaries.lock:  # write no more chunks when the process is about to end
            temporaries.check()
        whole = np.concatenate(self.buffer, axis=self.axis)
        head, tail = np.split(whole, [n], axis=self.axis)
        self.array.resize(self._sized(self.rows + n))
        span = slice(self.rows, self.rows + n)
        self.array[span if self.axis == 0 else (slice(None), span)] = head
        self.rows += n
        self.buffer, self.buffered = [tail], self.buffered - n

    def finish(self) -> None:
        """Write the rows that are left."""
        self._flush(self.buffered)


@contextmanager
def writing(
    path: Path, beside: Path, dtype: DTypeLike, row: tuple[int, ...], total: int | None = None
) -> Iterator[tuple[NpyWriter | _Planes | _Zarr, IO[bytes]]]:
    """A writer of the array, and the open file `beside` for its description, which always belong to the same job.

    The writer's `write` takes rows (n, *row); with `total`, the next columns (A, n) of (A, total), where `row` is (A,).
    """
    dtype = np.dtype(dtype)
    writer: NpyWriter | _Planes | _Zarr
    if path.suffix == ".zarr":
        with replacing(beside) as description, replacing_folder(path) as folder:
            writer = _Zarr(folder, dtype, row, 0 if total is None else 1)
            yield writer, description
            writer.finish()
            beside.unlink(missing_ok=True)  # the old one must not stand beside the new array
    else:
        with replacing_together(path, beside) as (file, description):
            writer = NpyWriter(file, dtype, row) if total is None else _Planes(file, dtype, row[0], total)
            yield writer, description
            writer.finish()
