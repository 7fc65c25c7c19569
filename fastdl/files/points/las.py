"""LAS, LAZ and COPC by laspy and lazrs: records in bounded chunks, cells from the file's own integers, and a writer."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastdl import _check
from fastdl.files.points.reader import PointReader, announced
from fastdl.files.points.sorted_rows import Rows

Array = np.ndarray

_LARGEST = 1 << 62
_LAZ_CHUNK = 50_000  # points that are mostly compressed together: none are decoded in two halves


def _laspy(purpose: object) -> Any:
    laspy = _check.extra("laspy", "points", f"{purpose}: a LAS file")
    log = logging.getLogger("laspy")  # it logs what it also raises
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return laspy


class LasReader(PointReader):
    """A LAS, LAZ or COPC file.

    The attributes are the fields of the point record: packed ones (bit_fields, raw_classification) as they stand.

    Parameters
    ----------
    path : str or Path
    bounds : bool
        Whether a compressed point outside the bounding box of the header is an error. LAZ has no checksums: this is how
        corrupt data are noticed.
    """

    def __init__(self, path: str | Path, *, bounds: bool = True):
        self.path = _check.existing(path)
        self.laspy = _laspy(self.path)
        with open(self.path, "rb") as file:
            start = file.read(100)
            if start[:4] != b"LASF":
                raise _check.FileError(self.path, "not a LAS file: it does not start with LASF", 0)
            size = self.path.stat().st_size
            whole = len(start) == 100 and size >= int.from_bytes(start[96:100], "little")  # the offset of the points
            file.seek(0)
            with self._open(file, 0 if whole else size) as las:
                self.header = las.header
        header = self.header
        self.compressed = bool(header.are_points_compressed)
        self.record = header.point_format.dtype()
        self.scales, self.offsets = (np.array(v, np.float64) for v in (header.scales, header.offsets))
        if not (np.isfinite(self.scales).all() and np.isfinite(self.offsets).all() and (self.scales > 0).all()):
            raise _check.FileError(self.path, f"scales {self.scales}, offsets {self.offsets} cannot be", 131)
        self.flat = _flat(self.record)
        points = int(header.point_count)
        self._describe(self.flat, points)
        self.offset = int(header.offset_to_point_data)
        if not self.compressed:
            announced(self.path, self.offset, self.record.itemsize, points)
        else:
            _check.extra("lazrs", "points", f"{self.path}: a compressed LAS file")
            if size < self.offset + 8:
                raise _check.FileError(self.path, "truncated before its points", size)
        self._box = self._bounds() if bounds and self.compressed else None
        self._lattices: dict[tuple, tuple[Array, Array] | None] = {}

    def _open(self, file: IO[bytes], place: int) -> Any:
        return self._guarded(lambda: self.laspy.LasReader(file, closefd=False), "its header cannot be read", place)

    def _guarded(self, run: Callable[[], Any], problem: str, place: int) -> Any:
        """run(), whose every failure, panics of lazrs included, is one of the file."""
        try:
            return run()
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            if isinstance(error, MemoryError):
                raise
            raise _check.FileError(self.path, f"truncated or corrupt, {problem}: {error}", place) from None

    def _bounds(self) -> tuple[Array, Array] | None:
        """The integers between which the points must lie, with some room for headers that were rounded."""
        low, high = np.array(self.header.mins, np.float64), np.array(self.header.maxs, np.float64)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
            return None
        room = (high - low) / 1000 + 2 * self.scales
        return (low - room - self.offsets) / self.scales, (high + room - self.offsets) / self.scales

    def chunks(self, points: int) -> Iterator[Array]:
        """Structured arrays of at most `points` points, X, Y and Z as the integers in the file."""
        if self.compressed and points > _LAZ_CHUNK:
            points -= points % _LAZ_CHUNK
        with open(self.path, "rb") as file, self._open(file, 0) as las:
            for start in range(0, self.points, points):
                n = min(points, self.points - start)
                place = self._place(file)
                x = self._guarded(partial(las.read_points, n), f"after point {start}", place).array
                if len(x) < n:
                    problem = f"truncated: {self.points} points announced, {start + len(x)} there"
                    raise _check.FileError(self.path, problem, self._place(file))
                if self._box is not None:
                    self._inside(x, start, file)
                yield x.view(self.flat)

    def _place(self, file: IO[bytes]) -> int:
        return max(file.tell(), self.offset)

    def _inside(self, x: Array, start: int, file: IO[bytes]) -> None:
        assert self._box is not None
        for name, low, high in zip("XYZ", *self._box):
            if x[name].min() < low or x[name].max() > high:
                bad = start + int(np.flatnonzero((x[name] < low) | (x[name] > high))[0])
                problem = (
                    f"corrupt: {name} of point {bad} is outside the bounds its header gives; "
                    "if only the header is wrong, --any-bounds reads it"
                )
                raise _check.FileError(self.path, problem, self._place(file))

    def _coordinates(self, chunk: Array, out: Array) -> None:
        for k, name in enumerate("XYZ"):
            out[:, k] = chunk[name] * self.scales[k] + self.offsets[k]

    def cells(self, chunk: Array, voxel_size: Sequence[float], origin: Sequence[float]) -> Array | None:
        """(n, 3) int64 cells by integer floor division, or None where a size is not a whole multiple of its scale."""
        key = (tuple(voxel_size), tuple(origin))
        if key not in self._lattices:
            self._lattices[key] = lattice(self.scales, self.offsets, voxel_size, origin)
        found = self._lattices[key]
        if found is None:
            return None
        out = np.empty((len(chunk), 3), np.int64)
        for k, name in enumerate("XYZ"):
            np.add(chunk[name], found[0][k], out=out[:, k], dtype=np.int64)
            out[:, k] //= found[1][k]
        return out


def _flat(dtype: np.dtype) -> np.dtype:
    """The same record with a field of its own for every value of an array: name_0, name_1, ..."""
    names, formats, offsets = [], [], []
    for name in dtype.names or ():
        base, at = dtype.fields[name][:2]  # type: ignore[index]
        kind, shape = base.subdtype or (base, ())
        count = math.prod(shape)
        for k in range(count):
            names.append(name if not shape else f"{name}_{k}")
            formats.append(kind)
            offsets.append(at + k * kind.itemsize)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize})


def lattice(
    scales: Iterable[float], offsets: Iterable[float], voxel_size: Iterable[float], origin: Iterable[float]
) -> tuple[Array, Array] | None:
    """(shift, step): the cell of integer X is (X + shift) // step; None where a size is no whole multiple of its scale.

    The numbers are the decimals that people wrote, not their binary neighbours: 0.2 is 200 times 0.001. With
    x = X scale + offset and size = step scale, x's cell floor((x - origin) / size) = floor((X + r) / step) for the
    fraction r = (offset - origin) / scale, and as X and step are whole, r may be floored first.

    Examples
    --------
    >>> from fastdl.files.points.las import lattice
    >>> lattice([0.001] * 3, [100.0005] * 3, [0.2] * 3, [0.0] * 3)
    (array([100000, 100000, 100000]), array([200, 200, 200]))
    >>> lattice([0.001] * 3, [0.0] * 3, [0.0015] * 3, [0.0] * 3)
    """
    shifts, steps = [], []
    for numbers in zip(scales, offsets, voxel_size, origin):
        scale, offset, size, start = (Fraction(repr(float(v))) for v in numbers)
        step, shift = size / scale, math.floor((offset - start) / scale)
        if step.denominator != 1 or step > _LARGEST or abs(shift) > _LARGEST:
            return None
        shifts.append(shift)
        steps.append(int(step))
    return np.array(shifts, np.int64), np.array(steps, np.int64)


def write_las(file: IO[bytes], rows: Rows, like: PointReader | None = None, *, compress: bool = False) -> None:
    """A LAS or LAZ file with every column of `rows`, in the point format, scale, offset and projection of `like`.

    Where `like` is not a LAS file: LAS 1.4, columns with a LAS name that fit in that field there, the others as extra
    bytes; coordinates in steps of 0.0001, or of the least power of ten that reaches over the cloud.
    """
    laspy = _laspy("writing")
    if compress:
        _check.extra("lazrs", "points", "writing LAZ")
    names = (rows.schema.names or ())[3:]
    if isinstance(like, LasReader):
        header, place = copy.deepcopy(like.header), {name: name for name in names}
        header.vlrs = [vlr for vlr in header.vlrs if vlr.user_id not in ("copc", "laszip encoded")]
    else:
        header, place = _new_header(laspy, rows)
    evlrs = [vlr for vlr in header.evlrs or () if vlr.user_id != "copc"]
    header.evlrs = None
    record = header.point_format.dtype()
    flat = _flat(record)
    writer = laspy.LasWriter(file, header, do_compress=compress, closefd=False)
    for block in rows.blocks():
        out = np.zeros(len(block), flat)
        for name, scale, offset in zip("XYZ", header.scales, header.offsets):
            steps = np.rint((block[name.lower()] - offset) / scale)
            if not (np.abs(steps) <= 0x7FFFFFFF).all():
                raise _check.InputError(f"{name.lower()} does not fit in a LAS file's 32-bit integers of {scale}")
            out[name] = steps
        for name in names:
            out[place[name]] = block[name]
        writer.write_points(laspy.PackedPointRecord(out.view(record), header.point_format))
    if evlrs and header.version.minor >= 4:
        writer.write_evlrs(laspy.vlrs.vlrlist.VLRList(evlrs))
    writer.close()


def _new_header(laspy: Any, rows: Rows) -> tuple[Any, dict[str, str]]:
    """A header for columns from elsewhere, and the LAS field of each."""
    schema = rows.schema
    names = (schema.names or ())[3:]
    colour = {"red", "green", "blue"} <= {name.lower() for name in names}
    header = laspy.LasHeader(version="1.4", point_format=7 if colour else 6)
    header.generating_software = "fastdl"
    standard = header.point_format.dtype()
    taken = {name.lower() for name in header.point_format.dimension_names} | set("xyz")
    place = {}
    for name in names:
        lower = name.lower()
        if lower in (standard.names or ()) and np.can_cast(schema[name], standard[lower], "safe"):
            place[name] = lower
            continue
        given = name if lower not in taken else f"{name}_value"
        kind = np.dtype(np.uint8) if schema[name].kind == "b" else schema[name]
        kind = np.dtype(np.float32) if kind == np.float16 else kind
        header.add_extra_dim(laspy.ExtraBytesParams(given[:32], kind))
        place[name] = given[:32]
    low, high = (np.floor(rows.low), rows.high) if rows.count else (np.zeros(3), np.zeros(3))
    step = 1e-4
    while (high - low).max() + 1 > step * (1 << 30):
        step *= 10
    header.offsets, header.scales = low, np.full(3, float(f"{step:.0e}"))
    return header, place
