"""p > 1: Newton's method with the dual bound of Hoelder's inequality."""

from __future__ import annotations

from fastdl._fit import LpFit
from fastdl._passes import Rows


def fit(rows: Rows, p: float, *, intercept: bool, seed: int, threads: int | None, tol: float = 1e-8) -> LpFit:
    """The fit of least |r|^p."""
    raise NotImplementedError
