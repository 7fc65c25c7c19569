"""Counts that show at a glance whether a graph was read with the right base, separator and direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fastdl.reference import graphs as reference

if TYPE_CHECKING:
    from fastdl.graphs.graph import Graph


@dataclass(frozen=True)
class GraphSummary:
    """Counts of a graph; `str` makes a line of them.

    Attributes
    ----------
    num_targets, num_sources, num_edges : int
    self_loops : int
        Edges from a node to itself; 0 in a rectangular graph.
    duplicates : int
        Edges that are there before, with the same source and target.
    isolated : int
        Nodes without any edge; of a rectangular graph targets without.
    largest_degree, largest_node : int
        The most edges into a node, and the first node that has them; -1 where there is no node.
    """

    num_targets: int
    num_sources: int
    num_edges: int
    self_loops: int
    duplicates: int
    isolated: int
    largest_degree: int
    largest_node: int

    def __str__(self) -> str:
        square = self.num_targets == self.num_sources
        nodes = _many(self.num_targets, "node") if square else f"{self.num_targets} targets, {self.num_sources} sources"
        parts = [
            nodes,
            _many(self.num_edges, "edge"),
            _many(self.self_loops, "self loop"),
            _many(self.duplicates, "duplicate"),
            _many(self.isolated, "isolated node"),
            f"largest degree {self.largest_degree}",
        ]
        return ", ".join(parts) + (f" (node {self.largest_node})" if self.largest_node >= 0 else "")


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def summarize(graph: Graph) -> GraphSummary:
    """The counts of a graph."""
    n, m = graph.shape
    square = n == m
    degrees = np.diff(graph.indptr)
    alone = degrees == 0
    targets = reference.rows(graph.indptr)
    if square and graph.num_edges:
        alone = alone & (np.bincount(graph.indices, minlength=n) == 0)
    # In order by target and source, equal edges stand side by side.
    order = np.lexsort((graph.indices, targets))
    sources, targets_sorted = graph.indices[order], targets[order]
    duplicates = (sources[1:] == sources[:-1]) & (targets_sorted[1:] == targets_sorted[:-1])
    return GraphSummary(
        num_targets=n,
        num_sources=m,
        num_edges=graph.num_edges,
        self_loops=int((graph.indices == targets).sum()) if square else 0,
        duplicates=int(duplicates.sum()),
        isolated=int(alone.sum()),
        largest_degree=int(degrees.max(initial=0)),
        largest_node=int(degrees.argmax()) if n else -1,
    )
