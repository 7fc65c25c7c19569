"""Graphs in PyTorch: gradients, training, and batches in workers."""

import numpy as np
import pytest

import fastdl
from fastdl import Graph
from fastdl.reference.graphs import rows
from tests.cases_graphs import REDUCTIONS, random_graph

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # threads that wait for each other on a busy machine take minutes
ours = pytest.importorskip("fastdl.torch")


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("heads", [None, 2])
def test_gradcheck_of_aggregate(reduce, heads):
    graph = random_graph(np.random.default_rng(0), 40, rectangular=True)
    torch.manual_seed(0)
    shape = (graph.num_sources, 3) if heads is None else (graph.num_sources, heads, 3)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    w = torch.rand((graph.num_edges,) if heads is None else (graph.num_edges, heads), dtype=torch.float64) + 0.5
    w.requires_grad_()
    # At 0 a standard deviation has no derivative: rows of one neighbour have none.
    of = (lambda y: torch.where(y > 1e-9, y, y.detach())) if reduce == "std" else (lambda y: y)
    assert torch.autograd.gradcheck(lambda x: of(ours.aggregate(graph, x, reduce=reduce)), (x,), atol=1e-4)
    assert torch.autograd.gradcheck(
        lambda x, w: of(ours.aggregate(graph, x, reduce=reduce, weight=w)), (x, w), atol=1e-4
    )


def test_gradcheck_of_attention():
    graph = random_graph(np.random.default_rng(1), 40, rectangular=True)
    torch.manual_seed(0)
    for heads in (None, 3):
        s = torch.randn((graph.num_edges,) if heads is None else (graph.num_edges, heads), dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda s: ours.edge_softmax(graph, s), (s.requires_grad_(),))
        shape = (4,) if heads is None else (heads, 4)
        a = torch.randn((graph.num_targets, *shape), dtype=torch.float64, requires_grad=True)
        b = torch.randn((graph.num_sources, *shape), dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda a, b, h=heads: ours.edge_dots(graph, a, b, heads=h is not None), (a, b))


def test_tensors_are_read_without_a_copy(monkeypatch):
    graph = Graph.from_edges([[0], [1]])
    x = torch.ones(2, 3)
    seen = []
    monkeypatch.setattr(
        ours.graphs.aggregation, "aggregate", lambda g, a, **_: seen.append(a) or np.zeros((2, 3), np.float32)
    )
    ours.aggregate(graph, x)
    assert seen[0].ctypes.data == x.data_ptr()


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (lambda: np.ones((2, 1)), "must be a torch.Tensor, got ndarray"),
        (lambda: torch.ones(2, 1, dtype=torch.int64), "must be float32 or float64, got torch.int64"),
        (lambda: torch.ones(2, 1, device="meta"), "must be on the CPU, got meta"),
        (lambda: torch.ones(3, 1), "one row for each of 2 nodes"),
    ],
)
def test_tensors_that_cannot_be_read_say_why(x, words):
    with pytest.raises((fastdl.InputError, fastdl.InputTypeError), match=words):
        ours.aggregate(Graph.from_edges([[0], [1]]), x())


def scatter(graph, x, w):
    """PyTorch's own sum over neighbours."""
    targets, sources = torch.from_numpy(rows(graph.indptr)), torch.from_numpy(graph.indices.astype(np.int64))
    return torch.zeros_like(x).index_add(0, targets, x[sources] * w[:, None])


def train(graph, labels, known, gather, steps=60):
    """A graph convolutional network of two layers; (losses, accuracy on the rest)."""
    torch.manual_seed(3)
    norm = fastdl.gcn_norm(graph)
    w = torch.from_numpy(norm.weight.copy())
    n, classes = graph.num_nodes, int(labels.max()) + 1
    first, second = torch.nn.Linear(n, 16), torch.nn.Linear(16, classes)
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=0.02)
    x, losses = torch.eye(n), []
    for _ in range(steps):
        hidden = torch.relu(gather(norm, first(x), w))
        out = gather(norm, second(hidden), w)
        loss = torch.nn.functional.cross_entropy(out[known], labels[known])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    rest = torch.ones(n, dtype=torch.bool)
    rest[known] = False
    return losses, (out.argmax(1) == labels)[rest].float().mean().item()


