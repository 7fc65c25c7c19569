"""Point clouds as rows of voxels, as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.points import _grid
from fastdl.points._reductions import Reduce, VoxelReductions
from fastdl.points.dense_grid import voxel_grid


class VoxelGridTransformer(TransformerMixin, BaseEstimator):
    """Clouds of points as rows of voxels: `fastdl.voxel_grid` of each.

    Parameters
    ----------
    voxel_size : float or three
        Edge of a voxel on x, y, z.
    point_range : six floats
        (x0, y0, z0, x1, y1, z1).
    reduce : str, sequence, or VoxelReducer
        As in `fastdl.voxel_grid`; the number of points by default.
    fill : float
        The value of empty voxels.
    flatten : bool
        Whether the result is (n, X Y Z K), a table, or (n, X, Y, Z, K).
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    columns_ : int
        The number of columns of a point.
    grid_ : tuple
        (X, Y, Z, K).

    Examples
    --------
    >>> from fastdl.estimators import VoxelGridTransformer
    >>> clouds = [[[0.5, 0.5, 0.5], [0.7, 0.5, 0.5]], [[1.5, 0.5, 0.5]]]
    >>> grids = VoxelGridTransformer(1.0, (0, 0, 0, 2, 1, 1))
    >>> grids.fit_transform(clouds)
    array([[2., 0.],
           [0., 1.]])
    >>> grids.get_feature_names_out().tolist()
    ['0_0_0_count', '1_0_0_count']
    """

    def __init__(
        self,
        voxel_size: ArrayLike,
        point_range: ArrayLike,
        *,
        reduce: Reduce | tuple[tuple[int, str], ...] = ((0, "count"),),
        fill: float = 0.0,
        flatten: bool = True,
        threads: int | None = 1,
    ):
        self.voxel_size, self.point_range, self.reduce = voxel_size, point_range, reduce
        self.fill, self.flatten, self.threads = fill, flatten, threads

    def fit(self, X: Sequence[ArrayLike] | Array, y: object = None) -> VoxelGridTransformer:
        """Learn the number of columns from X, a list of clouds (N, C) or an array (n, N, C); returns itself."""
        clouds = _clouds(X)
        first = voxel_grid(clouds[0], self.voxel_size, self.point_range, reduce=self._plan(), fill=self.fill)
        self.columns_, self.grid_, self._dtype = clouds[0].shape[1], first.shape, first.dtype
        return self

    def transform(self, X: Sequence[ArrayLike] | Array) -> Array:
        """The grids of n clouds: (n, X Y Z K), or (n, X, Y, Z, K) without `flatten`."""
        check_is_fitted(self)
        clouds = _clouds(X)
        result = np.empty((len(clouds), *self.grid_), self._dtype)
        for k, cloud in enumerate(clouds):
            if cloud.shape[1] != self.columns_:
                raise _check.InputError(f"clouds must have {self.columns_} columns, got {cloud.shape} at index {k}")
            how: dict[str, Any] = {"reduce": self._plan(), "fill": self.fill, "threads": self.threads}
            result[k] = voxel_grid(cloud, self.voxel_size, self.point_range, **how)
        return result.reshape(len(clouds), -1) if self.flatten else result

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names: the cell (x, y, z) and the reduction: "mean_0" is the mean of column 0."""
        check_is_fitted(self)
        state = VoxelReductions(self._plan(), self.columns_, np.dtype(float), -1)
        if state.reducer:
            held = [f"value_{k}" for k in range(self.grid_[-1])]
        else:
            held = [name if name == "count" else f"{name}_{column}" for column, name in state.plan]
        cells = np.ndindex(*self.grid_[:3])
        return np.array([f"{x}_{y}_{z}_{h}" for x, y, z in cells for h in held], dtype=object)

    def _plan(self) -> Reduce:
        return list(self.reduce) if isinstance(self.reduce, tuple) else self.reduce

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _clouds(X: Sequence[ArrayLike] | Array) -> list[Array]:
    try:
        clouds = [_grid.as_cloud(cloud) for cloud in X]
    except TypeError:
        raise _check.InputTypeError(f"X must be a list of clouds, got {type(X).__name__}") from None
    if not clouds:
        raise _check.InputError("X must hold at least one cloud")
    return clouds
