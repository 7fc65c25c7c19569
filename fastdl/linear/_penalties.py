"""The penalties of a fit, or of a path of fits."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._typing import ArrayLike


def penalty_pairs(l1: ArrayLike, l2: ArrayLike) -> list[tuple[float, float]]:
    """(l1, l2) of each fit, of numbers or arrays of one length."""
    both = [np.atleast_1d(_check.floats(name, value, (0, 1))).astype(float) for name, value in (("l1", l1), ("l2", l2))]
    for name, values in zip(("l1", "l2"), both):
        _check.finite(name, values)
        if values.size and values.min() < 0:
            raise _check.InputError(f"{name} must not be negative, got {values.min()}")
    if len({len(values) for values in both} - {1}) > 1 or not all(len(values) for values in both):
        raise _check.InputError(f"l1 and l2 must be numbers or have one length, got {len(both[0])} and {len(both[1])}")
    return [(float(a), float(b)) for a, b in np.broadcast(*both)]
