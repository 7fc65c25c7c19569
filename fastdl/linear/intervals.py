"""Standard errors and confidence intervals of the coefficients of a linear fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Loss, RowsLike
from fastdl.linear._coordinates import Coordinates
from fastdl.linear._matrix import kernel
from fastdl.linear._rank_inversion import rank_intervals
from fastdl.linear._student import normal_quantile, student_quantile
from fastdl.linear.fit import find_fit
from fastdl.linear.methods.closed_form import fit_in_coordinates
from fastdl.linear.quantiles import QuantileFit, find_quantile
from fastdl.linear.result import LpFit

COVARIANCES = ("classical", "HC0", "HC1", "HC2", "HC3", "kernel", "rank", "bootstrap")
#: The power of which a way is; the bootstrap is for any.
_POWERS = {"kernel": 1, "rank": 1} | dict.fromkeys(COVARIANCES[:5], 2)


@dataclass(frozen=True, eq=False)
class CoefficientIntervals:
    """A linear fit with the standard errors and confidence intervals of its coefficients.

    Coefficients are b and then w. Those that the rows do not determine, as the weights of dependent columns, are NaN.

    Attributes
    ----------
    fit : LpFit or QuantileFit
        The model.
    covariance : str
        The estimator of the covariance that was used, "auto" resolved.
    level : float
        The confidence level: the probability that an interval covers the true coefficient.
    standard_errors : ndarray, (D + 1,)
        Of b and w; that of b is 0 without an intercept. "rank" gives none: they are NaN, as is the matrix.
    intervals : ndarray, (D + 1, 2)
        The lower and the upper end of each interval.
    covariance_matrix : ndarray, (D + 1, D + 1)
        The covariance matrix of the coefficients.
    degrees_of_freedom : float
        Degrees of freedom of the t distribution used; inf where the normal distribution or the bootstrap was.
    """

    fit: LpFit | QuantileFit
    covariance: str
    level: float
    standard_errors: Array
    intervals: Array
    covariance_matrix: Array
    degrees_of_freedom: float


def estimate_intervals(
    X: RowsLike,
    y: ArrayLike | None = None,
    p: Loss = 2.0,
    *,
    level: float = 0.95,
    covariance: str = "auto",
    tau: float = 0.5,
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    resamples: int = 500,
    seed: int = 0,
    threads: int | None = 1,
) -> CoefficientIntervals:
    """Fit a linear model by `fit_lp`, with standard errors and confidence intervals of its coefficients.

    Parameters
    ----------
    X, y, p, intercept, sample_weight, threads
        As in `fit_lp`, of one target; chunks for p = 2.
    level : float
        The confidence level, above 0 and below 1: the probability that an interval covers the true coefficient.
    covariance : str
        For p = 2 "classical", of errors of one variance, or "HC0" to "HC3", of errors of any variances; for p = 1
        "kernel" and "rank"; for any p "bootstrap". "auto" is "classical" for p = 2, "kernel" for p = 1, else
        "bootstrap".
    tau : float
        For p = 1 the quantile that is fitted, by `fit_quantile` unless it is the median.
    resamples : int
        Resamples of the bootstrap, at least 2.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    CoefficientIntervals

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, a covariance or tau that does not fit p, weights with
        "kernel" and "rank".
    InputTypeError
        For what is not numeric.

    Notes
    -----
    With A = [1, X], the residuals r of n rows and k coefficients, and V = (A' S A)^-1:

    - classical: ``V sum s r^2 / (n - k)``; the intervals are Student's of n - k degrees of freedom.
    - HC0 to HC3: ``V (sum s^2 c r^2 a a') V`` with c = 1, n / (n - k), 1 / (1 - h), 1 / (1 - h)^2, h = s a' V a being a
      row's leverage (White, 1980; MacKinnon and White, 1985); normal intervals.
    - kernel: ``V tau (1 - tau) / f^2``, f the density of the residuals at 0 by Epanechnikov's kernel, with Hall and
      Sheather's bandwidth (Koenker, "Quantile regression", 2005, 3.4); Student's intervals, as statsmodels gives.
    - rank: the values of a coefficient that a rank test does not reject (Koenker, "Confidence intervals for regression
      quantiles", 1994), with Student's quantiles of n - k degrees of freedom, interpolated between the values at which
      the test changes: what R's quantreg gives by ``summary(rq(...), se="rank")`` at 0.9. They need no density, are
      not symmetric, and infinite where the rows are too few for the level.
    - bootstrap: rows drawn with their targets, n of n; the standard deviation of the coefficients of the fits, and
      their quantiles as intervals (Efron and Tibshirani, 1993, 9.5 and 13).

    A weight of s says that a row's error has variance 1 / s; it is not a count of rows.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((1000, 1))
    >>> found = fastdl.estimate_intervals(X, 2 * X[:, 0] + rng.standard_normal(1000))
    >>> found.standard_errors.round(2), bool(found.intervals[1, 0] < 2 < found.intervals[1, 1])
    (array([0.03, 0.03]), True)
    """
    level, tau = _check.number("level", level, 0, 1, above=True), _check.number("tau", tau, 0, 1, above=True)
    if level >= 1 or tau >= 1:
        raise _check.InputError(f"{'level' if level >= 1 else 'tau'} must be below 1, got {max(level, tau)}")
    if tau != 0.5 and p != 1:
        raise _check.InputError(f"tau is for p = 1, got p = {p}")
    covariance = _covariance(covariance, p)
    threads = _threads.count(threads)
    if covariance == "bootstrap":
        how = {"tau": tau, "intercept": intercept, "sample_weight": sample_weight, "threads": threads}
        resamples = _check.integer("resamples", resamples, 2)
        return _bootstrap(X, y, p, level, resamples, _check.integer("seed", seed, 0), **how)
    rows = Rows(X, y, sample_weight)
    coordinates = Coordinates(rows, bool(intercept), threads)
    fit: LpFit | QuantileFit
    if p == 1:
        if sample_weight is not None or y is None:
            raise _check.InputError(f"covariance {covariance!r} is for arrays without sample_weight: take 'bootstrap'")
        fit = _fit(X, y, 1.0, tau=tau, intercept=intercept, sample_weight=None, threads=threads)
        if covariance == "rank":
            return _by_ranks(coordinates, fit, tau, level)
        matrix = _kernel_variance(rows, fit, coordinates.y_factor, tau) * _inverse_gram(coordinates)
    else:
        fit = fit_in_coordinates(coordinates, rows)
        matrix = _least_squares_covariance(coordinates, fit, covariance)
    freedom = float(coordinates.count - coordinates.rank)
    matrix = _of_coefficients(coordinates, matrix if freedom > 0 else np.full_like(matrix, np.nan))
    with np.errstate(over="ignore", under="ignore"):  # of y in units of 1e200, the variance is beyond any float
        errors = np.sqrt(np.maximum(matrix.diagonal(), 0)) / coordinates.y_factor
        matrix = matrix / np.float64(coordinates.y_factor) / coordinates.y_factor
    freedom = freedom if covariance in ("classical", "kernel") else float("inf")
    half = _critical_value(level, freedom) * errors
    middle = np.append(fit.b, fit.w)
    intervals = np.column_stack([middle - half, middle + half])
    return CoefficientIntervals(fit, covariance, level, errors, intervals, matrix, freedom)


def _covariance(covariance: str, p: Loss) -> str:
    """The name of the estimator, "auto" resolved; one that is not for this p is an error."""
    _check.one_of("covariance", covariance, ("auto", *COVARIANCES))
    if covariance == "auto":
        return "classical" if p == 2 else "kernel" if p == 1 else "bootstrap"
    if covariance != "bootstrap" and p != _POWERS[covariance]:
        raise _check.InputError(f"covariance {covariance!r} is for p = {_POWERS[covariance]}, got p = {p}")
    return covariance


def _fit(X: Any, y: Any, p: Loss, *, tau: float, **how: Any) -> LpFit | QuantileFit:
    """The fit of a loss, or of a quantile."""
    return find_fit(X, y, p, **how) if tau == 0.5 else find_quantile(X, y, tau, **how)


def _by_ranks(coordinates: Coordinates, fit: LpFit | QuantileFit, tau: float, level: float) -> CoefficientIntervals:
    """The intervals that invert rank tests."""
    freedom = float(coordinates.count - coordinates.rank)
    unknown = np.full(coordinates.rows.columns + 1, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = _of_coefficients(coordinates, _inverse_gram(coordinates)).diagonal() if freedom > 0 else unknown
        reach = _critical_value(level, freedom) * np.sqrt(tau * (1 - tau) / variance)
    intervals = rank_intervals(coordinates, coordinates.rows, tau, reach)
    if not coordinates.intercept:
        intervals[0] = 0.0
    return CoefficientIntervals(fit, "rank", level, unknown, intervals, np.diag(unknown) * np.nan, freedom)


def _critical_value(level: float, freedom: float) -> float:
    if freedom <= 0:
        return float("nan")
    probability = (1 + level) / 2
    return normal_quantile(probability) if np.isinf(freedom) else student_quantile(probability, freedom)


def _inverse_gram(coordinates: Coordinates) -> Array:
    half = np.linalg.inv(coordinates.R) if coordinates.rank else coordinates.R
    return np.asarray(half @ half.T)


def _residuals(rows: Rows, X: Array, y: Array, fit: LpFit | QuantileFit) -> Array:
    r = np.empty(len(y))
    kernel.residuals(X, y, np.ascontiguousarray(fit.w), fit.b, np.zeros(rows.columns), r)
    return r


def _least_squares_covariance(coordinates: Coordinates, fit: LpFit, covariance: str) -> Array:
    """The covariance of the coefficients in the coordinates of the fit: classical, or HC0 to HC3."""
    V, k, left = _inverse_gram(coordinates), coordinates.rank, coordinates.count - coordinates.rank
    if covariance == "classical":

        def squares(X: Array, y: Array, s: Array | None) -> Array:
            r = _residuals(coordinates.rows, X, y, fit) * coordinates.y_factor
            return np.add.reduce(r * r if s is None else s * r * r)

        total = coordinates.rows.total(squares, coordinates.threads)
        return V * (0.0 if total is None else float(total) / max(left, 1))
    half = np.linalg.inv(coordinates.R) if k else coordinates.R

    def work(X: Array, y: Array, s: Array | None) -> Array:
        s = np.ones(len(y)) if s is None else s
        columns = coordinates.columns(X)
        c = (s * _residuals(coordinates.rows, X, y, fit) * coordinates.y_factor) ** 2
        if covariance in ("HC2", "HC3"):
            h = s * ((coordinates.dense(columns) @ half) ** 2).sum(axis=1)
            rest = np.where(1 - h > 1e-12, 1 - h, np.nan)  # leverage 1: the row determines a coefficient alone
            c = c / (rest if covariance == "HC2" else rest * rest)
        return coordinates.grams(columns, np.zeros(len(y)), c)[:k, :k]

    meat = coordinates.rows.total(work, coordinates.threads)
    if meat is None:
        return V
    if covariance == "HC1":
        meat = meat * (coordinates.count / max(left, 1))
    return np.asarray(V @ meat @ V)


def _of_coefficients(coordinates: Coordinates, matrix: Array) -> Array:
    """The covariance of (b, w) times y_factor^2; NaN for what the rows do not determine."""
    d = coordinates.rows.columns
    w, b = coordinates.model(np.zeros(coordinates.rank))
    change = np.zeros((d + 1, coordinates.rank))
    for i, unit in enumerate(np.eye(coordinates.rank)):
        moved_w, moved_b = coordinates.model(unit)
        change[:, i] = np.append(moved_b - b, moved_w - w) * coordinates.y_factor
    result = change @ matrix @ change.T
    unknown = np.ones(d, bool)
    unknown[slice(None) if coordinates.kept is None else coordinates.kept] = False
    if coordinates._null_space.size:
        share = np.abs(coordinates._null_space / coordinates.factor[:, None])
        unknown |= (share > 1e-8 * share.max(axis=0)).any(axis=1)
    unknown = np.append(bool(np.any(unknown & (coordinates.shift != 0))) and coordinates.intercept, unknown)
    result[unknown], result[:, unknown] = np.nan, np.nan
    return np.asarray(result)


def _kernel_variance(rows: Rows, fit: LpFit | QuantileFit, unit: float, tau: float) -> float:
    """Tau (1 - tau) / f^2, f the density of the residuals at 0, of y times `unit`."""
    X, y, _ = rows.gathered()
    n, r = len(y), _residuals(rows, X, y, fit) * unit
    y = (y - np.median(y)) * unit if n else y
    if not n:
        return float("nan")
    middle = normal_quantile(tau)
    density = float(np.exp(-middle * middle / 2)) / np.sqrt(2 * np.pi)  # of the normal distribution there
    share = n ** (-1 / 3) * normal_quantile(0.975) ** (2 / 3)
    share *= (1.5 * density**2 / (2 * middle * middle + 1)) ** (1 / 3)
    low, high = np.quantile(r, [0.25, 0.75])
    if not share < min(tau, 1 - tau):
        return float("nan")
    with np.errstate(over="ignore"):
        spread = min(float(np.std(y)), float(high - low) / 1.34)
    width = spread * (normal_quantile(tau + share) - normal_quantile(tau - share))
    if not width > 0:
        return float("nan")
    u = np.clip(r / width, -1, 1)
    f = float((0.75 * (1 - u * u)).sum()) / (n * width)
    return tau * (1 - tau) / (f * f) if f > 0 else float("nan")


def _bootstrap(
    X: RowsLike,
    y: ArrayLike | None,
    p: Loss,
    level: float,
    resamples: int,
    seed: int,
    *,
    sample_weight: ArrayLike | None,
    **how: Any,
) -> CoefficientIntervals:
    """The fit and its bootstrap: a resample is a fit whose weights count how often each row was drawn."""
    if y is None:
        raise _check.InputError("the bootstrap is for arrays: give X and y")
    x, t = _check.rows("X", X), _check.floats("y", y, 1)
    n = _check.same_length(X=x, y=t)
    s = _check.sample_weight(sample_weight, n)
    fit = _fit(x, t, p, sample_weight=s, **how)
    drawn = np.empty((resamples, 1 + x.shape[1]))
    for k in range(resamples):
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, k])))
        counts = np.bincount(random.integers(0, n, n), minlength=n).astype(float) if n else np.zeros(0)
        again = _fit(x, t, p, sample_weight=counts if s is None else counts * s, **how)
        drawn[k] = np.append(again.b, again.w)
    matrix = np.atleast_2d(np.cov(drawn, rowvar=False))
    intervals = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0).T
    errors = np.sqrt(matrix.diagonal())
    return CoefficientIntervals(fit, "bootstrap", level, errors, intervals, matrix, float("inf"))
