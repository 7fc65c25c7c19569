"""Polynomial regression, whose degree cross-validation chooses, with scikit-learn's interface."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from fastdl import _check
from fastdl._typing import Array, ArrayLike, TableLike
from fastdl.estimators._validation import RandomState, seed_of, validated_table, weights
from fastdl.estimators.features import intervals
from fastdl.features.basis import vandermonde
from fastdl.features.products import polynomial_features
from fastdl.linear.fit import fit_lp
from fastdl.selection.degrees import choose_degree


class PolynomialRegressor(RegressorMixin, BaseEstimator):
    """A polynomial that minimizes an Lp loss; cross-validation chooses the degree.

    Parameters
    ----------
    degree : "auto" or int
        The degree; "auto" takes that of the smallest validation loss from 0 to `max_degree`.
    p : float
        The loss is |y - f(x)|^p.
    max_degree : int
        The highest degree that "auto" tries, as far as there are enough rows.
    folds : int
        Folds of the cross-validation, at least 2.
    rule : {"min", "one_se"}
        Whether "auto" takes the degree of the smallest validation loss, or the lowest within a standard error of it.
    random_state : int, RandomState or None
        The seed of the folds; None is 0.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    degree_ : int
        The degree of the fit.
    curves_ : dict of ndarray, or None for a given degree
        "degree", and the mean loss of each: "train" and "valid", with "valid_se", the standard error over the folds.
    domain_ : ndarray (D, 2)
        The interval of each column that is mapped to [-1, 1].
    coef_, intercept_ : ndarray (M,), float
        The weights of the Chebyshev polynomials of one column, or of the products of several columns mapped to [-1, 1].
    certificate_ : Certificate
        Bounds of the minimum of the loss.
    n_features_in_ : int
        D.

    Notes
    -----
    For one column `select_degree` finds the degree, for p = 2 from one pass over the data. For D columns there are
    C(D + degree, degree) products of up to `degree` of them, and each degree and fold is fitted; degrees with more
    products than half the rows are not tried.

    Examples
    --------
    >>> import numpy as np
    >>> from fastdl.estimators import PolynomialRegressor
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(0, 10, (2000, 1))
    >>> y = 2 * x[:, 0] - 0.3 * x[:, 0] ** 2 + 0.02 * x[:, 0] ** 3 + rng.normal(0, 0.5, 2000)
    >>> model = PolynomialRegressor(rule="one_se").fit(x, y)
    >>> model.degree_, model.predict([[5.0]]).round(1)
    (3, array([5.]))
    """

    def __init__(
        self,
        degree: str | int = "auto",
        p: float = 2.0,
        *,
        max_degree: int = 15,
        folds: int = 5,
        rule: str = "min",
        random_state: RandomState = None,
        threads: int | None = 1,
    ):
        self.degree, self.p, self.max_degree, self.folds, self.rule = degree, p, max_degree, folds, rule
        self.random_state, self.threads = random_state, threads

    def fit(self, X: TableLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> PolynomialRegressor:
        """Choose the degree, and fit X (N, D) to y (N,); returns itself."""
        x, t = validated_table(self, X, y, reset=True, dtype=np.float64, y_numeric=True)
        s = weights(sample_weight, len(x))
        if s is not None:
            x, t, s = (a[s != 0] for a in (x, t, s))
        self.domain_ = intervals(x)
        self.curves_: dict[str, Array] | None = None
        if isinstance(self.degree, str):
            _check.one_of("degree", self.degree, ("auto",))
            self.degree_ = self._choose(x, t, s)
        else:
            self.degree_ = _check.integer("degree", self.degree, 0)
        how: dict[str, Any] = {"seed": seed_of(self.random_state), "threads": self.threads}
        self.model_ = fit_lp(self._columns(x, self.degree_), t, self.p, sample_weight=s, **how)
        self.coef_, self.intercept_ = self.model_.w, self.model_.b
        self.certificate_ = self.model_.certificate
        return self

    def predict(self, X: TableLike) -> Array:
        """The values of the polynomial, float64 (N,), of X (N, D)."""
        check_is_fitted(self)
        X = validated_table(self, X, reset=False, dtype=np.float64)
        return self._columns(X, self.degree_) @ self.coef_ + self.intercept_

    def _columns(self, X: Array, degree: int) -> Array:
        """The columns of the polynomial, without that of ones."""
        if X.shape[1] == 1:
            domain = tuple(self.domain_[0])
            return vandermonde(X[:, 0], degree, basis="chebyshev", domain=domain, threads=self.threads)[:, 1:]
        low, high = self.domain_.T
        t = ((X - low) - (high - X)) / (high - low)
        return polynomial_features(t, degree, threads=self.threads)[:, 1:]

    def _choose(self, X: Array, y: Array, s: Array | None) -> int:
        """Choose the degree, and keep the loss curves as `curves_`."""
        n, d = X.shape
        folds = min(_check.integer("folds", self.folds, 2), n)
        _check.one_of("rule", self.rule, ("min", "one_se"))
        room = range(_check.integer("max_degree", self.max_degree, 0) + 1)
        degrees = [k for k in room if comb(d + k, k) <= max(1, n // 2)]
        if n < 2:
            raise _check.InputError(f"degree='auto' needs at least 2 samples, got {n} sample")
        how: dict[str, Any] = {"sample_weight": s, "threads": self.threads, "seed": seed_of(self.random_state)}
        if d == 1:
            how["domain"] = tuple(self.domain_[0])
        x = X[:, 0] if d == 1 else X
        choice = choose_degree(x, y, degrees, folds=folds, p=self.p, test=0, rule=self.rule, **how)
        curves = {"train": choice.train, "valid": choice.valid, "valid_se": choice.valid_se}
        self.curves_ = {"degree": np.array(degrees), **curves}
        return choice.best if self.rule == "min" else choice.one_se
