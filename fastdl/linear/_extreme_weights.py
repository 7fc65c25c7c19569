"""Weights of an extreme common size, whose squares would leave the range of float64."""

from __future__ import annotations

import numpy as np

from fastdl import _check
from fastdl._typing import ArrayLike


def divide_weights(y: ArrayLike | None, sample_weight: ArrayLike | None) -> tuple[ArrayLike | None, float]:
    """The weights divided by a power of two, and that power: 1 unless the weights are beyond 1e30 or below 1e-30."""
    if y is None or sample_weight is None:
        return sample_weight, 1.0
    weights = _check.array("sample_weight", sample_weight, ("f", "i", "u", "b"), 1).astype(np.float64)
    most = float(weights.max(initial=0))
    if not 0 < most < np.inf or 1e-30 < most < 1e30:
        return sample_weight, 1.0
    exponent = int(np.frexp(most)[1])
    return np.ldexp(weights, -exponent), float(np.ldexp(1.0, exponent))
