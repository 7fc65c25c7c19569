"""Voxel grids: checked sizes and ranges, the cell of a point, and the key (one integer) of a cell."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeGuard

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._typing import Array, ArrayLike
from fastdl.reference import _point_cells as reference_kernel
from fastdl.reference import points as reference

kernel = _kernels.load("points") or reference_kernel
box_kernel = _kernels.load("points_grid") or reference_kernel

AXES = "xyz"
_UINT32, _UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)
NONE = {_UINT32: np.uint32(2**32 - 1), _UINT64: np.uint64(2**64 - 1)}
#: The x and y strides of a 32-bit key, and the z cells that leaves: 2226 * 2118 * 910 < 2^32. With Fibonacci hashing
#: (times the golden ratio) neighbours on every axis, and so the voxels of a surface, land far apart in the hash table;
#: the strides of a grid's own shape may send them to the same place.
SPREAD = (2226, 2118, 910)
_ROOM = 2_000_003  # cells on each axis of a grid with room to grow: its cube, 8e18, is just below 2^63
_WHOLE = 1e-3  # of a voxel: how far a range may be from a whole number of voxels without a warning, as in peers
_PLAIN = frozenset((float, int))
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def as_cloud(points: ArrayLike, name: str = "points") -> Array:
    """Points as a C-contiguous (N, C >= 3) array of float32 or float64; not copied if they are one already."""
    x = points if type(points) is np.ndarray else _check.asarray(name, points)
    if x.ndim == 2 and x.dtype in _FLOATS and x.shape[1] >= 3 and x.flags.carray:
        return x  # no question is left
    if x.ndim == 1 and x.size == 0:
        x = np.zeros((0, 3), x.dtype if x.dtype in _FLOATS else np.float64)
    if x.ndim != 2 or x.shape[1] < 3:
        raise _check.InputError(
            f"{name} must have shape (N, C) with x, y, z in the first of C >= 3 columns, got {x.shape}"
        )
    x = _check.array(name, x, ("f", "i", "u", "b"))
    if x.dtype in _FLOATS:
        return x
    check_integers(name, x[:, :3])
    return x.astype(np.float32 if x.dtype == np.float16 else np.float64)


def check_integers(name: str, x: Array) -> None:
    """Raise where coordinates are integers that float64 cannot hold."""
    if x.dtype.kind in "iu" and x.dtype.itemsize == 8 and x.size and (x.max() > 2**53 or x.min() < -(2**53)):
        raise _check.InputError(
            f"{name} must have x, y, z within 2^53 where they are integers, got {x.min()} to {x.max()}"
        )


def kept_dtype(given: Array, x: Array) -> np.dtype:
    """The dtype of results that are values of points: the points' own, float32 for float16."""
    return given.dtype.newbyteorder("=") if given.dtype.kind in "iu" else x.dtype


def plain_number(name: str, value: object) -> int | float:
    """A number, which may be NaN or infinite."""
    try:
        return int(value) if isinstance(value, (int, np.integer)) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise _check.InputTypeError(f"{name} must be a number, got {value!r}") from None


def sizes(voxel_size: ArrayLike) -> Array:
    """The edge of a voxel on x, y, z, each above 0."""
    return _three("voxel_size", voxel_size, above_zero=True)


def three(name: str, value: ArrayLike) -> Array:
    """One finite number for all axes, or one for each."""
    return _three(name, value)


def is_plain(value: ArrayLike) -> TypeGuard[Hashable]:
    """Whether a setting is a Python number or tuple of them, which can be the key of a cache of grids."""
    return type(value) in _PLAIN or (type(value) is tuple and _PLAIN.issuperset(map(type, value)))


def _three(name: str, value: ArrayLike, above_zero: bool = False) -> Array:
    if is_plain(value):
        return _known_three(name, value, above_zero)
    return _make_three(name, value, above_zero)


