"""Linear models of least Lp loss: a regressor, and a classifier that fits labels as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fastdl import _check
from fastdl.estimators._validation import Array, seed_of, validated_table, weights
from fastdl.linear.fit import LpFit, fit_lp
from fastdl.targets.labels import BinaryTarget, ClassTarget


class _Linear(BaseEstimator):
    """The settings of `fit_lp`, and what it finds, as attributes."""

    coef_: Array
    intercept_: Any
    loss_: Any
    certificate_: Any
    history_: Any
    model_: Any

    def __init__(
        self,
        p: Any = 2.0,
        *,
        method: str = "auto",
        fit_intercept: bool = True,
        tol: float = 1e-8,
        options: dict[str, Any] | None = None,
        random_state: Any = None,
        threads: int | None = 1,
    ):
        self.p, self.method, self.fit_intercept, self.tol = p, method, fit_intercept, tol
        self.options, self.random_state, self.threads = options, random_state, threads

    def _fit_each(self, X: Array, targets: Any, sample_weight: Any) -> list[LpFit]:
        """One model for each row of `targets`."""
        s, seed = weights(sample_weight, len(X)), seed_of(self.random_state)
        how: dict[str, Any] = {
            "method": self.method,
            "intercept": self.fit_intercept,
            "tol": self.tol,
            "threads": self.threads,
        }
        return [fit_lp(X, t, self.p, sample_weight=s, seed=seed, **how, **(self.options or {})) for t in targets]

    def _keep(self, fits: list[LpFit], single: bool) -> None:
        """As attributes: of the one model, or of a list of them."""
        if single:
            (fit,) = fits
            self.coef_, self.intercept_, self.loss_ = fit.w, fit.b, fit.loss
            self.certificate_, self.history_, self.model_ = fit.certificate, fit.history, fit
            return
        self.coef_, self.intercept_ = np.stack([f.w for f in fits]), np.array([f.b for f in fits])
        self.loss_ = np.array([f.loss for f in fits])
        self.certificate_, self.history_, self.model_ = [f.certificate for f in fits], [f.history for f in fits], fits

    def _values(self, X: Any) -> Array:
        check_is_fitted(self)
        return validated_table(self, X, reset=False, dtype="numeric") @ self.coef_.T + self.intercept_


class LpRegressor(MultiOutputMixin, RegressorMixin, _Linear):
    """The linear model of least ``sum s |y - <w, x> - b|^p``, and how far from the least it can be: `fastdl.fit_lp`.

    Parameters
    ----------
    p : float or CustomLoss
        The power, above 0: 2 is least squares, 1 least absolute deviations.
    method : str
        As in `fastdl.fit_lp`.
    fit_intercept : bool
        Whether there is a b.
    tol : float
        The relative gap at which methods that go on step by step stop.
    options : dict, optional
        Further keywords of the method: those of `random_search` or `gradient_descent`.
    random_state : int, RandomState or None
        Where the methods' random choices come from; None is 0.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    coef_ : ndarray (D,), or (K, D) for y (N, K)
        w.
    intercept_ : float, or ndarray (K,)
        b.
    loss_ : float, or ndarray (K,)
        The sum over the rows of the fit.
    certificate_ : Certificate, or list of K
        No linear model has a loss below ``certificate_.lower``; ``certificate_.gap`` is what can be gained at most.
    history_ : mapping, or list of K
        What happened on the way.
    model_ : LpFit, or list of K
        All that is known of the fit.
    n_features_in_ : int
        D.

    Notes
    -----
    For y (N, K) there are K models, fitted one after the other. In `fit` a row of weight 0 counts as dropped, one of
    weight 2 as repeated.

    Examples
    --------
    >>> from fastdl.estimators import LpRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0]], [1.0, 3.0, 5.0, 7.0, 90.0]
    >>> model = LpRegressor(p=1).fit(X, y)
    >>> model.coef_.round(6), round(model.intercept_, 6), model.certificate_.gap < 1e-12
    (array([2.]), 1.0, True)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LpRegressor:
        """Fit X (N, D) to y (N,) or (N, K); returns itself."""
        X, y = validate_data(self, X, y, dtype="numeric", multi_output=True, y_numeric=True)
        self._keep(self._fit_each(X, y.reshape(len(y), -1).T, sample_weight), y.ndim == 1)
        return self

    def predict(self, X: Any) -> Array:
        """The values, float64 (N,) or (N, K), of X (N, D)."""
        return self._values(X)


class LpClassifier(ClassifierMixin, _Linear):
    """Labels fitted as numbers by a linear model of least Lp loss.

    Two labels are fitted as -1 and 1, and told apart by the sign of the model; of K labels, each has a model of its
    own, 1 for its rows and -1 for the others, and the label of the largest value wins, the first of equals.

    Parameters
    ----------
    p, method, fit_intercept, tol, options, random_state, threads
        As in `LpRegressor`.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, sorted.
    coef_ : ndarray (D,) for two labels, else (K, D)
        w.
    intercept_ : float, or ndarray (K,)
        b.
    loss_, certificate_, history_, model_
        As in `LpRegressor`: one for two labels, else one for each label.
    n_features_in_ : int
        D.

    Examples
    --------
    >>> from fastdl.estimators import LpClassifier
    >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"]
    >>> model = LpClassifier(p=1.5).fit(X, y)
    >>> model.predict([[0.5], [4.5]]).tolist(), model.decision_function([[2.5]]).round(6).tolist()
    (['low', 'high'], [0.0])
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LpClassifier:
        """Fit X (N, D) to labels y (N,); returns itself."""
        X, y = validate_data(self, X, y, dtype="numeric")
        y = np.array(y.tolist()) if y.dtype == object else y
        check_classification_targets(y)
        codes = ClassTarget().fit(y)
        self.classes_ = codes.classes_
        if len(self.classes_) < 2:
            raise _check.InputError(f"y must hold at least two classes, got one class: {self.classes_.tolist()[0]!r}")
        self._target: Any = codes
        if len(self.classes_) == 2:
            self._target = BinaryTarget(values=(-1, 1)).fit(y)
            targets = [self._target.encode(y)]
        else:
            numbers = codes.encode(y)
            targets = [np.where(numbers == k, 1.0, -1.0) for k in range(len(self.classes_))]
        self._keep(self._fit_each(X, targets, sample_weight), len(targets) == 1)
        return self

    def decision_function(self, X: Any) -> Array:
        """The values of the models: (N,), positive for the second of two labels, or (N, K)."""
        return self._values(X)

    def predict(self, X: Any) -> Array:
        """The label of each row of X (N, D)."""
        check_is_fitted(self)
        return self._target.decode(self._values(X))
