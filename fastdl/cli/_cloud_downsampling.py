"""Down-sampling of point cloud files: a file to a file, many tiles to one, or tiles to tiles without seams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastdl._typing import Array
from fastdl.cli import _cloud_columns
from fastdl.cli._progress import ProgressBar
from fastdl.errors import FileError, InputError
from fastdl.files.points import clouds
from fastdl.files.points.fields import take, unique
from fastdl.files.points.las import LasReader
from fastdl.files.points.reader import PointReader, fields_of
from fastdl.files.points.sorted_rows import CloudRows, MadeRows, SortedRowFile
from fastdl.points.record_accumulator import RecordAccumulator, RecordColumn, RecordPart

_CHUNK = 1 << 23  # bytes of records read at once: with the arrays made from them they fit in the last-level cache
_VOXELS = ("coords", "counts", "accounting")  # arrays of a .npz beside the columns


@dataclass(frozen=True)
class Settings:
    """The options of the command."""

    voxel_size: Sequence[float]
    origin: Sequence[float]
    rules: dict[str, str]
    columns: Sequence[str] | None = None
    crop: Array | None = None
    classes: Array | None = None
    min_points: int = 1
    max_bytes: int | None = None
    open: Callable[[Path], PointReader] = clouds.open_points


@dataclass
class Cloud:
    """Files that are reduced together, the columns of their records that are used, and remarks for the user."""

    readers: list[PointReader]
    columns: list[RecordColumn]
    schema: np.dtype
    raw: bool  # whether the records are those of the files, else rows of `schema`
    shifts: list[Array] = field(default_factory=list)  # added to a file's integer coordinates to match the first file
    remarks: list[str] = field(default_factory=list)

    @property
    def first(self) -> PointReader:
        """The file whose integer scale and header the result takes over."""
        return self.readers[0]

    @property
    def record(self) -> np.dtype:
        """The dtype of the voxels' records."""
        return self.first.record if self.raw else self.schema


def open_cloud(readers: list[PointReader], settings: Settings) -> Cloud:
    """The files as one cloud; where their records differ, the columns that all of them have."""
    first = readers[0]
    names = _cloud_columns.chosen_columns(first, settings.columns)
    shifts = _shifts(readers)
    if shifts is not None:
        columns = _cloud_columns.record_columns(first, names, settings.rules)
        schema = np.dtype([(n, first.schema[n]) for n in names])
        return Cloud(readers, columns, schema, True, shifts)
    common = [n for n in names if all(n in r.columns for r in readers)]
    left = sorted({n for r in readers for n in r.columns} - set(common))
    remarks = [f"columns that not every file has are left out: {', '.join(left)}"] if left else []
    kinds = [(n, np.result_type(*(r.schema[n] for r in readers))) for n in common]
    schema = np.dtype(kinds)
    joined = _Joined(first.path, schema)
    return Cloud(readers, _cloud_columns.record_columns(joined, common, settings.rules), schema, False, [], remarks)


class _Joined(PointReader):
    """The columns that files of different kinds have in common, as if one file had them."""

    def __init__(self, path: Path, schema: np.dtype):
        self.path = path
        self._describe(fields_of(schema), schema.itemsize, 0)


def _shifts(readers: list[PointReader]) -> list[Array] | None:
    """The shift from each file's integer coordinates to the first one's; None where their records differ."""
    first = readers[0]
    shifts = []
    for reader in readers:
        if type(reader) is not type(first) or reader.record != first.record or _places(reader) != _places(first):
            return None
        shift = np.zeros(3, np.int64)
        if isinstance(reader, LasReader) and isinstance(first, LasReader):
            for k in range(3):
                scale, zero, own = map(_decimal, (first.scales[k], first.offsets[k], reader.offsets[k]))
                steps = (own - zero) / scale
                if reader.scales[k] != first.scales[k] or steps.denominator != 1 or abs(steps) >= 2**31:
                    return None
                shift[k] = int(steps)
        shifts.append(shift)
    return shifts


def _decimal(v: float) -> Fraction:
    """The decimal number that a float was written as, exactly."""
    return Fraction(repr(float(v)))


