"""Features from columns of numbers as scikit-learn transformers: polynomials of each column, and functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from fastdl import _check, _threads
from fastdl._typing import Array, ArrayLike, TableLike
from fastdl.estimators._validation import validated_table
from fastdl.features import _function_blocks
from fastdl.features.basis import BASES, vandermonde
from fastdl.features.functions import feature_map

_ROWS = 4096  # of a block, whose polynomials of one column stay in the cache
_NAMES = {"monomial": "{1}^{0}", "chebyshev": "T{0}({1})", "legendre": "P{0}({1})"}


class VandermondeFeatures(TransformerMixin, BaseEstimator):
    """Polynomials of each column: `fastdl.vandermonde`, with the domain learned from the data.

    Parameters
    ----------
    degree : int
        The highest degree, at least 0.
    basis : {"chebyshev", "legendre", "monomial"}
        Powers of x ("monomial") are nearly dependent from a degree of about ten on; the other two are not.
    domain : "learn", (low, high) or None
        The interval that is mapped to [-1, 1] before the basis is evaluated: from the smallest to the largest value of
        each column in `fit`, one pair for all columns, or none.
    include_bias : bool
        Whether the first column is the polynomial of degree 0: ones.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    domain_ : ndarray (D, 2) or None
        The interval of each column.
    n_features_in_ : int
        D.

    See Also
    --------
    sklearn.preprocessing.PolynomialFeatures : products of several columns, as `fastdl.polynomial_features` makes.

    Examples
    --------
    >>> from fastdl.estimators import VandermondeFeatures
    >>> columns = VandermondeFeatures(degree=2).fit([[0.0], [10.0]])
    >>> columns.transform([[0.0], [5.0], [10.0]])
    array([[ 1., -1.,  1.],
           [ 1.,  0., -1.],
           [ 1.,  1.,  1.]])
    >>> columns.get_feature_names_out().tolist()
    ['1', 'T1(x0)', 'T2(x0)']
    """

    def __init__(
        self,
        degree: int = 3,
        *,
        basis: str = "chebyshev",
        domain: str | tuple[float, float] | None = "learn",
        include_bias: bool = True,
        threads: int | None = 1,
    ):
        self.degree, self.basis, self.domain = degree, basis, domain
        self.include_bias, self.threads = include_bias, threads

    def fit(self, X: TableLike, y: object = None) -> VandermondeFeatures:
        """Learn the interval of each column of X (N, D); returns itself."""
        return self._learn(validated_table(self, X, reset=True), None)

    def partial_fit(self, X: TableLike, y: object = None) -> VandermondeFeatures:
        """Widen the interval of each column to hold further rows X (N, D) too; returns itself."""
        seen = getattr(self, "_extremes", None)
        return self._learn(validated_table(self, X, reset=seen is None), seen)

    def _learn(self, X: Array, seen: Array | None) -> VandermondeFeatures:
        degree = _check.integer("degree", self.degree, 0)
        if degree == 0 and not self.include_bias:
            raise _check.InputError("degree must be at least 1 without the bias, got 0: there would be no column")
        _check.one_of("basis", self.basis, BASES)
        some = X if seen is None else np.concatenate([X, seen.astype(X.dtype, copy=False)])
        self._extremes = np.stack([some.min(axis=0), some.max(axis=0)])  # of the rows so far
        if isinstance(self.domain, str):
            _check.one_of("domain", self.domain, ("learn",))
            self.domain_: Array | None = intervals(self._extremes)
        else:
            self.domain_ = None if self.domain is None else np.tile(np.array(self.domain, float), (X.shape[1], 1))
        return self

    def transform(self, X: TableLike) -> Array:
        """The polynomials of X (N, D): (N, D degree + 1), in the dtype of X where it is a float."""
        check_is_fitted(self)
        X = validated_table(self, X, reset=False)
        d, degree, bias = X.shape[1], self.degree, int(self.include_bias)
        result = np.empty((len(X), bias + d * degree), X.dtype)
        result[:, :bias] = 1
        domains = [None] * d if self.domain_ is None else [tuple(pair) for pair in self.domain_]

        def some(rows: slice) -> None:
            columns = np.empty((len(X[rows]), degree + 1), X.dtype)
            for j in range(d):
                vandermonde(X[rows, j], degree, basis=self.basis, domain=domains[j], out=columns)
                for k in range(degree):  # column by column, which is several times as fast as copying short rows
                    result[rows, bias + j * degree + k] = columns[:, k + 1]

        _threads.split(len(X), self.threads, some, _ROWS)
        return result

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names: "1", and "x0^2", "T2(x0)" or "P2(x0)"."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        form = _NAMES[self.basis]
        powers = [form.format(k, x) if k > 1 or form[0] != "{" else x for x in names for k in range(1, self.degree + 1)]
        return np.array((["1"] if self.include_bias else []) + powers, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def intervals(X: Array) -> Array:
    """The smallest and largest value of each column, (D, 2); for a constant column an interval around it."""
    low, high = X.min(axis=0).astype(float), X.max(axis=0).astype(float)
    reach = np.where(low == high, np.where(low == 0, 1, np.abs(low)), 0)
    return np.stack([low - reach, high + reach], axis=1)


class FeatureMap(TransformerMixin, BaseEstimator):
    """Functions of columns, named or your own, in one pass: `fastdl.feature_map`.

    Parameters
    ----------
    functions : list of str, callable or (str or callable, columns)
        As in `fastdl.feature_map`. In other processes, as in a search with ``n_jobs``, functions must be picklable:
        lambdas are not.
    invalid : {"nan", "raise"}
        Where a function is not defined, as log of 0: whether the feature is NaN, or an error names the row.
    threads : int or None
        Threads to use; None means all this process may.

    Attributes
    ----------
    n_features_in_ : int
        D.

    Examples
    --------
    >>> from fastdl.estimators import FeatureMap
    >>> columns = FeatureMap(["identity", ("sqrt", 1)])
    >>> columns.fit_transform([[1.0, 4.0], [2.0, 9.0]])
    array([[1., 4., 2.],
           [2., 9., 3.]])
    >>> columns.get_feature_names_out().tolist()
    ['x0', 'x1', 'sqrt(x1)']
    """

    def __init__(
        self, functions: Sequence[Any] = ("identity", "square"), *, invalid: str = "nan", threads: int | None = 1
    ):
        self.functions, self.invalid, self.threads = functions, invalid, threads

    def fit(self, X: TableLike, y: object = None) -> FeatureMap:
        """Learn the number of columns, and check the functions; returns itself."""
        validated_table(self, X, reset=True)
        self._steps()
        _check.one_of("invalid", self.invalid, ("nan", "raise"))
        return self

    def transform(self, X: TableLike) -> Array:
        """The features of X (N, D): (N, M), in the dtype of X where it is a float."""
        check_is_fitted(self)
        X = validated_table(self, X, reset=False)
        functions = self._list()
        return feature_map(X, functions, invalid=self.invalid, threads=self.threads)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names: "x0" of identity, "log(x0)", "mine(x0, x1)"."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        out = []
        for step in self._steps():
            groups = [step.columns] if callable(step.function) else [(c,) for c in step.columns]
            inside = [", ".join(names[list(group)]) for group in groups]
            out += [x if step.name == "identity" else f"{step.name}({x})" for x in inside]
        return np.array(out, dtype=object)

    def _list(self) -> list[Any]:
        return list(self.functions) if isinstance(self.functions, tuple) else self.functions  # type: ignore[return-value]

    def _steps(self) -> list[_function_blocks.Step]:
        return _function_blocks.steps(self._list(), self.n_features_in_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
