"""The graph kernels in NumPy, with the names and arguments of the compiled ones, for where these are not built."""

import numpy as np

from fastdl.reference.graphs import _inverse, draw_edges, reduce_rows, relabel_nodes, rows, softmax_rows, walk

__all__ = ["draw_edges", "relabel_nodes", "softmax_rows", "walk"]

_NAMES = {0: "sum", 1: "sum", 2: "gcn", 3: "max", 4: "min", 5: "mul", 6: "mean", 7: "var", 8: "softmax"}


def neighbours(op, indptr, indices, X, out, *, first, weight, root, from_, to):
    """Reduce the neighbours into columns from_..to of out; row i is node `first` + i, indptr that of these nodes."""
    edges = slice(int(indptr[0]), int(indptr[-1]))
    sources, ends = indices[edges], indptr - indptr[0]
    messages, n, heads = X[sources], len(indptr) - 1, weight.shape[1]
    w = weight if len(weight) == 1 else weight[edges]
    targets = rows(ends)
    with np.errstate(all="ignore"):
        if _NAMES[op] == "gcn":
            at = targets + first
            loops, keep = np.ones(n, X.dtype), sources != at
            loops[targets[~keep]] = np.broadcast_to(w[:, 0], len(targets))[~keep]
            factor = root[sources] * w[:, 0] * root[at]
            result = np.zeros((n, X.shape[1]), X.dtype)
            np.add.at(result, targets[keep], messages[keep] * factor[keep, None])
            own = slice(first, first + n)
            result += X[own] * (root[own] * loops * root[own])[:, None]
        else:
            weighted = messages.reshape(len(messages), heads, X.shape[1] // heads) * w[:, :, None]
            result = reduce_rows(ends, weighted.reshape(messages.shape), _NAMES[op])
    out[:, from_:to] = result[:, from_:to]


def inverse_roots(indptr, indices, weight, root, *, first):
    """1/sqrt(d) of the nodes from `first` on, where d is the sum of a row's weights, its self-loop added last."""
    edges = slice(int(indptr[0]), int(indptr[-1]))
    targets = rows(indptr - indptr[0])
    w = np.broadcast_to(weight[:, 0] if len(weight) == 1 else weight[edges, 0], len(targets))
    loop, keep = np.ones(len(root), root.dtype), indices[edges] != targets + first
    loop[targets[~keep]] = w[~keep]
    total = np.zeros(len(root), root.dtype)
    np.add.at(total, targets[keep], w[keep])
    root[:] = _inverse(total + loop, np.sqrt)


def survey(x):
    """(least, largest, how often a value is smaller than the one before it)."""
    return int(x.min()), int(x.max()), int((x[1:] < x[:-1]).sum())


def count(targets, shift, counts):
    """Count the edges of each bucket of 2^shift targets."""
    counts += np.bincount(targets >> shift, minlength=len(counts))


def scatter(sources, targets, number, shift, place, edges):
    """Write edges (target, source, number) to their buckets, in order; `place` is the next free one of each bucket."""
    bucket = targets >> shift
    order = np.argsort(bucket, kind="stable")
    counts = np.bincount(bucket, minlength=len(place))
    at = np.repeat(place - (np.cumsum(counts) - counts), counts) + np.arange(len(order))
    edges[at] = np.stack([targets[order], sources[order], number + order], axis=1)
    place += counts


def place_bucket(edges, first_row, start, ends, indices, order):
    """Sort the edges of one bucket by target: its rows of the graph begin at place `start`."""
    by = np.argsort(edges[:, 0], kind="stable")
    np.cumsum(np.bincount(edges[:, 0] - first_row, minlength=len(ends)), out=ends)
    ends += start
    indices[start : start + len(by)], order[start : start + len(by)] = edges[by, 1], edges[by, 2]


def place_all(sources, targets, ends, indices, order):
    """Sort all edges by target at once."""
    order[:] = np.argsort(targets, kind="stable")
    indices[:] = sources[order]
    np.cumsum(np.bincount(targets, minlength=len(ends)), out=ends)


def row_dots(indptr, indices, left, right, out):
    """out[j, h] = left[i, h] . right[indices[j], h] for the edges j of every row i; indptr need not begin at 0."""
    edges = slice(int(indptr[0]), int(indptr[-1]))
    targets = rows(indptr - indptr[0])
    out[edges] = (left[targets] * right[indices[edges]]).sum(axis=2)


def first_equal(indptr, indices, X, weight, best, where):
    """where[i, h, c]: the place in row i of the first neighbour whose weighted value is best[i, h, c]; -1 for none."""
    where[:] = -1
    edges = np.arange(int(indptr[0]), int(indptr[-1]))
    targets = rows(indptr - indptr[0])
    w = weight[0] if len(weight) == 1 else weight[edges]
    with np.errstate(all="ignore"):
        values = X[indices[edges]] * np.broadcast_to(w, (len(edges), X.shape[1]))[..., None]
    for e in range(len(edges) - 1, -1, -1):
        i = targets[e]
        same = (values[e] == best[i]) | np.isnan(values[e])
        where[i][same] = edges[e] - indptr[i]


def taken_sums(indptr, targets, grad, where, out, *, order, place, weight):
    """out[s, h, c]: the sum of w grad[t, h, c] over the edges s -> t whose place in the row of t is where[t, h, c]."""
    edges = slice(int(indptr[0]), int(indptr[-1]))
    sources, to = rows(indptr - indptr[0]), targets[edges]
    w = np.broadcast_to(weight[0] if len(weight) == 1 else weight[order[edges]], (len(to), grad.shape[1]))
    taken = where[to] == place[edges][:, None, None]
    out[:] = 0
    np.add.at(out, sources, np.where(taken, w[..., None] * grad[to], grad.dtype.type(0)))


def small_neighbours(*arguments):
    """Returns None: NumPy has no faster way for few items, so the shell takes its general one."""