def test_a_gcn_on_the_karate_club_learns_as_with_scatter():
    from fastdl.report.samples import KARATE_INSTRUCTOR, karate_club

    graph = karate_club()
    labels = torch.ones(34, dtype=torch.int64)
    labels[list(KARATE_INSTRUCTOR)] = 0
    known = torch.tensor([0, 33])
    losses, accuracy = train(graph, labels, known, lambda g, x, w: ours.aggregate(g, x, weight=w))
    theirs, their_accuracy = train(graph, labels, known, scatter)
    np.testing.assert_allclose(losses, theirs, rtol=1e-3)
    assert losses[-1] < losses[0] / 5
    assert accuracy == their_accuracy
    assert accuracy >= 0.9


def batches(seed=5):
    graph = random_graph(np.random.default_rng(2), 3000)
    x = np.arange(graph.num_nodes, dtype=np.float32)[:, None] * np.ones(2, np.float32)
    return ours.GraphBatches(
        graph, fanouts=(3, 4), batch_size=100, features=x, labels=torch.arange(graph.num_nodes), seed=seed
    )


def test_a_batch_is_a_part_of_the_graph():
    data = batches()
    seen = []
    for k in range(len(data)):
        batch = data[k]
        seen += batch.nodes.tolist()
        first, last = batch.graphs
        assert last.num_targets == len(batch.nodes)
        assert first.num_targets == last.num_sources
        assert first.num_sources == len(batch.node_ids)
        assert np.diff(last.indptr).max() <= 4
        assert np.diff(first.indptr).max() <= 3
        assert batch.features[:, 0].tolist() == batch.node_ids.tolist()
        assert batch.labels.tolist() == batch.nodes.tolist()
        hidden = ours.aggregate(first, batch.features)
        assert ours.aggregate(last, hidden).shape == (len(batch.nodes), 2)
    assert sorted(seen) == list(range(data.graph.num_nodes))
    with pytest.raises(IndexError):
        data[len(data)]


def test_epochs_and_seeds():
    data = batches()
    first = data[0].nodes.tolist()
    data.set_epoch(1)
    assert data[0].nodes.tolist() != first
    data.set_epoch(0)
    assert data[0].nodes.tolist() == first
    assert batches(seed=6)[0].nodes.tolist() != first


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_workers_give_the_same_batches(start):
    data = batches()
    loader = torch.utils.data.DataLoader(
        data, batch_size=None, num_workers=2, multiprocessing_context=start, persistent_workers=True
    )
    for epoch in (0, 1):
        data.set_epoch(epoch)
        got = list(loader)
        assert len(got) == len(data)
        for k, batch in enumerate(got):
            want = data[k]
            assert batch.node_ids.tolist() == want.node_ids.tolist()
            for a, b in zip(batch.graphs, want.graphs):
                np.testing.assert_array_equal(a.indices, b.indices)


def test_small_graphs_side_by_side():
    rng = np.random.default_rng(4)
    graphs = [random_graph(rng, n) for n in (4, 9, 30)]
    items = [(g, torch.ones(g.num_nodes, 2) * k, k) for k, g in enumerate(graphs)]
    loader = torch.utils.data.DataLoader(items, batch_size=3, collate_fn=ours.collate_graphs)
    ((batch, features, labels),) = list(loader)
    assert labels.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(features[:, 0].numpy(), batch.graph_id)
    np.testing.assert_array_equal(fastdl.pool(features.numpy(), batch.graph_id, reduce="mean")[:, 0], [0, 1, 2])
