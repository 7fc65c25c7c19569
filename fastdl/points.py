"""Points to voxels as detectors take them: bit-equal to spconv, mmcv and OpenPCDet, every point accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fastdl import _cells, _check, _group, _threads
from fastdl._cells import Array, Geometry, kernel
from fastdl.reference import points as reference

LIKES = ("spconv", "mmcv")
FEATURES = {"voxelnet": 3, "pointpillars9": 5, "pointpillars10": 6}
_BLOCK = 1 << 17


@dataclass
class Voxels:
    """What `voxelize` gives.

    Attributes
    ----------
    voxels : ndarray, shape (M, T, C)
        The points of each voxel, then zeros.
    coords : ndarray of int32, shape (M, 3), or (M, 4) of a batch
        Cells as (z, y, x), after the cloud's number in a batch.
    counts : ndarray of int32, shape (M,)
        Points kept in each voxel, at most T.
    true_counts : ndarray of int32, shape (M,)
        Points that fell into each voxel.
    inverse : ndarray of int32, shape (N,)
        The voxel of every point, kept or over T; -1 where it has none.
    accounting : dict
        "in" = "kept" + "over_points" + "over_voxels" + "out_of_range" + "non_finite".
    """

    voxels: Array
    coords: Array
    counts: Array
    true_counts: Array
    inverse: Array
    accounting: dict[str, int]


def voxel_coords(
    points: Any,
    voxel_size: Any,
    point_range: Any,
    *,
    params: str = "float32",
    axes: str = "zyx",
    row_splits: Any = None,
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
    params : {"float32", "exact"}
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
        For a size that is not above 0, a range upside down, a grid too large.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.voxel_coords([[0.5, 1.5, 2.5], [9.0, 0.0, 0.0]], 1.0, (0, 0, 0, 4, 4, 4))
    array([[ 2,  1,  0],
           [-1, -1, -1]], dtype=int32)
    """
    _check.one_of("axes", axes, ("zyx", "xyz"))
    clouds = _batch(points, row_splits)
    if clouds is not None:
        if out is not None:
            raise _check.InputError("out is for one cloud, not for a batch")
        parts = [voxel_coords(c, voxel_size, point_range, params=params, axes=axes, threads=threads) for c in clouds]
        return _numbered(parts)
    x = _cells.cloud(points)
    geometry = _cells.bounded(voxel_size, point_range, x.dtype, params)
    coords = _check.out("out", out, (len(x), 3), np.int32, x)
    if kernel is None:
        coords[:] = reference.voxel_coords(x, voxel_size, point_range, params=params, axes=axes)
    else:
        numbers, turn = geometry.numbers, axes == "zyx"
        _threads.split(
            len(x), threads, lambda s: kernel.cells_of(x[s], numbers, geometry.single, turn, coords[s]), _BLOCK
        )
    return coords


