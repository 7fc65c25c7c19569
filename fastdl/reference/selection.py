"""Splits: where rows come to stand in a keyed permutation; degrees: every fold refitted."""

import numpy as np


def grid(n):
    """(rows, columns) of the nearly square grid of at least n cells, in which less than one row is left over."""
    rows = max(1, int(np.ceil(np.sqrt(n))))
    return rows, max(1, -(-n // rows))


def keys(seed, stream=0):
    """Eight round keys: `stream` keeps apart what is drawn from one seed."""
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


def curves(x, y, s, degrees, folds, count, domain):
    """Mean squared errors (training, validation), each (degrees, folds), of a refit for every degree and fold."""
    train, valid = np.empty((2, len(degrees), count))
    for i, degree in enumerate(degrees):
        for k in range(count):
            fit = (folds >= 0) & (folds != k)
            f = np.polynomial.Chebyshev.fit(x[fit], y[fit], degree, domain=domain, w=np.sqrt(s[fit]))
            for out, rows in ((train, fit), (valid, folds == k)):
                out[i, k] = np.average((y[rows] - f(x[rows])) ** 2, weights=s[rows])
    return train, valid
