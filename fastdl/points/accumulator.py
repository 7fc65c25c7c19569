"""Voxels of a cloud that comes in chunks: the same bytes as of the whole cloud, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fastdl import _check
from fastdl.points import _grid
from fastdl.points._grid import Array, Geometry, Table, kernel
from fastdl.points._reductions import Fold
from fastdl.points._spill import PARTS, Spill
from fastdl.reference import points as reference

_STEP = 1 << 16  # points between two looks at the memory
_LONG = np.dtype(np.uint64)


@dataclass
class VoxelSummary:
    """One row per occupied voxel.

    Attributes
    ----------
    points : ndarray, shape (M, K)
        The reductions.
    coords : ndarray of int64, shape (M, 3)
        Cells as (x, y, z).
    counts : ndarray of int64, shape (M,)
        Points per voxel.
    accounting : dict
        "in" = "kept" + "out_of_range" + "non_finite".
    """

    points: Array
    coords: Array
    counts: Array
    accounting: dict[str, int]


def _inverse(order: Array) -> Array:
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank


def _placed(parts: list[list[Any]], field: int, rank: Array | None) -> Array:
    """One field of all parts, each row at its rank; the parts let go of it as it is taken, for memory's sake."""
    if len(parts) == 1 and rank is None:
        return parts[0][field]
    rows = sum(len(part[field]) for part in parts)
    out = np.empty((rows, *parts[0][field].shape[1:]), parts[0][field].dtype)
    at = 0
    for part in parts:
        values, part[field] = part[field], None
        place = slice(at, at + len(values))
        out[place if rank is None else rank[place]] = values
        at += len(values)
    return out


class _Part(NamedTuple):
    when: Array
    points: Array
    coords: Array
    counts: Array


