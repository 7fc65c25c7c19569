"""Voxel reductions: one row per occupied voxel, by any reduction of any columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.points import _batches, _grid, _voxel_ids
from fastdl.points._buckets import BucketedVoxels
from fastdl.points._grid import Grid
from fastdl.points._point_table import PointTable, point_table
from fastdl.points._reductions import Reduce, VoxelReductions

#: Points from which a cloud is partitioned into buckets; below, one hash table that fits the caches is faster.
LARGE = 1 << 20


@dataclass
class VoxelReduction:
    """The result of `voxel_reduce`.

    Attributes
    ----------
    points : ndarray, shape (M, K), or records (M,)
        The reductions. Values of points keep the points' dtype. Of integers, sums, means and the like are float64 and
        counts int64; the dtype is wider where `ignore` needs it. With records every field has its own.
    coords : ndarray of int64, shape (M, 3), or (M, 4) of a batch
        Cells as (x, y, z), from the origin or from the range's lower corner; after the cloud's number in a batch.
    counts : ndarray of int64, shape (M,)
        Points per voxel.
    inverse : ndarray of int32, shape (N,)
        The voxel of every point, -1 where it has none.
    accounting : dict
        "in" = "kept" + "out_of_range" + "non_finite".
    """

    points: Array
    coords: Array
    counts: Array
    inverse: Array
    accounting: dict[str, int]


@dataclass(frozen=True)
class VoxelReducer:
    """A custom reduction, compiled by Numba into the loop over the points.

    Parameters
    ----------
    init : callable (state)
        Sets a voxel's state, a float64 array of `state_size`.
    update : callable (state, row)
        Takes in a point, an array of all its columns.
    finish : callable (state, count, out)
        Writes the voxel's result to `out`, a float64 array of `columns`.
    state_size, columns : int
        Lengths of the state and of the result.
    merge : callable (state, other), optional
        Takes in the state of later points of the same voxel; needed only to merge accumulators that were filled
        directly.

    Examples
    --------
    The range of heights in each voxel:

    >>> import numpy as np, fastdl
    >>> def init(state):
    ...     state[0], state[1] = np.inf, -np.inf
    >>> def update(state, row):
    ...     state[0], state[1] = min(state[0], row[2]), max(state[1], row[2])
    >>> def finish(state, count, out):
    ...     out[0] = state[1] - state[0]
    >>> height = fastdl.VoxelReducer(init, update, finish, state_size=2, columns=1)
    >>> fastdl.voxel_reduce([[0.5, 0.5, 0.25], [0.5, 0.5, 0.75]], 1.0, reduce=height).points
    array([[0.5]])
    """

    init: Callable[..., object]
    update: Callable[..., object]
    finish: Callable[..., object]
    state_size: int
    columns: int
    merge: Callable[..., object] | None = None

    def __post_init__(self) -> None:
        _check.integer("state_size", self.state_size, 1)
        _check.integer("columns", self.columns, 1)

    def fold(self, points: Array, ids: Array, states: Array, known: int, size: int) -> None:
        """Take in points by their voxel's id; voxels from `known` on are new."""
        from fastdl_ext.user_functions import compilation
        from fastdl_ext.user_functions import points as user_points

        try:
            user_points.fold(self.init, self.update, points, ids, states, known, size)
        except compilation.CannotCompile as error:
            raise _check.InputError(str(error)) from error.__cause__

    def values(self, states: Array, counts: Array) -> Array:
        """The results, a row per voxel."""
        from fastdl_ext.user_functions import compilation
        from fastdl_ext.user_functions import points as user_points

        out = np.zeros((len(states), self.columns))
        try:
            user_points.values(self.finish, states, counts, out)
        except compilation.CannotCompile as error:
            raise _check.InputError(str(error)) from error.__cause__
        return out

    def join(self, states: Array, others: Array, ids: Array, new: Array) -> None:
        """Merge other states into those of their voxels `ids`; where `new`, the voxel had none."""
        states[ids[new]] = others[new]
        if self.merge is None and not new.all():
            raise _check.InputError(
                "this VoxelReducer has no merge function, so states of the same voxel cannot be merged"
            )
        for i in np.flatnonzero(~new):
            self.merge(states[ids[i]], others[i])  # type: ignore[misc]


@dataclass(frozen=True)
class ReductionSettings:
    """The settings of a reduction, as `voxel_reduce` documents them."""

    reduce: Reduce = "mean"
    order: str = "first"
    ignore: float = -1
    seed: int = 0
    arithmetic: str | None = None

    def state(self, table: PointTable) -> VoxelReductions:
        """The empty state of these reductions, for points of this table's dtype and columns."""
        dtype = table.given.dtype
        return VoxelReductions(self.reduce, table.columns, dtype, self.ignore, self.seed)


