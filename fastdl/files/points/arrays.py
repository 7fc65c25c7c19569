"""Point clouds without a format of their own: KITTI and nuScenes floats, and NumPy's .npy and .npz."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl.files.npy import NpyReader
from fastdl.files.points.reader import PointReader, binary
from fastdl.files.points.sorted_rows import Rows

Array = np.ndarray

KITTI = ("x", "y", "z", "intensity")
NUSCENES = ("x", "y", "z", "intensity", "ring")


class FloatReader(PointReader):
    """Little-endian float32 records: four a point in KITTI's .bin, five in nuScenes' .pcd.bin."""

    def __init__(self, path: str | Path, columns: tuple[str, ...]):
        self.path = _check.existing(path)
        self.dtype = np.dtype([(name, "<f4") for name in columns])
        size, record = self.path.stat().st_size, self.dtype.itemsize
        if size % record:
            raise _check.FileError(self.path, f"truncated: ends within a point of {record} bytes", size)
        self._describe(self.dtype, size // record)

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        return binary(self.path, self.dtype, 0, self.points, points)


class NpyPointReader(PointReader):
    """A .npy array: (N, C) numbers whose first three columns are x, y, z, or (N,) records with these fields."""

    def __init__(self, path: str | Path):
        self.npy = NpyReader(path)
        self.path = self.npy.path
        self.dtype = _records(self.path, self.npy.dtype, self.npy.shape)
        self._describe(self.dtype, self.npy.shape[0])

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        return binary(self.path, self.dtype, self.npy.offset, self.points, points)


class NpzPointReader(PointReader):
    """A .npz archive, held in memory: an array "points", or one array a column (as `write_npz` does), or one array."""

    def __init__(self, path: str | Path):
        self.path = _check.existing(path)
        name = ""
        try:
            with open(self.path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                names = archive.files
                name = "points" if "points" in names else names[0] if len(names) == 1 else ""
                if name:
                    x = archive[name]
                    self.data = np.ascontiguousarray(x).view(_records(self.path, x.dtype, x.shape)).reshape(-1)
                else:
                    self.data = self._join({name: archive[name] for name in names})
        except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
            if isinstance(error, _check.FastdlError):
                raise
            raise _check.FileError(self.path, f"not a .npz archive that can be read: {error}", self._place()) from None
        self._describe(self.data.dtype, len(self.data))

    def _join(self, arrays: dict[str, Array]) -> Array:
        if not {"x", "y", "z"} <= arrays.keys():
            found = ", ".join(arrays) or "nothing"
            raise _check.FileError(self.path, f'must hold "points", or "x", "y", "z", or one array; holds {found}')
        shape = arrays["x"].shape
        columns = {k: v for k, v in arrays.items() if k in "xyz" or (v.shape == shape and v.dtype.kind in "biuf")}
        if len(shape) != 1 or any(v.shape != shape for v in columns.values()):
            raise _check.FileError(self.path, "x, y and z must be of one length")
        out = np.empty(shape, [(k, v.dtype) for k, v in columns.items()])
        for k, v in columns.items():
            out[k] = v
        return out

    def _place(self) -> int:
        """Where the trouble is: the first member whose checksum fails, or the end, where the list of members stands."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                bad = archive.testzip()
                return archive.getinfo(bad).header_offset if bad else 0
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError):
            return self.path.stat().st_size

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        for start in range(0, self.points, points):
            yield self.data[start : start + points]


def _records(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.dtype:
    """`dtype` as a record with one field a column."""
    if dtype.names is not None and len(shape) == 1:
        return dtype
    if len(shape) != 2 or shape[1] < 3 or dtype.names is not None:
        raise _check.FileError(
            path, f"must hold (N, C >= 3) numbers or records with x, y, z; got shape {shape}, {dtype}"
        )
    names = NUSCENES[: shape[1]] + tuple(f"column{k}" for k in range(5, shape[1]))
    return np.dtype([(name, dtype) for name in names])


def write_npy(file: IO[bytes], rows: Rows) -> None:
    """(N, C) numbers where all columns have one dtype, else records with a field a column."""
    kinds = {rows.schema[name] for name in rows.schema.names or ()}
    one = kinds.pop() if len(kinds) == 1 else None
    shape = (rows.count, len(rows.schema.names or ())) if one else (rows.count,)
    _npy_header(file, one or rows.schema, shape)
    for block in rows.blocks():
        file.write(block.view(np.uint8).data)


def write_npz(file: IO[bytes], rows: Rows, extra: dict[str, Array]) -> None:
    """One array a column, each in its own dtype, and those of `extra`; no column is held whole."""
    with zipfile.ZipFile(file, "w") as archive:
        for name in rows.schema.names or ():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                dtype, shape = rows.schema[name].subdtype or (rows.schema[name], ())
                _npy_header(member, dtype, (rows.count, *shape))
                for block in rows.blocks():
                    member.write(np.ascontiguousarray(block[name]).view(np.uint8).data)
        for name, x in extra.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, x)


def _npy_header(file: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
