"""Temporary files for points whose voxels do not fit in memory, partitioned by cell as in a hash join."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

import numpy as np

from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.reference import points as reference

PARTS = 16  # temporary files at each level of spilling, chosen by four bits of a cell's hash
_ROWS = 1 << 16  # points read at once


def _close(files: list[IO[bytes]]) -> None:
    for file in files:
        file.close()


def _write_at(file: IO[bytes], data: memoryview, at: int) -> int:
    if hasattr(os, "pwrite"):
        return os.pwrite(file.fileno(), data, at)
    file.seek(at)  # where there is no fork, nobody shares the position
    return file.write(data)


def _read_at(file: IO[bytes], size: int, at: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(file.fileno(), size, at)
    file.seek(at)
    return file.read(size)


def mix_cells(seed: int, cells: Array) -> Array:
    """64 bits for each cell, by which voxels are shared out."""
    return reference.point_hash(seed, cells[:, 0] * 73856093 ^ cells[:, 1] * 19349663 ^ cells[:, 2] * 83492791)


class Spill:
    """Points partitioned by their cell into temporary files, which vanish with the process.

    Files are read and written at explicit offsets, never at the file's own position: forked processes share that
    position, and each would read what the others leave.
    """

    def __init__(self, columns: int, dtype: np.dtype, depth: int):
        self.row = np.dtype([("when", "i8"), ("cell", "i8", 3), ("point", dtype, columns)])
        self.folder = tempfile.gettempdir()
        self.files: list[IO[bytes]] = []
        weakref.finalize(self, _close, self.files)
        for _ in range(PARTS):
            # Unbuffered, so that a full disk is an error at the write, not later.
            self.files.append(tempfile.TemporaryFile(prefix="fastdl-", buffering=0))  # noqa: SIM115
        self.sizes = [0] * PARTS
        self.owner = os.getpid()
        self.depth = depth

    def write(self, when: Array, cells: Array, points: Array) -> None:
        """Write points, each with its index in the input and its cell, to the file of the cell."""
        if os.getpid() != self.owner:
            self._copy()
        rows = np.empty(len(when), self.row)
        rows["when"], rows["cell"], rows["point"] = when, cells, points
        part = (mix_cells(self.depth, cells) >> np.uint64(60)).astype(np.uint8)
        rows = rows[np.argsort(part, kind="stable")]
        ends = np.cumsum(np.bincount(part, minlength=PARTS))
        for k, (a, b) in enumerate(zip(np.concatenate([[0], ends[:-1]]), ends)):
            if b > a:
                self.sizes[k] = self._write(k, rows[a:b].view(np.uint8), self.sizes[k])

    def _write(self, part: int, data: Array, at: int) -> int:
        """Write all bytes at an offset of a file; returns the offset where they end."""
        left = memoryview(data)
        try:
            while left:
                done = _write_at(self.files[part], left, at)
                left, at = left[done:], at + done
        except OSError as error:
            problem = f"{len(left)} bytes of points could not be set aside: {error.strerror or error}"
            raise FileError(self.folder, problem) from error
        return at

    def _copy(self) -> None:
        """Copy the files after a fork: those of before are shared with the parent process."""
        own = [tempfile.TemporaryFile(prefix="fastdl-", buffering=0) for _ in range(PARTS)]  # noqa: SIM115
        shared = self.files[:]
        for k in range(PARTS):
            at = 0
            while at < self.sizes[k]:
                data = self._read(shared[k], k, at, min(1 << 24, self.sizes[k] - at))
                self.files[k] = own[k]
                at = self._write(k, np.frombuffer(data, np.uint8), at)
            self.files[k] = own[k]
        _close(shared)
        self.owner = os.getpid()

    def _read(self, file: IO[bytes], part: int, at: int, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = _read_at(file, size - len(data), at + len(data))
            if not more:
                problem = f"{self.sizes[part]} bytes of points were set aside, of which {at + len(data)} are left"
                raise FileError(self.folder, problem, offset=at + len(data))
            data += more
        return data

    def rows(self, part: int) -> Iterator[Array]:
        """The rows of one file, in the order they were written."""
        step = _ROWS * self.row.itemsize
        for at in range(0, self.sizes[part], step):
            data = self._read(self.files[part], part, at, min(step, self.sizes[part] - at))
            yield np.frombuffer(data, self.row)

    def read(self, part: int) -> Iterator[tuple[Array, Array, Array]]:
        """(indices in the input, cells, points) of one file, in the order they were written."""
        for rows in self.rows(part):
            yield rows["when"].copy(), rows["cell"].copy(), np.ascontiguousarray(rows["point"])

    def __reduce__(self) -> tuple[object, ...]:
        point, (columns,) = self.row["point"].subdtype  # type: ignore[misc]
        rows = [row for part in range(PARTS) for row in self.rows(part)]
        return _restore, (columns, point, self.depth, np.concatenate([np.zeros(0, self.row), *rows]))


def _restore(columns: int, dtype: np.dtype, depth: int, rows: Array) -> Spill:
    """A spill with files of its own, for pickles and copies."""
    spill = Spill(columns, dtype, depth)
    spill.write(rows["when"], rows["cell"], rows["point"])
    return spill
