"""Sums of Chebyshev polynomials fold by fold, and series of them."""

import numpy as np


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


def sums(x, y, s, fold, folds, degree, domain, offset=0.0, less=None):
    """(folds, 3P + 4): sum s T_k for k = 0..2P, sum s z T_k for k = 0..P, sum s z^2, rows.

    z is y less the offset and the series `less`; a row of weight 0, or of no fold, counts as dropped.
    """
    x, y = np.asarray(x, float), np.asarray(y, float) - offset
    s = np.ones(len(x)) if s is None else np.asarray(s, float)
    out = np.zeros((folds, 3 * degree + 4))
    for k in range(folds):
        rows = s != 0 if fold is None else (s != 0) & (fold == k)
        z = y[rows] - (0 if less is None else series(x[rows], domain, less))
        T = np.polynomial.chebyshev.chebvander(mapped(x[rows], domain), 2 * degree)
        w = s[rows]
        out[k] = [*w @ T, *(w * z) @ T[:, : degree + 1], (w * z) @ z, rows.sum()]
    return out
