"""Voxels of a cloud with one row each: any reduction of any columns, down-sampling, dense grids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _check
from fastdl.points import _grid, _voxel_ids
from fastdl.points._buckets import Partition
from fastdl.points._grid import Array, Geometry, Table, by_voxel, kernel
from fastdl.points._hard_voxels import limit
from fastdl.points._reductions import Fold
from fastdl.reference import points as reference

LIKES = ("open3d", "open3d_t", "kiss_icp", "pcl", "pdal")
#: Points from which a cloud is partitioned: below, one table that fits the caches is faster.
LARGE = 1 << 20


@dataclass
class VoxelReduction:
    """What `voxel_reduce` gives.

    Attributes
    ----------
    points : ndarray, shape (M, K)
        The reductions, in the points' dtype (float64 for sums and means of integers).
    coords : ndarray of int64, shape (M, 3)
        Cells as (x, y, z), from the origin or from the range's lower corner.
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
    """A reduction of the user's own, compiled by Numba into the loop over the points.

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

    init: Callable[..., Any]
    update: Callable[..., Any]
    finish: Callable[..., Any]
    state_size: int
    columns: int
    merge: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        _check.integer("state_size", self.state_size, 1)
        _check.integer("columns", self.columns, 1)

    def fold(self, points: Array, ids: Array, states: Array, known: int, size: int) -> None:
        """Take in points by their voxel's id; those from `known` are new."""
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
        """Take in other states, `new` ones as they are."""
        states[ids[new]] = others[new]
        if self.merge is None and not new.all():
            raise _check.InputError(
                "this VoxelReducer has no merge function, so states of the same voxel cannot be merged"
            )
        for i in np.flatnonzero(~new):
            self.merge(states[ids[i]], others[i])  # type: ignore[misc]


def voxel_reduce(
    points: Any,
    voxel_size: Any,
    point_range: Any = None,
    *,
    reduce: Any = "mean",
    origin: Any = 0.0,
    order: str = "first",
    params: str | None = None,
    ignore: float = -1,
    threads: int | None = 1,
) -> VoxelReduction:
    """One row per occupied voxel: any reduction of any columns.

    Parameters
    ----------
    points : array_like, shape (N, C >= 3)
        x, y, z in the first columns.
    voxel_size : float or three
        Edge of a voxel on x, y, z.
    point_range : six floats, optional
        (x0, y0, z0, x1, y1, z1), as in `voxelize`; without it every finite point is kept.
    reduce : str, sequence, or VoxelReducer
        One reduction for all columns, one for each, or (column, name) pairs, of "count", "sum", "mean" (float64 sums
        in input order, one division, one cast), "min", "max" (NaN wins), "first", "last", "nearest" (the value of
        the point nearest to the cell's centre, the first of equals), "majority" (ties to the smaller label; NaN has
        no vote), "consensus" (the value if all agree, else `ignore`).
    origin : float or three
        A corner of the lattice where there is no range.
    order : {"first", "sorted"}
        Voxels in order of first appearance, or by (z, y, x).
    params : {"float32", "exact"}, optional
        With a range, "float32" (default) computes cells as `voxelize` does, "exact" in float64. Without one it is
        always float64.
    ignore : float
        The label without a vote, and the result where there is no majority or no consensus.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    VoxelReduction
        With `points`, `coords`, `counts`, `inverse` and `accounting`.

    Raises
    ------
    InputError
        For bad settings, and where cells cannot be numbered within 63 bits, naming the axis.

    Examples
    --------
    >>> import fastdl
    >>> cloud = [[0.25, 0, 0, 7], [0.75, 0, 0, 7], [5, 0, 0, 1]]
    >>> r = fastdl.voxel_reduce(cloud, 1.0, reduce=[(0, "mean"), (3, "majority"), (3, "count")])
    >>> r.points
    array([[0.5, 7. , 2. ],
           [5. , 1. , 1. ]])
    """
    _check.one_of("order", order, ("first", "sorted"))
    given = _check.asarray("points", points)
    x = _grid.cloud(given)
    if len(x) >= 2**31:
        raise _check.InputError(f"points must be fewer than 2^31, got {len(x)}; VoxelAccumulator takes them in chunks")
    size, low = _grid.sizes(voxel_size), _grid.three("origin", origin)
    if point_range is not None:
        geometry = _grid.bounded(size, point_range, x.dtype, params or "float32")
    elif params == "float32":
        raise _check.InputError("params='float32' needs a point_range; without one cells are computed in float64")
    else:
        geometry = _grid.around(x, size, low)
    dtype = _grid.kept_dtype(given, x)
    fold = Fold(reduce, x.shape[1], dtype, ignore)
    if kernel is None:
        data = x if dtype.kind == "f" else x.astype(dtype)
        return VoxelReduction(
            *reference.voxel_reduce(
                data, size, point_range, reduce=reduce, origin=low, order=order, params=params, ignore=ignore
            )
        )
    ids, voxels, missing = _numbered(x, geometry, threads)
    fold.update(x, ids, voxels, _keys(x, geometry, fold, threads), geometry)
    coords = _voxel_ids.cells_of(x, ids, voxels, geometry).astype(np.int64) + np.array(geometry.base, np.int64)
    values, counts = fold.finish(), fold.state["counts"][:voxels]
    if order == "sorted" and voxels:
        place = np.lexsort(coords.T)
        rank = np.empty(voxels + 1, np.int32)
        rank[place], rank[voxels] = np.arange(voxels, dtype=np.int32), -1
        values, coords, counts, ids = values[place], coords[place], counts[place], rank[ids]
    kept = int(counts.sum())
    accounting = {"in": len(x), "kept": kept, "out_of_range": len(x) - kept - missing, "non_finite": missing}
    return VoxelReduction(values, coords, counts, ids, accounting)


