"""Voxels of a cloud of records that comes in chunks: each column is reduced in its own type, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fastdl import _check, _kernels
from fastdl._typing import Array, ArrayLike
from fastdl.points import _grid
from fastdl.points._grid import Grid
from fastdl.points._key_table import KeyTable, cover_cells
from fastdl.points._label_votes import grow, label_votes
from fastdl.points._placed_records import PlacedRecords
from fastdl.points._spill import PARTS, Spill
from fastdl.reference import _point_records as reference_kernel
from fastdl.reference import _point_reductions as reference_reductions

kernel = _kernels.load("points_records") or reference_kernel
reduction_kernel = _kernels.load("points_reduction") or reference_reductions

_STEP = 1 << 16  # points after which the memory is compared with `max_bytes`
_BLOCK = 512  # rows of sums for which the kernel needs room before it goes on
_KINDS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
_LONG = np.dtype(np.uint64)
REDUCTIONS = ("mean", "first", "last", "nearest", "min", "max", "majority")


@dataclass(frozen=True)
class RecordColumn:
    """A column of a record, and its reduction.

    `mask` and `shift` select the column's bits where it is a bit field of a byte; without a mask it has all bits.
    """

    name: str
    offset: int
    dtype: np.dtype
    reduction: str = "mean"
    shift: int = 0
    mask: int = 0

    @property
    def numbers(self) -> Array:
        """The column as the kernel takes it: offset, type, shift, mask."""
        return np.array([self.offset, _KINDS.index(self.dtype.str[1:]), self.shift, self.mask], np.int64)

    @property
    def exact(self) -> bool:
        """Whether the sums are integers."""
        return self.dtype.kind in "iu" and self.dtype.itemsize <= 4

    def read(self, records: Array) -> Array:
        """The column of records given as bytes."""
        x = records[:, self.offset : self.offset + self.dtype.itemsize].view(self.dtype).reshape(len(records))
        return x >> self.shift & self.dtype.type(self.mask) if self.mask else x

    def write(self, records: Array, rows: Array, values: Array) -> None:
        """Put values into some rows of records given as bytes."""
        x = records[:, self.offset : self.offset + self.dtype.itemsize].view(self.dtype).reshape(len(records))
        if self.mask:
            bits = self.dtype.type(self.mask << self.shift)
            values = x[rows] & ~bits | values.astype(self.dtype) << self.shift
        x[rows] = values


@dataclass(frozen=True)
class RecordPart:
    """Voxels in order of first appearance: the index of each one's first point, its points, record and row of sums."""

    first: Array
    counts: Array
    records: Array
    slots: Array
    words: Array  # the sums: a row of 8-byte words, a word a column of `means`
    means: tuple[RecordColumn, ...]
    cells: Callable[[], Array]  # (x, y, z) of every voxel

    def finish(self, start: int, stop: int) -> Array:
        """The records of voxels, with means written into them, rounded where the column is of integers."""
        records = self.records[start:stop].copy()
        if self.means:
            numbers = np.stack([c.numbers for c in self.means])
            kernel.finish_means(records, self.slots[start:stop], self.counts[start:stop], self.words, numbers)
        return records

    def take(self, rows: Array) -> RecordPart:
        """The part of these voxels only."""
        first, counts, records, slots = (x[rows] for x in (self.first, self.counts, self.records, self.slots))
        return RecordPart(first, counts, records, slots, self.words, self.means, lambda: self.cells()[rows])

    def mean(self, name: str, start: int = 0, stop: int | None = None) -> tuple[Array, Array]:
        """The voxels of more than one point among those from `start` to `stop`, and a column's means there."""
        rows = np.flatnonzero(self.slots[start:stop] >= 0)
        at = self.slots[start:stop][rows]
        k, column = next((k, c) for k, c in enumerate(self.means) if c.name == name)
        sums = self.words[at, k].view(np.int64 if column.exact else np.float64)
        return rows, sums / self.counts[start:stop][rows]


