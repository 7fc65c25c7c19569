"""Voxels of a cloud that comes in chunks: the same bits as from the whole cloud, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.points import _accumulator_bytes, _grid
from fastdl.points._grid import Grid, kernel
from fastdl.points._key_table import KeyTable, cover_cells
from fastdl.points._point_table import PointTable, point_table
from fastdl.points._reductions import Reduce, VoxelReductions
from fastdl.points._spill import PARTS, Spill
from fastdl.points.voxel_summary import SummaryPart, VoxelSummary, summary_of

_STEP = 1 << 16  # points after which the memory is compared with `max_bytes`
_LONG = np.dtype(np.uint64)


class VoxelAccumulator:
    """Reduce a cloud to its voxels, chunk by chunk.

    The result has the bits that `voxel_reduce` gives for the whole cloud, whatever the chunks are.

    Parameters
    ----------
    voxel_size : float or three
        Edge of a voxel.
    point_range : six floats, optional
        (x0, y0, z0, x1, y1, z1): keep only what lies in this grid; without it every finite point is kept.
    origin : float or three
        A corner of the voxel lattice where there is no range.
    reduce : str, sequence or VoxelReducer
        A reduction for all columns, one for each, or (column, name) pairs; see `voxel_reduce`.
    order : {"first", "sorted"}
        Voxels in order of first appearance, or by (z, y, x).
    max_bytes : int, optional
        Bytes that the voxels' state may take. Beyond that, points of voxels not yet seen are written to temporary
        files, partitioned by cell, and reduced at the end, one file at a time. The files have no name, so that nothing
        is left behind however the process ends.
    arithmetic : {"float32", "exact"}, optional
        As in `voxel_reduce`.
    ignore, seed
        As in `voxel_reduce`.

    Notes
    -----
    `fresh()` gives a state that keeps its chunks until it is merged or finished: merged in order, such states give the
    bits of one pass. Merging a state that was filled directly adds up sums: in voxels that both have seen the last bit
    may then differ from one pass where float64 sums round, and "random" takes another point.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> state = fastdl.VoxelAccumulator(1.0)
    >>> for chunk in ([[0.2, 0.2, 0.2]], [[0.4, 0.4, 0.4], [5.0, 5.0, 5.0]]):
    ...     state = state.update(np.array(chunk))
    >>> state.finish().counts
    array([2, 1])
    """

    def __init__(
        self,
        voxel_size: ArrayLike,
        point_range: ArrayLike | None = None,
        *,
        origin: ArrayLike = 0.0,
        reduce: Reduce = "mean",
        order: str = "first",
        max_bytes: int | None = None,
        arithmetic: str | None = None,
        ignore: float = -1,
        seed: int = 0,
    ):
        _check.one_of("order", order, ("first", "sorted"))
        self.voxel_size, self.origin = _grid.sizes(voxel_size), _grid.three("origin", origin)
        self.point_range = None if point_range is None else _grid.ranges(point_range)
        self.reduce, self.order = reduce, order
        self.ignore, self.seed = _grid.plain_number("ignore", ignore), _check.integer("seed", seed, 0, 2**64 - 1)
        self.max_bytes = None if max_bytes is None else _check.integer("max_bytes", max_bytes, 1)
        self.arithmetic = arithmetic
        self._holds = False
        self._depth = 0
        self._clear()

    def _clear(self) -> None:
        self._held: list[tuple[PointTable, Array | None]] = []
        self._state: VoxelReductions | None = None
        self._table = KeyTable(_LONG, 32)
        self._box: Grid | None = None
        self._spill: Spill | None = None
        self._dtype: np.dtype | None = None
        self._columns = 3
        self._empty: PointTable | None = None
        self._seen = 0
        self._out_of_range = self._non_finite = 0

    def fresh(self) -> VoxelAccumulator:
        """An empty state with the same settings, which keeps its chunks until it is merged or finished."""
        other = VoxelAccumulator(
            self.voxel_size,
            self.point_range,
            origin=self.origin,
            reduce=self.reduce,
            order=self.order,
            max_bytes=self.max_bytes,
            arithmetic=self.arithmetic,
            ignore=self.ignore,
            seed=self.seed,
        )
        other._holds = True
        return other

    def update(self, points: ArrayLike, cells: ArrayLike | None = None) -> VoxelAccumulator:
        """Take in a chunk.

        Parameters
        ----------
        points : array_like, shape (N, C), or records (N,)
            x, y, z and any other columns; every chunk has the same columns and dtype.
        cells : array_like of integers, shape (N, 3), optional
            The points' cells (x, y, z) where the caller knows them exactly, as from the integer coordinates of LAS
            files; with a range, counted from its lower corner.
        """
        table = point_table(points)
        known = None
        if cells is not None:
            known = _check.array("cells", cells, ("i", "u"), 2)
            if known.shape != (len(table), 3):
                raise _check.InputError(f"cells must have shape ({len(table)}, 3), got {known.shape}")
            if known.dtype == np.uint64 and known.size and known.max() >= 2**63:
                raise _check.InputError(f"cells must be below 2^63, got {known.max()}")
            known = known.astype(np.int64, copy=False)
        dtype, columns = table.given.dtype, table.columns
        if self._dtype is None:
            self._start(dtype, columns)
        elif columns != self._columns or dtype != self._dtype:
            raise _check.InputError(
                f"a chunk must be {self._dtype} of {self._columns} columns like the first, got {dtype} of {columns}"
            )
        if self._holds:
            self._held.append((table.copy_unless_own(points), None if known is None else known.copy()))
        else:
            self._absorb(table, known)
        return self

    def _start(self, dtype: np.dtype, columns: int) -> None:
        self._dtype, self._columns = dtype, columns
        self._state = VoxelReductions(self.reduce, columns, dtype, self.ignore, self.seed)
        shape: tuple[int, ...] = (0, columns) if dtype.names is None else (0,)
        self._empty = point_table(np.zeros(shape, dtype))
        if self.point_range is not None:
            floats = self._empty.floats.dtype
            box = _grid.grid_of_range(self.voxel_size, self.point_range, floats, self.arithmetic or "float32")
            self._box = Grid(box.low, box.size, box.base, _grid.grid_shape(box.shape), box.single, long_keys=True)

    def _absorb(self, points: PointTable, cells: Array | None, index: Array | None = None) -> None:
        if self.max_bytes is None or len(points) <= _STEP:
            self._take(points, cells, index)
            return
        for i in range(0, len(points), _STEP):
            s = slice(i, i + _STEP)
            self._take(points[s], None if cells is None else cells[s], None if index is None else index[s])

    def _take(self, points: PointTable, cells: Array | None, index: Array | None) -> None:
        n, state = len(points), self._state
        if not n or state is None:
            return
        box = self._cover(points.floats, cells)
        if cells is None:
            keys = np.empty(n, _LONG)
            missing = kernel.keys_of(points.floats, box.numbers, box.single, keys)
        else:
            keys, missing = box.encode(cells), 0
        inside = int(np.count_nonzero(keys != _grid.NONE[_LONG]))
        ids = np.empty(n, np.int32)
        if self._spill is None:
            self._table.assign(keys, ids)
        else:
            kernel.find(keys, ids, self._table.slots, self._table.bits)
            rest = np.flatnonzero((ids < 0) & (keys != _grid.NONE[_LONG]))
            if len(rest):
                when = rest + self._seen if index is None else index[rest]
                self._spill.write(when, box.decode(keys[rest]), points[rest].as_rows())
        state.clock = self._seen
        state.update(points, ids, len(self._table), lambda first: box.centres(keys[first]), index)
        self._seen += n
        self._non_finite += missing
        self._out_of_range += n - inside - missing
        if self.max_bytes is not None and self._spill is None and self._needs() > self.max_bytes:
            rows = points.as_rows()
            self._spill = Spill(rows.shape[1], rows.dtype, self._depth)

    def _needs(self) -> int:
        """The bytes that the state may take when its arrays grow the next time."""
        full = len(self._table) + _STEP > 1 << (self._table.bits - 1)
        state = self._state.nbytes if self._state is not None else 0
        return self._table.slots.nbytes * (3 if full else 1) + state * 5 // 2

    def _cover(self, points: Array, cells: Array | None) -> Grid:
        """The grid, enlarged if need be to hold these points or cells."""
        if self.point_range is not None:
            return self._box  # type: ignore[return-value]
        if cells is None:
            ends = _grid.cell_bounds(points, self.origin, self.voxel_size)
        else:
            ends = cells.min(axis=0), cells.max(axis=0)
        old = self._box
        if ends is None:
            return old or Grid(self.origin, self.voxel_size, (0, 0, 0), (0, 0, 0), long_keys=True)
        units = self.origin, self.voxel_size
        self._box, self._table = cover_cells(old, self._table, ends, units)
        return self._box

    def merge(self, other: VoxelAccumulator) -> VoxelAccumulator:
        """Merge a state of the chunks after this one's; returns itself."""
        if not isinstance(other, VoxelAccumulator):
            raise _check.InputTypeError(f"merge takes a VoxelAccumulator, got {type(other).__name__}")
        if other is self:
            raise _check.InputError("a state cannot be merged with itself")
        if other._settings() != self._settings():
            raise _check.InputError("states can be merged only if their settings are the same")
        if other._dtype is None:
            return self
        if self._dtype is None:
            self._start(other._dtype, other._columns)
        elif (self._dtype, self._columns) != (other._dtype, other._columns):
            raise _check.InputError(
                f"chunks must be alike, got {other._dtype} of {other._columns} columns after {self._dtype}"
            )
        if self._holds:
            if other._seen:
                raise _check.InputError("a state from fresh() takes in only states from fresh()")
            self._held += other._held
            return self
        if other._seen:
            self._join(other)
        for points, cells in other._held:
            self._absorb(points, cells)
        return self

    def _settings(self) -> tuple[object, ...]:
        ends = None if self.point_range is None else self.point_range.tolist()
        how = (self.reduce, self.order, self.arithmetic, self.ignore, self.seed)
        return self.voxel_size.tolist(), self.origin.tolist(), ends, how

    def _join(self, other: VoxelAccumulator) -> None:
        state, theirs = self._state, other._state
        start = self._seen
        if self._spill is not None:
            raise _check.InputError("a state that has spilled cannot take in one that was filled directly; use fresh()")
        if theirs is not None and state is not None and theirs.size and other._box is not None:
            cells = other._box.decode(other._table.keys())
            keys = self._cover(cells.astype(np.float64), cells).encode(cells)
            ids = np.empty(len(keys), np.int32)
            self._table.assign(keys, ids)
            state.clock = start
            state.merge(theirs, ids, len(self._table))
        self._non_finite += other._non_finite
        self._out_of_range += other._out_of_range
        if other._spill is not None:
            for part in range(PARTS):
                for when, cells, points in other._spill.read(part):
                    self._absorb(self._restore(points), cells, when + start)
        self._seen = start + other._seen

    def to_bytes(self) -> bytes:
        """The state as bytes, which `from_bytes` reads on any machine, in this version and later ones.

        Points in temporary files are among them.
        """
        return _accumulator_bytes.to_bytes(self)

    @staticmethod
    def from_bytes(data: bytes) -> VoxelAccumulator:
        """The state that `to_bytes` wrote; continued, it gives the same bits as the original."""
        return _accumulator_bytes.from_bytes(data, VoxelAccumulator)

    def finish(self) -> VoxelSummary:
        """The voxels so far; the state is not changed and can take in more."""
        if self._held:
            state = self.fresh()
            state._holds = False
            for points, cells in self._held:
                if state._dtype is None and self._dtype is not None:
                    state._start(self._dtype, self._columns)
                state._absorb(points, cells)
            return state.finish()
        if self._dtype is None:
            self._start(np.dtype(np.float64), 3)
        return summary_of(self._parts(), self.order, self._out_of_range, self._non_finite)

    def parts(self) -> Iterator[tuple[Array, Array, Array, Array]]:
        """The voxels a part at a time, for results that are larger than memory.

        Yields
        ------
        (first, points, coords, counts)
            The index in the input of each voxel's first point, and rows as in `finish()`. Each part is in order of
            first appearance, and no voxel is in two parts.
        """
        if self._held or self._dtype is None:
            found = self.finish()
            yield np.arange(len(found.counts)), found.points, found.coords, found.counts
        else:
            yield from self._parts()

    def _restore(self, rows: Array) -> PointTable:
        assert self._empty is not None
        return self._empty.restore(rows)

    def _parts(self) -> Iterator[SummaryPart]:
        found, m = self._state, len(self._table)
        assert found is not None
        coords = self._box.decode(self._table.keys()) if m and self._box is not None else np.zeros((0, 3), np.int64)
        found.state.reserve(m)
        yield SummaryPart(found.state["when"][:m].copy(), found.finish(), coords, found.state["counts"][:m].copy())
        for part in range(PARTS if self._spill is not None else 0):
            state = self.fresh()
            state._holds, state._depth = False, self._depth + 1
            state._start(self._dtype, self._columns)  # type: ignore[arg-type]
            for when, cells, points in self._spill.read(part):  # type: ignore[union-attr]
                state._absorb(state._restore(points), cells, when)
            yield from state._parts()
