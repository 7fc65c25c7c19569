"""The gradient of `aggregate` by features and weights, for NumPy arrays."""

from __future__ import annotations

import numpy as np

from fastdl import _kernels
from fastdl._threads import count, split
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError
from fastdl.graphs import _gather
from fastdl.graphs._owned import freeze
from fastdl.graphs.aggregation import aggregate
from fastdl.graphs.attention import edge_dots, share_blocks
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph
from fastdl.reference import _graph_kernels
from fastdl.reference import graphs as reference

kernel = _kernels.load("graphs_aggregation") or _graph_kernels

_ROWS = 1 << 12  # sources in a block
_VALUES = 1 << 20  # messages that are in memory at once, 8 MB


class _Backward:
    """A graph with its transpose, and the position in the graph of each edge of the transpose."""

    def __init__(self, graph: Graph, threads: int | None):
        bare = Graph.__new__(Graph)._hold(graph.indptr, graph.indices, None, None, graph.num_sources)
        self.transposed = bare.transpose(threads=threads)
        assert self.transposed.edge_order is not None
        #: For every edge of the transposed graph its number in the graph.
        self.order = self.transposed.edge_order
        #: For every edge of the transposed graph its place in the row of its target.
        self.places = freeze((self.order - graph.indptr[self.transposed.indices]).astype(np.int32))


def _backward_of(graph: Graph, threads: int | None) -> _Backward:
    """Made at first use, and kept with the graph."""
    found = graph.__dict__.get("_backward")
    if found is None:
        found = graph.__dict__["_backward"] = _Backward(graph, threads)
    return found


def aggregate_grad(
    graph: GraphLike,
    features: ArrayLike,
    grad: ArrayLike,
    *,
    reduce: str = "sum",
    weight: ArrayLike | None = None,
    result: ArrayLike | None = None,
    by_weight: bool | None = None,
    threads: int | None = 1,
) -> tuple[Array, Array | None]:
    """The derivative of a loss by the features and the weights, from that by the result of `aggregate`.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        The transposed graph is made at first use and kept with the `Graph`.
    features : array_like, (N, ...)
        As they were given to `aggregate`.
    grad : array_like, (N, ...)
        The derivative by what `aggregate` returned.
    reduce : {"sum", "mean", "max", "min", "mul", "var", "std", "softmax"}
        Of "max" and "min" the first neighbour that has the value gets the derivative; "std" has none where it is 0.
    weight : array_like, (E,) or (E, H), optional
        As given to `aggregate`.
    result : array_like, (N, ...), optional
        What `aggregate` returned; computed anew where it is needed and not given.
    by_weight : bool, optional
        Whether to compute the derivative by the weights; by default where `weight` is given.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    by_features : ndarray, as the features
    by_weight : ndarray, as the weight, or None

    Raises
    ------
    InputError
        For shapes that do not belong together.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> graph = fastdl.Graph.from_edges([[0, 1, 1], [2, 2, 0]])
    >>> by_features, _ = fastdl.aggregate_grad(graph, np.ones((3, 1)), np.ones((3, 1)), reduce="mean")
    >>> by_features
    array([[0.5],
           [1.5],
           [0. ]])
    """
    rows = as_graph(graph)
    if isinstance(weight, str):
        raise InputError(f"weight must be an array, got {weight!r}; normalize_edges makes a graph with these weights")
    plan = _gather.prepare(rows, features, reduce, weight, threads)
    x = plan.features
    g = _gather.node_features("grad", grad, rows.num_targets).astype(x.dtype, copy=False)
    if g.shape[1:] != x.shape[1:]:
        raise InputError(f"grad must have shape {(rows.num_targets, *x.shape[1:])}, got {g.shape}")
    by_weight = weight is not None if by_weight is None else by_weight
    heads = plan.weight.shape[1]
    shaped = _Shaped(_backward_of(rows, threads), plan, _three(x, heads), _three(g, heads), by_weight, count(threads))
    if reduce in ("sum", "mean"):
        by_x, by_w = shaped.sums(reduce == "mean")
    else:
        if result is None:
            result = aggregate(rows, x, reduce=reduce, weight=weight, threads=threads)
        out = _three(_gather.node_features("result", result, rows.num_targets).astype(x.dtype, copy=False), heads)
        by_x, by_w = shaped.extremes(out) if reduce in ("max", "min") else shaped.messages(reduce, out)
    if by_w is not None:
        by_w = by_w.reshape(np.shape(weight) if weight is not None else (rows.num_edges,))
    return by_x.reshape(x.shape), by_w


