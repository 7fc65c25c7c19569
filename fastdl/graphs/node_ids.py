"""Node names and large node ids: the table that numbers them 0..N-1, and edges in these numbers."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.errors import InputError, InputTypeError


def number_nodes(edges: ArrayLike) -> tuple[Array, Array]:
    """The table of a list's ids, and the list with the places of its ids in the table.

    Parameters
    ----------
    edges : array_like of integers or text, (2, E) or (E, 2)
        The ends of edges: names, or numbers of any size.

    Returns
    -------
    ids : ndarray, (N,)
        Every id once, in order.
    edges : ndarray of int64, (2, E) or (E, 2)
        ``ids[edges]`` is the list that was given.

    Raises
    ------
    InputError
        For another shape.

    Examples
    --------
    >>> import fastdl
    >>> ids, edges = fastdl.number_nodes([["ann", "bob"], ["bob", "cy"]])
    >>> ids.tolist(), edges.tolist()
    (['ann', 'bob', 'cy'], [[0, 1], [1, 2]])
    >>> fastdl.Graph.from_edges(edges, len(ids))
    Graph(num_nodes=3, num_edges=2)
    """
    if _check.is_masked_array(edges):
        raise InputError("edges must not be a masked array")
    try:
        ends = np.asarray(edges)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"edges cannot be read as an array: {error}") from None
    if ends.dtype == object and all(isinstance(name, str) for name in ends.flat):
        ends = ends.astype(str)
    if ends.dtype.kind not in "iuUST":
        raise InputTypeError(f"edges must be integers or text, got {ends.dtype}")
    if ends.ndim != 2 or 2 not in ends.shape:
        raise InputError(f"edges must have shape (2, E) or (E, 2), got {ends.shape}")
    ids, places = np.unique(ends, return_inverse=True)
    return ids, places.reshape(ends.shape)
