"""Voxelization for 3D object detectors: bit-equal to spconv, mmcv and OpenPCDet, with every point accounted for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._typing import Array, ArrayLike
from fastdl.points import _grid, _voxel_ids
from fastdl.points._batches import number_rows, split_batch
from fastdl.points._grid import kernel
from fastdl.points.hard_voxelization import FEW, Voxels, VoxelSettings, hard_voxels, known_settings
from fastdl.points.hard_voxelization import kernel as voxel_kernel
from fastdl.reference import _point_reductions as reference_reductions
from fastdl.reference import points as reference

reduction_kernel = _kernels.load("points_reduction") or reference_reductions

FEATURES = {"voxelnet": 3, "pointpillars9": 5, "pointpillars10": 6}
_BLOCK = 1 << 17
_FLOAT32 = np.dtype(np.float32)


def voxel_coords(
    points: ArrayLike,
    voxel_size: ArrayLike,
    point_range: ArrayLike,
    *,
    arithmetic: str = "float32",
    axes: str = "zyx",
    row_splits: ArrayLike | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """The cell of every point: dynamic voxelization.

    ``floor((p - low) / size)`` by true division in the points' dtype, kept where 0 <= cell < grid.

    Parameters
    ----------
    points : array_like, shape (N, C >= 3), or a list of them
        x, y, z in the first columns. A list, or `row_splits`, makes a batch.
    voxel_size : float or three
        Edge of a voxel on x, y, z.
    point_range : six floats
        (x0, y0, z0, x1, y1, z1). The grid has (x1 - x0) / size cells, rounded, halves away from zero.
    arithmetic : {"float32", "exact"}
        "float32" rounds size and range to float32, and computes in the points' dtype, as every peer does; "exact"
        computes in float64.
    axes : {"zyx", "xyz"}
        Order of the columns out.
    row_splits : array_like of integers, optional
        Cloud k of a batch is points[row_splits[k]:row_splits[k + 1]].
    out : ndarray of int32, shape (N, 3), optional
        Where to write; not for a batch.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of int32, shape (N, 3), or (N, 4) with the cloud's number first in a batch
        -1 on every axis for points out of range or not finite.

    Warns
    -----
    UserWarning
        Where the range does not hold a whole number of voxels.

    Raises
    ------
    InputError
        For a size that is not above 0, a range whose ends do not rise, a grid that is too large.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.voxel_coords([[0.5, 1.5, 2.5], [9.0, 0.0, 0.0]], 1.0, (0, 0, 0, 4, 4, 4))
    array([[ 2,  1,  0],
           [-1, -1, -1]], dtype=int32)
    """
    _check.one_of("axes", axes, ("zyx", "xyz"))
    clouds = split_batch(points, row_splits)
    if clouds is not None:
        if out is not None:
            raise _check.InputError("out is for one cloud, not for a batch")
        parts = [
            voxel_coords(c, voxel_size, point_range, arithmetic=arithmetic, axes=axes, threads=threads) for c in clouds
        ]
        return number_rows(parts)
    x = _grid.as_cloud(points)
    grid = _grid.grid_of_range(voxel_size, point_range, x.dtype, arithmetic)
    if out is None and threads is _threads.ONE and len(x) <= FEW:
        few: Array | None = voxel_kernel.small_cells(x, grid.numbers, grid.single, axes == "zyx")
        if few is not None:
            return few
    coords = _check.out("out", out, (len(x), 3), np.int32, x)
    numbers, single, turn = grid.numbers, grid.single, axes == "zyx"
    _threads.split_rows(lambda some, to: kernel.cells_of(some, numbers, single, turn, to), (x, coords), threads, _BLOCK)
    return coords


def voxelize(
    points: ArrayLike,
    voxel_size: ArrayLike,
    point_range: ArrayLike,
    *,
    max_points: int | None = None,
    max_voxels: int | None = None,
    sample: str = "first",
    seed: int = 0,
    order: str = "first",
    arithmetic: str = "float32",
    axes: str = "zyx",
    like: str | None = None,
    row_splits: ArrayLike | None = None,
    max_bytes: int = 1 << 32,
    out: Array | None = None,
    threads: int | None = 1,
) -> Voxels:
    """Group points into voxels of at most T points: hard voxelization.

    Parameters
    ----------
    points : array_like, shape (N, C >= 3), or a list of them
        x, y, z in the first columns. A list, or `row_splits`, makes a batch.
    voxel_size, point_range, arithmetic, axes, row_splits
        As in `voxel_coords`.
    max_points : int, optional
        T, the points kept per voxel; by default the number of points in the fullest voxel.
    max_voxels : int, optional
        V, the voxels kept per cloud. Once V voxels exist, points that would open another are dropped.
    sample : {"first", "random"}
        Which T points of a voxel are kept, always in input order: the first, or those of the smallest hash(seed,
        index).
    seed : int
        Seed of the random sample.
    order : {"first", "sorted"}
        Voxels in order of first appearance, or by (z, y, x); the caps act in input order either way.
    like : {"spconv", "mmcv"}, optional
        Sets `sample`, `order`, `arithmetic` and `axes` to what that library does.
    max_bytes : int
        A larger result is an error.
    out : ndarray of the points' dtype, shape (V, T, C), optional
        Where to write; `voxels` is then its first M rows. Not for a batch.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    Voxels
        With `voxels`, `coords`, `counts`, `true_counts`, `inverse` and `accounting`.

    Raises
    ------
    InputError
        For bad settings, and where the result would be larger than `max_bytes`.

    See Also
    --------
    Voxelizer : the same for a loop.
    voxel_reduce : one row per voxel.

    References
    ----------
    Zhou and Tuzel, "VoxelNet", 2018; Yan et al., "SECOND", 2018; spconv's Point2VoxelCPU.

    Examples
    --------
    >>> import fastdl
    >>> v = fastdl.voxelize([[0.5, 0.5, 0.5], [2.5, 0.5, 0.5], [0.6, 0.6, 0.6]], 1.0, (0, 0, 0, 4, 4, 4), max_points=2)
    >>> v.coords.tolist(), v.counts.tolist(), v.inverse.tolist()
    ([[0, 0, 0], [0, 0, 2]], [2, 1], [0, 1, 0])
    """
    settings = known_settings(max_points, max_voxels, sample, seed, order, arithmetic, axes, like, max_bytes)
    spare = _voxel_ids.SHARED_WORKSPACE
    return hard_voxels(
        points, voxel_size, point_range, settings, spare, row_splits=row_splits, out=out, threads=threads
    )


class Voxelizer:
    """`voxelize` for a loop: settings are checked once, and scratch memory is reused.

    It may be shared between threads, pickled and forked; results never share memory with it. Parameters are those of
    `voxelize`.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> voxelizer = fastdl.Voxelizer(1.0, (0, 0, 0, 4, 4, 4), max_points=5)
    >>> voxelizer(np.ones((3, 4), np.float32)).voxels.shape
    (1, 5, 4)
    """

    def __init__(
        self,
        voxel_size: ArrayLike,
        point_range: ArrayLike,
        *,
        max_points: int | None = None,
        max_voxels: int | None = None,
        sample: str = "first",
        seed: int = 0,
        order: str = "first",
        arithmetic: str = "float32",
        axes: str = "zyx",
        like: str | None = None,
        max_bytes: int = 1 << 32,
        threads: int | None = 1,
    ):
        self.voxel_size, self.point_range = _grid.sizes(voxel_size), _grid.ranges(point_range)
        self.settings = VoxelSettings(max_points, max_voxels, sample, seed, order, arithmetic, axes, like, max_bytes)
        self.threads = threads
        # As Python numbers, for which `_grid` has a cache of grids.
        self._lattice = tuple(self.voxel_size.tolist()), tuple(self.point_range.reshape(6).tolist())
        self._workspace = _voxel_ids.Workspace()
        _grid.grid_of_range(voxel_size, point_range, _FLOAT32, self.settings.arithmetic)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Cells on x, y, z, for float32 points."""
        x, y, z = _grid.grid_of_range(*self._lattice, _FLOAT32, self.settings.arithmetic, warn=False).shape
        return x, y, z

    def __call__(
        self,
        points: ArrayLike,
        *,
        row_splits: ArrayLike | None = None,
        seed: int | None = None,
        out: Array | None = None,
    ) -> Voxels:
        """The voxels of a cloud, or of a batch; `seed` replaces that of the settings in this call."""
        return hard_voxels(
            points,
            *self._lattice,
            self.settings if seed is None else replace(self.settings, seed=seed),
            self._workspace,
            row_splits=row_splits,
            out=out,
            threads=self.threads,
            warn=False,
        )


