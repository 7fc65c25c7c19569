"""The least of a quadratic form with a penalty of absolute values, by the coefficients that are not 0 and their signs.

The feature-sign search of Lee, Battle, Raina and Ng, "Efficient sparse coding algorithms" (2007): among coefficients of
given signs the least is a system of equations; on the way to it the first that would change its sign becomes 0; where
that ends, the one of the others whose slope exceeds its penalty most is let in. The loss falls with every step, so that
no signs come twice. Where columns depend on each other the way leads along what changes the penalty alone.
"""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array
from fastdl.linear._coordinates import EPS

_SINGULAR = 1e-13  # of a pivot of columns of length 1
_SWEEPS = 10  # of coordinate descent between two attempts to solve for the nonzero coefficients directly


def least_by_signs(A: Array, g: Array, half: Array, x: Array, steps: int) -> tuple[Array, bool]:
    """The least of <x, A x> - 2 <g, x> + 2 <half, |x|> from x on, and whether it is the least."""
    x, sizes = x.copy(), np.abs(A)
    signs = np.sign(x)
    for _ in range(steps):
        x, signs, ended = _to_least_of_signs(A, g, half, x, signs)
        slope = g - A @ x
        allowed = half * (1 + 1e-12) + 8 * EPS * (np.abs(g) + sizes @ np.abs(x))
        over = np.where(x != 0, 0.0, np.abs(slope) - allowed)
        if not ended or not len(x):
            return x, not len(x)
        worst = int(over.argmax())
        if over[worst] <= 0:
            return x, True
        signs[worst] = np.sign(slope[worst])
    return x, False


def _to_least_of_signs(A: Array, g: Array, half: Array, x: Array, signs: Array) -> tuple[Array, Array, bool]:
    """(x, signs, whether it came there): to the least of these signs, less those that come to 0 on the way."""
    for _ in range(len(x) + 1):
        active = np.flatnonzero(signs)
        if not active.size:
            return x, signs, True
        B, sign, now = A[np.ix_(active, active)], signs[active], x[active]
        step, whole = _step(B, g[active] - half[active] * sign - B @ now)
        if step is None:
            return x, signs, False
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(step * sign < 0, -now / step, np.inf)  # to 0; at once for one let in that would go back
        first = int(reach.argmin())
        share = float(reach[first])
        x = x.copy()
        if whole and not share < 1:
            x[active] = now + step
            return x, signs, True
        if not np.isfinite(share):
            return x, signs, False
        x[active] = now + share * step
        x[active[first]], signs = 0.0, signs.copy()
        signs[active[first]] = 0.0
    return x, signs, False


def _step(B: Array, slope: Array) -> tuple[Array | None, bool]:
    """(step, whether it is whole): to the least, or where the matrix is singular along what costs nothing else."""
    length = np.sqrt(B.diagonal())
    if not (length > 0).all():
        return None, False
    C = B / np.outer(length, length)
    try:
        pivots = np.linalg.cholesky(C).diagonal() ** 2
        if pivots.min() > _SINGULAR * len(B):
            step = np.linalg.solve(C, slope / length)
            step += np.linalg.solve(C, slope / length - C @ step)
            return step / length, True
    except np.linalg.LinAlgError:
        pass
    way = np.linalg.eigh(C)[1][:, 0] / length
    return way if slope @ way >= 0 else -way, False


def coordinate_descent(A: Array, g: Array, first: Array, start: Array | None, sweeps: int = 2000) -> Array:
    """The x that minimizes x'A x - 2 g'x + <first, |x|>."""
    x = np.zeros(len(g)) if start is None else start.copy()
    slope, half, size = g - A @ x, first / 2, A.diagonal()
    for sweep in range(sweeps):
        moved_by = 0.0
        for j in range(len(x)):
            z = slope[j] + size[j] * x[j]
            new = np.sign(z) * max(abs(z) - half[j], 0.0) / size[j]
            if new != x[j]:
                moved_by = max(moved_by, abs(new - x[j]))
                slope -= A[:, j] * (new - x[j])
                x[j] = new
        if moved_by == 0 or sweep % _SWEEPS == 0:
            x, optimal = least_by_signs(A, g, half, x, 2 * len(x) + 20 if sweep else 4)
            if optimal:
                return x
            slope = g - A @ x
        if moved_by <= EPS * np.abs(x).max(initial=0):
            break
    return x