def _make_three(name: str, value: ArrayLike, above_zero: bool) -> Array:
    x = _check.asarray(name, value)
    if x.shape not in ((), (3,)):
        raise _check.InputError(f"{name} must be one number or three (x, y, z), got shape {x.shape}")
    x = np.broadcast_to(_check.array(name, x, ("f", "i", "u")), 3).astype(np.float64)
    for axis, v in zip(AXES, x):
        if not math.isfinite(v) or (above_zero and v <= 0):
            raise _check.InputError(f"{name} must be {'above 0' if above_zero else 'finite'}, got {v} on axis {axis}")
    x.flags.writeable = False  # it is cached, so that many grids may share it
    return x


#: `_make_three` with a cache: the checks take longer than voxelizing a hundred points.
_known_three = lru_cache(maxsize=32)(_make_three)


def ranges(point_range: ArrayLike) -> Array:
    """The least and the greatest x, y, z, as a (2, 3) array."""
    x = _check.asarray("point_range", point_range)
    if x.shape not in ((6,), (2, 3)):
        raise _check.InputError(f"point_range must be (x0, y0, z0, x1, y1, z1), got shape {x.shape}")
    x = _check.array("point_range", x, ("f", "i", "u")).reshape(2, 3).astype(np.float64)
    for axis, low, high in zip(AXES, *x):
        if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
            raise _check.InputError(
                f"point_range must be finite and rise on every axis, got {low} to {high} on axis {axis}"
            )
    return x


