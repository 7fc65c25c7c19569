"""Checks of edge lists: both ends as integers, the number of nodes; and the merging of equal edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.errors import InputError
from fastdl.graphs import _edge_sort

INT64 = np.iinfo(np.int64).max


def node_array(name: str, x: ArrayLike) -> Array:
    """A vector of int32 or int64, as it is where it is one of these."""
    x = _check.array(name, x, ("i", "u"), 1) if np.size(x) else np.empty(0, np.int32)
    if x.dtype == np.uint64 and x.max(initial=0) > INT64:
        raise InputError(f"{name} must be below 2^63, got {x.max()}")
    return x if x.dtype in (np.int32, np.int64) else x.astype(np.int64)


def ends(edges: ArrayLike) -> tuple[Array, Array]:
    """Sources and targets as int32 or int64 vectors, of any stride."""
    edges = _check.asarray("edges", edges)
    if edges.size == 0 and (edges.ndim == 1 or edges.shape in ((2, 0), (0, 2))):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if edges.ndim != 2 or 2 not in edges.shape:
        raise InputError(f"edges must have shape (2, E) or (E, 2), got {edges.shape}")
    _check.dtype("edges", edges.dtype, ("i", "u"))
    if edges.dtype == np.uint64 and edges.max() > INT64:
        raise InputError(f"edges must be below 2^63, got {edges.max()}")
    if edges.dtype not in (np.int32, np.int64) or not edges.flags.aligned or not edges.dtype.isnative:
        edges = edges.astype(np.int32 if edges.dtype in (np.dtype(">i4"), np.dtype("<i4")) else np.int64)
    sources, targets = edges if len(edges) == 2 else edges.T
    if sources.strides[0] % edges.itemsize:
        sources, targets = sources.copy(), targets.copy()
    return sources, targets


def check_nodes(name: str, x: Array, n: int, threads: int | None) -> bool:
    """Whether x never falls; raises unless its values are nodes 0..n-1."""
    if not len(x):
        return True
    low, high, ordered = _edge_sort.survey(x, threads)
    if low < 0 or high >= n:
        wrong = low if low < 0 else high
        where = int((x == wrong).argmax())
        allowed = f"between 0 and {n - 1}" if n else "empty, there are no nodes"
        raise InputError(f"{name} must be {allowed}, got {wrong} at index {where}")
    return ordered


def node_counts(
    sources: Array, targets: Array, num_nodes: int | Sequence[int] | None, threads: int | None
) -> tuple[int, int]:
    """(targets, sources): as given, or the largest node of the list + 1."""
    if num_nodes is None:
        if not len(sources):
            return 0, 0
        # Checked against this number afterwards, which finds the negative ones.
        highest = max(_edge_sort.survey(sources, threads)[1], _edge_sort.survey(targets, threads)[1])
        return max(0, highest) + 1, max(0, highest) + 1
    if isinstance(num_nodes, (tuple, list)):
        if len(num_nodes) != 2:
            raise InputError(f"num_nodes must be a number or (targets, sources), got {num_nodes!r}")
        n, m = (_check.integer(f"num_nodes[{k}]", num_nodes[k], 0, INT64) for k in (0, 1))
        return n, m
    n = _check.integer("num_nodes", num_nodes, 0, INT64)
    return n, n


def check_size(n: int, max_bytes: int, largest: bool) -> None:
    """Raise where the rows of n targets take more than `max_bytes`: one wrong id could take all memory."""
    max_bytes = _check.integer("max_bytes", max_bytes, 0)
    if 8 * (n + 1) > max_bytes:
        why = f"the largest node is {n - 1}, so there would be {n} nodes" if largest else f"there would be {n} nodes"
        raise InputError(
            f"{why}, whose rows take {8 * (n + 1)} bytes, above max_bytes={max_bytes}; "
            f"fastdl.number_nodes makes 0..N-1 of ids, a larger max_bytes allows it"
        )


def merge_equal(
    indptr: Array, indices: Array, order: Array, weight: Array | None, how: str
) -> tuple[Array, Array, Array, Array | None]:
    """Rows ordered by source, with one edge for each run of equal ones."""
    fresh = np.ones(len(indices), bool)
    np.not_equal(indices[1:], indices[:-1], out=fresh[1:])
    fresh[indptr[:-1][indptr[:-1] < indptr[1:]]] = True
    if weight is None and how == "sum":
        weight = np.ones(len(indices), np.float32)
    group = np.cumsum(fresh) - 1
    row_ends = np.concatenate([[0], group + 1])[indptr]
    if weight is not None:
        merged = weight[fresh] if how == "max" else np.zeros(int(group[-1]) + 1, weight.dtype)
        (np.maximum if how == "max" else np.add).at(merged, group, weight)
        if how == "mean":
            merged /= np.bincount(group).astype(weight.dtype)
        weight = merged
    return row_ends, indices[fresh], order[fresh], weight
