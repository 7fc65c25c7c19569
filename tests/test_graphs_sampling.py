"""Samples, walks, parts and batches of graphs, and graphs of other libraries."""

from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest

import fastdl
from fastdl import Graph, aggregate
from fastdl.graphs import sampling
from fastdl.reference.graphs import rows
from tests.cases_graphs import REDUCTIONS, random_graph


def test_a_sample_is_of_the_graph():
    graph = random_graph(np.random.default_rng(0), 6000, "float32")
    nodes = np.random.default_rng(1).permutation(graph.num_nodes)[:500]
    sample = fastdl.sample_neighbors(graph, nodes, 3, seed=7)
    degrees = np.diff(graph.indptr)[nodes]
    np.testing.assert_array_equal(np.diff(sample.graph.indptr), np.minimum(degrees, 3))
    assert len(np.unique(sample.edges)) == len(sample.edges)
    np.testing.assert_array_equal(sample.node_ids[: len(nodes)], nodes)
    assert len(np.unique(sample.node_ids)) == len(sample.node_ids)
    np.testing.assert_array_equal(sample.node_ids[sample.graph.indices], graph.indices[sample.edges])
    np.testing.assert_array_equal(nodes[rows(sample.graph.indptr)], rows(graph.indptr)[sample.edges])
    np.testing.assert_array_equal(sample.graph.weight, graph.weight[sample.edges])


def test_a_draw_depends_on_seed_and_node_alone():
    graph = random_graph(np.random.default_rng(0), 30_000)
    nodes = np.arange(graph.num_nodes)
    whole = fastdl.sample_neighbors(graph, nodes, 2, seed=3)
    for threads in (2, 3):
        np.testing.assert_array_equal(
            fastdl.sample_neighbors(graph, nodes, 2, seed=3, threads=threads).edges, whole.edges
        )
    some = fastdl.sample_neighbors(graph, nodes[::-7], 2, seed=3)
    for k, node in enumerate(nodes[::-7]):
        a, b = (s.graph.indptr for s in (some, whole))
        np.testing.assert_array_equal(some.edges[a[k] : a[k + 1]], whole.edges[b[node] : b[node + 1]])
    assert (fastdl.sample_neighbors(graph, nodes, 2, seed=4).edges != whole.edges).any()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_all_subsets_are_equally_likely(count):
    n, degree = 30_000, 5
    edges = np.stack([np.tile(np.arange(degree), n), np.repeat(np.arange(n), degree)])
    sample = fastdl.sample_neighbors(Graph.from_edges(edges, n), np.arange(n), count, seed=0)
    drawn = Counter(map(tuple, (sample.edges % degree).reshape(n, count).tolist()))
    subsets = list(combinations(range(degree), count))
    assert set(drawn) == set(subsets)
    expected = n / len(subsets)
    chi = sum((drawn[s] - expected) ** 2 / expected for s in subsets)
    assert chi < 30  # 4 or 9 degrees of freedom: one in a thousand is 27.9


def test_large_fanouts_and_replacement():
    graph = Graph.from_edges(np.stack([np.arange(5000), np.zeros(5000, int)]))
    sample = fastdl.sample_neighbors(graph, [0], 4000, seed=1)
    assert (np.diff(sample.edges) > 0).all()
    assert len(sample.edges) == 4000
    often = fastdl.sample_neighbors(graph, [0, 1], 20_000, seed=1, replace=True)
    assert np.diff(often.graph.indptr).tolist() == [20_000, 0]
    assert 4500 < len(np.unique(often.edges)) < 5000
    assert len(fastdl.sample_neighbors(graph, [0], 0, seed=1).edges) == 0


def test_walks_walk_along_edges_and_stay_at_ends():
    graph = random_graph(np.random.default_rng(2), 2000)
    walks = fastdl.random_walks(graph, np.arange(graph.num_nodes), 6, seed=9)
    pairs = set(zip(rows(graph.indptr).tolist(), graph.indices.tolist()))
    degrees = np.diff(graph.indptr)
    for walk in walks.tolist():
        for a, b in pairwise(walk):
            assert (a, b) in pairs or (a == b and degrees[a] == 0)
    again = fastdl.random_walks(graph, np.arange(graph.num_nodes), 6, seed=9, threads=3)
    np.testing.assert_array_equal(walks, again)


