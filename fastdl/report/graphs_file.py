"""A chapter on a graph: its edges, degrees and components, and how fast aggregation smooths features."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.files.graphs.edges import read_graph, read_named_graph
from fastdl.report.figures import SERIES, Panel
from fastdl.report.graphs import gather
from fastdl.report.inspection import Inspection
from fastdl.report.page import Chapter

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_TIMED = 500_000  # edges of the graph that is timed


def chapter(asked: Inspection) -> Chapter:
    """A graph, read whole."""
    names: list[str] = []
    try:
        graph = read_graph(asked.path)
    except fastdl.FileError as error:
        if "read_named_graph" not in str(error):  # nodes that have names say so
            raise
        graph, names = read_named_graph(asked.path)
    asked.tell(0.5)
    summary = graph.summary()
    nodes = max(graph.shape)
    parts = components(graph) if nodes else np.zeros(0, np.int64)
    sizes = np.sort(np.bincount(parts, minlength=nodes)[np.unique(parts)])[::-1] if nodes else parts
    page = Chapter(
        asked.key,
        f"Graph: {asked.path.name}",
        f"{nodes:,} nodes, {summary.num_edges:,} edges, {len(sizes):,} component{'s' * (len(sizes) != 1)}"
        + (f"; the largest holds {100 * int(sizes[0]) / nodes:.3g} % of the nodes." if len(sizes) else "."),
    )
    largest = names[summary.largest_node] if names and summary.largest_node >= 0 else summary.largest_node
    page.table(
        ["what", "how many"],
        [
            ["targets", summary.num_targets],
            ["sources", summary.num_sources],
            ["edges", summary.num_edges],
            ["edges from a node to itself", summary.self_loops],
            ["edges that are there before, kept (--coalesce merges them)", summary.duplicates],
            ["nodes without an edge", summary.isolated],
            ["components, edges taken both ways", len(sizes)],
            [f"edges into the node that has most of them ({largest})", max(summary.largest_degree, 0)],
            ["weighted edges", 0 if graph.weight is None else len(graph.weight)],
        ],
        "What is in it" + ("; nodes have names, and are numbered in the order they come" if names else ""),
    )
    if summary.num_edges:
        _pictures(page, graph, sizes)
    return page


def components(graph: fastdl.Graph) -> Array:
    """Connected components: the smallest node connected to each node, by label propagation and pointer jumping."""
    targets = np.repeat(np.arange(graph.shape[0], dtype=np.int64), np.diff(graph.indptr))
    sources = np.asarray(graph.indices, np.int64)
    label = np.arange(max(graph.shape), dtype=np.int64)
    while True:
        a, b = label[targets], label[sources]
        differ = a != b
        if not differ.any():
            return label
        a, b = a[differ], b[differ]
        np.minimum.at(label, np.maximum(a, b), np.minimum(a, b))
        while (label != label[label]).any():
            label = label[label]


def _pictures(page: Chapter, graph: fastdl.Graph, sizes: Array) -> None:
    into = fastdl.degree(graph).astype(np.int64)
    out = np.bincount(graph.indices, minlength=graph.shape[1])
    alt = "How many nodes have at least so many edges, into and out of them."
    panels = [Panel(partial(_degrees, into=into, out=out), alt, "Degrees", wide=len(sizes) < 2)]
    words = "The part of the nodes that have at least so many edges"
    if len(sizes) > 1:
        panels.append(Panel(partial(_components, sizes=sizes), "Sizes of components, largest first.", "Components"))
        words += "; the components by size"
    page.figure(panels, f"{words}.")
    if graph.shape[0] != graph.shape[1]:
        return
    page.section("What neighbours tell each other")
    spread = np.random.default_rng(0).standard_normal((graph.shape[0], 8)).astype(np.float32)
    rows, x = [], spread
    for k in range(1, 4):
        x = fastdl.aggregate(graph, x, weight="gcn")
        rows.append([k, round(float(x.std()), 4), int((~x.any(axis=1)).sum())])
    page.table(
        ["round", "spread of the features", "nodes that heard nothing"],
        rows,
        "Random features of spread 1 after rounds of `aggregate(graph, x, weight='gcn')`: the faster they become "
        "alike, the fewer layers a graph network can use",
    )
    if graph.num_edges <= _TIMED:
        page.code(gather, graph, spread)


def _degrees(axes: Axes, into: Array, out: Array) -> None:
    for counts, name, colour in ((into, "edges into a node", SERIES[0]), (out, "edges out of a node", SERIES[1])):
        values, times = np.unique(counts[counts > 0], return_counts=True)
        at_least = 100 * times[::-1].cumsum()[::-1] / len(counts)
        axes.plot(values, at_least, "o-", ms=3, color=colour, label=name)
    axes.set(xlabel="edges", ylabel="nodes with as many or more (%)", xscale="log", yscale="log")


def _components(axes: Axes, sizes: Array) -> None:
    few = sizes[:1000]
    axes.plot(np.arange(1, len(few) + 1), few, "o-", ms=3, label="nodes")
    axes.set(xlabel="component, largest first", ylabel="nodes", xscale="log", yscale="log")
