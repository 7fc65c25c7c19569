"""Huber's robust regression, with a proof of how near to the least loss it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Progress
from fastdl.linear._coordinates import EPS, Coordinates
from fastdl.linear._dependent_columns import bound_all_columns
from fastdl.linear._matrix import DesignMatrix, factorize, kernel
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods import vertex as least_absolute
from fastdl.linear.methods.closed_form import least_squares_start
from fastdl.linear.result import Certificate, LinearModel, warn_of_gap
from fastdl.streaming import ProgressEvent

# Distances from the median, in spreads.
_CLIPPED = 1e9  # targets farther out are moved here: their slope is delta anyway, and this keeps the others' digits
_OUTLIER = 1e4  # rows farther out dominate least squares, whose model is then no good start
_BRACKETINGS = 60  # cuts of the bracket of a line search
_REGULARISATION = 1e-10  # share of all rows' Gram matrix that is added to that of rows within delta


@dataclass(frozen=True, eq=False)
class HuberFit(LinearModel):
    """The linear model that minimizes ``sum s h(y - <w, x> - b)`` with Huber's loss h.

    h(r) is r^2 / 2 for |r| up to delta, and delta |r| - delta^2 / 2 beyond.

    Attributes
    ----------
    w : ndarray of float64, (D,)
        The weights.
    b : float
        The intercept, 0 where none was fitted.
    delta : float
        The absolute residual, in units of y, up to which the loss is quadratic.
    loss : float
        Evaluated for (w, b) on the rows as they were given.
    certificate : Certificate
        No model has a loss below ``certificate.lower``: the value of a dual solution.
    converged : bool
        Whether the gap, rounding errors aside, reached `tol`.
    history : mapping of str to ndarray
        "loss" and "gap" step by step.
    """

    w: Array
    b: float
    delta: float
    loss: float
    certificate: Certificate
    converged: bool
    history: Mapping[str, Array] = field(default_factory=dict)


def fit_huber(
    X: ArrayLike,
    y: ArrayLike,
    delta: float = 1.345,
    *,
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    tol: float = 1e-8,
    steps: int = 200,
    seed: int = 0,
    threads: int | None = 1,
    progress: Progress | None = None,
) -> HuberFit:
    """Fit a linear model by Huber's loss, which is robust to outliers of y, and prove how near to the minimum it is.

    Parameters
    ----------
    X : array_like, (N, D)
        The rows; everything is computed in float64, and the rows are kept in memory.
    y : array_like, (N,)
        The targets.
    delta : float
        The absolute residual, above 0 and in units of y, from which on the loss is linear. 1.345 times the standard
        deviation of normal errors gives 95 % of the efficiency of least squares (Huber, 1964).
    intercept : bool
        Whether to fit b; otherwise it is 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped, one of weight 2 as repeated.
    tol : float
        The relative gap that counts as converged; a fit that does not reach it warns.
    steps : int
        Newton steps at most.
    seed : int
        Seed of the sample of rows that medians are estimated from, where rows are many.
    threads : int or None
        Threads to use; None means all this process may.
    progress : callable, optional
        Called with a `ProgressEvent` after each step; ``details["gap"]`` is the gap.

    Returns
    -------
    HuberFit

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, a delta that is not above 0.
    InputTypeError
        For what is not numeric.

    Notes
    -----
    Newton's method on the rows within delta with an exact line search (Madsen and Nielsen, "Finite algorithms for
    robust linear regression", 1990), in columns about their medians: it ends after finitely many steps. The lower bound
    is the Fenchel dual: for |a| <= delta with sum s a [1, x] = 0, every loss is at least sum s (a y - a^2 / 2). At the
    minimum the residuals clipped to delta are such an a; elsewhere their imbalance, and rounding errors, lower the
    bound.

    Examples
    --------
    >>> import fastdl
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0]], [1.0, 3.0, 5.0, 7.0, 90.0]
    >>> fit = fastdl.fit_huber(X, y, 0.01)
    >>> fit.w.round(2), round(fit.b, 2), fit.certificate.gap < 1e-12
    (array([2.]), 1.0, True)
    """
    delta, tol = _check.number("delta", delta, 0, above=True), _check.number("tol", tol, 0, above=True)
    steps, threads = _check.integer("steps", steps, 1), _threads.count(threads)
    x, t = _check.floats("X", X, 2), _check.floats("y", y, 1)
    _check.same_length(X=x, y=t)
    rows = Rows(x, t, _check.sample_weight(sample_weight, len(t)))
    coordinates = Coordinates(rows, bool(intercept), threads)
    gamma, through = least_squares_start(coordinates)
    if through is not None:
        return HuberFit(*through, delta, 0.0, Certificate.of(0.0, 0.0, "interpolation"), True)
    robust = RobustCoordinates(coordinates, rows, _check.integer("seed", seed, 0))
    problem = _Problem(robust, rows, delta)
    gamma, lower, history = _newton(problem, robust.from_coordinates(gamma), tol, steps, progress)
    w, b = robust.model(gamma)
    loss, unit = huber_loss(rows, w, b, delta, threads), np.float64(robust.y_factor)
    with np.errstate(over="ignore", under="ignore"):
        history["loss"] = history["loss"] / unit / unit
        certificate = Certificate.of(loss, float(lower / unit / unit), "dual")

    def bound(other: Rows) -> tuple[float, int]:
        again = Coordinates(other, bool(intercept), threads)
        robust = RobustCoordinates(again, other)
        start = robust.from_coordinates(least_squares_start(again)[0])
        lower = _newton(_Problem(robust, other, delta), start, tol, steps, None)[1]
        return lower / robust.y_factor / robust.y_factor, again.rank

    certificate = bound_all_columns(certificate, coordinates, bound)
    converged = float(history["gap"][-1]) <= max(tol, 1e-12)
    if not converged:
        warn_of_gap("fit_huber", certificate, tol)
    return HuberFit(w, b, delta, loss, certificate, converged, history)


class _Problem:
    """The rows about their medians and delta in their units; losses, slopes, bounds and steps of Newton's method."""

    def __init__(self, robust: RobustCoordinates, rows: Rows, delta: float):
        self.robust, self.delta = robust, delta * robust.y_factor
        block: tuple[DesignMatrix, Array, Array] = least_absolute.in_memory(robust, [robust.scaled(*rows.gathered())])
        self.A, self.t, self.s = block
        self.given = self.t
        if self.A.width:
            self.t = np.clip(self.t, -_CLIPPED, _CLIPPED)
        self.far = max(float(np.abs(self.A.Z).max(initial=0)), float(np.abs(self.t).max(initial=0))) > _OUTLIER
        #: A bound, in units of delta, of the change of dual values that makes up for rounding in products with columns.
        self.rounding = 0.0
        if self.A.width:
            with np.errstate(all="ignore"):
                inverse = np.linalg.pinv(robust.whitening)
                leverage = np.sqrt(((self.A.rows(np.arange(len(self.t))) @ inverse) ** 2).sum(axis=1).max(initial=0))
            self.rounding = float(8 * EPS * np.sqrt(np.add.reduce(self.s)) * robust.condition() * leverage)

    def loss(self, r: Array) -> float:
        """The loss of residuals."""
        cut = np.minimum(np.abs(r), self.delta)
        return float(np.add.reduce(self.s * cut * (np.abs(r) - cut / 2)))

    def slopes(self, r: Array) -> tuple[Array, Array]:
        """The residuals clipped to delta, and their products with the columns."""
        a = np.clip(r, -self.delta, self.delta)
        return a, self.A.products(self.s * a)

    def proven_bound(self, gamma: Array) -> float:
        """A lower bound of the loss on the rows as given, less a bound of its rounding errors."""
        r = self.A.minus(self.given, gamma)
        return self.lower_bound(gamma, r, *self.slopes(r), rounding=self.rounding * self.delta)

    def lower_bound(self, gamma: Array, r: Array, a: Array, off: Array, *, rounding: float = 0.0) -> float:
        """A lower bound of the loss, by a dual solution near a, whose products with the columns are `off`, not 0."""
        s, T = self.s, self.robust.whitening
        with np.errstate(all="ignore"):
            try:
                change = float(np.abs(self.A.dot(np.linalg.solve(T, np.linalg.solve(T.T, off)))).max())
            except np.linalg.LinAlgError:
                return 0.0
            change += rounding
            share = self.delta / (self.delta + change)
            sizes = np.abs(self.given) + self.robust.term_sizes(self.A, gamma)
            value = float(np.add.reduce(s * a * r)) - change * float(np.add.reduce(s * np.abs(r)))
            square = float(np.add.reduce(s * (np.abs(a) + change) ** 2))
            lost = (rounding > 0) * 2 * EPS * (self.A.width + 4) * self.delta * float(np.add.reduce(s * sizes))
            lower = share * value - share * share * square / 2 - lost
            lower -= (rounding > 0) * 64 * EPS * (abs(value) + square)
        return max(0.0, lower) if np.isfinite(lower) else 0.0

    def direction(self, r: Array, slope: Array, all_rows: Array) -> Array:
        """Newton's step: the least squares step of the rows within delta."""
        inside = self.A.gram(self.s * (np.abs(r) <= self.delta))
        return factorize(inside + _REGULARISATION * all_rows)(slope)

    def reach(self, r: Array, change: Array) -> float:
        """The step length that minimizes the loss: where its derivative, which increases, is 0."""

        def falls(share: float) -> float:
            return float(np.add.reduce(self.s * np.clip(r - share * change, -self.delta, self.delta) * change))

        low, high, at_low, at_high = 0.0, 1.0, falls(0.0), falls(1.0)
        enough = 1e-9 * abs(at_low)
        if abs(at_high) <= enough:
            return 1.0
        while at_high > 0 and high < 1e12:
            low, high, at_low = high, 4 * high, at_high
            at_high = falls(high)
        side = 0
        for _ in range(_BRACKETINGS):  # regula falsi; the Illinois rule halves an end kept twice (Dowell, Jarratt 1971)
            middle = low + (high - low) * at_low / (at_low - at_high) if at_low > at_high else (low + high) / 2
            here = falls(middle)
            if abs(here) <= enough or not low < middle < high:
                return middle
            if here > 0:
                low, at_low = middle, here
                at_high = at_high / 2 if side > 0 else at_high
                side = 1
            else:
                high, at_high = middle, here
                at_low = at_low / 2 if side < 0 else at_low
                side = -1
        return (low + high) / 2


