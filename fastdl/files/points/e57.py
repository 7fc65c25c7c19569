"""E57, the exchange format of terrestrial scanners, by pye57: all scans of a file, in its common coordinates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FastdlError, FileError
from fastdl.files.points.reader import PointReader, fields_of

T = TypeVar("T")

_ATTRIBUTES = {
    "intensity": ("intensity", np.float32),
    "colorRed": ("red", np.uint8),
    "colorGreen": ("green", np.uint8),
    "colorBlue": ("blue", np.uint8),
    "rowIndex": ("row_index", np.int32),
    "columnIndex": ("column_index", np.int32),
    "returnIndex": ("return_index", np.int32),
    "timeStamp": ("time_stamp", np.float64),
}
_CARTESIAN = ("cartesianX", "cartesianY", "cartesianZ")
_SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")


class E57Reader(PointReader):
    """The points of all scans of an E57 file, each scan held in memory while it is read.

    Points that the scanner marked as invalid have NaN coordinates.
    """

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        self._file: Any = self._guarded(lambda: _check.extra("pye57", "e57", str(self.path)).E57(str(self.path)))
        self.scans = [self._guarded(partial(self._file.get_header, k)) for k in range(self._file.scan_count)]
        fields = {name for header in self.scans for name in header.point_fields}
        kept = [_ATTRIBUTES[name] for name in _ATTRIBUTES if name in fields]
        dtype = np.dtype([("x", np.float64), ("y", np.float64), ("z", np.float64), *kept])
        counts = [int(header.point_count) for header in self.scans]
        self._describe(fields_of(dtype), dtype.itemsize, sum(counts))
        if left := sorted(fields - set(_ATTRIBUTES) - set(_CARTESIAN) - set(_SPHERICAL)):
            self.remarks.append(f"fields that are not read: {', '.join(left)}")

    def _guarded(self, run: Callable[[], T]) -> T:
        """run(), with its errors raised as those of the file."""
        try:
            return run()
        except FastdlError:
            raise
        except Exception as error:  # pye57 passes on every exception of libE57
            raise FileError(self.path, f"not an E57 file that can be read: {error}", 0) from None

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        for number, header in enumerate(self.scans):
            scan = self._guarded(partial(self._file.read_scan_raw, number))
            rows = self._scan(scan, header)
            for start in range(0, len(rows), points):
                yield rows[start : start + points]

    def _scan(self, scan: dict[str, Array], header: Any) -> Array:
        """The points of one scan, transformed to the file's common coordinates."""
        if set(_CARTESIAN) <= scan.keys():
            xyz = np.stack([scan[name] for name in _CARTESIAN], axis=1).astype(np.float64)
            invalid = scan.get("cartesianInvalidState")
        elif set(_SPHERICAL) <= scan.keys():
            r, azimuth, elevation = (np.asarray(scan[name], np.float64) for name in _SPHERICAL)
            flat = r * np.cos(elevation)
            xyz = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), r * np.sin(elevation)], axis=1)
            invalid = scan.get("sphericalInvalidState")
        else:
            raise FileError(self.path, f"a scan has no coordinates; it has {', '.join(scan)}")
        if header.has_pose():
            xyz = xyz @ np.asarray(header.rotation_matrix).T + np.asarray(header.translation)
        if invalid is not None:
            xyz[np.asarray(invalid) != 0] = np.nan
        out = np.zeros(len(xyz), self.record)
        for k, axis in enumerate("xyz"):
            out[axis] = xyz[:, k]
        for name, (given, kind) in _ATTRIBUTES.items():
            if name in scan and given in (self.record.names or ()):
                out[given] = np.asarray(scan[name]).astype(kind)
        return out