def test_subgraphs_and_hops_equal_those_of_networkx():
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(3)
    edges = rng.integers(0, 60, (2, 200))
    graph = Graph.from_edges(edges, 60, weight=rng.uniform(size=200))
    nodes = rng.permutation(60)[:25]
    part = fastdl.subgraph(graph, nodes)
    got = sorted(zip(nodes[part.indices].tolist(), nodes[rows(part.indptr)].tolist()))
    theirs = networkx.MultiDiGraph(list(map(tuple, edges.T.tolist())))
    theirs.add_nodes_from(range(60))
    assert got == sorted(theirs.subgraph(nodes.tolist()).edges())
    np.testing.assert_array_equal(edges[0][part.edge_order], nodes[part.indices])
    for hops in (0, 1, 2, 5):
        found, distance = fastdl.k_hop(graph, nodes[:2], hops)
        want = {}
        for start in nodes[:2].tolist():
            for node, d in networkx.single_source_shortest_path_length(theirs.reverse(), start, hops).items():
                want[node] = min(d, want.get(node, 99))
        assert dict(zip(found.tolist(), distance.tolist())) == want
    mask = np.zeros(60, bool)
    mask[nodes] = True
    assert fastdl.subgraph(graph, mask).num_edges == part.num_edges


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_pool_equals_a_loop(reduce):
    rng = np.random.default_rng(4)
    ids = rng.integers(0, 9, 200)
    ids[ids == 4] = 5
    x = rng.standard_normal((200, 3))
    got = fastdl.pool(x, ids, 10, reduce=reduce)
    for g in range(10):
        some = x[ids == g]
        share = np.exp(some) / np.exp(some).sum(axis=0)
        if not len(some):
            want = np.full(3, 1.0 if reduce == "mul" else 0.0)
        elif reduce == "softmax":
            want = (share * some).sum(axis=0)
        else:
            want = getattr(some, {"mul": "prod"}.get(reduce, reduce))(axis=0)
        np.testing.assert_allclose(got[g], want, rtol=1e-12, atol=1e-14)
    assert fastdl.pool(np.ones((0, 2)), []).shape == (0, 2)


def test_batches_stay_apart():
    rng = np.random.default_rng(5)
    graphs = [random_graph(rng, n, "float32") for n in (0, 7, 50)]
    batch = fastdl.batch_graphs(graphs)
    x = [rng.standard_normal((g.num_nodes, 2)).astype(np.float32) for g in graphs]
    together = aggregate(batch.graph, np.concatenate(x))
    np.testing.assert_array_equal(together, np.concatenate([aggregate(g, v) for g, v in zip(graphs, x)]))
    np.testing.assert_array_equal(np.bincount(batch.graph_id), np.diff(batch.offsets))
    assert len(batch) == 3
    assert fastdl.batch_graphs([]).graph.num_nodes == 0
    with pytest.raises(fastdl.InputError, match="all have weights or none"):
        fastdl.batch_graphs([graphs[0], Graph([0, 0], [])])


def test_relations_are_reduced_one_by_one_and_then_together():
    rng = np.random.default_rng(6)
    rates, likes = (Graph.from_edges(rng.integers(0, 5, (2, 20)), (5, 6)) for _ in range(2))
    x = rng.standard_normal((6, 3))
    graphs = {("user", "rates", "film"): rates, ("user", "likes", "film"): likes}
    parts = [aggregate(g, x, reduce="mean") for g in (rates, likes)]
    for across, want in (("sum", sum(parts)), ("mean", sum(parts) / 2), ("max", np.maximum(*parts))):
        got = fastdl.aggregate_relations(graphs, {"user": x}, reduce="mean", across=across)
        np.testing.assert_array_equal(got["film"], want)
    with pytest.raises(fastdl.InputError, match="features must hold 'user'"):
        fastdl.aggregate_relations(graphs, {"film": x})


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
def test_sparse_matrices_are_taken_as_they_are(kind):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(7)
    matrix = sparse.random(20, 30, 0.2, "csr", rng=rng).asformat(kind)
    x = rng.standard_normal((30, 4))
    np.testing.assert_allclose(aggregate(matrix, x), matrix @ x, rtol=1e-13, atol=1e-15)
    assert fastdl.as_graph(matrix).shape == (20, 30)


def test_duplicates_of_a_coo_matrix_stay_apart():
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), (2, 2))
    assert fastdl.as_graph(matrix).num_edges == 2


def test_graphs_of_networkx():
    networkx = pytest.importorskip("networkx")
    rng = np.random.default_rng(8)
    for kind in (networkx.Graph, networkx.DiGraph, networkx.MultiDiGraph):
        theirs = kind()
        theirs.add_nodes_from("abcdef")
        theirs.add_weighted_edges_from([("b", "a", 2.0), ("c", "c", 5.0), ("a", "d", 0.5)])
        theirs.add_edge("e", "a")
        want = networkx.to_numpy_array(theirs).T
        x = rng.standard_normal((6, 2))
        np.testing.assert_allclose(aggregate(theirs, x), want @ x, rtol=1e-13)
    assert fastdl.as_graph(networkx.path_graph(3)).weight is None


