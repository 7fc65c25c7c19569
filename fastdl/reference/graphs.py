"""Graphs: rows, norms, reductions and random draws. A graph is an object with indptr, indices, edge_order, weight."""

import numpy as np


def from_edges(edges, num_nodes=None):
    """(indptr, indices, edge_order): row i lists the sources of the edges into i, in the order of `edges` (2, E)."""
    if num_nodes is None:
        num_nodes = int(edges.max()) + 1 if edges.size else 0
    kind = np.int32 if max(num_nodes, edges.shape[1]) <= np.iinfo(np.int32).max else np.int64
    order = np.argsort(edges[1], kind="stable")
    indptr = np.zeros(num_nodes + 1, np.int64)
    np.cumsum(np.bincount(edges[1].astype(np.int64), minlength=num_nodes), out=indptr[1:])
    return indptr, edges[0][order].astype(kind), order.astype(kind)


def rows(indptr):
    """The target of every edge."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def degree(graph, *, direction="in", weight=None):
    """Edges into (out of) every node, or the sum of their weights, added in the order of the graph."""
    into = direction == "in"
    ends = rows(graph.indptr) if into else graph.indices
    n = len(graph.indptr) - 1 if into else graph.num_sources
    if weight is None:
        return np.bincount(ends, minlength=n)
    total = np.zeros(n, weight.dtype)
    np.add.at(total, ends, weight)
    return total


def with_self_loops(indptr, indices, edge_order, weight, fill, remaining):
    """Add a loop (i, i) at the end of every row; with `remaining` it replaces old loops, and keeps the last weight."""
    n = len(indptr) - 1
    targets, loops = rows(indptr), np.full(n, fill, None if weight is None else weight.dtype)
    keep = indices != targets if remaining else np.ones(len(indices), bool)
    if weight is not None:
        loops[targets[~keep]] = weight[~keep]
    ends = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(targets[keep], minlength=n), out=ends[1:])
    if edge_order is None:
        edge_order = np.arange(len(indices), dtype=indices.dtype)
    listed = np.zeros(edge_order.max(initial=-1) + 1, bool)
    listed[edge_order[keep]] = True
    edge_order = (np.cumsum(listed) - 1)[edge_order[keep]]
    return (
        ends + np.arange(n + 1),
        np.insert(indices[keep], ends[1:], np.arange(n, dtype=indices.dtype)),
        np.insert(edge_order, ends[1:], listed.sum() + np.arange(n)).astype(indices.dtype),
        None if weight is None else np.insert(weight[keep], ends[1:], loops),
    )


def gcn_norm(graph, *, weight=None, add_self_loops=True, improved=False, dtype=np.float32):
    """(indptr, indices, edge_order, weight) with weights (d[source]^-1/2 w) d[target]^-1/2, where 0^-1/2 is 0."""
    if weight is None:
        weight = getattr(graph, "weight", None)
    weight = np.ones(len(graph.indices), dtype) if weight is None else weight.astype(dtype)
    arrays = graph.indptr, graph.indices, graph.edge_order, weight
    if add_self_loops:
        arrays = with_self_loops(*arrays, 2 if improved else 1, True)
    indptr, indices, edge_order, weight = arrays
    targets = rows(indptr)
    total = np.zeros(len(indptr) - 1, dtype)
    np.add.at(total, targets, weight)
    root = _inverse(total, np.sqrt)
    return np.array(indptr), np.array(indices), edge_order, root[indices] * weight * root[targets]


def normalize_edges(graph, how, *, weight=None, dtype=np.float32):
    """Weights of the edges: "symmetric" by the roots of both degrees, "target" or "source" by that of one end."""
    if weight is None:
        weight = getattr(graph, "weight", None)
    weight = np.ones(len(graph.indices), dtype) if weight is None else weight.astype(dtype)
    into, out_of = (degree(graph, direction=d, weight=weight) for d in ("in", "out"))
    targets = rows(graph.indptr)
    if how == "symmetric":
        at_source = into if graph.num_sources == len(graph.indptr) - 1 else out_of
        return _inverse(at_source, np.sqrt)[graph.indices] * weight * _inverse(into, np.sqrt)[targets]
    ends = into[targets] if how == "target" else out_of[graph.indices]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ends == 0, dtype.type(0), weight / ends)


def _inverse(total, root):
    """1 / root(total), 0 for a total of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / root(total)
    inverse[np.isinf(inverse)] = 0
    return inverse


