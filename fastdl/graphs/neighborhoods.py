"""Induced subgraphs, and the nodes within k hops of others."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError
from fastdl.graphs import _edge_list
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph, require_square
from fastdl.reference import graphs as reference


def subgraph(graph: GraphLike, nodes: ArrayLike) -> Graph:
    """The graph of some nodes and the edges between them.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        Square.
    nodes : array_like of integers, (n,), or of bool, (N,)
        The nodes in the order of the result, each once; or for each node whether it is one of them.

    Returns
    -------
    Graph
        Node k is ``nodes[k]``; rows keep their order. `edge_order` leads to the list that the graph's leads to, or,
        where it has none, to the graph's edges.

    Raises
    ------
    InputError
        For nodes that are not in the graph or that are named twice.

    Examples
    --------
    >>> import fastdl
    >>> graph = fastdl.Graph.from_edges([[0, 1, 2, 3], [1, 2, 3, 0]])
    >>> part = fastdl.subgraph(graph, [2, 1])
    >>> part.indptr, part.indices, part.edge_order
    (array([0, 1, 1]), array([1], dtype=int32), array([1], dtype=int32))
    """
    graph = as_graph(graph)
    require_square(graph, "subgraph")
    chosen = _chosen(graph, nodes)
    place = np.full(graph.num_nodes, -1, np.int64)
    place[chosen] = np.arange(len(chosen))
    if (place[chosen] != np.arange(len(chosen))).any():
        raise InputError("nodes must be named once")
    edges, targets = _edges_into(graph, chosen)
    sources = place[graph.indices[edges]]
    kept = sources >= 0
    edges, sources, targets = edges[kept], sources[kept], targets[kept]
    indptr = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(np.bincount(targets, minlength=len(chosen)), out=indptr[1:])
    order = edges.astype(graph.indices.dtype) if graph.edge_order is None else graph.edge_order[edges]
    weight = None if graph.weight is None else graph.weight[edges]
    return Graph._of(indptr, sources.astype(graph.indices.dtype), order, weight)


def k_hop(graph: GraphLike, nodes: ArrayLike, hops: int) -> tuple[Array, Array]:
    """The nodes whose features reach some nodes in so many rounds of `aggregate`.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        Square. A hop goes from a node to the sources of the edges into it.
    nodes : array_like of integers, (n,), or of bool, (N,)
        Where to begin.
    hops : int
        How many.

    Returns
    -------
    nodes : ndarray of int64
        In order, those to begin with among them: what `subgraph` takes.
    distance : ndarray of int64
        For each the number of hops.

    Raises
    ------
    InputError
        For nodes that are not in the graph.

    Examples
    --------
    >>> import fastdl
    >>> path = fastdl.Graph.from_edges([[0, 1, 2], [1, 2, 3]])
    >>> fastdl.k_hop(path, [3], 2)
    (array([1, 2, 3]), array([2, 1, 0]))
    """
    graph = as_graph(graph)
    require_square(graph, "k_hop")
    hops = _check.integer("hops", hops, 0)
    distance = np.full(graph.num_nodes, -1, np.int64)
    front = _chosen(graph, nodes)
    distance[front] = 0
    for hop in range(1, hops + 1):
        reached = graph.indices[_edges_into(graph, front)[0]]
        front = np.unique(reached[distance[reached] < 0])
        if not len(front):
            break
        distance[front] = hop
    found = np.flatnonzero(distance >= 0)
    return found, distance[found]


def _chosen(graph: Graph, nodes: ArrayLike) -> Array:
    """Nodes as int64, of integers or of a mask."""
    given = np.asarray(nodes)
    if given.dtype == bool:
        if given.shape != (graph.num_nodes,):
            raise InputError(f"a mask of nodes must have shape ({graph.num_nodes},), got {given.shape}")
        return np.flatnonzero(given)
    chosen = _edge_list.node_array("nodes", nodes).astype(np.int64)
    _edge_list.check_nodes("nodes", chosen, graph.num_nodes, 1)
    return chosen


def _edges_into(graph: Graph, nodes: Array) -> tuple[Array, Array]:
    """The numbers of the edges into some nodes, row by row, and for each which of the nodes it is of."""
    starts, degrees = graph.indptr[nodes], graph.indptr[nodes + 1] - graph.indptr[nodes]
    ends = np.concatenate([[0], np.cumsum(degrees)])
    targets = reference.rows(ends)
    return starts[targets] + (np.arange(ends[-1]) - ends[targets]), targets
