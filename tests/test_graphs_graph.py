"""Graphs beyond the reference: stable rows, PyTorch Geometric's norm, loops, duplicates, and clear errors."""

import numpy as np
import pytest

import fastdl
from fastdl import Graph, aggregate, degree, gcn_norm
from tests.cases_graphs import random_graph

PATH = [[0, 1, 1, 2], [1, 0, 2, 1]]  # the path 0 - 1 - 2, both ways


def test_rows_are_those_of_scipy_with_a_stable_order():
    sparse = pytest.importorskip("scipy.sparse")
    edges = np.random.default_rng(0).integers(0, 1000, (2, 200_000))
    graph = Graph.from_edges(edges)
    np.testing.assert_array_equal(edges[0][graph.edge_order], graph.indices)
    assert (np.diff(graph.edge_order)[np.diff(np.repeat(np.arange(1000), np.diff(graph.indptr))) == 0] > 0).all()
    ours = sparse.csr_matrix((np.ones(graph.num_edges), graph.indices, graph.indptr))
    assert (ours != sparse.coo_matrix((np.ones(200_000), (edges[1], edges[0]))).tocsr()).nnz == 0


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("nodes", [10, 5000, 3_000_000])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16", ">i8"])
def test_from_edges_equals_its_reference(nodes, dtype, threads):
    edges = np.random.default_rng(1).integers(0, min(nodes, 60_000), (2, 300_000)).astype(dtype)
    want = fastdl.reference.graphs.from_edges(edges.astype(np.int64), nodes)
    for given in (edges, np.ascontiguousarray(edges.T), np.asfortranarray(edges)):
        graph = Graph.from_edges(given, nodes, threads=threads)
        for got, expected in zip((graph.indptr, graph.indices, graph.edge_order), want):
            np.testing.assert_array_equal(got, expected)
            assert got.dtype == expected.dtype


def test_sorted_edges_are_taken_as_they_are():
    edges = np.sort(np.random.default_rng(2).integers(0, 100, (2, 5000)), axis=1)
    np.testing.assert_array_equal(Graph.from_edges(edges).edge_order, np.arange(5000))


def test_gcn_norm_of_the_path():
    norm = gcn_norm(Graph.from_edges(PATH))
    listed = np.empty(7)
    listed[norm.edge_order] = norm.weight
    np.testing.assert_allclose(listed, [0.4082] * 4 + [0.5, 0.3333, 0.5], atol=5e-5)


def test_gcn_norm_equals_pytorch_geometric():
    gcn = pytest.importorskip("torch_geometric.nn.conv.gcn_conv")
    torch = pytest.importorskip("torch")
    edges = np.random.default_rng(4).integers(0, 50, (2, 400))
    index, weight = gcn.gcn_norm(torch.from_numpy(edges), num_nodes=50)
    norm = gcn_norm(Graph.from_edges(edges, 50))
    listed = np.empty(len(weight), np.float32)
    listed[norm.edge_order] = norm.weight
    np.testing.assert_array_equal(listed, weight.numpy())
    assert index.shape[1] == norm.num_edges


def test_transpose_turns_every_edge_round():
    rng = np.random.default_rng(7)
    graph = random_graph(rng, 4000, "float64")
    x = rng.standard_normal((graph.num_nodes, 2))
    back = graph.transpose().transpose()
    assert (np.sort(back.edge_order) == np.arange(graph.num_edges)).all()
    dense = np.zeros((graph.num_nodes,) * 2)
    np.add.at(dense, (np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr)), graph.indices), graph.weight)
    np.testing.assert_allclose(aggregate(graph.transpose(), x), dense.T @ x, atol=1e-9)
    np.testing.assert_array_equal(degree(graph, direction="out"), degree(graph.transpose()))


@pytest.mark.parametrize(("coalesce", "want"), [("sum", [5.0, 3.0]), ("mean", [2.5, 3.0]), ("max", [4.0, 3.0])])
def test_coalesce(coalesce, want):
    graph = Graph.from_edges([[1, 0, 1], [2, 2, 2]], coalesce=coalesce, weight=np.array([1.0, 3.0, 4.0]))
    assert graph.indices.tolist() == [0, 1]
    assert graph.weight.tolist() == want[::-1]
    assert graph.edge_order.tolist() == [1, 0]
    counted = Graph.from_edges([[1, 0, 1], [2, 2, 2]], coalesce="sum")
    assert counted.weight.tolist() == [1, 2]


def test_self_loops():
    graph = Graph.from_edges([[0, 1, 0, 0], [0, 0, 1, 0]], 3, weight=np.array([5.0, 1.0, 2.0, 7.0]))
    more = graph.add_self_loops(9.0)
    assert more.indices.tolist() == [0, 1, 0, 0, 0, 1, 2]
    left = graph.add_self_loops(9.0, remaining=True)
    assert left.indices.tolist() == [1, 0, 0, 1, 2]
    assert left.weight.tolist() == [1, 7, 2, 9, 9]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_graphs_without_edges(n):
    graph = Graph.from_edges(np.empty((2, 0), int), n)
    assert (graph.num_nodes, graph.num_edges) == (n, 0)
    for reduce in ("sum", "mean", "max", "min"):
        np.testing.assert_array_equal(aggregate(graph, np.ones((n, 3)), reduce=reduce), np.zeros((n, 3)))
    np.testing.assert_array_equal(aggregate(graph, np.ones((n, 3)), weight="gcn"), np.ones((n, 3)))
    assert Graph.from_edges([]).num_nodes == 0


def test_what_was_checked_cannot_be_changed():
    graph = Graph.from_edges(PATH)
    with pytest.raises(ValueError, match="read-only"):
        graph.indices[0] = 99


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: Graph.from_edges([[0, -1], [1, 0]]),
            "the sources of edges must be between 0 and 1, got -1 at index 1",
        ),
        (lambda: Graph.from_edges([[0, 5], [1, 0]], 3), "must be between 0 and 2, got 5 at index 1"),
        (lambda: Graph.from_edges(np.zeros((3, 3), int)), "edges must have shape (2, E) or (E, 2), got (3, 3)"),
        (lambda: Graph.from_edges([[0.5, 1], [1, 0]]), "edges must be signed integers or unsigned integers"),
        (lambda: Graph([0, 2, 1], [0]), "indptr must"),
        (lambda: Graph([0, 1], [3]), "indices must be between 0 and 0, got 3"),
        (lambda: aggregate(Graph.from_edges(PATH), np.ones((2, 1))), "features must have one row for each of 3 nodes"),
        (lambda: aggregate(Graph.from_edges(PATH), np.ones((3, 1)), reduce="prod"), "reduce must be one of 'sum'"),
        (lambda: aggregate(Graph.from_edges(PATH), np.ones((3, 1)), weight=np.ones(3)), "lengths must agree"),
        (
            lambda: aggregate(Graph.from_edges(PATH), np.ones((3, 1)), weight="gcn", reduce="max"),
            '"gcn" needs reduce="sum"',
        ),
        (lambda: aggregate(Graph.from_edges(PATH), np.ones((3, 1)), rows=(2, 1)), "the last of rows"),
        (lambda: aggregate(PATH, np.ones((3, 1))), "graph must be a fastdl.Graph, a SciPy sparse matrix"),
    ],
)
def test_errors_say_what_was_wrong(call, words):
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError)) as caught:
        call()
    assert words in str(caught.value)
