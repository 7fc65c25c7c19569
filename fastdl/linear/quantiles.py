"""Quantile regression and its lasso: the vertex that minimizes the check loss, with a proof."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike
from fastdl.linear._coordinates import EPS, Coordinates
from fastdl.linear._dependent_columns import bound_all_columns
from fastdl.linear._matrix import DesignMatrix, kernel
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods import vertex as least_absolute
from fastdl.linear.methods._exact_bounds import judge_absolute, needs_exact_sums
from fastdl.linear.methods._vertices import VertexRows
from fastdl.linear.methods.closed_form import least_squares_start
from fastdl.linear.result import Certificate, LinearModel, warn_of_gap

_TOL = 1e-8  # a gap up to which a fit counts as converged
_ROUNDING = 1e-6  # gaps up to this give no warning: where residuals are tiny, rounding alone may make them
_OUTLIER = 1e4  # spreads from the median: rows farther out dominate least squares, which is then no start


@dataclass(frozen=True, eq=False)
class QuantileFit(LinearModel):
    """A linear model of a conditional quantile, with a certificate.

    Attributes
    ----------
    w : ndarray of float64, (D,)
        The weights.
    b : float
        The intercept, 0 where none was fitted.
    tau : float
        The quantile.
    loss : float
        The check loss, ``sum s (tau max(r, 0) + (1 - tau) max(-r, 0))`` of the residuals r, plus ``l1 sum |w_j|``,
        evaluated for (w, b) on the rows as they were given. For tau = 0.5 the check loss is half the absolute loss.
    certificate : Certificate
        No model has a loss below ``certificate.lower``.
    converged : bool
        Whether the gap is at most 1e-8.
    l1 : float
        The penalty of the fit.
    """

    w: Array
    b: float
    tau: float
    loss: float
    certificate: Certificate
    l1: float = 0.0

    @property
    def converged(self) -> bool:
        """Whether the fit is proven to be within a relative gap of 1e-8 of the minimum."""
        return bool(self.certificate.gap <= _TOL)


def fit_quantile(
    X: ArrayLike,
    y: ArrayLike,
    tau: ArrayLike = 0.5,
    *,
    l1: float = 0.0,
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
    threads: int | None = 1,
) -> QuantileFit | tuple[QuantileFit, ...]:
    """Fit the tau quantile of y as a linear model, by minimizing the check loss, and prove that it is the minimum.

    Parameters
    ----------
    X : array_like, (N, D)
        The rows; everything is computed in float64, and the rows are kept in memory.
    y : array_like, (N,)
        The targets.
    tau : float or array_like (T,)
        Quantiles, each above 0 and below 1.
    l1 : float
        The penalty of ``sum |w_j|``, not negative; the intercept has none. It is N alpha of scikit-learn's
        QuantileRegressor; with tau = 0.5 the fit is the LAD-lasso (absolute loss) with a penalty of 2 l1.
    intercept : bool
        Whether to fit b; otherwise it is 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped, one of weight 2 as repeated.
    seed : int
        Seed of the sample of rows that medians are estimated from, where rows are many.
    threads : int or None
        Threads to use; None means all this process may.

    Returns
    -------
    QuantileFit, or a tuple of them for several quantiles

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, a tau outside of 0 and 1.
    InputTypeError
        For what is not numeric.

    Warns
    -----
    NotConverged
        Where the gap is above 1e-6; a smaller one may be rounding alone.

    Notes
    -----
    The method is "vertex" of `fit_lp`: twice the check loss is the absolute loss plus a linear term. The lower bound is
    the dual of Koenker and Bassett (1978), made feasible by mixing it with the dual solution whose value is 0.
    A penalty is written as one more row for each column, of target 0 (Wang, Li and Jiang, "Robust regression shrinkage
    and consistent variable selection through the LAD-lasso", 2007): the same method then gives exact zeros and a proof.

    Examples
    --------
    >>> import fastdl
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [1.0, 1.0, 3.0, 3.0, 4.0, 9.0]
    >>> low, high = fastdl.fit_quantile(X, y, [0.25, 0.75])
    >>> low.w.round(6), round(low.b, 6), high.w.round(6), round(high.b, 6)
    (array([1.]), 0.0, array([1.6]), 1.0)
    """
    taus = np.atleast_1d(_check.floats("tau", tau, (0, 1))).astype(float)
    for value in taus.tolist():
        if not 0 < value < 1:
            raise _check.InputError(f"tau must be above 0 and below 1, got {value}")
    threads = _threads.count(threads)
    l1 = _check.number("l1", l1, 0)
    x, t = _check.floats("X", X, 2), _check.floats("y", y, 1)
    _check.same_length(X=x, y=t)
    given = Rows(x, t, _check.sample_weight(sample_weight, len(t)))
    if l1:
        fits = [_penalized(given, bool(intercept), value, l1, seed, threads) for value in taus.tolist()]
    else:
        fits = _fit_all(given, bool(intercept), taus.tolist(), seed, threads)
    for fit in fits:
        if not fit.certificate.gap <= _ROUNDING:
            warn_of_gap("fit_quantile", fit.certificate, _TOL)
    return tuple(fits) if np.ndim(tau) else fits[0]


def _fit_all(rows: Rows, intercept: bool, taus: list[float], seed: int, threads: int | None) -> list[QuantileFit]:
    """The fit of each quantile, without a penalty."""
    coordinates = Coordinates(rows, intercept, threads)
    gamma, through = least_squares_start(coordinates)
    if through is not None:
        return [QuantileFit(*through, value, 0.0, Certificate.of(0.0, 0.0, "interpolation")) for value in taus]
    robust = RobustCoordinates(coordinates, rows, _check.integer("seed", seed, 0))
    block = least_absolute.in_memory(robust, [robust.scaled(*rows.gathered())])
    return [_fit(robust, rows, block, robust.from_coordinates(gamma), value) for value in taus]


def _penalized(given: Rows, intercept: bool, tau: float, l1: float, seed: int, threads: int | None) -> QuantileFit:
    """The lasso: each column has a row of weight 2 l1 and target 0, half of whose absolute residual is the penalty."""
    X, y, s = given.gathered()
    n, d = X.shape
    X = np.concatenate([X, np.eye(d)])
    if intercept:
        X = np.column_stack([X, np.append(np.ones(n), np.zeros(d))])
    weights = np.append(np.ones(n) if s is None else s, np.full(d, 2 * l1))
    rows = Rows(X, np.append(y, np.zeros(d)), weights)
    coordinates = Coordinates(rows, False, threads)
    gamma, through = least_squares_start(coordinates)
    # Weights that are 0 at the vertex come out of its linear system as rounding errors, below every target's last bit.
    least = 16 * EPS * np.abs(y).max(initial=0) / np.maximum(np.abs(X[:n, :d]).max(axis=0, initial=0), 1e-300)
    w, _ = coordinates.model(gamma) if through is None else through
    if through is not None and (np.abs(w[:d]) <= least).all():
        b = float(w[d]) if intercept else 0.0
        return QuantileFit(np.zeros(d), b, tau, 0.0, Certificate.of(0.0, 0.0, "interpolation"), l1)
    robust = RobustCoordinates(coordinates, rows, _check.integer("seed", seed, 0))
    block = least_absolute.in_memory(robust, [robust.scaled(*rows.gathered())])
    lean = (2 * tau - 1) * np.append(np.ones(n), np.zeros(d))
    w, _, _, lower = _solution(robust, rows, block, robust.from_coordinates(gamma), lean)
    w, b = np.where(np.abs(w[:d]) <= least, 0.0, w[:d]), float(w[d]) if intercept else 0.0
    loss = check_loss(given, w, b, tau, threads) + l1 * float(np.add.reduce(np.abs(w)))
    kind = "vertex" if loss - lower <= 1e-9 * loss else "dual"
    return QuantileFit(w, b, tau, loss, Certificate.of(loss, lower, kind), l1)


def _fit(
    robust: RobustCoordinates, rows: Rows, block: tuple[DesignMatrix, Array, Array], gamma: Array, tau: float
) -> QuantileFit:
    """The fit of one quantile without a penalty; `block` holds the rows in the robust coordinates."""
    coordinates = robust.coordinates
    w, b, loss, lower = _solution(robust, rows, block, gamma, np.full(len(block[1]), 2 * tau - 1))
    loss = check_loss(rows, w, b, tau, coordinates.threads) if loss is None else loss
    kind = "vertex" if loss - lower <= 1e-9 * loss else "dual"

    def bound(other: Rows) -> tuple[float, int]:
        again = Coordinates(other, coordinates.intercept, coordinates.threads)
        start, through = least_squares_start(again)
        if through is not None:
            return 0.0, again.rank
        robust = RobustCoordinates(again, other)
        block = least_absolute.in_memory(robust, [robust.scaled(*other.gathered())])
        lean = np.full(len(block[1]), 2 * tau - 1)
        return _solution(robust, other, block, robust.from_coordinates(start), lean)[3], again.rank

    certificate = bound_all_columns(Certificate.of(loss, lower, kind), coordinates, bound)
    return QuantileFit(w, b, tau, loss, certificate)


def _solution(
    robust: RobustCoordinates, rows: Rows, block: tuple[DesignMatrix, Array, Array], gamma: Array, lean: Array
) -> tuple[Array, float, float | None, float]:
    """(w, b, check loss, lower bound of it): the loss, half of sum s (|r| + lean r), is None where not yet evaluated.

    `lean` is 2 tau - 1 for each row, and 0 for the rows of a penalty.
    """
    A, t, s = block
    if not robust.rank:
        return *robust.model(gamma), None, 0.0
    g = -A.products(lean * s)
    far = max(float(np.abs(A.Z).max(initial=0)), float(np.abs(t).max(initial=0))) > _OUTLIER
    if far or not np.isfinite(gamma).all():
        gamma = np.zeros(A.width)
    proof, _ = least_absolute.solve_vertex(A, t, s, g, gamma)
    if proof is None:
        return *robust.model(gamma), None, 0.0
    w, b = robust.model(proof.gamma)
    if needs_exact_sums(robust.coordinates):
        twice, lower = judge_absolute(robust.coordinates, rows, (w, b), proof.dual, lean)
        return w, b, twice / 2, lower / 2
    return w, b, None, _lower_bound(robust, VertexRows(A, t, s, g), proof.gamma, proof.dual, lean) / 2 / robust.y_factor


def _lower_bound(robust: RobustCoordinates, rows: VertexRows, gamma: Array, dual: Array, lean: Array) -> float:
    """A lower bound of twice the check loss, by dual values within -1 and 1.

    Where [1, Z]' (s dual) differs from g, by rounding or more, the dual values are changed by up to `change` to make it
    equal. They may then exceed 1, so they are mixed with the constant -lean, a dual solution of value 0.
    """
    A, t, s, g = rows.A, rows.t, rows.s, rows.g
    r = A.minus(t, gamma)
    loss = float(np.add.reduce(s * (np.abs(r) + lean * r)))
    slack = float(np.add.reduce(s * (np.abs(r) - dual * r)))
    T = robust.whitening
    with np.errstate(all="ignore"):
        try:
            leverage = np.sqrt(((A.rows(np.arange(len(t))) @ np.linalg.inv(T)) ** 2).sum(axis=1).max())
            off = np.linalg.solve(T, np.linalg.solve(T.T, A.products(s * dual) - g))
        except np.linalg.LinAlgError:
            return 0.0
        change = float(np.abs(A.dot(off)).max())
        change += 8 * EPS * np.sqrt(np.add.reduce(s)) * robust.condition() * leverage
        sizes = float(np.add.reduce(s * (np.abs(t) + robust.term_sizes(A, gamma))))
        lower = loss - slack - change * float(np.add.reduce(s * np.abs(r))) - 2 * EPS * (A.width + 4) * sizes
        lower *= 1 - change / (1 + change - float(np.abs(lean).max(initial=0)))
    return max(0.0, lower) if np.isfinite(lower) else 0.0


def check_loss(rows: Rows, w: Array, b: float, tau: float, threads: int | None) -> float:
    """The check loss of a model as it is returned, on the rows as they were given."""
    nothing, weights = np.zeros(len(w)), _check.contiguous(w, np.float64)

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r = np.empty(len(y))
        kernel.residuals(X, y, weights, b, nothing, r)
        value = np.where(r > 0, tau * r, (tau - 1) * r)
        return np.add.reduce(value if s is None else s * value)

    total = rows.total(work, threads)
    return 0.0 if total is None else float(total)