def _places(reader: PointReader) -> list[tuple[object, ...]]:
    """The positions and types of the attributes, which must be the same; coordinates may have other offsets."""
    return [(n, f.offset, f.dtype, f.shift, f.mask, n in "xyz" or (f.scale, f.zero)) for n, f in reader.fields.items()]


class Selected(NamedTuple):
    """The selected points of a chunk, its number of points, and how many were left out by each rule."""

    points: Array
    read: int
    cropped: int
    other_classes: int


def select(reader: PointReader, crop: Array | None, classes: Array | None, chunk: Array) -> Selected:
    """The points of a chunk that are inside the box and of the classes."""
    counts = [len(chunk)]
    if crop is not None:
        xyz = np.stack([reader.column(chunk, axis) for axis in "xyz"], axis=1)
        inside = ((xyz >= crop[0]) & (xyz < crop[1])).all(axis=1) | ~np.isfinite(xyz).all(axis=1)
        chunk = take(chunk, inside)
    counts.append(len(chunk))
    if classes is not None:
        labels = [n for n in reader.columns if _cloud_columns.plain_name(n) in ("classification", "class", "label")]
        if not labels:
            raise FileError(reader.path, "has no column of classes")
        chunk = take(chunk, np.isin(reader.column(chunk, labels[0]), classes))
    return Selected(chunk, counts[0], counts[0] - counts[1], counts[1] - len(chunk))


