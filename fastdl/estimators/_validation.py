"""Checks of the estimators' input: random states, tables, weights."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from fastdl import _check
from fastdl._typing import Array, ArrayLike, DTypeLike, TableLike

FLOATS = (np.float64, np.float32)
#: What scikit-learn takes as `random_state`.
RandomState = int | np.random.RandomState | None


def seed_of(random_state: RandomState) -> int:
    """The seed of a random state: an integer is the seed, None is 0, and a generator draws one."""
    if random_state is None:
        return 0
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


@overload
def validated_table(
    estimator: BaseEstimator, X: TableLike, *, reset: bool, dtype: DTypeLike | tuple[type, ...] = FLOATS, **checks: Any
) -> Array: ...
@overload
def validated_table(
    estimator: BaseEstimator,
    X: TableLike,
    y: ArrayLike,
    *,
    reset: bool,
    dtype: DTypeLike | tuple[type, ...] = FLOATS,
    **checks: Any,
) -> tuple[Array, Array]: ...
def validated_table(estimator: BaseEstimator, X: TableLike, *y: ArrayLike, reset: bool, **checks: Any) -> Any:
    """X (and y) after scikit-learn's checks: finite, with the columns of the fit; an error names a column of text."""
    checks.setdefault("dtype", FLOATS)
    try:
        return validate_data(estimator, X, *y, reset=reset, **checks)
    except ValueError:
        if _check.column_names(X) is not None:
            _check.asarray("X", X)  # its error names the column of text, which scikit-learn's does not
        raise


def weights(sample_weight: ArrayLike | None, n: int) -> Array | None:
    """The weights of n rows, at least one of which must be above 0."""
    if sample_weight is None:
        return None
    s = _check.array("sample_weight", sample_weight, ("f", "i", "u", "b"), 1)
    if len(s) != n:
        raise _check.InputError(f"sample_weight must have a weight for each of {n} rows, got {len(s)}")
    if not s.any():
        raise _check.InputError("sample_weight must not be zero in every row")
    return s
