"""The choice of a degree: the rows, the passes over them, the curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._row_buffer import select_rows
from fastdl._rows import source
from fastdl.features.basis import vandermonde
from fastdl.linear.fit import fit_lp
from fastdl.losses.lp import lp_loss
from fastdl.selection._qr_pass import Factors
from fastdl.selection._row_blocks import points
from fastdl.selection._solvers import EPS, ILL, Gram, Triangle
from fastdl.selection.polynomial import Polynomial, ProductPolynomial, interval
from fastdl.selection.polynomial_stats import PolynomialStats
from fastdl.selection.splits import Split

Array = np.ndarray

_LOSS = 1e-10  # the relative error of a squared error that a pass may leave
_FEW = 10  # rows for each coefficient, up to which orthogonal factors are as cheap as sums


@dataclass(frozen=True, eq=False)
class DegreeSelection:
    """What `select_degree` finds.

    Attributes
    ----------
    degrees : ndarray of int, (M,)
        Ascending.
    train, valid : ndarray of float64, (M,)
        The mean over folds of the mean loss |y - f(x)|^p, of the fit without the fold: on the rows of the fit, and on
        those of the fold.
    train_se, valid_se : ndarray of float64, (M,)
        Their standard errors: the standard deviation over folds, divided by the root of their number.
    test : ndarray of float64, (M,)
        The mean loss on the test part, of `models`; NaN where no rows were set aside.
    train_folds, valid_folds : ndarray of float64, (M, K)
        The losses fold by fold.
    best : int
        The degree of the least validation loss.
    one_se : int
        The lowest degree whose validation loss is within a standard error of the least.
    models : list of Polynomial, or of ProductPolynomial for several columns
        Of each degree, fitted to all rows outside the test part.
    model : Polynomial or ProductPolynomial
        That of the chosen degree.
    determined : int
        Degrees below this have one fit only, in every fold.
    method : str
        "moments", "moments, two passes", "QR" or "fit_lp".
    passes : int
        How often the data were read.
    p : float
        The power.
    notes : list of str
        What was warned of.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> x = np.linspace(-1, 1, 400)
    >>> choice = fastdl.select_degree(x, np.round(3 * x**2, 1), range(5))
    >>> choice.best, choice.valid[:3].round(3)
    (2, array([0.815, 0.824, 0.001]))
    """

    degrees: Array
    train: Array
    valid: Array
    test: Array
    train_se: Array
    valid_se: Array
    train_folds: Array
    valid_folds: Array
    best: int
    one_se: int
    models: Sequence[Polynomial | ProductPolynomial]
    model: Polynomial | ProductPolynomial
    determined: int
    method: str
    passes: int
    p: float = 2.0
    notes: list[str] = field(default_factory=list)

    def predict(self, x: Any, *, out: Array | None = None, threads: int | None = 1) -> Array:
        """The values of `model` at x."""
        if isinstance(self.model, ProductPolynomial):
            return self.model.predict(x, threads=threads)
        return self.model.predict(x, out=out, threads=threads)

    def plot(self, axes: Any = None) -> Any:
        """Draw the curves on matplotlib axes (new ones by default), with both degrees marked; returns the axes.

        The loss on the test part is shown for the chosen degree alone.
        """
        if axes is None:
            axes = _check.extra("matplotlib.pyplot", "report", "plot").subplots()[1]
        for name, mean, error in (("training", self.train, self.train_se), ("validation", self.valid, self.valid_se)):
            axes.errorbar(self.degrees, mean, error, marker="o", markersize=4, capsize=3, label=name)
        at = int(np.flatnonzero(self.degrees == self.model.degree)[0])
        if np.isfinite(self.test[at]):  # of the chosen degree alone: the others' would invite a choice by it
            axes.plot(self.degrees[at], self.test[at], "s", markersize=6, label="test, of the chosen degree")
        for degree, line, label in (
            (self.best, "-", "least validation loss"),
            (self.one_se, ":", "one standard error"),
        ):
            axes.axvline(degree, color="0.5", linestyle=line, linewidth=1, label=f"{label}: {degree}")
        positive = np.concatenate([self.train, self.valid]) > 0
        axes.set(xlabel="degree", ylabel=f"mean of |residual|^{self.p:g}", yscale="log" if positive.all() else "linear")
        axes.legend(fontsize=8)
        return axes


class Points:
    """x, y and weights, from arrays or chunks; their domain, number, and folds."""

    def __init__(self, x: Any, y: Any, sample_weight: Any, domain: Any, n: int | None, threads: int | None):
        self._again: Callable[[], Iterable[Any]]
        if y is None:
            self._again = source(x, None, sample_weight)
            self.n = -1 if n is None else _check.integer("n", n, 1)
        else:
            rows = points((x, y, sample_weight))[:3]
            self._again, self.n = (lambda: [rows]), len(rows[0])
        self.domain = None if domain is None else interval(domain)
        self.passes, self.threads = 0, threads
        if self.n < 0 or self.domain is None:
            self._measure()

    def _measure(self) -> None:
        low, high, n = np.inf, -np.inf, 0
        for x, y, s, _ in self._checked(0):
            kept = x if s is None else x[s != 0]
            if len(kept):
                least, most = float(kept.min()), float(kept.max())
                if not (np.isfinite(least) and np.isfinite(most)):
                    PolynomialStats._refuse((x, y, s, None), n)
                low, high = min(low, least), max(high, most)
            n += len(x)
        self.n = n
        if low > high:
            raise _check.InputError("there are no rows of weight above 0")
        if self.domain is None:
            wide = (high - low) or max(abs(low), 1.0)
            self.domain = (low, high) if high > low else (low - wide, high + wide)

    def given_folds(self, folds: Any) -> None:
        """The fold of each row by the user; -1 for the test part."""
        folds = _check.array("folds", folds, ("i", "u"), 1)
        if len(folds) != self.n:
            raise _check.InputError(f"folds must have one number for each of {self.n} rows, got {len(folds)}")
        if folds.min() < -1 or folds.max() < 1:
            raise _check.InputError(f"folds must be -1, or 0 to 1 or more, got {folds.min()} to {folds.max()}")
        self.count = int(folds.max()) + 1
        codes = np.where(folds < 0, self.count, folds).astype(np.int32)
        self._folds = lambda start, stop: codes[start:stop]

    def split_by(self, split: Split, count: int) -> None:
        """The first `count` parts are the folds; what is left is the test part."""
        if split.n != self.n:
            raise _check.InputError(f"folds must be of {self.n} rows, got folds of {split.n}")
        self.count = count
        self._folds = lambda start, stop: split._range(start, stop, np.int32, None, self.threads)

    def chunks(self) -> Iterator[tuple[Any, ...]]:
        """(x, y, s, folds), where fold K is the test part."""
        yield from self._checked(self.n)

    def _checked(self, expected: int) -> Iterator[tuple[Any, ...]]:
        self.passes += 1
        start = 0
        for chunk in self._again():
            rows = points(chunk, start)
            for first in range(0, len(rows[0]), 1 << 22):  # the folds of so many at once
                x, y, s, _ = select_rows(rows, slice(first, first + (1 << 22)))
                stop = start + len(x)
                if expected and stop > expected:
                    raise _check.InputError(f"there are more rows than n = {expected}")
                yield x, y, s, self._folds(start, stop) if expected else None
                start = stop
        if start < expected:
            raise _check.InputError(f"there are only {start} rows, but n = {expected}")


def _joined(a: Any, b: Any) -> Any:
    return type(a).joined((a, b))


@dataclass
class _Losses:
    """Sums of one pass: those of each fold and of the test part, joined to what each fit sees."""

    parts: Sequence[Any]
    less: Array  # the polynomial that the sums' y is less by
    degrees: Sequence[int]

    def __post_init__(self) -> None:
        *folds, self.test = self.parts
        self.folds = folds
        # Each fit sees the folds before its own and those after it: two running sums, and no subtraction.
        before, after = (list(accumulate(order, _joined)) for order in (folds, folds[::-1]))
        self.all = before[-1]
        inner = [_joined(a, b) for a, b in zip(before, after[-3::-1])]
        self.train = [after[-2], *inner, before[-2]]
        self.determined = min(part.determined for part in [*self.train, self.all])

    @cached_property
    def curves(self) -> tuple[Array, Array]:
        """(training, validation) mean squared errors, (degrees, folds)."""
        train, valid = np.empty((2, len(self.degrees), len(self.folds)))
        for k, (rest, held) in enumerate(zip(self.train, self.folds)):
            for i, v in enumerate(rest.fits(self.less, self.degrees)):
                train[i, k] = max(0.0, rest.sse(v)) / rest.weight
                valid[i, k] = max(0.0, held.sse(v)) / held.weight
        return train, valid

    def models(self) -> tuple[Array, Array]:
        """Coefficients of each degree, (degrees, P + 1), and mean squared errors on the test part."""
        V = self.all.fits(self.less, self.degrees)
        test = [max(0.0, self.test.sse(v)) / self.test.weight if self.test.weight else np.nan for v in V]
        return self.less + V, np.array(test)


def least_squares(points: Points, degrees: list[int], p: float, rule: str, threads: int | None) -> DegreeSelection:
    """Sums of one pass; of a second where they have lost digits; factors where these would not do either."""
    assert points.domain is not None
    P, method = degrees[-1], "QR"
    offset = 0.0
    if points.n > _FEW * (P + 1) * points.count:
        losses, offset, sound = _sums(points, degrees, None, threads)
        method = "moments"
        if not sound and losses.determined > P:
            first = losses.all.fits(losses.less, [P])[0]
            offset, first[0] = offset + first[0], 0.0  # one subtraction, so that y is rounded once
            losses, offset, sound = _sums(points, degrees, Polynomial(first, points.domain), threads, offset)
            method = "moments, two passes"
        if not sound:
            method = "QR"
    if method == "QR":
        factors = Factors(P, points.domain, points.count + 1, offset)
        for chunk in points.chunks():
            factors.update(chunk)
        _rows_in(triangles := factors.triangles())
        losses = _Losses(triangles, np.zeros(P + 1), degrees)
    (train, valid), (coefficients, test) = losses.curves, losses.models()
    coefficients[:, 0] += offset
    models = [Polynomial(c[: d + 1], points.domain) for c, d in zip(coefficients, degrees)]
    how = {"method": method, "passes": points.passes, "p": p, "rule": rule}
    return select(degrees, train, valid, test, models, determined=losses.determined, **how)  # type: ignore[arg-type]


def _sums(
    points: Points, degrees: list[int], less: Polynomial | None, threads: int | None, offset: float | None = None
) -> tuple[_Losses, float, bool]:
    """The sums of a pass, the offset of y, and whether squared errors from them keep their digits."""
    P = degrees[-1]
    stats = PolynomialStats(P, domain=points.domain, folds=points.count + 1, offset=offset, less=less, threads=threads)
    for chunk in points.chunks():
        stats.update(chunk)
    grams = stats.grams()
    _rows_in(grams)
    losses = _Losses(grams, stats._less, degrees)
    if losses.determined <= P:
        return losses, stats.offset or 0.0, False
    train, valid = losses.curves
    lost = 0.0
    for k, (rest, held) in enumerate(zip(losses.train, losses.folds)):
        for part, curve in ((rest, train[:, k]), (held, valid[:, k])):
            least = curve.min() * part.weight
            ratio = part.yy / least if least > 0 else np.inf
            lost = max(lost, EPS * ratio, EPS * rest.condition * np.sqrt(ratio))
    return losses, stats.offset or 0.0, lost < _LOSS or (less is not None and losses.all.condition < ILL)


def _rows_in(parts: Sequence[Gram | Triangle]) -> None:
    for k, part in enumerate(parts[:-1]):
        if not part.weight:
            raise _check.InputError(f"every fold must have rows of weight above 0, got none in fold {k}")


def select(
    degrees: list[int],
    train: Array,
    valid: Array,
    test: Array,
    models: Sequence[Polynomial | ProductPolynomial],
    *,
    determined: int,
    method: str,
    passes: int,
    p: float,
    rule: str,
) -> DegreeSelection:
    """The result: means and standard errors over folds, and the two degrees."""
    root = np.sqrt(train.shape[1])
    mean, error = valid.mean(axis=1), valid.std(axis=1, ddof=1) / root
    notes = []
    usable = sum(d < determined for d in degrees) or len(degrees)
    if degrees[-1] >= determined:
        notes.append(
            f"x has too few distinct values, or too small a part of the domain, for degrees above {determined - 1}: "
            "their fits are those of the smallest norm, and none of them is chosen"
        )
    mean = np.where(np.isnan(mean), np.inf, mean)
    best = int(np.argmin(mean[:usable]))
    least = int(np.argmax(mean[:usable] <= mean[best] + error[best]))
    picked = best if rule == "min" else least
    return DegreeSelection(
        degrees=np.array(degrees),
        train=train.mean(axis=1),
        valid=mean,
        test=test,
        train_se=train.std(axis=1, ddof=1) / root,
        valid_se=error,
        train_folds=train,
        valid_folds=valid,
        best=degrees[best],
        one_se=degrees[least],
        models=models,
        model=models[picked],
        determined=determined,
        method=method,
        passes=passes,
        p=p,
        notes=notes,
    )


def least_powers(points: Points, degrees: list[int], p: float, rule: str, threads: int | None) -> DegreeSelection:
    """Every degree and fold fitted by `fit_lp`; their losses from one read of the columns."""
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
        fit = fit_lp(np.ascontiguousarray(X[rows, :degree]), y[rows], p, sample_weight=s[rows], threads=threads)
        return np.array([fit.b, *fit.w, *np.zeros(degrees[-1] - degree)])

    def losses(rows: Array, C: Array, **more: Any) -> Array:
        # Without columns there is nothing to multiply; a column of zeros does no harm.
        wide = X[rows] if X.shape[1] else np.zeros((int(rows.sum()), 1))
        W = C[:, 1:] if X.shape[1] else np.zeros((len(C), 1))
        return lp_loss(
            wide, y[rows], np.ascontiguousarray(W), C[:, 0].copy(), p, sample_weight=s[rows], reduction="mean",
            threads=threads, **more,
        )  # fmt: skip

    C = np.array([fitted(dev & (fold != k), d) for d in degrees for k in range(K)])
    held = {"folds": fold[dev], "held_out": np.tile(np.arange(K), len(degrees))}
    train, valid = (losses(dev, C, **held, part=part).reshape(-1, K) for part in ("train", "test"))
    refits = np.array([fitted(dev, d) for d in degrees])
    test = losses(~dev, refits) if not dev.all() else np.full(len(degrees), np.nan)
    models = [Polynomial(c[: d + 1], points.domain) for c, d in zip(refits, degrees)]
    distinct = min(len(np.unique(x[dev & (fold != k)])) for k in range(K))
    how = {"method": "fit_lp", "passes": points.passes, "p": p, "rule": rule}
    return select(degrees, train, valid, test, models, determined=distinct, **how)  # type: ignore[arg-type]
