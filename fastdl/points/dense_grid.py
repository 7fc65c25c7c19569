"""The voxels of a range as a dense array, as input of 3D convolutions."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.points import _grid
from fastdl.points._point_table import point_table
from fastdl.points._reductions import Reduce
from fastdl.points.hard_voxelization import check_bytes
from fastdl.points.reduction import ReductionSettings, reduce_table
from fastdl.reference import points as reference


def voxel_grid(
    points: ArrayLike,
    voxel_size: ArrayLike,
    point_range: ArrayLike,
    *,
    reduce: Reduce = "mean",
    axes: str = "xyz",
    fill: float = 0,
    arithmetic: str = "float32",
    ignore: float = -1,
    seed: int = 0,
    max_bytes: int = 1 << 32,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """The voxels as a dense array (X, Y, Z, D).

    Parameters
    ----------
    points : array_like, shape (N, C >= 3)
        x, y, z in the first columns.
    voxel_size, point_range, reduce, arithmetic, ignore, seed
        As in `voxel_reduce`; D is the number of reductions.
    axes : str
        Order of the first three axes: "xyz" or any other, "zyx" for most networks.
    fill : float
        The value of empty cells; add (0, "count") to the reductions to tell them from others.
    max_bytes : int
        A larger array is an error.
    out : ndarray, optional
        Where to write.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, shape (X, Y, Z, D) for axes "xyz"
        In the dtype of `voxel_reduce`, or one that also holds `fill`.

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
    if not isinstance(axes, str) or sorted(axes) != list("xyz"):
        raise _check.InputError(f"axes must be an order of 'x', 'y' and 'z', got {axes!r}")
    table = point_table(points)
    if table.names is not None:
        raise _check.InputTypeError("voxel_grid takes a matrix of points, got records; reduce them by voxel_reduce")
    grid = _grid.grid_of_range(voxel_size, point_range, table.floats.dtype, arithmetic)
    settings = ReductionSettings(reduce, ignore=ignore, seed=seed, arithmetic=arithmetic)
    state = settings.state(table)
    cells = tuple(grid.shape["xyz".index(a)] for a in axes)
    depth = state.reducer.columns if state.reducer else len(state.plan)
    dtype = np.dtype(np.float64)
    if not state.reducer:
        # The dtype of counts if one voxel held all points: then `out` can be checked before the work.
        dtype = reference.result_dtype(state.dtype, state.plan, ignore, len(table))
    dtype = reference.column_dtype(dtype, "majority", _grid.plain_number("fill", fill))
    if out is None:
        check_bytes("a dense grid", (*cells, depth), dtype, max_bytes)
    dense = _check.out("out", out, (*cells, depth), dtype, table.given, table.floats)
    found = reduce_table(table, grid, settings, threads)
    dense.fill(fill)
    dense[tuple(found.coords[:, "xyz".index(a)] for a in axes)] = found.points
    return dense