def _numbered(x: Array, geometry: Geometry, threads: int | None) -> tuple[Array, int, int]:
    if len(x) < LARGE:
        return _voxel_ids.number(x, geometry, threads, _voxel_ids.SPARE)
    parts = Partition(x, geometry, threads)
    return parts.numbered(), parts.size, parts.missing


def _keys(x: Array, geometry: Geometry, fold: Fold, threads: int | None) -> Array:
    """The keys, where the reductions want them."""
    keys = np.empty(len(x) if "pick" in fold.state.arrays else 0, geometry.key)
    if len(keys):
        _voxel_ids.keys_of(x, geometry, keys, threads)
    return keys


def voxel_downsample(
    points: Any,
    voxel_size: Any,
    *,
    origin: Any = 0.0,
    reduce: Any = "mean",
    order: str = "first",
    like: str | None = None,
    threads: int | None = 1,
) -> Array:
    """One point per occupied voxel.

    Parameters
    ----------
    points : array_like, shape (N, C >= 3)
        x, y, z in the first columns; all columns are reduced. Points that are not finite are left out.
    voxel_size, origin, reduce, order
        As in `voxel_reduce`.
    like : {"open3d", "open3d_t", "kiss_icp", "pcl", "pdal"}, optional
        The lattice, the reduction and the order of that library: Open3D's legacy cloud (lattice half a voxel below the
        cloud, mean), its tensor cloud (cells in the points' dtype, mean), KISS-ICP (first point), PCL's VoxelGrid
        (float32 times 1/size, mean, sorted), PDAL's voxeldownsize in mode "first" (lattice around the first point).
        Where their order follows a hash, it is that of first appearance here; sums are float64.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (M, C)
        In the points' dtype; float64 for sums and means of integers.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.voxel_downsample([[0.25, 0.25, 0.25], [0.75, 0.25, 0.25], [4.0, 4.0, 4.0]], 1.0)
    array([[0.5 , 0.25, 0.25],
           [4.  , 4.  , 4.  ]])
    """
    if like is not None:
        return _like(points, voxel_size, _check.one_of("like", like, LIKES), threads)
    if kernel is None or order != "first" or reduce not in ("mean", "sum"):
        return voxel_reduce(points, voxel_size, origin=origin, reduce=reduce, order=order, threads=threads).points
    x = _grid.cloud(points)
    n, c = x.shape
    if n >= LARGE:
        return Partition(x, _grid.around(x, voxel_size, origin, threads), threads).sums(reduce == "mean")
    if c in (3, 4) and n:
        near = _near(x, voxel_size, origin, threads, reduce == "mean")
        if near is not None:
            return near
    ids, size, _ = _voxel_ids.number(x, _grid.around(x, voxel_size, origin, threads), threads, _voxel_ids.SPARE)
    sums, counts = np.zeros((size, c)), np.zeros(size, np.int32)
    out = np.empty((size, c), x.dtype)
    if size:
        by_voxel.fold_rows(x, ids, sums)
        by_voxel.count_ids(ids, size, counts)
        by_voxel.finish_rows(sums, counts, reduce == "mean", out)
    return out


