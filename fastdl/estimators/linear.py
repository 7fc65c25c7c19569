"""Linear models with scikit-learn's interface: an Lp regressor and classifier, and logistic regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from fastdl import _check
from fastdl._typing import Array, ArrayLike, FloatOrArray, Loss, TableLike
from fastdl.estimators._validation import RandomState, seed_of, validated_table, weights
from fastdl.linear._class_labels import class_weighted
from fastdl.linear.fit import Certificate, LpFit, fit_lp
from fastdl.linear.gram_accumulator import GramAccumulator
from fastdl.linear.logistic import fit_logistic
from fastdl.targets.labels import BinaryTarget, ClassTarget


def _is_least_squares(estimator: _Linear) -> bool:
    """Whether a fit needs only sums of products, which chunks can be added to: the condition of `partial_fit`."""
    return bool(estimator.p == 2)


class _Linear(BaseEstimator):
    """The base of the Lp estimators: the settings of `fit_lp` as parameters, its results as attributes."""

    coef_: Array
    intercept_: FloatOrArray
    loss_: FloatOrArray
    # A Certificate, a mapping and a fit, or a list of them for several targets.
    certificate_: Any
    history_: Any
    model_: Any

    def __init__(
        self,
        p: Loss = 2.0,
        *,
        method: str = "auto",
        fit_intercept: bool = True,
        tol: float = 1e-8,
        options: dict[str, Any] | None = None,
        random_state: RandomState = None,
        threads: int | None = 1,
    ):
        self.p, self.method, self.fit_intercept, self.tol = p, method, fit_intercept, tol
        self.options, self.random_state, self.threads = options, random_state, threads

    def _fit_each(self, X: Array, targets: Array, s: Array | None) -> list[LpFit]:
        """One model for each column of `targets`."""
        self.__dict__.pop("state_", None)
        seed = seed_of(self.random_state)
        how: dict[str, Any] = {
            "method": self.method,
            "intercept": self.fit_intercept,
            "tol": self.tol,
            "threads": self.threads,
        }
        fit = fit_lp(X, targets, self.p, sample_weight=s, seed=seed, **how, **(self.options or {}))
        return list(fit.targets)

    def _take_in(self, X: Array, targets: Array, s: Array | None) -> None:
        """Add rows to the sums of products, and solve for all rows so far."""
        if not hasattr(self, "state_"):
            self.state_ = GramAccumulator(intercept=self.fit_intercept)
        found = self.state_.update((X, targets, s)).finish()
        self.coef_, self.intercept_, self.loss_, self.model_ = found.w, found.b, found.loss, found
        losses = np.atleast_1d(found.loss).tolist()
        unknown = [Certificate.of(loss, -np.inf, "none") for loss in losses]
        self.certificate_ = unknown[0] if targets.ndim == 1 else unknown
        self.history_ = {} if targets.ndim == 1 else [{} for _ in losses]

    def _keep(self, fits: list[LpFit], single: bool) -> None:
        """Set the attributes to those of the only fit (`single`), or to lists of those of all."""
        if single:
            (fit,) = fits
            self.coef_, self.intercept_, self.loss_ = fit.w, fit.b, fit.loss
            self.certificate_, self.history_, self.model_ = fit.certificate, fit.history, fit
            return
        self.coef_, self.intercept_ = np.stack([f.w for f in fits]), np.array([f.b for f in fits])
        self.loss_ = np.array([f.loss for f in fits])
        self.certificate_, self.history_, self.model_ = [f.certificate for f in fits], [f.history for f in fits], fits

    def _values(self, X: TableLike) -> Array:
        """The values of the models for the rows of X."""
        check_is_fitted(self)
        return validated_table(self, X, reset=False, dtype="numeric") @ self.coef_.T + self.intercept_


class LpRegressor(MultiOutputMixin, RegressorMixin, _Linear):
    """The linear model that minimizes ``sum s |y - <w, x> - b|^p``, with a certificate: `fastdl.fit_lp`.

    Parameters
    ----------
    p : float or CustomLoss
        The power, above 0: 2 is least squares, 1 least absolute deviations.
    method : str
        As in `fastdl.fit_lp`.
    fit_intercept : bool
        Whether there is a b.
    tol : float
        The relative gap at which iterative methods stop.
    options : dict, optional
        Further keywords of the method: those of `random_search` or `gradient_descent`.
    random_state : int, RandomState or None
        The seed of the methods' random choices; None is 0.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    coef_ : ndarray (D,), or (K, D) for y (N, K)
        w.
    intercept_ : float, or ndarray (K,)
        b.
    loss_ : float, or ndarray (K,)
        The sum of the losses over the rows of the fit.
    certificate_ : Certificate, or list of K
        No linear model has a loss below ``certificate_.lower``; ``certificate_.gap`` is the largest possible relative
        improvement.
    history_ : mapping, or list of K
        Values recorded step by step.
    model_ : LpFit, or list of K
        The fit itself; after `partial_fit` a `GramFit`.
    n_features_in_ : int
        D.

    Notes
    -----
    For y (N, K) there are K models, for p = 2 from one pass over X. In `fit` a row of weight 0 counts as dropped, one
    of weight 2 as repeated. For p = 2 there is a `partial_fit`: the sums of products of all chunks so far are kept in
    ``state_``, a `fastdl.GramAccumulator`, whose fits have no certificate.

    Examples
    --------
    >>> from fastdl.estimators import LpRegressor
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0]], [1.0, 3.0, 5.0, 7.0, 90.0]
    >>> model = LpRegressor(p=1).fit(X, y)
    >>> model.coef_.round(6), round(model.intercept_, 6), model.certificate_.gap < 1e-12
    (array([2.]), 1.0, True)
    """

    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> LpRegressor:
        """Fit X (N, D) to y (N,) or (N, K); returns itself."""
        X, y = validated_table(self, X, y, reset=True, dtype="numeric", multi_output=True, y_numeric=True)
        s = weights(sample_weight, len(X))
        self._keep(self._fit_each(X, y.reshape(len(y), -1), s), y.ndim == 1)
        return self

    @available_if(_is_least_squares)
    def partial_fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> LpRegressor:
        """For p = 2: take in further rows X (N, D) and y (N,) or (N, K), anew after a `fit`; returns itself."""
        reset = not hasattr(self, "state_")
        X, y = validated_table(self, X, y, reset=reset, dtype="numeric", multi_output=True, y_numeric=True)
        self._take_in(X, y, weights(sample_weight, len(X)))
        return self

    def predict(self, X: TableLike) -> Array:
        """The values, float64 (N,) or (N, K), of X (N, D)."""
        return self._values(X)


class LpClassifier(ClassifierMixin, _Linear):
    """A classifier that fits labels as numbers by `fastdl.fit_lp`.

    Two labels are fitted as -1 and 1, and predicted by the sign of the model. Of K labels, each has a model of its own,
    fitted to 1 for its rows and -1 for the others, and the label of the largest value is predicted, the first of
    equals.

    Parameters
    ----------
    p, method, fit_intercept, tol, options, random_state, threads
        As in `LpRegressor`.
    class_weight : "balanced", or dict of label to float, optional
        Factors of the rows' weights by class; "balanced" gives every class the same total weight.

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

    def __init__(
        self,
        p: Loss = 2.0,
        *,
        method: str = "auto",
        fit_intercept: bool = True,
        tol: float = 1e-8,
        class_weight: str | Mapping[Any, float] | None = None,
        options: dict[str, Any] | None = None,
        random_state: RandomState = None,
        threads: int | None = 1,
    ):
        super().__init__(
            p, method=method, fit_intercept=fit_intercept, tol=tol, options=options, random_state=random_state,
            threads=threads,
        )  # fmt: skip
        self.class_weight = class_weight

    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> LpClassifier:
        """Fit X (N, D) to labels y (N,); returns itself."""
        X, y = validated_table(self, X, y, reset=True, dtype="numeric")
        y = _read_labels(y)
        self._learn_classes(y)
        numbers = self._codes.encode(y)
        s = class_weighted(self.class_weight, self.classes_, numbers, weights(sample_weight, len(X)))
        targets = self._targets(numbers)
        self._keep(self._fit_each(X, targets.reshape(len(targets), -1), s), targets.ndim == 1)
        return self

    @available_if(_is_least_squares)
    def partial_fit(
        self, X: TableLike, y: ArrayLike, classes: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> LpClassifier:
        """For p = 2: take in further rows X (N, D) and labels y (N,); returns itself.

        The first call needs all `classes`; after a `fit` it begins anew. "balanced" as `class_weight` would need all
        rows: give a dict.
        """
        reset = not hasattr(self, "state_")
        X, y = validated_table(self, X, y, reset=reset, dtype="numeric")
        y = _read_labels(y)
        if reset:
            classes = getattr(self, "classes_", None) if classes is None else classes
            if classes is None:
                raise _check.InputError("the first call of partial_fit must be given all classes")
            self._learn_classes(_read_labels(np.asarray(classes)))
        if isinstance(self.class_weight, str):
            raise _check.InputError("partial_fit cannot balance classes it has not seen all of: give a dict")
        numbers = self._codes.encode(y)
        s = class_weighted(self.class_weight, self.classes_, numbers, weights(sample_weight, len(X)))
        self._take_in(X, self._targets(numbers), s)
        return self

    def _learn_classes(self, y: Array) -> None:
        self._codes = ClassTarget().fit(y)
        self.classes_ = self._codes.classes_
        if len(self.classes_) < 2:
            raise _check.InputError(f"y must hold at least two classes, got one class: {self.classes_.tolist()[0]!r}")
        self._target: BinaryTarget | ClassTarget = (
            BinaryTarget(values=(-1, 1)).fit(y) if len(self.classes_) == 2 else self._codes
        )

    def _targets(self, numbers: Array) -> Array:
        """-1 and 1 for two labels, (N,); else a column for each, 1 for its rows and -1 for the others."""
        if len(self.classes_) == 2:
            return 2.0 * numbers - 1.0
        return np.where(numbers[:, None] == np.arange(len(self.classes_)), 1.0, -1.0)

    def decision_function(self, X: TableLike) -> Array:
        """The values of the models: (N,), positive for the second of two labels, or (N, K)."""
        return self._values(X)

    def predict(self, X: TableLike) -> Array:
        """The label of each row of X (N, D)."""
        check_is_fitted(self)
        return self._target.decode(self._values(X))


class LogisticClassifier(ClassifierMixin, BaseEstimator):
    """Logistic regression of two classes or more, with a certificate: `fastdl.fit_logistic`.

    Parameters
    ----------
    l2 : float
        The penalty ``l2 / 2 |w|^2``: 1 / C of scikit-learn's LogisticRegression.
    fit_intercept : bool
        Whether there are intercepts, which have no penalty.
    class_weight : "balanced", or dict of label to float, optional
        Factors of the rows' weights by class; "balanced" gives every class the same total weight.
    tol : float
        The relative gap of the certificate at which to stop.
    max_iter : int
        The largest number of steps.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    classes_ : ndarray (K,)
        The labels, sorted.
    coef_ : ndarray (D,) for two labels, else (K, D)
        w.
    intercept_ : float, or ndarray (K,)
        b.
    loss_, certificate_, history_, model_
        As in `LpRegressor`; the model is a `LogisticFit`.
    n_iter_ : int
        The number of steps taken.
    n_features_in_ : int
        D.

    Examples
    --------
    >>> from fastdl.estimators import LogisticClassifier
    >>> model = LogisticClassifier().fit([[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"])
    >>> model.predict([[0.5], [4.5]]).tolist(), model.predict_proba([[2.5]]).round(6).tolist()
    (['low', 'high'], [[0.5, 0.5]])
    """

    def __init__(
        self,
        l2: float = 1.0,
        *,
        fit_intercept: bool = True,
        class_weight: str | Mapping[Any, float] | None = None,
        tol: float = 1e-8,
        max_iter: int = 100,
        threads: int | None = 1,
    ):
        self.l2, self.fit_intercept, self.class_weight = l2, fit_intercept, class_weight
        self.tol, self.max_iter, self.threads = tol, max_iter, threads

    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> LogisticClassifier:
        """Fit X (N, D) to labels y (N,); returns itself."""
        X, y = validated_table(self, X, y, reset=True, dtype="numeric")
        fit = fit_logistic(
            X, _read_labels(y), l2=self.l2, intercept=self.fit_intercept, sample_weight=weights(sample_weight, len(X)),
            class_weight=self.class_weight, tol=self.tol, steps=self.max_iter, threads=self.threads,
        )  # fmt: skip
        self.classes_, self.coef_, self.intercept_, self.loss_ = fit.classes, fit.w, fit.b, fit.loss
        self.certificate_, self.history_, self.model_ = fit.certificate, fit.history, fit
        self.n_iter_ = len(fit.history["loss"])
        return self

    def decision_function(self, X: TableLike) -> Array:
        """The logits of X (N, D): (N,) of the second of two classes, else (N, K)."""
        check_is_fitted(self)
        return self.model_.decision_function(validated_table(self, X, reset=False, dtype="numeric"))

    def predict_proba(self, X: TableLike) -> Array:
        """The probability of each class, (N, K), for X (N, D)."""
        check_is_fitted(self)
        return self.model_.predict_proba(validated_table(self, X, reset=False, dtype="numeric"))

    def predict(self, X: TableLike) -> Array:
        """The most probable label of each row of X (N, D)."""
        check_is_fitted(self)
        return self.model_.predict(validated_table(self, X, reset=False, dtype="numeric"))


def _read_labels(y: Array) -> Array:
    """The labels as an array that is not of objects; labels that are no classes are an error."""
    y = np.array(y.tolist()) if y.dtype == object else y
    check_classification_targets(y)
    return y
