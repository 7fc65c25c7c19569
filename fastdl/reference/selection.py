"""Splits by a keyed permutation; the choice of a degree by refits of every fold, and sums of Chebyshev polynomials."""

import numpy as np


def grid(n):
    """(rows, columns) of a nearly square grid of at least n cells, of which less than one row is unused."""
    rows = max(1, int(np.ceil(np.sqrt(n))))
    return rows, max(1, -(-n // rows))


def keys(seed, stream=0):
    """Eight round keys; another `stream` gives independent keys of the same seed."""
    return np.random.SeedSequence(seed, spawn_key=(stream,)).generate_state(8, np.uint32)


def ranks(numbers, n, keys):
    """The places of rows in the permutation of 0..n-1 that the keys make; int64."""
    sizes = grid(n)
    place = np.asarray(numbers, np.int64).copy()
    todo = np.ones(place.shape, bool)
    while todo.any():
        halves = list(np.divmod(place[todo], sizes[1]))
        for k, key in enumerate(keys):
            h = halves[1 - k % 2].astype(np.uint32) ^ key
            h = (h ^ (h >> 16)) * np.uint32(0x7FEB352D)
            h = (h ^ (h >> 15)) * np.uint32(0x846CA68B)
            h = (h ^ (h >> 16)).astype(np.uint64) * np.uint64(sizes[k % 2])
            halves[k % 2] = (halves[k % 2] + (h >> 32).astype(np.int64)) % sizes[k % 2]
        place[todo] = halves[0] * sizes[1] + halves[1]
        todo = place >= n
    return place


def part_sizes(n, ratios):
    """n in proportion to whole numbers: rounded down, the rest to the largest remainders, ties to the first."""
    n, total = int(n), sum(ratios)
    sizes = [n * r // total for r in ratios]
    for i in sorted(range(len(ratios)), key=lambda i: -(n * ratios[i] % total))[: n - sum(sizes)]:
        sizes[i] += 1
    return np.array(sizes, np.int64)


def parts(numbers, n, sizes, keys):
    """The part of each row: the first sizes[0] places are part 0, the next sizes[1] part 1, ..."""
    return np.searchsorted(np.cumsum(sizes)[:-1], ranks(numbers, n, keys), side="right")


def curves(x, y, s, degrees, folds, count, *, domain):
    """Mean squared errors (training, validation), each (degrees, folds), of a refit for every degree and fold."""
    train, valid = np.empty((2, len(degrees), count))
    for i, degree in enumerate(degrees):
        for k in range(count):
            fit = (folds >= 0) & (folds != k)
            f = np.polynomial.Chebyshev.fit(x[fit], y[fit], degree, domain=domain, w=np.sqrt(s[fit]))
            for out, rows in ((train, fit), (valid, folds == k)):
                out[i, k] = np.average((y[rows] - f(x[rows])) ** 2, weights=s[rows])
    return train, valid


def mapped(x, domain):
    """x in float64 with the ends of the domain at -1 and 1."""
    x, (low, high) = np.asarray(x, float), domain
    return ((x - low) - (high - x)) / (high - low)


def series(x, domain, coefficients):
    """The Chebyshev series of each x, by Clenshaw's recurrence."""
    t, b1, b2 = mapped(x, domain), 0.0, 0.0
    for c in coefficients[:0:-1]:
        b1, b2 = (c + (t + t) * b1) - b2, b1
    return (coefficients[0] + t * b1) - b2


def sums(x, y, s, fold, folds, degree, *, domain, offset=0.0, subtracted=None):
    """(folds, 3P + 4): sum s T_k for k = 0..2P, sum s z T_k for k = 0..P, sum s z^2, rows.

    z is y less the offset and the series `subtracted`. A row of weight 0, or of no fold, counts as dropped; without
    `fold` all rows are of fold 0.
    """
    x, y = np.asarray(x, float), np.asarray(y, float) - offset
    s = np.ones(len(x)) if s is None else np.asarray(s, float)
    out = np.zeros((folds, 3 * degree + 4))
    for k in range(folds):
        rows = (s != 0) & (k == 0 if fold is None else fold == k)
        z = y[rows] - (0 if subtracted is None else series(x[rows], domain, subtracted))
        T = np.polynomial.chebyshev.chebvander(mapped(x[rows], domain), 2 * degree)
        w = s[rows]
        out[k] = [*w @ T, *(w * z) @ T[:, : degree + 1], (w * z) @ z, rows.sum()]
    return out


def split(n, ratios=(7, 2, 1), *, seed):
    """The part of each row, of ratios that are whole numbers."""
    return parts(np.arange(n), n, part_sizes(n, ratios), keys(seed))


def k_fold(n, k, *, seed):
    """The fold of each row: sizes that differ by one at most, the larger ones first."""
    return parts(np.arange(n), n, part_sizes(n, [1] * k), keys(seed, 1))


def select_degree(x, y, degrees, folds, *, sample_weight=None):
    """The degree of the least mean validation error; `folds` are those of the rows, -1 for the test part."""
    s = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, float)
    inside = folds >= 0
    domain = [x[inside].min(), x[inside].max()]
    valid = curves(x, y, s, list(degrees), folds, folds.max() + 1, domain=domain)[1]
    return list(degrees)[int(valid.mean(axis=1).argmin())]
