"""The chapter on graphs: a small social network, and features aggregated over its edges."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

import fastdl
from fastdl._typing import Array
from fastdl.report.figures import LINE, PAPER, SERIES, Panel
from fastdl.report.page import Chapter
from fastdl.report.samples import KARATE_INSTRUCTOR, karate_club

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastdl.graphs.graph import Graph

SIDES = ("with the instructor", "with the president")


def chapter() -> Chapter:
    """Adjacency, degrees, and features before and after aggregation."""
    graph = karate_club()
    page = Chapter(
        "graphs",
        "Graphs: aggregation over neighbours",
        "When every node gathers what its neighbours know, three rounds tell nearly every member's side in a club "
        "that is about to split.",
    )
    side = np.ones(graph.num_nodes, int)
    side[list(KARATE_INSTRUCTOR)] = 0
    page.text(
        f"The 34 members of a karate club and their 78 friendships (Zachary, 1977). `Graph.from_edges` sorts an edge "
        f"list into rows, and `summary` says what is there: {graph.summary()}."
    )
    page.figure(
        [
            Panel(partial(_network, graph=graph, side=side), "Members as dots, friendships as lines: two groups, dense "
                  "within and with few lines between them, around members 0 and 33.", "Who is a friend of whom", 330),
            Panel(partial(_degrees, graph=graph, side=side), "Most members have two to six friends; members 0, 2, 32 "
                  "and 33 have ten or more.", "How many friends members have", 300),
        ],
        "Placed so that the distances on paper are near the lengths of the shortest paths; 0 is the instructor, 33 "
        "the president.",
    )  # fmt: skip
    _rounds(page, graph, side)
    _large(page)
    return page


def places(graph: fastdl.Graph) -> Array:
    """Positions in a plane, at distances near the shortest paths: classical multidimensional scaling."""
    targets = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
    far = np.full((graph.num_nodes,) * 2, float(graph.num_nodes))
    np.fill_diagonal(far, 0)
    far[targets, graph.indices] = 1
    for k in range(len(far)):
        far = np.minimum(far, far[:, k, None] + far[k])
    square = far**2
    square = square - square.mean(axis=0) - square.mean(axis=1)[:, None] + square.mean()
    values, vectors = np.linalg.eigh(-square / 2)
    return vectors[:, -2:][:, ::-1] * np.sqrt(values[-2:][::-1])


def _network(axes: Axes, graph: fastdl.Graph, side: Array) -> None:
    friends = fastdl.degree(graph).astype(float)
    targets = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
    place = places(graph)
    for a, b in zip(targets, graph.indices):
        if a < b:
            axes.plot(*place[[a, b]].T, color=LINE, lw=1, zorder=1)
    for s, name in enumerate(SIDES):
        which = side == s
        across, up = place[which].T
        axes.scatter(across, up, s=30 + 16 * friends[which], color=SERIES[s], edgecolors=PAPER, label=name,
                     zorder=2)  # fmt: skip
    for node in (0, 33):
        axes.annotate(str(node), place[node], ha="center", va="center", color=PAPER)
    axes.set_axis_off()


def _degrees(axes: Axes, graph: fastdl.Graph, side: Array) -> None:
    friends = fastdl.degree(graph)
    for s, name in enumerate(SIDES):
        axes.bar(np.flatnonzero(side == s), friends[side == s], color=SERIES[s], label=name)
    axes.set(xlabel="member", ylabel="friends")


def gather(fastdl: ModuleType, graph: Graph, features: Array) -> tuple[Array, Array]:
    sums = fastdl.aggregate(graph, features)
    means = fastdl.aggregate(graph, features, reduce="mean")
    return sums, means


def _rounds(page: Chapter, graph: fastdl.Graph, side: Array) -> None:
    """Three rounds of aggregation of the two leaders' features, by each reduction."""
    page.section("Three rounds of news")
    start = np.zeros((graph.num_nodes, 2), np.float32)
    start[0, 0] = start[33, 1] = 1
    page.text(
        "Every member starts with two features, 0 and 0, save the instructor (1, 0) and the president (0, 1). A sum "
        "grows with the friends a member has, a mean forgets how many there were; `weight='gcn'` counts the member "
        "itself and divides by the roots of both degrees."
    )
    rounds = {
        "sum": repeat(lambda x: fastdl.aggregate(graph, x), start),
        "mean": repeat(lambda x: fastdl.aggregate(graph, x, reduce="mean"), start),
        "max": repeat(lambda x: fastdl.aggregate(graph, x, reduce="max"), start),
        "gcn": repeat(lambda x: fastdl.aggregate(graph, x, weight="gcn"), start),
    }
    page.figure(
        [Panel(partial(_heard, x=x, side=side), f"Reduced by {name}: members of a side mostly lie on their leader's "
               "side of the diagonal.", f"After three rounds of {name}", 290) for name, x in rounds.items()],
        "Each member by what is heard of the two leaders; on the dashed line, as much of both.",
    )  # fmt: skip
    rows = []
    for name, x in rounds.items():
        heard = x[:, 0] != x[:, 1]
        right = (x[:, 1] > x[:, 0]) == (side == 1)
        rows.append((name, int(heard.sum()), int((heard & right).sum())))
    page.table(
        ("reduction", "members who hear more of one leader", "and go with that one"),
        rows,
        "Friendships alone tell, for almost every member, which side will be taken.",
    )


def _heard(axes: Axes, x: Array, side: Array) -> None:
    rng = np.random.default_rng(0)
    top = float(x.max())
    axes.plot([0, top], [0, top], "--", color=SERIES[6], lw=1)
    for s, name in enumerate(SIDES):
        spread = rng.uniform(-0.012, 0.012, (int((side == s).sum()), 2)) * top
        across, up = (x[side == s] + spread).T
        axes.scatter(across, up, s=34, color=SERIES[s], edgecolors=PAPER, lw=0.5, label=name)
    axes.set(xlabel="of the instructor", ylabel="of the president", xlim=(-0.05 * top, 1.07 * top),
             ylim=(-0.05 * top, 1.07 * top))  # fmt: skip


def repeat(step: Callable[[Array], Array], x: Array, times: int = 3) -> Array:
    """step(step(... x))"""
    for _ in range(times):
        x = step(x)
    return x


def _large(page: Chapter) -> None:
    page.section("The same on many edges")
    rng = np.random.default_rng(2)
    edges = rng.integers(0, 20_000, (200_000, 2))
    graph = fastdl.Graph.from_edges(edges, 20_000)
    page.text(
        "20,000 nodes, 200,000 edges at random, 16 features. Sums add the neighbours in the order of the row, one by "
        "one: the same bits as SciPy's `A @ X`, for any number of threads."
    )
    page.code(gather, graph, rng.standard_normal((20_000, 16)).astype(np.float32))
