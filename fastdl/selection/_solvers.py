"""Least squares of every degree from the result of a pass over the points: Chebyshev sums, or triangular factors.

Both give the squared error of any polynomial on their rows, and the best polynomial of each degree. A known polynomial
`subtracted` may have been subtracted from y: they then solve for v, and the fit is subtracted + v.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from fastdl._typing import Array

EPS = float(np.finfo(float).eps)
ILL = 1e6  # ill-conditioned: beyond, squared errors from Chebyshev sums have fewer than ten digits


class ChebyshevSums:
    """Sums over one or more folds, (3P + 4,), as `fastdl.reference.selection.sums` defines them."""

    def __init__(self, sums: Array):
        self.sums = sums
        self.degree = P = (len(sums) - 4) // 3
        j = np.arange(P + 1)
        self.G = (sums[j[:, None] + j] + sums[abs(j[:, None] - j)]) / 2
        self.c = sums[2 * P + 1 : 3 * P + 2]
        self.yy, self.rows, self.weight = float(sums[-2]), int(sums[-1]), float(sums[0])

    @classmethod
    def joined(cls, parts: Sequence[ChebyshevSums]) -> ChebyshevSums:
        return cls(np.sum([part.sums for part in parts], axis=0))

    def sse(self, v: Array) -> float:
        """The squared error of v on these rows."""
        return float(self.yy - 2 * (v @ self.c) + v @ self.G @ v)

    @cached_property
    def condition(self) -> float:
        """The condition number of the columns' Gram matrix, each column at unit length."""
        return self._conditions([self.degree + 1])[0]

    def conditions(self) -> list[float]:
        """The condition number for each degree."""
        return self._conditions(range(1, self.degree + 2))

    def _conditions(self, sizes: Sequence[int]) -> list[float]:
        if not self.weight:
            return [np.inf] * len(sizes)
        scale = 1 / np.sqrt(np.maximum(np.diag(self.G), EPS * self.weight))
        scaled = self.G * scale * scale[:, None]
        ends = [np.linalg.eigvalsh(scaled[:d, :d])[[0, -1]] for d in sizes]
        return [float(high / low) if low > 0 else np.inf for low, high in ends]

    @property
    def determined(self) -> int:
        """The number of coefficients that these sums determine."""
        return self.degree + 1 if self.condition <= ILL else sum(c <= ILL for c in self.conditions())

    def fits(self, subtracted: Array, degrees: Sequence[int]) -> Array:
        """v for each degree: the least squares solution, which cancels the coefficients of `subtracted` above it."""
        V = np.zeros((len(degrees), self.degree + 1))
        # The leading block of a triangular inverse is the inverse of the leading block: one serves every degree.
        inverse = np.linalg.inv(np.linalg.cholesky(self.G[: max(degrees) + 1, : max(degrees) + 1]))
        for v, d in zip(V, degrees):
            v[d + 1 :] = -subtracted[d + 1 :]
            right = self.c[: d + 1] - self.G[: d + 1, d + 1 :] @ v[d + 1 :]
            head = inverse[: d + 1, : d + 1]
            v[: d + 1] = head.T @ (head @ right)
        return V


class TriangularFactor:
    """The R (P + 2, P + 2) of the QR factorisation of columns T_0 .. T_P, y, rows times the root of their weight."""

    def __init__(self, R: Array, rows: int, weight: float):
        self.R, self.rows, self.weight = R, rows, weight
        self.degree = R.shape[1] - 2

    @classmethod
    def joined(cls, parts: Sequence[TriangularFactor]) -> TriangularFactor:
        R = np.asarray(np.linalg.qr(np.vstack([part.R for part in parts]), mode="r"))
        return cls(R, sum(part.rows for part in parts), sum(part.weight for part in parts))

    def sse(self, v: Array) -> float:
        """The squared error of v on these rows."""
        return float(np.sum((self.R[:, :-1] @ v - self.R[:, -1]) ** 2))

    @cached_property
    def _scale(self) -> Array:
        length = np.sqrt((self.R**2).sum(axis=0))
        return np.where(length > 0, length, 1.0)

    @cached_property
    def condition(self) -> float:
        """The square of the columns' condition number, to be compared with `ChebyshevSums.condition`."""
        values = np.linalg.svd(self.R[:, :-1] / self._scale[:-1], compute_uv=False)
        return float((values[0] / values[-1]) ** 2) if values[-1] > 0 else np.inf

    @property
    def determined(self) -> int:
        """The number of coefficients that the points determine."""
        scaled = self.R[:, :-1] / self._scale[:-1]
        counts = range(1, self.degree + 2)
        full = [np.linalg.matrix_rank(scaled[:, :d], rtol=max(self.rows, 10) * EPS) == d for d in counts]
        return full.index(False) if False in full else len(full)

    def fits(self, subtracted: Array, degrees: Sequence[int]) -> Array:
        """v for each degree; that of the smallest norm where the points do not determine it."""
        V = np.zeros((len(degrees), self.degree + 1))
        for v, d in zip(V, degrees):
            v[d + 1 :] = -subtracted[d + 1 :]
            right = self.R[:, -1] - self.R[:, d + 1 : -1] @ v[d + 1 :]
            scale = self._scale[: d + 1]
            v[: d + 1] = np.linalg.lstsq(self.R[:, : d + 1] / scale, right, rcond=self.rows * EPS)[0] / scale
        return V
