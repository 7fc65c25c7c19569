"""Aggregation of neighbours' features, the sparse-dense matrix product of graph networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fastdl import _check
from fastdl._threads import ONE, valid
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError, InputTypeError
from fastdl.graphs import _gather
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph


def aggregate(
    graph: GraphLike,
    features: ArrayLike,
    *,
    reduce: str = "sum",
    weight: ArrayLike | str | None = None,
    rows: Sequence[int] | None = None,
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Reduce, for every node, the features of its neighbours: the sources of the edges into it.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        N nodes, E edges; its arrays may be memory-mapped. Of a rectangular graph the features are those of the
        sources, the result is that of the targets.
    features : array_like, (N, ...)
        float32 or float64; float16 is read as float32, integers as float64. May be memory-mapped.
    reduce : {"sum", "mean", "max", "min", "mul", "var", "std", "softmax"}
        A sum adds the neighbours in the order of the row, which gives the bits of SciPy's ``A @ features``. A mean
        divides the sum by the number of neighbours, not by that of their weights; "var" is the mean square of what
        differs from the mean, and "std" its root; sums of these are compensated, so that a million neighbours cost
        no digits. "softmax" is the mean weighted by exp(feature), column by column (PyTorch Geometric's
        `SoftmaxAggregation`). Of a node without neighbours the product "mul" is 1, all others are 0. A NaN among the
        neighbours makes the result NaN.
    weight : array_like of floats, (E,) or (E, H), or a name, optional
        Factors of the neighbours' features, in the order of `graph.indices`, cast to the dtype of the features: give an
        array in the order of the edge list as ``weight[graph.edge_order]``. With H heads the features are (N, H, ...),
        each head with its own weights. By default `graph.weight`, or 1. Names are those of `normalize_edges`; the
        weights of "gcn", self loops included, are computed on the fly, without an array of E weights.
    rows : (int, int), optional
        Reduce for the nodes first..last - 1 only.
    out : ndarray, optional
        Where to write, (N, ...) or (last - first, ...), in the dtype of the result.
    threads : int or None
        Threads to use; None means all this process may. The bits do not depend on it: threads share the rows by their
        edges, and a row with very many edges by its columns.

    Returns
    -------
    ndarray, (N, ...)
        float32 or float64.

    Raises
    ------
    InputError
        For features that are not one for each node, weights that are not one for each edge, an unknown reduction, and
        for "gcn" with another reduction than the sum (use `gcn_norm`).

    See Also
    --------
    aggregate_blocks : the same by blocks of rows, for results larger than memory.
    aggregate_edges : of features of the edges themselves.
    aggregate_grad : the derivative.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> graph = fastdl.Graph.from_edges([[1, 2, 0], [0, 0, 2]])
    >>> fastdl.aggregate(graph, np.array([[1.0], [2.0], [4.0]]), reduce="mean")
    array([[3.],
           [0.],
           [1.]])
    """
    if weight is None and rows is None and out is None and (threads is ONE or valid(threads)) and type(graph) is Graph:
        few = _gather.small_result(graph, features, reduce)
        if few is not None:
            return few
    plan = _gather.prepare(graph, features, reduce, weight, threads)
    x, graph = plan.features, plan.graph
    first, last = _rows(rows, graph.num_targets)
    given = [features, graph.indptr, graph.indices, graph.weight, None if isinstance(weight, str) else weight]
    inputs = [] if out is None else [value for value in given if value is not None]
    result = _check.out("out", out, (last - first, *x.shape[1:]), x.dtype, *inputs)
    plan.into(first, last, result)
    return result