def voxel_features(
    voxels: ArrayLike,
    counts: ArrayLike,
    coords: ArrayLike,
    voxel_size: ArrayLike,
    point_range: ArrayLike,
    *,
    kind: str = "voxelnet",
    axes: str = "zyx",
    arithmetic: str = "float32",
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """The input features of VoxelNet and PointPillars.

    Parameters
    ----------
    voxels : array_like of floats, shape (M, T, C)
        As `voxelize` gives them.
    counts : array_like of integers, shape (M,)
        Points used in each voxel.
    coords : array_like of integers, shape (M, 3) or (M, 4)
        Cells; of four columns the last three count.
    voxel_size, point_range, arithmetic
        As given to `voxelize`.
    kind : {"voxelnet", "pointpillars9", "pointpillars10"}
        Columns after the C of the points: the offset from the mean of the voxel's points (3 columns); for pillars then
        the offset from the centre of the cell, on x and y (the paper's 9 columns for C = 4), or on x, y and z
        (OpenPCDet's 10).
    axes : {"zyx", "xyz"}
        Order of the columns of `coords`.
    out : ndarray, shape (M, T, C + 3, C + 5 or C + 6), optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (M, T, C + 3, C + 5 or C + 6)
        In the dtype of `voxels`; unused slots are 0. The mean is a float64 sum, divided and cast once.

    References
    ----------
    Zhou and Tuzel, "VoxelNet", 2018, section 2.1.1; Lang et al., "PointPillars", 2019, section 2.1.

    Examples
    --------
    >>> import fastdl
    >>> size, ends = 1.0, (0, 0, 0, 4, 4, 4)
    >>> v = fastdl.voxelize([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 2.0]], size, ends)
    >>> fastdl.voxel_features(v.voxels, v.counts, v.coords, size, ends)[0, :, 4:]
    array([[-0.25,  0.  ,  0.  ],
           [ 0.25,  0.  ,  0.  ]])
    """
    _check.one_of("kind", kind, FEATURES)
    _check.one_of("axes", axes, ("zyx", "xyz"))
    v = _check.array("voxels", voxels, (np.dtype(np.float32), np.dtype(np.float64)), 3)
    if v.shape[2] < 3:
        raise _check.InputError(f"voxels must have at least 3 columns, got shape {v.shape}")
    n = _int32("counts", _check.array("counts", counts, ("i", "u"), 1), 0, v.shape[1])
    cells = _check.array("coords", coords, ("i", "u"), 2)
    if cells.shape[1] not in (3, 4):
        raise _check.InputError(f"coords must have 3 or 4 columns, got {cells.shape[1]}")
    cells = _int32("coords", cells[:, -3:], -(2**31), 2**31 - 1)
    _check.same_length(voxels=v, counts=n, coords=cells)
    _grid.grid_of_range(voxel_size, point_range, v.dtype, arithmetic, warn=False)
    wide = v.shape[2] + FEATURES[kind]
    features = _check.out("out", out, (*v.shape[:2], wide), v.dtype, v)
    if not v.size:
        return features
    size, ends, _ = reference.grid_of(voxel_size, np.asarray(point_range), v.dtype, arithmetic)
    step, low = size.astype(v.dtype), (size / 2 + ends[:3]).astype(v.dtype)
    xyz = cells if axes == "xyz" else np.ascontiguousarray(cells[:, ::-1])
    _threads.split(
        len(v),
        threads,
        lambda s: reduction_kernel.features(v[s], n[s], xyz[s], step, low, FEATURES[kind] - 3, features[s]),
        4096,
    )
    return features


def _int32(name: str, x: Array, low: int, high: int) -> Array:
    """Integers as int32, after a check that all are between `low` and `high`."""
    if x.size and (x.min() < low or x.max() > high):
        raise _check.InputError(f"{name} must be between {low} and {high}, got {x.min()} to {x.max()}")
    return np.ascontiguousarray(x, dtype=np.int32)
