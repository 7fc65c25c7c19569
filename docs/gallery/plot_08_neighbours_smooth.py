"""
The mean of the neighbours smooths a graph
==========================================

Thirty-four members of a karate club and their friendships, before the club split in two. Each member starts with
noise. When everyone takes the mean of their friends again and again, what differs between friends vanishes first,
and what is left longest is the border along which the club split.
"""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

import fastdl

club = nx.karate_club_graph()
graph = fastdl.as_graph(club)
side = np.array([club.nodes[n]["club"] == "Officer" for n in club])
place = np.array(list(nx.spring_layout(club, seed=4).values()))

x = np.random.default_rng(3).normal(size=graph.num_nodes)
steps = [x]
for _ in range(8):
    x = fastdl.aggregate(graph, x, reduce="mean", weight=None if graph.weight is None else np.ones(len(graph.indices)))
    x = (steps[-1] + x) / 2  # a member keeps half of its own
    x = (x - x.mean()) / x.std()
    steps.append(x)

fig, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for ax, k in zip(axes, (0, 1, 3, 8)):
    for a, b in club.edges:
        ax.plot(*place[[a, b]].T, color="0.85", lw=0.8, zorder=0)
    for marker, chosen in (("o", side), ("s", ~side)):
        ax.scatter(*place[chosen].T, c=steps[k][chosen], marker=marker, cmap="RdBu", vmin=-2, vmax=2, edgecolor="0.3")
    ax.set(title=f"after {k} rounds", xticks=[], yticks=[])
fig.suptitle("circles and squares: the two clubs after the split; colour: the feature")
plt.show()

# %%
# How many members the sign of the feature puts on the side they took:
for k in (0, 1, 3, 8):
    right = np.sum((steps[k] > 0) == side)
    print(f"after {k} rounds: {max(right, 34 - right)} of 34")
