"""Graphs of other libraries, taken where their arrays say what they are."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError, InputTypeError
from fastdl.graphs.graph import Graph


def as_graph(value: GraphLike) -> Graph:
    """A `Graph` of a graph of another library.

    Parameters
    ----------
    value : Graph, SciPy sparse matrix or array, networkx graph, or PyTorch Geometric Data
        A sparse matrix A, in whichever format, is the graph of ``A @ X``: entry (i, j) is an edge from j into i, its
        value the weight; duplicate entries of a COO matrix stay apart, and rows keep their order. Of networkx, node k
        is the k-th of ``G.nodes``, an edge of an undirected graph counts in both directions (a self loop once), and
        the attribute "weight" is the weight, 1 where only some edges have one. Of PyTorch Geometric, `edge_index`,
        `num_nodes`, and `edge_weight` or a flat `edge_attr` are read.

    Returns
    -------
    Graph
        `value` itself where it is one.

    Raises
    ------
    InputTypeError
        For anything else.

    Examples
    --------
    >>> import fastdl
    >>> from scipy.sparse import csr_array
    >>> graph = fastdl.as_graph(csr_array([[0.0, 2.0], [1.0, 0.0]]))
    >>> graph.indices, graph.weight
    (array([1, 0], dtype=int32), array([2., 1.]))
    """
    if isinstance(value, Graph):
        return value
    if hasattr(value, "tocsr") and hasattr(value, "tocoo") and hasattr(value, "shape"):
        return _from_sparse(value)
    if hasattr(value, "edge_index") and not callable(value.edge_index):
        return _from_geometric(value)
    if hasattr(value, "is_directed") and hasattr(value, "adj"):
        return _from_networkx(value)
    raise InputTypeError(
        "graph must be a fastdl.Graph, a SciPy sparse matrix, a networkx graph or PyTorch Geometric Data, "
        f"got {type(value).__name__}"
    )


def _from_sparse(matrix: Any) -> Graph:
    if matrix.format == "coo":  # tocsr would sum duplicates
        edges = np.stack([np.asarray(matrix.col), np.asarray(matrix.row)])
        return Graph.from_edges(edges, matrix.shape, weight=_weights(matrix.data))
    rows = matrix if matrix.format == "csr" else matrix.tocsr()
    return Graph(rows.indptr, rows.indices, None, _weights(rows.data), num_sources=rows.shape[1])


def _from_geometric(data: Any) -> Graph:
    weight = getattr(data, "edge_weight", None)
    if weight is None:
        attributes = getattr(data, "edge_attr", None)
        if attributes is not None and (attributes.ndim == 1 or attributes.shape[1] == 1):
            weight = attributes.reshape(-1)
    edges = np.asarray(data.edge_index)
    return Graph.from_edges(edges, data.num_nodes, weight=None if weight is None else _weights(np.asarray(weight)))


def _from_networkx(graph: Any) -> Graph:
    number = {node: k for k, node in enumerate(graph.nodes)}
    ends = [(number[u], number[v]) for u, v in graph.edges()]
    given = [w for _, _, w in graph.edges(data="weight")]
    edges = np.array(ends, np.int64).reshape(-1, 2).T
    weight = None
    if any(w is not None for w in given):
        try:
            weight = np.array([1.0 if w is None else w for w in given], np.float64)
        except (TypeError, ValueError):
            raise InputError('the attribute "weight" of the edges must be a number') from None
    if not graph.is_directed():
        edges, weight = both_directions(edges, weight)
    return Graph.from_edges(edges, len(number), weight=weight)


def both_directions(edges: Array, weight: Array | None) -> tuple[Array, Array | None]:
    """The edges (2, E), then each but the self loops turned round."""
    other = edges[0] != edges[1]
    edges = np.concatenate([edges, edges[::-1, other]], axis=1)
    return edges, None if weight is None else np.concatenate([weight, weight[other]])


def _weights(values: ArrayLike) -> Array:
    """float32 and float64 as they are, the rest as float64."""
    return cast(Array, _check.floats("weight", values))
