"""Cross-validation fits: each degree without each fold, from sums of products, QR factors, or by fit_lp."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array
from fastdl.features.basis import vandermonde
from fastdl.linear.fit import find_fit
from fastdl.losses.lp import lp_loss
from fastdl.selection._degree_rows import FoldedPoints
from fastdl.selection._qr_pass import QrPass
from fastdl.selection._solvers import EPS, ILL, ChebyshevSums, TriangularFactor
from fastdl.selection.degree_selection import DegreeSelection, select
from fastdl.selection.polynomial import Polynomial
from fastdl.selection.polynomial_stats import PolynomialStats

_LARGEST_ERROR = 1e-10  # relative, of a mean squared error: beyond, another pass or QR is used
_FEW = 10  # rows for each coefficient, up to which QR factors are as cheap as sums


Sums = ChebyshevSums | TriangularFactor


def _joined(a: Sums, b: Sums) -> Sums:
    """The sums over the rows of both."""
    return type(a).joined((a, b))  # type: ignore[arg-type]


@dataclass
class _Losses:
    """The mean squared errors of all fits, from the sums of each fold and, last, of the test part."""

    parts: Sequence[Sums]
    subtracted: Array  # the polynomial that was subtracted from y before the sums were taken
    degrees: Sequence[int]

    def __post_init__(self) -> None:
        folds: list[Sums] = list(self.parts[:-1])
        self.folds, self.test = folds, self.parts[-1]
        # The training rows of a fold are the folds before and after it: two running sums, without a subtraction.
        before: list[Sums] = list(accumulate(folds, _joined))
        after: list[Sums] = list(accumulate(folds[::-1], _joined))
        self.all = before[-1]
        inner = [_joined(a, b) for a, b in zip(before, after[-3::-1])]
        self.train = [after[-2], *inner, before[-2]]
        self.determined = min(part.determined for part in [*self.train, self.all])

    @cached_property
    def curves(self) -> tuple[Array, Array]:
        """(training, validation) mean squared errors, (degrees, folds)."""
        train, valid = np.empty((2, len(self.degrees), len(self.folds)))
        for k, (rest, held) in enumerate(zip(self.train, self.folds)):
            for i, v in enumerate(rest.fits(self.subtracted, self.degrees)):
                train[i, k] = max(0.0, rest.sse(v)) / rest.weight
                valid[i, k] = max(0.0, held.sse(v)) / held.weight
        return train, valid

    def models(self) -> tuple[Array, Array]:
        """Coefficients of each degree, (degrees, P + 1), and mean squared errors on the test part."""
        V = self.all.fits(self.subtracted, self.degrees)
        test = [max(0.0, self.test.sse(v)) / self.test.weight if self.test.weight else np.nan for v in V]
        return self.subtracted + V, np.array(test)


def least_squares(
    points: FoldedPoints, degrees: list[int], p: float, rule: str, threads: int | None
) -> DegreeSelection:
    """The choice for p = 2: sums of one pass; of a second where digits were lost; QR factors where that fails too."""
    assert points.domain is not None
    P, method = degrees[-1], "QR"
    offset = 0.0
    if points.n > _FEW * (P + 1) * points.count:
        losses, offset, sound = _sums(points, degrees, None, threads)
        method = "moments"
        if not sound and losses.determined > P:
            first = losses.all.fits(losses.subtracted, [P])[0]
            offset, first[0] = offset + first[0], 0.0  # subtract both constants at once, so that y is rounded once
            losses, offset, sound = _sums(points, degrees, Polynomial(first, points.domain), threads, offset)
            method = "moments, two passes"
        if not sound:
            method = "QR"
    if method == "QR":
        factors = QrPass(P, points.domain, points.count + 1, offset)
        for chunk in points.chunks():
            factors.update(chunk)
        _check_folds(triangles := factors.triangles())
        losses = _Losses(triangles, np.zeros(P + 1), degrees)
    (train, valid), (coefficients, test) = losses.curves, losses.models()
    coefficients[:, 0] += offset
    models = [Polynomial(c[: d + 1], points.domain) for c, d in zip(coefficients, degrees)]
    how = {"method": method, "passes": points.passes, "p": p, "rule": rule}
    return select(degrees, train, valid, test, models, determined=losses.determined, **how)  # type: ignore[arg-type]


def _sums(
    points: FoldedPoints,
    degrees: list[int],
    subtracted: Polynomial | None,
    threads: int | None,
    offset: float | None = None,
) -> tuple[_Losses, float, bool]:
    """The sums of a pass, the offset of y, and whether squared errors computed from them are accurate enough."""
    P = degrees[-1]
    stats = PolynomialStats(
        P, domain=points.domain, folds=points.count + 1, offset=offset, subtracted=subtracted, threads=threads
    )
    for chunk in points.chunks():
        stats.update(chunk)
    grams = stats.grams()
    _check_folds(grams)
    losses = _Losses(grams, stats._subtracted, degrees)
    if losses.determined <= P:
        return losses, stats.offset or 0.0, False
    train, valid = losses.curves
    lost = 0.0
    for k, (rest, held) in enumerate(zip(losses.train, losses.folds)):
        for part, curve in ((rest, train[:, k]), (held, valid[:, k])):
            assert isinstance(part, ChebyshevSums)  # as `grams` are
            least = curve.min() * part.weight
            ratio = part.yy / least if least > 0 else np.inf
            lost = max(lost, EPS * ratio, EPS * rest.condition * np.sqrt(ratio))
    return losses, stats.offset or 0.0, lost < _LARGEST_ERROR or (subtracted is not None and losses.all.condition < ILL)


def _check_folds(parts: Sequence[Sums]) -> None:
    """Raise where a fold has no row of weight above 0."""
    for k, part in enumerate(parts[:-1]):
        if not part.weight:
            raise _check.InputError(f"every fold must have rows of weight above 0, got none in fold {k}")


def least_powers(points: FoldedPoints, degrees: list[int], p: float, rule: str, threads: int | None) -> DegreeSelection:
    """The choice for other p: every degree and fold is fitted by `fit_lp`, and all losses come from one read of X."""
    assert points.domain is not None
    parts: list[tuple[Any, ...]] = [
        tuple(None if a is None else np.array(a) for a in chunk) for chunk in points.chunks()
    ]
    x, y = (np.concatenate([part[i] for part in parts]).astype(float) for i in (0, 1))
    s = np.concatenate([np.ones(len(fold)) if s is None else s.astype(float) for _, _, s, fold in parts])
    fold = np.concatenate([part[3] for part in parts])
    keep = s != 0
    x, y, s, fold = x[keep], y[keep], s[keep], fold[keep]
    _check.finite("x", x)
    _check.finite("y", y)
    K = points.count
    dev = fold < K
    for k in range(K):
        if not (fold == k).any():
            raise _check.InputError(f"every fold must have rows of weight above 0, got none in fold {k}")
    X = vandermonde(x, degrees[-1], basis="chebyshev", domain=points.domain, threads=threads)[:, 1:]

    def fitted(rows: Array, degree: int) -> Array:
        fit = find_fit(np.ascontiguousarray(X[rows, :degree]), y[rows], p, sample_weight=s[rows], threads=threads)
        return np.array([fit.b, *fit.w, *np.zeros(degrees[-1] - degree)])

    def losses(rows: Array, C: Array, **more: Any) -> Array:
        # `lp_loss` needs a column: for degree 0 that is one of zeros.
        wide = X[rows] if X.shape[1] else np.zeros((int(rows.sum()), 1))
        W = C[:, 1:] if X.shape[1] else np.zeros((len(C), 1))
        return lp_loss(
            wide, y[rows], np.ascontiguousarray(W), C[:, 0].copy(), p, sample_weight=s[rows], reduction="mean",
            threads=threads, **more,
        )  # fmt: skip

    C = np.array([fitted(dev & (fold != k), d) for d in degrees for k in range(K)])
    held = {"folds": fold[dev], "held_out": np.tile(np.arange(K), len(degrees))}
    train, valid = (losses(dev, C, **held, part=part).reshape(-1, K) for part in ("train", "test"))
    held_out = [(X[fold == k], y[fold == k], s[fold == k]) for k in range(K)]
    against = _differences(held_out, C.reshape(len(degrees), K, -1), p)
    refits = np.array([fitted(dev, d) for d in degrees])
    test = losses(~dev, refits) if not dev.all() else np.full(len(degrees), np.nan)
    models = [Polynomial(c[: d + 1], points.domain) for c, d in zip(refits, degrees)]
    distinct = min(len(np.unique(x[dev & (fold != k)])) for k in range(K))
    how = {"method": "fit_lp", "passes": points.passes, "p": p, "rule": rule, "against": against}
    return select(degrees, train, valid, test, models, determined=distinct, **how)  # type: ignore[arg-type]


def _differences(held_out: list[tuple[Array, Array, Array]], C: Array, p: float) -> Array | None:
    """By how much the mean losses of models C (degrees, folds, coefficients) exceed that of the lowest degree.

    Differences are taken row by row, before they are summed: in a sum of losses an outlier would take the digits of all
    other rows. None where a loss is beyond the largest float.
    """
    out = np.empty(C.shape[:2])
    with np.errstate(over="ignore", invalid="ignore"):
        for k, (X, y, s) in enumerate(held_out):
            predicted = C[:, k, 0] + np.einsum("nj,dj->nd", X, C[:, k, 1 : 1 + X.shape[1]])
            losses = np.abs(y[:, None] - predicted) ** p
            out[:, k] = (s[:, None] * (losses - losses[:, :1])).sum(axis=0) / s.sum()
    return out if np.isfinite(out).all() else None
