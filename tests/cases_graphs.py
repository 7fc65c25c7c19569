"""Cases of graphs: random graphs with empty rows, loops, duplicates and a hub; norms, reductions, draws."""

import numpy as np

from tests.case import Case

REDUCTIONS = ("sum", "mean", "max", "min", "mul", "var", "std", "softmax")
ROUNDED = {"softmax": 1e-6}  # exp is ours there and NumPy's here


def random_graph(rng, n, weighted=None, rectangular=False):
    """About n edges between n / 3 nodes; one in ten goes to node 0, and the last nodes get none."""
    from fastdl import Graph

    nodes = n // 3 + 1
    edges = rng.integers(0, nodes, (2, n))
    edges[1, rng.random(n) < 0.1] = 0
    weight = None if weighted is None else rng.uniform(0, 1, n).astype(weighted)
    shape = (nodes + 2, nodes + 5) if rectangular else nodes + 2
    return Graph.from_edges(edges, shape, weight=weight)


def _norms():
    cases = []
    for direction in ("in", "out"):
        for weighted in (None, "float32"):

            def degree(rng, n, direction=direction, weighted=weighted):
                graph = random_graph(rng, n, weighted, rectangular=weighted is None)
                return (graph,), {"direction": direction, "weight": graph.weight}

            cases.append(Case("graphs", "degree", degree, f"{direction}-{weighted}", threads=()))
    for dtype in ("float32", "float64"):
        for loops in (True, False):

            def norm(rng, n, dtype=dtype, loops=loops):
                return (random_graph(rng, n, dtype),), {"add_self_loops": loops, "dtype": np.dtype(dtype)}

            call, means = _arrays("gcn_norm")
            cases.append(Case("graphs", "gcn_norm", norm, f"{dtype}-{loops}", threads=(), call=call, means=means))
    return cases


def _arrays(name):
    """The public function and the reference's, both as tuples of arrays."""

    def call(*args, **kwargs):
        import fastdl

        graph = getattr(fastdl, name)(*args, **kwargs)
        return graph.indptr, graph.indices, graph.edge_order, graph.weight

    def means(*args, **kwargs):
        from fastdl.reference import graphs

        return getattr(graphs, name)(*args, **kwargs)

    return call, means


def _reductions():
    cases = []
    for dtype in ("float32", "float64"):
        for columns in (1, 2, 3, 7, 12, 16, 33, 100):
            for weighted in (None, dtype):
                for reduce in REDUCTIONS:

                    def reduction(rng, n, columns=columns, weighted=weighted, reduce=reduce, dtype=dtype):
                        graph = random_graph(rng, n, weighted)
                        features = rng.standard_normal((graph.num_nodes, columns)).astype(dtype)
                        return (graph, features), {"reduce": reduce}

                    label = f"{reduce}-{columns}-{dtype}-{'weighted' if weighted else 'plain'}"
                    cases.append(Case("graphs", "aggregate", reduction, label, rtol=ROUNDED.get(reduce, 0.0)))

                def gcn(rng, n, columns=columns, weighted=weighted, dtype=dtype):
                    graph = random_graph(rng, n, weighted)
                    return (graph, rng.standard_normal((graph.num_nodes, columns)).astype(dtype)), {"weight": "gcn"}

                cases.append(Case("graphs", "aggregate", gcn, f"gcn-{columns}-{dtype}-{weighted}"))
        for how in ("symmetric", "target", "source"):

            def named(rng, n, how=how, dtype=dtype):
                graph = random_graph(rng, n, dtype, rectangular=True)
                return (graph, rng.standard_normal((graph.num_sources, 5)).astype(dtype)), {"weight": how}

            cases.append(Case("graphs", "aggregate", named, f"{how}-{dtype}", threads=(2,)))
        for reduce in ("sum", "max", "mean"):
            for heads, columns in ((1, 3), (4, 1), (3, 9)):

                def per_head(rng, n, dtype=dtype, reduce=reduce, heads=heads, columns=columns):
                    graph = random_graph(rng, n, rectangular=True)
                    weight = rng.uniform(-1, 1, (graph.num_edges, heads)).astype(dtype)
                    features = rng.standard_normal((graph.num_sources, heads, columns)).astype(dtype)
                    return (graph, features), {"weight": weight, "reduce": reduce}

                cases.append(Case("graphs", "aggregate", per_head, f"{reduce}-heads-{heads}x{columns}-{dtype}"))
    return cases


def _edges():
    cases = []
    for dtype in ("float32", "float64"):
        for heads in (None, 1, 5, 20):

            def scores(rng, n, dtype=dtype, heads=heads):
                graph = random_graph(rng, n)
                shape = (graph.num_edges,) if heads is None else (graph.num_edges, heads)
                return (graph, (3 * rng.standard_normal(shape)).astype(dtype)), {}

            rtol = 1e-6 if dtype == "float32" else 1e-14
            cases.append(Case("graphs", "edge_softmax", scores, f"{heads}-{dtype}", rtol=rtol))
        for reduce in ("sum", "max", "std"):

            def values(rng, n, dtype=dtype, reduce=reduce):
                graph = random_graph(rng, n)
                return (graph, rng.standard_normal((graph.num_edges, 3)).astype(dtype)), {"reduce": reduce}

            cases.append(Case("graphs", "aggregate_edges", values, f"{reduce}-{dtype}"))

        def dots(rng, n, dtype=dtype):
            graph = random_graph(rng, n, rectangular=True)
            ends = ((graph.num_targets, 3, 11), (graph.num_sources, 3, 11))
            return (graph, *(rng.standard_normal(shape).astype(dtype) for shape in ends)), {"heads": True}

        cases.append(Case("graphs", "edge_dots", dots, dtype, rtol=1e-5 if dtype == "float32" else 1e-13))

        def back(rng, n, dtype=dtype):
            graph = random_graph(rng, n)
            return (graph, *rng.standard_normal((2, graph.num_edges, 2)).astype(dtype)), {}

        cases.append(Case("graphs", "edge_softmax_grad", back, dtype))
    return cases


def _draws():
    cases = []
    for reduce in ("sum", "max", "std"):

        def pool(rng, n, reduce=reduce):
            return (rng.standard_normal((n, 3)), rng.integers(0, n // 9 + 1, n), n // 9 + 3), {"reduce": reduce}

        cases.append(Case("graphs", "pool", pool, reduce))

    def hops(rng, n):
        return (random_graph(rng, n), np.arange(n % 3), 2), {}

    cases.append(Case("graphs", "k_hop", hops, threads=()))
    for replace in (False, True):
        for fanout in (0, 3, 70):

            def draw(rng, n, replace=replace, fanout=fanout):
                graph = random_graph(rng, n)
                nodes = rng.permutation(graph.num_nodes)[: n // 2 + 1]
                return (graph, nodes, fanout), {"seed": 5, "replace": replace}

            cases.append(Case("graphs", "sample_neighbors", draw, f"{fanout}-{replace}", call=_sampled, means=_sample))

    def walks(rng, n):
        graph = random_graph(rng, n)
        return (graph, rng.integers(0, graph.num_nodes, n), 5), {"seed": 2**64 - 1}

    cases.append(Case("graphs", "random_walks", walks))
    return cases


def _sampled(*args, **kwargs):
    import fastdl

    sample = fastdl.sample_neighbors(*args, **kwargs)
    return sample.graph.indptr, sample.edges


def _sample(*args, **kwargs):
    from fastdl.reference import graphs

    return graphs.sample_neighbors(*args, **kwargs)


CASES_GRAPHS = [*_norms(), *_reductions(), *_edges(), *_draws()]
