"""Point clouds as plain arrays: the float records of KITTI and nuScenes, and NumPy's .npy and .npz."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.errors import FastdlError, FileError, InputError
from fastdl.files.npy import read_npy_header, write_npy_header
from fastdl.files.points.fields import Field, unique
from fastdl.files.points.reader import (
    PointReader,
    binary,
    binary_part,
    check_room,
    even_borders,
    fields_of,
    native_records,
)
from fastdl.files.points.sorted_rows import CloudRows

KITTI = ("x", "y", "z", "intensity")
NUSCENES = ("x", "y", "z", "intensity", "ring")
_VOXEL_ARRAYS = ("coords", "counts", "accounting")  # what fastdl's .npz of voxels holds beside the columns
_RINGS = 256  # no scanner has more lasers
_DEFLATE = 1032  # the highest compression ratio of deflate; zip's other methods do not reach it on clouds
#: Names under which archives hold an array of points: fastdl's, Open3D's, PyTorch Geometric's, and other usual ones.
_WHOLE = ("points", "positions", "xyz", "pos", "point_cloud", "pointcloud")
_WIDE = 32  # columns: an array of 3 rows and more columns than these is taken for transposed points
_MOST_COLUMNS = 4096  # more are an error: a header of a few bytes may announce billions


def layout_of_suffix(path: Path) -> tuple[str, ...]:
    """The columns of a .bin file, by its name."""
    return NUSCENES if path.name.lower().endswith(".pcd.bin") else KITTI


class FloatReader(PointReader):
    """Little-endian float32 records: four a point in KITTI's .bin, five in nuScenes' .pcd.bin, others by a layout."""

    def __init__(self, path: str | Path, layout: Sequence[str] | None = None):
        self.path = _check.existing(path)
        size = self.path.stat().st_size
        columns = tuple(layout) if layout else self._columns(size)
        dtype = np.dtype([(name, "<f4") for name in layout_names(self.path, columns)])
        if size % dtype.itemsize:
            raise FileError(self.path, f"truncated: ends within a point of {dtype.itemsize} bytes", size)
        self._describe(_named(dtype), dtype.itemsize, size // dtype.itemsize)

    def _columns(self, size: int) -> tuple[str, ...]:
        """The columns by the file's name; if its size fits both layouts, its numbers must not look like nuScenes'."""
        if layout_of_suffix(self.path) == NUSCENES:
            return NUSCENES
        if size % 16 == 0 and size % 20 == 0 and self._has_rings():
            problem = "may be points of four numbers or of five; --layout x,y,z,intensity[,ring] says which"
            raise FileError(self.path, problem)
        return KITTI

    def _has_rings(self) -> bool:
        """Whether every fifth number at the beginning is a small whole number, as the ring of a laser is."""
        fifth = np.fromfile(self.path, "<f4", 5 << 12)[4::5]
        whole = ((fifth >= 0) & (fifth < _RINGS) & (fifth == np.rint(fifth))).all()
        return bool(whole) and len(np.unique(fifth)) > 1

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        return binary(self.path, self.record, 0, self.points, points)

    def borders(self, points: int) -> list[int]:
        """The borders of equal parts."""
        return even_borders(self.points, points)

    def part(self, start: int, stop: int) -> Array:
        """The points from start to stop."""
        return binary_part(self.path, self.record, 0, start, stop)


class NpyPointReader(PointReader):
    """A .npy array: (N, C) numbers whose first three columns are x, y, z, or (N,) records with these fields."""

    def __init__(self, path: str | Path, layout: Sequence[str] | None = None):
        self.path = _check.existing(path)
        with open(self.path, "rb") as file:
            try:
                self.shape, self.fortran, dtype = read_npy_header(file)
            except ValueError as error:
                raise FileError(self.path, f"not a .npy file: {error}", 0) from None
            self.offset = file.tell()
        self.dtype = _records(self.path, dtype, self.shape, layout)
        own = native_records(self.dtype)
        self._describe(_named(own), own.itemsize, self.shape[0])
        check_room(self.path, self.offset, self.dtype.itemsize, self.points)

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        own = native_records(self.dtype)
        if self.fortran and len(self.shape) > 1:
            yield from self._columns_first(own, points)
            return
        for chunk in binary(self.path, self.dtype, self.offset, self.points, points):
            yield chunk.astype(own, copy=False)

    def borders(self, points: int) -> list[int] | None:
        """The borders of equal parts; None in Fortran order, where a point's numbers lie apart."""
        return None if self.fortran and len(self.shape) > 1 else even_borders(self.points, points)

    def part(self, start: int, stop: int) -> Array:
        """The points from start to stop."""
        return binary_part(self.path, self.dtype, self.offset, start, stop).astype(
            native_records(self.dtype), copy=False
        )

    def _columns_first(self, own: np.dtype, points: int) -> Iterator[Array]:
        """The points of a file in Fortran order: one column after the other."""
        names = self.dtype.names or ()
        with open(self.path, "rb", buffering=0) as file:
            for start in range(0, self.points, points):
                chunk = np.empty(min(points, self.points - start), own)
                for k, name in enumerate(names):
                    place = self.offset + (k * self.points + start) * self.dtype[name].itemsize
                    file.seek(place)
                    column = np.fromfile(file, self.dtype[name], len(chunk))
                    if len(column) < len(chunk):
                        raise FileError(self.path, "became shorter while it was read", place + column.nbytes)
                    chunk[name] = column
                yield chunk


