"""The choice of a degree for several columns: products of columns up to each degree, fitted without each fold."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike
from fastdl.linear.fit import find_fit
from fastdl.losses.lp import lp_loss
from fastdl.selection.degree_selection import DegreeSelection, select
from fastdl.selection.polynomial import ProductPolynomial, product_columns


class ProductRows:
    """X (N, D), y, weights and the fold of each row, in memory."""

    def __init__(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None):
        self.X = _check.floats("x", X, 2).astype(np.float64, copy=False)
        self.y = _check.floats("y", y, 1).astype(np.float64, copy=False)
        self.n = _check.same_length(x=self.X, y=self.y)
        s = _check.sample_weight(sample_weight, self.n)
        self.s = np.ones(self.n) if s is None else s
        counts = self.s > 0
        _check.finite("x", np.where(counts[:, None], self.X, 0.0))
        _check.finite("y", np.where(counts, self.y, 0.0))
        if not counts.any():
            raise _check.InputError("there are no rows of weight above 0")
        self.low, self.high = self.X[counts].min(axis=0), self.X[counts].max(axis=0)
        self.counts = counts


def fit_products(
    rows: ProductRows, degrees: list[int], fold: Array, count: int, *, p: float, rule: str, threads: int | None
) -> DegreeSelection:
    """Fit every degree without each fold by `fit_lp`. Only degrees whose columns are then independent can be chosen."""
    X, y, s, fold = (a[rows.counts] for a in (rows.X, rows.y, rows.s, fold))
    outside = fold < count
    train, valid = np.full((2, len(degrees), count), np.nan)
    test, models, determined = np.full(len(degrees), np.nan), [], 0
    for i, degree in enumerate(degrees):
        columns = product_columns(X, degree, rows.low, rows.high, threads)
        full = True

        def fitted(some: Array, columns: Array = columns) -> Array:
            fit = find_fit(np.ascontiguousarray(columns[some, 1:]), y[some], p, sample_weight=s[some], threads=threads)
            return np.array([fit.b, *fit.w])

        def loss(some: Array, c: Array, columns: Array = columns) -> float:
            value = lp_loss(columns[some], y[some], c, 0.0, p, sample_weight=s[some], reduction="mean", threads=threads)
            return float(value)

        for k in range(count):
            held, rest = fold == k, outside & (fold != k)
            if not held.any():
                raise _check.InputError(f"every fold must have rows of weight above 0, got none in fold {k}")
            full = full and rest.sum() >= columns.shape[1] == np.linalg.matrix_rank(columns[rest])
            if full:
                c = fitted(rest)
                train[i, k], valid[i, k] = loss(rest, c), loss(held, c)
        if full and determined == i:
            determined = i + 1
        c = fitted(outside)
        models.append(ProductPolynomial(c, degree, rows.low, rows.high))
        if not outside.all():
            test[i] = loss(~outside, c)
    if not determined:
        raise _check.InputError(f"there are too few rows for degree {degrees[0]} without each fold")
    highest = degrees[determined] if determined < len(degrees) else degrees[-1] + 1
    how = {"method": "fit_lp", "passes": 1, "p": p, "rule": rule}
    return select(degrees, train, valid, test, models, determined=highest, **how)  # type: ignore[arg-type]
