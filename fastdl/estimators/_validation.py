"""What the estimators share."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from fastdl import _check

Array = np.ndarray

FLOATS = (np.float64, np.float32)


def seed_of(random_state: Any) -> int:
    """A seed: a number is one itself, None is 0, and a generator draws one."""
    if random_state is None:
        return 0
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def validated_table(estimator: Any, X: Any, *y: Any, reset: bool, dtype: Any = FLOATS, **checks: Any) -> Any:
    """X (and y) as scikit-learn checks them: finite, of the columns of the fit; a column of text is named."""
    try:
        return validate_data(estimator, X, *y, reset=reset, dtype=dtype, **checks)
    except ValueError:
        if _check.column_names(X) is not None:
            _check.asarray("X", X)  # scikit-learn says that a text is no number, but not in which column
        raise


def weights(sample_weight: Any, n: int) -> Array | None:
    """The weights of n rows, of which one at least must count."""
    if sample_weight is None:
        return None
    s = _check.array("sample_weight", sample_weight, ("f", "i", "u", "b"), 1)
    if len(s) != n:
        raise _check.InputError(f"sample_weight must have a weight for each of {n} rows, got {len(s)}")
    if not s.any():
        raise _check.InputError("sample_weight must not be zero in every row")
    return s