def aggregate_blocks(
    graph: GraphLike,
    features: ArrayLike,
    *,
    reduce: str = "sum",
    weight: ArrayLike | str | None = None,
    max_bytes: int = 1 << 26,
    threads: int | None = 1,
) -> Iterator[Array]:
    """The result of `aggregate` as blocks of rows, in order: for results larger than memory.

    Parameters
    ----------
    graph, features, reduce, weight, threads
        As in `aggregate`; what is memory-mapped stays on disk.
    max_bytes : int
        The largest size of a block; a block has at least one row.

    Yields
    ------
    ndarray, (n, ...)
        The next n rows, valid until the next block is asked for; one empty block of a graph without nodes.

    Raises
    ------
    InputError
        As `aggregate`.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> graph = fastdl.Graph.from_edges([[1, 2, 0], [0, 0, 2]])
    >>> [len(block) for block in fastdl.aggregate_blocks(graph, np.ones((3, 2)), max_bytes=32)]
    [2, 1]
    """
    max_bytes = _check.integer("max_bytes", max_bytes, 1)
    plan = _gather.prepare(graph, features, reduce, weight, threads)
    x, n = plan.features, plan.graph.num_targets
    row = x.itemsize * int(np.prod(x.shape[1:]))
    step = max(1, max_bytes // max(1, row))
    block = np.empty((min(step, n), *x.shape[1:]), x.dtype)

    def blocks() -> Iterator[Array]:  # apart, so that the checks run before the first block is asked for
        for first in range(0, max(1, n), step):
            rows = block[: min(step, n - first)]
            plan.into(first, first + len(rows), rows)
            yield rows

    return blocks()


def aggregate_edges(
    graph: GraphLike,
    values: ArrayLike,
    *,
    reduce: str = "sum",
    out: Array | None = None,
    threads: int | None = 1,
) -> Array:
    """Reduce, for every node, values of the edges into it.

    Parameters
    ----------
    graph : Graph, or what `as_graph` takes
        N nodes, E edges.
    values : array_like, (E, ...)
        One row for every edge, in the order of `graph.indices`: data in the order of the list of edges goes in as
        ``data[graph.edge_order]``.
    reduce, out, threads
        As in `aggregate`.

    Returns
    -------
    ndarray, (N, ...)

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> graph = fastdl.Graph.from_edges([[1, 2, 0], [0, 0, 2]])
    >>> fastdl.aggregate_edges(graph, np.array([1.0, 2.0, 5.0]))
    array([3., 0., 5.])
    """
    graph = as_graph(graph)
    return aggregate(edge_rows(graph), values, reduce=reduce, out=out, threads=threads)


def edge_rows(graph: Graph) -> Graph:
    """The graph whose sources are the edges: row i has the numbers of the edges into i."""
    kind = np.int32 if graph.num_edges <= _gather.INT32 else np.int64
    return Graph._of(graph.indptr.copy(), np.arange(graph.num_edges, dtype=kind), None, None, graph.num_edges)


def aggregate_relations(
    graphs: Mapping[tuple[str, str, str], GraphLike],
    features: Mapping[str, ArrayLike],
    *,
    reduce: str = "sum",
    across: str = "sum",
    threads: int | None = 1,
) -> dict[str, Array]:
    """A heterogeneous graph: reduce the neighbours of each relation, then the relations into each type of node.

    Parameters
    ----------
    graphs : dict of Graph
        A rectangular graph for each relation, by (source type, relation, target type):
        ``{("user", "rates", "film"): graph}``, as PyTorch Geometric and DGL name them.
    features : dict of array_like
        The features of the nodes of each type that is a source.
    reduce
        As in `aggregate`, within a relation.
    across : {"sum", "mean", "max", "min"}
        How the results of several relations into one type become one.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    dict of ndarray
        A result for each type that is a target.

    Raises
    ------
    InputError
        For keys that are no triple, a type without features, and relations that give results of different shapes.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> rates = fastdl.Graph.from_edges([[0, 1, 2], [0, 0, 1]], (2, 3))
    >>> fastdl.aggregate_relations({("user", "rates", "film"): rates}, {"user": np.ones((3, 1))})
    {'film': array([[2.],
           [1.]])}
    """
    _check.one_of("across", across, ("sum", "mean", "max", "min"))
    if not isinstance(graphs, Mapping) or not isinstance(features, Mapping):
        raise InputTypeError("graphs and features must be dicts, of relations and of types of nodes")
    results: dict[str, list[Array]] = {}
    for key, graph in graphs.items():
        if not isinstance(key, tuple) or len(key) != 3:
            raise InputError(f"a relation must be named (source type, relation, target type), got {key!r}")
        if key[0] not in features:
            raise InputError(f"features must hold {key[0]!r}, the sources of {key!r}, got {sorted(features)}")
        results.setdefault(key[2], []).append(aggregate(graph, features[key[0]], reduce=reduce, threads=threads))
    return {target: _across(target, parts, across) for target, parts in results.items()}


def _across(target: str, parts: list[Array], how: str) -> Array:
    if len({part.shape for part in parts}) > 1:
        shapes = ", ".join(str(part.shape) for part in parts)
        raise InputError(f"the relations into {target!r} must give one shape, got {shapes}")
    if len(parts) == 1:
        return parts[0]
    combine = {"max": np.maximum, "min": np.minimum}.get(how, np.add)
    total = parts[0]
    for part in parts[1:]:
        total = combine(total, part)
    return total / len(parts) if how == "mean" else total


def _rows(rows: Sequence[int] | None, n: int) -> tuple[int, int]:
    if rows is None:
        return 0, n
    try:
        first, last = rows
    except (TypeError, ValueError):
        raise InputError(f"rows must be (first, last), got {rows!r}") from None
    first = _check.integer("the first of rows", first, 0, n)
    return first, _check.integer("the last of rows", last, first, n)
