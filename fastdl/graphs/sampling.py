"""Neighbour sampling and random walks; the result depends on the seed, not on threads or other draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl import _check, _kernels
from fastdl._threads import split
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError
from fastdl.graphs import _edge_list
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph
from fastdl.reference import _graph_kernels

kernel = _kernels.load("graphs_sampling") or _graph_kernels

_BLOCK = 1 << 12  # nodes in a block, some 100 microseconds
_SEEDS = (1 << 64) - 1


@dataclass(frozen=True)
class NeighborSample:
    """Some neighbours of some nodes.

    Attributes
    ----------
    graph : Graph
        Rectangular: the targets are the nodes that were asked for, the sources those of `node_ids`. It has the weights
        of its edges, where the graph has some.
    node_ids : ndarray of int64
        The sources: the nodes that were asked for first, in their order, then the others as they come first.
    edges : ndarray of int64
        For every edge its number in the graph: ``graph.indices[edges]`` are the neighbours.
    """

    graph: Graph
    node_ids: Array
    edges: Array


def sample_neighbors(
    graph: GraphLike,
    nodes: ArrayLike,
    fanout: int,
    *,
    seed: int,
    replace: bool = False,
    threads: int | None = 1,
) -> NeighborSample:
    """Draw some of the neighbours of each node: what a graph network is trained on in batches.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        N nodes; neighbours are the sources of the edges into a node.
    nodes : array_like of integers, (n,)
        The nodes, each once.
    fanout : int
        How many edges of each node; all of them where it has no more.
    seed : int
        0..2^64 - 1. What is drawn for a node depends on the seed and the node alone.
    replace : bool
        Whether an edge may be drawn several times; a node then gets `fanout` edges unless it has none.
    threads : int or None
        Threads to use; None means all this process may. The draws do not depend on it.

    Returns
    -------
    NeighborSample

    Raises
    ------
    InputError
        For nodes that are not in the graph or that are named twice, and for a negative fanout.

    References
    ----------
    Hamilton, Ying and Leskovec, "Inductive representation learning on large graphs", 2017. Subsets are drawn by Floyd's
    algorithm, all equally likely: Bentley and Floyd, "A sample of brilliance", 1987.

    Examples
    --------
    >>> import fastdl
    >>> graph = fastdl.Graph.from_edges([[1, 2, 3, 4, 0], [0, 0, 0, 0, 3]])
    >>> sample = fastdl.sample_neighbors(graph, [0, 3], 2, seed=1)
    >>> sample.graph
    Graph(num_targets=2, num_sources=3, num_edges=3)
    >>> sample.node_ids[:2], len(sample.edges)
    (array([0, 3]), 3)
    """
    graph = as_graph(graph)
    chosen = _nodes(graph, nodes)
    fanout, seed = _check.integer("fanout", fanout, 0), _check.integer("seed", seed, 0, _SEEDS)
    degrees = graph.indptr[chosen + 1] - graph.indptr[chosen]
    fanout = min(fanout, _edge_list.INT64)
    counts = np.where(degrees > 0, fanout, 0) if replace else np.minimum(degrees, fanout)
    if int(counts.max(initial=0)) * len(counts) >= 1 << 62:
        raise InputError(f"a fanout of {fanout} with replacement is more than memory can hold")
    indptr = np.zeros(len(chosen) + 1, np.int64)
    np.cumsum(counts, out=indptr[1:])
    edges = _check.empty("the sample", (int(indptr[-1]),), np.int64)

    def draw(s: slice) -> None:
        kernel.draw_edges(
            graph.indptr, chosen[s], indptr[s.start : s.stop + 1], edges, seed=seed, replace=bool(replace)
        )

    split(len(chosen), threads, draw, _BLOCK)
    neighbours = graph.indices[edges]
    node_ids, places = _relabel(chosen, neighbours)
    weight = None if graph.weight is None else graph.weight[edges]
    kind = np.int32 if max(len(node_ids), len(edges)) <= np.iinfo(np.int32).max else np.int64
    order = edges if graph.edge_order is None else graph.edge_order[edges]
    sampled = Graph._of(indptr, places.astype(kind), order.copy(), weight, len(node_ids))
    return NeighborSample(sampled, node_ids, edges)


def _nodes(graph: Graph, nodes: ArrayLike) -> Array:
    """Nodes of the graph, each once, as int64."""
    chosen = _edge_list.node_array("nodes", nodes).astype(np.int64)
    _edge_list.check_nodes("nodes", chosen, graph.num_targets, 1)
    ordered = np.sort(chosen)
    if (ordered[1:] == ordered[:-1]).any():
        twice = int(ordered[1:][ordered[1:] == ordered[:-1]][0])
        raise InputError(f"nodes must be named once, got {twice} more than once")
    return chosen


def _relabel(first: Array, others: Array) -> tuple[Array, Array]:
    """(ids, places): `first`, then the new ones of `others` as they come; places gives others in ids."""
    most = len(first) + len(others)
    ids, places = np.empty(most, np.int64), np.empty(len(others), np.int64)
    ids[: len(first)] = first
    engine = kernel if most <= np.iinfo(np.int32).max else _graph_kernels
    count = engine.relabel_nodes(others, ids, places, known=len(first))
    return ids[:count].copy(), places


def random_walks(graph: GraphLike, starts: ArrayLike, length: int, *, seed: int, threads: int | None = 1) -> Array:
    """Walks from node to node: each step to one of the row of the node, all equally likely.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        Square. A step goes to the source of an edge into the node; for walks along the edges give
        ``graph.transpose()``. Of an undirected graph both are the same.
    starts : array_like of integers, (n,)
        The first nodes; a node may be named several times.
    length : int
        The number of steps.
    seed : int
        0..2^64 - 1. Walk k depends on the seed and on k.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    ndarray of int64, (n, length + 1)
        The nodes of each walk. From a node without neighbours it goes nowhere: the node is repeated.

    Raises
    ------
    InputError
        For nodes that are not in the graph, and a rectangular graph.

    References
    ----------
    Perozzi, Al-Rfou and Skiena, "DeepWalk", 2014.

    Examples
    --------
    >>> import fastdl
    >>> ring = fastdl.Graph.from_edges([[1, 2, 0], [0, 1, 2]])
    >>> fastdl.random_walks(ring, [0, 2], 4, seed=0)
    array([[0, 1, 2, 0, 1],
           [2, 0, 1, 2, 0]])
    """
    graph = as_graph(graph)
    if graph.num_targets != graph.num_sources:
        raise InputError(f"random_walks needs a square graph, got {graph.num_targets} x {graph.num_sources}")
    first = _edge_list.node_array("starts", starts).astype(np.int64)
    _edge_list.check_nodes("starts", first, graph.num_targets, 1)
    length, seed = _check.integer("length", length, 0), _check.integer("seed", seed, 0, _SEEDS)
    walks = _check.empty("the walks", (len(first), length + 1), np.int64)
    walks[:, 0] = first

    def step(s: slice) -> None:
        kernel.walk(graph.indptr, graph.indices, walks[s], seed=seed, first=s.start)

    split(len(first), threads, step, _BLOCK)
    return walks
