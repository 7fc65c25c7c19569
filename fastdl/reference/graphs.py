"""Graphs: what the rows and the norms mean.  A graph is anything with indptr, indices, edge_order, weight."""

import numpy as np


def from_edges(edges, num_nodes=None):
    """(indptr, indices, edge_order): row i lists the sources of the edges into i, in the order of `edges` (2, E)."""
    if num_nodes is None:
        num_nodes = int(edges.max()) + 1 if edges.size else 0
    kind = np.int32 if max(num_nodes, edges.shape[1]) <= np.iinfo(np.int32).max else np.int64
    order = np.argsort(edges[1], kind="stable")
    indptr = np.zeros(num_nodes + 1, np.int64)
    np.cumsum(np.bincount(edges[1].astype(np.int64), minlength=num_nodes), out=indptr[1:])
    return indptr, edges[0][order].astype(kind), order.astype(kind)


def rows(indptr):
    """The target of every edge."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def degree(graph, *, direction="in", weight=None):
    """Edges into (out of) every node, or the sum of their weights, added in the order of the graph."""
    ends = rows(graph.indptr) if direction == "in" else graph.indices
    if weight is None:
        return np.bincount(ends, minlength=len(graph.indptr) - 1)
    total = np.zeros(len(graph.indptr) - 1, weight.dtype)
    np.add.at(total, ends, weight)
    return total


def with_self_loops(indptr, indices, edge_order, weight, fill, remaining):
    """One loop (i, i) last in every row; with `remaining` the old loops go, the last one leaves its weight."""
    n = len(indptr) - 1
    targets, loops = rows(indptr), np.full(n, fill, None if weight is None else weight.dtype)
    keep = indices != targets if remaining else np.ones(len(indices), bool)
    if weight is not None:
        loops[targets[~keep]] = weight[~keep]
    ends = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(targets[keep], minlength=n), out=ends[1:])
    if edge_order is None:
        edge_order = np.arange(len(indices), dtype=indices.dtype)
    listed = np.zeros(edge_order.max(initial=-1) + 1, bool)
    listed[edge_order[keep]] = True
    edge_order = (np.cumsum(listed) - 1)[edge_order[keep]]
    return (
        ends + np.arange(n + 1),
        np.insert(indices[keep], ends[1:], np.arange(n, dtype=indices.dtype)),
        np.insert(edge_order, ends[1:], listed.sum() + np.arange(n)).astype(indices.dtype),
        None if weight is None else np.insert(weight[keep], ends[1:], loops),
    )


def gcn_norm(graph, *, weight=None, add_self_loops=True, improved=False, dtype=np.float32):
    """(indptr, indices, edge_order, weight) with weights (d[source]^-1/2 w) d[target]^-1/2, where 0^-1/2 is 0."""
    if weight is None:
        weight = getattr(graph, "weight", None)
    weight = np.ones(len(graph.indices), dtype) if weight is None else weight.astype(dtype)
    arrays = graph.indptr, graph.indices, graph.edge_order, weight
    if add_self_loops:
        arrays = with_self_loops(*arrays, 2 if improved else 1, True)
    indptr, indices, edge_order, weight = arrays
    targets = rows(indptr)
    total = np.zeros(len(indptr) - 1, dtype)
    np.add.at(total, targets, weight)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = 1 / np.sqrt(total)
    root[np.isinf(root)] = 0
    return indptr, indices, edge_order, root[indices] * weight * root[targets]