@dataclass(frozen=True)
class Grid:
    """A grid of voxels: cell = floor((p - low) / size) - base, kept where 0 <= cell < shape.

    Attributes
    ----------
    low, size : ndarray of float64, shape (3,)
        The corner of cell (0, 0, 0) before `base` is subtracted, and the edges of a voxel.
    base, shape : tuple of three int
        The smallest cell (x, y, z), and the number of cells on each axis.
    single : bool
        Whether cells of float32 points are computed in float32.
    long_keys : bool
        Whether keys always have 64 bits: for a hash table that is kept when the grid grows.
    tight : bool
        Whether keys run from 0 to the number of cells: for a table with one entry per cell.
    """

    low: Array
    size: Array
    base: tuple[int, ...]
    shape: tuple[int, ...]
    single: bool = False
    long_keys: bool = False
    tight: bool = False

    @cached_property
    def strides(self) -> tuple[int, int]:
        """key = (z strides[1] + y) strides[0] + x."""
        x, y, z = self.shape
        if self.long_keys or self.tight or x > SPREAD[0] or y > SPREAD[1] or z > SPREAD[2]:
            return x, y
        return SPREAD[:2]

    @cached_property
    def numbers(self) -> Array:
        """The grid as kernels take it: low, size, base, shape, strides."""
        # From Python's own numbers: converting NumPy scalars one by one would take twice as long.
        ends = (*self.low.tolist(), *self.size.tolist())
        return np.array([*ends, *self.base, *self.shape, *self.strides], np.float64)

    @cached_property
    def narrow(self) -> bool:
        """Whether every key fits in 32 bits."""
        return not self.long_keys and math.prod(self.shape) < 2**32 - 1

    @cached_property
    def cells(self) -> int:
        """Cells of the grid."""
        return math.prod(self.shape)

    @property
    def key(self) -> np.dtype:
        """The dtype of keys."""
        return _UINT32 if self.narrow else _UINT64

    def decode(self, keys: Array) -> Array:
        """Cells (x, y, z) of keys, base added, as int64."""
        gx, gy = self.strides
        keys = keys.astype(np.int64)
        rest = keys // gx
        cells = np.stack([keys - rest * gx, rest % gy, rest // gy], axis=1)
        cells += np.array(self.base, np.int64)
        return cells

    def centres(self, keys: Array) -> Array:
        """Centres of the cells of keys."""
        return (self.decode(keys) + 0.5) * self.size + self.low

    def encode(self, cells: Array) -> Array:
        """Keys of int64 cells (x, y, z); for cells outside the grid the key with all bits set."""
        c = cells - np.array(self.base, np.int64)
        inside = ((c >= 0) & (c < np.array(self.shape, np.int64))).all(axis=1)
        keys = (c[:, 2] * self.strides[1] + c[:, 1]) * self.strides[0] + c[:, 0]
        found: Array = keys.astype(self.key)
        found[~inside] = NONE[self.key]
        return found


def grid_of_range(
    voxel_size: ArrayLike, point_range: ArrayLike, dtype: np.dtype, arithmetic: str = "float32", warn: bool = True
) -> Grid:
    """The grid of a point range, as 3D object detectors define it."""
    global _last
    last = _last  # one read, since other threads write it
    if last[0] is voxel_size and last[1] is point_range and last[2] is dtype and last[3] is arithmetic:
        known: Grid = last[4]
        return known
    _check.one_of("arithmetic", arithmetic, ("float32", "exact"))
    if is_plain(voxel_size) and is_plain(point_range):
        grid, texts = _known_grid(voxel_size, point_range, dtype, arithmetic)
        if not texts:
            _last = voxel_size, point_range, dtype, arithmetic, grid
    else:
        grid, texts = _make_grid(voxel_size, point_range, dtype, arithmetic)
    for text in texts if warn else ():
        warnings.warn(text, UserWarning, stacklevel=4)
    return grid


def _make_grid(
    voxel_size: ArrayLike, point_range: ArrayLike, dtype: np.dtype, arithmetic: str
) -> tuple[Grid, tuple[str, ...]]:
    """The grid, and the texts of its warnings."""
    size, ends = sizes(voxel_size), ranges(point_range)
    rounded, edges, cells = reference.grid_of(size, ends.reshape(6), dtype, arithmetic)
    texts = []
    for k, (s, low, high, n) in enumerate(zip(rounded, edges[:3], edges[3:], cells)):
        if not s > 0 or low >= high or not math.isfinite(high - low):
            raise _check.InputError(
                f"voxel_size and point_range are lost in float32 on axis {AXES[k]}: try arithmetic='exact'"
            )
        if not 1 <= n < 2**31:
            raise _check.InputError(f"a grid must have 1 to 2^31 - 1 cells on an axis, got {n:.0f} on axis {AXES[k]}")
        ratio = (high - low) / s
        if abs(ratio - n) > _WHOLE:
            ratio = _ratio_as_typed(size[k], ends[:, k], n)
        if abs(ratio - n) > _WHOLE:
            texts.append(
                f"point_range holds {ratio:.9g} voxels on axis {AXES[k]}, which is not whole; the grid has {n:.0f}"
            )
    single = arithmetic == "float32" and dtype == np.float32
    low, step = edges[:3].astype(np.float64), rounded.astype(np.float64)
    return Grid(low, step, (0, 0, 0), grid_shape(cells), single), tuple(texts)


#: The settings of the last call, numbers and tuples of them that cannot have changed since, and their grid.
_last: tuple[Any, ...] = (None, None, None, None, None)
#: `_make_grid` with a cache: making a grid takes longer than voxelizing a hundred points.
_known_grid = lru_cache(maxsize=16)(_make_grid)


def _ratio_as_typed(size: float, ends: Array, cells: float) -> float:
    """The number of voxels in a range computed from the decimals the user typed, the one nearest to `cells`.

    Rounded to float32 the ratio is off by up to cells / 2^23; and a float32 0.1 may mean the decimal 0.1 or itself.
    """
    meant = ({float(v), float(str(np.float32(v)))} if np.float32(v) == v else {float(v)} for v in (*ends, size))
    ratios = [(high - low) / step for low, high, step in itertools.product(*meant)]
    return min(ratios, key=lambda r: abs(r - cells))


def grid_shape(grid: Sequence[float] | Array) -> tuple[int, ...]:
    """The numbers of cells as integers; an error where cells cannot be numbered by 63-bit integers."""
    counts = tuple(int(g) for g in grid)
    for axis, g in zip(AXES, counts):
        if g >= 2**31:
            raise _check.InputError(f"a cloud must span less than 2^31 voxels on an axis, got {g} on axis {axis}")
    if math.prod(counts) >= 2**63:
        axis = AXES[counts.index(max(counts))]
        text = " x ".join(map(str, counts))
        raise _check.InputError(f"a grid must have less than 2^63 cells, got {text} (x, y, z), the most on axis {axis}")
    return counts


def cell_bounds(points: Array, low: Array, size: Array, threads: int | None = 1) -> tuple[Array, Array] | None:
    """The least and the greatest cell of the finite points, or None where there are none."""
    if not len(points):
        return None
    blocks = _threads.split(len(points), threads, lambda s: _ends(points[s]), 1 << 18)
    ends = np.concatenate([np.min(blocks, axis=0)[:3], np.max(blocks, axis=0)[3:]])
    if not np.isfinite(ends).all():
        return None
    with np.errstate(over="ignore"):
        cells = np.floor((ends.astype(np.float64).reshape(2, 3) - low) / size)
    for axis, a, b in zip(AXES, *cells):
        if max(abs(a), abs(b)) >= 2**52:
            raise _check.InputError(f"a voxel's index must be within 2^52, got {a:.0f} to {b:.0f} on axis {axis}")
    return cells[0].astype(np.int64), cells[1].astype(np.int64)


def _ends(points: Array) -> Array:
    ends = np.array([np.inf] * 3 + [-np.inf] * 3, points.dtype)
    box_kernel.bounds(points, ends)
    return ends


def grid_around(points: Array, voxel_size: ArrayLike, origin: ArrayLike, threads: int | None = 1) -> Grid:
    """The grid that holds a cloud, as down-sampling uses it: in float64, cells counted from the origin."""
    size, low = sizes(voxel_size), three("origin", origin)
    ends = cell_bounds(points, low, size, threads)
    if ends is None:
        return Grid(low, size, (0, 0, 0), (1, 1, 1))
    return Grid(low, size, tuple(int(b) for b in ends[0]), grid_shape(ends[1] - ends[0] + 1))


def grid_with_room(origin: Array, size: Array, low: Array, high: Array) -> Grid:
    """A grid of the cells from `low` to `high` with room on every side, so that a growing cloud seldom needs new keys.

    There is no room where the keys would not fit in 63 bits.
    """
    grid = [int(h) - int(a) + 1 for a, h in zip(low, high)]
    grid_shape(grid)
    for least in (_ROOM, 0):
        roomy = [max(min(3 * g, 2**31 - 1), least) for g in grid]
        if math.prod(roomy) < 2**63:
            low, grid = low - np.array([(r - g) // 2 for r, g in zip(roomy, grid)]), roomy
            break
    return Grid(origin, size, tuple(int(a) for a in low), tuple(grid), long_keys=True)


def sort_cells(cells: Array, shape: tuple[int, ...] | None = None) -> Array:
    """The order of distinct cells (x, y, z) by z, then y, then x; `shape` is the grid's, where they begin at 0."""
    m = len(cells)
    if not m:
        return np.zeros(0, np.int64)
    if shape is None:
        low = cells.min(axis=0).astype(np.int64)
        span = cells.max(axis=0).astype(np.int64) - low + 1
    else:
        low, span = np.zeros(3, np.int64), np.array(shape, np.int64)
    most = math.prod(map(int, span)) - 1
    if most >= 2**63 or m >= 2**31:
        return np.lexsort(cells.T)
    keys, order = np.empty((2, m), np.uint64), np.empty((2, m), np.int32)
    return order[box_kernel.sort_cells(cells, low, span, most.bit_length(), keys, order)]
