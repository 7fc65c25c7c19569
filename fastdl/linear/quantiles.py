"""Quantile regression: the exact vertex of least check loss, with a proof, for one quantile or several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike
from fastdl.linear._coordinates import EPS, Coordinates
from fastdl.linear._matrix import DesignMatrix, kernel
from fastdl.linear._robust_coordinates import RobustCoordinates
from fastdl.linear.methods import vertex as least_absolute
from fastdl.linear.methods._vertices import VertexRows
from fastdl.linear.methods.closed_form import least_squares_start
from fastdl.linear.result import Certificate

_FAR = 1e4  # spreads from the median: rows that rule least squares


@dataclass(frozen=True, eq=False)
class QuantileFit:
    """A linear model of a quantile, and what is known of it.

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
        rows as they were given: half the absolute loss for tau = 0.5.
    certificate : Certificate
        No model has a check loss below ``certificate.lower``.
    """

    w: Array
    b: float
    tau: float
    loss: float
    certificate: Certificate

    def predict(self, X: ArrayLike) -> Array:
        """The model's values, float64 (N,), of X (N, D)."""
        x = _check.floats("X", X, 2)
        if x.shape[1] != len(self.w):
            raise _check.InputError(f"X must have {len(self.w)} columns, got shape {x.shape}")
        return np.asarray(x @ self.w + self.b)


def fit_quantile(
    X: ArrayLike,
    y: ArrayLike,
    tau: ArrayLike = 0.5,
    *,
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    seed: int = 0,
    threads: int | None = 1,
) -> QuantileFit | tuple[QuantileFit, ...]:
    """Fit the model that a share tau of the targets is below, by the least check loss, and prove that it is the least.

    Parameters
    ----------
    X : array_like, (N, D)
        The rows; everything is computed in float64, and the rows are kept in memory.
    y : array_like, (N,)
        The targets.
    tau : float or array_like (T,)
        Quantiles, each above 0 and below 1.
    intercept : bool
        Whether to fit b; otherwise it is 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped, one of weight 2 as repeated.
    seed : int
        Of the rows that medians are estimated from, where there are many.
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

    Notes
    -----
    As method "vertex" of `fit_lp`: twice the check loss is the absolute loss and a linear term. The bound is the dual
    of Koenker and Bassett (1978), brought to feasibility by mixing it with the dual solution that proves 0.

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
    rows = Rows(
        _check.floats("X", X, 2), _check.floats("y", y, 1), _check.sample_weight(sample_weight, len(np.atleast_1d(y)))
    )
    coordinates = Coordinates(rows, bool(intercept), threads)
    gamma, through = least_squares_start(coordinates)
    if through:
        w, b = coordinates.model(gamma)
        fits = [QuantileFit(w, b, value, 0.0, Certificate.of(0.0, 0.0, "interpolation")) for value in taus.tolist()]
    else:
        robust = RobustCoordinates(coordinates, rows, _check.integer("seed", seed, 0))
        block = least_absolute.in_memory(robust, [robust.scaled(*rows.gathered())])
        fits = [_fit(robust, rows, block, robust.from_coordinates(gamma), value, threads) for value in taus.tolist()]
    return tuple(fits) if np.ndim(tau) else fits[0]


def _fit(
    robust: RobustCoordinates,
    rows: Rows,
    block: tuple[DesignMatrix, Array, Array],
    gamma: Array,
    tau: float,
    threads: int | None,
) -> QuantileFit:
    A, t, s = block
    lean = 2 * tau - 1  # twice the check loss is sum s |r| + lean sum s r
    lower, unit = 0.0, 1 / robust.y_factor
    if robust.rank:
        g = -lean * A.products(s)
        far = max(float(np.abs(A.Z).max(initial=0)), float(np.abs(t).max(initial=0))) > _FAR
        if far or not np.isfinite(gamma).all():
            gamma = np.zeros(A.width)
        proof, _ = least_absolute.solve_vertex(A, t, s, g, gamma)
        if proof is not None:
            gamma = proof.gamma
            lower = _lower_bound(robust, VertexRows(A, t, s, g), gamma, proof.dual, lean) / 2 * unit
    w, b = robust.model(gamma)
    loss = check_loss(rows, w, b, tau, threads)
    return QuantileFit(
        w, b, tau, loss, Certificate.of(loss, lower, "vertex" if loss - lower <= 1e-9 * loss else "dual")
    )


def _lower_bound(robust: RobustCoordinates, rows: VertexRows, gamma: Array, dual: Array, lean: float) -> float:
    """Below which twice the check loss of no model is, by dual values within -1 and 1.

    Where [1, Z]' (s dual) is not g, to rounding or more, dual values of size `change` make up for it. They may then
    exceed 1; mixed with the constant -lean, which is a dual solution and proves 0, they do not.
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
        sizes = float(np.add.reduce(s * (np.abs(t) + rows.sizes(gamma))))
        lower = loss - slack - change * float(np.add.reduce(s * np.abs(r))) - 2 * EPS * (A.width + 4) * sizes
        lower *= 1 - change / (1 + change - abs(lean))
    return max(0.0, lower) if np.isfinite(lower) else 0.0


def check_loss(rows: Rows, w: Array, b: float, tau: float, threads: int | None) -> float:
    """The check loss of a model as it is returned, on the rows as they were given."""
    nothing, weights = np.zeros(len(w)), np.ascontiguousarray(w, np.float64)

    def work(X: Array, y: Array, s: Array | None) -> Array:
        r = np.empty(len(y))
        kernel.residuals(X, y, weights, b, nothing, r)
        value = np.where(r > 0, tau * r, (tau - 1) * r)
        return np.add.reduce(value if s is None else s * value)

    total = rows.total(work, threads)
    return 0.0 if total is None else float(total)
