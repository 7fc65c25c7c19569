"""The rows of a fit with their columns and y centred and scaled: what makes a method independent of units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastdl import _check, _threads
from fastdl._loss_sums import Sums
from fastdl._passes import Block, Rows, _joined

Array = np.ndarray

_ALL = slice(None)
_DEPENDENT = 1e-11  # a column of which less than this part (squared) is new adds nothing


def sums(X: Array, y: Array, s: Array | None, W: Array, b: Any, p: Any, gradient: bool = False) -> Array:
    """Of one block and every model the loss, and with `gradient` its derivatives by b and w: (K, 1 + 1 + D)."""
    return Sums(X, y, W, b, p, s).block_of(_ALL, gradient)


def losses(X: Array, y: Array, s: Array | None, W: Array, b: Array, p: Any) -> Array:
    """The loss of one block for every model; its bits do not depend on which other models there are."""
    few = max(0, 4 - len(W))  # fewer are taken one by one, and summed in another order
    if few:
        W, b = np.concatenate([W, np.repeat(W[:1], few, 0)]), np.concatenate([b, np.repeat(b[:1], few)])
    return sums(X, y, s, W, b, p)[: len(W) - few, 0]


def gram(Z: Array, s: Array | None) -> Array:
    """Z' diag(s) Z in a fixed order of summation: half the gradients of the squares of each column."""
    if not Z.shape[1]:
        return np.zeros((0, 0))
    return sums(Z, np.zeros(len(Z)), s, np.eye(Z.shape[1]), 0.0, 2.0, True)[:, 2:] / 2


def products(Z: Array, a: Array) -> Array:
    """Z' a in a fixed order of summation."""
    if not Z.shape[1]:
        return np.zeros(0)
    return sums(Z, a, None, np.zeros((1, Z.shape[1])), 0.0, 2.0, True)[0, 2:] / -2


def residuals(Z: Array, y: Array, v: Array, c: float) -> Array:
    """y - Z v - c, column by column: the same bits on any CPU."""
    r = y - c
    for j in np.flatnonzero(v):
        r -= Z[:, j] * v[j]
    return r


