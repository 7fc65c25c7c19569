"""Several clouds in one call: as a list, or as one array and row_splits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike


def split_batch(points: ArrayLike, row_splits: ArrayLike | None) -> list[ArrayLike] | None:
    """The clouds of a batch, or None where it is one cloud."""
    if row_splits is None:
        if isinstance(points, (list, tuple)) and points and _is_cloud(points[0]):
            return list(points)
        return None
    x = _check.asarray("points", points)
    n = len(x) if x.ndim else 0
    splits = _check.array("row_splits", row_splits, ("i", "u"), 1)
    if not len(splits) or splits[0] != 0 or splits[-1] != n or (splits[1:] < splits[:-1]).any():
        raise _check.InputError(f"row_splits must rise from 0 to {n}, got {splits.tolist()[:10]}")
    if len(splits) == 1:
        return [x[:0]]
    return [x[a:b] for a, b in pairwise(splits.tolist())]


def _is_cloud(value: ArrayLike) -> bool:
    if isinstance(value, np.ndarray) and value.dtype.names is not None:
        return value.ndim == 1
    return np.ndim(value) == 2


def number_rows(parts: Sequence[Array]) -> Array:
    """Cells of all clouds in one array, the number of the cloud in the first column."""
    dtype = parts[0].dtype if parts else np.int32
    rows = np.concatenate([np.zeros((0, 3), dtype), *parts])
    number = np.repeat(np.arange(len(parts), dtype=dtype), [len(p) for p in parts])
    return np.concatenate([number[:, None], rows], axis=1)


def shift_ids(parts: Sequence[Array], sizes: Sequence[int]) -> Array:
    """Voxel ids of all clouds in one array, each cloud's counted on from those of the clouds before it; -1 stays."""
    before = np.cumsum([0, *sizes[:-1]])
    if sum(sizes) >= 2**31:
        raise _check.InputError(f"a batch must have fewer than 2^31 voxels, got {sum(sizes)}")
    return np.concatenate([np.where(p < 0, -1, p + b) for p, b in zip(parts, before)]).astype(np.int32, copy=False)
