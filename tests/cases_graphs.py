"""Cases of graphs and aggregation: random graphs with empty rows, loops, duplicates and a hub."""

import numpy as np

from tests.case import Case


def random_graph(rng, n, weighted=None):
    """About n edges between n / 3 nodes; one in ten goes to node 0, and the last nodes get none."""
    from fastdl import Graph

    nodes = n // 3 + 1
    edges = rng.integers(0, nodes, (2, n))
    edges[1, rng.random(n) < 0.1] = 0
    weight = None if weighted is None else rng.uniform(0, 1, n).astype(weighted)
    return Graph.from_edges(edges, nodes + 2, weight=weight)


def _cases():
    cases = []
    for direction in ("in", "out"):
        for weighted in (None, "float32"):

            def degree(rng, n, direction=direction, weighted=weighted):
                graph = random_graph(rng, n, weighted)
                return (graph,), {"direction": direction, "weight": graph.weight}

            cases.append(Case("graphs", "degree", degree, f"{direction}-{weighted}", threads=()))
    for dtype in ("float32", "float64"):
        for loops in (True, False):

            def norm(rng, n, dtype=dtype, loops=loops):
                return (random_graph(rng, n, dtype),), {"add_self_loops": loops, "dtype": np.dtype(dtype)}

            cases.append(Case("graphs", "gcn_norm", norm, f"{dtype}-{loops}", threads=()))
        for columns in (1, 2, 3, 7, 12, 16, 33, 100):
            for weighted in (None, dtype):
                for reduce in ("sum", "mean", "max", "min"):

                    def reduction(rng, n, columns=columns, weighted=weighted, reduce=reduce, dtype=dtype):
                        graph = random_graph(rng, n, weighted)
                        features = rng.standard_normal((graph.num_nodes, columns)).astype(dtype)
                        return (graph, features), {"reduce": reduce}

                    label = f"{reduce}-{columns}-{dtype}-{'weighted' if weighted else 'plain'}"
                    cases.append(Case("aggregation", "aggregate", reduction, label))

                def gcn(rng, n, columns=columns, weighted=weighted, dtype=dtype):
                    graph = random_graph(rng, n, weighted)
                    return (graph, rng.standard_normal((graph.num_nodes, columns)).astype(dtype)), {"weight": "gcn"}

                cases.append(Case("aggregation", "aggregate", gcn, f"gcn-{columns}-{dtype}-{weighted}"))
    return cases


CASES_GRAPHS = _cases()
