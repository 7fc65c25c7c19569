"""Quantile regression, its lasso and its ridge: the least check loss, with a proof, for one quantile or more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike
from fastdl.linear._coordinates import EPS, Coordinates
from fastdl.linear._dependent_columns import bound_all_columns
from fastdl.linear._extreme_units import Units, divide_weights, divided_penalty
from fastdl.linear._matrix import DesignMatrix, kernel
from fastdl.linear._penalized_quantiles import PenalizedQuantile
from fastdl.linear._penalties import penalty_pairs
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods import vertex as least_absolute
from fastdl.linear.methods._exact_bounds import judge_absolute, needs_exact_sums
from fastdl.linear.methods._kept_signs import AbsoluteProblem, solve_vertex
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
        The check loss, ``sum s (tau max(r, 0) + (1 - tau) max(-r, 0))`` of the residuals r, evaluated for (w, b) on the
        rows as they were given: half the absolute loss for tau = 0.5. With penalties ``l1 sum |w_j| + l2 |w|^2`` more.
    certificate : Certificate
        No model has a loss below ``certificate.lower``.
    converged : bool
        Whether the gap is at most 1e-8.
    l1, l2 : float
        The penalties of the fit.
    """

    w: Array
    b: float
    tau: float
    loss: float
    certificate: Certificate
    l1: float = 0.0
    l2: float = 0.0

    @property
    def converged(self) -> bool:
        """Whether the fit is proven to be within a relative gap of 1e-8 of the minimum."""
        return bool(self.certificate.gap <= _TOL)