def aggregate(graph, features, *, reduce="sum", weight=None, rows=None):
    """For every node the reduction of its neighbours' (weighted) features, in the order of its row."""
    indptr, indices = graph.indptr, graph.indices
    if isinstance(weight, str) and weight == "gcn":
        indptr, indices, _, weight = gcn_norm(graph, dtype=features.dtype)
    elif isinstance(weight, str):
        weight = normalize_edges(graph, weight, dtype=features.dtype)
    elif weight is None:
        weight = graph.weight
    first, last = rows or (0, len(indptr) - 1)
    edges = slice(int(indptr[first]), int(indptr[last]))
    messages = features[indices[edges]]
    with np.errstate(all="ignore"):
        if weight is not None:
            some = weight[edges].astype(features.dtype)
            messages = messages * some.reshape(some.shape + (1,) * (features.ndim - some.ndim))
        return reduce_rows(indptr[first : last + 1] - indptr[first], messages, reduce)


def aggregate_edges(graph, values, *, reduce="sum"):
    """For every node the reduction of the values of the edges into it."""
    with np.errstate(all="ignore"):
        return reduce_rows(graph.indptr, values, reduce)


def reduce_rows(indptr, messages, reduce):
    """The reduction of the messages indptr[i]..indptr[i + 1] for every i."""
    targets, degrees, n = rows(indptr), np.diff(indptr), len(indptr) - 1
    shape, dtype = (n, *messages.shape[1:]), messages.dtype
    counts = np.maximum(degrees, 1).astype(dtype).reshape((-1,) + (1,) * (messages.ndim - 1))
    if reduce in ("sum", "mul"):
        result = np.full(shape, 0 if reduce == "sum" else 1, dtype)
        (np.add if reduce == "sum" else np.multiply).at(result, targets, messages)
        return result
    if reduce in ("max", "min"):
        result = np.full(shape, -np.inf if reduce == "max" else np.inf, dtype)
        (np.maximum if reduce == "max" else np.minimum).at(result, targets, messages)
        result[degrees == 0] = 0
        return result
    if reduce == "softmax":
        shares = np.exp(messages - reduce_rows(indptr, messages, "max")[targets])
        parts = [_compensated(indptr, terms) for terms in (shares * messages, shares)]
        parts[1][degrees == 0] = 1
        return parts[0] / parts[1]
    mean = _compensated(indptr, messages) / counts
    if reduce == "mean":
        return mean
    deviations = messages - mean[targets]
    variance = _compensated(indptr, deviations * deviations) / counts
    return np.sqrt(variance) if reduce == "std" else variance