@dataclass(frozen=True)
class _Member:
    """An array in an archive: the offset of its numbers within the member, their dtype and shape."""

    info: zipfile.ZipInfo
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    columns_first: bool = False


class NpzPointReader(PointReader):
    """A .npz archive: one array, one of the names in `_WHOLE`, or one array a column (as `write_npz` does)."""

    def __init__(self, path: str | Path, layout: Sequence[str] | None = None):
        self.path = _check.existing(path)
        self._at = self.path.stat().st_size  # the list of members stands at the end
        remarks: list[str] = []
        with self._guarded(), zipfile.ZipFile(self.path) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            whole_names = _WHOLE[:1] if {"x", "y", "z"} <= set(names) else _WHOLE
            one = names[0] if len(names) == 1 else next((name for name in whole_names if name in names), None)
            found = {name: self._member(archive, name) for name in ([one] if one else names)}
        if one:
            whole = found[one]
            self.dtype = _records(self.path, whole.dtype, whole.shape, layout)
            self.members = {one: whole}
            if len(names) > 1:
                remarks.append(f"only {one} is read, not {', '.join(name for name in names if name != one)}")
        else:
            self.members = self._columns(found, remarks)
            self.dtype = np.dtype([(name, m.dtype) for name, m in self.members.items()])
        own = native_records(self.dtype)
        points = next(iter(self.members.values())).shape[0]
        self._describe(_named(own), own.itemsize, points)
        self.remarks += remarks

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever zipfile, zlib and NumPy raise for damaged bytes is a fault of the file."""
        try:
            yield
        except (FastdlError, FileNotFoundError, PermissionError):
            raise
        except Exception as error:
            kind = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
            raise FileError(self.path, f"not a .npz archive that can be read: {kind}", self._at) from None

    def _member(self, archive: zipfile.ZipFile, name: str) -> _Member:
        info = archive.getinfo(f"{name}.npy")
        self._at = info.header_offset
        size = self.path.stat().st_size
        if info.compress_size > size or info.file_size > info.compress_size * _DEFLATE + 1024:
            raise FileError(self.path, f"{name}.npy cannot be {info.file_size} bytes", self._at)
        with archive.open(info) as file:
            shape, fortran, dtype = read_npy_header(file)
            offset = file.tell()
        if dtype.hasobject or min(shape, default=0) < 0:
            raise FileError(self.path, f"{name} holds {dtype} of shape {shape}, not numbers", self._at)
        if math.prod(shape) * dtype.itemsize > info.file_size - offset:
            problem = f"{name} announces {dtype} of shape {shape}, in {info.file_size - offset} bytes"
            raise FileError(self.path, problem, self._at)
        return _Member(info, offset, dtype, shape, fortran and len(shape) > 1)

    def _columns(self, found: dict[str, _Member], remarks: list[str]) -> dict[str, _Member]:
        if not {"x", "y", "z"} <= found.keys():
            names = ", ".join(found) or "nothing"
            raise FileError(self.path, f"must hold {', '.join(_WHOLE)}, or x, y, z, or one array; holds {names}")
        shape = found["x"].shape
        if len(shape) != 1 or any(found[axis].shape != shape for axis in "xyz"):
            raise FileError(self.path, "x, y and z must be of one length")
        own = _VOXEL_ARRAYS if set(_VOXEL_ARRAYS) <= found.keys() else ()
        kept = {}
        for name, m in found.items():
            if m.shape == shape and m.dtype.kind in "biuf" and name not in own:
                kept[name] = m
            elif name not in own:
                remarks.append(f"{name} of shape {m.shape} is not a column, and left out")
        return kept

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points."""
        own = native_records(self.dtype)
        with self._guarded(), ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(self.path))
            files = {name: stack.enter_context(archive.open(m.info)) for name, m in self.members.items()}
            for name, m in self.members.items():
                self._at = m.info.header_offset
                files[name].read(m.offset)
            whole = len(self.members) == 1 and len(self.dtype.names or ()) > 1
            if whole and next(iter(self.members.values())).columns_first:
                yield from self._columns_first(files, own, points)
                return
            for start in range(0, self.points, points):
                n = min(points, self.points - start)
                if whole:
                    name = next(iter(self.members))
                    yield self._read(files[name], name, self.dtype, n).astype(own, copy=False)
                    continue
                chunk = np.empty(n, own)
                for name, m in self.members.items():
                    chunk[name] = self._read(files[name], name, m.dtype, n)
                yield chunk

    def _columns_first(self, files: dict[str, IO[bytes]], own: np.dtype, points: int) -> Iterator[Array]:
        """The points of an array in Fortran order, all of which is held in memory."""
        [(name, file)] = files.items()
        columns = {n: self._read(file, name, self.dtype[n], self.points) for n in self.dtype.names or ()}
        for start in range(0, self.points, points):
            chunk = np.empty(min(points, self.points - start), own)
            for n, column in columns.items():
                chunk[n] = column[start : start + len(chunk)]
            yield chunk

    def _read(self, file: IO[bytes], name: str, dtype: np.dtype, rows: int) -> Array:
        self._at = self.members[name].info.header_offset
        data = file.read(rows * dtype.itemsize)
        if len(data) < rows * dtype.itemsize:
            raise FileError(self.path, f"{name} ends before its {self.points} values", self._at)
        return np.frombuffer(bytearray(data), dtype)