def _near(x: Array, voxel_size: Any, origin: Any, threads: int | None, mean: bool) -> Array | None:
    """Sums or means of a cloud that fits a grid around its first point, whose bounds need no search; else None."""
    size, low, (n, c) = _grid.sizes(voxel_size), _grid.three("origin", origin), x.shape
    with np.errstate(invalid="ignore", over="ignore"):
        cell = np.floor((x[0, :3].astype(np.float64) - low) / size)
    if not (np.abs(cell) < 2**52).all():
        return None
    window = Geometry(low, size, tuple(int(a) - g // 2 for a, g in zip(cell, _grid.SPREAD)), _grid.SPREAD)
    spare = _voxel_ids.SPARE
    keys = spare.take("keys", n, window.key)
    missing = _voxel_ids.keys_of(x, window, keys, threads)
    table = Table(window.key, max(n // 8, spare.voxels * 3 // 2), spare.take)
    count, start = np.zeros(2, np.int64), 0
    sums, counts = np.empty((0, c)), np.empty(0, np.int32)
    while True:
        most, held = 1 << (table.bits - 1), int(count[0])
        more = spare.take(f"sums {table.bits}", most * c, np.float64).reshape(most, c)
        numbers = spare.take(f"counts {table.bits}", most, np.int32)
        more[:held], numbers[:held] = sums[:held], counts[:held]
        sums, counts = more, numbers
        start = by_voxel.sum_by_key(x, keys, start, table.slots, table.bits, count, most, sums, counts)
        if start == n:
            break
        table.grow()
    if count[1] != missing:
        return None
    spare.voxels = int(count[0])
    out = np.empty((spare.voxels, c), x.dtype)
    if len(out):
        by_voxel.finish_rows(sums[: len(out)], counts[: len(out)], mean, out)
    return out


def _like(points: Any, voxel_size: Any, like: str, threads: int | None) -> Array:
    x = _grid.cloud(points)
    size = _grid.sizes(voxel_size)
    if like == "kiss_icp":
        return voxel_downsample(x, size, reduce="first", threads=threads)
    finite = np.isfinite(x[:, :3]).all(axis=1)
    seen = x[finite]
    if like == "open3d":
        low = seen[:, :3].min(axis=0).astype(np.float64) - size * 0.5 if len(seen) else 0.0
        return voxel_downsample(seen, size, origin=low, threads=threads)
    if like == "pdal":
        low = seen[0, :3].astype(np.float64) - size / 2 if len(seen) else 0.0
        return voxel_downsample(seen, size, origin=low, reduce="first", threads=threads)
    wide = np.float32 if like == "pcl" else x.dtype.type
    xyz, edge = seen[:, :3].astype(wide), size.astype(wide)
    cells = np.floor(xyz * (wide(1) / edge) if like == "pcl" else xyz / edge)
    from fastdl.points.accumulator import VoxelAccumulator

    state = VoxelAccumulator(size, order="sorted" if like == "pcl" else "first")
    return state.update(seen, cells.astype(np.int64)).finish().points


def voxel_grid(
    points: Any,
    voxel_size: Any,
    point_range: Any,
    *,
    reduce: Any = "mean",
    axes: str = "xyz",
    fill: float = 0,
    params: str = "float32",
    ignore: float = -1,
    max_bytes: int = 1 << 32,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """The voxels as a dense array (X, Y, Z, D).

    Parameters
    ----------
    points, voxel_size, point_range, reduce, params, ignore
        As in `voxel_reduce`; D is the number of reductions.
    axes : str
        Order of the first three axes: "xyz" or any other, "zyx" for most networks.
    fill : float
        The value of empty cells; a (0, "count") among the reductions tells them.
    max_bytes : int
        An error instead of a larger array.
    out : ndarray, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (X, Y, Z, D) for axes "xyz"
        In the points' dtype; float64 for sums and means of integers.

    Raises
    ------
    InputError
        Where the array would be larger than `max_bytes`, saying by how much.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.voxel_grid([[0.5, 0.5, 0.5], [1.5, 0.5, 0.5]], 1.0, (0, 0, 0, 2, 1, 1), reduce=[(0, "count")]).ravel()
    array([1., 1.])
    """
    if sorted(axes) != list("xyz"):
        raise _check.InputError(f"axes must be an order of 'x', 'y' and 'z', got {axes!r}")
    given = _check.asarray("points", points)
    x = _grid.cloud(given)
    geometry = _grid.bounded(voxel_size, point_range, x.dtype, params)
    own = _grid.kept_dtype(given, x)
    fold = Fold(reduce, x.shape[1], own, ignore)
    depth = fold.reducer.columns if fold.reducer else len(fold.plan)
    dtype = np.dtype(np.float64) if fold.reducer else reference.result_dtype(own, [n for _, n in fold.plan])
    shape = (*(geometry.grid["xyz".index(a)] for a in axes), depth)
    if out is None:
        limit("a dense grid", shape, dtype, max_bytes)
    dense = _check.out("out", out, shape, dtype, x)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # said above
        r = voxel_reduce(given, voxel_size, point_range, reduce=reduce, params=params, ignore=ignore, threads=threads)
    dense.fill(fill)
    dense[tuple(r.coords[:, "xyz".index(a)] for a in axes)] = r.points
    return dense
