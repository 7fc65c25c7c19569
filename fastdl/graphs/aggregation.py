"""What the nodes of a graph gather from their neighbours: the sparse-dense product of a graph network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import count, share, split
from fastdl.graphs.graph import Graph, require
from fastdl.reference import aggregation as reference

Array = np.ndarray
Gather = Callable[[int, int, Array], None]
kernel = _kernels.load("graphs_aggregation")

REDUCTIONS = ("sum", "mean", "max", "min")

_PLAIN, _WEIGHTED, _GCN, _LARGEST, _SMALLEST = range(5)  # as in _neighbours.h
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_WORK = 1 << 21  # values gathered in one block, about a millisecond
_LINE = 16  # columns that threads do not share: a cache line
_NODES = 1 << 16  # nodes in a block where every node is little work


def aggregate(
    graph: Graph,
    features: Any,
    *,
    reduce: str = "sum",
    weight: Any = None,
    rows: Sequence[int] | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Reduce, for every node, the features of its neighbours: the sources of the edges into it.

    Parameters
    ----------
    graph : Graph
        N nodes, E edges; its arrays may be memory-mapped.
    features : array_like, (N, ...)
        float32 or float64; float16 is read as float32, integers as float64. May be memory-mapped.
    reduce : {"sum", "mean", "max", "min"}
        A sum adds the neighbours in the order of the row, which gives the bits of SciPy's ``A @ features``. A mean
        divides the sum by the number of neighbours, not by that of their weights. Of a node without neighbours all
        four are 0. A NaN among the neighbours makes the result NaN.
    weight : array_like of floats, (E,), or "gcn", optional
        What each neighbour is multiplied by, in the order of `graph.indices` and read in the dtype of the features: an
        array in the order of the list of edges goes in as ``weight[graph.edge_order]``. By default `graph.weight`, or
        nothing. "gcn" is the normalisation of `gcn_norm`, self loops included, made on the way: no array of E weights
        is.
    rows : (int, int), optional
        Reduce for the nodes first..last - 1 only.
    out : ndarray, optional
        Where to write, (N, ...) or (last - first, ...), in the dtype of the result.
    threads : int or None
        Threads to use; None means all this process may. The bits do not depend on it: threads share the rows by their
        edges, and a row with very many edges by its columns.

    Returns
    -------
    ndarray, (N, ...)
        float32 or float64.

    Raises
    ------
    InputError
        For features that are not one for each node, weights that are not one for each edge, an unknown reduction, and
        for "gcn" with another reduction than the sum (use `gcn_norm`).

    See Also
    --------
    aggregate_blocks : the same by blocks of rows, for results larger than memory.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> graph = fastdl.Graph.from_edges([[1, 2, 0], [0, 0, 2]])
    >>> fastdl.aggregate(graph, np.array([[1.0], [2.0], [4.0]]), reduce="mean")
    array([[3.],
           [0.],
           [1.]])
    """
    x, weight, gather = _ready(graph, features, reduce, weight, threads)
    first, last = _rows(rows, graph.num_nodes)
    given = [x, graph.indptr, graph.indices, *([weight] if isinstance(weight, np.ndarray) else [])]
    result = _check.out("out", out, (last - first, *x.shape[1:]), x.dtype, *given)
    gather(first, last, result)
    return result


