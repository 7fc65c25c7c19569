"""Batches of small graphs as one block-diagonal graph, and pooling of the nodes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError, InputTypeError
from fastdl.graphs import _edge_list, _edge_sort
from fastdl.graphs.aggregation import aggregate
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph


@dataclass(frozen=True)
class GraphBatch:
    """Several graphs as one block-diagonal graph.

    Attributes
    ----------
    graph : Graph
        The nodes of the first graph, then those of the second, and so on; no edge between graphs. `edge_order` counts
        on through the edges of the graphs in the same way.
    graph_id : ndarray of int64, (N,)
        For every node the graph it comes from.
    offsets : ndarray of int64, (graphs + 1,)
        The nodes of graph k are offsets[k]..offsets[k + 1] - 1.
    """

    graph: Graph
    graph_id: Array
    offsets: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1


def batch_graphs(graphs: Sequence[GraphLike]) -> GraphBatch:
    """Put graphs side by side: one graph that a network treats in one call.

    Parameters
    ----------
    graphs : sequence of Graph, or of what `as_graph` takes
        All with weights, or none; square.

    Returns
    -------
    GraphBatch

    Raises
    ------
    InputError
        For rectangular graphs, and where only some have weights.

    Examples
    --------
    >>> import fastdl
    >>> pair = fastdl.Graph.from_edges([[0, 1], [1, 0]])
    >>> batch = fastdl.batch_graphs([pair, pair])
    >>> batch.graph.indices, batch.graph_id
    (array([1, 0, 3, 2], dtype=int32), array([0, 0, 1, 1]))
    """
    if not isinstance(graphs, Sequence):
        raise InputTypeError(f"graphs must be a list of graphs, got {type(graphs).__name__}")
    parts = [as_graph(graph) for graph in graphs]
    for k, part in enumerate(parts):
        if part.num_targets != part.num_sources:
            raise InputError(f"graphs must be square, got {part.num_targets} x {part.num_sources} at index {k}")
    weighted = [part.weight is not None for part in parts]
    if len(set(weighted)) > 1:
        raise InputError("graphs must all have weights or none, got some with and some without")
    nodes = np.cumsum([0, *(part.num_nodes for part in parts)], dtype=np.int64)
    edges = np.cumsum([0, *(part.num_edges for part in parts)], dtype=np.int64)
    kind = np.int32 if max(nodes[-1], edges[-1]) <= np.iinfo(np.int32).max else np.int64
    indptr = np.zeros(nodes[-1] + 1, np.int64)
    indices, order = np.empty(edges[-1], kind), np.empty(edges[-1], kind)
    for k, part in enumerate(parts):
        at = slice(edges[k], edges[k + 1])
        indptr[nodes[k] + 1 : nodes[k + 1] + 1] = part.indptr[1:] + edges[k]
        np.add(part.indices, nodes[k], out=indices[at], casting="unsafe")
        own = np.arange(part.num_edges) if part.edge_order is None else part.edge_order
        np.add(own, edges[k], out=order[at], casting="unsafe")
    weight = np.concatenate([part.weight for part in parts if part.weight is not None]) if any(weighted) else None
    return GraphBatch(
        Graph._of(indptr, indices, order, weight), np.repeat(np.arange(len(parts)), np.diff(nodes)), nodes
    )


def pool(
    features: ArrayLike,
    graph_id: ArrayLike,
    num_graphs: int | None = None,
    *,
    reduce: str = "sum",
    threads: int | None = 1,
) -> Array:
    """Reduce the nodes of each graph of a batch to one row.

    Parameters
    ----------
    features : array_like, (N, ...)
        The features of the nodes.
    graph_id : array_like of integers, (N,)
        For every node its graph, in any order.
    num_graphs : int, optional
        By default the largest id + 1.
    reduce, threads
        As in `aggregate`; a graph without nodes gives what a node without neighbours gives.

    Returns
    -------
    ndarray, (num_graphs, ...)

    Raises
    ------
    InputError
        For ids that are not one for each node, or outside 0..num_graphs-1.

    Examples
    --------
    >>> import fastdl
    >>> fastdl.pool([[1.0], [2.0], [5.0]], [0, 0, 2], reduce="mean")
    array([[1.5],
           [0. ],
           [5. ]])
    """
    ids = _edge_list.node_array("graph_id", graph_id)
    features = _check.asarray("features", features)
    if features.ndim == 0 or len(features) != len(ids):
        raise InputError(f"features and graph_id must be of one length, got shape {features.shape} and {len(ids)}")
    if num_graphs is None:
        num_graphs = max(0, _edge_sort.survey(ids, threads)[1]) + 1 if len(ids) else 0
    graphs = _check.integer("num_graphs", num_graphs, 0)
    _edge_list.check_size(graphs, 1 << 30, num_graphs is None)
    ordered = _edge_list.check_nodes("graph_id", ids, graphs, threads)
    nodes = np.arange(len(ids), dtype=ids.dtype if len(ids) <= np.iinfo(np.int32).max else np.int64)
    indptr, indices, _ = _edge_sort.by_target(
        nodes, ids.astype(nodes.dtype, copy=False), (graphs, len(ids)), ordered, threads
    )
    graph = Graph._of(indptr, indices, None, None, len(ids))
    return aggregate(graph, features, reduce=reduce, threads=threads)
