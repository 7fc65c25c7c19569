"""Values along the edges: the softmax over the neighbours of a node (attention), and dot products of both ends."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError
from fastdl.graphs import _gather
from fastdl.graphs.aggregation import aggregate_edges
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph
from fastdl.reference import _graph_kernels

kernel = _kernels.load("graphs_aggregation") or _graph_kernels

_EDGES = 1 << 17  # edges in a block: some 5 ns each


def edge_softmax(graph: GraphLike, scores: ArrayLike, *, out: Array | None = None, threads: int | None = 1) -> Array:
    """Scores of edges to shares: those of the edges into a node add up to 1.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        N nodes, E edges.
    scores : array_like, (E,) or (E, H)
        In the order of `graph.indices`; each of H heads by itself.
    out : ndarray, optional
        Where to write, in the shape and dtype of the scores.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, (E,) or (E, H)
        ``exp(score - m) / sum(exp(score - m))`` with m the largest score into the node; summed in float64.

    Raises
    ------
    InputError
        For scores that are not one, or H, for each edge.

    References
    ----------
    Velickovic et al., "Graph attention networks", 2018, equation 3.

    Examples
    --------
    >>> import fastdl
    >>> graph = fastdl.Graph.from_edges([[0, 1, 2], [1, 2, 2]])
    >>> fastdl.edge_softmax(graph, [0.5, 1.0, 1.0])
    array([1. , 0.5, 0.5])
    """
    graph = as_graph(graph)
    values = _edge_values(graph, scores)
    given = [] if out is None else [scores, graph.indptr]
    result = _check.out("out", out, values.shape, values.dtype, *given)
    if values.size == 0:
        return result
    flat, shares = values.reshape(len(values), -1), result.reshape(len(values), -1)
    share_blocks(graph, threads, lambda a, b: kernel.softmax_rows(_gather.row_ends(graph, a, b), flat, shares))
    return result


def edge_softmax_grad(graph: GraphLike, shares: ArrayLike, grad: ArrayLike, *, threads: int | None = 1) -> Array:
    """The derivative of `edge_softmax` by the scores: ``shares (grad - sum of shares grad over the node's edges)``.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
    shares : array_like, (E,) or (E, H)
        What `edge_softmax` returned.
    grad : array_like, as shares
        The derivative of a loss by the shares.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, (E,) or (E, H)
        The derivative of the loss by the scores.

    Examples
    --------
    >>> import fastdl
    >>> graph = fastdl.Graph.from_edges([[0, 1], [1, 1]])
    >>> fastdl.edge_softmax_grad(graph, [0.5, 0.5], [1.0, 0.0])
    array([ 0.25, -0.25])
    """
    graph = as_graph(graph)
    p, g = _edge_values(graph, shares), _edge_values(graph, grad)
    if p.shape != g.shape:
        raise InputError(f"grad must have the shape of shares, {p.shape}, got {g.shape}")
    weighted = p * g
    total = aggregate_edges(graph, weighted, threads=threads)
    return weighted - p * np.repeat(total, np.diff(graph.indptr), axis=0)


def edge_dots(
    graph: GraphLike, targets: ArrayLike, sources: ArrayLike, *, heads: bool = False, threads: int | None = 1
) -> Array:
    """For every edge the dot product of the features of its two ends.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        N nodes, E edges.
    targets, sources : array_like, (N, ...)
        The features of the targets and of the sources, of one shape but for N.
    heads : bool
        Whether the features are (N, H, ...), and each head has a product of its own.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray, (E,) or (E, H)
        In the order of `graph.indices`; float32 where both are, else float64.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> graph = fastdl.Graph.from_edges([[0, 1], [1, 0]])
    >>> fastdl.edge_dots(graph, np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2)))
    array([3., 7.])
    """
    graph = as_graph(graph)
    left = _gather.node_features("targets", targets, graph.num_targets)
    right = _gather.node_features("sources", sources, graph.num_sources)
    if left.shape[1:] != right.shape[1:] or (heads and left.ndim < 2):
        raise InputError(f"targets and sources must agree in shape, got {left.shape} and {right.shape}")
    dtype = np.result_type(left, right)
    left, right = left.astype(dtype, copy=False), right.astype(dtype, copy=False)
    count = left.shape[1] if heads else 1
    width = int(np.prod(left.shape[2 if heads else 1 :]))
    result = np.zeros((graph.num_edges, count), dtype)
    l3, r3 = left.reshape(len(left), count, width), right.reshape(len(right), count, width)
    engine = kernel if graph.num_sources <= _gather.INT32 else _graph_kernels

    def run(a: int, b: int) -> None:
        first, last = int(graph.indptr[a]), int(graph.indptr[b])
        indptr, indices, _ = _gather.part(graph, result, a, b)
        into = result if indices is graph.indices else result[first:last]
        engine.row_dots(indptr, indices, l3[a:b], r3, into)

    if result.size and width:
        share_blocks(graph, threads, run)
    return result if heads else result[:, 0]


def share_blocks(graph: Graph, threads: int | None, run: Callable[[int, int], object]) -> None:
    """run(first row, last row) for blocks of rows with about equal numbers of edges."""
    n = graph.num_targets
    borders = np.searchsorted(graph.indptr, np.arange(0, graph.num_edges, _EDGES), "right") - 1
    starts = [0, *np.unique(borders[borders > 0]).tolist(), n]
    pairs = [(a, b) for a, b in itertools.pairwise(starts) if a < b]
    split(len(pairs), threads, lambda s: [run(*pairs[k]) for k in range(s.start, s.stop)], 1)


def _edge_values(graph: Graph, values: ArrayLike) -> Array:
    x = _check.floats("the values of edges", values, (1, 2))
    if len(x) != graph.num_edges:
        raise InputError(f"there must be values for each of {graph.num_edges} edges, got shape {x.shape}")
    return x
