"""What a node gathers from its neighbours."""

import numpy as np

from fastdl.reference.graphs import gcn_norm


def aggregate(graph, features, *, reduce="sum", weight=None, rows=None):
    """For every node the sum, mean, max or min of its neighbours' (weighted) features, in the order of its row."""
    indptr, indices = graph.indptr, graph.indices
    if isinstance(weight, str):
        indptr, indices, _, weight = gcn_norm(graph, dtype=features.dtype)
    elif weight is None:
        weight = graph.weight
    first, last = rows or (0, len(indptr) - 1)
    edges = slice(int(indptr[first]), int(indptr[last]))
    degrees = np.diff(indptr[first : last + 1])
    targets, messages = np.repeat(np.arange(last - first), degrees), features[indices[edges]]
    column = (-1,) + (1,) * (features.ndim - 1)
    with np.errstate(all="ignore"):
        if weight is not None:
            messages = messages * weight[edges].astype(features.dtype).reshape(column)
        if reduce in ("sum", "mean"):
            result = np.zeros((last - first, *features.shape[1:]), features.dtype)
            np.add.at(result, targets, messages)
            if reduce == "mean":
                result /= np.maximum(degrees, 1).astype(features.dtype).reshape(column)
            return result
        worst, best = (-np.inf, np.maximum) if reduce == "max" else (np.inf, np.minimum)
        result = np.full((last - first, *features.shape[1:]), worst, features.dtype)
        best.at(result, targets, messages)
        result[degrees == 0] = 0
        return result
