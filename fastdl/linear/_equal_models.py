"""Models that are the same where columns depend on each other: which of them has the weights of least norm."""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array

_SAME = 1e-9  # of the largest weight of columns of length 1


class EqualModels:
    """The models that columns left out of a fit, combinations of those kept, give besides that of the columns kept.

    `null_space` (D, left) are the directions in which weights can change without changing the model; `factor` brings
    the columns to about unit length.
    """

    def __init__(self, null_space: Array, kept: Array, left: Array, factor: Array):
        self.null_space, self.kept, self.left, self.factor = null_space, kept, left, factor
        #: What a weight of each column left out is worth to those kept.
        self.worth = -null_space[kept] / null_space[left, np.arange(len(left))]
        self.space = self._space()

    def _space(self) -> tuple[Array, Array] | None:
        """(S, R), R'R = S'S, of the space that weights of least norm are in, where there are fewer rows than columns.

        Columns that are left out are combinations of those kept, whose coefficients span that space with the unit
        vectors. None where it is not the smaller one, or squares of the coefficients may leave the range of float64.
        """
        if len(self.kept) >= len(self.left):
            return None
        span = np.zeros((len(self.null_space), len(self.kept)))
        span[self.kept] = np.eye(len(self.kept))
        span[self.left] = self.worth.T
        sizes = np.abs(span[span != 0])
        fine = sizes.size and sizes.min() > 1e-100 and sizes.max() < 1e100
        return (span, np.asarray(np.linalg.qr(span, mode="r"))) if fine else None

    def minimum_norm(self, w: Array) -> Array:
        """The weights of least norm among those that give the same model; w where rounding would give another."""
        if not self.null_space.size:
            return w
        if self.space is not None:
            span, R = self.space
            least = span @ np.linalg.solve(R, np.linalg.solve(R.T, span.T @ w))
        else:
            least = w - self.null_space @ np.linalg.lstsq(self.null_space, w, rcond=None)[0]
        return least if self._is_same(w, least) else w

    def _is_same(self, w: Array, other: Array) -> bool:
        """Whether both come to the same weights of the columns kept."""
        kept, left = self.kept, self.left
        with np.errstate(over="ignore", invalid="ignore"):
            before, after = ((v[kept] + self.worth @ v[left]) / self.factor[kept] for v in (w, other))
            return bool(np.abs(before - after).max(initial=0) <= _SAME * np.abs(before).max(initial=0))
