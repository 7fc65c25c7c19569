"""Points set aside in temporary files until there is memory for their voxels."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastdl.points._grid import Array
from fastdl.reference import points as reference

PARTS = 16  # temporary files at each level of spilling
_ROWS = 1 << 16  # read at once


def _close(files: list[Any]) -> None:
    for file in files:
        file.close()


class Spill:
    """Points set aside by the place they are in, in files that vanish with the process."""

    def __init__(self, columns: int, dtype: np.dtype, depth: int):
        self.row = np.dtype([("when", "i8"), ("cell", "i8", 3), ("point", dtype, columns)])
        self.files = [tempfile.TemporaryFile(prefix="fastdl-") for _ in range(PARTS)]  # noqa: SIM115
        self.depth = depth
        weakref.finalize(self, _close, self.files)

    def write(self, when: Array, cells: Array, points: Array) -> None:
        """Set points aside, each with its number in the input, in the file of its cell."""
        rows = np.empty(len(when), self.row)
        rows["when"], rows["cell"], rows["point"] = when, cells, points
        mixed = reference.point_hash(
            self.depth, cells[:, 0] * 73856093 ^ cells[:, 1] * 19349663 ^ cells[:, 2] * 83492791
        )
        part = (mixed >> np.uint64(60)).astype(np.uint8)
        rows = rows[np.argsort(part, kind="stable")]
        ends = np.cumsum(np.bincount(part, minlength=PARTS))
        for file, a, b in zip(self.files, np.concatenate([[0], ends[:-1]]), ends):
            if b > a:
                file.seek(0, 2)
                file.write(rows[a:b].tobytes())

    def read(self, part: int) -> Iterator[tuple[Array, Array, Array]]:
        """What one file holds, in the order it was written."""
        file = self.files[part]
        file.seek(0)
        while data := file.read(_ROWS * self.row.itemsize):
            rows = np.frombuffer(data, self.row)
            yield rows["when"].copy(), rows["cell"].copy(), np.ascontiguousarray(rows["point"])
