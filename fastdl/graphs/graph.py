"""Graphs to what a graph network reads: rows of neighbours (CSR), degrees and the normalisation of a GCN.

An edge (source, target) carries features from its source to its target, as PyTorch Geometric has it. Row i of a graph
lists the sources of the edges *into* node i. So the sum that `aggregate` makes is ``A @ X`` for SciPy's
``A = csr_matrix((ones, (target, source)))``; for the edges out of a node, transpose the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check
from fastdl.graphs import _edge_sort
from fastdl.reference import graphs as reference

Array = np.ndarray

COALESCE = ("sum", "mean", "max")
DIRECTIONS = ("in", "out")
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Graph:
    """A graph in rows (CSR): row i holds the sources of the edges into node i.

    Parameters
    ----------
    indptr : array_like of integers, (N + 1,)
        Row i is `indices[indptr[i]:indptr[i + 1]]`.
    indices : array_like of integers, (E,)
        The sources. Memory-mapped arrays stay where they are.
    edge_order : array_like of integers, (E,), optional
        For every edge its place in the list it came from.
    weight : array_like of floats, (E,), optional
        A weight for every edge, in the order of `indices`.

    Attributes
    ----------
    indptr : ndarray of int64, read-only
    indices : ndarray of int32, or of int64 where N or E needs it, read-only
    edge_order : ndarray or None, read-only
        ``data[graph.edge_order]`` brings data of the edges into the graph's order. None when no list is known.
    weight : ndarray or None, read-only

    Raises
    ------
    InputError
        For an indptr that falls or does not fit `indices`, and for sources outside 0..N-1.

    See Also
    --------
    Graph.from_edges : from a list of edges.

    Examples
    --------
    >>> import fastdl
    >>> graph = fastdl.Graph([0, 1, 3, 3], [1, 0, 2])
    >>> graph
    Graph(num_nodes=3, num_edges=3)
    """

    indptr: Array
    indices: Array
    edge_order: Array | None
    weight: Array | None

    def __init__(self, indptr: Any, indices: Any, edge_order: Any = None, weight: Any = None):
        indptr = _check.array("indptr", indptr, ("i", "u"), 1).astype(np.int64, copy=False)
        indices = _node_array("indices", indices)
        if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(indices):
            got = f"{indptr[0]}..{indptr[-1]}" if len(indptr) else "no value"
            raise _check.InputError(f"indptr must go from 0 to len(indices) = {len(indices)}, got {got}")
        if (indptr[1:] < indptr[:-1]).any():
            raise _check.InputError(
                f"indptr must not fall, got a fall at {int((indptr[1:] < indptr[:-1]).argmax()) + 1}"
            )
        _within("indices", indices, len(indptr) - 1, 1)
        if edge_order is not None:
            edge_order = _node_array("edge_order", edge_order)
            if edge_order.min(initial=0) < 0:
                raise _check.InputError(f"edge_order must be at least 0, got {edge_order.min()}")
        if weight is not None:
            weight = _check.array("weight", weight, _FLOATS, 1)
        _check.same_length(indices=indices, edge_order=edge_order, weight=weight)
        self._hold(indptr, indices, edge_order, weight)

    def _hold(self, indptr: Array, indices: Array, edge_order: Array | None, weight: Array | None) -> Graph:
        # Kernels trust a graph; so what was checked must not change.
        self.indptr, self.indices = _frozen(indptr), _frozen(indices)
        self.edge_order = None if edge_order is None else _frozen(edge_order)
        self.weight = None if weight is None else _frozen(weight)
        return self

    @classmethod
    def from_edges(
        cls,
        edges: Any,
        num_nodes: int | None = None,
        *,
        coalesce: str | None = None,
        weight: Any = None,
        threads: int | None = 1,
    ) -> Graph:
        """The graph of a list of edges; the edges of a row keep the order of the list.

        Parameters
        ----------
        edges : array_like of integers, (2, E) or (E, 2)
            Sources and targets. An array of shape (2, 2) is read as (2, E).
        num_nodes : int, optional
            N; by default the largest node + 1.
        coalesce : {None, "sum", "mean", "max"}
            None keeps duplicate edges. The others make one edge of them, whose weight is the sum, mean or largest of
            theirs, and order the rows by source. Without `weight`, "sum" makes weights (float32) that count the edges.
        weight : array_like of floats, (E,), optional
            A weight for every edge, in the order of `edges`.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        Graph
            `edge_order` holds for every edge its place in `edges`; of the first, where several became one.

        Raises
        ------
        InputError
            For negative nodes, nodes from `num_nodes` on, or a shape that is neither (2, E) nor (E, 2).
        InputTypeError
            For nodes that are no integers.

        Examples
        --------
        >>> import fastdl
        >>> graph = fastdl.Graph.from_edges([[0, 1, 2, 2], [1, 0, 0, 1]])
        >>> graph.indptr, graph.indices, graph.edge_order
        (array([0, 2, 4, 4]), array([1, 2, 0, 2], dtype=int32), array([1, 2, 0, 3], dtype=int32))
        """
        if coalesce is not None:
            _check.one_of("coalesce", coalesce, COALESCE)
        sources, targets = _ends(edges)
        if weight is not None:
            weight = _check.array("weight", weight, _FLOATS, 1)
            _check.same_length(edges=sources, weight=weight)
        num_nodes, ordered = _survey(sources, targets, num_nodes, threads)
        if coalesce is not None:  # a stable sort by source, then one by target
            _, _, first = _edge_sort.by_target(targets, sources, num_nodes, False, threads)
            sources, targets, ordered = sources[first], targets[first], False
        indptr, indices, order = _edge_sort.by_target(sources, targets, num_nodes, ordered, threads)
        if coalesce is not None:
            order = first[order]
        if weight is not None:
            weight = weight[order]
        if coalesce is not None and len(indices):
            indptr, indices, order, weight = _merged(indptr, indices, order, weight, coalesce)
        return cls.__new__(cls)._hold(indptr, indices, order, weight)

    @property
    def num_nodes(self) -> int:
        """N, the number of nodes."""
        return len(self.indptr) - 1

    @property
    def num_edges(self) -> int:
        """E, the number of edges."""
        return len(self.indices)

    def __repr__(self) -> str:
        weighted = "" if self.weight is None else ", weighted"
        return f"Graph(num_nodes={self.num_nodes}, num_edges={self.num_edges}{weighted})"

    def transpose(self, *, threads: int | None = 1) -> Graph:
        """The graph with every edge turned round; `edge_order` and `weight` go with the edges.

        Examples
        --------
        >>> import fastdl
        >>> fastdl.Graph.from_edges([[0, 0], [1, 2]]).transpose().indices
        array([1, 2], dtype=int32)
        """
        targets = reference.rows(self.indptr).astype(self.indices.dtype, copy=False)
        indptr, indices, order = _edge_sort.by_target(targets, self.indices, self.num_nodes, False, threads)
        edge_order = order if self.edge_order is None else self.edge_order[order]
        weight = None if self.weight is None else self.weight[order]
        return Graph.__new__(Graph)._hold(indptr, indices, edge_order, weight)

    def add_self_loops(self, fill: float = 1.0, *, remaining: bool = False) -> Graph:
        """The graph with an edge (i, i) last in every row.

        Parameters
        ----------
        fill : float
            The weight of a new loop, where the graph has weights.
        remaining : bool
            Whether loops that are there already go, so that each node has one; the last of them leaves its weight. This
            is `add_remaining_self_loops` of PyTorch Geometric.

        Returns
        -------
        Graph
            `edge_order` counts in a new list: the edges that were kept, in their order, and then the loops 0..N-1.

        Examples
        --------
        >>> import fastdl
        >>> fastdl.Graph.from_edges([[0, 1], [1, 1]]).add_self_loops(remaining=True).indices
        array([0, 0, 1], dtype=int32)
        """
        fill = _check.number("fill", fill)
        arrays = (self.indptr, self.indices, self.edge_order, self.weight)
        return Graph.__new__(Graph)._hold(*reference.with_self_loops(*arrays, fill, remaining))


def degree(graph: Graph, *, direction: str = "in", weight: Any = None, out: Array | None = None) -> Array:
    """The number of edges at every node, or the sum of their weights.

    Parameters
    ----------
    graph : Graph
        N nodes, E edges.
    direction : {"in", "out"}
        Edges into a node, which are those of its row, or out of it.
    weight : array_like of floats, (E,), optional
        Weights to add instead, in the order of `graph.indices`; `graph.weight` is used only when it is given here.
    out : ndarray, optional
        Where to write: (N,), int64 or the dtype of the weights.

    Returns
    -------
    ndarray, (N,)
        int64 counts, or sums in the dtype of the weights, added in the order of the graph.

    Raises
    ------
    InputError
        For an unknown direction, or weights that do not fit.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.degree(fastdl.Graph.from_edges([[0, 0, 1], [1, 2, 2]]))
    array([0, 1, 2])
    """
    require(graph)
    _check.one_of("direction", direction, DIRECTIONS)
    if weight is not None:
        weight = _check.array("weight", weight, _FLOATS, 1)
        _check.same_length(edges=graph.indices, weight=weight)
    dtype = np.int64 if weight is None else weight.dtype
    result = _check.out("out", out, (graph.num_nodes,), dtype, graph.indptr, graph.indices)
    if weight is None and direction == "in":
        return np.subtract(graph.indptr[1:], graph.indptr[:-1], out=result)
    result[:] = reference.degree(graph, direction=direction, weight=weight)
    return result


def gcn_norm(
    graph: Graph,
    *,
    weight: Any = None,
    add_self_loops: bool = True,
    improved: bool = False,
    dtype: Any = None,
) -> Graph:
    """The graph with self loops and the symmetric weights of a graph convolutional network (GCN).

    The weight w of an edge becomes ``(d[source]^-1/2 w) d[target]^-1/2``, where d is the sum of the weights into a
    node, loops included, and ``0^-1/2`` is 0: as PyTorch Geometric's `gcn_norm` has it. ``aggregate(graph, X,
    weight="gcn")`` gives the same bits as ``aggregate(gcn_norm(graph), X)`` without making this graph.

    Parameters
    ----------
    graph : Graph
        N nodes, E edges.
    weight : array_like of floats, (E,), optional
        In the order of `graph.indices`; by default `graph.weight`, or 1 where there is none.
    add_self_loops : bool
        Whether each node gets one loop, last in its row; loops that are there give it their weight.
    improved : bool
        Whether new loops weigh 2 instead of 1.
    dtype : float32 or float64, optional
        By default that of the weights; float32 where there are none.

    Returns
    -------
    Graph
        With `weight`. ``w[graph.edge_order] = graph.weight`` brings them into PyTorch Geometric's order: the edges of
        the list, then the loops.

    References
    ----------
    Kipf and Welling, "Semi-supervised classification with graph convolutional networks", 2017, equation 2.

    Examples
    --------
    >>> import fastdl
    >>> path = fastdl.Graph.from_edges([[0, 1, 1, 2], [1, 0, 2, 1]])
    >>> fastdl.gcn_norm(path).weight.round(4)
    array([0.4082, 0.5   , 0.4082, 0.4082, 0.3333, 0.4082, 0.5   ],
          dtype=float32)
    """
    require(graph)
    weight = graph.weight if weight is None else _check.array("weight", weight, _FLOATS, 1)
    if weight is not None:
        _check.same_length(edges=graph.indices, weight=weight)
    dtype = np.dtype((np.float32 if weight is None else weight.dtype) if dtype is None else dtype)
    _check.dtype("dtype", dtype, _FLOATS)
    arrays = reference.gcn_norm(graph, weight=weight, add_self_loops=add_self_loops, improved=improved, dtype=dtype)
    return Graph.__new__(Graph)._hold(*arrays)


def require(graph: Any) -> None:
    """Raise unless it is a graph."""
    if not isinstance(graph, Graph):
        raise _check.InputTypeError(f"graph must be a fastdl.Graph, got {type(graph).__name__}")


def _frozen(x: Array) -> Array:
    view = np.asarray(x).view()
    view.flags.writeable = False
    return view


def _node_array(name: str, x: Any) -> Array:
    """int32 or int64, as it is where it is one of these."""
    x = _check.array(name, x, ("i", "u"), 1) if np.size(x) else np.empty(0, np.int32)
    if x.dtype == np.uint64 and x.max(initial=0) > np.iinfo(np.int64).max:
        raise _check.InputError(f"{name} must be below 2^63, got {x.max()}")
    return x if x.dtype in (np.int32, np.int64) else x.astype(np.int64)


def _ends(edges: Any) -> tuple[Array, Array]:
    """Sources and targets as int32 or int64 vectors, of any stride."""
    edges = _check.asarray("edges", edges)
    if edges.size == 0 and (edges.ndim == 1 or edges.shape in ((2, 0), (0, 2))):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if edges.ndim != 2 or 2 not in edges.shape:
        raise _check.InputError(f"edges must have shape (2, E) or (E, 2), got {edges.shape}")
    _check.dtype("edges", edges.dtype, ("i", "u"))
    if edges.dtype == np.uint64 and edges.max() > np.iinfo(np.int64).max:
        raise _check.InputError(f"edges must be below 2^63, got {edges.max()}")
    if edges.dtype not in (np.int32, np.int64) or not edges.flags.aligned or not edges.dtype.isnative:
        edges = edges.astype(np.int32 if edges.dtype in (np.dtype(">i4"), np.dtype("<i4")) else np.int64)
    sources, targets = edges if len(edges) == 2 else edges.T
    if sources.strides[0] % edges.itemsize:
        sources, targets = sources.copy(), targets.copy()
    return sources, targets


def _within(name: str, x: Array, n: int, threads: int | None) -> bool:
    """Whether x never falls; raises unless its values are nodes 0..n-1."""
    if not len(x):
        return True
    low, high, ordered = _edge_sort.survey(x, threads)
    if low < 0 or high >= n:
        wrong = low if low < 0 else high
        where = int((x == wrong).argmax())
        allowed = f"between 0 and {n - 1}" if n else "empty, there are no nodes"
        raise _check.InputError(f"{name} must be {allowed}, got {wrong} at index {where}")
    return ordered


def _survey(sources: Array, targets: Array, n: int | None, threads: int | None) -> tuple[int, bool]:
    """The number of nodes, and whether the targets never fall."""
    if n is not None:
        n = _check.integer("num_nodes", n, 0)
    elif len(sources):
        # Checked against this number afterwards, which finds the negative ones.
        n = max(0, _edge_sort.survey(sources, threads)[1], _edge_sort.survey(targets, threads)[1]) + 1
    else:
        n = 0
    _within("the sources of edges", sources, n, threads)
    return n, _within("the targets of edges", targets, n, threads)


def _merged(
    indptr: Array, indices: Array, order: Array, weight: Array | None, how: str
) -> tuple[Array, Array, Array, Array | None]:
    """Rows ordered by source, with one edge for each run of equal ones."""
    fresh = np.ones(len(indices), bool)
    np.not_equal(indices[1:], indices[:-1], out=fresh[1:])
    fresh[indptr[:-1][indptr[:-1] < indptr[1:]]] = True
    if weight is None and how == "sum":
        weight = np.ones(len(indices), np.float32)
    group = np.cumsum(fresh) - 1
    ends = np.concatenate([[0], group + 1])[indptr]
    if weight is not None:
        merged = weight[fresh] if how == "max" else np.zeros(int(group[-1]) + 1, weight.dtype)
        (np.maximum if how == "max" else np.add).at(merged, group, weight)
        if how == "mean":
            merged /= np.bincount(group).astype(weight.dtype)
        weight = merged
    return ends, indices[fresh], order[fresh], weight
