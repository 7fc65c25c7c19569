"""The selection kernels in NumPy, with the names and arguments of the compiled ones, for where these are not built."""

import numpy as np

from fastdl.reference import selection

BLOCK = 4096  # rows that are summed at once

# --- splits


def ranks(start, numbers, n, rows, columns, keys, out):
    """Write the places of these rows in the permutation; without `numbers`, of consecutive rows from `start` on."""
    out[:] = selection.ranks(np.arange(start, start + len(out)) if numbers is None else numbers, n, keys)


def part_codes(start, n, rows, columns, keys, bounds, out):
    """Write the part of each of the consecutive rows from `start` on: the number of bounds at or below its place."""
    places = selection.ranks(np.arange(start, start + len(out)), n, keys)
    out[:] = np.searchsorted(bounds, places, side="right")


# --- polynomials


def block_sums(x, y, s, fold, how, out, scratch, ends):
    """Write the sums of each block, (blocks, folds, 3P + 4), of y - offset - the series `subtracted`.

    how: (low, high, offset, subtracted).
    """
    low, high, offset, subtracted = how
    folds, degree = out.shape[1], (out.shape[2] - 4) // 3
    how = {"domain": (low, high), "offset": offset, "subtracted": subtracted}
    with np.errstate(all="ignore"):
        for part, at in zip(out, range(0, len(x), BLOCK)):
            a, b, c, k = (None if v is None else v[at : at + BLOCK] for v in (x, y, s, fold))
            part[:] = selection.sums(a, b, c, k, folds, degree, **how)


def series(x, low, high, coefficients, out):
    """The Chebyshev series of each x by Clenshaw's recurrence."""
    with np.errstate(all="ignore"):
        out[:] = selection.series(x, (low, high), coefficients)