class RecordAccumulator:
    """Reduce a cloud of records to one record a voxel, chunk by chunk.

    Every column is reduced in its own type: 64-bit integers stay exact, and means of integers of up to 32 bits are
    exact integer sums, divided once. The result depends neither on the chunks nor on `max_bytes`.

    Parameters
    ----------
    dtype : numpy.dtype
        Of the records.
    columns : sequence of RecordColumn
        The columns to reduce, coordinates first; everything else in a record is copied from the voxel's first point.
    voxel_size : float or three
    origin : float or three
        A corner of the voxels.
    max_bytes : int, optional
        Bytes that the voxels' state may take; beyond that, points of voxels not yet seen go to temporary files.
    expected : int
        The number of points to come, if known: memory for their voxels is then allocated at once.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdl.points import RecordAccumulator, RecordColumn
    >>> cloud = np.array([(0.2, 0, 0, 7), (0.4, 0, 0, 8), (0.3, 0, 0, 8)], "f8, f8, f8, u8")
    >>> columns = [RecordColumn(n, 8 * k, np.dtype("f8")) for k, n in enumerate("xyz")]
    >>> columns += [RecordColumn("label", 24, np.dtype("u8"), "majority")]
    >>> state = RecordAccumulator(cloud.dtype, columns, 1.0).update(cloud)
    >>> [part] = state.parts()
    >>> part.records.view(cloud.dtype)["f3"], part.mean("x")
    (array([[8]], dtype=uint64), (array([0]), array([0.3])))
    """

    def __init__(
        self,
        dtype: np.dtype,
        columns: Sequence[RecordColumn],
        voxel_size: ArrayLike,
        *,
        origin: ArrayLike = 0.0,
        max_bytes: int | None = None,
        expected: int = 0,
    ):
        self.dtype, self.columns = dtype, tuple(columns)
        for column in self.columns:
            _check.one_of("reduction", column.reduction, REDUCTIONS)
        self.voxel_size, self.origin = _grid.sizes(voxel_size), _grid.three("origin", origin)
        self.max_bytes, self._depth, self._to_come = max_bytes, 0, expected
        self._table = KeyTable(_LONG, 32)
        self._box: Grid | None = None
        self._spill: Spill | None = None
        self.seen = self.non_finite = 0
        self._room = 0
        self._records = np.empty((0, dtype.itemsize), np.uint8)
        self._when, self._counts = np.empty(0, np.int64), np.empty(0, np.int64)
        self._means = [c for c in self.columns if c.reduction == "mean"]
        self._sums, self._used = np.empty((0, max(len(self._means), 1)), np.uint64), 0
        self._slots = np.empty(0, np.int32)
        self._votes = {c.name: label_votes(c.dtype) for c in self.columns if c.reduction == "majority"}
        self._best = np.empty(0)

    def update(self, chunk: Array, lattice: Array | None = None) -> RecordAccumulator:
        """Take in a chunk.

        Parameters
        ----------
        chunk : structured array
            Records.
        lattice : array_like of integers, shape (3, 3), optional
            Where the coordinates are int32: the cell of X is (multiply X + shift) // step, with a row
            (multiply, shift, step) an axis. Without it cells are floor((x - origin) / size) in float64.
        """
        records = np.ascontiguousarray(chunk).view(np.uint8).reshape(len(chunk), self.dtype.itemsize)
        axes = None if lattice is None else np.array(lattice, np.int64)
        for start in range(0, len(records), _STEP if self.max_bytes is not None else max(len(records), 1)):
            block = records[start : start + _STEP] if self.max_bytes is not None else records
            self._take(block, None, axes)
        return self

    def update_cells(self, chunk: Array, cells: Array) -> RecordAccumulator:
        """Take in a chunk whose cells (x, y, z) are known, as int64."""
        records = np.ascontiguousarray(chunk).view(np.uint8).reshape(len(chunk), self.dtype.itemsize)
        for start in range(0, len(records), _STEP):
            self._take(records[start : start + _STEP], cells[start : start + _STEP], None)
        return self

    def place(self, chunk: Array, lattice: Array | None = None, cells: Array | None = None) -> PlacedRecords:
        """The records of a chunk that have a voxel, with their cells, for another state to take in.

        Those that are not finite are counted here; numbers count from 0 in the chunk.
        """
        records = np.ascontiguousarray(chunk).view(np.uint8).reshape(len(chunk), self.dtype.itemsize)
        if not len(records):
            return PlacedRecords(np.empty(0, np.int64), records, np.empty(0, _LONG), self._box or self._no_box())
        keys, box = self._keys(records, cells, None if lattice is None else np.array(lattice, np.int64))
        inside = np.flatnonzero(keys != _grid.NONE[_LONG])
        return PlacedRecords(inside, records[inside], keys[inside], box)

    def update_placed(self, placed: PlacedRecords) -> RecordAccumulator:
        """Take in what another state placed; numbers rise from one call to the next."""
        cells, records = placed.box.decode(placed.keys), np.require(placed.records, requirements="W")
        for start in range(0, len(cells), _STEP):
            s = slice(start, start + _STEP)
            self._take(records[s], cells[s], None, placed.numbers[s])
        return self

    def _take(self, records: Array, cells: Array | None, axes: Array | None, index: Array | None = None) -> None:
        n = len(records)
        if not n:
            return
        keys, box = self._keys(records, cells, axes)
        ids = np.empty(n, np.int32)
        if self._spill is None:
            self._table.assign(keys, ids)
        else:
            _grid.kernel.find(keys, ids, self._table.slots, self._table.bits)
            rest = np.flatnonzero((ids < 0) & (keys != _grid.NONE[_LONG]))
            if len(rest):
                when = rest + self.seen if index is None else index[rest]
                self._spill.write(when, box.decode(keys[rest]), records[rest])
        self._fold(records, ids, keys, box, index)
        self.seen += n
        if self._to_come and self.seen >= _STEP:
            self._foresee()
        if self.max_bytes is not None and self._spill is None and self._needs() > self.max_bytes:
            self._spill = Spill(self.dtype.itemsize, np.dtype(np.uint8), self._depth)

    def _foresee(self) -> None:
        """Where voxels are many, allocate at once what all will need if there stay as many per point as so far."""
        points, self._to_come = self._to_come, 0
        voxels = min(points, int(points * len(self._table) / self.seen))
        row = self.dtype.itemsize + 20
        if len(self._table) < self.seen // 2 or voxels * (row + 64) > (self.max_bytes or 1 << 62):
            return
        table = KeyTable(_LONG, voxels)
        table.assign(self._table.keys(), np.empty(len(self._table), np.int32))
        self._table = table
        self._reserve(voxels)

    def _keys(self, records: Array, cells: Array | None, axes: Array | None) -> tuple[Array, Grid]:
        """The keys of the points' cells, and the grid they are of."""
        x, y, z = self.columns[:3]
        if axes is not None:
            offsets, ends = np.array([c.offset for c in (x, y, z)], np.int64), np.empty((2, 3), np.int64)
            kernel.lattice_bounds(records, offsets, ends)
            low, high = (ends * axes[:, 0] + axes[:, 1]) // axes[:, 2]
            box = self._cover(low, high)
            keys = np.empty(len(records), _LONG)
            base, strides = np.array(box.base, np.int64), np.array(box.strides, np.int64)
            kernel.lattice_keys(records, offsets, axes, base, strides, keys)
            return keys, box
        if cells is not None:
            box = self._cover(cells.min(axis=0), cells.max(axis=0))
            return box.encode(cells), box
        points = np.stack([c.read(records) for c in (x, y, z)], axis=1).astype(np.float64)
        found = _grid.cell_bounds(points, self.origin, self.voxel_size)
        box = self._cover(*found) if found else self._box or self._no_box()
        keys = np.empty(len(points), _LONG)
        self.non_finite += _grid.kernel.keys_of(points, box.numbers, box.single, keys)
        return keys, box

    def _no_box(self) -> Grid:
        return Grid(self.origin, self.voxel_size, (0, 0, 0), (1, 1, 1), long_keys=True)

    def _cover(self, low: Array, high: Array) -> Grid:
        """A box of cells that holds what was seen and these."""
        units = self.origin, self.voxel_size
        self._box, self._table = cover_cells(self._box, self._table, (low, high), units)
        return self._box

    def _fold(self, records: Array, ids: Array, keys: Array, box: Grid, index: Array | None) -> None:
        known, size = len(self._used_rows()), len(self._table)
        self._reserve(size)
        first = np.empty(max(size - known, 1), np.int64)
        reduction_kernel.tally(ids, known, first, self._counts)
        first = first[: size - known]
        self._when[known:size] = first + self.seen if index is None else index[first]
        np.take(records, first, axis=0, out=self._records[known:size], mode="clip")
        self._size = size
        if not size:
            return
        if self._means:
            self._fold_means(records, ids, known)
        inside: Array | None = None
        for c in self.columns:
            if c.reduction in ("min", "max"):
                kernel.fold_extremes(records, ids, self._records, c.numbers, c.reduction == "max")
            elif c.reduction == "last":
                inside = np.flatnonzero(ids >= 0) if inside is None else inside
                c.write(self._records, ids[inside], c.read(records)[inside])
            elif c.reduction == "majority":
                points = np.empty(len(ids), np.int64)
                points = points[: kernel.differing(records, ids, self._records, c.numbers, points)]
                self._votes[c.name].add(ids[points], c.read(records)[points])
        nearest = [c for c in self.columns if c.reduction == "nearest"]
        if nearest:
            self._fold_nearest(nearest, records, ids, keys, box)

    _size = 0

    def _used_rows(self) -> Array:
        return self._records[: self._size]

    def _reserve(self, rows: int) -> None:
        if rows <= self._room:
            return
        room = max(rows, self._room + self._room // 2, 1024)
        self._records = grow(self._records, room)
        self._when, self._counts = grow(self._when, room), grow(self._counts, room, 0)
        self._slots = grow(self._slots, room, -1)
        if any(c.reduction == "nearest" for c in self.columns):
            self._best = grow(self._best, room, np.inf)
        self._room = room

    def _fold_means(self, records: Array, ids: Array, known: int) -> None:
        columns = np.stack([c.numbers for c in self._means])
        state = np.array([0, known, self._used], np.int64)
        while True:
            kernel.fold_means(records, ids, (self._records, self._slots, self._sums), columns, state)
            if state[0] == len(records):
                break
            self._sums = grow(self._sums, max(int(state[2]) + 4 * _BLOCK, len(self._sums) * 3 // 2))
        self._used = int(state[2])

    def _fold_nearest(self, columns: list[RecordColumn], records: Array, ids: Array, keys: Array, box: Grid) -> None:
        """Take the columns of the point nearest to the voxel's centre; of equally near points the first."""
        inside = np.flatnonzero(ids >= 0)
        centre = (box.decode(keys[inside]) + 0.5) * box.size + box.low
        points = np.stack([self._scaled(c, records[inside]) for c in self.columns[:3]], axis=1)
        with np.errstate(invalid="ignore", over="ignore"):
            step = (points - centre) ** 2
        distance = np.full(len(ids), np.inf)
        distance[inside] = step[:, 0] + step[:, 1] + step[:, 2]
        pick = np.full(self._size, -1, np.int64)
        reduction_kernel.nearest(distance, ids, self._best, pick, 0)
        rows = np.flatnonzero(pick >= 0)
        for c in columns:
            c.write(self._records, rows, c.read(records[pick[rows]]))

    scale: Sequence[tuple[float, float]] = ((1.0, 0.0),) * 3  # (scale, offset) of coordinates stored as integers

    def _scaled(self, column: RecordColumn, records: Array) -> Array:
        scale, zero = self.scale[self.columns.index(column)]
        return column.read(records) * scale + zero

    def _needs(self) -> int:
        """The bytes that the state may take when its arrays grow the next time."""
        full = len(self._table) + _STEP > 1 << (self._table.bits - 1)
        state = self._records.nbytes + self._when.nbytes + self._counts.nbytes + self._slots.nbytes + self._best.nbytes
        ballots = sum(b.nbytes for b in self._votes.values())
        return self._table.slots.nbytes * (3 if full else 1) + (state + self._sums.nbytes) * 3 // 2 + 2 * ballots

    def parts(self) -> Iterator[RecordPart]:
        """The voxels, a part at a time; no voxel is in two parts."""
        m = len(self._table)
        for c in self.columns:
            if c.reduction == "majority":
                self._elect(c)
        first, counts, records, slots = self._when[:m], self._counts[:m], self._records[:m], self._slots[:m]
        yield RecordPart(first, counts, records, slots, self._sums, tuple(self._means), self._cells)
        for part in range(PARTS if self._spill is not None else 0):
            state = RecordAccumulator(
                self.dtype, self.columns, self.voxel_size, origin=self.origin, max_bytes=self.max_bytes
            )
            state._depth, state.scale = self._depth + 1, self.scale
            for when, cells, records in self._spill.read(part):  # type: ignore[union-attr]
                state._take(records, cells, None, when)
            yield from state.parts()

    def _cells(self) -> Array:
        if not len(self._table) or self._box is None:
            return np.zeros((0, 3), np.int64)
        return self._box.decode(self._table.keys())

    def _elect(self, column: RecordColumn) -> None:
        """Write the label of most points into each voxel's record; the smallest of equals. NaN is no label."""
        if self._size:
            labels = column.read(self._records[: self._size])
            column.write(self._records, *self._votes[column.name].elect(labels, self._counts[: self._size]))