def test_data_of_pytorch_geometric():
    geometric = pytest.importorskip("torch_geometric.data")
    torch = pytest.importorskip("torch")
    index = torch.tensor([[0, 1, 2], [1, 0, 1]])
    data = geometric.Data(edge_index=index, num_nodes=5)
    assert fastdl.as_graph(data).num_nodes == 5
    assert fastdl.as_graph(data).weight is None
    data = geometric.Data(edge_index=index, edge_attr=torch.tensor([[1.0], [2.0], [3.0]]), num_nodes=5)
    graph = fastdl.as_graph(data)
    assert graph.weight.tolist() == [2, 1, 3]
    with pytest.raises(fastdl.InputTypeError, match="got list"):
        fastdl.as_graph([[0], [1]])


def test_summary_counts_loops_duplicates_and_isolated_nodes():
    graph = Graph.from_edges([[0, 0, 0, 3, 1], [1, 1, 1, 3, 0]], 6)
    assert str(graph.summary()) == (
        "6 nodes, 5 edges, 1 self loop, 2 duplicates, 3 isolated nodes, largest degree 3 (node 1)"
    )
    assert str(Graph.from_edges([], 0).summary()).startswith("0 nodes, 0 edges")
    wide = Graph.from_edges([[5, 5], [0, 0]], (2, 7)).summary()
    assert str(wide).startswith("2 targets, 7 sources, 2 edges, 0 self loops, 1 duplicate, 1 isolated node")


def test_rectangular_graphs():
    graph = Graph.from_edges([[4, 1], [0, 1]], (2, 5))
    x = np.arange(5.0)
    assert aggregate(graph, x).tolist() == [4, 1]
    assert aggregate(graph.transpose(), [10.0, 20.0]).tolist() == [0, 20, 0, 0, 10]
    assert graph.transpose().shape == (5, 2)
    for call in (graph.add_self_loops, lambda: fastdl.gcn_norm(graph), lambda: fastdl.subgraph(graph, [0])):
        with pytest.raises(fastdl.InputError, match="needs a graph whose targets are its sources, got 2 x 5"):
            call()
    with pytest.raises(fastdl.InputError, match="sources of edges must be between 0 and 3, got 4"):
        Graph.from_edges([[4, 1], [0, 1]], (2, 4))


@pytest.mark.parametrize("how", ["symmetric", "target", "source"])
def test_norms_equal_dense_ones(how):
    rng = np.random.default_rng(9)
    graph = random_graph(rng, 90, "float64")
    dense = np.zeros((graph.num_nodes,) * 2)
    np.add.at(dense, (rows(graph.indptr), graph.indices), graph.weight)
    into, out_of = dense.sum(axis=1), dense.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        want = {
            "symmetric": dense / np.sqrt(into)[:, None] / np.sqrt(into)[None],
            "target": dense / into[:, None],
            "source": dense / out_of[None],
        }[how]
    want[~np.isfinite(want)] = 0
    x = rng.standard_normal((graph.num_nodes, 3))
    np.testing.assert_allclose(aggregate(graph, x, weight=how), want @ x, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(aggregate(fastdl.normalize_edges(graph, how), x), want @ x, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("reduce", ["mean", "var", "std", "softmax"])
def test_a_million_neighbours_cost_no_digits(reduce):
    n = 1_000_000
    graph = Graph([0, n], np.arange(n), num_sources=n)
    x = np.random.default_rng(10).uniform(0.9, 1.1, (n, 2)).astype(np.float32)
    exact = x.astype(float)
    share = np.exp(exact) / np.exp(exact).sum(axis=0)
    want = (share * exact).sum(axis=0) if reduce == "softmax" else getattr(exact, reduce)(axis=0)
    np.testing.assert_allclose(aggregate(graph, x, reduce=reduce)[0], want, rtol=2e-6 if reduce == "softmax" else 3e-7)


def test_improved_norm_gives_new_loops_two():
    norm = fastdl.gcn_norm(Graph.from_edges([[0, 0], [0, 1]]), improved=True)
    # node 0 keeps its loop of 1, node 1 gets one of 2: degrees 1 and 3
    np.testing.assert_allclose(norm.weight, [1, 1 / np.sqrt(3), 2 / 3], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_nodes_are_numbered_as_they_come(dtype):
    rng = np.random.default_rng(0)
    for count, high in ((0, 10), (1, 1), (5000, 40), (5000, 2**31 - 1), (3000, 3000)):
        nodes = rng.integers(0, high, count).astype(dtype)
        known = np.unique(nodes)[::3].astype(np.int64)[::-1].copy()
        ids, places = np.empty(len(known) + count, np.int64), np.empty(count, np.int64)
        ids[: len(known)] = known
        number = sampling.kernel.relabel_nodes(nodes, ids, places, known=len(known))
        everything = np.concatenate([known, nodes])
        values, first = np.unique(everything, return_index=True)
        np.testing.assert_array_equal(ids[:number], values[np.argsort(first)])
        np.testing.assert_array_equal(ids[places], nodes)
