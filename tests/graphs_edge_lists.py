"""Edges read from a file as plain lists, for the tests of files of edges."""

import numpy as np

from fastdl.files import read_edges


def listed(path, **options):
    """All edges as [source, target] and their weights."""
    parts = list(read_edges(path, **options))
    edges = np.concatenate([e for e, _ in parts], axis=1).T.tolist() if parts else []
    return edges, [w for _, weight in parts if weight is not None for w in weight.tolist()]