def voxel_reduce(
    points: ArrayLike,
    voxel_size: ArrayLike,
    point_range: ArrayLike | None = None,
    *,
    reduce: Reduce = "mean",
    origin: ArrayLike = 0.0,
    order: str = "first",
    arithmetic: str | None = None,
    ignore: float = -1,
    seed: int = 0,
    row_splits: ArrayLike | None = None,
    threads: int | None = 1,
) -> VoxelReduction:
    """One row per occupied voxel: any reduction of any columns.

    Parameters
    ----------
    points : array_like, shape (N, C >= 3), records with fields x, y, z, or a list of either
        x, y, z in the first columns, or the fields of these names. A list, or `row_splits`, makes a batch.
    voxel_size : float or three
        Edge of a voxel on x, y, z.
    point_range : six floats, optional
        (x0, y0, z0, x1, y1, z1), as in `voxelize`; without it every finite point is kept.
    reduce : str, sequence, or VoxelReducer
        One reduction for all columns, one for each, or (column, name) pairs, a column being a number or a field's
        name. "count"; "sum", "mean" (float64 sums in input order, one division, one cast); "std" (of the population,
        by Welford's formula); "min", "max" (NaN wins; the first of equals); "median" (NaN if any value is); "first",
        "last"; "nearest" (the value of the point nearest to the cell's centre, the first of equals); "random" (the
        value of the point with the smallest hash(seed, index)); "majority" (ties to the smaller label; NaN has no
        vote); "consensus" (the value if all agree, else `ignore`).
    origin : float or three
        A corner of the voxel lattice, where there is no range.
    order : {"first", "sorted"}
        Voxels in order of first appearance, or by (z, y, x).
    arithmetic : {"float32", "exact"}, optional
        With a range, "float32" (default) computes cells as `voxelize` does, "exact" in float64. Without one it is
        always float64.
    ignore : float
        The label that has no vote, and the result where there is no majority or no consensus.
    seed : int
        Seed of "random".
    row_splits : array_like of integers, optional
        Cloud k of a batch is points[row_splits[k]:row_splits[k + 1]].
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    VoxelReduction
        With `points`, `coords`, `counts`, `inverse` and `accounting`. Of a batch the voxels of all clouds, one cloud
        after the other.

    Raises
    ------
    InputError
        For bad settings, and where cells cannot be numbered within 63 bits, naming the axis.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> cloud = [[0.25, 0, 0, 7], [0.75, 0, 0, 7], [5, 0, 0, 1]]
    >>> r = fastdl.voxel_reduce(cloud, 1.0, reduce=[(0, "mean"), (3, "majority"), (3, "count")])
    >>> r.points
    array([[0.5, 7. , 2. ],
           [5. , 1. , 1. ]])

    Records keep each field's dtype:

    >>> records = np.array([(0.25, 0, 0, 7), (0.75, 0, 0, 7)], "f8, f8, f8, u1")
    >>> records.dtype.names = "x", "y", "z", "label"
    >>> fastdl.voxel_reduce(records, 1.0, reduce=[("x", "mean"), ("label", "majority")]).points["label"]
    array([7], dtype=int16)
    """
    settings = ReductionSettings(reduce, _check.one_of("order", order, ("first", "sorted")), ignore, seed, arithmetic)
    clouds = _batches.split_batch(points, row_splits)
    given = (voxel_size, point_range, origin)
    if clouds is None:
        return _reduce_cloud(point_table(points), given, settings, threads, True)
    parts = [_reduce_cloud(point_table(c), given, settings, threads, k == 0) for k, c in enumerate(clouds)]
    return VoxelReduction(
        np.concatenate([p.points for p in parts]),
        _batches.number_rows([p.coords for p in parts]),
        np.concatenate([p.counts for p in parts]),
        _batches.shift_ids([p.inverse for p in parts], [len(p.counts) for p in parts]),
        {name: sum(p.accounting[name] for p in parts) for name in parts[0].accounting},
    )


def _reduce_cloud(
    table: PointTable,
    given: tuple[ArrayLike, ArrayLike | None, ArrayLike],
    settings: ReductionSettings,
    threads: int | None,
    warn: bool,
) -> VoxelReduction:
    size, low = _grid.sizes(given[0]), _grid.three("origin", given[2])
    if len(table) >= 2**31:
        most = f"points must be fewer than 2^31, got {len(table)}; VoxelAccumulator takes them in chunks"
        raise _check.InputError(most)
    if given[1] is not None:
        dtype = table.floats.dtype
        grid = _grid.grid_of_range(size, given[1], dtype, settings.arithmetic or "float32", warn)
    elif settings.arithmetic == "float32":
        raise _check.InputError("arithmetic='float32' needs a point_range; without one cells are computed in float64")
    else:
        grid = _grid.grid_around(table.floats, size, low)
    return reduce_table(table, grid, settings, threads)


def reduce_table(table: PointTable, grid: Grid, settings: ReductionSettings, threads: int | None) -> VoxelReduction:
    """The reductions of a cloud in a grid."""
    state = settings.state(table)
    x = table.floats
    ids, voxels, missing = _voxel_ids_of(x, grid, threads)
    base = np.array(grid.base, np.int64)
    coords = _voxel_ids.cells_of(x, ids, voxels, grid).astype(np.int64) + base
    state.update(table, ids, voxels, lambda first: (coords + 0.5) * grid.size + grid.low)
    values, counts = state.finish(), state.state["counts"][:voxels]
    if settings.order == "sorted" and voxels:
        place = _grid.sort_cells(coords)
        rank = np.empty(voxels + 1, np.int32)
        rank[place], rank[voxels] = np.arange(voxels, dtype=np.int32), -1
        values, coords, counts = values[place], coords[place], counts[place]
        ids = rank[ids]  # id -1 indexes the last entry of rank, which is -1
    kept = int(counts.sum())
    accounting = {"in": len(x), "kept": kept, "out_of_range": len(x) - kept - missing, "non_finite": missing}
    return VoxelReduction(values, coords, counts, ids, accounting)


def _voxel_ids_of(x: Array, grid: Grid, threads: int | None) -> tuple[Array, int, int]:
    if len(x) < LARGE:
        with _voxel_ids.SHARED_WORKSPACE.borrow() as scratch:
            return _voxel_ids.voxel_ids(x, grid, threads, scratch)
    parts = BucketedVoxels(x, grid, threads)
    return parts.voxel_ids(), parts.size, parts.missing