class Reduction:
    """The reduction of one cloud to voxels."""

    def __init__(self, cloud: Cloud, settings: Settings, expected: int | None = None):
        self.cloud, self.settings = cloud, settings
        points = sum(reader.points for reader in cloud.readers)
        self.state = RecordAccumulator(
            cloud.record,
            cloud.columns,
            settings.voxel_size,
            origin=settings.origin,
            max_bytes=settings.max_bytes,
            expected=points if expected is None else expected,
        )
        self.read = self.cropped = self.other_classes = self.few = self.kept = 0
        self.read_of = [0] * len(cloud.readers)
        self.starts: list[int] = []
        if cloud.raw:
            self.state.scale = [(f.scale or 1.0, f.zero) for f in map(cloud.first.fields.__getitem__, "xyz")]

    def run(self, progress: ProgressBar) -> None:
        """Read every file."""
        for k, reader in enumerate(self.cloud.readers):
            self.starts.append(self.state.seen)
            size = max(4096, _CHUNK // max(reader.record.itemsize, 1))
            for chunk in _ahead(reader.chunks(size), progress.helper if reader.points > size else None):
                self._count(reader, k, select(reader, self.settings.crop, self.settings.classes, chunk))
                progress.advance(len(chunk))
        self.starts.append(self.state.seen)

    def _count(self, reader: PointReader, number: int, selected: Selected) -> None:
        """Take in the points that were selected of a chunk."""
        self.add(number, *selected[1:])
        try:
            self._take(reader, selected.points, number)
        except InputError as error:
            raise FileError(reader.path, str(error)) from None

    def add(self, number: int, read: int, cropped: int, other_classes: int, non_finite: int = 0) -> None:
        """Count points that were read of a file, and those that have no voxel."""
        self.read += read
        self.read_of[number] += read
        self.cropped += cropped
        self.other_classes += other_classes
        self.state.non_finite += non_finite

    def _take(self, reader: PointReader, chunk: Array, number: int) -> None:
        records, lattice, cells = self.records_of(reader, chunk, number)
        if cells is None:
            self.state.update(records, lattice)
        else:
            self.state.update_cells(records, cells)

    def records_of(self, reader: PointReader, chunk: Array, number: int) -> tuple[Array, Array | None, Array | None]:
        """The points of a file as records of voxels; where coordinates are integers, also their lattice or cells."""
        chunk = chunk if chunk.flags.writeable else chunk.copy()  # arrays from another process are read-only
        size, origin = self.settings.voxel_size, self.settings.origin
        if self.cloud.raw:
            chunk = self._shifted(chunk, self.cloud.shifts[number], reader)
            first = self.cloud.first
            if not isinstance(first, LasReader):
                return chunk, None, None
            lattice = first.lattice(size, origin)
            if all(axis.narrow for axis in lattice.axes):
                return chunk, np.array([(a.multiply, a.shift, a.step) for a in lattice.axes]), None
            return chunk, None, first.cells(chunk, size, origin)
        rows = np.empty(len(chunk), self.cloud.schema)
        for name in self.cloud.schema.names or ():
            rows[name] = reader.column(chunk, name)
        return rows, None, reader.cells(chunk, size, origin)

    @staticmethod
    def _shifted(chunk: Array, shift: Array, reader: PointReader) -> Array:
        if shift.any():
            chunk = take(chunk, np.arange(len(chunk)))
            for axis, steps in zip("XYZ", shift):
                x = chunk[axis].astype(np.int64) + steps
                if len(x) and (x.min() < -(2**31) or x.max() >= 2**31):
                    raise FileError(reader.path, f"its {axis} is too far from the first file's for one lattice")
                chunk[axis] = x
        return chunk

    def parts(self) -> Iterator[RecordPart]:
        """The voxels that have enough points."""
        for part in self.state.parts():
            self.kept += int(part.counts.sum())
            if self.settings.min_points > 1:
                rows = np.flatnonzero(part.counts >= self.settings.min_points)
                self.few += int(part.counts.sum() - part.counts[rows].sum())
                part = part.take(rows)
            yield part

    def accounting(self) -> dict[str, int]:
        """The account of all points: kept, or left out and why."""
        found = {"in": self.read, "kept": self.kept - self.few, "non_finite": self.state.non_finite}
        if self.settings.crop is not None:
            found["cropped"] = self.cropped
        if self.settings.classes is not None:
            found["other_classes"] = self.other_classes
        if self.settings.min_points > 1:
            found["in_sparse_voxels"] = self.few
        return found


def _ahead(chunks: Iterator[Array], helper: Executor | None) -> Iterator[Array]:
    """The chunks; the helper thread reads each while the one before it is processed."""
    if helper is None:
        yield from chunks
        return
    coming = helper.submit(next, chunks, None)
    try:
        while (chunk := coming.result()) is not None:
            coming = helper.submit(next, chunks, None)
            yield chunk
    finally:
        wait([coming])  # so that no thread is still reading after an error


class VoxelRows:
    """Makes the rows of the target file from voxels."""

    def __init__(self, cloud: Cloud, target: Path):
        self.cloud = cloud
        kind = target.suffix.lower()
        self.as_records = cloud.raw and isinstance(cloud.first, LasReader) and kind in (".las", ".laz")
        self.columns = {c.name: c for c in cloud.columns}
        self.fields = cloud.first.fields if cloud.raw else {f.name: f for f in fields_of(cloud.schema)}
        taken = set(_VOXELS) if kind == ".npz" else set()
        self.names = {name: unique(name, taken) for name in cloud.schema.names or ()}
        self.has_voxels = kind == ".npz"
        self._known: tuple[RecordPart, Array] | None = None
        cloud.remarks += [f"column {a!r} is called {b!r} in {target}" for a, b in self.names.items() if a != b]
        own = [(given, cloud.schema[name]) for name, given in self.names.items()]
        voxels = [("coords", np.int64, 3), ("counts", np.int64)] if kind == ".npz" else []
        self.schema = cloud.first.record if self.as_records else np.dtype([*own, *voxels])
        self.wants_ends = kind in (".las", ".laz") and not self.as_records

    def make(self, part: RecordPart, start: int, stop: int) -> Array:
        """The rows of some voxels of a part."""
        if self.as_records:
            return self._records(part.finish(start, stop))
        records = np.ascontiguousarray(part.records[start:stop])
        own = records.reshape(-1).view(self.cloud.record)
        out = np.empty(len(own), self.schema)
        for name, given in self.names.items():
            out[given] = self._column(part, own, name, start, stop)
        if self.has_voxels:
            out["coords"], out["counts"] = self._cells(part)[start:stop], part.counts[start:stop]
        return out

    def _cells(self, part: RecordPart) -> Array:
        """The cells of a part, computed once."""
        if self._known is None or self._known[0] is not part:
            self._known = part, part.cells()
        return self._known[1]

    def _column(self, part: RecordPart, own: Array, name: str, start: int, stop: int) -> Array:
        place, dtype = self.fields[name], self.cloud.schema[name]
        column = place.read(own).astype(dtype)
        if self.columns[name].reduction == "mean":
            rows, mean = part.mean(name, start, stop)
            if place.scale is not None:
                mean = mean * place.scale + place.zero
            column[rows] = np.rint(mean) if dtype.kind in "iu" else mean
        return column

    def _records(self, records: Array) -> Array:
        """The file's own records, without the columns that are not kept."""
        own = records.reshape(-1).view(self.schema)
        for name, place in self.cloud.first.fields.items():
            if name not in self.columns:
                replace(place, scale=None).write(own, np.zeros(len(own), place.dtype))
        return own

    def ends(self, part: RecordPart) -> tuple[Array, Array]:
        """The minimum and maximum coordinates of a part, for writers that need them for a header."""
        if not self.wants_ends or not len(part.counts):
            return np.full(3, np.inf), np.full(3, -np.inf)
        own = np.ascontiguousarray(part.records).reshape(-1).view(self.cloud.record)
        xyz = [self._column(part, own, axis, 0, len(own)) for axis in "xyz"]
        return np.array([x.min() for x in xyz]), np.array([x.max() for x in xyz])


def write(reduction: Reduction, targets: Sequence[Path], progress: ProgressBar) -> list[dict[str, Any]]:
    """Write the voxels to one file, or those whose first point is of source k to file k; returns the accounts."""
    rows = VoxelRows(reduction.cloud, targets[0])
    parts = reduction.parts()
    part: RecordPart | None = next(parts)
    follower = next(parts, None)
    if part is not None and follower is None and (np.diff(part.first) > 0).all():
        whole = MadeRows(rows.schema, len(part.counts), rows.ends(part), partial(rows.make, part))
        if len(targets) == 1:
            return [_save(reduction, targets[0], whole)]
        ends = np.searchsorted(part.first, reduction.starts)
        return [_save_of(reduction, k, t, whole.part(a, b)) for k, (t, a, b) in enumerate(zip(targets, ends, ends[1:]))]
    # Until they can be sorted, voxels are kept on disk, as the rows of the target file.
    with closing(SortedRowFile(rows.schema)) as sorted_rows:
        while part is not None:
            progress.advance(0)
            sorted_rows.add(part.first, partial(rows.make, part), rows.ends(part))
            part, follower = follower, next(parts, None)
        return save_all(reduction, targets, sorted_rows)


def save_all(reduction: Reduction, targets: Sequence[Path], rows: SortedRowFile) -> list[dict[str, Any]]:
    """Write sorted rows to one file, or those of source k to file k; returns the accounts."""
    if len(targets) == 1:
        return [_save(reduction, targets[0], rows)]
    ranges = zip(targets, reduction.starts, reduction.starts[1:])
    return [_save_of(reduction, k, t, rows.part(a, b)) for k, (t, a, b) in enumerate(ranges)]


def _save_of(reduction: Reduction, number: int, target: Path, rows: CloudRows) -> dict[str, Any]:
    """Write the voxels whose first point is of a file: its own points and voxels, and the account of all files."""
    together = _save(reduction, target, rows, number)
    return {"in": reduction.read_of[number], "voxels": together.pop("voxels"), "together": together}


def _save(reduction: Reduction, target: Path, rows: CloudRows, number: int = 0) -> dict[str, int]:
    accounting = reduction.accounting()
    like = reduction.cloud.readers[number] if reduction.cloud.raw and not reduction.cloud.shifts[number].any() else None
    like = like or reduction.cloud.first
    extra = {"accounting": record(accounting)} if target.suffix.lower() == ".npz" else None
    renamed = clouds.write_points(target, rows, like=like, extra=extra)
    reduction.cloud.remarks += [f"column {old!r} is called {new!r} in {target}" for old, new in renamed.items()]
    return {**accounting, "voxels": rows.count}


def record(accounting: dict[str, int]) -> Array:
    """A record that .npz holds: archive["accounting"]["kept"]."""
    return np.array(tuple(accounting.values()), [(name, np.int64) for name in accounting])