class Standard:
    """Rows with columns of mean 0 and mean square 1, and y likewise; without an intercept they are scaled alone.

    A column that is constant (without an intercept: zero) stays 0. With `scale_y` false, which a loss with units of
    its own asks for, y is only centred, and `unit` says what a weight of 1 is then worth. Rows in memory are kept as
    float64; a stream is gone through anew at each pass.
    """

    def __init__(self, rows: Rows, intercept: bool, threads: int | None = 1, *, scale_y: bool = True):
        self.rows, self.intercept, self.threads = rows, intercept, threads
        d = self.columns = rows.columns
        total, center, size = self._moments()
        self.weight = float(total[-1, -1])
        means = total[-1, :-1] / self.weight if self.weight and intercept else np.zeros(d + 1)
        cov = total[:-1, :-1] / self.weight - np.outer(means, means) if self.weight else np.zeros((d + 1, d + 1))
        spread = np.sqrt(np.maximum(np.diag(cov), 0))
        spread[spread <= 1e-12 * np.abs(means)] = 0
        scale = np.where(spread > 0, spread, 1)
        self.correlation = np.where(np.outer(spread, spread) > 0, cov / np.outer(scale, scale), 0)
        self.mean, self.shift = (center + means * size)[:-1], float((center + means * size)[-1])
        self.spread, self.y_scale = (scale * size)[:-1], float((scale * size)[-1])
        self.unit = 1.0 if scale_y else self.y_scale
        self._y_scale = self.y_scale if scale_y else 1.0
        self.kept, self.factor = _cholesky(self.correlation[:d, :d])
        self._blocks: list[Block] | None = None
        if rows.in_memory:
            self._blocks = []
            rows.each(self._standardised, self._blocks.append, threads)
        self.count = sum(len(t) for _, t, _ in self._blocks) if self._blocks is not None else None

    def _moments(self) -> tuple[Array, Array, Array]:
        """Sums of products of [X, y, 1] after a shift by `center` and a division by `size`."""
        d = self.columns
        first = next((block for block in self.rows.blocks() if len(block[1])), None)
        if first is None:
            return np.zeros((d + 2, d + 2)), np.zeros(d + 1), np.ones(d + 1)
        A = np.column_stack(first[:2])
        center = np.zeros(d + 1)
        if self.intercept:  # a value of each column, so that a constant one becomes 0 to the bit
            center = A[np.abs(A - A.mean(0)).argmin(0), np.arange(d + 1)]
        size = np.abs(A - center).max(0)
        size[~((size > 0) & (size < np.inf))] = 1

        def work(X: Array, y: Array, s: Array | None) -> Array:
            Z = np.empty((len(X), d + 2))
            Z[:, :d], Z[:, d], Z[:, -1] = X, y, 1
            Z[:, :-1] -= center
            Z[:, :-1] /= size
            return gram(Z, s)

        total = self.rows.total(work, self.threads)
        assert total is not None
        if not np.isfinite(total).all():
            raise _check.InputError("X and y are too large to be squared in float64")
        return total, center, size

    def _standardised(self, X: Array, y: Array, s: Array | None) -> Block:
        return (X - self.mean) / self.spread, (y - self.shift) / self._y_scale, s

    def blocks(self) -> Iterator[Block]:
        """The blocks, in order; some may have no rows."""
        if self._blocks is not None:
            yield from self._blocks
        else:
            for X, y, s in self.rows.blocks():
                yield self._standardised(X, y, s)

    def gathered(self) -> Block:
        """All rows as one block, which must fit in memory."""
        blocks = list(self.blocks()) or [(np.empty((0, self.columns)), np.empty(0), None)]
        return _joined(blocks)

    def map(self, work: Callable[[Array, Array, Array | None], Any]) -> list[Any]:
        """work(Z, t, s) of every block, in order."""
        if self._blocks is not None:
            blocks = self._blocks
            return _threads.share(len(blocks), _threads.count(self.threads), lambda k: work(*blocks[k]))
        results: list[Any] = []
        self.rows.each(lambda *block: work(*self._standardised(*block)), results.append, self.threads)
        return results

    def total(self, work: Callable[[Array, Array, Array | None], Array]) -> Any:
        """The sum of work(Z, t, s) over the blocks, in order; 0.0 where there are no rows."""
        return sum(self.map(work), 0.0)

    def folded(self, v: Array, c: float) -> tuple[Array, float]:
        """The model of the rows as they were given."""
        w = v * self._y_scale / self.spread
        return w, float(self.shift + self._y_scale * c - w @ self.mean) if self.intercept else 0.0

    def unfolded(self, w: Array, b: float) -> tuple[Array, float]:
        """The other way round."""
        return w * self.spread / self._y_scale, float((b + w @ self.mean - self.shift) / self._y_scale)

    def least_squares(self) -> Array:
        """The weights of the least squares fit; its constant is 0."""
        v = np.zeros(self.columns)
        L = self.factor
        half = np.linalg.solve(L, self.correlation[:-1, -1][self.kept]) if len(L) else np.zeros(0)
        v[self.kept] = np.linalg.solve(L.T, half) if len(L) else half
        return v * (self.y_scale / self._y_scale)

    def spread_out(self, z: Array) -> tuple[Array, Array]:
        """Weights and constants of models (K, rank) whose predictions have mean square |z|^2."""
        v = np.zeros((len(z), self.columns))
        k = len(self.kept)
        if k:
            v[:, self.kept] = np.linalg.solve(self.factor.T, z[:, :k].T).T
        return v, z[:, k] if self.intercept else np.zeros(len(z))

    @property
    def rank(self) -> int:
        """The number of columns, and that of ones, that are not combinations of those before them."""
        return len(self.kept) + self.intercept


def _cholesky(C: Array) -> tuple[Array, Array]:
    """The columns of a correlation matrix that are not combinations of earlier ones, and their lower factor."""
    kept: list[int] = []
    L = np.zeros_like(C)
    for j in range(len(C)):
        k = len(kept)
        row = np.zeros(k)
        for i in range(k):
            row[i] = (C[j, kept[i]] - L[i, :i] @ row[:i]) / L[i, i]
        left = C[j, j] - row @ row
        if left > _DEPENDENT * len(C):
            L[k, :k], L[k, k] = row, np.sqrt(left)
            kept.append(j)
    return np.array(kept, np.intp), L[: len(kept), : len(kept)]