def _compensated(indptr, messages, block=64):
    """Sums of rows: blocks of 64 messages are added one by one, and the sums of blocks by Knuth's two-sum."""
    starts, degrees = indptr[:-1], np.diff(indptr)
    total = np.zeros((len(starts), *messages.shape[1:]), messages.dtype)
    rest = np.zeros_like(total)
    for first in range(0, int(degrees.max(initial=0)), block):
        some = np.flatnonzero(degrees > first)
        counts = np.minimum(degrees[some] - first, block)
        own = np.repeat(np.arange(len(some)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        a = np.zeros((len(some), *messages.shape[1:]), messages.dtype)
        np.add.at(a, own, messages[starts[some][own] + first + within])
        t = total[some]
        both = t + a
        part = both - t
        rest[some] += (t - (both - part)) + (a - part)
        total[some] = both
    return np.where(np.isnan(rest), total, total + rest)


def edge_softmax(graph, scores):
    """exp(score) of every edge over its sum for the edges into the same node; scores are (E,) or (E, H)."""
    out = np.empty_like(scores)
    columns = scores.shape[1] if scores.ndim > 1 else 1
    softmax_rows(graph.indptr, scores.reshape(len(scores), columns), out.reshape(len(scores), columns))
    return out


# The generator of draws: the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
# generators", 2014) of a counter, so that a draw depends on its key alone.
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def mix(x):
    """64 bits that look random, of 64 bits."""
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * _FIRST) & _MASK
    x = ((x ^ (x >> 27)) * _SECOND) & _MASK
    return x ^ (x >> 31)


def below(key, i, n):
    """Draw i of a key: a number 0..n-1, by the high half of a product."""
    return (mix((key + i * _GOLDEN) & _MASK) * n) >> 64


def choose(key, degree, count):
    """`count` of `degree` places, all subsets equally likely, in order: Floyd's algorithm."""
    taken = set()
    for i, j in enumerate(range(degree - count, degree)):
        t = below(key, i, j + 1)
        taken.add(j if t in taken else t)
    return sorted(taken)


def sample_neighbors(graph, nodes, fanout, *, seed, replace=False):
    """(ends, numbers): for every node the numbers of `fanout` of the edges into it, or of all where these are fewer."""
    degrees = np.diff(graph.indptr)[nodes]
    counts = np.where(degrees > 0, fanout, 0) if replace else np.minimum(degrees, fanout)
    ends = np.concatenate([[0], np.cumsum(counts)])
    numbers = np.empty(ends[-1], np.int64)
    draw_edges(graph.indptr, nodes, ends, numbers, seed=seed, replace=replace)
    return ends, numbers


def random_walks(graph, starts, length, *, seed):
    """Walks (len(starts), length + 1): each step to a neighbour in the node's row; a node without stays."""
    walks = np.empty((len(starts), length + 1), np.int64)
    walks[:, 0] = starts
    walk(graph.indptr, graph.indices, walks, seed=seed, first=0)
    return walks


def edge_dots(graph, targets, sources, *, heads=False):
    """For every edge the dot product of the features of its two ends; with heads, of each part (N, H, ...)."""
    products = targets[rows(graph.indptr)] * sources[graph.indices]
    return products.sum(axis=tuple(range(2 if heads else 1, products.ndim)))


def edge_softmax_grad(graph, shares, grad):
    """The derivative of edge_softmax: shares (grad - the sum of shares grad over the node's edges)."""
    total = reduce_rows(graph.indptr, shares * grad, "sum")
    return shares * grad - shares * total[rows(graph.indptr)]


def pool(features, graph_id, num_graphs, *, reduce="sum"):
    """The reduction of the nodes of each graph, in their order."""
    order = np.argsort(graph_id, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(graph_id, minlength=num_graphs))])
    return reduce_rows(indptr, features[order], reduce)


def k_hop(graph, nodes, hops):
    """(nodes, distance): all nodes from which `nodes` can be reached by at most `hops` edges, and by how many."""
    distance = np.full(len(graph.indptr) - 1, -1)
    distance[nodes] = 0
    targets = rows(graph.indptr)
    for hop in range(1, hops + 1):
        reached = graph.indices[distance[targets] == hop - 1]
        distance[reached[distance[reached] < 0]] = hop
    found = np.flatnonzero(distance >= 0)
    return found, distance[found]


# Kernels of draws and of the softmax, with the names and arguments of the compiled ones.


def softmax_rows(indptr, score, out):
    """out[j, h] = exp(score[j, h]) over its sum for the edges j of every row; indptr need not begin at 0."""
    edges = slice(int(indptr[0]), int(indptr[-1]))
    ends = indptr - indptr[0]
    targets, some = rows(ends), score[edges]
    with np.errstate(all="ignore"):
        shares = np.exp(some - reduce_rows(ends, some, "max")[targets])
        total = np.zeros((len(ends) - 1, some.shape[1]))
        np.add.at(total, targets, shares)
        out[edges] = shares / total[targets]


def draw_edges(indptr, nodes, ends, numbers, *, seed, replace):
    """The numbers of edges into every node: numbers[ends[k]:ends[k + 1]] for the k-th."""
    for k, node in enumerate(nodes):
        start, degree = int(indptr[node]), int(indptr[node + 1] - indptr[node])
        count = int(ends[k + 1] - ends[k])
        key = mix(mix(int(seed)) ^ int(node))
        if replace:
            places = [below(key, i, degree) for i in range(count)]
        else:
            places = list(range(degree)) if count == degree else choose(key, degree, count)
        numbers[ends[k] : ends[k + 1]] = [start + p for p in places]


def relabel_nodes(nodes, ids, places, *, known):
    """Write the place of every node in ids, which holds `known` nodes; new ones are appended. Returns their number."""
    place = {int(node): k for k, node in enumerate(ids[:known])}
    for i, node in enumerate(nodes):
        places[i] = place.setdefault(int(node), len(place))
    ids[: len(place)] = list(place)
    return len(place)


def walk(indptr, indices, walks, *, seed, first):
    """Every row of walks from its first node on; walk k has the key first + k."""
    for k in range(len(walks)):
        key, node = mix(mix(int(seed)) ^ (first + k)), int(walks[k, 0])
        for i in range(walks.shape[1] - 1):
            start, end = int(indptr[node]), int(indptr[node + 1])
            node = int(indices[start + below(key, i, end - start)]) if end > start else node
            walks[k, i + 1] = node


