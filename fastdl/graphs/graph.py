"""`Graph`: the rows of neighbours (CSR) that graph networks read.

An edge (source, target) carries features from its source to its target, as PyTorch Geometric has it. Row i of a graph
lists the sources of the edges *into* node i. So the sum that `aggregate` makes is ``A @ X`` for SciPy's
``A = csr_matrix((ones, (target, source)))``; for the edges out of a node, transpose the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.errors import InputError
from fastdl.graphs import _edge_list, _edge_sort
from fastdl.graphs._owned import freeze, is_mapped, own
from fastdl.graphs.graph_summary import GraphSummary, summarize
from fastdl.reference import graphs as reference

COALESCE = ("sum", "mean", "max")
MAX_BYTES = 1 << 30  # of the rows: 134 million nodes

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Graph:
    """A graph in rows (CSR): row i holds the sources of the edges into node i.

    A graph never changes: its arrays are its own (copied, where the caller could still write to them) and read-only,
    and remain so in copies and after pickling.

    Parameters
    ----------
    indptr : array_like of integers, (N + 1,)
        Row i is `indices[indptr[i]:indptr[i + 1]]`.
    indices : array_like of integers, (E,)
        The sources. Arrays mapped from a file for reading stay on disk.
    edge_order : array_like of integers, (E,), optional
        For every edge its place in the list it came from.
    weight : array_like of floats, (E,), optional
        A weight for every edge, in the order of `indices`.
    num_sources : int, optional
        For a rectangular graph, where sources are other things than targets (users and films, say): how many
        there are. By default N.

    Attributes
    ----------
    indptr : ndarray of int64, read-only
    indices : ndarray of int32, or of int64 where N or E needs it, read-only
    edge_order : ndarray or None, read-only
        ``data[graph.edge_order]`` brings data of the edges into the graph's order. None when no list is known.
    weight : ndarray or None, read-only
    num_sources, num_targets : int

    Raises
    ------
    InputError
        For an indptr that falls or does not fit `indices`, and for sources outside 0..num_sources-1.

    See Also
    --------
    Graph.from_edges : from a list of edges.
    as_graph : from a graph of SciPy, networkx or PyTorch Geometric.

    Examples
    --------
    >>> import fastdl
    >>> graph = fastdl.Graph([0, 1, 3, 3], [1, 0, 2])
    >>> graph
    Graph(num_nodes=3, num_edges=3)
    >>> fastdl.Graph([0, 1, 3], [3, 0, 2], num_sources=4)
    Graph(num_targets=2, num_sources=4, num_edges=3)
    """

    indptr: Array
    indices: Array
    edge_order: Array | None
    weight: Array | None
    num_sources: int
    num_targets: int
    _mapped: tuple[bool, bool]  # whether indptr and indices are in files, which other programs may write to

    def __init__(
        self,
        indptr: ArrayLike,
        indices: ArrayLike,
        edge_order: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        *,
        num_sources: int | None = None,
    ):
        indptr = _edge_list.node_array("indptr", indptr).astype(np.int64, copy=False)
        indices = _edge_list.node_array("indices", indices)
        # Copy before the checks, so that nobody can change the arrays between the checks and the kernels.
        indptr, indices = own(indptr), own(indices)
        if len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(indices):
            got = f"{indptr[0]}..{indptr[-1]}" if len(indptr) else "no value"
            raise InputError(f"indptr must go from 0 to len(indices) = {len(indices)}, got {got}")
        if (indptr[1:] < indptr[:-1]).any():
            raise InputError(f"indptr must not fall, got a fall at {int((indptr[1:] < indptr[:-1]).argmax()) + 1}")
        n = len(indptr) - 1
        num_sources = n if num_sources is None else _check.integer("num_sources", num_sources, 0, _edge_list.INT64)
        _edge_list.check_nodes("indices", indices, num_sources, 1)
        if edge_order is not None:
            edge_order = own(_edge_list.node_array("edge_order", edge_order))
            if edge_order.min(initial=0) < 0:
                raise InputError(f"edge_order must be at least 0, got {edge_order.min()}")
        if weight is not None:
            weight = own(_check.array("weight", weight, _FLOATS, 1))
        _check.same_length(indices=indices, edge_order=edge_order, weight=weight)
        self._hold(indptr, indices, edge_order, weight, num_sources)

    def _hold(
        self, indptr: Array, indices: Array, edge_order: Array | None, weight: Array | None, num_sources: int
    ) -> Graph:
        """Take arrays that are checked and frozen."""
        mapped = is_mapped(indptr), is_mapped(indices)
        self.__dict__.update(
            indptr=indptr,
            indices=indices,
            edge_order=edge_order,
            weight=weight,
            num_sources=num_sources,
            num_targets=len(indptr) - 1,
            _mapped=mapped,
        )
        return self

    @classmethod
    def _of(
        cls,
        indptr: Array,
        indices: Array,
        edge_order: Array | None,
        weight: Array | None,
        num_sources: int | None = None,
    ) -> Graph:
        """A graph of arrays that are right, fresh, and held by nobody else."""
        edge_order = None if edge_order is None else freeze(edge_order)
        weight = None if weight is None else freeze(weight)
        n = len(indptr) - 1 if num_sources is None else num_sources
        return cls.__new__(cls)._hold(freeze(indptr), freeze(indices), edge_order, weight, n)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Graph cannot be changed, so {name} cannot be set; make another Graph")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Graph cannot be changed, so {name} cannot be deleted")

    def __copy__(self) -> Graph:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Graph:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.indptr, self.indices, self.edge_order, self.weight, self.num_sources)

    @classmethod
    def from_edges(
        cls,
        edges: ArrayLike,
        num_nodes: int | Sequence[int] | None = None,
        *,
        coalesce: str | None = None,
        weight: ArrayLike | None = None,
        max_bytes: int = MAX_BYTES,
        threads: int | None = 1,
    ) -> Graph:
        """The graph of a list of edges; the edges of a row keep the order of the list.

        Parameters
        ----------
        edges : array_like of integers, (2, E) or (E, 2)
            Sources and targets. An array of shape (2, 2) is read as (2, E).
        num_nodes : int or (int, int), optional
            N, or (targets, sources) of a rectangular graph; by default the largest node + 1.
        coalesce : {None, "sum", "mean", "max"}
            None keeps duplicate edges. The others make one edge of them, whose weight is the sum, mean or largest of
            theirs, and order the rows by source. Without `weight`, "sum" makes weights (float32) that count the edges.
        weight : array_like of floats, (E,), optional
            A weight for every edge, in the order of `edges`.
        max_bytes : int
            Refuse a graph whose rows (8 bytes a target) take more: one stray id of 3,000,000,000 would take 24 GB.
        threads : int or None
            Threads to use; None means all this process may.

        Returns
        -------
        Graph
            `edge_order` holds for every edge its place in `edges`; of the first, where several became one.

        Raises
        ------
        InputError
            For negative nodes, nodes from `num_nodes` on, a shape that is neither (2, E) nor (E, 2), and more nodes
            than `max_bytes` allows.
        InputTypeError
            For nodes that are no integers.

        Examples
        --------
        >>> import fastdl
        >>> graph = fastdl.Graph.from_edges([[0, 1, 2, 2], [1, 0, 0, 1]])
        >>> graph.indptr, graph.indices, graph.edge_order
        (array([0, 2, 4, 4]), array([1, 2, 0, 2], dtype=int32), array([1, 2, 0, 3], dtype=int32))
        >>> fastdl.Graph.from_edges([[0, 6], [1, 0]], (2, 7))  # 2 films, 7 users
        Graph(num_targets=2, num_sources=7, num_edges=2)
        """
        if coalesce is not None:
            _check.one_of("coalesce", coalesce, COALESCE)
        sources, targets = _edge_list.ends(edges)
        if weight is not None:
            weight = _check.array("weight", weight, _FLOATS, 1)
            _check.same_length(edges=sources, weight=weight)
        n, num_sources = _edge_list.node_counts(sources, targets, num_nodes, threads)
        _edge_list.check_size(n, max_bytes, num_nodes is None)
        _edge_list.check_nodes("the sources of edges", sources, num_sources, threads)
        ordered = _edge_list.check_nodes("the targets of edges", targets, n, threads)
        if coalesce is not None:  # a stable sort by source, then one by target
            _edge_list.check_size(num_sources, max_bytes, num_nodes is None)
            _, _, first = _edge_sort.by_target(targets, sources, (num_sources, n), False, threads)
            sources, targets, ordered = sources[first], targets[first], False
        indptr, indices, order = _edge_sort.by_target(sources, targets, (n, num_sources), ordered, threads)
        if coalesce is not None:
            order = first[order]
        weight = None if weight is None else weight[order]
        if coalesce is not None and len(indices):
            indptr, indices, order, weight = _edge_list.merge_equal(indptr, indices, order, weight, coalesce)
        return cls._of(indptr, indices, order, weight, num_sources)

    @property
    def num_nodes(self) -> int:
        """N, the number of nodes; of a rectangular graph that of the targets."""
        return self.num_targets

    @property
    def num_edges(self) -> int:
        """E, the number of edges."""
        return len(self.indices)

    @property
    def shape(self) -> tuple[int, int]:
        """(targets, sources), as of the matrix A in ``A @ X``."""
        return self.num_targets, self.num_sources

    def __repr__(self) -> str:
        n, m = self.shape
        nodes = f"num_nodes={n}" if n == m else f"num_targets={n}, num_sources={m}"
        return f"Graph({nodes}, num_edges={self.num_edges}{'' if self.weight is None else ', weighted'})"

    def summary(self) -> GraphSummary:
        """Counts to look at first: nodes, edges, self loops, duplicates, isolated nodes, the largest degree.

        Examples
        --------
        >>> import fastdl
        >>> print(fastdl.Graph.from_edges([[0, 0, 2], [2, 2, 2]], 4).summary())
        4 nodes, 3 edges, 1 self loop, 1 duplicate, 2 isolated nodes, largest degree 3 (node 2)
        """
        return summarize(self)

    def transpose(self, *, threads: int | None = 1) -> Graph:
        """The graph with every edge turned round; `edge_order` and `weight` go with the edges.

        Examples
        --------
        >>> import fastdl
        >>> fastdl.Graph.from_edges([[0, 0], [1, 2]]).transpose().indices
        array([1, 2], dtype=int32)
        """
        targets = reference.rows(self.indptr).astype(self.indices.dtype, copy=False)
        indptr, indices, order = _edge_sort.by_target(targets, self.indices, self.shape[::-1], False, threads)
        edge_order = order if self.edge_order is None else self.edge_order[order]
        weight = None if self.weight is None else self.weight[order]
        return Graph._of(indptr, indices, edge_order, weight, self.num_targets)

    def add_self_loops(self, fill: float = 1.0, *, remaining: bool = False) -> Graph:
        """The graph with an edge (i, i) last in every row.

        Parameters
        ----------
        fill : float
            The weight of a new loop, where the graph has weights.
        remaining : bool
            Whether loops that are there already go, so that each node has one; the last of them leaves its weight. This
            is `add_remaining_self_loops` of PyTorch Geometric.

        Returns
        -------
        Graph
            `edge_order` counts in a new list: the edges that were kept, in their order, and then the loops 0..N-1.

        Raises
        ------
        InputError
            For a rectangular graph.

        Examples
        --------
        >>> import fastdl
        >>> fastdl.Graph.from_edges([[0, 1], [1, 1]]).add_self_loops(remaining=True).indices
        array([0, 0, 1], dtype=int32)
        """
        fill = _check.number("fill", fill)
        require_square(self, "add_self_loops")
        arrays = (self.indptr, self.indices, self.edge_order, self.weight)
        return Graph._of(*reference.with_self_loops(*arrays, fill, remaining))


def _rebuilt(indptr: Array, indices: Array, edge_order: Array | None, weight: Array | None, num_sources: int) -> Graph:
    """What a pickle holds, checked anew."""
    return Graph(indptr, indices, edge_order, weight, num_sources=num_sources)


def require_square(graph: Graph, what: str) -> None:
    """Raise for a rectangular graph."""
    if graph.num_targets != graph.num_sources:
        raise InputError(
            f"{what} needs a graph whose targets are its sources, got {graph.num_targets} x {graph.num_sources}"
        )
