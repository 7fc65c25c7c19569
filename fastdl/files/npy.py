"""NumPy's .npy in chunks of rows: the length of what is written need not be known before the end."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastdl import _check

_HEADER = 128  # bytes: room for any length, so that it can be filled in at the end


class NpyWriter:
    """Writes arrays one after the other along the first axis; `finish` fills in the length."""

    def __init__(self, file: IO[bytes], dtype: Any, row: Sequence[int] = ()):
        self.file, self.dtype, self.row, self.rows = file, np.dtype(dtype), tuple(row), 0
        file.write(self._header())

    def _header(self) -> bytes:
        fields = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.rows, *self.row),
        }
        text = repr(fields).encode("latin1")
        body = text.ljust(_HEADER - 11) + b"\n"
        if len(body) != _HEADER - 10:
            raise _check.InputError(f"dtype {self.dtype} is too long for the header of a streamed .npy file")
        return b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + body

    def write(self, rows: np.ndarray) -> None:
        """Append rows of the shape and dtype given at the start."""
        if rows.dtype != self.dtype or rows.shape[1:] != self.row:
            shape = ", ".join(["n", *map(str, self.row)]) + "," * (not self.row)
            raise _check.InputError(f"rows must be {self.dtype} of shape ({shape}), got {rows.dtype} {rows.shape}")
        self.file.write(np.ascontiguousarray(rows).data.cast("B") if rows.size else b"")
        self.rows += len(rows)

    def finish(self) -> None:
        """Fill in the length."""
        self.file.seek(0)
        self.file.write(self._header())


class NpyReader:
    """Reads a C-ordered .npy file in chunks of rows, with memory for one chunk."""

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        with open(self.path, "rb") as file:
            try:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                self.shape, fortran, self.dtype = read(file)
            except Exception as error:  # NumPy parses the header as Python, and raises what that leads to
                raise _check.FileError(self.path, f"not a .npy file: {error}", 0) from None
            self.offset = file.tell()
        if fortran and len(self.shape) > 1:
            raise _check.FileError(self.path, "is in Fortran order; only C order is streamed")
        if self.dtype.hasobject or not self.shape or min(self.shape) < 0:
            raise _check.FileError(self.path, f"must hold rows of numbers, got shape {self.shape}, {self.dtype}")
        size, there = self.dtype.itemsize * math.prod(self.shape), self.path.stat().st_size - self.offset
        if there < size:
            problem = f"truncated: {size} bytes of data announced, {there} there"
            raise _check.FileError(self.path, problem, self.offset + there)

    def chunks(self, rows: int) -> Iterator[np.ndarray]:
        """Arrays of at most `rows` rows, in order."""
        width = math.prod(self.shape[1:])
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for start in range(0, self.shape[0], rows):
                n = min(rows, self.shape[0] - start)
                block = np.fromfile(file, self.dtype, n * width)
                if len(block) < n * width:
                    raise _check.FileError(self.path, "truncated while it was read", os.fstat(file.fileno()).st_size)
                yield block.reshape(n, *self.shape[1:])
