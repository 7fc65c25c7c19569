"""The edges of bins, and counts, means and medians in them, from sorted values or a weighted sketch of them."""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array
from fastdl.reference import targets as reference
from fastdl.targets._quantile_sketch import SortedValues

_ROUNDS = 10_000  # of Lloyd's iteration, at most; it converges long before


def edges_of(sample: SortedValues, bins: int, strategy: str) -> Array:
    """The edges by a strategy, ascending; there may be duplicates."""
    ends = np.array([sample.low, sample.high])
    if strategy == "uniform":
        return reference.uniform(ends, bins)
    if strategy == "mu-law":
        return reference.mu_law(ends, bins)
    if strategy == "quantile":
        return quantile(sample, np.linspace(0, 1, bins + 1))
    return k_means(sample, bins)


def quantile(sample: SortedValues, q: Array) -> Array:
    """np.quantile of the values; of weighted ones, the first value up to which the weights exceed q of their sum."""
    values, weights, low, high = sample
    if weights is not None:
        upto = np.cumsum(weights)
        found = values[np.minimum(np.searchsorted(upto, q * (upto[-1] - 1), side="right"), len(values) - 1)]
        return np.concatenate([[low], found[1:-1].astype(np.float64), [high]])
    place = q * (len(values) - 1)
    at = np.minimum(place.astype(np.int64), max(len(values) - 2, 0))
    part = place - at
    a, b = values[at].astype(np.float64), values[np.minimum(at + 1, len(values) - 1)].astype(np.float64)
    # NumPy's interpolation, which is exact at both ends.
    return np.where(part >= 0.5, b - (b - a) * (1 - part), a + (b - a) * part)


def k_means(sample: SortedValues, bins: int) -> Array:
    """One-dimensional k-means: Lloyd's iteration from two starts, of which the lower squared error wins.

    The starts are the quantiles, and edges as dense as the cube root of the density (Panter and Dite).
    """
    values, weights, low, high = sample
    run = np.concatenate([[0], np.flatnonzero(values[1:] > values[:-1]) + 1])
    distinct, shift = values[run].astype(np.float64), 0.5 * low + 0.5 * high
    count = np.diff(np.append(run, len(values))) if weights is None else np.add.reduceat(weights, run)
    upto = np.concatenate([[0.0], np.cumsum(count)])
    sums = np.concatenate([[0.0], np.cumsum((distinct - shift) * count)])
    starts = [
        quantile(sample, np.linspace(0, 1, bins + 1)),
        reference.spread(quantile(sample, np.linspace(0, 1, 32 * bins + 1)), bins),
    ]
    ends = [
        _lloyd(distinct, upto, sums, shift, _apart(np.searchsorted(distinct, s[1:-1]), len(distinct))) for s in starts
    ]
    width = high - low or 1.0
    # The partition of the smallest squared error has the largest sum of n mean^2.
    best = max(ends, key=lambda e: np.sum(np.square(np.diff(sums[e]) / width) / np.diff(upto[e])))
    start = np.append(run, len(values))[best]
    means = _means(sample, start[:-1], np.diff(upto[best]))
    return np.concatenate([[low], 0.5 * means[:-1] + 0.5 * means[1:], [high]])


def _apart(cut: Array, count: int) -> Array:
    """The places to cut `count` values at, moved apart so that no part is empty where there are enough values."""
    cut = cut[: max(0, count - 1)]
    k = np.arange(len(cut))
    cut = np.maximum.accumulate(np.maximum(cut, 1) - k) + k
    return np.minimum(cut, count - len(cut) + k)


def _lloyd(distinct: Array, upto: Array, sums: Array, shift: float, cut: Array) -> Array:
    """Lloyd's iteration until no value changes its bin: the borders of the bins; empty ones are dropped."""
    for _ in range(_ROUNDS):
        ends = np.unique(np.concatenate([[0], cut, [len(distinct)]]))
        means = np.diff(sums[ends]) / np.diff(upto[ends]) + shift
        moved = np.searchsorted(distinct, 0.5 * means[:-1] + 0.5 * means[1:])
        if np.array_equal(moved, cut):
            break
        cut = moved
    return ends


def _means(sample: SortedValues, start: Array, count: Array) -> Array:
    """The mean of each run of values, summed over the run itself: no difference of running sums loses digits."""
    values, weights = sample.values, sample.weights
    first, last = values[start], values[np.append(start[1:], len(values)) - 1]
    weighted = values if weights is None else values * weights.astype(np.float64)
    return np.clip(np.add.reduceat(weighted, start, dtype=np.float64) / count, first, last)


def contents(sample: SortedValues, edges: Array) -> tuple[Array, Array, Array]:
    """The count, mean and median of each bin; for an empty bin both are its middle."""
    values, weights = sample.values, sample.weights
    cut = np.concatenate([[0], np.searchsorted(values, edges[1:-1]), [len(values)]])
    start, stop = cut[:-1], cut[1:]
    full = start < stop
    middle = 0.5 * edges[:-1] + 0.5 * edges[1:]
    count, mean, median = np.zeros(len(middle), np.int64), middle.copy(), middle.copy()
    if weights is None:
        count[full] = (stop - start)[full]
        lower, upper = values[(start + stop - 1)[full] // 2], values[(start + stop)[full] // 2]
        median[full] = 0.5 * lower.astype(np.float64) + 0.5 * upper.astype(np.float64)
    else:
        count[full] = np.add.reduceat(weights, start[full])
        upto = np.cumsum(weights)
        half = np.concatenate([[0], upto])[start[full]] + (count[full] - 1) // 2
        median[full] = values[np.searchsorted(upto, half, side="right")]
    mean[full] = _means(sample, start[full], count[full])
    return count, mean, median