def _named(dtype: np.dtype) -> list[Field]:
    """The fields of a record without those that the layout leaves out."""
    return [f for f in fields_of(dtype) if not f.name.startswith("_")]


def layout_names(path: Path, layout: Sequence[str]) -> list[str]:
    """The names of a layout, which must differ; columns that are left out ("_") become _0, _1, and so on."""
    named = [name for name in layout if name != "_"]
    if len(set(named)) < len(named) or not all(named) or {"x", "y", "z"} - set(named):
        raise InputError(f"{path}: a layout names x, y, z and each other column once, got {','.join(layout)}")
    return [name if name != "_" else f"_{k}" for k, name in enumerate(layout)]


def _records(path: Path, dtype: np.dtype, shape: tuple[int, ...], layout: Sequence[str] | None) -> np.dtype:
    """`dtype` as a record with one field a column."""
    if dtype.names is not None and len(shape) == 1:
        return _flat(path, dtype)
    if len(shape) != 2 or shape[1] < 3 or dtype.names is not None or dtype.kind not in "biuf":
        problem = f"must hold (N, C >= 3) numbers or records with x, y, z; got shape {shape}, {dtype}"
        raise FileError(path, problem)
    if shape[1] > _MOST_COLUMNS:
        raise FileError(path, f"has {shape[1]} columns; {_MOST_COLUMNS} are read at most")
    if not layout and shape[0] == 3 and shape[1] > _WIDE:
        problem = f"holds 3 rows of {shape[1]} numbers: the coordinates of {shape[1]} points stand in columns"
        raise FileError(path, f"{problem}; name them with a layout if these are 3 points")
    if layout and len(layout) != shape[1]:
        raise FileError(path, f"has {shape[1]} columns, the layout names {len(layout)}")
    names = list(KITTI[: shape[1]]) + [f"column{k}" for k in range(4, shape[1])]
    return np.dtype([(name, dtype) for name in (layout_names(path, layout) if layout else names)])


