"""Dask arrays, frames and delayed values as chunks, which are computed where they are used, one at a time.

Dask is imported only where one of its values is given.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import numpy as np

from fastdl._typing import ArrayLike
from fastdl.errors import InputError


class LazyValue(Protocol):
    """A collection or delayed value of Dask."""

    def __dask_graph__(self) -> object: ...

    def compute(self, *, scheduler: str) -> Any:
        """The value itself."""


def is_lazy(value: object) -> TypeGuard[LazyValue]:
    """Whether a value is a Dask collection or delayed value, which is not computed yet."""
    return hasattr(value, "__dask_graph__")


def compute_chunk(chunk: Any) -> Any:
    """A chunk with its Dask values computed, by the thread that calls: on a cluster, by the worker."""
    if is_lazy(chunk):
        return chunk.compute(scheduler="synchronous")
    if isinstance(chunk, (tuple, list)) and any(map(is_lazy, chunk)):
        import dask

        return dask.compute(*chunk, scheduler="synchronous")
    return chunk


def row_chunks(
    X: LazyValue, y: LazyValue | ArrayLike | None = None, sample_weight: LazyValue | ArrayLike | None = None
) -> list[Any]:
    """The rows of Dask collections as chunks: (X, y, ...) of each part, or the parts of X alone."""
    parts = _parts("X", X)
    given = [("y", y), ("sample_weight", sample_weight)]
    columns = [_parts(name, _like(name, column, X)) for name, column in given if column is not None]
    for (name, _), column in zip([pair for pair in given if pair[1] is not None], columns):
        if len(column) != len(parts):
            raise InputError(f"X and {name} must have the same parts, got {len(parts)} and {len(column)}")
    return list(zip(parts, *columns)) if columns else parts


def _like(name: str, column: Any, X: Any) -> LazyValue:
    """A column cut as the rows of X are."""
    lazy = is_lazy(column)
    if not lazy:
        if not hasattr(X, "chunks") or np.isnan(X.chunks[0]).any():
            raise InputError(f"{name} must be a Dask collection as X is, whose parts have lengths that are not known")
        import dask.array

        array = np.asarray(column)
        if array.shape[:1] != X.shape[:1]:
            raise InputError(f"X and {name} must have the same length, got {X.shape[0]} and {len(array)}")
        return dask.array.from_array(array, chunks=(X.chunks[0], *((n,) for n in array.shape[1:])))
    if not hasattr(column, "chunks") or not hasattr(X, "chunks") or np.isnan([*X.chunks[0], *column.chunks[0]]).any():
        return column
    if column.shape[0] != X.shape[0]:
        raise InputError(f"X and {name} must have the same length, got {X.shape[0]} and {column.shape[0]}")
    return column.rechunk({0: X.chunks[0]})


def _parts(name: str, collection: Any) -> list[Any]:
    """The parts of a collection along its rows, each a delayed value."""
    if hasattr(collection, "chunks"):  # an array
        whole = dict.fromkeys(range(1, collection.ndim), -1)
        return list(collection.rechunk(whole).to_delayed().reshape(-1))
    if hasattr(collection, "to_delayed"):  # a frame, a series, a bag
        return list(collection.to_delayed())
    raise InputError(f"{name} must be a Dask array or frame, got {type(collection).__name__}")
