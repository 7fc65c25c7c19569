"""Aggregation beyond equality with the reference: SciPy's bits, hubs, NaN, empty rows, blocks."""

import numpy as np
import pytest

import fastdl
from fastdl import Graph, aggregate, gcn_norm
from tests.cases_graphs import random_graph

PATH = [[0, 1, 1, 2], [1, 0, 2, 1]]  # the path 0 - 1 - 2, both ways


def star(n=50_000):
    """A hub that hears from everyone, and a ring."""
    ring = np.arange(n)
    return Graph.from_edges(np.stack([np.r_[ring, ring], np.r_[np.zeros(n, int), (ring + 1) % n]]), n)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("columns", [1, 3, 16, 64, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sum_has_the_bits_of_scipy(columns, dtype, threads):
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    for graph in (random_graph(rng, 20_000, dtype), random_graph(rng, 20_000), star(3000)):
        x = rng.standard_normal((graph.num_nodes, columns)).astype(dtype)
        weight = np.ones(graph.num_edges, dtype) if graph.weight is None else graph.weight
        matrix = sparse.csr_matrix((weight, graph.indices, graph.indptr), (graph.num_nodes,) * 2)
        np.testing.assert_array_equal(aggregate(graph, x, threads=threads), matrix @ x)


@pytest.mark.parametrize("weighted", [None, "float32"])
def test_fused_gcn_has_the_bits_of_its_parts(weighted):
    rng = np.random.default_rng(3)
    graph = random_graph(rng, 30_000, weighted)
    x = rng.standard_normal((graph.num_nodes, 20)).astype(np.float32)
    fused = aggregate(graph, x, weight="gcn", threads=2)
    np.testing.assert_array_equal(fused, aggregate(gcn_norm(graph), x))


def test_empty_rows_are_zero_and_means_divide_by_neighbours():
    graph = Graph.from_edges([[1, 2], [0, 0]], 4, weight=np.array([2.0, 4.0]))
    x = np.array([[1.0], [10.0], [20.0], [7.0]])
    assert aggregate(graph, x).ravel().tolist() == [100, 0, 0, 0]
    assert aggregate(graph, x, reduce="mean").ravel().tolist() == [50, 0, 0, 0]
    for reduce, want in (("max", 80), ("min", 20)):
        assert aggregate(graph, x, reduce=reduce).ravel().tolist() == [want, 0, 0, 0]
        assert aggregate(graph, -x, reduce=reduce).ravel()[1:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("columns", [1, 16, 40])
@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min"])
def test_nan_propagates_and_infinities_are_numbers(reduce, columns):
    graph = Graph.from_edges([[0, 1, 2, 3, 3], [0, 0, 0, 1, 2]], 4)
    x = np.ones((4, columns))
    x[1], x[3] = np.nan, np.inf
    result = aggregate(graph, x, reduce=reduce)
    assert np.isnan(result[0]).all()
    assert np.isposinf(result[1:3]).all()
    assert (result[3] == 0).all()


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min"])
def test_a_hub_is_shared_without_changing_its_bits(reduce):
    graph = star()
    x = np.random.default_rng(5).standard_normal((graph.num_nodes, 70)).astype(np.float32)
    one = aggregate(graph, x, reduce=reduce)
    for threads in (2, 3, None):
        np.testing.assert_array_equal(aggregate(graph, x, reduce=reduce, threads=threads), one)
    np.testing.assert_array_equal(one[:2], fastdl.reference.graphs.aggregate(graph, x, reduce=reduce, rows=(0, 2)))


def test_blocks_and_rows_and_maps_give_the_same(tmp_path):
    rng = np.random.default_rng(6)
    graph = random_graph(rng, 5000)
    x = rng.standard_normal((graph.num_nodes, 9))
    want = aggregate(graph, x, reduce="mean")
    np.testing.assert_array_equal(aggregate(graph, x, reduce="mean", rows=(10, 99)), want[10:99])
    for name in ("indptr", "indices"):
        np.save(tmp_path / f"{name}.npy", getattr(graph, name))
    np.save(tmp_path / "x.npy", x)
    mapped = Graph(*(np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in ("indptr", "indices")))
    features = np.load(tmp_path / "x.npy", mmap_mode="r")
    blocks = [b.copy() for b in fastdl.aggregate_blocks(mapped, features, reduce="mean", max_bytes=1000)]
    assert len(blocks) > 10
    np.testing.assert_array_equal(np.concatenate(blocks), want)


def test_out_is_filled_and_may_not_be_an_input():
    graph, x = Graph.from_edges(PATH), np.ones((3, 2))
    out = np.empty((3, 2))
    assert aggregate(graph, x, out=out) is out
    with pytest.raises(fastdl.InputError, match="overlap"):
        aggregate(graph, x, out=x)


# The tables of pytorch_scatter's own tests (test_scatter.py), and the example of its README.
SCATTER = {
    "sum": [3, 12, 0, 6],
    "mul": [2, 60, 1, 6],
    "mean": [1.5, 4, 0, 6],
    "min": [1, 3, 0, 6],
    "max": [2, 5, 0, 6],
}


@pytest.mark.parametrize("reduce", SCATTER)
def test_tables_of_pytorch_scatter(reduce):
    source, index = np.array([1.0, 3, 2, 4, 5, 6]), [0, 1, 0, 1, 1, 3]
    assert fastdl.pool(source[:, None], index, reduce=reduce).ravel().tolist() == SCATTER[reduce]
    pairs = np.stack([source, source + 1], axis=1)  # several columns at once
    np.testing.assert_array_equal(fastdl.pool(pairs, index, reduce=reduce)[:, 0], SCATTER[reduce])


def test_the_example_of_pytorch_scatter():
    source, index = [[2.0, 0, 1, 4, 3], [0.0, 2, 1, 3, 4]], [[4, 5, 4, 2, 3], [0, 0, 2, 2, 1]]
    found = [fastdl.pool(np.array(row)[:, None], i, 6, reduce="max").ravel().tolist() for row, i in zip(source, index)]
    assert found == [[0, 0, 4, 3, 2, 0], [2, 4, 3, 0, 0, 0]]
