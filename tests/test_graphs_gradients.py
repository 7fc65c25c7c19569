"""The derivatives of aggregation against PyTorch's own, over a dense or gathered formula in float64."""

import numpy as np
import pytest

import fastdl
from fastdl import Graph, aggregate, aggregate_grad
from fastdl.reference.graphs import rows
from tests.cases_graphs import REDUCTIONS, random_graph

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads that wait for each other on a busy machine take minutes


def reduced(messages, targets, n, reduce):
    """The reduction of messages by target, from the definitions, by what PyTorch can differentiate."""
    at = targets.reshape((-1,) + (1,) * (messages.ndim - 1)).expand_as(messages)
    zero = torch.zeros((n, *messages.shape[1:]), dtype=messages.dtype)
    total = zero.index_add(0, targets, messages)
    count = torch.zeros(n, dtype=messages.dtype).index_add(0, targets, torch.ones(len(targets), dtype=messages.dtype))
    count = count.clamp(min=1).reshape((-1,) + (1,) * (messages.ndim - 1))
    if reduce == "sum":
        return total
    if reduce == "mean":
        return total / count
    if reduce in ("max", "min"):
        return zero.scatter_reduce(0, at, messages, "a" + reduce, include_self=False)
    if reduce == "mul":
        return torch.ones_like(zero).scatter_reduce(0, at, messages, "prod")
    if reduce == "softmax":
        top = zero.scatter_reduce(0, at, messages, "amax", include_self=False).detach()
        e = torch.exp(messages - top[targets])
        return zero.index_add(0, targets, e * messages) / zero.index_add(0, targets, e).clamp(min=1e-300)
    deviation = messages - (total / count)[targets]
    variance = zero.index_add(0, targets, deviation**2) / count
    if reduce == "var":
        return variance
    return torch.where(variance > 0, torch.where(variance > 0, variance, 1).sqrt(), 0)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("heads", [None, 1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_derivatives_equal_those_of_torch(reduce, heads, weighted):
    rng = np.random.default_rng(0)
    graph = random_graph(rng, 300, rectangular=True)
    shape = (graph.num_sources, 7) if heads is None else (graph.num_sources, heads, 4)
    x = torch.from_numpy(rng.standard_normal(shape)).requires_grad_()
    w = None
    messages = x[torch.from_numpy(graph.indices.astype(np.int64))]
    if weighted:
        size = (graph.num_edges,) if heads is None else (graph.num_edges, heads)
        w = torch.from_numpy(rng.uniform(0.5, 1.5, size)).requires_grad_()
        messages = messages * w.reshape(w.shape + (1,) * (messages.ndim - w.ndim))
    out = reduced(messages, torch.from_numpy(rows(graph.indptr)), graph.num_targets, reduce)
    g = torch.from_numpy(rng.standard_normal(out.shape))
    out.backward(g)
    weight = None if w is None else w.detach().numpy()
    ours = aggregate(graph, x.detach().numpy(), reduce=reduce, weight=weight)
    np.testing.assert_allclose(ours, out.detach().numpy(), rtol=1e-12, atol=1e-12)
    for threads in (1, 2):
        by_x, by_w = aggregate_grad(graph, x.detach().numpy(), g.numpy(), reduce=reduce, weight=weight, threads=threads)
        np.testing.assert_allclose(by_x, x.grad.numpy(), rtol=1e-10, atol=1e-11)
        if w is None:
            assert by_w is None
        else:
            np.testing.assert_allclose(by_w, w.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_products_with_zeros(zeros):
    graph = Graph.from_edges([[0, 1, 2], [3, 3, 3]])
    x = np.array([[2.0], [3.0], [5.0], [7.0]])
    x[:zeros] = 0
    by_x, _ = aggregate_grad(graph, x, np.ones((4, 1)), reduce="mul")
    want = {0: [15, 10, 6, 0], 1: [15, 0, 0, 0], 2: [0, 0, 0, 0]}[zeros]
    assert by_x.ravel().tolist() == want


def test_the_first_of_equal_neighbours_gets_the_derivative():
    graph = Graph.from_edges([[2, 0, 1], [3, 3, 3]])
    by_x, _ = aggregate_grad(graph, np.ones((4, 1)), np.ones((4, 1)), reduce="max")
    assert by_x.ravel().tolist() == [0, 0, 1, 0]
    assert aggregate_grad(graph, np.ones((4, 1)), np.ones((4, 1)), reduce="std")[0].tolist() == [[0]] * 4


def test_a_transpose_made_once_serves_many_calls(monkeypatch):
    graph = random_graph(np.random.default_rng(1), 600)
    x = np.random.default_rng(2).standard_normal((graph.num_nodes, 5)).astype(np.float32)
    first = aggregate_grad(graph, x, x)[0]
    assert first.dtype == np.float32
    monkeypatch.setattr(Graph, "transpose", None)
    np.testing.assert_array_equal(aggregate_grad(graph, x, x, threads=2)[0], first)


@pytest.mark.parametrize("shape", [(3, 0), (3, 2, 0), (3,)])
def test_empty_shapes(shape):
    graph = Graph.from_edges(np.empty((2, 0), int), 3)
    for reduce in REDUCTIONS:
        by_x, by_w = aggregate_grad(graph, np.ones(shape), np.ones(shape), reduce=reduce, weight=np.ones(0))
        assert by_x.shape == shape
        assert by_w.shape == (0,)
        assert (by_x == 0).all()


def test_shapes_that_do_not_fit():
    graph = Graph.from_edges([[0], [1]])
    with pytest.raises(fastdl.InputError, match="grad must have one row for each of 2 nodes"):
        aggregate_grad(graph, np.ones((2, 1)), np.ones((3, 1)))
    with pytest.raises(fastdl.InputError, match=r"grad must have shape \(2, 1\)"):
        aggregate_grad(graph, np.ones((2, 1)), np.ones((2, 2)))


def test_edge_softmax_and_its_derivative():
    rng = np.random.default_rng(3)
    graph = random_graph(rng, 500)
    targets = torch.from_numpy(rows(graph.indptr))
    s = torch.from_numpy(rng.standard_normal((graph.num_edges, 3))).requires_grad_()
    e = torch.exp(s)
    p = e / torch.zeros((graph.num_nodes, 3), dtype=e.dtype).index_add(0, targets, e)[targets]
    g = torch.from_numpy(rng.standard_normal(p.shape))
    p.backward(g)
    shares = fastdl.edge_softmax(graph, s.detach().numpy())
    np.testing.assert_allclose(shares, p.detach().numpy(), rtol=1e-12)
    by_s = fastdl.edge_softmax_grad(graph, shares, g.numpy(), threads=2)
    np.testing.assert_allclose(by_s, s.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_edge_dots_are_products_of_both_ends():
    rng = np.random.default_rng(4)
    graph = random_graph(rng, 400, rectangular=True)
    targets = rows(graph.indptr)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        left = rng.standard_normal((graph.num_targets, 3, 21)).astype(dtype)
        right = rng.standard_normal((graph.num_sources, 3, 21)).astype(dtype)
        want = (left[targets].astype(float) * right[graph.indices]).sum(axis=2)
        for threads in (1, 2):
            got = fastdl.edge_dots(graph, left, right, heads=True, threads=threads)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=10 * tolerance)
        np.testing.assert_allclose(fastdl.edge_dots(graph, left, right), want.sum(axis=1), atol=100 * tolerance)


def test_a_graph_attention_layer_equals_a_dense_one():
    rng = np.random.default_rng(5)
    n, heads, width = 12, 2, 3
    graph = Graph.from_edges(rng.integers(0, n, (2, 40)), n, coalesce="sum").add_self_loops(remaining=True)
    graph = Graph(graph.indptr, graph.indices)
    x = torch.from_numpy(rng.standard_normal((n, heads, width))).requires_grad_()
    a, b = (torch.from_numpy(rng.standard_normal((heads, width))) for _ in range(2))
    mask = torch.zeros((n, n), dtype=torch.bool)
    mask[torch.from_numpy(rows(graph.indptr)), torch.from_numpy(graph.indices.astype(np.int64))] = True
    score = torch.nn.functional.leaky_relu((x * a).sum(2)[:, None] + (x * b).sum(2)[None], 0.2)
    share = torch.softmax(torch.where(mask[..., None], score, -torch.inf), dim=1)
    out = torch.einsum("ijh,jhf->ihf", share, x)
    g = torch.from_numpy(rng.standard_normal(out.shape))
    out.backward(g)

    z = x.detach().numpy()
    targets = rows(graph.indptr)
    raw = (z * a.numpy()).sum(2)[targets] + (z * b.numpy()).sum(2)[graph.indices]
    shares = fastdl.edge_softmax(graph, np.where(raw > 0, raw, 0.2 * raw))
    np.testing.assert_allclose(aggregate(graph, z, weight=shares), out.detach().numpy(), rtol=1e-12)
    by_z, by_shares = aggregate_grad(graph, z, g.numpy(), weight=shares)
    by_raw = fastdl.edge_softmax_grad(graph, shares, by_shares) * np.where(raw > 0, 1, 0.2)
    by_target = fastdl.aggregate_edges(graph, by_raw)
    by_source = np.zeros_like(by_target)
    np.add.at(by_source, graph.indices, by_raw)
    by_z = by_z + by_target[..., None] * a.numpy() + by_source[..., None] * b.numpy()
    np.testing.assert_allclose(by_z, x.grad.numpy(), rtol=1e-9, atol=1e-11)
