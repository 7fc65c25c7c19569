"""Labels, standardised targets, and values in bins."""

import numpy as np


def encode_labels(y, classes, values, missing):
    """values[k] where y equals classes[k], which are sorted; `missing` where it equals none."""
    # Compare in the labels' own type: as float64, 2^53 + 1 would equal 2^53.
    if classes.dtype.kind in "iuf" and y.dtype.kind in "iuf":
        with np.errstate(invalid="ignore", over="ignore"):
            cast = classes.astype(y.dtype)
            held = (cast.astype(classes.dtype) == classes) & ((cast < 0) == (classes < 0))
        classes, values = cast[held], values[held]
    if not len(classes):
        return np.full(y.shape, missing, values.dtype)
    place = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[place] == y, values[place], values.dtype.type(missing))


def moments(y, weight=None):
    """Weight, mean (as an unrounded sum of two) and sum of squared deviations of each column of y, (N, D)."""
    y = y.astype(np.float64)
    weight = np.ones(len(y)) if weight is None else weight
    total = weight.sum()
    high = y[0] + weight @ (y - y[0]) / total
    deviation = y - high
    shift = weight @ deviation
    squares = weight @ deviation**2 - shift * (shift / total)
    return np.stack([np.full_like(high, total), high, shift / total, squares])


def merged(a, b):
    """The moments of the rows of both (Chan, Golub and LeVeque 1979)."""
    if not a[0, 0]:
        return b
    total = a[0] + b[0]
    delta = (b[1] - a[1]) + (b[2] - a[2])
    step = a[2] + delta * (b[0] / total)
    high = a[1] + step
    return np.stack([total, high, step - (high - a[1]), a[3] + b[3] + delta * delta * (a[0] / total) * b[0]])


def standardise(y, high, low, scale):
    """(y - mean) / scale, the mean being high + low."""
    return (((y.astype(np.float64) - high) - low) / scale).astype(y.dtype)


def unstandardise(z, high, low, scale):
    """The inverse of standardise."""
    return ((z.astype(np.float64) * scale + low) + high).astype(z.dtype)


def uniform(values, bins):
    """Edges of bins of equal width over the values."""
    return np.linspace(values[0], values[-1], bins + 1)


def quantile(values, bins):
    """Edges between which there are equally many values."""
    return np.quantile(values, np.linspace(0, 1, bins + 1))


def mu_law(values, bins):
    """Edges of the classes of WaveNet's mu-law, for values as fractions of the largest magnitude."""
    mu, largest = bins - 1, max(abs(values[0]), abs(values[-1]))
    y = (2 * np.arange(1, bins) - 1) / max(mu, 1) - 1
    inner = np.sign(y) * np.expm1(np.abs(y) * np.log1p(mu)) / max(mu, 1)
    return np.concatenate([[-largest], inner * largest, [largest]])


def spread(fine, bins):
    """Edges as dense as the cube root of the values' density, from many quantiles: for many bins the best there are."""
    upto = np.concatenate([[0], np.cumsum(np.diff(fine) ** (2 / 3))])
    return np.interp(np.linspace(0, upto[-1], bins + 1), upto, fine)


def k_means(values, edges):
    """Edges midway between the means of neighbouring bins, by Lloyd's iteration from given ones."""
    while True:
        cut = np.unique(np.searchsorted(values, edges[1:-1]))
        cut = cut[(cut > 0) & (cut < len(values))]
        means = np.array([part.mean() for part in np.split(values, cut)])
        moved = np.concatenate([values[:1], (means[:-1] + means[1:]) / 2, values[-1:]])
        if len(moved) == len(edges) and np.allclose(moved, edges, rtol=1e-12, atol=0):
            return moved
        edges = moved


def bin_encode(y, edges):
    """The number of inner edges at or below each value."""
    return np.searchsorted(edges[1:-1], y, side="right").astype(np.uint8 if len(edges) <= 257 else np.uint16)


def bin_values(values, edges):
    """Count, mean, median and middle of each bin; a bin without values has its middle for all."""
    codes = bin_encode(values, edges)
    middle = (edges[:-1] + edges[1:]) / 2
    parts = [values[codes == k] for k in range(len(middle))]
    means = [part.mean() if len(part) else m for part, m in zip(parts, middle)]
    medians = [np.median(part) if len(part) else m for part, m in zip(parts, middle)]
    return np.bincount(codes, minlength=len(middle)), np.array(means), np.array(medians), middle


def quantile_sketch(values, size):
    """(values, how many each stands for) that a sketch keeps of a stream, in ascending order."""
    levels: list[np.ndarray | None] = []  # the full buffer of each, if there is one
    seen: list[int] = []  # how often two of them were joined
    for start in range(0, len(values) // size * size, size):
        buffer, level = np.sort(values[start : start + size]), 0
        while level < len(levels) and levels[level] is not None:
            both = np.sort(np.concatenate([levels[level], buffer]))
            buffer, levels[level] = both[seen[level] % 2 :: 2], None
            seen[level] += 1
            level += 1
        if level == len(levels):
            levels.append(None)
            seen.append(0)
        levels[level] = buffer
    parts = [values[len(values) // size * size :], *(b if b is not None else values[:0] for b in levels)]
    weights = np.repeat([1, *(1 << k for k in range(len(levels)))], [len(part) for part in parts])
    order = np.argsort(np.concatenate(parts), kind="stable")
    return np.concatenate(parts)[order], weights[order]
