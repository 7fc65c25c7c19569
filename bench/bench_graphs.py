"""Graphs: reference, fastdl and peers on the same edges and features, with hubs and without, in cache and in memory."""

import warnings

import numpy as np
import pytest

import fastdl
from fastdl.reference import graphs as reference

# nodes, edges
SIZES = {"L2": (2_000, 20_000), "L3": (20_000, 400_000), "DRAM": (200_000, 4_000_000)}


def edges(size, hubs):
    """Random edges; with hubs, targets crowd at the low numbers as the square of a uniform number does."""
    nodes, count = SIZES[size]
    rng = np.random.default_rng(0)
    pair = rng.integers(0, nodes, (2, count))
    if hubs:
        pair[1] = (rng.random(count) ** 4 * nodes).astype(np.int64)
    return pair, nodes


def close(want):
    return lambda got: np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("hubs", [False, True], ids=["no hubs", "hubs"])
@pytest.mark.parametrize("columns", [1, 16, 64, 128])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "who", ["fastdl", "fastdl 2 threads", "scipy", "torch.sparse", "scatter (index_add_)", "reference"]
)
def bench_aggregate_sum(compare, size, columns, hubs, who):
    pair, nodes = edges(size, hubs)
    graph = fastdl.Graph.from_edges(pair, nodes)
    x = np.random.default_rng(1).standard_normal((nodes, columns)).astype(np.float32)
    out = np.empty_like(x)
    want = fastdl.aggregate(graph, x)
    check = close(want)
    if who.startswith("fastdl"):
        run = lambda: fastdl.aggregate(graph, x, out=out, threads=2 if "2" in who else 1)
    elif who == "scipy":
        sparse = pytest.importorskip("scipy.sparse")
        ones = np.ones(graph.num_edges, np.float32)
        matrix = sparse.csr_matrix((ones, graph.indices, graph.indptr.astype(np.int32)), (nodes, nodes))
        run, check = lambda: matrix @ x, lambda got: np.testing.assert_array_equal(got, want)
    elif who == "reference":
        if graph.num_edges * columns > 10_000_000:
            pytest.skip("minutes")
        run = lambda: reference.aggregate(graph, x)
    else:
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        features, index = torch.from_numpy(x), torch.from_numpy(pair)
        if who == "torch.sparse":
            parts = [torch.from_numpy(a.copy()) for a in (graph.indptr, graph.indices.astype(np.int64))]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # that CSR tensors are in beta
                matrix = torch.sparse_csr_tensor(*parts, torch.ones(graph.num_edges), (nodes, nodes))
            run = lambda: torch.sparse.mm(matrix, features)
        else:
            run = lambda: torch.zeros_like(features).index_add_(0, index[1], features[index[0]])
    group = f"sum over neighbours, {size}{', hubs' if hubs else ''}, F = {columns}"
    compare(group, who, run, items=graph.num_edges, moved=4 + 4 * columns, limit="read", check=check)


@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "scatter (scatter_reduce_)"])
def bench_aggregate_others(compare, reduce, who):
    pair, nodes = edges("L3", False)
    graph = fastdl.Graph.from_edges(pair, nodes)
    x = np.random.default_rng(1).standard_normal((nodes, 64)).astype(np.float32)
    check = close(fastdl.aggregate(graph, x, reduce=reduce))
    if who.startswith("fastdl"):
        run = lambda: fastdl.aggregate(graph, x, reduce=reduce, threads=2 if "2" in who else 1)
    else:
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        features, index = torch.from_numpy(x), torch.from_numpy(pair)
        to = index[1][:, None].expand(-1, 64)
        how = {"mean": "mean", "max": "amax"}[reduce]
        run = lambda: torch.zeros_like(features).scatter_reduce_(0, to, features[index[0]], how, include_self=False)
    compare(
        f"{reduce} over neighbours, L3, F = 64", who, run, items=graph.num_edges, moved=260, limit="read", check=check
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "scipy", "scipy int32"])
def bench_from_edges(compare, size, who):
    pair, nodes = edges(size, False)
    if who.startswith("fastdl"):
        run = lambda: fastdl.Graph.from_edges(pair, nodes, threads=2 if "2" in who else 1)
    else:
        sparse = pytest.importorskip("scipy.sparse")
        rows, columns = (a.astype(np.int32 if "32" in who else np.int64) for a in (pair[1], pair[0]))
        ones = np.ones(len(rows), np.float32)
        run = lambda: sparse.coo_matrix((ones, (rows, columns)), (nodes, nodes)).tocsr()
    compare(f"edge list to rows, {size}", who, run, items=pair.shape[1], moved=24)
