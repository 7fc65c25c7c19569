"""The design matrix [1, Z] in memory and its products, and solvers for its Gram matrices."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from fastdl import _kernels
from fastdl._typing import Array
from fastdl.reference import linear as reference

kernel = _kernels.load("linear") or reference


def gram(X: Array, t: Array, s: Array | None, shift: Array, factor: Array) -> Array:
    """The Gram matrix of [1, (X - shift) * factor, t], weighted."""
    return whole_matrix(gram_sums(X, t, s, shift, factor), X.shape[1] + 2)


def gram_sums(X: Array, t: Array, s: Array | None, shift: Array, factor: Array) -> Array:
    """The upper triangle of it, padded: what blocks add up to before `whole_matrix` completes it."""
    width = -(-(X.shape[1] + 2) // 8) * 8
    total = np.zeros((width, width))
    kernel.gram(X, t, s, shift, factor, np.empty(128 * width), total)
    return total


def whole_matrix(total: Array, m: int) -> Array:
    """The symmetric matrix (m, m) of what `gram_sums` gives."""
    part = total[:m, :m]
    return np.where(_upper(m), part, part.T)


@lru_cache(8)
def _upper(m: int) -> Array:
    """What is in the upper triangle."""
    return np.triu(np.ones((m, m), bool))


class DesignMatrix:
    """[1, Z] in memory, Z scaled already, and its products."""

    def __init__(self, Z: Array, ones: bool):
        self.Z, self.ones = np.ascontiguousarray(Z), ones
        self._still, self._unit = np.zeros(Z.shape[1]), np.ones(Z.shape[1])

    @property
    def width(self) -> int:
        return self.Z.shape[1] + self.ones

    def dot(self, gamma: Array) -> Array:
        """[1, Z] gamma."""
        return -self.minus(np.zeros(len(self.Z)), gamma)

    def minus(self, t: Array, gamma: Array) -> Array:
        """T - [1, Z] gamma."""
        out = np.empty(len(self.Z))
        b, w = (gamma[0], gamma[1:]) if self.ones else (0.0, gamma)
        kernel.residuals(self.Z, t, w, b, self._still, out)
        return out

    def products(self, g: Array) -> Array:
        """[1, Z]' g."""
        total = np.zeros(self.Z.shape[1] + 1)
        kernel.products(self.Z, g, self._still, total)
        return total if self.ones else total[1:]

    def gram(self, h: Array) -> Array:
        """[1, Z]' diag(h) [1, Z]."""
        G = gram(self.Z, h, h, self._still, self._unit)[:-1, :-1]
        return G if self.ones else G[1:, 1:]

    def gram_and_products(self, h: Array, t: Array) -> tuple[Array, Array]:
        """`gram` of h, and `products` of h t."""
        G = gram(self.Z, t, h, self._still, self._unit)[int(not self.ones) :, int(not self.ones) :]
        return G[:-1, :-1], G[:-1, -1]

    def rows(self, which: Array) -> Array:
        """Some rows of [1, Z]."""
        Z = self.Z[which]
        return np.column_stack([np.ones(len(Z)), Z]) if self.ones else Z


def factorize(G: Array) -> Callable[[Array], Array]:
    """A function that solves G x = g, for positive definite G whose columns may have any scales."""
    scale = 1 / np.sqrt(np.maximum(G.diagonal(), 1e-300))
    C = G * np.outer(scale, scale)
    C[np.diag_indices(len(C))] += 1e-14 * len(C)
    inverse = np.linalg.inv(C)

    def solve(g: Array) -> Array:
        x = inverse @ (g * scale)
        return (x + inverse @ (g * scale - C @ x)) * scale

    return solve


def independent_columns(R: Array, tolerance: float) -> Array:
    """A largest set of independent columns of R, all of unit length, in order; the first column is always in it."""
    Q = R.copy()
    chosen: list[int] = []
    for step in range(min(R.shape)):
        size = np.sqrt((Q * Q).sum(axis=0))
        size[chosen] = 0
        column = int(size.argmax()) if step else 0
        if size[column] <= tolerance:
            break
        chosen.append(column)
        q = Q[:, column] / size[column]
        for _ in range(2):
            Q -= np.outer(q, q @ Q)
    return np.sort(np.array(chosen, int))


def substitute(Z: Array, R: Array) -> Array:
    """Q of Q R = Z, column by column, backward stable: Q solves the equation for a Z changed in its last bits."""
    Q, q, still = np.zeros(Z.shape), np.empty(len(Z)), np.zeros(len(R))
    for j in range(len(R)):
        kernel.residuals(Q, np.ascontiguousarray(Z[:, j]), np.append(R[:j, j], still[j:]), 0.0, still, q)
        Q[:, j] = q / R[j, j]
    return Q