def aggregate_blocks(
    graph: Graph,
    features: Any,
    *,
    reduce: str = "sum",
    weight: Any = None,
    block_bytes: int = 1 << 26,
    threads: int | None = 1,
) -> Iterator[Array]:
    """What `aggregate` returns, as blocks of rows, in order: for results larger than memory.

    Parameters
    ----------
    graph, features, reduce, weight, threads
        As in `aggregate`; what is memory-mapped stays on disk.
    block_bytes : int
        The size of a block at most, where a row is not larger.

    Yields
    ------
    ndarray, (n, ...)
        The next n rows, valid until the next block is asked for; one empty block of a graph without nodes.

    Raises
    ------
    InputError
        As `aggregate`.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> graph = fastdl.Graph.from_edges([[1, 2, 0], [0, 0, 2]])
    >>> [len(block) for block in fastdl.aggregate_blocks(graph, np.ones((3, 2)), block_bytes=32)]
    [2, 1]
    """
    block_bytes = _check.integer("block_bytes", block_bytes, 1)
    x, _, gather = _ready(graph, features, reduce, weight, threads)
    step = max(1, block_bytes // max(1, x[:1].nbytes))
    block = np.empty((min(step, graph.num_nodes), *x.shape[1:]), x.dtype)

    def blocks() -> Iterator[Array]:  # apart, so that the checks run before the first block is asked for
        for first in range(0, max(1, graph.num_nodes), step):
            rows = block[: min(step, graph.num_nodes - first)]
            gather(first, first + len(rows), rows)
            yield rows

    return blocks()


def _ready(graph: Any, features: Any, reduce: str, weight: Any, threads: int | None) -> tuple[Array, Any, Gather]:
    """The features and weights as they are read, and gather(first, last, result), which fills the rows of result."""
    require(graph)
    _check.one_of("reduce", reduce, REDUCTIONS)
    x = _features(features, graph.num_nodes)
    weight = _weight(graph, weight, reduce, x.dtype)
    threads = count(threads)
    if kernel is None or graph.num_nodes > np.iinfo(np.int32).max:

        def refer(first: int, last: int, result: Array) -> None:
            result[...] = reference.aggregate(graph, x, reduce=reduce, weight=weight, rows=(first, last))

        return x, weight, refer

    op = {"max": _LARGEST, "min": _SMALLEST}.get(reduce, _PLAIN if weight is None else _WEIGHTED)
    weights, root = weight, np.empty(0, x.dtype)
    if isinstance(weight, str):
        op, weights = _GCN, None if graph.weight is None else graph.weight.astype(x.dtype, copy=False)
        root = _inverse_roots(graph, weights, x.dtype, threads)
    if weights is None:
        weights = np.ones(1, x.dtype)

    def gather(first: int, last: int, result: Array) -> None:
        if result.size == 0:
            return
        flat, rows = x.reshape(len(x), -1), result.reshape(last - first, -1)
        jobs = list(_jobs(graph.indptr, first, last, flat.shape[1]))

        def run(k: int) -> None:
            a, b, column, end = jobs[k]
            indptr, indices, part = _part(graph, weights, a, b)
            into = rows[a - first : b - first]
            kernel.neighbours(op, indptr, indices, a, flat, into, reduce == "mean", part, root, column, end)

        share(len(jobs), threads, run)

    return x, weight, gather


def _part(graph: Graph, weight: Array, a: int, b: int) -> tuple[Array, Array, Array]:
    """indptr of the rows a..b with the indices and weights it counts in: all of them, or those of the rows as int32."""
    indptr = graph.indptr[a : b + 1]
    if graph.indices.dtype == np.int32:
        return indptr, graph.indices, weight
    edges = slice(int(indptr[0]), int(indptr[-1]))
    indices = graph.indices[edges].astype(np.int32)
    return indptr - indptr[0], indices, weight if len(weight) == 1 else weight[edges]


def _jobs(indptr: Array, first: int, last: int, columns: int) -> Iterator[tuple[int, int, int, int]]:
    """(row, row, column, column) of blocks of equal work, whatever the number of threads.

    A row is never cut, that would change the order of its sum; but where one row is much more than a block, its
    columns are handed out apart.
    """
    step = min(max(_WORK // columns, 1 << 12), 1 << 19)
    while first < last:
        border = int(indptr.searchsorted(indptr[first] + step, "right")) - 1
        border = min(max(border, first + 1), first + step, last)
        width = _LINE if indptr[border] - indptr[first] > 2 * step else columns
        for column in range(0, columns, width):
            yield first, border, column, min(column + width, columns)
        first = border


def _inverse_roots(graph: Graph, weight: Array | None, dtype: np.dtype, threads: int) -> Array:
    """1/sqrt(degree) of every node, its self loop counted."""
    root = np.empty(graph.num_nodes, dtype)
    weights = np.ones(1, dtype) if weight is None else weight

    def run(s: slice) -> None:
        indptr, indices, part = _part(graph, weights, s.start, s.stop)
        kernel.inverse_roots(indptr, indices, s.start, part, root[s])

    split(graph.num_nodes, threads, run, _NODES)
    return root


def _features(features: Any, n: int) -> Array:
    x = _check.array("features", features, ("f", "i", "u", "b"))
    if x.ndim == 0 or len(x) != n:
        raise _check.InputError(f"features must have one row for each of {n} nodes, got shape {x.shape}")
    if x.dtype in _FLOATS:
        return x
    return x.astype(np.float32 if x.dtype == np.float16 else np.float64)


def _weight(graph: Graph, weight: Any, reduce: str, dtype: np.dtype) -> Any:
    """None, "gcn", or one weight for each edge in `dtype`."""
    if isinstance(weight, str):
        if weight != "gcn" or reduce != "sum":
            raise _check.InputError(
                f'weight must be an array, or "gcn" with reduce="sum", got {weight!r} with reduce={reduce!r}'
            )
        return weight
    weight = graph.weight if weight is None else _check.array("weight", weight, ("f", "i", "u", "b"), 1)
    if weight is not None:
        _check.same_length(edges=graph.indices, weight=weight)
        weight = weight.astype(dtype, copy=False)
    return weight


def _rows(rows: Sequence[int] | None, n: int) -> tuple[int, int]:
    if rows is None:
        return 0, n
    try:
        first, last = rows
    except (TypeError, ValueError):
        raise _check.InputError(f"rows must be (first, last), got {rows!r}") from None
    first = _check.integer("the first of rows", first, 0, n)
    return first, _check.integer("the last of rows", last, first, n)
