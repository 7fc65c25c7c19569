"""Graphs in PyTorch: differentiable aggregation, attention along edges, and batches of sampled neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike, GraphLike
from fastdl.errors import InputError, InputTypeError
from fastdl.graphs import aggregation, attention, gradients
from fastdl.graphs.batches import GraphBatch, batch_graphs
from fastdl.graphs.conversion import as_graph
from fastdl.graphs.graph import Graph
from fastdl.graphs.sampling import sample_neighbors
from fastdl.torch._epochs import Epochs
from fastdl.torch._gradients import Context, array_of, once

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = _check.extra("torch", "torch", "fastdl.torch")


def aggregate(
    graph: GraphLike,
    features: Tensor,
    *,
    reduce: str = "sum",
    weight: Tensor | None = None,
    threads: int | None = 1,
) -> Tensor:
    """`fastdl.aggregate` with gradients by the features and the weights.

    Parameters
    ----------
    graph : Graph, or what `fastdl.as_graph` takes
        Its transpose, which the backward pass needs, is computed once and kept with a `Graph`.
    features : Tensor, (N, ...)
        float32 or float64, on the CPU; read without a copy.
    reduce : {"sum", "mean", "max", "min", "mul", "var", "std", "softmax"}
        As in `fastdl.aggregate`; of several equal maxima or minima the first gets the gradient.
    weight : Tensor, (E,) or (E, H), optional
        In the order of `graph.indices`; H heads weigh features (N, H, ...).
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    Tensor, (N, ...)

    Raises
    ------
    InputError, InputTypeError
        As `fastdl.aggregate`, and for tensors that are not on the CPU or not float32 or float64.

    Examples
    --------
    >>> import torch, fastdl
    >>> from fastdl.torch import aggregate
    >>> graph = fastdl.Graph.from_edges([[0, 1, 1], [2, 2, 0]])
    >>> x = torch.ones(3, 1, requires_grad=True)
    >>> aggregate(graph, x, reduce="mean").sum().backward()
    >>> x.grad.ravel()
    tensor([0.5000, 1.5000, 0.0000])
    """
    return _Aggregate.apply(as_graph(graph), features, weight, reduce, threads)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, graph: Graph, features: Tensor, weight: Tensor | None, reduce: str, threads: int | None
    ) -> Tensor:
        x = array_of("features", features)
        w = None if weight is None else array_of("weight", weight)
        result = torch.from_numpy(aggregation.aggregate(graph, x, reduce=reduce, weight=w, threads=threads))
        ctx.graph, ctx.reduce, ctx.threads = graph, reduce, threads
        ctx.save_for_backward(features, weight, None if reduce in ("sum", "mean") else result)
        return result

    @staticmethod
    @once
    def backward(ctx: Context, grad: Tensor) -> tuple[Any, ...]:
        features, weight, result = ctx.saved_tensors
        by_x, by_w = gradients.aggregate_grad(
            ctx.graph,
            array_of("features", features),
            array_of("grad", grad),
            reduce=ctx.reduce,
            weight=None if weight is None else array_of("weight", weight),
            result=None if result is None else array_of("result", result),
            by_weight=ctx.needs_input_grad[2],
            threads=ctx.threads,
        )
        by_weight = None if by_w is None else torch.from_numpy(np.ascontiguousarray(by_w)).to(weight.dtype)
        return None, torch.from_numpy(by_x) if ctx.needs_input_grad[1] else None, by_weight, None, None


def edge_softmax(graph: GraphLike, scores: Tensor, *, threads: int | None = 1) -> Tensor:
    """`fastdl.edge_softmax` with gradients: the weights of a graph attention layer, for each head.

    Parameters
    ----------
    graph : Graph, or what `fastdl.as_graph` takes
    scores : Tensor, (E,) or (E, H)
        In the order of `graph.indices`.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    Tensor, (E,) or (E, H)

    Examples
    --------
    >>> import torch, fastdl
    >>> from fastdl.torch import edge_softmax
    >>> edge_softmax(fastdl.Graph.from_edges([[0, 1, 2], [1, 2, 2]]), torch.tensor([0.5, 1.0, 1.0]))
    tensor([1.0000, 0.5000, 0.5000])
    """
    return _EdgeSoftmax.apply(as_graph(graph), scores, threads)


class _EdgeSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, graph: Graph, scores: Tensor, threads: int | None) -> Tensor:
        shares = torch.from_numpy(attention.edge_softmax(graph, array_of("scores", scores), threads=threads))
        ctx.graph, ctx.threads = graph, threads
        ctx.save_for_backward(shares)
        return shares

    @staticmethod
    @once
    def backward(ctx: Context, grad: Tensor) -> tuple[Any, ...]:
        (shares,) = ctx.saved_tensors
        by_scores = attention.edge_softmax_grad(
            ctx.graph, array_of("shares", shares), array_of("grad", grad), threads=ctx.threads
        )
        return None, torch.from_numpy(by_scores), None


def edge_dots(
    graph: GraphLike, targets: Tensor, sources: Tensor, *, heads: bool = False, threads: int | None = 1
) -> Tensor:
    """`fastdl.edge_dots` with gradients: the scores of dot-product attention.

    Parameters
    ----------
    graph : Graph, or what `fastdl.as_graph` takes
    targets, sources : Tensor, (N, ...)
        The features of the targets and of the sources, of one dtype.
    heads : bool
        Whether the features are (N, H, ...), with a product for each head.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    Tensor, (E,) or (E, H)

    Examples
    --------
    >>> import torch, fastdl
    >>> from fastdl.torch import edge_dots
    >>> graph = fastdl.Graph.from_edges([[0, 1], [1, 0]])
    >>> edge_dots(graph, torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.ones(2, 2))
    tensor([3., 7.])
    """
    return _EdgeDots.apply(as_graph(graph), targets, sources, bool(heads), threads)


class _EdgeDots(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, graph: Graph, targets: Tensor, sources: Tensor, heads: bool, threads: int | None
    ) -> Tensor:
        if targets.dtype != sources.dtype:
            raise InputTypeError(f"targets and sources must have one dtype, got {targets.dtype} and {sources.dtype}")
        ctx.graph, ctx.threads = graph, threads
        ctx.save_for_backward(targets, sources)
        left, right = array_of("targets", targets), array_of("sources", sources)
        return torch.from_numpy(
            np.ascontiguousarray(attention.edge_dots(graph, left, right, heads=heads, threads=threads))
        )

    @staticmethod
    @once
    def backward(ctx: Context, grad: Tensor) -> tuple[Any, ...]:
        targets, sources = (array_of("features", x) for x in ctx.saved_tensors)
        g = array_of("grad", grad)
        # d(x_t . x_s) is x_s by x_t and x_t by x_s: an aggregation with the gradients as weights, in each direction.
        by_targets = aggregation.aggregate(ctx.graph, sources, weight=g, threads=ctx.threads)
        by_sources, _ = gradients.aggregate_grad(
            ctx.graph, sources, targets, weight=g, by_weight=False, threads=ctx.threads
        )
        return None, torch.from_numpy(by_targets), torch.from_numpy(by_sources), None, None


@dataclass(frozen=True)
class SampledBatch:
    """The nodes of a batch, and the neighbours that were sampled for them.

    Attributes
    ----------
    graphs : list of Graph
        A rectangular graph for each layer of a network, from the first layer on. The sources of each are the targets of
        the one before, and begin with its own targets; the targets of the last are `nodes`.
    nodes : Tensor of int64
        The nodes of the batch.
    node_ids : Tensor of int64
        The sources of the first graph: the nodes whose features the network reads.
    features, labels : Tensor or None
        The features of `node_ids` and the labels of `nodes`, if the dataset has any.
    """

    graphs: list[Graph]
    nodes: Tensor
    node_ids: Tensor
    features: Tensor | None = None
    labels: Tensor | None = None


class GraphBatches(Epochs, torch.utils.data.Dataset):
    """Batches of nodes with a fixed number of sampled neighbours in each layer: a map-style dataset of whole batches.

    Use it as ``DataLoader(batches, batch_size=None, num_workers=2)``. Batch k depends on the seed, the epoch and k
    only, not on the workers. Persistent workers see `set_epoch`, too.

    Parameters
    ----------
    graph : Graph, or what `fastdl.as_graph` takes
        It must be square.
    nodes : array_like of integers, optional
        The nodes to train on; by default all.
    fanouts : sequence of int
        The number of neighbours to sample for a node in each layer, from the first layer on.
    batch_size : int
    features : array_like or Tensor, (N, ...), optional
        May be memory-mapped: a batch reads only its rows.
    labels : array_like or Tensor, (N, ...), optional
    shuffle : bool
        Whether the order of the nodes is drawn anew in each epoch.
    seed : int

    Raises
    ------
    InputError
        For nodes that are not in the graph, and for features or labels without a row for each node.

    Examples
    --------
    >>> import fastdl
    >>> from fastdl.torch import GraphBatches
    >>> graph = fastdl.Graph.from_edges([[0, 1, 2, 3], [1, 2, 3, 0]])
    >>> batches = GraphBatches(graph, fanouts=(2, 2), batch_size=3, shuffle=False)
    >>> len(batches), batches[0].nodes, batches[0].graphs  # doctest: +ELLIPSIS
    (2, tensor([0, 1, 2]), [Graph(num_nodes=4, num_edges=4), ...])
    """

    def __init__(
        self,
        graph: GraphLike,
        nodes: ArrayLike | None = None,
        *,
        fanouts: Sequence[int],
        batch_size: int,
        features: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
        shuffle: bool = True,
        seed: int = 0,
    ):
        super().__init__()
        self.graph = as_graph(graph)
        n = self.graph.num_nodes
        if self.graph.num_sources != n:
            raise InputError(f"graph must be square, got {n} x {self.graph.num_sources}")
        self.nodes = np.arange(n) if nodes is None else np.asarray(nodes).astype(np.int64)
        if self.nodes.ndim != 1 or (len(self.nodes) and not 0 <= self.nodes.min() <= self.nodes.max() < n):
            raise InputError(f"nodes must be a list of nodes 0..{n - 1}")
        self.fanouts = [_check.integer("a fanout", k, 0) for k in fanouts]
        self.batch_size = _check.integer("batch_size", batch_size, 1)
        self.features, self.labels = features, labels
        for name, rows in (("features", features), ("labels", labels)):
            if rows is not None and (count := len(rows)) != n:  # type: ignore[arg-type]
                raise InputError(f"{name} must have a row for each of {n} nodes, got {count}")
        self.shuffle, self.seed = bool(shuffle), _check.integer("seed", seed, 0, (1 << 64) - 1)
        self._order: tuple[int, Array] = (-1, self.nodes)

    def __len__(self) -> int:
        return -(-len(self.nodes) // self.batch_size)

    def _nodes_of(self, epoch: int) -> Array:
        """The nodes in the order of an epoch, which is kept until the next epoch."""
        if not self.shuffle:
            return self.nodes
        known, nodes = self._order
        if known != epoch:
            nodes = np.random.default_rng([self.seed, epoch]).permutation(self.nodes)
            self._order = (epoch, nodes)
        return nodes

    def __getitem__(self, k: int) -> SampledBatch:
        k = _check.integer("a batch", k)
        if not 0 <= k < len(self):
            raise IndexError(f"batch {k} of {len(self)}")
        epoch = self.epoch
        nodes = self._nodes_of(epoch)[k * self.batch_size : (k + 1) * self.batch_size]
        graphs, reached = [], nodes
        for layer, fanout in enumerate(reversed(self.fanouts)):
            draw = np.random.SeedSequence([self.seed, epoch, k, layer]).generate_state(1, np.uint64)
            sample = sample_neighbors(self.graph, reached, fanout, seed=int(draw[0]))
            graphs.append(sample.graph)
            reached = sample.node_ids
        return SampledBatch(
            graphs[::-1],
            torch.from_numpy(nodes.copy()),
            torch.from_numpy(reached.copy()),
            _take(self.features, reached),
            _take(self.labels, nodes),
        )


def _take(rows: ArrayLike | Tensor | None, places: Array) -> Tensor | None:
    """Rows of an array or tensor as a tensor."""
    if rows is None:
        return None
    if isinstance(rows, torch.Tensor):
        return rows[torch.from_numpy(places)]
    return torch.from_numpy(np.ascontiguousarray(np.asarray(rows)[places]))


def collate_graphs(items: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """A batch of small graphs: the `collate_fn` of a DataLoader whose dataset has items (graph, features, ...).

    Parameters
    ----------
    items : sequence of tuples
        Each a graph, the features of its nodes, and any further values, such as a label.

    Returns
    -------
    batch : GraphBatch
        All graphs as one, and for every node the number of its graph, which `fastdl.pool` takes.
    features : Tensor
        The features of all nodes.
    others : Tensor
        The rest of the tuples, each stacked.

    Examples
    --------
    >>> import torch, fastdl
    >>> from fastdl.torch import collate_graphs
    >>> pair = fastdl.Graph.from_edges([[0, 1], [1, 0]])
    >>> batch, features, labels = collate_graphs([(pair, torch.ones(2, 3), 1), (pair, torch.ones(2, 3), 0)])
    >>> batch.graph, features.shape, labels
    (Graph(num_nodes=4, num_edges=4), torch.Size([4, 3]), tensor([1, 0]))
    """
    graphs, features, *others = zip(*items)
    batch: GraphBatch = batch_graphs(list(graphs))
    return batch, torch.cat([torch.as_tensor(x) for x in features]), *map(_stack, others)


def _stack(values: Sequence[Any]) -> Tensor:
    return torch.stack([torch.as_tensor(value) for value in values])
