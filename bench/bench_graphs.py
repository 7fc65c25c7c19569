"""Graphs: reference, fastdl and peers on the same edges and features, with hubs and without, in cache and in memory."""

import warnings
from functools import lru_cache

import numpy as np
import pytest

import fastdl
from fastdl.reference import graphs as reference

# nodes, edges
SIZES = {"L2": (2_000, 20_000), "L3": (20_000, 400_000), "DRAM": (200_000, 4_000_000), "degree 8": (50_000, 400_000)}


def more(value):
    return pytest.param(value, marks=pytest.mark.more)


@lru_cache(4)
def edges(size, hubs):
    """Random edges; with hubs, targets crowd at the low numbers as the square of a uniform number does."""
    nodes, count = SIZES[size]
    rng = np.random.default_rng(0)
    pair = rng.integers(0, nodes, (2, count))
    if hubs:
        pair[1] = (rng.random(count) ** 4 * nodes).astype(np.int64)
    return pair, nodes


def one_hub():
    """A node that hears from a million others, of 200,000."""
    return np.stack([np.random.default_rng(0).integers(0, 200_000, 1_000_000), np.zeros(1_000_000, int)]), 200_000


def close(want):
    return lambda got: np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=1e-4)


def mkl_product(graph, nodes, x):
    """MKL's product of a sparse matrix, on one thread (MKL_NUM_THREADS)."""
    mkl = pytest.importorskip("sparse_dot_mkl", exc_type=ImportError)  # it is there, but finds no libmkl_rt
    sparse = pytest.importorskip("scipy.sparse")
    ones = np.ones(graph.num_edges, np.float32)
    matrix = sparse.csr_matrix((ones, graph.indices, graph.indptr.astype(np.int32)), (nodes, nodes))
    return lambda: mkl.dot_product_mkl(matrix, x)


@pytest.mark.parametrize("hubs", [False, True], ids=["no hubs", "hubs"])
@pytest.mark.parametrize("columns", [1, more(16), 64, more(128)])
@pytest.mark.parametrize("size", ["L2", more("L3"), "DRAM", more("degree 8")])
@pytest.mark.parametrize(
    "who", ["fastdl", "fastdl 2 threads", "scipy", "MKL", "torch.sparse", "scatter (index_add_)", "reference"]
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
    elif who == "MKL":
        run = mkl_product(graph, nodes, x)
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


@pytest.mark.parametrize("columns", [1, 8, 64])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "scipy"])
def bench_hub(compare, columns, who):
    pair, nodes = one_hub()
    graph = fastdl.Graph.from_edges(pair, nodes)
    x = np.random.default_rng(1).standard_normal((nodes, columns)).astype(np.float32)
    want = fastdl.aggregate(graph, x)
    if who == "scipy":
        sparse = pytest.importorskip("scipy.sparse")
        ones = np.ones(graph.num_edges, np.float32)
        matrix = sparse.csr_matrix((ones, graph.indices, graph.indptr.astype(np.int32)), (nodes, nodes))
        run = lambda: matrix @ x
    else:
        run = lambda: fastdl.aggregate(graph, x, threads=2 if "2" in who else 1)
    check = lambda got: np.testing.assert_array_equal(got, want)
    group = f"sum over a hub of 1 M edges, F = {columns}"
    compare(group, who, run, items=graph.num_edges, moved=4 + 4 * columns, limit="read", check=check)


@pytest.mark.parametrize("columns", [1, 64])
@pytest.mark.parametrize("who", ["fastdl", "MKL"])
def bench_mkl(compare, columns, who):
    pair, nodes = edges("degree 8", False)
    graph = fastdl.Graph.from_edges(pair, nodes)
    x = np.random.default_rng(1).standard_normal((nodes, columns)).astype(np.float32)
    want = fastdl.aggregate(graph, x)
    if who == "MKL":
        run = mkl_product(graph, nodes, x)
    else:
        run = lambda: fastdl.aggregate(graph, x)
    group = f"sum over 8 neighbours, F = {columns}"
    compare(group, who, run, items=graph.num_edges, moved=4 + 4 * columns, limit="read", check=close(want))


@pytest.mark.parametrize("reduce", ["sum", "max"])
@pytest.mark.parametrize("who", ["fastdl", "torch scatter"])
def bench_forward_and_backward(compare, reduce, who):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    pair, nodes = edges("L3", False)
    graph = fastdl.Graph.from_edges(pair, nodes)
    x = torch.from_numpy(np.random.default_rng(1).standard_normal((nodes, 64)).astype(np.float32)).requires_grad_()
    g = torch.ones_like(x)
    if who == "fastdl":
        from fastdl.torch import aggregate

        forward = lambda: aggregate(graph, x, reduce=reduce)
    else:
        index = torch.from_numpy(pair)
        to = index[1][:, None].expand(-1, 64)
        how = {"sum": "sum", "max": "amax"}[reduce]
        zeros = torch.zeros(nodes, 64)
        forward = lambda: zeros.scatter_reduce(0, to, x[index[0]], how, include_self=reduce == "sum")

    def run():
        x.grad = None
        forward().backward(g)
        return x.grad.numpy()

    compare(f"{reduce}, forward and backward, L3, F = 64", who, run, items=graph.num_edges, moved=520, limit="read")