def voxelize(
    points: Any,
    voxel_size: Any,
    point_range: Any,
    *,
    max_points: int | None = None,
    max_voxels: int | None = None,
    sample: str = "first",
    seed: int = 0,
    order: str = "first",
    params: str = "float32",
    axes: str = "zyx",
    like: str | None = None,
    row_splits: Any = None,
    max_bytes: int = 1 << 32,
    out: Array | None = None,
    threads: int | None = 1,
) -> Voxels:
    """Group points into voxels of at most T points: hard voxelization.

    Parameters
    ----------
    points : array_like, shape (N, C >= 3), or a list of them
        x, y, z in the first columns. A list, or `row_splits`, makes a batch.
    voxel_size, point_range, params, axes, row_splits
        As in `voxel_coords`.
    max_points : int, optional
        T, the points kept per voxel; by default as many as the fullest has.
    max_voxels : int, optional
        V, per cloud. When V voxels exist, points of new ones are dropped, those of existing ones still enter.
    sample : {"first", "random"}
        Which T points of a voxel are kept, always in input order: the first, or those of the least hash(seed, index).
    seed : int
        Of the random sample.
    order : {"first", "sorted"}
        Voxels in order of first appearance, or by (z, y, x); the caps act in input order either way.
    like : {"spconv", "mmcv"}, optional
        Sets `sample`, `order`, `params` and `axes` to what that library does.
    max_bytes : int
        An error instead of a larger result.
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
    Voxelizer : the same for a loop. voxel_reduce : one row per voxel.

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
    settings = _Settings(max_points, max_voxels, sample, seed, order, params, axes, like, max_bytes)
    return _run(points, voxel_size, point_range, settings, row_splits, out, threads, _group.SPARE)


class Voxelizer:
    """`voxelize` for a loop: settings are checked once, and memory is used again.

    Safe to share between threads, to pickle, and to fork; results never alias what is kept. Parameters are those of
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
        voxel_size: Any,
        point_range: Any,
        *,
        max_points: int | None = None,
        max_voxels: int | None = None,
        sample: str = "first",
        seed: int = 0,
        order: str = "first",
        params: str = "float32",
        axes: str = "zyx",
        like: str | None = None,
        max_bytes: int = 1 << 32,
        threads: int | None = 1,
    ):
        self.voxel_size, self.point_range = _cells.sizes(voxel_size), _cells.ranges(point_range)
        self.settings = _Settings(max_points, max_voxels, sample, seed, order, params, axes, like, max_bytes)
        self.threads = threads
        self._workspace = _group.Workspace()
        _cells.bounded(voxel_size, point_range, np.dtype(np.float32), self.settings.params)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Cells on x, y, z, for float32 points."""
        x, y, z = _cells.bounded(
            self.voxel_size, self.point_range, np.dtype(np.float32), self.settings.params, warn=False
        ).grid
        return x, y, z

    def __call__(self, points: Any, *, row_splits: Any = None, out: Array | None = None) -> Voxels:
        """Voxels of a cloud, or of a batch."""
        return _run(
            points,
            self.voxel_size,
            self.point_range,
            self.settings,
            row_splits,
            out,
            self.threads,
            self._workspace,
            False,
        )


@dataclass
class _Settings:
    max_points: int | None
    max_voxels: int | None
    sample: str
    seed: int
    order: str
    params: str
    axes: str
    like: str | None
    max_bytes: int

    def __post_init__(self) -> None:
        if self.like is not None:  # both libraries do what the defaults are
            _check.one_of("like", self.like, LIKES)
            self.sample, self.order, self.params, self.axes = "first", "first", "float32", "zyx"
        if self.max_points is not None:
            self.max_points = _check.integer("max_points", self.max_points, 1)
        if self.max_voxels is not None:
            self.max_voxels = _check.integer("max_voxels", self.max_voxels, 1)
        self.seed = _check.integer("seed", self.seed, 0, 2**64 - 1)
        _check.one_of("sample", self.sample, ("first", "random"))
        _check.one_of("order", self.order, ("first", "sorted"))
        _check.one_of("axes", self.axes, ("zyx", "xyz"))


def _run(
    points: Any,
    voxel_size: Any,
    point_range: Any,
    settings: _Settings,
    row_splits: Any,
    out: Array | None,
    threads: int | None,
    workspace: _group.Workspace,
    warn: bool = True,
) -> Voxels:
    clouds = _batch(points, row_splits)
    if clouds is None:
        x = _cells.cloud(points)
        geometry = _cells.bounded(voxel_size, point_range, x.dtype, settings.params, warn)
        return _one(x, geometry, (voxel_size, point_range), settings, out, threads, workspace)
    if out is not None:
        raise _check.InputError("out is for one cloud, not for a batch")
    clouds = [_cells.cloud(c) for c in clouds]
    if len({(c.dtype, c.shape[1]) for c in clouds}) > 1:
        raise _check.InputError("the clouds of a batch must have the same dtype and columns")
    if not clouds:
        clouds = [np.zeros((0, 3), np.float32)]
    geometry = _cells.bounded(voxel_size, point_range, clouds[0].dtype, settings.params, warn)
    parts = _threads.share(
        len(clouds),
        _threads.count(threads),
        lambda k: _one(clouds[k], geometry, (voxel_size, point_range), settings, None, 1, workspace),
    )
    return _joined(parts)


def _joined(parts: Sequence[Voxels]) -> Voxels:
    t = max(p.voxels.shape[1] for p in parts)
    wide = [p.voxels if p.voxels.shape[1] == t else _padded(p.voxels, t) for p in parts]
    before = np.cumsum([0, *(len(p.coords) for p in parts)])
    inverse = [np.where(p.inverse < 0, -1, p.inverse + np.int32(b)) for p, b in zip(parts, before)]
    return Voxels(
        np.concatenate(wide),
        _numbered([p.coords for p in parts]),
        np.concatenate([p.counts for p in parts]),
        np.concatenate([p.true_counts for p in parts]),
        np.concatenate(inverse).astype(np.int32, copy=False),
        {name: sum(p.accounting[name] for p in parts) for name in parts[0].accounting},
    )


def _padded(voxels: Array, t: int) -> Array:
    wide = np.zeros((len(voxels), t, voxels.shape[2]), voxels.dtype)
    wide[:, : voxels.shape[1]] = voxels
    return wide


def _numbered(parts: Sequence[Array]) -> Array:
    """Rows of all parts, each after the number of its part."""
    rows = np.concatenate([np.zeros((0, 3), np.int32), *parts])
    return np.concatenate(
        [np.repeat(np.arange(len(parts), dtype=np.int32), [len(p) for p in parts])[:, None], rows], axis=1
    )


def _batch(points: Any, row_splits: Any) -> list[Any] | None:
    """The clouds of a batch, or None where it is one cloud."""
    if row_splits is None:
        if isinstance(points, (list, tuple)) and (not points or np.ndim(points[0]) == 2):
            return list(points) if points else None
        return None
    x = _cells.cloud(points)
    splits = _check.array("row_splits", row_splits, ("i", "u"), 1).astype(np.int64, copy=False)
    if not len(splits) or splits[0] != 0 or splits[-1] != len(x) or (splits[1:] < splits[:-1]).any():
        raise _check.InputError(f"row_splits must rise from 0 to {len(x)}, got {splits.tolist()[:10]}")
    return [x[a:b] for a, b in pairwise(splits)]


def _one(
    x: Array,
    geometry: Geometry,
    given: tuple[Any, Any],
    s: _Settings,
    out: Array | None,
    threads: int | None,
    workspace: _group.Workspace,
) -> Voxels:
    """Voxels of one cloud."""
    if len(x) >= 2**31:
        raise _check.InputError(f"points must be fewer than 2^31, got {len(x)}; VoxelAccumulator takes them in chunks")
    if kernel is None:
        v = Voxels(
            *reference.voxelize(
                x,
                *given,
                max_points=s.max_points,
                max_voxels=s.max_voxels,
                sample=s.sample,
                seed=s.seed,
                order=s.order,
                params=s.params,
                axes=s.axes,
            )
        )
        limit("the voxels", v.voxels.shape, x.dtype, s.max_bytes)
        if out is not None:
            rows = _rows(x, len(v.coords), v.voxels.shape[1], s, out)
            rows[:] = v.voxels
            v.voxels = rows
        return v
    ids, size, missing = _group.number(x, geometry, threads, workspace)
    keep = size if s.max_voxels is None else min(size, s.max_voxels)
    coords = _group.cells_of(x, ids, keep, geometry, s.axes)
    over_voxels = 0
    if keep < size:
        capped = ids >= keep
        over_voxels = int(np.count_nonzero(capped))
        ids[capped] = -1
    if s.order == "sorted" and keep:
        # Sorted by (z, y, x): lexsort's last key is the first in rank.
        place = np.lexsort(coords.T if s.axes == "xyz" else coords.T[::-1])
        rank = np.empty(keep + 1, np.int32)
        rank[place], rank[keep] = np.arange(keep, dtype=np.int32), -1
        coords, ids = coords[place], rank[ids]  # -1 finds the last
    true_counts = np.zeros(keep, np.int32)
    chosen, t = ids, s.max_points
    if keep and (t is None or s.sample == "random"):
        kernel.count_ids(ids, keep, true_counts)
        if t is None:
            t = int(true_counts.max())
        else:
            chosen = _random(ids, true_counts, t, s.seed)
    voxels = _rows(x, keep, t or 0, s, out)
    if keep:
        kernel.fill(x, chosen, voxels, true_counts if chosen is ids else np.empty_like(true_counts))
    counts = np.minimum(true_counts, t or 0)
    inside, kept = int(true_counts.sum(dtype=np.int64)), int(counts.sum(dtype=np.int64))
    accounting = {
        "in": len(x),
        "kept": kept,
        "over_points": inside - kept,
        "over_voxels": over_voxels,
        "out_of_range": len(x) - missing - inside - over_voxels,
        "non_finite": missing,
    }
    return Voxels(voxels, coords, counts, true_counts, ids, accounting)


def _rows(x: Array, keep: int, t: int, s: _Settings, out: Array | None) -> Array:
    c = x.shape[1]
    if out is not None:
        if s.max_voxels is None or s.max_points is None:
            raise _check.InputError("out needs max_voxels and max_points, for its shape")
        return _check.out("out", out, (s.max_voxels, t, c), x.dtype, x)[:keep]
    limit("the voxels", (keep, t, c), x.dtype, s.max_bytes)
    return np.empty((keep, t, c), x.dtype)


def limit(what: str, shape: tuple[int, ...], dtype: Any, max_bytes: int) -> None:
    """Raise where an array would be larger than it may be."""
    size = np.dtype(dtype).itemsize
    for k in shape:
        size *= int(k)
    if size > max_bytes:
        most = max_bytes / 2**30
        raise _check.InputError(
            f"{what} of shape {shape} would take {size / 2**30:.2f} GiB, more than max_bytes = {most:.2f} GiB"
        )


def _random(ids: Array, counts: Array, t: int, seed: int) -> Array:
    """Ids, -1 for the points that the sample leaves out."""
    crowded = np.flatnonzero((counts > t)[ids] & (ids >= 0))
    if not len(crowded):
        return ids
    chosen = ids.copy()
    place = reference.slots(ids[crowded], reference.point_hash(seed, crowded))
    chosen[crowded[place >= t]] = -1
    return chosen


def voxel_features(
    voxels: Any,
    counts: Any,
    coords: Any,
    voxel_size: Any,
    point_range: Any,
    *,
    kind: str = "voxelnet",
    axes: str = "zyx",
    params: str = "float32",
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
    voxel_size, point_range, params
        As given to `voxelize`.
    kind : {"voxelnet", "pointpillars9", "pointpillars10"}
        After the C columns: the offset from the mean of the voxel's points (3 columns); for pillars then the offset
        from the
        centre of the cell, on x and y (the paper's 9 for C = 4), or on x, y and z (OpenPCDet's 10).
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
    n = _check.array("counts", counts, ("i", "u"), 1).astype(np.int32, copy=False)
    cells = _check.array("coords", coords, ("i", "u"), 2)
    cells = np.ascontiguousarray(cells[:, -3:], dtype=np.int32)
    _check.same_length(voxels=v, counts=n, coords=cells)
    if cells.shape[1] != 3:
        raise _check.InputError(f"coords must have 3 or 4 columns, got {cells.shape[1]}")
    if len(n) and (n.min() < 0 or n.max() > v.shape[1]):
        raise _check.InputError(f"counts must be between 0 and T = {v.shape[1]}, got {n.min()} to {n.max()}")
    _cells.bounded(voxel_size, point_range, v.dtype, params, warn=False)
    wide = v.shape[2] + FEATURES[kind]
    features = _check.out("out", out, (*v.shape[:2], wide), v.dtype, v)
    if kernel is None or not v.size:
        features[:] = reference.voxel_features(
            v, n, cells, voxel_size, point_range, kind=kind, axes=axes, params=params
        )
        return features
    size, ends, _ = reference.grid_of(voxel_size, np.asarray(point_range), v.dtype, params)
    step, low = size.astype(v.dtype), (size / 2 + ends[:3]).astype(v.dtype)
    xyz = cells if axes == "xyz" else np.ascontiguousarray(cells[:, ::-1])
    _threads.split(
        len(v), threads, lambda s: kernel.features(v[s], n[s], xyz[s], step, low, FEATURES[kind] - 3, features[s]), 4096
    )
    return features