def _flat(path: Path, dtype: np.dtype) -> np.dtype:
    """Records with a field for every number: a field of three becomes name_0, name_1, name_2."""
    names, kinds, offsets = [], [], []
    taken: set[str] = set()
    for name in dtype.names or ():
        inner, at = dtype.fields[name][:2]  # type: ignore[index]
        kind, shape = inner.subdtype or (inner, ())
        if kind.kind not in "biuf":
            raise FileError(path, f"column {name} is {kind}; only columns of numbers are read")
        for k in range(math.prod(shape)):
            names.append(unique(f"{name}_{k}" if shape else name, taken))
            kinds.append(kind)
            offsets.append(at + k * kind.itemsize)
    return np.dtype({"names": names, "formats": kinds, "offsets": offsets, "itemsize": dtype.itemsize})


def write_npy(file: IO[bytes], rows: CloudRows) -> dict[str, str]:
    """(N, C) numbers where all columns have one dtype, else records with a field a column."""
    names = rows.schema.names or ()
    kinds = {rows.schema[name] for name in names}
    # Numbers without names are read back as x, y, z, intensity: only where that is what they are.
    one = kinds.pop() if len(kinds) == 1 and names == KITTI[: len(names)] else None
    write_npy_header(file, one or rows.schema, (rows.count, len(names)) if one else (rows.count,))
    for block in rows.blocks():
        file.write(np.ascontiguousarray(block).view(np.uint8).data)
    return {}


def write_floats(file: IO[bytes], rows: CloudRows, columns: Sequence[str] = KITTI) -> dict[str, str]:
    """Little-endian float32 records; the columns must be exactly these, since the file does not name them."""
    names = rows.schema.names or ()
    if names != tuple(columns):
        got = ", ".join(names)
        raise InputError(f"a .bin file holds {', '.join(KITTI)} and does not name them, got {got}; see --columns")
    for block in rows.blocks():
        out = np.empty((len(block), len(names)), "<f4")
        for k, name in enumerate(names):
            out[:, k] = block[name]
        file.write(out.data)
    return {}


def write_npz(file: IO[bytes], rows: CloudRows, extra: dict[str, Array]) -> dict[str, str]:
    """One array a column, each in its own dtype, and those of `extra`, written block by block.

    Returns the new names of columns that had to be renamed: a member's name must not contain a slash.
    """
    taken, renamed = set(extra), {}
    with zipfile.ZipFile(file, "w") as archive:
        for name in rows.schema.names or ():
            kind, shape = rows.schema[name].subdtype or (rows.schema[name], ())
            given = unique("".join("_" if c in "/\\\0" else c for c in name) or "column", taken)
            if given != name:
                renamed[name] = given
            with archive.open(_info(given), "w", force_zip64=True) as member:
                write_npy_header(member, kind, (rows.count, *shape))
                for block in rows.blocks():
                    member.write(np.ascontiguousarray(block[name]).view(np.uint8).data)
        for name, x in extra.items():
            with archive.open(_info(name), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, x)
    return renamed


def _info(name: str) -> zipfile.ZipInfo:
    """A member without a time stamp, so that the same points give the same bytes."""
    return zipfile.ZipInfo(f"{name}.npy")
