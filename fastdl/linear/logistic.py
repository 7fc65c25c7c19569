"""Logistic regression, of two classes or more, with a proof of how near to the minimum of the loss it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastdl import _check, _threads
from fastdl._rows import Rows
from fastdl._typing import Array, ArrayLike, FloatOrArray, Progress
from fastdl.linear._class_labels import class_weighted, number_classes
from fastdl.linear._extreme_units import Units, divide_weights, divided
from fastdl.linear._softmax_descent import LOSS_ROUNDING, Goal, minimize_softmax
from fastdl.linear._softmax_rows import SoftmaxRows, softmax
from fastdl.linear.result import Certificate, warn_of_gap


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """A logistic regression: class probabilities softmax(W x + b), and a certificate of the fit.

    For two classes w and b are those of the second class, whose probability is the sigmoid of <w, x> + b.

    Attributes
    ----------
    classes : ndarray (K,)
        The labels, sorted.
    w : ndarray of float64, (D,) for two classes, else (K, D)
        The weights.
    b : float, or ndarray of float64 (K,)
        The intercepts.
    l2 : float
        The penalty that was used.
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
    b: FloatOrArray
    l2: float
    loss: float
    certificate: Certificate
    converged: bool
    history: Mapping[str, Array] = field(default_factory=dict)

    def decision_function(self, X: ArrayLike) -> Array:
        """The logits of X (N, D): (N,) of the second of two classes, else (N, K)."""
        x = _check.rows("X", X)
        if x.shape[1] != self.w.shape[-1]:
            raise _check.InputError(f"X must have {self.w.shape[-1]} columns, got shape {x.shape}")
        return np.asarray(x @ self.w.T + self.b)

    def predict_proba(self, X: ArrayLike) -> Array:
        """The probability of each class, (N, K), for X (N, D)."""
        z = self.decision_function(X)
        if z.ndim == 1:
            z = np.column_stack([np.zeros(len(z)), z])
        return softmax(z)

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
    """Fit class probabilities by minimizing the cross-entropy, and prove how near to the minimum the fit is.

    The loss is ``sum s (-log probability of the label) + l2 / 2 |w|^2``; intercepts have no penalty.

    Parameters
    ----------
    X : array_like, (N, D)
        The rows; everything is computed in float64.
    y : array_like, (N,)
        Labels of any kind: numbers, bool, text.
    l2 : float
        The penalty of the weights, at least 0: 1 / C of scikit-learn. With l2 = 0 and classes that a plane separates,
        the loss has no minimum: the weights would grow without bound.
    intercept : bool
        Whether to fit intercepts; otherwise they are 0.
    sample_weight : array_like, (N,), optional
        s: finite, not negative; a row of weight 0 counts as dropped, one of weight 2 as repeated.
    class_weight : "balanced", or mapping of label to float, optional
        Factors of the rows' weights by class; "balanced" gives every class the same total weight. A class that the
        mapping does not name has the factor 1.
    tol : float
        The relative gap between the loss and its dual bound at which to stop.
    steps : int
        Steps at most.
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
    L-BFGS in standardised columns, started at the model of a sample and preconditioned by its Hessian; where rows are
    few, Newton's method. Steps are halved until the loss falls. The lower bound is the Fenchel dual at the model's
    probabilities, less rounding errors to first order. Above 1500 coefficients Newton's steps are found by conjugate
    gradients.

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
    x = _check.rows("X", X)
    classes, codes = number_classes(y, len(x))
    s = class_weighted(class_weight, classes, codes, _check.sample_weight(sample_weight, len(x)))
    weights, exponent = divide_weights(s)
    units, rows, penalty = Units(exponent), Rows(x, codes, weights, table=X), float(divided(l2, exponent))
    sums = SoftmaxRows(rows, len(classes), intercept=bool(intercept), l2=penalty, threads=threads)
    if (sums.counts <= 0).any():
        missing = classes[int(np.argmin(sums.counts))]
        raise _check.InputError(f"every class must have a row of weight above 0, got none of {missing!r}")
    found = minimize_softmax(sums, Goal(tol, 0.0, steps, progress))
    w, b = sums.model(found.theta)
    sums.use_units(np.zeros(x.shape[1]), np.ones(x.shape[1]))
    loss = sums.cross_entropy(np.column_stack([b, w])) + 0.5 * float(np.add.reduce((penalty * w * w).ravel()))
    lower, history = found.lower, {"loss": np.array(found.losses), "gap": np.array(found.gaps)}
    certificate = Certificate.of(loss, lower, "dual")
    nothing = 0.0 if not l2 else 2 * LOSS_ROUNDING * float(history["loss"][0])
    converged = loss - lower <= max(max(tol, 1e-12) * loss, nothing) and (l2 > 0 or lower > 0)
    if not converged:
        why = "" if l2 else "; classes that a plane separates have no least loss without l2"
        warn_of_gap("fit_logistic", certificate, tol, why)
    certificate, loss = units.certificate(certificate, 1), float(units.loss(loss, 1))
    history["loss"] = units.loss(history["loss"], 1)
    single = len(classes) == 2
    return LogisticFit(
        classes, w[0] if single else w, float(b[0]) if single else b, l2, loss, certificate, converged, history
    )