@pytest.mark.parametrize("who", ["fastdl", "torch scatter"])
def bench_edge_softmax(compare, who):
    pair, nodes = edges("L3", False)
    graph = fastdl.Graph.from_edges(pair, nodes)
    scores = np.random.default_rng(1).standard_normal((graph.num_edges, 8)).astype(np.float32)
    want = fastdl.edge_softmax(graph, scores)
    if who == "fastdl":
        run = lambda: fastdl.edge_softmax(graph, scores)
    else:
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        targets = torch.from_numpy(np.repeat(np.arange(nodes), np.diff(graph.indptr)))
        s, at = torch.from_numpy(scores), targets[:, None].expand(-1, 8)

        def run():
            top = torch.zeros(nodes, 8).scatter_reduce(0, at, s, "amax", include_self=False)
            e = torch.exp(s - top[targets])
            return e / torch.zeros(nodes, 8).index_add(0, targets, e)[targets]

    compare("softmax over edges, L3, 8 heads", who, run, items=graph.num_edges, moved=64, check=close(want))


@pytest.mark.parametrize("reduce", ["sum", "mean"])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "torch scatter"])
def bench_aggregate_grad(compare, reduce, who):
    pair, nodes = edges("L3", False)
    graph = fastdl.Graph.from_edges(pair, nodes)
    x, g = (np.random.default_rng(k).standard_normal((nodes, 64)).astype(np.float32) for k in (1, 2))
    if who.startswith("fastdl"):
        run = lambda: fastdl.aggregate_grad(graph, x, g, reduce=reduce, threads=2 if "2" in who else 1)[0]
    else:
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        index, grad = torch.from_numpy(pair), torch.from_numpy(g)
        scale = torch.from_numpy(np.maximum(np.diff(graph.indptr), 1).astype(np.float32))[:, None]

        def run():
            rows = (grad / scale if reduce == "mean" else grad)[index[1]]
            return torch.zeros_like(grad).index_add_(0, index[0], rows)

    check = close(fastdl.aggregate_grad(graph, x, g, reduce=reduce)[0])
    name = f"gradient of {reduce} over neighbours, L3, F = 64"
    compare(name, who, run, items=graph.num_edges, moved=260, limit="read", check=check)


@pytest.mark.parametrize("reduce", ["sum", "max"])
@pytest.mark.parametrize("who", ["fastdl", "torch scatter", "np.add.reduceat"])
def bench_pool(compare, reduce, who):
    rng = np.random.default_rng(0)
    of_graph = np.repeat(np.arange(10_000), rng.integers(10, 50, 10_000))
    x = rng.standard_normal((len(of_graph), 64)).astype(np.float32)
    if who == "fastdl":
        run = lambda: fastdl.pool(x, of_graph, 10_000, reduce=reduce)
    elif who == "torch scatter":
        torch = pytest.importorskip("torch")
        torch.set_num_threads(1)
        features, at = torch.from_numpy(x), torch.from_numpy(of_graph)[:, None].expand(-1, 64)
        how = {"sum": "sum", "max": "amax"}[reduce]
        run = lambda: torch.zeros(10_000, 64).scatter_reduce_(0, at, features, how, include_self=reduce == "sum")
    else:
        starts = np.searchsorted(of_graph, np.arange(10_000))
        run = lambda: (np.add if reduce == "sum" else np.maximum).reduceat(x, starts)
    check = close(fastdl.pool(x, of_graph, 10_000, reduce=reduce))
    compare(f"pooling of 10,000 graphs, {reduce}, F = 64", who, run, items=len(x), moved=264, limit="read", check=check)


@pytest.mark.parametrize("who", ["fastdl", "scipy block_diag"])
def bench_batch_graphs(compare, who):
    rng = np.random.default_rng(0)
    # In order and no edge twice, as scipy has them.
    pairs = (np.divmod(np.sort(rng.choice(900, 100, replace=False)), 30) for _ in range(256))
    graphs = [fastdl.Graph.from_edges(np.stack(pair), 30) for pair in pairs]
    total = fastdl.batch_graphs(graphs).graph
    if who == "fastdl":
        run = lambda: fastdl.batch_graphs(graphs).graph
    else:
        sparse = pytest.importorskip("scipy.sparse")
        parts = [sparse.csr_matrix((np.ones(100, np.float32), g.indices, g.indptr), (30, 30)) for g in graphs]
        run = lambda: sparse.block_diag(parts, format="csr")

    def check(got):
        np.testing.assert_array_equal(got.indptr, total.indptr)
        np.testing.assert_array_equal(got.indices, total.indices)

    compare("a batch of 256 graphs of 100 edges", who, run, items=25_600, check=check)


@pytest.mark.parametrize("fanout", [5, 25])
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "numpy, a node at a time"])
def bench_sample_neighbors(compare, fanout, who):
    pair, nodes = edges("DRAM", False)
    graph = fastdl.Graph.from_edges(pair, nodes)
    chosen = np.random.default_rng(1).permutation(nodes)[:10_000]
    if who.startswith("fastdl"):
        run = lambda: fastdl.sample_neighbors(graph, chosen, fanout, seed=0, threads=2 if "2" in who else 1)
    else:
        rng = np.random.default_rng(0)
        starts, ends = graph.indptr[chosen].tolist(), graph.indptr[chosen + 1].tolist()
        some = lambda a, b: a + rng.choice(b - a, fanout, replace=False) if b - a > fanout else np.arange(a, b)
        run = lambda: np.unique(graph.indices[np.concatenate([some(a, b) for a, b in zip(starts, ends)])])
    compare(f"{fanout} neighbours of 10,000 nodes", who, run, items=10_000 * fanout)
