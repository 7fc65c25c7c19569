"""Logistic regression, of two classes or more, with a proof of how near to the least loss it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, Progress
from fastdl.linear._class_labels import class_weighted, number_classes
from fastdl.linear._coordinates import EPS
from fastdl.linear._matrix import factorize
from fastdl.linear._softmax_rows import SoftmaxRows, cross_entropy
from fastdl.linear.result import Certificate, warn_of_gap
from fastdl.streaming import ProgressEvent

_DENSE = 1500  # coefficients up to which Newton's matrix is formed; above, conjugate gradients use its products
_HALVES = 40
_NOTHING = 64 * EPS  # of the loss without columns: a gap below is rounding


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Probabilities softmax(W x + b) and what is known of them; for two classes that of the second is a sigmoid.

    Attributes
    ----------
    classes : ndarray (K,)
        The labels, sorted.
    w : ndarray of float64, (D,) for two classes, else (K, D)
        The weights.
    b : float, or ndarray of float64 (K,)
        The intercepts.
    l2 : float
        The penalty of the fit.
    loss : float
        ``sum s (-log probability of the label) + l2 / 2 |w|^2``, evaluated for (w, b) as they are here.
    certificate : Certificate
        No model has a loss below ``certificate.lower``: the value of a dual solution.
    converged : bool
        Whether the gap reached `tol`.
    history : mapping of str to ndarray
        "loss" and "gap" step by step.
    """

    classes: Array
    w: Array
    b: Any
    l2: float
    loss: float
    certificate: Certificate
    converged: bool
    history: Mapping[str, Array] = field(default_factory=dict)

    def decision_function(self, X: ArrayLike) -> Array:
        """The logits of X (N, D): (N,) of the second of two classes, else (N, K)."""
        x = _check.floats("X", X, 2)
        if x.shape[1] != self.w.shape[-1]:
            raise _check.InputError(f"X must have {self.w.shape[-1]} columns, got shape {x.shape}")
        return np.asarray(x @ self.w.T + self.b)

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probability of each class, (N, K), for X (N, D)."""
        z = self.decision_function(X)
        if z.ndim == 1:
            z = np.column_stack([np.zeros(len(z)), z])
        return cross_entropy(z, np.zeros(len(z)))[1]

    def predict(self, X: ArrayLike) -> Array:
        """The most probable label of each row of X (N, D), the first of equals."""
        z = self.decision_function(X)
        return self.classes[(z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)]


def fit_logistic(
    X: ArrayLike,
    y: ArrayLike,
    *,
    l2: float = 1.0,
    intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    class_weight: str | Mapping[Any, float] | None = None,
    tol: float = 1e-8,
    steps: int = 100,
    threads: int | None = 1,
    progress: Progress | None = None,
) -> LogisticFit:
    """Fit the probabilities of classes by the least cross-entropy, and prove how near to the least it is.

    The loss is ``sum s (-log probability of the label) + l2 / 2 |w|^2``; intercepts have no penalty.

    Parameters
    ----------
    X : array_like, (N, D)
        The rows; everything is computed in float64.
    y : array_like, (N,)
        Labels of any kind: numbers, bool, text.
    l2 : float
        The penalty of the weights, at least 0: 1 / C of scikit-learn. Without one, classes that a plane separates
        have no least loss.
    intercept : bool
        Whether to fit intercepts; otherwise they are 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped, one of weight 2 as repeated.
    class_weight : "balanced", or mapping of label to float, optional
        What the weights of a class's rows are multiplied by; "balanced" gives every class the same sum. A class that
        the mapping does not name has 1.
    tol : float
        The relative gap between the loss and its dual bound at which to stop.
    steps : int
        Newton steps at most.
    threads : int or None
        Threads to use; None means all this process may. The result has the same bits for any number.
    progress : callable, optional
        Called with a `ProgressEvent` after each step; ``details["gap"]`` is the gap.

    Returns
    -------
    LogisticFit
        With `predict`, `predict_proba`, the certificate, and whether it converged; a fit that did not warns.

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, fewer than two classes.
    InputTypeError
        For what is not numeric.

    Notes
    -----
    Newton's method in standardised columns with steps that are halved until the loss falls. The bound is the Fenchel
    dual, at the point that Newton's step moves the probabilities to; rounding is taken off to first order. Above 1500
    coefficients the steps are found by conjugate gradients.

    Examples
    --------
    >>> import fastdl
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"]
    >>> fit = fastdl.fit_logistic(X, y, l2=0.5)
    >>> fit.predict([[-1.0], [9.0]]).tolist(), fit.predict_proba([[1.5]]).round(6).tolist(), fit.certificate.gap < 1e-8
    (['no', 'yes'], [[0.5, 0.5]], True)
    """
    l2, tol = _check.number("l2", l2, 0), _check.number("tol", tol, 0, above=True)
    steps, threads = _check.integer("steps", steps, 1), _threads.count(threads)
    x = _check.floats("X", X, 2)
    classes, codes = number_classes(y, len(x))
    s = class_weighted(class_weight, classes, codes, _check.sample_weight(sample_weight, len(x)))
    rows = Rows(x, codes, s)
    sums = SoftmaxRows(rows, len(classes), intercept=bool(intercept), l2=l2, threads=threads)
    if (sums.of_class[:, 0] <= 0).any():
        missing = classes[int(np.argmin(sums.of_class[:, 0]))]
        raise _check.InputError(f"every class must have a row of weight above 0, got none of {missing!r}")
    theta, lower, history = _newton(sums, tol, steps, progress)
    w, b = sums.model(theta)
    loss = _evaluated(sums, w, b) + 0.5 * l2 * float(np.add.reduce((w * w).ravel()))
    certificate = Certificate.of(loss, lower, "dual")
    nothing = 0.0 if not l2 else 2 * _NOTHING * float(history["loss"][0])
    converged = loss - lower <= max(max(tol, 1e-12) * loss, nothing) and (l2 > 0 or lower > 0)
    if not converged:
        why = "" if l2 else "; classes that a plane separates have no least loss without l2"
        warn_of_gap("fit_logistic", certificate, tol, why)
    single = len(classes) == 2
    return LogisticFit(
        classes, w[0] if single else w, float(b[0]) if single else b, l2, loss, certificate, converged, history
    )


def _newton(
    sums: SoftmaxRows, tol: float, steps: int, progress: Progress | None
) -> tuple[Array, float, dict[str, Array]]:
    """(theta, lower bound, history)."""
    theta = np.zeros((sums.models, sums.rows.columns + 1))
    if sums.intercept:  # the model without columns
        logs = np.log(sums.of_class[:, 0] / sums.of_class[:, 0].sum())
        theta[:, 0] = logs[1:] - logs[0] if sums.fixed else logs - logs.mean()
    lower, losses, gaps = 0.0, [], []
    dense = theta.size <= _DENSE
    for done in range(1, steps + 1):
        entropy, point, hessian = sums.slopes(theta, dense)
        loss = entropy + sums.penalised(theta)
        slope = point.gradient + theta * sums.penalty
        if not sums.intercept:
            slope[:, 0] = 0
        lower = max(lower, sums.lower_bound(point, theta))
        step = _direction(sums, theta, hessian, slope)
        after, moved = sums.along(theta, step, 1.0)
        if moved is not None:
            lower = max(lower, sums.lower_bound(moved, theta + step))
        losses.append(loss)
        gaps.append((loss - lower) / loss if loss > 0 else 0.0)
        if progress is not None:
            progress(ProgressEvent(done, steps, "steps", loss, {"gap": gaps[-1]}))
        share, falls = 1.0, float(np.add.reduce((slope * step).ravel()))
        for _ in range(_HALVES):
            if after + sums.penalised(theta + share * step) <= loss + 1e-4 * share * falls:
                break
            share /= 2
            after = sums.along(theta, step, share)[0]
        else:
            break  # no less within rounding
        theta = theta + share * step
        if loss - lower <= max(0.5 * tol * loss, _NOTHING * losses[0]):
            break
    return theta, lower, {"loss": np.array(losses), "gap": np.array(gaps)}


def _direction(sums: SoftmaxRows, theta: Array, hessian: Array | None, slope: Array) -> Array:
    """Newton's step. What is the same for all classes changes no probability: a term in that direction fixes it."""
    M, D = theta.shape
    used = slice(None) if sums.intercept else slice(1, None)
    gauge = (1.0 if not sums.fixed else 0.0) * float(sums.of_class[:, 0].sum()) / sums.classes
    step = np.zeros_like(theta)
    if hessian is None:

        def times(v: Array) -> Array:
            full = np.zeros_like(theta)
            full[:, used] = v.reshape(M, -1)
            out = sums.hessian_times(theta, full) + full * sums.penalty + gauge * full.mean(axis=0)
            return out[:, used].ravel()

        step[:, used] = _conjugate_gradients(times, -slope[:, used].ravel()).reshape(M, -1)
        return step
    hessian = hessian.copy()
    for j in range(D):
        hessian[:, j, :, j] += gauge / M + np.diag(np.full(M, sums.penalty[j]))
    matrix = hessian[:, used, :, used].reshape(M * (D - (not sums.intercept)), -1)
    step[:, used] = factorize(matrix)(-slope[:, used].ravel()).reshape(M, -1)
    return step


def _conjugate_gradients(times: Callable[[Array], Array], g: Array, steps: int = 200) -> Array:
    """About A^-1 g (Hestenes and Stiefel, 1952), nearer the smaller g is."""
    x, r = np.zeros_like(g), g.copy()
    p, size = r.copy(), float(r @ r)
    enough = size * min(0.01, size**0.5) ** 2
    for _ in range(steps):
        if size <= enough:
            break
        Ap = times(p)
        a = size / float(p @ Ap)
        x, r = x + a * p, r - a * Ap
        before, size = size, float(r @ r)
        p = r + size / before * p
    return x


def _evaluated(sums: SoftmaxRows, w: Array, b: Array) -> float:
    """The cross-entropy of the model as it is returned, on the rows as they were given."""
    raw = np.column_stack([b, w])
    shift, factor = sums.shift, sums.factor
    sums.shift, sums.factor = np.zeros_like(shift), np.ones_like(factor)
    try:
        return sums.slopes(raw, False)[0]
    finally:
        sums.shift, sums.factor = shift, factor