def fit_quantile(
    X: ArrayLike,
    y: ArrayLike,
    tau: ArrayLike = 0.5,
    *,
    l1: ArrayLike = 0.0,
    l2: ArrayLike = 0.0,
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
    l1, l2 : float or array_like (P,)
        The penalties of ``sum |w_j|`` and ``|w|^2``, not negative; the intercept has none. With tau = 0.5, l1 gives the
        LAD-lasso of absolute loss and a penalty of 2 l1; l1 is N alpha of scikit-learn's QuantileRegressor. Arrays are
        a path, of one tau.
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
    QuantileFit, or a tuple of them for several quantiles or for a path

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, a tau outside of 0 and 1, penalties that are negative, a
        path of several quantiles.
    InputTypeError
        For what is not numeric.

    Warns
    -----
    NotConverged
        Where the gap is above 1e-6; a smaller one may be rounding alone.

    Notes
    -----
    As method "vertex" of `fit_lp`: twice the check loss is the absolute loss and a linear term. The bound is the dual
    of Koenker and Bassett (1978), brought to feasibility by mixing it with the dual solution that proves 0.
    A penalty of absolute weights is a row for each column, whose target is 0 (Wang, Li and Jiang, "Robust regression
    shrinkage and consistent variable selection through the LAD-lasso", 2007): the same method then gives exact zeros
    and a proof. With l2 the problem is quadratic: an interior point method, and a dual solution evaluated on the rows.

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
    penalties, path = penalty_pairs(l1, l2), bool(np.ndim(l1) or np.ndim(l2))
    if path and len(taus) > 1:
        raise _check.InputError(f"a path of penalties must be of one tau, got {len(taus)}")
    x, t = _check.rows("X", X), _check.floats("y", y, 1)
    _check.same_length(X=x, y=t)
    weights, exponent = divide_weights(_check.sample_weight(sample_weight, len(t)))
    given = Rows(x, t, weights, table=X)
    fits: list[QuantileFit] = []
    how: dict[str, Any] = {"intercept": bool(intercept), "seed": _check.integer("seed", seed, 0), "threads": threads}
    for first, second in [tuple(divided_penalty(v, exponent) for v in pair) for pair in penalties]:
        if not first and not second:
            fits += _fit_all(given, taus.tolist(), **how)
        else:
            some = _penalized_squares if second else _penalized
            fits += [some(given, value, first, second, **how) for value in taus.tolist()]
    if exponent:
        pairs = [pair for pair in penalties for _ in taus]
        fits = [_in_units(fit, Units(exponent), *pair) for fit, pair in zip(fits, pairs)]
    for fit in fits:
        if not fit.certificate.gap <= _ROUNDING:
            warn_of_gap("fit_quantile", fit.certificate, _TOL)
    return tuple(fits) if np.ndim(tau) or path else fits[0]


def _in_units(fit: QuantileFit, units: Units, l1: float, l2: float) -> QuantileFit:
    """The fit for the weights as given, and with the user's penalties."""
    certificate = units.certificate(fit.certificate, 1)
    return replace(fit, loss=float(units.loss(fit.loss, 1)), certificate=certificate, l1=l1, l2=l2)


def find_quantile(
    X: Array, y: Array, tau: float, *, intercept: bool, sample_weight: Array | None, threads: int | None
) -> QuantileFit:
    """The fit of one quantile, without a warning."""
    x, t = _check.rows("X", X), _check.floats("y", y, 1)
    return _fit_all(Rows(x, t, sample_weight), [tau], intercept=bool(intercept), seed=0, threads=threads)[0]


def _fit_all(rows: Rows, taus: list[float], *, intercept: bool, seed: int, threads: int | None) -> list[QuantileFit]:
    """The fit of each quantile, without a penalty."""
    coordinates = Coordinates(rows, intercept, threads)
    gamma, through = least_squares_start(coordinates)
    if through is not None:
        return [QuantileFit(*through, value, 0.0, Certificate.of(0.0, 0.0, "interpolation")) for value in taus]
    robust = RobustCoordinates(coordinates, rows, seed)
    block = least_absolute.in_memory(robust, [robust.scaled(*rows.gathered())])
    return [_fit(robust, rows, block, robust.from_coordinates(gamma), value) for value in taus]


def _penalized(
    given: Rows, tau: float, l1: float, l2: float, *, intercept: bool, seed: int, threads: int | None
) -> QuantileFit:
    """The lasso: a row of weight 2 l1 and target 0 for each column, half of whose absolute residual is its penalty."""
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
    robust = RobustCoordinates(coordinates, rows, seed)
    block = least_absolute.in_memory(robust, [robust.scaled(*rows.gathered())])
    lean = (2 * tau - 1) * np.append(np.ones(n), np.zeros(d))
    w, _, _, lower = _solution(robust, rows, block, robust.from_coordinates(gamma), lean)
    w, b = np.where(np.abs(w[:d]) <= least, 0.0, w[:d]), float(w[d]) if intercept else 0.0
    loss = check_loss(given, w, b, tau, threads) + l1 * float(np.add.reduce(np.abs(w)))
    kind = "vertex" if loss - lower <= 1e-9 * loss else "dual"
    certificate = _bound_all_columns(Certificate.of(loss, lower, kind), coordinates, lean)
    return QuantileFit(w, b, tau, loss, certificate, l1)


def _penalized_squares(
    given: Rows, tau: float, l1: float, l2: float, *, intercept: bool, seed: int, threads: int | None
) -> QuantileFit:
    """The fit with a penalty of squares, and of absolute weights beside it."""
    problem = PenalizedQuantile(given, tau, l1, l2, intercept)
    a, w, b = problem.solve()
    lower, slopes = problem.lower_bound(a)
    X, y, s = given.gathered()

    def fitted(w: Array) -> tuple[float, float, Array]:
        b = weighted_quantile(y - X @ w, s, tau) if intercept and len(y) else 0.0
        penalty = l1 * float(np.add.reduce(np.abs(w))) + float(np.add.reduce(l2 * w * w))
        return check_loss(given, w, b, tau, threads) + penalty, b, w

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        # Weights are 0 where their columns' slopes do not come to the penalty; but for rounding, which the loss tells.
        loss, b, w = min(fitted(np.where(np.abs(slopes) <= 2 * l1, 0.0, w)), fitted(w), key=lambda found: found[0])
    return QuantileFit(w, b, tau, loss, Certificate.of(loss, lower, "dual"), l1, l2)


def weighted_quantile(values: Array, s: Array | None, tau: float) -> float:
    """The value of least check loss."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(np.ones(len(values)) if s is None else s[order])
    return float(values[order[min(int(np.searchsorted(below, tau * below[-1])), len(order) - 1)]])


def _fit(
    robust: RobustCoordinates, rows: Rows, block: tuple[DesignMatrix, Array, Array], gamma: Array, tau: float
) -> QuantileFit:
    """The fit of one quantile without a penalty; `block` holds the rows in the robust coordinates."""
    coordinates = robust.coordinates
    w, b, loss, lower = _solution(robust, rows, block, gamma, np.full(len(block[1]), 2 * tau - 1))
    loss = check_loss(rows, w, b, tau, coordinates.threads) if loss is None else loss
    lower = lower if robust.rank else loss * (1 - 64 * EPS)  # without columns there is one model
    kind = "vertex" if loss - lower <= 1e-9 * loss else "dual"

    lean = np.full(len(block[1]), 2 * tau - 1)
    certificate = _bound_all_columns(Certificate.of(loss, lower, kind), coordinates, lean)
    return QuantileFit(w, b, tau, loss, certificate)


def _bound_all_columns(certificate: Certificate, coordinates: Coordinates, lean: Array) -> Certificate:
    """The certificate with a lower bound that columns left out do not break."""

    def bound(other: Rows) -> tuple[float, int]:
        again = Coordinates(other, coordinates.intercept, coordinates.threads)
        start, through = least_squares_start(again)
        if through is not None:
            return 0.0, again.rank
        robust = RobustCoordinates(again, other)
        block = least_absolute.in_memory(robust, [robust.scaled(*other.gathered())])
        return _solution(robust, other, block, robust.from_coordinates(start), lean)[3], again.rank

    return bound_all_columns(certificate, coordinates, bound)


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
    proof, _ = solve_vertex(AbsoluteProblem(A, t, s, np.zeros(A.width), lean), gamma)
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
