"""A graph convolutional network in PyTorch: sums over neighbours by fastdl, by PyTorch's scatter and sparse product."""

import numpy as np
import pytest

import fastdl

NODES, EDGES, FEATURES, CLASSES = 200_000, 4_000_000, 64, 16


@pytest.fixture(scope="module")
def graph():
    pair = np.random.default_rng(0).integers(0, NODES, (2, EDGES))
    return fastdl.gcn_norm(fastdl.Graph.from_edges(pair, NODES))


def gatherer(torch, graph, who):
    """gather(x): the weighted sums over the neighbours of each node, with gradients by x."""
    weight = torch.from_numpy(graph.weight.astype(np.float32))
    if who == "torch sparse":
        indptr, indices = (torch.from_numpy(x.astype(np.int64)) for x in (graph.indptr, graph.indices))
        matrix = torch.sparse_csr_tensor(indptr, indices, weight, (NODES, NODES))
        return lambda x: torch.sparse.mm(matrix, x)
    if who == "torch scatter":
        targets = torch.from_numpy(np.repeat(np.arange(NODES), np.diff(graph.indptr)))
        sources, column = torch.from_numpy(graph.indices.astype(np.int64)), weight[:, None]
        return lambda x: torch.zeros_like(x).index_add(0, targets, x[sources] * column)
    from fastdl.torch import aggregate

    return lambda x: aggregate(graph, x, weight=weight, threads=2 if "2" in who else 1)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("who", ["fastdl", "fastdl 2 threads", "torch scatter", "torch sparse"])
def bench_gcn_epoch(compare, graph, who):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2 if "2" in who else 1)
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.standard_normal((NODES, FEATURES)).astype(np.float32))
    labels = torch.from_numpy(rng.integers(0, CLASSES, NODES))
    gather = gatherer(torch, graph, who)

    def model(gather):
        torch.manual_seed(0)
        first, second = torch.nn.Linear(FEATURES, 64), torch.nn.Linear(64, CLASSES)
        return first, second, lambda: gather(second(torch.relu(gather(first(x)))))

    first, second, forward = model(gather)
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()], 0.01)

    def run():
        """An epoch of full-batch training."""
        loss = torch.nn.functional.cross_entropy(forward(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def check(got):
        want = torch.nn.functional.cross_entropy(model(gatherer(torch, graph, "torch scatter"))[2](), labels)
        assert abs(got - want.item()) < 1e-4

    moved = 4 * 4 + 2 * 4 * (64 + CLASSES)  # of an edge, twice forward and twice back: its index, a row of features
    compare("an epoch of a GCN, 200k nodes, 4M edges", who, run, items=EDGES, moved=moved, limit="read", check=check)
