"""Hostile data of fits, a few rows of one to three columns, and the forms in which a fit is given them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = ("integers", "ties", "clusters", "sentinel", "collinear", "rounded", "copies", "scales", "normal", "far")
BORDERS = (4096, 8192, 16384, 20000, 32768, 40000, 65536, 131072)  # where blocks, bands and samples begin
WEIGHTS = ("none", "none", "counts", "counts", "zeros", "spread", "huge one", "tiny one", "common")
_MANY = 0.003  # of the data sets have as many rows as fill a block


@dataclass
class Data:
    """Rows as they are judged (X, y, s), and as they are given to a fit."""

    kind: str
    X: Any
    y: Any
    s: Any
    given: tuple[Any, Any, Any]
    intercept: bool

    def __str__(self):
        ones = "" if self.intercept else ", no intercept"
        return f"{self.kind}{ones}, {self.X.tolist()}, {self.y.tolist()}, {self.s.tolist()}"


def draw(rng):
    """A data set of one of the hostile kinds."""
    n, d = int(rng.integers(2, 9)), int(rng.choice([1, 1, 1, 2, 2, 3]))
    kind = str(rng.choice(KINDS))
    X, y = _rows(rng, kind, n, d)
    weights, given = _weighted(rng, X, y)
    return Data(kind, X, y, weights, given, bool(rng.random() < 0.85))


def _rows(rng, kind, n, d):
    X, y = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-2, 3, n).astype(float)
    if kind == "ties":
        k = rng.integers(0, n, n)
        return X[k], y[k]
    if kind == "clusters":
        X += np.where(rng.random(n) < 0.5, 0.0, 10.0 ** rng.integers(2, 9))[:, None]
    elif kind == "sentinel":
        X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
        y[rng.integers(n)] = rng.choice([-9999, 1e14, 1e20, 9.96921e36, -1e300])
        if rng.random() < 0.3:
            X[rng.integers(n)] = rng.choice([-9999, 1e6, 1e8, 9.96921e36])
    elif kind == "collinear" and d > 1:
        X[:, 1] = X[:, 0] * 3 + rng.integers(-2, 3, n) * 2.0 ** -int(rng.integers(10, 46))
    elif kind == "rounded" and d > 1:  # one column in two units
        X[:, 0] = np.round(rng.normal(20, 5, n), 1) * rng.choice([1, 1e8])
        X[:, 1] = X[:, 0] * 1.8 + 32 + rng.choice([0, 1e-9, 1e-3]) * rng.integers(-2, 3, n)
    elif kind == "copies":
        X[:, -1] = rng.choice([0.0, 1.0, 7.0]) if d == 1 or rng.random() < 0.3 else X[:, 0] * rng.choice([1, -2, 0.1])
    elif kind == "scales":  # so that neither weights, y / X, nor losses leave the range of floats
        size = int(rng.choice([20, 150, 450]))
        X *= 2.0 ** rng.integers(-size, size, d)
        y *= 2.0 ** int(rng.integers(-size, size))
    elif kind == "far":  # of columns far from 0 even the mean, a float, is rounded
        X += 2.0 ** rng.integers(30, 52, d)
        y = rng.standard_normal(n) + rng.choice([0, 2.0**40])
        if rng.random() < 0.3:
            X[rng.integers(n)] *= 2.0 ** int(rng.integers(10, 150))
    elif kind == "normal":
        X, y = rng.standard_normal((n, d)) + rng.choice([0, 1e6]), rng.standard_normal(n) + rng.choice([0, 1e6])
        if rng.random() < 0.2:
            X, y = X.astype(np.float32).astype(float), y.astype(np.float32).astype(float)
    return X, y


def _weighted(rng, X, y):
    """(weights, what is given): counts also as rows in any order, rarely as many as fill a block."""
    n = len(y)
    if rng.random() < _MANY:
        N = int(rng.choice(BORDERS)) + int(rng.integers(-1, 2))
        k = rng.permutation(np.concatenate([np.arange(n), rng.integers(0, n, N - n)]))
        return np.bincount(k, minlength=n).astype(float), (X[k], y[k], None)
    kind = str(rng.choice(WEIGHTS))
    s = np.ones(n)
    if kind == "none":
        return s, (X, y, None)
    if kind == "counts":
        s = rng.integers(1, 6, n).astype(float)
        if rng.random() < 0.5:
            k = rng.permutation(np.repeat(np.arange(n), s.astype(int)))
            return s, (X[k], y[k], None)
    elif kind == "zeros":
        s = rng.integers(0, 3, n).astype(float)
        s[rng.integers(n)] = 1.0
        X, y = X.copy(), y.copy()
        X[s == 0], y[s == 0] = rng.choice([np.nan, np.inf, 1e300, 0.0]), rng.choice([np.nan, -np.inf, 1e20])
    elif kind == "spread":
        s = 2.0 ** rng.integers(-20, 20, n)
    elif kind == "huge one":
        s[rng.integers(n)] = 2.0 ** int(rng.integers(10, 60))
    elif kind == "tiny one":
        s[rng.integers(n)] = 2.0 ** -int(rng.integers(10, 60))
    else:
        s = rng.integers(1, 4, n) * 2.0 ** int(rng.choice([-500, -200, 200, 500]))
    return s, (X, y, s)
