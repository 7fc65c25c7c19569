"""Degrees, and the weights of edges that graph networks normalise by."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, DTypeLike, GraphLike
from fastdl.errors import InputTypeError
from fastdl.graphs._owned import freeze
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph, require_square
from fastdl.reference import graphs as reference

DIRECTIONS = ("in", "out")
NORMALIZATIONS = ("gcn", "symmetric", "target", "source")

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def degree(
    graph: GraphLike, *, direction: str = "in", weight: ArrayLike | None = None, out: Array | None = None
) -> Array:
    """The number of edges at every node, or the sum of their weights.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
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
    graph = as_graph(graph)
    _check.one_of("direction", direction, DIRECTIONS)
    checked = _edge_weights(graph, weight)
    dtype = np.dtype(np.int64) if checked is None else checked.dtype
    count = graph.num_targets if direction == "in" else graph.num_sources
    given = [] if weight is None else [weight]
    result = _check.out("out", out, (count,), dtype, graph.indptr, graph.indices, *given)
    if checked is None and direction == "in":
        return np.subtract(graph.indptr[1:], graph.indptr[:-1], out=result)
    result[:] = reference.degree(graph, direction=direction, weight=checked)
    return result


def gcn_norm(
    graph: GraphLike,
    *,
    weight: ArrayLike | None = None,
    add_self_loops: bool = True,
    improved: bool = False,
    dtype: DTypeLike | None = None,
) -> Graph:
    """The graph with self loops and the symmetric weights of a graph convolutional network (GCN).

    The weight w of an edge becomes ``(d[source]^-1/2 w) d[target]^-1/2``, where d is the sum of the weights into a
    node, loops included, and ``0^-1/2`` is 0: as PyTorch Geometric's `gcn_norm` has it. ``aggregate(graph, X,
    weight="gcn")`` gives the same bits as ``aggregate(gcn_norm(graph), X)`` without making this graph.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        N nodes, E edges.
    weight : array_like of floats, (E,), optional
        In the order of `graph.indices`; by default `graph.weight`, or 1 where there is none.
    add_self_loops : bool
        Whether each node gets one loop, last in its row; loops that are there give it their weight.
    improved : bool
        Whether new loops weigh 2 instead of 1; a loop that is in the graph already keeps its own weight. So does
        PyTorch Geometric for edges with weights; for edges without, its new loops weigh 1 whatever `improved` says
        (seen in 2.8).
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
    graph = as_graph(graph)
    require_square(graph, "gcn_norm")
    checked = _edge_weights(graph, graph.weight if weight is None else weight)
    dtype = _float_type(dtype, checked)
    return Graph._of(
        *reference.gcn_norm(graph, weight=checked, add_self_loops=add_self_loops, improved=improved, dtype=dtype)
    )


def normalize_edges(
    graph: GraphLike, how: str = "symmetric", *, weight: ArrayLike | None = None, dtype: DTypeLike | None = None
) -> Graph:
    """The graph with weights divided by degrees.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        N nodes, E edges.
    how : {"gcn", "symmetric", "target", "source"}
        With d_in the sum of the weights into a node and d_out that out of it, the weight w of an edge becomes

        - "gcn": what `gcn_norm` makes, self loops included;
        - "symmetric": ``(d_in[source]^-1/2 w) d_in[target]^-1/2``, without new loops (in a rectangular graph with
          d_out of the source);
        - "target": ``w / d_in[target]``: the weights into a node add up to 1, a (weighted) mean;
        - "source": ``w / d_out[source]``: those out of a node add up to 1, a step of a random walk, as in PageRank.

        A node whose weights add up to 0 gives 0.
    weight : array_like of floats, (E,), optional
        In the order of `graph.indices`; by default `graph.weight`, or 1 where there is none.
    dtype : float32 or float64, optional
        By default that of the weights; float32 where there are none.

    Returns
    -------
    Graph
        The edges of `graph` with the new weights.

    Raises
    ------
    InputError
        For an unknown name.

    References
    ----------
    Page, Brin, Motwani and Winograd, "The PageRank citation ranking", 1999: "source".

    Examples
    --------
    >>> import fastdl
    >>> graph = fastdl.Graph.from_edges([[0, 0, 1], [1, 2, 2]])
    >>> fastdl.normalize_edges(graph, "source").weight
    array([0.5, 0.5, 1. ], dtype=float32)
    """
    graph = as_graph(graph)
    _check.one_of("how", how, NORMALIZATIONS)
    if how == "gcn":
        return gcn_norm(graph, weight=weight, dtype=dtype)
    checked = _edge_weights(graph, graph.weight if weight is None else weight)
    dtype = _float_type(dtype, checked)
    new = reference.normalize_edges(graph, how, weight=checked, dtype=dtype)
    return Graph.__new__(Graph)._hold(graph.indptr, graph.indices, graph.edge_order, freeze(new), graph.num_sources)


def _float_type(dtype: DTypeLike | None, weight: Array | None) -> np.dtype[Any]:
    """float32 or float64: as given, or that of the weights."""
    try:
        chosen = np.dtype((np.float32 if weight is None else weight.dtype) if dtype is None else dtype)
    except TypeError:
        raise InputTypeError(f"dtype must be float32 or float64, got {dtype!r}") from None
    _check.dtype("dtype", chosen, _FLOATS)
    return chosen


def _edge_weights(graph: Graph, weight: ArrayLike | None) -> Array | None:
    if weight is None:
        return None
    checked = _check.array("weight", weight, _FLOATS, 1)
    _check.same_length(edges=graph.indices, weight=checked)
    return checked
