"""
Why graph convolutions divide by the roots of the degrees
=========================================================

A sum over neighbours grows with their number, and layer by layer it explodes at the hubs. A mean forgets how many
there were. The norm of graph convolutional networks (Kipf and Welling, 2017) adds each node to its own neighbours and
divides by the roots of both degrees: nothing explodes, and hubs still differ from leaves.
"""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

import fastdl

network = nx.barabasi_albert_graph(2000, 3, seed=0)
graph = fastdl.as_graph(network)
degrees = fastdl.degree(graph)
ways = {
    "sum": lambda x: fastdl.aggregate(graph, x),
    "mean": lambda x: fastdl.aggregate(graph, x, reduce="mean"),
    "gcn": lambda x: fastdl.aggregate(graph, x, weight="gcn"),
}
fig, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharex=True, layout="constrained")
for ax, (name, way) in zip(axes, ways.items()):
    x = np.ones((graph.num_nodes, 1))
    for layer in range(1, 5):
        x = way(x)
        if layer in (1, 2, 4):
            ax.loglog(degrees, x[:, 0], ".", ms=3, label=f"layer {layer}")
    ax.set(title=name, xlabel="degree", ylim=(0.2, 5) if name != "sum" else None)
axes[0].set_ylabel("feature, 1 at the start")
axes[0].legend(fontsize=8)
plt.show()

# %%
# The weights themselves, on a path of three nodes: two neighbours and the node itself.
path = fastdl.Graph.from_edges([[0, 1, 1, 2], [1, 0, 2, 1]])
normed = fastdl.gcn_norm(path, dtype=np.float64)
for node in range(3):
    row = slice(normed.indptr[node], normed.indptr[node + 1])
    print(node, dict(zip(normed.indices[row].tolist(), normed.weight[row].round(4).tolist())))
