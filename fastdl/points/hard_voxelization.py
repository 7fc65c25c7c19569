"""Hard voxelization from checked settings to `Voxels`, one cloud or a batch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._typing import Array, ArrayLike
from fastdl.points import _batches, _grid, _voxel_ids
from fastdl.points._grid import Grid
from fastdl.points._grid import kernel as cell_kernel
from fastdl.reference import _point_hard_voxels as reference_kernel
from fastdl.reference import _point_reductions as reference_reductions
from fastdl.reference import points as reference

kernel = _kernels.load("points_hard_voxels") or reference_kernel
reduction_kernel = _kernels.load("points_reduction") or reference_reductions

LIKES = ("spconv", "mmcv")
_LOWER = 0 if sys.byteorder == "little" else 1  # the half of a slot that is its lower 32 bits
_MOST = 2**31 - 1  # points of a voxel: counts are int32
_BLOCK = FEW = 512  # points of a block of the kernel, which wants room for as many voxels
_SMALL = 1 << 18  # bytes of a result: to have room for a voxel a point costs less than to make room twice


@dataclass
class Voxels:
    """The result of `voxelize`.

    Attributes
    ----------
    voxels : ndarray, shape (M, T, C)
        The points of each voxel, padded with zeros.
    coords : ndarray of int32, shape (M, 3), or (M, 4) of a batch
        Cells as (z, y, x), after the cloud's number in a batch.
    counts : ndarray of int32, shape (M,)
        Points kept in each voxel, at most T.
    true_counts : ndarray of int32, shape (M,)
        Points that fell into each voxel.
    inverse : ndarray of int32, shape (N,)
        The voxel of every point, whether the point was kept or not; -1 where it has none.
    accounting : dict
        "in" = "kept" + "over_points" + "over_voxels" + "out_of_range" + "non_finite".
    """

    voxels: Array
    coords: Array
    counts: Array
    true_counts: Array
    inverse: Array
    accounting: dict[str, int]


@dataclass
class VoxelSettings:
    """What `voxelize` is told, checked; nothing writes to it afterwards, since calls share it."""

    max_points: int | None
    max_voxels: int | None
    sample: str
    seed: int
    order: str
    arithmetic: str
    axes: str
    like: str | None
    max_bytes: int

    def __post_init__(self) -> None:
        if self.like is not None:  # the defaults are what both libraries do
            _check.one_of("like", self.like, LIKES)
            self.sample, self.order, self.arithmetic, self.axes = "first", "first", "float32", "zyx"
        if self.max_points is not None:
            self.max_points = _check.integer("max_points", self.max_points, 1, _MOST)
        if self.max_voxels is not None:
            self.max_voxels = min(_check.integer("max_voxels", self.max_voxels, 1), 1 << 62)
        self.seed = _check.integer("seed", self.seed, 0, 2**64 - 1)
        _check.one_of("sample", self.sample, ("first", "random"))
        _check.one_of("order", self.order, ("first", "sorted"))
        _check.one_of("axes", self.axes, ("zyx", "xyz"))


_settings = lru_cache(maxsize=64, typed=True)(VoxelSettings)


def known_settings(*settings: Any) -> VoxelSettings:
    """The checked settings, which take as long to check as a hundred points to voxelize: the last ones are kept."""
    try:
        return _settings(*settings)
    except TypeError as error:
        if isinstance(error, _check.FastdlError):
            raise
        return VoxelSettings(*settings)  # one of them has no hash: this says which


def hard_voxels(
    points: ArrayLike,
    voxel_size: ArrayLike,
    point_range: ArrayLike,
    settings: VoxelSettings,
    workspace: _voxel_ids.Workspace,
    *,
    row_splits: ArrayLike | None,
    out: Array | None,
    threads: int | None,
    warn: bool = True,
) -> Voxels:
    """`voxelize` with checked settings: the voxels of a cloud, or of a batch."""
    clouds = _batches.split_batch(points, row_splits)
    if clouds is None:
        x = _grid.as_cloud(points)
        grid = _grid.grid_of_range(voxel_size, point_range, x.dtype, settings.arithmetic, warn)
        return _voxels_of_cloud(x, grid, settings, workspace, out=out, threads=threads)
    if out is not None:
        raise _check.InputError("out is for one cloud, not for a batch")
    batch = [_grid.as_cloud(c) for c in clouds]
    if len({(c.dtype, c.shape[1]) for c in batch}) > 1:
        raise _check.InputError("the clouds of a batch must have the same dtype and columns")
    if not batch:
        batch = [np.zeros((0, 3), np.float32)]
    grid = _grid.grid_of_range(voxel_size, point_range, batch[0].dtype, settings.arithmetic, warn)
    parts = _threads.share(
        len(batch),
        _threads.count(threads),
        lambda k: _voxels_of_cloud(batch[k], grid, settings, workspace, out=None, threads=1),
    )
    return _join(parts)


def _join(parts: Sequence[Voxels]) -> Voxels:
    t = max(p.voxels.shape[1] for p in parts)
    wide = [p.voxels if p.voxels.shape[1] == t else _pad(p.voxels, t) for p in parts]
    before = np.cumsum([0, *(len(p.coords) for p in parts)])
    inverse = [np.where(p.inverse < 0, -1, p.inverse + np.int32(b)) for p, b in zip(parts, before)]
    return Voxels(
        np.concatenate(wide),
        _batches.number_rows([p.coords for p in parts]),
        np.concatenate([p.counts for p in parts]),
        np.concatenate([p.true_counts for p in parts]),
        np.concatenate(inverse).astype(np.int32, copy=False),
        {name: sum(p.accounting[name] for p in parts) for name in parts[0].accounting},
    )


def _pad(voxels: Array, t: int) -> Array:
    wide = np.zeros((len(voxels), t, voxels.shape[2]), voxels.dtype)
    wide[:, : voxels.shape[1]] = voxels
    return wide


def _voxels_of_cloud(
    x: Array,
    grid: Grid,
    s: VoxelSettings,
    workspace: _voxel_ids.Workspace,
    *,
    out: Array | None,
    threads: int | None,
) -> Voxels:
    """Voxels of one cloud."""
    if len(x) >= 2**31:
        raise _check.InputError(f"points must be fewer than 2^31, got {len(x)}; VoxelAccumulator takes them in chunks")
    if 0 < len(x) <= FEW and out is None and threads is _threads.ONE and grid.narrow and s.sample == "first":
        few = _few_points(x, grid, s)
        if few is not None:
            return _sort(few, s) if s.order == "sorted" else few
    with workspace.borrow() as scratch:
        if s.max_points is not None and s.sample == "first" and len(x):
            found = _one_pass(x, grid, s, out, scratch)
            if found is not None:
                return _sort(found, s) if s.order == "sorted" else found
        return _two_passes(x, grid, s, out, threads, scratch)


def _few_points(x: Array, grid: Grid, s: VoxelSettings) -> Voxels | None:
    """Voxels of at most FEW points, by one call of the kernel."""
    most = min(len(x), grid.cells, s.max_voxels or len(x))
    max_bytes = min(s.max_bytes, 1 << 62)  # the kernel takes a double
    found = kernel.small_voxels(x, grid.numbers, grid.single, s.max_points or 0, most, max_bytes, s.axes == "zyx")
    return None if found is None else Voxels(*found)


def _one_pass(x: Array, grid: Grid, s: VoxelSettings, out: Array | None, scratch: _voxel_ids.Scratch) -> Voxels | None:
    """Voxels filled in one pass over the points; None where keys need 64 bits or the result would be too large."""
    t, c, n = s.max_points or 1, x.shape[1], len(x)
    table = _voxel_ids.grid_table(grid, n, scratch)
    if table is None and not grid.narrow:
        return None
    bits, state = 0, np.zeros(4, np.int64)
    row_bytes = t * c * x.itemsize
    expected = max(n // 8, scratch.voxels * 3 // 2, min(n, max(64, _SMALL // row_bytes)))
    if table is None:
        # At most a quarter full, few look-ups meet another voxel's slot, a branch the processor would mispredict.
        bits = (expected * 8 // 3 + _BLOCK).bit_length()
        table, state[3] = scratch.slots(bits, n)
    most = min(n, grid.cells, s.max_voxels or n)
    # One voxel more than max_bytes allows is enough to know: `_two_passes` then raises the error.
    most_rows = min(most, s.max_bytes // row_bytes + 1)
    rows = most if out is not None else min(expected + _BLOCK, most_rows)
    if out is None:
        scratch.expect_result(rows * row_bytes)
    voxels = np.empty((rows, t, c), x.dtype) if out is None else _rows(x, rows, t, s, out)
    coords, counts, ids = np.empty((rows, 3), np.int32), np.empty(rows, np.int32), np.empty(n, np.int32)
    start, numbers, turned = 0, grid.numbers, s.axes == "zyx"
    while True:
        start = kernel.fill(
            x, start, numbers, grid.single, table, bits, state, most, turned, ids, coords, counts, voxels
        )
        size = int(state[0])
        if start == n:
            break
        if rows < min(size + _BLOCK, most):
            if rows == most_rows:
                size = n + 1
                break
            rows = min(max(2 * rows, size + _BLOCK), most_rows)
            voxels, coords, counts = (_enlarge(a, size, rows) for a in (voxels, coords, counts))
        else:  # the table is too full, or has too long a run of occupied slots
            table, bits = _enlarge_table(table, bits, int(state[3]))
    if not bits:  # reset the table of cells to -1
        kernel.clear(coords[: int(state[0])], turned, numbers, table)
    if out is None and size * row_bytes > s.max_bytes:
        return None
    scratch.voxels = size
    true_counts, kept_counts = _truncate(counts, size), np.empty(size, np.int32)
    inside, kept = kernel.cap_counts(true_counts, t, kept_counts)
    missing, dropped = int(state[1]), int(state[2])
    accounting = {
        "in": n,
        "kept": kept,
        "over_points": inside - kept,
        "over_voxels": dropped,
        "out_of_range": n - missing - inside - dropped,
        "non_finite": missing,
    }
    rows_out = _truncate(voxels, size) if out is None else voxels[:size]
    return Voxels(rows_out, _truncate(coords, size), kept_counts, true_counts, ids, accounting)


def _truncate(x: Array, size: int) -> Array:
    """The first rows; the memory of the others is freed."""
    if len(x) > size:
        x.resize((size, *x.shape[1:]), refcheck=False)
    return x


def _enlarge(x: Array, size: int, rows: int) -> Array:
    wide = np.empty((rows, *x.shape[1:]), x.dtype)
    wide[:size] = x[:size]
    return wide


def _enlarge_table(table: Array, bits: int, free: int) -> tuple[Array, int]:
    """A larger table, with the slots that are not free: their lower half is above `free`."""
    more = bits + (1 if bits > 20 else 2)
    wide = np.zeros(1 << more, np.uint64)
    cell_kernel.rehash(table[table.view(np.uint32)[_LOWER::2] > free], wide, more, True)
    return wide, more


def _sort(v: Voxels, s: VoxelSettings) -> Voxels:
    """The voxels by (z, y, x)."""
    if not len(v.coords):
        return v
    place = _grid.sort_cells(v.coords if s.axes == "xyz" else v.coords[:, ::-1])
    rank = np.empty(len(place) + 1, np.int32)
    rank[place], rank[len(place)] = np.arange(len(place), dtype=np.int32), -1
    inverse = rank[v.inverse]  # id -1 indexes the last entry of rank, which is -1
    rows = v.voxels[place]
    if v.voxels.base is not None:  # a view of the user's `out`: write there
        v.voxels[:] = rows
        rows = v.voxels
    return Voxels(rows, v.coords[place], v.counts[place], v.true_counts[place], inverse, v.accounting)


def _two_passes(
    x: Array,
    grid: Grid,
    s: VoxelSettings,
    out: Array | None,
    threads: int | None,
    scratch: _voxel_ids.Scratch,
) -> Voxels:
    """Voxels in two passes: the ids of all points first, then the points are copied into their voxels."""
    ids, size, missing = _voxel_ids.voxel_ids(x, grid, threads, scratch)
    keep = size if s.max_voxels is None else min(size, s.max_voxels)
    coords = _voxel_ids.cells_of(x, ids, keep, grid, s.axes)
    over_voxels = 0
    if keep < size:
        capped = ids >= keep
        over_voxels = int(np.count_nonzero(capped))
        ids[capped] = -1
    if s.order == "sorted" and keep:
        place = _grid.sort_cells(coords if s.axes == "xyz" else coords[:, ::-1])
        rank = np.empty(keep + 1, np.int32)
        rank[place], rank[keep] = np.arange(keep, dtype=np.int32), -1
        coords, ids = coords[place], rank[ids]  # id -1 indexes the last entry of rank, which is -1
    true_counts = np.zeros(keep, np.int32)
    chosen, t = ids, s.max_points
    if keep and (t is None or s.sample == "random"):
        reduction_kernel.count_ids(ids, keep, true_counts)
        if t is None:
            t = int(true_counts.max())
        else:
            chosen = _random(ids, true_counts, t, s.seed)
    voxels = _rows(x, keep, t or 0, s, out)
    if keep:
        reduction_kernel.fill(x, chosen, voxels, true_counts if chosen is ids else np.empty_like(true_counts))
    counts = np.empty_like(true_counts)
    inside, kept = kernel.cap_counts(true_counts, t or 0, counts)
    accounting = {
        "in": len(x),
        "kept": kept,
        "over_points": inside - kept,
        "over_voxels": over_voxels,
        "out_of_range": len(x) - missing - inside - over_voxels,
        "non_finite": missing,
    }
    return Voxels(voxels, coords, counts, true_counts, ids, accounting)


def _rows(x: Array, keep: int, t: int, s: VoxelSettings, out: Array | None) -> Array:
    c = x.shape[1]
    if out is not None:
        if s.max_voxels is None or s.max_points is None:
            raise _check.InputError("out needs max_voxels and max_points, for its shape")
        return _check.out("out", out, (s.max_voxels, t, c), x.dtype, x)[:keep]
    check_bytes("the voxels", (keep, t, c), x.dtype, s.max_bytes)
    return _check.empty("the voxels", (keep, t, c), x.dtype)


def check_bytes(what: str, shape: tuple[int, ...], dtype: np.dtype, max_bytes: int) -> None:
    """Raise where an array would take more than `max_bytes`."""
    size = np.dtype(dtype).itemsize
    for k in shape:
        size *= int(k)
    if size > max_bytes:
        most = max_bytes / 2**30
        raise _check.InputError(
            f"{what} of shape {shape} would take {size / 2**30:.2f} GiB, more than max_bytes = {most:.2f} GiB"
        )


def _random(ids: Array, counts: Array, t: int, seed: int) -> Array:
    """The ids, set to -1 for the points that random sampling leaves out."""
    crowded = np.flatnonzero((counts > t)[ids] & (ids >= 0))
    if not len(crowded):
        return ids
    chosen = ids.copy()
    place = reference.slots(ids[crowded], reference.point_hash(seed, crowded))
    chosen[crowded[place >= t]] = -1
    return chosen
