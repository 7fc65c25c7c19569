"""LAS, LAZ and COPC files: records in chunks, columns by name, and exact voxels from the file's own integers.

The format is read here, without laspy: it is simple, and kernels take its records as they are. LASzip's compression is
left to lazrs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array
from fastdl.errors import FileError
from fastdl.files.points.fields import Field
from fastdl.files.points.las_fields import extra_fields, standard_fields
from fastdl.files.points.las_header import read_header
from fastdl.files.points.laz import LazPoints
from fastdl.files.points.reader import PointReader, binary, binary_part, even_borders
from fastdl.files.points.voxel_lattice import Lattice, lattice
from fastdl.reference import _point_records as reference

kernel = _kernels.load("points_records") or reference

_WAVEFORMS = (4, 5, 9, 10)  # point formats whose records refer to waveforms


class LasReader(PointReader):
    """A LAS, LAZ or COPC file.

    The attributes are the columns of its point format, including those that share a byte (return_number,
    classification, withheld, ...), and the extra bytes that the file describes, scaled if it says so.

    Parameters
    ----------
    path : str or Path
    bounds : bool
        Whether a compressed point outside the bounding box of the header is an error: LAZ has no checksums, and this
        is the only sign of corrupt data.
    """

    def __init__(self, path: str | Path, *, bounds: bool = True):
        self.path = _check.existing(path)
        self.header = header = read_header(self.path)
        self.scales, self.offsets = header.scales, header.offsets
        axes = [
            Field(axis, 4 * k, np.dtype("<i4"), scale=float(self.scales[k]), zero=float(self.offsets[k]))
            for k, axis in enumerate("XYZ")
        ]
        fields = [*axes, *standard_fields(header.point_format), *extra_fields(header)]
        self._describe(fields, header.record_size, header.points)
        self.packed = LazPoints(self.path, header) if header.compressed else None
        self._box = self._bounds() if bounds and header.compressed else None
        self._lattices: dict[tuple[tuple[float, ...], tuple[float, ...]], Lattice] = {}
        if header.point_format in _WAVEFORMS:
            self.remarks.append("its waveforms are not read")

    def _bounds(self) -> tuple[Array, Array] | None:
        """The least and greatest integers of the header's bounds, which are widened a little: headers are rounded."""
        low, high = self.header.low, self.header.high
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            return None
        with np.errstate(over="ignore"):
            room = (high - low) / 1000 + 2 * self.scales
            return (low - room - self.offsets) / self.scales, (high + room - self.offsets) / self.scales

    def chunks(self, points: int) -> Iterator[Array]:
        """Arrays of at most `points` records, X, Y and Z as the integers in the file."""
        if self.packed is None:
            yield from binary(self.path, self.record, self.header.point_offset, self.points, points)
            return
        start = 0
        for records, place in self.packed.read(points):
            chunk = records.reshape(-1).view(self.record)
            if self._box is not None:
                self._inside(chunk, start, place)
            start += len(chunk)
            yield chunk

    def borders(self, points: int) -> list[int] | None:
        """The borders of equal parts; of compressed points, of whole chunks."""
        return even_borders(self.points, points) if self.packed is None else self.packed.borders(points)

    def part(self, start: int, stop: int) -> Array:
        """The records from one border to another."""
        if self.packed is None:
            return binary_part(self.path, self.record, self.header.point_offset, start, stop)
        records, place = self.packed.part(start, stop)
        chunk = records.reshape(-1).view(self.record)
        if self._box is not None and len(chunk):
            self._inside(chunk, start, place)
        return chunk

    def _inside(self, chunk: Array, start: int, place: int) -> None:
        assert self._box is not None
        for name, least, most, low, high in zip("XYZ", *integer_ends(chunk), *self._box):
            if least < low or most > high:
                x = chunk[name]
                bad = start + int(np.flatnonzero((x < low) | (x > high))[0])
                problem = (
                    f"corrupt: {name} of point {bad} is outside the bounds its header gives; "
                    "if only the header is wrong, --any-bounds reads it"
                )
                raise FileError(self.path, problem, place)

    def lattice(self, voxel_size: Sequence[float], origin: Sequence[float]) -> Lattice:
        """The voxels in terms of the file's integers."""
        key = (tuple(voxel_size), tuple(origin))
        if key not in self._lattices:
            self._lattices[key] = lattice(self.scales, self.offsets, voxel_size, origin)
        return self._lattices[key]

    def cells(self, chunk: Array, voxel_size: Sequence[float], origin: Sequence[float]) -> Array:
        """(n, 3) int64 cells of the points of a chunk, by exact arithmetic."""
        return self.lattice(voxel_size, origin).cells(chunk["X"], chunk["Y"], chunk["Z"])


def integer_ends(records: Array) -> Array:
    """The least and the greatest X, Y and Z of LAS records, as two rows."""
    ends = np.empty((2, 3), np.int64)
    data = np.ascontiguousarray(records).view(np.uint8).reshape(len(records), records.dtype.itemsize)
    kernel.lattice_bounds(data, np.array([0, 4, 8], np.int64), ends)
    return ends
