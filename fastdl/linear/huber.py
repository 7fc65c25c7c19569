"""Huber's robust regression, with a proof of how near to the least loss it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Progress
from fastdl.linear._coordinates import Coordinates
from fastdl.linear._dependent_columns import bound_all_columns
from fastdl.linear._extreme_units import MOST, Units, divide_weights, divided, exponent_of
from fastdl.linear._huber_steps import HuberProblem, newton, start_near
from fastdl.linear._matrix import kernel
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods.closed_form import least_squares_start
from fastdl.linear.result import Certificate, LinearModel, warn_of_gap


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
    x, t = _check.rows("X", X), _check.floats("y", y, 1)
    _check.same_length(X=x, y=t)
    seed = _check.integer("seed", seed, 0)
    weights, exponent = divide_weights(_check.sample_weight(sample_weight, len(t)))
    units = Units(exponent, _target_exponent(t, weights, delta))
    rows = Rows(x, divided(t, units.targets) if units.targets else t, weights, table=X)
    fit = _fit(
        rows, float(divided(delta, units.targets)), bool(intercept),
        tol=tol, steps=steps, seed=seed, threads=threads, progress=progress,
    )  # fmt: skip
    if units:
        history = dict(fit.history)
        if "loss" in history:
            history["loss"] = units.loss(history["loss"], 2)
        fit = replace(
            fit, w=units.target(fit.w), b=float(units.target(fit.b)), delta=delta, loss=float(units.loss(fit.loss, 2)),
            certificate=units.certificate(fit.certificate, 2), history=history,
        )  # fmt: skip
    if not fit.converged:
        warn_of_gap("fit_huber", fit.certificate, tol)
    return fit


def _target_exponent(y: Array, weights: ArrayLike | None, delta: float) -> int:
    """By which power of two to divide targets and delta, so that losses are floats; 0 where they are."""
    most = exponent_of(y, weights)
    both = most + min(most, int(np.frexp(delta)[1]))
    return 0 if abs(both) <= MOST else (both - int(np.copysign(MOST, both))) // 2


def _fit(
    rows: Rows,
    delta: float,
    intercept: bool,
    *,
    tol: float,
    steps: int,
    seed: int,
    threads: int | None,
    progress: Progress | None,
) -> HuberFit:
    coordinates = Coordinates(rows, intercept, threads)
    gamma, through = least_squares_start(coordinates)
    if through is not None:
        return HuberFit(*through, delta, 0.0, Certificate.of(0.0, 0.0, "interpolation"), True)
    robust = RobustCoordinates(coordinates, rows, seed)
    problem = HuberProblem(robust, rows, delta)
    gamma = start_near(robust, rows, problem, robust.from_coordinates(gamma), seed)
    gamma, lower, history = newton(problem, gamma, tol, steps, progress)
    w, b = robust.model(gamma)
    loss, unit = huber_loss(rows, w, b, delta, threads), np.float64(robust.y_factor)
    with np.errstate(over="ignore", under="ignore"):
        history["loss"] = history["loss"] / unit / unit
        certificate = Certificate.of(loss, float(lower / unit / unit), "dual")

    def bound(other: Rows) -> tuple[float, int]:
        again = Coordinates(other, intercept, threads)
        robust = RobustCoordinates(again, other)
        problem = HuberProblem(robust, other, delta)
        start = start_near(robust, other, problem, robust.from_coordinates(least_squares_start(again)[0]), seed)
        lower = newton(problem, start, tol, steps, None)[1]
        return lower / robust.y_factor / robust.y_factor, again.rank

    certificate = bound_all_columns(certificate, coordinates, bound)
    converged = float(history["gap"][-1]) <= max(tol, 1e-12)
    return HuberFit(w, b, delta, loss, certificate, converged, history)


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

    total = rows.total(work, threads, raw=True)
    return 0.0 if total is None else float(total)