def _three(x: Array, heads: int) -> Array:
    """(N, heads, columns)"""
    width = int(np.prod(x.shape[1:]))
    return x.reshape(len(x), heads, width // heads)


class _Shaped:
    """The derivatives of one aggregation, its arrays as (rows, heads, columns)."""

    def __init__(self, backward: _Backward, plan: _gather.Gather, x: Array, g: Array, by_weight: bool, threads: int):
        self.backward, self.graph, self.plan = backward, plan.graph, plan
        self.x, self.g, self.by_weight, self.threads = x, g, by_weight, threads
        self.weighted = len(plan.weight) == self.graph.num_edges and plan.op != 0

    def sums(self, mean: bool) -> tuple[Array, Array | None]:
        """The gradient of a sum or mean: the transposed graph aggregates the gradients of its targets."""
        g = self.g
        if mean:
            counts = np.maximum(np.diff(self.graph.indptr), 1).astype(g.dtype)
            g = g / counts[:, None, None]
        weight = self.plan.weight[self.backward.order] if self.weighted else None
        by_x = aggregate(self.backward.transposed, g, weight=weight, threads=self.threads)
        by_w = edge_dots(self.graph, g, self.x, heads=True, threads=self.threads) if self.by_weight else None
        return by_x, by_w

    def extremes(self, out: Array) -> tuple[Array, Array | None]:
        """The gradient of a maximum or minimum: it goes to the first neighbour that has the value."""
        graph, weight, x = self.graph, self.plan.weight, self.x
        where = np.empty(out.shape, np.int32)
        by_x = np.empty(x.shape, x.dtype)
        if where.size:
            share_blocks(graph, self.threads, lambda a, b: self._find(a, b, out, where))
        transposed, order = self.backward.transposed, self.backward.order.astype(np.int64, copy=False)
        indices = transposed.indices.astype(np.int32, copy=False)

        def spread(s: slice) -> None:
            indptr = transposed.indptr[s.start : s.stop + 1]
            kernel.taken_sums(
                indptr, indices, self.g, where, by_x[s], order=order, place=self.backward.places, weight=weight
            )

        if by_x.size and where.size:
            split(len(by_x), self.threads, spread, _ROWS)
        else:
            by_x[:] = 0
        return by_x, self._taken_dots(where) if self.by_weight else None

    def _find(self, a: int, b: int, out: Array, where: Array) -> None:
        indptr, indices, weight = _gather.part(self.graph, self.plan.weight, a, b)
        kernel.first_equal(indptr, indices, self.x, weight, out[a:b], where[a:b])

    def _taken_dots(self, where: Array) -> Array:
        """The derivative by the weights: x of the neighbour that was taken times what the target got."""
        by_w = np.zeros((self.graph.num_edges, self.x.shape[1]), self.x.dtype)
        for a, b in self._row_blocks():
            i, h, c = np.nonzero(where[a:b] >= 0)
            edges = self.graph.indptr[a + i] + where[a + i, h, c]
            np.add.at(by_w, (edges, h), self.x[self.graph.indices[edges], h, c] * self.g[a + i, h, c])
        return by_w

    def messages(self, reduce: str, out: Array) -> tuple[Array, Array | None]:
        """The gradient of the other reductions: that by every message w x, in blocks of rows, summed at the sources."""
        graph, x = self.graph, self.x
        by_x = np.zeros_like(x)
        by_w = np.zeros((graph.num_edges, x.shape[1]), x.dtype) if self.by_weight else None
        for a, b in self._row_blocks():
            edges = slice(int(graph.indptr[a]), int(graph.indptr[b]))
            indptr, sources = graph.indptr[a : b + 1] - graph.indptr[a], graph.indices[edges]
            w = np.broadcast_to(
                self.plan.weight[edges] if self.weighted else self.plan.weight, (len(sources), x.shape[1])
            )
            values = x[sources]
            with np.errstate(all="ignore"):
                d = _by_message(reduce, indptr, values * w[..., None], out[a:b], self.g[a:b])
                np.add.at(by_x, sources, d * w[..., None])
                if by_w is not None:
                    by_w[edges] = (d * values).sum(axis=2)
        return by_x, by_w

    def _row_blocks(self) -> list[tuple[int, int]]:
        columns = max(1, self.x.shape[1] * self.x.shape[2])
        found, first, n = [], 0, self.graph.num_targets
        while first < n:
            wanted = self.graph.indptr[first] + max(1, _VALUES // columns)
            last = min(n, max(first + 1, int(self.graph.indptr.searchsorted(wanted, "right")) - 1))
            found.append((first, last))
            first = last
        return found


def _by_message(reduce: str, indptr: Array, m: Array, out: Array, g: Array) -> Array:
    """The derivative by each message of the rows, given what they were reduced to."""
    targets, counts = reference.rows(indptr), np.maximum(np.diff(indptr), 1).astype(m.dtype)
    if reduce == "softmax":
        shares = np.exp(m - reference.reduce_rows(indptr, m, "max")[targets])
        shares = shares / reference.reduce_rows(indptr, shares, "sum")[targets]
        return shares * (1 + m - out[targets]) * g[targets]
    if reduce == "mul":
        zero = m == 0
        zeros = reference.reduce_rows(indptr, zero.astype(m.dtype), "sum")[targets]
        others = reference.reduce_rows(indptr, np.where(zero, m.dtype.type(1), m), "mul")[targets]
        product = np.where(zeros == 0, others / m, np.where((zeros == 1) & zero, others, 0))
        return np.where(np.isnan(others), others, product) * g[targets]
    mean = reference.reduce_rows(indptr, m, "mean")
    scale = g / counts[:, None, None]
    scale = 2 * scale if reduce == "var" else np.where(out == 0, 0, scale / out)
    return (m - mean[targets]) * scale[targets]