class VoxelAccumulator:
    """Reduce a cloud to its voxels, chunk by chunk.

    The result has the bytes that `voxel_reduce` gives for the whole cloud, whatever the chunks are.

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
    memory : int, optional
        Bytes the voxels' state may take. When it is full, points of voxels not yet seen go to temporary files by place,
        and are reduced at the end, a part at a time; the files have no name, so that nothing is left behind however
        the process ends.
    params : {"float32", "exact"}, optional
        As in `voxel_reduce`.
    ignore : float
        As in `voxel_reduce`.

    Notes
    -----
    `fresh()` gives a state that holds its chunks, numbered, until it is merged or finished: merged in order, the sums
    are those of one pass, to the bit. Merging a state that was filled directly adds its sums: for voxels that both have
    seen the last bit may then differ from one pass where float64 sums are not exact.

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
        voxel_size: Any,
        point_range: Any = None,
        *,
        origin: Any = 0.0,
        reduce: Any = "mean",
        order: str = "first",
        memory: int | None = None,
        params: str | None = None,
        ignore: float = -1,
    ):
        _check.one_of("order", order, ("first", "sorted"))
        self.voxel_size, self.origin = _grid.sizes(voxel_size), _grid.three("origin", origin)
        self.point_range = None if point_range is None else _grid.ranges(point_range)
        self.reduce, self.order, self.ignore = reduce, order, ignore
        self.memory = None if memory is None else _check.integer("memory", memory, 1)
        self.params = params
        self._holds = False
        self._depth = 0
        self._clear()

    def _clear(self) -> None:
        self._held: list[tuple[Array, Array | None]] = []
        self._fold: Fold | None = None
        self._table = Table(_LONG, 32)
        self._box: Geometry | None = None
        self._spill: Spill | None = None
        self._dtype: np.dtype | None = None
        self._columns = 3
        self._seen = 0
        self._out_of_range = self._non_finite = 0

    def fresh(self) -> VoxelAccumulator:
        """An empty state with the same settings, which holds its chunks until it is merged or finished."""
        other = VoxelAccumulator(
            self.voxel_size,
            self.point_range,
            origin=self.origin,
            reduce=self.reduce,
            order=self.order,
            memory=self.memory,
            params=self.params,
            ignore=self.ignore,
        )
        other._holds = True
        return other

    def update(self, points: Any, cells: Any = None) -> VoxelAccumulator:
        """Take in a chunk.

        Parameters
        ----------
        points : array_like, shape (N, C)
            x, y, z and any other columns; every chunk has the same columns and dtype.
        cells : array_like of integers, shape (N, 3), optional
            The points' cells (x, y, z) where the caller knows them exactly, as on LAS's integer lattice; with a range
            they count from its lower corner.
        """
        given = _check.asarray("points", points)
        data = _grid.cloud(given)
        if cells is not None:
            cells = _check.array("cells", cells, ("i", "u"), 2).astype(np.int64, copy=False)
            if cells.shape != (len(data), 3):
                raise _check.InputError(f"cells must have shape ({len(data)}, 3), got {cells.shape}")
        dtype = _grid.kept_dtype(given, data)
        if self._dtype is None:
            self._start(dtype, data.shape[1])
        elif data.shape[1] != self._columns or dtype != self._dtype:
            got = f"{given.dtype} of {data.shape[1]}"
            raise _check.InputError(
                f"a chunk must be {self._dtype} of {self._columns} columns like the first, got {got}"
            )
        if self._holds or kernel is None:
            own = data.copy() if np.may_share_memory(data, given) else data
            self._held.append((own, None if cells is None else cells.copy()))
        else:
            self._absorb(data, cells)
        return self

    def _start(self, dtype: np.dtype, columns: int) -> None:
        self._dtype, self._columns = dtype, columns
        self._fold = Fold(self.reduce, columns, self._dtype, self.ignore)
        if self.point_range is not None:
            floats = dtype if dtype.kind == "f" else np.dtype(np.float64)
            box = _grid.bounded(self.voxel_size, self.point_range, floats, self.params or "float32")
            self._box = Geometry(box.low, box.size, box.base, _grid.fits(box.grid), box.single, long_keys=True)

    def _absorb(self, points: Array, cells: Array | None, index: Array | None = None) -> None:
        if self.memory is None or len(points) <= _STEP:
            self._take(points, cells, index)
            return
        for i in range(0, len(points), _STEP):
            s = slice(i, i + _STEP)
            self._take(points[s], None if cells is None else cells[s], None if index is None else index[s])

    def _take(self, points: Array, cells: Array | None, index: Array | None) -> None:
        n, fold = len(points), self._fold
        if not n or fold is None:
            return
        box = self._cover(points, cells)
        if cells is None:
            keys = np.empty(n, _LONG)
            missing = kernel.keys_of(points, box.numbers, box.single, keys)
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
                self._spill.write(when, box.decode(keys[rest]), points[rest])
        fold.clock = self._seen
        fold.update(points, ids, len(self._table), keys, box, index)
        self._seen += n
        self._non_finite += missing
        self._out_of_range += n - inside - missing
        if self.memory is not None and self._spill is None and self._needs() > self.memory:
            self._spill = Spill(self._columns, points.dtype, self._depth)

    def _needs(self) -> int:
        """The bytes of the state when it next grows."""
        full = len(self._table) + _STEP > 1 << (self._table.bits - 1)
        state = self._fold.nbytes if self._fold is not None else 0
        return self._table.slots.nbytes * (3 if full else 1) + state * 5 // 2

    def _cover(self, points: Array, cells: Array | None) -> Geometry:
        """A box of cells that holds what was seen and these points."""
        if self.point_range is not None:
            return self._box  # type: ignore[return-value]
        if cells is None:
            ends = _grid.cell_bounds(points, self.origin, self.voxel_size)
        else:
            ends = cells.min(axis=0), cells.max(axis=0)
        old = self._box
        if ends is None:
            return old or Geometry(self.origin, self.voxel_size, (0, 0, 0), (0, 0, 0), long_keys=True)
        low, high = ends
        if old is not None:
            base, top = np.array(old.base), np.array(old.base) + np.array(old.grid) - 1
            if (low >= base).all() and (high <= top).all():
                return old
            low, high = np.minimum(low, base), np.maximum(high, top)
        grid = [int(h) - int(a) + 1 for a, h in zip(low, high)]
        _grid.fits(grid)
        # Room on every side, so that a growing cloud seldom needs new keys.
        roomy = [min(3 * g, 2**31 - 1) for g in grid]
        if math.prod(roomy) < 2**63:
            low, grid = low - np.array([(r - g) // 2 for r, g in zip(roomy, grid)]), roomy
        box = Geometry(self.origin, self.voxel_size, tuple(int(a) for a in low), tuple(grid), long_keys=True)
        if old is not None and len(self._table):
            table = Table(_LONG, len(self._table))
            ids = np.empty(len(self._table), np.int32)
            table.assign(box.encode(old.decode(self._table.keys())), ids)
            self._table = table
        self._box = box
        return box

    def merge(self, other: VoxelAccumulator) -> VoxelAccumulator:
        """Take in a state that saw the chunks after this one's."""
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
        if self._holds or kernel is None:
            if other._seen:
                raise _check.InputError("a state from fresh() takes in only states from fresh()")
            self._held += other._held
            return self
        if other._seen:
            self._join(other)
        for points, cells in other._held:
            self._absorb(points, cells)
        return self

    def _settings(self) -> Any:
        ends = None if self.point_range is None else self.point_range.tolist()
        return self.voxel_size.tolist(), self.origin.tolist(), ends, self.reduce, self.order, self.params, self.ignore

    def _join(self, other: VoxelAccumulator) -> None:
        fold, theirs = self._fold, other._fold
        start = self._seen
        if self._spill is not None:
            raise _check.InputError("a state that has spilled cannot take in one that was filled directly; use fresh()")
        if theirs is not None and fold is not None and theirs.size and other._box is not None:
            cells = other._box.decode(other._table.keys())
            keys = self._cover(cells.astype(np.float64), cells).encode(cells)
            ids = np.empty(len(keys), np.int32)
            self._table.assign(keys, ids)
            fold.clock = start
            fold.merge(theirs, ids, len(self._table))
        self._non_finite += other._non_finite
        self._out_of_range += other._out_of_range
        if other._spill is not None:
            for part in range(PARTS):
                for when, cells, points in other._spill.read(part):
                    self._absorb(points, cells, when + start)
        self._seen = start + other._seen

    def finish(self) -> VoxelSummary:
        """The voxels; the state stays as it was and can take in more."""
        if kernel is None:
            return self._by_reference()
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
        parts: list[list[Any]] = [list(part) for part in self._parts()]
        rank = None
        if self.order == "sorted":
            coords = np.concatenate([part[2] for part in parts])
            order = np.lexsort(coords.T)
            del coords
            rank = _inverse(order)
        else:
            when = np.concatenate([part[0] for part in parts])
            if (when[1:] < when[:-1]).any():
                rank = _inverse(np.argsort(when))
            del when
        for part in parts:
            part[0] = None
        points, coords, counts = (_placed(parts, k, rank) for k in (1, 2, 3))
        kept = int(counts.sum())
        accounting = {
            "in": kept + self._out_of_range + self._non_finite,
            "kept": kept,
            "out_of_range": self._out_of_range,
            "non_finite": self._non_finite,
        }
        return VoxelSummary(points, coords, counts, accounting)

    def parts(self) -> Iterator[tuple[Array, Array, Array, Array]]:
        """The voxels a part at a time, for results that are larger than memory.

        Yields
        ------
        (first, points, coords, counts)
            Each voxel's first point as its number in the input, and the rows of `finish()`. A part is in order of first
            appearance, and the parts have no voxel in common.
        """
        if kernel is None or self._held or self._dtype is None:
            found = self.finish()
            yield np.arange(len(found.counts)), found.points, found.coords, found.counts
        else:
            yield from self._parts()

    def _parts(self) -> Iterator[_Part]:
        fold, m = self._fold, len(self._table)
        assert fold is not None
        coords = self._box.decode(self._table.keys()) if m and self._box is not None else np.zeros((0, 3), np.int64)
        fold.state.reserve(m)
        yield _Part(fold.state["when"][:m].copy(), fold.finish(), coords, fold.state["counts"][:m].copy())
        for part in range(PARTS if self._spill is not None else 0):
            state = self.fresh()
            state._holds, state._depth = False, self._depth + 1
            state._start(self._dtype, self._columns)  # type: ignore[arg-type]
            for when, cells, points in self._spill.read(part):  # type: ignore[union-attr]
                state._absorb(points, cells, when)
            yield from state._parts()

    def _by_reference(self) -> VoxelSummary:
        dtype = self._dtype or np.dtype(np.float64)
        points = np.concatenate([np.zeros((0, self._columns)), *(p for p, _ in self._held)]).astype(dtype)
        given = [c for _, c in self._held if c is not None]
        if self.point_range is None and not given:
            _grid.around(points, self.voxel_size, self.origin)  # an error where keys would not do
        values, coords, counts, _, accounting = reference.voxel_reduce(
            points,
            self.voxel_size,
            self.point_range,
            reduce=self.reduce,
            origin=self.origin,
            order=self.order,
            params=self.params,
            ignore=self.ignore,
            given_cells=np.concatenate(given) if given else None,
        )
        return VoxelSummary(values, coords, counts, accounting)