def aggregate_grad(graph, features, grad, *, reduce="sum", weight=None):
    """(derivative by the features, by the weights) of a loss, from that by the result of `aggregate`, row by row.

    The neighbours' messages m = w x; of equal largest (smallest) ones the first is the largest (smallest).
    """
    weights = np.ones(len(graph.indices)) if weight is None else np.asarray(weight, float)
    weights = weights.reshape(len(weights), -1)
    x = np.asarray(features, float).reshape(len(features), weights.shape[1], -1)
    grad = np.asarray(grad, float).reshape(len(graph.indptr) - 1, *x.shape[1:])
    by_x, by_w = np.zeros_like(x), np.zeros_like(weights)
    for target, (first, last) in enumerate(zip(graph.indptr[:-1], graph.indptr[1:])):
        sources, w = graph.indices[first:last], weights[first:last, :, None]
        by_message = _message_grad(x[sources] * w, reduce) * grad[target]
        np.add.at(by_x, sources, by_message * w)
        by_w[first:last] = (by_message * x[sources]).sum(axis=2)
    return by_x.reshape(np.shape(features)), None if weight is None else by_w.reshape(np.shape(weight))


def _message_grad(m, reduce):
    """The derivative of the reduction of messages (neighbours first) by each of them."""
    n = max(1, len(m))
    if reduce in ("sum", "mean"):
        return np.full(m.shape, 1.0 if reduce == "sum" else 1 / n)
    if reduce in ("max", "min"):
        best = (m.argmax(axis=0) if reduce == "max" else m.argmin(axis=0)) if len(m) else 0
        return (np.arange(len(m)).reshape(-1, 1, 1) == best).astype(float)
    if reduce == "mul":
        return np.array([np.prod(np.delete(m, k, axis=0), axis=0) for k in range(len(m))]).reshape(m.shape)
    if reduce == "softmax":
        shares = np.exp(m - m.max(axis=0, initial=-np.inf))
        shares = shares / shares.sum(axis=0)
        return shares * (1 + m - (shares * m).sum(axis=0))
    deviations = m - m.sum(axis=0) / n
    if reduce == "var":
        return 2 * deviations / n
    std = np.sqrt((deviations**2).sum(axis=0) / n)
    return np.where(std == 0, 0.0, deviations / np.where(std == 0, 1, n * std))


def aggregate_relations(graphs, features, *, reduce="sum", across="sum"):
    """For each type of target the results of its relations (source type, name, target type), as one."""
    results: dict = {}
    for (source, _, target), graph in graphs.items():
        results.setdefault(target, []).append(aggregate(graph, features[source], reduce=reduce))
    combine: dict = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}
    return {target: combine[across](parts, axis=0) for target, parts in results.items()}


def batch_graphs(graphs):
    """(indptr, indices, edge_order, graph_id): nodes and edges are numbered on from one graph to the next."""
    indptr, indices, order = [0], [], []
    graph_id: list[int] = []
    for k, graph in enumerate(graphs):
        nodes, edges = len(graph_id), indptr[-1]
        own = range(len(graph.indices)) if graph.edge_order is None else graph.edge_order
        indptr += [edges + end for end in graph.indptr[1:]]
        indices += [nodes + source for source in graph.indices]
        order += [edges + edge for edge in own]
        graph_id += [k] * (len(graph.indptr) - 1)
    return tuple(np.array(a, np.int64) for a in (indptr, indices, order, graph_id))


def subgraph(graph, nodes):
    """(indptr, indices, edges): of each chosen node the edges from chosen nodes, and their places in the graph."""
    place = {int(node): k for k, node in enumerate(nodes)}
    kept = [
        [edge for edge in range(graph.indptr[n], graph.indptr[n + 1]) if int(graph.indices[edge]) in place]
        for n in nodes
    ]
    edges = np.array([edge for row in kept for edge in row], np.int64)
    indices = np.array([place[int(graph.indices[edge])] for edge in edges], np.int64)
    return np.cumsum([0, *map(len, kept)]), indices, edges


def number_nodes(edges):
    """(ids, edges): every id once, in order, and the list with their places."""
    ids = sorted({end for row in edges for end in row})
    place = {end: k for k, end in enumerate(ids)}
    return np.array(ids), np.array([[place[end] for end in row] for row in edges], np.int64)
