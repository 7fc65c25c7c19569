"""One aggregation over neighbours: the checked features and weights, and the blocks that threads share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import count, share, split
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError
from fastdl.graphs._owned import check_file
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph, require_square
from fastdl.graphs.normalization import NORMALIZATIONS, normalize_edges
from fastdl.reference import _graph_kernels

kernel = _kernels.load("graphs_aggregation") or _graph_kernels

REDUCTIONS = ("sum", "mean", "max", "min", "mul", "var", "std", "softmax")

INT32 = np.iinfo(np.int32).max
_OPS = {"max": 3, "min": 4, "mul": 5, "mean": 6, "var": 7, "std": 7, "softmax": 8}  # as in _neighbours.h
_SMALL = {"sum": 0, "max": 3, "min": 4, "mul": 5, "mean": 6}  # those without a second pass over the result
_IN_MEMORY = (False, False)
_PLAIN, _WEIGHTED, _GCN = range(3)  # of a sum
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_ONE = {dtype: np.ones((1, 1), dtype) for dtype in _FLOATS}  # the weight of all edges
_NONE = {dtype: np.empty(0, dtype) for dtype in _FLOATS}
_WORK = 1 << 21  # values gathered in a block, about a millisecond; handing it to a thread costs some 20 microseconds
_LINE = 16  # columns, a cache line of float32: threads that share a row take whole multiples
_NODES = 1 << 16  # nodes in a block, at most, where nodes have few edges


@dataclass(slots=True)
class Gather:
    """A reduction of the features of neighbours: `into` fills the rows of a result.

    Attributes
    ----------
    graph : Graph
    features : ndarray, (num_sources, ...)
    weight : ndarray (E, H) or (1, 1)
        In the dtype of the features; head h weighs the h-th part of the columns.
    root : ndarray
        1/sqrt(degree) of every node for the weights "gcn", else empty.
    reduce : str
    op : int
        The kernel's number of the reduction.
    threads : int
    """

    graph: Graph
    features: Array
    weight: Array
    root: Array
    reduce: str
    op: int
    threads: int

    def into(self, first: int, last: int, result: Array) -> None:
        """Write the rows first..last - 1 to `result`."""
        if result.size == 0:
            return
        graph = self.graph
        for array in (graph.indptr, graph.indices, self.features):
            check_file(array)
        x, rows = flat_rows(self.features), result if result.ndim == 2 else result.reshape(last - first, -1)
        engine = kernel if graph.num_sources <= INT32 else _graph_kernels

        def run(a: int, b: int, column: int, end: int) -> None:
            indptr, indices, weight = part(graph, self.weight, a, b)
            block = rows[a - first : b - first]
            engine.neighbours(
                self.op, indptr, indices, x, block, first=a, weight=weight, root=self.root, from_=column, to=end
            )
            if self.reduce == "std":
                np.sqrt(block[:, column:end], out=block[:, column:end])

        columns = x.shape[1]
        if (graph.num_edges + last - first) * columns <= _WORK:  # one block
            run(first, last, 0, columns)
            return
        jobs = list(blocks(graph.indptr, first, last, columns, self.threads))
        share(len(jobs), self.threads, lambda k: run(*jobs[k]))


def small_result(graph: Graph, features: ArrayLike, reduce: str) -> Array | None:
    """The reduction over a small graph without weights by one call of the kernel; None where it is not for that."""
    if graph.weight is not None or graph._mapped != _IN_MEMORY or type(reduce) is not str or reduce not in _SMALL:
        return None
    op, sources = _SMALL[reduce], graph.num_sources
    found: Array | None = kernel.small_neighbours(op, graph.indptr, graph.indices, features, sources)
    return found


def prepare(
    graph: GraphLike, features: ArrayLike, reduce: str, weight: ArrayLike | str | None, threads: int | None
) -> Gather:
    """The reduction that the user asks for, after checks of the arguments."""
    graph = as_graph(graph)
    _check.one_of("reduce", reduce, REDUCTIONS)
    x = node_features("features", features, graph.num_sources)
    threads, root = 1 if threads == 1 else count(threads), _NONE[x.dtype]
    if isinstance(weight, str) and weight == "gcn":
        if reduce != "sum":
            raise InputError(f'weight "gcn" needs reduce="sum", got {reduce!r} (gcn_norm makes a graph for the others)')
        require_square(graph, 'weight="gcn"')
        weights = edge_weight(graph, None, x)
        return Gather(graph, x, weights, _inverse_roots(graph, weights, threads), reduce, _GCN, threads)
    if isinstance(weight, str):
        if weight not in NORMALIZATIONS:
            names = ", ".join(map(repr, NORMALIZATIONS))
            raise InputError(f"weight must be an array or one of {names}, got {weight!r}")
        weight = normalize_edges(graph, weight, dtype=x.dtype).weight
    plain = weight is None and graph.weight is None
    op = _OPS.get(reduce, _PLAIN if plain else _WEIGHTED)
    return Gather(graph, x, edge_weight(graph, weight, x), root, reduce, op, threads)


def node_features(name: str, features: ArrayLike, n: int) -> Array:
    """float32 or float64 with a row for each of n nodes; float16 is read as float32, integers as float64."""
    # This test comes first because it is the usual case, and small graphs come by the million.
    right = type(features) is np.ndarray and features.dtype in _FLOATS and features.flags.carray
    x: Array = features if right else _check.floats(name, features)  # type: ignore[assignment]
    if x.ndim == 0 or len(x) != n:
        raise InputError(f"{name} must have one row for each of {n} nodes, got shape {x.shape}")
    return x


def edge_weight(graph: Graph, weight: ArrayLike | None, x: Array) -> Array:
    """(E, H) in the dtype of x: as given, or those of the graph; (1, 1) where there are none."""
    checked = graph.weight if weight is None else _check.array("weight", weight, ("f", "i", "u", "b"), (1, 2))
    if checked is None:
        return _ONE[x.dtype]
    _check.same_length(edges=graph.indices, weight=checked)
    if checked.ndim == 2 and (x.ndim < 2 or x.shape[1] != checked.shape[1]):
        raise InputError(
            f"weight of {checked.shape[1]} heads needs features (N, {checked.shape[1]}, ...), got shape {x.shape}"
        )
    if not checked.size:
        return _ONE[x.dtype]
    return checked.astype(x.dtype, copy=False).reshape(len(checked), -1)


def flat_rows(x: Array) -> Array:
    """x as (N, columns), also where it is empty."""
    if x.ndim == 2:
        return x
    return x.reshape(len(x), -1) if x.size else np.empty((len(x), int(np.prod(x.shape[1:]))), x.dtype)


def part(graph: Graph, weight: Array, a: int, b: int) -> tuple[Array, Array, Array]:
    """(indptr of rows a..b, indices, weights): the last two of all rows, or of these rows alone, copied as int32."""
    indptr = row_ends(graph, a, b)
    mapped = graph._mapped[1]
    if graph.indices.dtype == np.int32 and not mapped:
        return indptr, graph.indices, weight
    edges = slice(int(indptr[0]), int(indptr[-1]))
    given = graph.indices[edges]
    indices = given.astype(np.int32 if graph.num_sources <= INT32 else np.int64)
    if mapped and len(indices) and (indices.min() < 0 or indices.max() >= graph.num_sources):
        raise InputError("the file behind the indices of the graph has changed since the graph was made")
    return indptr - indptr[0], indices, weight if len(weight) == 1 else weight[edges]


def row_ends(graph: Graph, a: int, b: int) -> Array:
    """indptr of the rows a..b; of a mapped one a copy, since another program may have written to it."""
    indptr = graph.indptr[a : b + 1]
    if not graph._mapped[0]:
        return indptr
    indptr = indptr.copy()
    if indptr[0] < 0 or indptr[-1] > graph.num_edges or (indptr[1:] < indptr[:-1]).any():
        raise InputError("the file behind the indptr of the graph has changed since the graph was made")
    return indptr


def blocks(indptr: Array, first: int, last: int, columns: int, threads: int) -> Iterator[tuple[int, int, int, int]]:
    """(row, row, column, column) of blocks of equal work.

    A row is never cut, as that would change the order of its sum; but where one row is much more than a block, each
    thread takes some of its columns. More parts would read indices and features from memory more often.
    """
    shared = -(-columns // (_LINE * threads)) * _LINE
    step = min(max(_WORK // max(columns, 1), 1 << 12), 1 << 19)
    while first < last:
        border = int(indptr.searchsorted(indptr[first] + step, "right")) - 1
        border = min(max(border, first + 1), first + step, last)
        width = shared if indptr[border] - indptr[first] > 2 * step else columns
        for column in range(0, columns, width):
            yield first, border, column, min(column + width, columns)
        first = border


def _inverse_roots(graph: Graph, weight: Array, threads: int) -> Array:
    """1/sqrt(degree) of every node, self loops included."""
    root = np.empty(graph.num_nodes, weight.dtype)

    def run(s: slice) -> None:
        indptr, indices, some = part(graph, weight, s.start, s.stop)
        kernel.inverse_roots(indptr, indices, some, root[s], first=s.start)

    split(graph.num_nodes, threads, run, _NODES)
    return root
