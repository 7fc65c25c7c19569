"""Least squares and ridge of a stream in one pass: sums of products that can be merged, sent and stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._row_buffer import RowBuffer
from fastdl._state_bytes import StateBytes
from fastdl._superaccumulator import Superaccumulator
from fastdl._typing import Array, FloatOrArray
from fastdl.linear._coordinates import power_of_two
from fastdl.linear._matrix import gram

_BLOCK = 1 << 20  # bytes of [X, y] in a block: it stays in the second-level cache
_ROWS = 1024  # in a block at least: the exact addition of its sums costs as much as some 50 rows


@dataclass(frozen=True, eq=False)
class GramFit:
    """The least squares fit of a `GramAccumulator`.

    Attributes
    ----------
    w : ndarray of float64, (D,), or (M, D) for M targets
        The weights; where columns are combinations of others, those of the smallest norm in columns of unit spread.
    b : float, or ndarray (M,)
        The intercepts.
    loss : float, or ndarray (M,)
        The weighted sum of squared residuals, computed from the sums: its rounding error is about 1e-16 of the sum of
        (y - mean)^2.
    count : int
        Rows of weight above 0.
    rank : int
        The rank of the centred columns.
    standard_errors : ndarray, (D + 1,) or (M, D + 1)
        Standard errors of b and w, for residuals of equal variance; NaN where columns are dependent or there are no
        more rows than coefficients. With a penalty they are those of the least squares fit without one.
    """

    w: Array
    b: FloatOrArray
    loss: FloatOrArray
    count: int
    rank: int
    standard_errors: Array


class GramAccumulator(StateBytes):
    """Sums of products of [1, X, y] over chunks, from which a least squares or ridge fit is made.

    Parameters
    ----------
    l2 : float
        The penalty l2 |w|^2 of `finish`: alpha of scikit-learn's Ridge.
    intercept : bool
        Whether there is a b, which has no penalty.

    Notes
    -----
    The means of the first block are subtracted from the columns, so that large means cost no digits. Rows are kept
    until they fill a block, and the sums of blocks are added without rounding: the bits do not depend on where the
    chunks are cut. Merged states, as of `streaming.run` with an executor, agree with a single state up to rounding,
    because each has a first block of its own; they agree to the bit where all were made by `fresh` of a state that has
    taken its first block, and each but the last took a multiple of `block` rows. Where columns are nearly dependent,
    `fit_lp` keeps twice as many digits, by several passes.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> state = fastdl.GramAccumulator()
    >>> state = state.update((np.array([[0.0], [1.0]]), np.array([1.0, 3.0])))
    >>> state = state.update((np.array([[2.0]]), np.array([5.0])))
    >>> fit = fastdl.GramAccumulator.from_bytes(state.to_bytes()).finish()
    >>> fit.w.round(12), round(fit.b, 12)
    (array([2.]), 1.0)
    """

    def __init__(self, l2: float = 0.0, *, intercept: bool = True):
        self.l2, self.intercept = _check.number("l2", l2, 0), bool(intercept)
        self._buffer = RowBuffer((None, None, 1.0))
        self._columns: int | None = None
        self._targets: tuple[int, ...] = ()
        self._count = 0
        self._shift: Any = None  # before the first block
        self._factor = np.zeros(0)
        self._sums = Superaccumulator(0)  # of the products on and above the diagonal

    def fresh(self) -> GramAccumulator:
        """An empty state with the same settings, which subtracts the same means where they are known."""
        state = GramAccumulator(self.l2, intercept=self.intercept)
        if self._shift is not None:
            state._begin(self._shift, self._factor)
        return state

    def update(self, chunk: tuple[Any, ...]) -> GramAccumulator:
        """Take in (X, y) or (X, y, sample_weight), y (N,) or (N, M); returns itself."""
        if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
            raise _check.InputTypeError(f"a chunk must be (X, y) or (X, y, sample_weight), got {type(chunk).__name__}")
        X, y = _check.floats("X", chunk[0], 2), _check.floats("y", chunk[1], (1, 2))
        _check.same_length(X=X, y=y)
        s = _check.sample_weight(chunk[2] if len(chunk) == 3 else None, len(X))
        keep = slice(None) if s is None else s > 0
        _check.finite("X", X[keep])
        _check.finite("y", y[keep])
        if self._columns is None:
            self._columns, self._targets = X.shape[1], y.shape[1:]
            if self._shift is not None and len(self._shift) != self._width:
                self._shift = None
        if (X.shape[1], y.shape[1:]) != (self._columns, self._targets):
            raise _check.InputError(
                f"chunks must have {self._columns} columns and targets of shape {self._targets}, "
                f"got {X.shape[1]} and {y.shape[1:]}"
            )
        rows = (X[keep].astype(np.float64), y[keep].astype(np.float64), None if s is None else s[keep])
        for block in self._buffer.push(rows, self.block):
            for start in range(0, len(block[0]), self.block):
                self._add(*(None if a is None else a[start : start + self.block] for a in block))
        return self

    @property
    def _width(self) -> int:
        """Columns and targets."""
        return (self._columns or 0) + int(np.prod(self._targets, dtype=np.int64))

    @property
    def block(self) -> int:
        """Rows in a block."""
        return max(_ROWS, _BLOCK // (8 * max(1, self._width)) // 64 * 64)

    def _add(self, X: Any, y: Any, s: Any) -> None:
        if not len(X):
            return
        if self._shift is None:
            self.begin_about(np.column_stack([X, y]), s)
        weights = None if s is None else np.ascontiguousarray(s)
        if np.size(y) == len(y):  # one target needs no copy of X beside it
            t = (np.ravel(y) - self._shift[-1]) * self._factor[-1]
            G = gram(np.ascontiguousarray(X), t, weights, self._shift[:-1], self._factor[:-1])
        else:
            G = gram(np.column_stack([X, y]), np.zeros(len(X)), weights, self._shift, self._factor)[:-1, :-1]
        self._sums.add(_upper(G))
        self._count += len(X)

    def begin_about(self, Z: Array, s: Array | None) -> None:
        """Sum products about the weighted means of these rows of [X, y], before there are any."""
        with np.errstate(over="ignore", invalid="ignore"):
            share = 1 / len(Z) if s is None else s / s.max() / np.add.reduce(s / s.max())
            about = (Z * np.reshape(share, (-1, 1))).sum(axis=0) if self.intercept else np.zeros(Z.shape[1])
            about = np.where(np.isfinite(about), about, 0.0)
            self._begin(about, power_of_two(np.abs(Z - about).max(axis=0)))

    def _begin(self, shift: Array, factor: Array) -> None:
        width = len(shift) + 1
        self._shift, self._factor, self._sums = shift, factor, Superaccumulator(width * (width + 1) // 2)

    def merge(self, other: GramAccumulator) -> GramAccumulator:
        """Take in another state; returns itself."""
        if other._columns is None:
            return self
        if self._columns is None:
            self._columns, self._targets = other._columns, other._targets
        if (self._columns, self._targets) != (other._columns, other._targets):
            raise _check.InputError("states must have the same columns and targets to be merged")
        if other._count:
            if self._shift is None:
                self._begin(other._shift, other._factor)
            if np.array_equal(self._shift, other._shift) and np.array_equal(self._factor, other._factor):
                self._sums.merge(other._sums)
            else:
                products = _symmetric(other._sums.totals())
                self._sums.add(_upper(shift_gram(products, other._shift, other._factor, self._shift, self._factor)))
            self._count += other._count
        for rows in other._buffer.parts:
            self.update(rows)
        return self

    def sums(self) -> tuple[int, Array, Array, Array]:
        """(rows, shift, factor, G): G has the weighted products of [1, ([X, y] - shift) * factor] over all rows."""
        if self._columns is None:
            raise _check.InputError("there were no chunks: the number of columns is not known")
        state = self.fresh()
        state.__dict__.update(self.__dict__)
        if len(self._buffer):
            state._sums = self._sums.copy()
            state._add(*self._buffer.peek())
        if state._shift is None:
            return 0, np.zeros(self._width), np.ones(self._width), np.zeros((self._width + 1,) * 2)
        return state._count, state._shift, state._factor, _symmetric(state._sums.totals())

    def finish(self) -> GramFit:
        """The fit of all rows so far."""
        count, shift, factor, G = self.sums()
        d = self._columns or 0
        weight = float(G[0, 0])
        G, mean, scale = standardize_gram(G, self.intercept)
        unit = factor * scale
        A, B = G[:d, :d], G[:d, d:]
        penalty = self.l2 * unit[:d] ** 2
        inverse, rank = _inverse(A)
        omega = inverse @ B if not self.l2 else solve_definite(A + np.diag(penalty), B)
        squares = np.diagonal(G[d:, d:]) - 2 * (omega * B).sum(axis=0) + (omega * (A @ omega)).sum(axis=0)
        loss = np.maximum(squares, 0) / unit[d:] ** 2
        w = (omega * unit[:d, None] / unit[d:]).T
        means = shift + mean / factor
        b = means[d:] - w @ means[:d] if self.intercept else np.zeros(len(w))
        left = count - rank - self.intercept if rank == d else 0
        errors = self._errors(left=left, inverse=inverse, unit=unit, means=means, loss=loss, weight=weight)
        if not self._targets:
            return GramFit(w[0], float(b[0]), float(loss[0]), count, rank, errors[0])
        return GramFit(w, b, loss, count, rank, errors)

    def _errors(self, *, left: int, inverse: Array, unit: Array, means: Array, loss: Array, weight: float) -> Array:
        d = len(inverse)
        if left <= 0:
            return np.full((len(loss), d + 1), np.nan)
        covariance = inverse * np.outer(unit[:d], unit[:d])
        of_b = 1 / weight + means[:d] @ covariance @ means[:d] if self.intercept else 0.0
        return np.sqrt(np.outer(loss / left, np.append(of_b, covariance.diagonal())))


def _upper(G: Array) -> Array:
    """The entries on and above the diagonal, as one row."""
    return G[np.triu_indices(len(G))][None]


def _symmetric(upper: Array) -> Array:
    """The symmetric matrix of entries as `_upper` gives them."""
    width = (math.isqrt(8 * len(upper) + 1) - 1) // 2
    G = np.zeros((width, width))
    G[np.triu_indices(width)] = upper
    return G + np.triu(G, 1).T


def standardize_gram(G: Array, intercept: bool) -> tuple[Array, Array, Array]:
    """(G, means, scale) of the products of [1, Z]: G about the means, in columns times `scale`, powers of two."""
    weight = max(float(G[0, 0]), 1e-300)
    mean = G[0, 1:] / weight if intercept else np.zeros(len(G) - 1)
    centred = G[1:, 1:] - weight * np.outer(mean, mean)
    scale = power_of_two(np.sqrt(np.maximum(centred.diagonal(), 0) / weight))
    return centred * np.outer(scale, scale), mean, scale


def solve_definite(A: Array, g: Array) -> Array:
    """The solution of A x = g for positive semidefinite A; the minimum-norm one, in columns of unit length."""
    length = np.sqrt(np.maximum(A.diagonal(), 0))
    length = np.where(length > 0, length, 1.0)
    C = A / np.outer(length, length)
    scaled = (g.T / length).T
    try:
        np.linalg.cholesky(C)
        x = np.linalg.solve(C, scaled)
    except np.linalg.LinAlgError:
        x = np.linalg.lstsq(C, scaled, rcond=None)[0]
    return np.asarray((x.T / length).T)


def _inverse(A: Array) -> tuple[Array, int]:
    """The pseudo-inverse and the rank."""
    if not len(A):
        return A, 0
    length = np.sqrt(np.maximum(A.diagonal(), 0))
    length = np.where(length > 0, length, 1.0)
    values, vectors = np.linalg.eigh(A / np.outer(length, length))
    kept = values > 16 * len(A) * np.finfo(float).eps * max(values.max(), 0)
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T / np.outer(length, length)
    return inverse, int(np.count_nonzero(kept))


def shift_gram(G: Array, shift: Array, factor: Array, to_shift: Array, to_factor: Array) -> Array:
    """The products of [1, (x - to_shift) * to_factor] from G, those of [1, (x - shift) * factor]."""
    change = np.eye(len(G))
    change[1:, 0] = (shift - to_shift) * to_factor
    change[1:, 1:] = np.diag(to_factor / factor)
    return np.asarray(change @ G @ change.T)