def _newton(
    problem: _Problem, gamma: Array, tol: float, steps: int, progress: Progress | None
) -> tuple[Array, float, dict[str, Array]]:
    """(gamma, lower bound, history)."""
    A = problem.A
    if not A.width:
        loss = problem.loss(problem.t)
        return gamma, loss, {"loss": np.array([loss]), "gap": np.zeros(1)}
    if problem.far or not np.isfinite(gamma).all():
        gamma = np.zeros(A.width)
    r, all_rows = A.minus(problem.t, gamma), A.gram(problem.s)
    loss, best, lower, losses, gaps = problem.loss(r), gamma, 0.0, [], []
    for done in range(1, steps + 1):
        a, off = problem.slopes(r)
        lower = max(lower, problem.lower_bound(gamma, r, a, off))
        losses.append(loss)
        gaps.append((loss - lower) / loss if loss > 0 else 0.0)
        if progress is not None:
            with np.errstate(over="ignore", under="ignore"):
                users = float(np.float64(loss) / problem.robust.y_factor / problem.robust.y_factor)
            progress(ProgressEvent(done, steps, "steps", users, {"gap": gaps[-1]}))
        if loss - lower <= 1e-3 * tol * loss:
            break
        step = problem.direction(r, off, all_rows)
        gamma = gamma + problem.reach(r, A.dot(step)) * step
        r = A.minus(problem.t, gamma)
        after = problem.loss(r)
        if not after < loss:
            if loss - lower <= tol * loss or not after <= loss * (1 + 4 * EPS) or done > steps // 2:
                break
        else:
            best = gamma
        loss = min(loss, after)
    return best, problem.proven_bound(best), {"loss": np.array(losses), "gap": np.array(gaps)}


def huber_loss(rows: Rows, w: Array, b: float, delta: float, threads: int | None) -> float:
    """The Huber loss of a model as it is returned, on the rows as they were given."""
    nothing, weights = np.zeros(len(w)), _check.contiguous(w, np.float64)

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r = np.empty(len(y))
        kernel.residuals(X, y, weights, b, nothing, r)
        cut = np.minimum(np.abs(r), delta)
        with np.errstate(over="ignore", under="ignore"):
            value = cut * (np.abs(r) - cut / 2)
            return np.add.reduce(value if s is None else s * value)

    total = rows.total(work, threads)
    return 0.0 if total is None else float(total)
