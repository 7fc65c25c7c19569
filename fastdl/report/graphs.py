"""Chapter: a small social graph, and what its members hear from their friends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastdl import Graph, aggregate, degree, gcn_norm
from fastdl._typing import Array
from fastdl.report.page import Chapter
from fastdl.report.samples import KARATE_INSTRUCTOR, karate_club


def chapter() -> Chapter:
    """Adjacency, degrees, and features before and after aggregation."""
    graph = karate_club()
    chapter = Chapter("Graphs: aggregation over neighbours")
    chapter.text(
        "The 34 members of a karate club and their 78 friendships, recorded before the club split in two. "
        f"`Graph.from_edges` sorts an edge list into rows; `degree` counts them, `summary` says what is there: "
        f"{graph.summary()}."
    )
    side = np.ones(graph.num_nodes, int)
    side[list(KARATE_INSTRUCTOR)] = 0
    order = np.lexsort((np.arange(graph.num_nodes), side))
    with chapter.figure(1, 2, size=(9, 3.8), caption="Who is a friend of whom, and how many friends members have.") as (
        left,
        right,
    ):
        adjacency(left, graph, order)
        friends = degree(graph)
        for s, name in enumerate(("with the instructor", "with the president")):
            right.bar(np.flatnonzero(side == s), friends[side == s], color=f"C{s}", label=name)
        right.set(title="degrees", xlabel="member", ylabel="friends")
        right.legend(frameon=False)
    _rounds(chapter, graph, side, order)
    return chapter


def _rounds(chapter: Chapter, graph: Graph, side: Array, order: Array) -> None:
    """What three rounds of each reduction make of two leaders' news."""
    start = np.zeros((graph.num_nodes, 2), np.float32)
    start[0, 0] = start[33, 1] = 1
    chapter.text(
        "Every member starts with two features, 0 and 0, save the instructor (1, 0) and the president (0, 1). Three "
        "rounds of `aggregate` let the news spread. A sum lets the numbers grow with the friends a member has, a mean "
        'forgets how many there were; `weight="gcn"` counts the member itself and divides by the roots of both degrees.'
    )
    rounds = {
        "start": start,
        "sum": repeat(lambda x: aggregate(graph, x), start),
        "mean": repeat(lambda x: aggregate(graph, x, reduce="mean"), start),
        "max": repeat(lambda x: aggregate(graph, x, reduce="max"), start),
        "gcn": repeat(lambda x: aggregate(graph, x, weight="gcn"), start),
    }
    with chapter.figure(
        1, 5, size=(9, 4.2), sharey=True, caption="Features after three rounds; members by side."
    ) as axes:
        for ax, (name, x) in zip(axes, rounds.items()):
            ax.imshow(x[order], aspect="auto", cmap="Blues", vmin=0, interpolation="nearest")
            ax.axhline(len(KARATE_INSTRUCTOR) - 0.5, color="C1", linewidth=1)
            ax.set(title=f"{name}, up to {x.max():.3g}", xticks=[0, 1])
            ax.grid(False)
        axes[0].set(ylabel="members, by side")
    rows = []
    for name, x in rounds.items():
        heard = x[:, 0] != x[:, 1]
        right_side = (x[:, 1] > x[:, 0]) == (side == 1)
        rows.append((name, int(heard.sum()), int((heard & right_side).sum())))
    chapter.table(
        ("reduction", "members who hear more of one leader", "and go with that one"),
        rows,
        "Friendships alone tell, for almost every member, which side will be taken.",
    )
    weights = gcn_norm(graph).weight
    if weights is not None:
        chapter.text(
            f"`gcn_norm` gives the weights themselves, here {weights.min():.3f} to {weights.max():.3f}; inside "
            "`aggregate` they are made on the way. Sums add the neighbours in the order of the row, one by one: the "
            "same bits as SciPy's `A @ X`, for any number of threads."
        )


def repeat(step: Callable[[Array], Array], x: Array, times: int = 3) -> Array:
    """step(step(... x))"""
    for _ in range(times):
        x = step(x)
    return x


def adjacency(ax: Any, graph: Graph, order: Array) -> None:
    """A square for every edge, members in the order given."""
    place = np.argsort(order)
    targets = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
    ax.scatter(place[graph.indices], place[targets], marker="s", s=12)
    border = len(KARATE_INSTRUCTOR) - 0.5
    ax.axhline(border, color="C1", linewidth=1)
    ax.axvline(border, color="C1", linewidth=1)
    ax.set(title="adjacency, members by side", xlabel="source", ylabel="target", aspect="equal")
    ax.invert_yaxis()
