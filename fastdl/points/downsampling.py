"""Voxel down-sampling: one point per occupied voxel, by fastdl's rules or those of another library."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import ONE, valid
from fastdl._typing import Array, ArrayLike
from fastdl.points import _batches, _grid, _voxel_ids, reduction
from fastdl.points._buckets import BucketedVoxels
from fastdl.points._grid import Grid
from fastdl.points._key_table import KeyTable
from fastdl.points._reductions import Reduce
from fastdl.reference import _point_reductions as reference_reductions

kernel = _kernels.load("points_reduction") or reference_reductions

_SNAP = 64  # cells: a window's corner is a multiple, so that the next cloud's window is likely to be in the cache
_FEW = 512  # points up to which there is room for a voxel per point at once, which is cheaper than growing
_FLOAT64, _INT32 = np.dtype(np.float64), np.dtype(np.int32)
_MEAN, _FIRST = "mean", "first"  # the defaults
LIKES = ("open3d", "open3d_t", "kiss_icp", "pcl", "pdal")


def voxel_downsample(
    points: ArrayLike,
    voxel_size: ArrayLike,
    *,
    origin: ArrayLike = 0.0,
    reduce: Reduce = "mean",
    order: str = "first",
    like: str | None = None,
    seed: int = 0,
    row_splits: ArrayLike | None = None,
    threads: int | None = 1,
) -> Array | list[Array] | tuple[Array, Array]:
    """One point per occupied voxel.

    Parameters
    ----------
    points : array_like, shape (N, C >= 3), records with fields x, y, z, or a list of either
        x, y, z in the first columns; all columns are reduced. Points that are not finite are left out.
    voxel_size, origin, reduce, order, seed
        As in `voxel_reduce`.
    like : {"open3d", "open3d_t", "kiss_icp", "pcl", "pdal"}, optional
        The lattice, reduction and order of that library: Open3D's legacy cloud (lattice half a voxel below the cloud,
        mean), its tensor cloud (cells in the points' dtype, mean), KISS-ICP (first point), PCL's VoxelGrid (float32
        times 1/size, mean, sorted), PDAL's voxeldownsize in mode "first" (lattice around the first point). Where their
        order follows a hash table, it is that of first appearance here; sums are float64.
    row_splits : array_like of integers, optional
        Cloud k of a batch is points[row_splits[k]:row_splits[k + 1]].
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (M, C), or records (M,)
        In the points' dtype; float64 for sums and means of integers. For a list of clouds a list of these; with
        `row_splits` a pair: the points of all clouds, and their new row_splits.

    Raises
    ------
    InputError
        For bad settings, and where cells cannot be numbered within 63 bits, naming the axis.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.voxel_downsample([[0.25, 0.25, 0.25], [0.75, 0.25, 0.25], [4.0, 4.0, 4.0]], 1.0)
    array([[0.5 , 0.25, 0.25],
           [4.  , 4.  , 4.  ]])
    """
    if (
        row_splits is None
        and like is None
        and reduce is _MEAN
        and order is _FIRST
        and (threads is ONE or valid(threads))
    ):
        few = _few_means(points, voxel_size, origin)
        if few is not None:
            return few
    if like is not None:
        _check.one_of("like", like, LIKES)
    clouds = _batches.split_batch(points, row_splits)
    settings = reduction.ReductionSettings(reduce, _check.one_of("order", order, ("first", "sorted")), seed=seed)
    if clouds is None:
        return _downsample(points, voxel_size, origin, settings, like, threads)
    found = [_downsample(c, voxel_size, origin, settings, like, threads) for c in clouds]
    if row_splits is None:
        return found
    return np.concatenate(found), np.cumsum([0, *map(len, found)])


def _few_means(points: ArrayLike, voxel_size: ArrayLike, origin: ArrayLike) -> Array | None:
    """The means of few points, or None where they or the settings are to be looked at more closely."""
    if not (_grid.is_plain(voxel_size) and _grid.is_plain(origin)):
        return None
    found: Array | None = kernel.small_means(points, _lattice(voxel_size, origin))
    return found


@lru_cache(maxsize=32)
def _lattice(voxel_size: ArrayLike, origin: ArrayLike) -> Array:
    """Origin and edges, the cells of a window and the step by which it moves, as `small_means` takes them."""
    return np.array([*_grid.three("origin", origin), *_grid.sizes(voxel_size), *_grid.SPREAD, _SNAP])


def _downsample(
    points: ArrayLike,
    voxel_size: ArrayLike,
    origin: ArrayLike,
    settings: reduction.ReductionSettings,
    like: str | None,
    threads: int | None,
) -> Array:
    """One cloud, down-sampled."""
    if like is not None:
        return _downsample_like(_grid.as_cloud(points), _grid.sizes(voxel_size), like, threads)
    how = settings.reduce
    records = isinstance(points, np.ndarray) and points.dtype.names is not None
    if not records and isinstance(how, str) and how in ("first", "nearest"):
        kept = _kept_points(points, voxel_size, origin, settings, threads)
        if kept is not None:
            return kept
    if records or not isinstance(how, str) or how not in ("mean", "sum"):
        return reduction.voxel_reduce(
            points, voxel_size, origin=origin, reduce=how, order=settings.order, seed=settings.seed, threads=threads
        ).points
    x = _grid.as_cloud(points)
    n, c = x.shape
    ranked = settings.order == "sorted"
    if n >= reduction.LARGE and not ranked:
        return BucketedVoxels(x, _grid.grid_around(x, voxel_size, origin, threads), threads).sums(how == "mean")
    if c in (3, 4) and n and not ranked:
        near = _sum_around_first(x, voxel_size, origin, threads, how == "mean")
        if near is not None:
            return near
    grid = _grid.grid_around(x, voxel_size, origin, threads)
    ids, size = _ids_of(x, grid, threads)
    out = _totals(x, ids, size, how == "mean")
    return out[_grid.sort_cells(_voxel_ids.cells_of(x, ids, size, grid), grid.shape)] if ranked else out


def _kept_points(
    points: ArrayLike,
    voxel_size: ArrayLike,
    origin: ArrayLike,
    settings: reduction.ReductionSettings,
    threads: int | None,
) -> Array | None:
    """The first or the nearest point of every voxel, all columns at once; None where they are not of one float type."""
    given = _check.asarray("points", points)
    if given.dtype.names is not None or given.dtype.kind != "f":
        return None
    x = _grid.as_cloud(given)
    if len(x) >= reduction.LARGE:
        return None
    grid = _grid.grid_around(x, voxel_size, origin, threads)
    ids, size = _ids_of(x, grid, threads)
    pick = np.empty(size, np.int64)
    kernel.tally(ids, 0, pick, np.zeros(size, np.int64))
    cells = None
    if settings.reduce == "nearest":
        cells = _voxel_ids.cells_of(x, ids, size, grid)
        centres = cells + (np.array(grid.base, np.int64) + 0.5)
        centres *= grid.size
        centres += grid.low
        kernel.nearest_points(x, ids, centres, np.full(size, np.inf), pick, 0)
    if settings.order == "sorted":
        cells = _voxel_ids.cells_of(x, ids, size, grid) if cells is None else cells
        pick = pick[_grid.sort_cells(cells, grid.shape)]
    return np.take(x, pick, axis=0)


def _ids_of(x: Array, grid: Grid, threads: int | None) -> tuple[Array, int]:
    if len(x) >= reduction.LARGE:
        parts = BucketedVoxels(x, grid, threads)
        return parts.voxel_ids(), parts.size
    with _voxel_ids.SHARED_WORKSPACE.borrow() as scratch:
        ids, size, _ = _voxel_ids.voxel_ids(x, grid, threads, scratch)
    return ids, size


def _totals(x: Array, ids: Array, size: int, mean: bool) -> Array:
    """Sums or means of all columns."""
    sums, counts = np.zeros((size, x.shape[1])), np.zeros(size, np.int32)
    out = np.empty((size, x.shape[1]), x.dtype)
    if size:
        kernel.fold_rows(x, ids, sums)
        kernel.count_ids(ids, size, counts)
        kernel.finish_rows(sums, counts, mean, out)
    return out


def _sum_around_first(
    x: Array, voxel_size: ArrayLike, origin: ArrayLike, threads: int | None, mean: bool
) -> Array | None:
    """Sums or means in a grid around the first point, which saves a pass for the bounds; None if points are outside."""
    # Python's own floats: ten NumPy operations on three numbers would take as long as a hundred points.
    size, low = tuple(_grid.sizes(voxel_size).tolist()), tuple(_grid.three("origin", origin).tolist())
    base = []
    for p, zero, step, cells in zip(x[0, :3].tolist(), low, size, _grid.SPREAD):
        place = (p - zero) / step
        if not abs(place) < 2**52:
            return None
        base.append(math.floor(place) // _SNAP * _SNAP - cells // 2)
    window = _window(low, size, tuple(base))
    with _voxel_ids.SHARED_WORKSPACE.borrow() as scratch:
        return _sum_in_window(x, window, mean, scratch, threads)


def _sum_in_window(
    x: Array, window: Grid, mean: bool, scratch: _voxel_ids.Scratch, threads: int | None
) -> Array | None:
    """Sums or means of the voxels of a grid, in order of first appearance; None if points are outside."""
    n, c = x.shape
    keys = scratch.take("keys", n, window.key)
    missing = _voxel_ids.keys_of(x, window, keys, threads)
    table = KeyTable(window.key, max(n // 8, scratch.voxels * 3 // 2, min(n, _FEW)), scratch.take)
    count, start = np.zeros(2, np.int64), 0
    sums, counts = np.empty((0, c)), np.empty(0, np.int32)
    while True:
        most, held = 1 << (table.bits - 1), int(count[0])
        more = scratch.take(f"sums {table.bits}", most * c, _FLOAT64).reshape(most, c)
        numbers = scratch.take(f"counts {table.bits}", most, _INT32)
        if held:
            more[:held], numbers[:held] = sums[:held], counts[:held]
        sums, counts = more, numbers
        start = kernel.sum_by_key(x, keys, start, table.slots, table.bits, count, most, sums, counts)
        if start == n:
            break
        table.grow()
    if count[1] != missing:
        return None
    scratch.voxels = int(count[0])
    out = np.empty((scratch.voxels, c), x.dtype)
    if len(out):
        kernel.finish_rows(sums[: len(out)], counts[: len(out)], mean, out)
    return out


@lru_cache(maxsize=32)
def _window(low: tuple[float, ...], size: tuple[float, ...], base: tuple[int, ...]) -> Grid:
    """The largest grid of 32-bit keys at this place; successive clouds of a sensor mostly share it."""
    return Grid(np.array(low), np.array(size), base, _grid.SPREAD)


def _downsample_like(x: Array, size: Array, like: str, threads: int | None) -> Array:
    if like == "kiss_icp":
        return _downsample(x, size, 0.0, reduction.ReductionSettings("first"), None, threads)
    if like in ("pcl", "open3d_t"):
        return _downsample_scaled(x, size, like == "pcl", threads)
    finite = np.isfinite(x[:, :3]).all(axis=1)
    seen = x if finite.all() else x[finite]
    if like == "open3d":
        low = seen[:, :3].min(axis=0).astype(np.float64) - size * 0.5 if len(seen) else 0.0
        return _downsample(seen, size, low, reduction.ReductionSettings(), None, threads)
    low = seen[0, :3].astype(np.float64) - size / 2 if len(seen) else 0.0
    return _downsample(seen, size, low, reduction.ReductionSettings("first"), None, threads)


def _downsample_scaled(x: Array, size: Array, pcl: bool, threads: int | None) -> Array:
    """Means per cell, computed in float32 as p * (1 / size) for PCL, or in the points' dtype as p / size for Open3D."""
    _grid.cell_bounds(x, np.zeros(3), size, threads)  # raises where cells are beyond 2^52
    wide = np.float32 if pcl else x.dtype.type
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        xyz, edge = x[:, :3].astype(wide), size.astype(wide)
        places = xyz * (wide(1) / edge) if pcl else xyz / edge
    bad = ~np.isfinite(places)
    if not (edge > 0).all() or (bad.any() and (bad & np.isfinite(x[:, :3])).any()):
        raise _check.InputError(
            f"points and voxel_size {size.tolist()} must fit {np.dtype(wide)}, the type of the cells"
        )
    grid = _grid.grid_around(places, 1.0, 0.0, threads)
    ids, voxels = _ids_of(places, grid, threads)
    out = _totals(x, ids, voxels, True)
    return out[_grid.sort_cells(_voxel_ids.cells_of(places, ids, voxels, grid), grid.shape)] if pcl else out
