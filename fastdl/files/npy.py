"""NumPy's .npy files in chunks of rows; a writer need not know their number before the end."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl._typing import DTypeLike
from fastdl.errors import FileError, InputError

_LONGEST = 1 << 20  # bytes: a longer header is an error
_HEADER = 128  # bytes of the header of a streamed file: room for any number of rows, which is filled in at the end


class NpyWriter:
    """Writes arrays one after the other along the first axis; `finish` fills in the length."""

    def __init__(self, file: IO[bytes], dtype: DTypeLike, row: Sequence[int] = ()):
        self.file, self.dtype, self.row, self.rows = file, np.dtype(dtype), tuple(row), 0
        file.write(_streamed_header(self.dtype, (0, *self.row)))

    def write(self, rows: np.ndarray) -> None:
        """Append rows of the shape and dtype given at the start."""
        if rows.dtype != self.dtype or rows.shape[1:] != self.row:
            shape = ", ".join(["n", *map(str, self.row)]) + "," * (not self.row)
            raise InputError(f"rows must be {self.dtype} of shape ({shape}), got {rows.dtype} {rows.shape}")
        self.file.write(np.ascontiguousarray(rows).data.cast("B") if rows.size else b"")
        self.rows += len(rows)

    def finish(self) -> None:
        """Fill in the length."""
        self.file.seek(0)
        self.file.write(_streamed_header(self.dtype, (self.rows, *self.row)))


@lru_cache(64)
def _streamed_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """A header of _HEADER bytes; cached, because many small arrays have the same."""
    fields = f"{{'descr': {np.lib.format.dtype_to_descr(dtype)!r}, 'fortran_order': False, 'shape': {shape}}}"
    body = fields.encode("latin1").ljust(_HEADER - 11) + b"\n"
    if len(body) != _HEADER - 10:
        raise InputError(f"dtype {dtype} is too long for the header of a streamed .npy file")
    return b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + body


class NpyReader:
    """Reads a C-ordered .npy file in chunks of rows, with memory for one chunk."""

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        with open(self.path, "rb") as file:
            try:
                self.shape, fortran, self.dtype = read_npy_header(file)
            except ValueError as error:
                raise FileError(self.path, f"not a .npy file: {error}", 0) from None
            self.offset = file.tell()
        if fortran and len(self.shape) > 1:
            raise FileError(self.path, "is in Fortran order; only C order is streamed")
        if self.dtype.hasobject or not self.shape or min(self.shape) < 0:
            raise FileError(self.path, f"must hold rows of numbers, got shape {self.shape}, {self.dtype}")
        size, there = self.dtype.itemsize * math.prod(self.shape), self.path.stat().st_size - self.offset
        if there < size:
            problem = f"truncated: {size} bytes of data announced, {there} there"
            raise FileError(self.path, problem, self.offset + there)

    def chunks(self, rows: int) -> Iterator[np.ndarray]:
        """Arrays of at most `rows` rows, in order."""
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for start in range(0, self.shape[0], rows):
                yield self._next(file, min(rows, self.shape[0] - start))

    def read(self, start: int, rows: int) -> np.ndarray:
        """The `rows` rows from row `start` on."""
        if not 0 <= start <= start + rows <= self.shape[0]:
            raise InputError(f"rows {start} to {start + rows} asked of {self.path}, which has {self.shape[0]}")
        with open(self.path, "rb") as file:
            file.seek(self.offset + start * math.prod(self.shape[1:]) * self.dtype.itemsize)
            return self._next(file, rows)

    def _next(self, file: IO[bytes], rows: int) -> np.ndarray:
        """The next rows of an open file."""
        count = rows * math.prod(self.shape[1:])
        block = np.fromfile(file, self.dtype, count)
        if len(block) < count:
            raise FileError(self.path, "truncated while it was read", os.fstat(file.fileno()).st_size)
        return block.reshape(rows, *self.shape[1:])


def read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and dtype, from the header at the beginning of a file.

    Raises ValueError for any other header.
    """
    start = file.read(8)
    if len(start) < 8 or start[:6] != b"\x93NUMPY" or start[6] not in (1, 2, 3):
        raise ValueError("it does not begin with NumPy's magic and a version from 1 to 3")
    size = 2 if start[6] == 1 else 4
    length = int.from_bytes(file.read(size), "little")
    if length > _LONGEST:
        raise ValueError(f"a header of {length} bytes")
    text = file.read(length)
    if len(text) < length:
        raise ValueError(f"a header of {length} bytes announced, {len(text)} there")
    try:
        header = ast.literal_eval(text.decode("utf-8" if start[6] == 3 else "latin1").strip())
        shape, dtype = header["shape"], np.lib.format.descr_to_dtype(header["descr"])
        whole, fortran = all(type(n) is int and n >= 0 for n in shape), header["fortran_order"]
    except Exception as error:  # the header is a Python literal: parsing a damaged one may raise nearly anything
        raise ValueError(f"its header cannot be read: {error}") from None
    if type(shape) is not tuple or not whole or type(fortran) is not bool:
        raise ValueError(f"its header cannot be: shape {shape!r}, fortran_order {fortran!r}")
    return shape, fortran, dtype


def write_npy_header(file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """The header of an array in C order; version 1, or 3 where names or length need it."""
    fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    text = repr(fields)
    wide = not text.isascii() or len(text) > 60_000
    body = text.encode()
    start = 12 if wide else 10
    body += b" " * (-(start + len(body) + 1) % 64) + b"\n"
    version = b"\x03\x00" if wide else b"\x01\x00"
    file.write(b"\x93NUMPY" + version + len(body).to_bytes(start - 8, "little") + body)
