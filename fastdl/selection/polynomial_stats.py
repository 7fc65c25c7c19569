"""Polynomial least squares of every degree from one pass: sums of Chebyshev polynomials, fold by fold."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fastdl import _check, _kernels, _threads
from fastdl._row_buffer import select_rows
from fastdl._state_bytes import StateBytes
from fastdl._superaccumulator import Superaccumulator
from fastdl._typing import Array
from fastdl.reference import _selection_kernels
from fastdl.selection._row_blocks import BLOCK, RowBlocks
from fastdl.selection._solvers import ChebyshevSums
from fastdl.selection.polynomial import Polynomial, interval

__all__ = ["Polynomial", "PolynomialPath", "PolynomialStats"]

kernel = _kernels.load("selection_polynomials") or _selection_kernels

HIGHEST = 60  # the highest degree
_JOB = 64 * BLOCK  # rows of one call of the kernel, the unit of work of a thread
_SPAN = 64 * _JOB  # rows whose block sums are in memory at once


class PolynomialPath:
    """The least-squares polynomials of degree 0 to P: what `PolynomialStats.finish` returns.

    Attributes
    ----------
    coefficients : ndarray of float64, (P + 1, P + 1)
        Row d holds those of degree d, of T_0, T_1, ... on the domain.
    loss : ndarray of float64, (P + 1,)
        The weighted sum of squared residuals of each.
    condition : ndarray of float64, (P + 1,)
        The condition number of the columns' Gram matrix, each column at unit length.
    rows, weight : int, float
        The number of rows, and the sum of their weights.
    domain : (float, float)
        As given.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> x = np.linspace(-1, 1, 101)
    >>> path = fastdl.PolynomialStats(3).update((x, x**2)).finish()
    >>> path.model(2).predict([3.0]).round(6)
    array([9.])
    """

    def __init__(self, gram: ChebyshevSums, subtracted: Array, domain: tuple[float, float]):
        P = gram.degree
        self.rows, self.weight, self.domain = gram.rows, gram.weight, domain
        self.condition = np.array(gram.conditions())
        self.coefficients, self.loss = np.full((P + 1, P + 1), np.nan), np.full(P + 1, np.nan)
        known = range(gram.determined)
        if known:
            V = gram.fits(subtracted, known)
            self.coefficients[known] = subtracted + V
            self.loss[known] = [max(0.0, gram.sse(v)) for v in V]
        if len(known) <= P:
            warnings.warn(
                f"the sums do not determine degrees above {len(known) - 1}, which are NaN: x has too few distinct "
                "values, or lies in too small a part of the domain",
                stacklevel=3,
            )

    def model(self, degree: int) -> Polynomial:
        """The polynomial of a degree."""
        degree = _check.integer("degree", degree, 0, len(self.loss) - 1)
        return Polynomial(self.coefficients[degree, : degree + 1], self.domain)


class PolynomialStats(RowBlocks, StateBytes):
    """Sums over points (x, y) from which every polynomial fit up to a degree follows, for each of several folds.

    The state takes O(folds x degree) numbers, however many points it has seen.

    Parameters
    ----------
    degree : int
        The highest degree P, 0 to 60.
    domain : (low, high), optional
        The interval that is mapped to [-1, 1], and should be about that of the points; by default x is not mapped.
    folds : int
        The number of folds.
    offset : float, optional
        Subtracted from y, so that a large mean does not cost digits; by default the first y.
    subtracted : Polynomial, optional
        Subtracted from y as well (on the same domain): a fit of a first pass, which a second pass makes more accurate.
    threads : int or None
        Threads to use; None means all this process may.

    Notes
    -----
    For each fold, with ``T_k`` at the mapped x: sum of s T_k for k = 0..2P, of s y T_k for k = 0..P, of s y^2, and the
    number of rows: 3P + 4 numbers. Blocks of 4096 rows are summed in float64, and the sums of blocks without rounding,
    so chunks and threads do not change a bit. Nor do merges, as of `streaming.run` with an executor, where `offset` is
    given and each state but the last took a multiple of 4096 rows; others agree to rounding.

    A row of weight 0 counts as dropped, whatever it holds, and so does one of a fold outside 0..folds-1; any other
    value that is not finite is an `InputError` that names its row.

    The sums have half the digits of a QR factorization: where squared errors are below some 1e-10 of the sum of y^2, or
    x fills a small part of the domain only, a second pass with `subtracted` is needed. `select_degree` does it.

    Examples
    --------
    >>> import numpy as np, fastdl
    >>> x = np.linspace(0, 10, 1000)
    >>> stats = fastdl.PolynomialStats(2, domain=(0, 10))
    >>> for part in np.split(np.arange(1000), 4):
    ...     stats = stats.update((x[part], 3 + x[part] ** 2))
    >>> stats.finish().model(2).monomial().round(6) + 0.0
    array([3., 0., 1.])
    """

    def __init__(
        self,
        degree: int,
        *,
        domain: tuple[float, float] | None = None,
        folds: int = 1,
        offset: float | None = None,
        subtracted: Polynomial | None = None,
        threads: int | None = 1,
    ):
        super().__init__()
        self.degree = _check.integer("degree", degree, 0, HIGHEST)
        self.domain = (-1.0, 1.0) if domain is None else interval(domain)
        self.folds = _check.integer("folds", folds, 1)
        self.offset = None if offset is None else _check.number("offset", offset)
        self.threads = threads
        self.subtracted = subtracted
        if subtracted is not None and (subtracted.degree > self.degree or subtracted.domain != self.domain):
            raise _check.InputError(
                f"subtracted must have degree {self.degree} at most and the same domain, got {subtracted!r}"
            )
        self._sums = Superaccumulator(self.folds * (3 * self.degree + 4))

    def fresh(self) -> PolynomialStats:
        """An empty state with the same settings."""
        return PolynomialStats(
            self.degree,
            domain=self.domain,
            folds=self.folds,
            offset=self.offset,
            subtracted=self.subtracted,
            threads=self.threads,
        )

    @property
    def _subtracted(self) -> Array:
        """Coefficients (P + 1,) of the polynomial that is subtracted from y, without the offset."""
        subtracted = np.zeros(self.degree + 1)
        if self.subtracted is not None:
            subtracted[: len(self.subtracted.coefficients)] = self.subtracted.coefficients
        return subtracted

    def _begin(self, y: float) -> None:
        if self.offset is None:
            self.offset = y

    def _add(self, rows: tuple[Any, ...], start: int) -> None:
        """Whole blocks, and at the end of the stream a shorter one; `start` is the number of the first row."""
        n = len(rows[0])
        for first in range(0, n, _SPAN):
            span = select_rows(rows, slice(first, first + _SPAN))
            if not self.degree:  # no sum contains x, so none would show that it is not finite
                self._check_finite(span, start + first)
            blocks = _threads.split(len(span[0]), self.threads, lambda s, span=span: self._blocks(span, s), _JOB)  # type: ignore[misc]
            for part in blocks:
                if not np.isfinite(part).all():
                    self._refuse(span, start + first)
                self._sums.add(part)

    def _blocks(self, rows: tuple[Any, ...], where: slice) -> Array:
        """The sums of each block, (blocks, folds * (3P + 4))."""
        x, y, s, fold = select_rows(rows, where)
        single = all(a is None or (a.dtype.kind == "f" and a.dtype.itemsize <= 4) for a in (x, y, s))
        dtype = np.float32 if single else np.float64
        x, y = np.ascontiguousarray(x, dtype), np.ascontiguousarray(y, dtype)
        s = None if s is None else np.ascontiguousarray(s, dtype)
        fold = None if fold is None else np.ascontiguousarray(fold, np.int32)
        out = np.empty((-(-len(x) // BLOCK), self.folds, 3 * self.degree + 4))
        how = (*self.domain, self.offset, None if self.subtracted is None else self._subtracted)
        scratch, ends = np.empty(3 * (BLOCK + self.folds + 1)), np.empty(self.folds + 1, np.intp)
        kernel.block_sums(x, y, s, fold, how, out, scratch, ends)
        return out.reshape(len(out), -1)

    def merge(self, other: PolynomialStats) -> PolynomialStats:
        """Take in a state that saw the rows after this one's; returns itself."""
        if (self.degree, self.domain, self.folds) != (other.degree, other.domain, other.folds):
            raise _check.InputError("states must have the same degree, domain and folds to be merged")
        if other.offset is not None and other.rows > len(other._buffer):
            self._flush()
            self._begin(other.offset)
            if other.offset == self.offset:
                self._sums.merge(other._sums)
            else:
                self._sums.add(self._shifted(other._sums.totals(), other.offset).reshape(1, -1))
            self.rows += other.rows - len(other._buffer)
        for rows in other._buffer.parts:
            self.update(rows)
        return self

    def _shifted(self, flat: Array, offset: float) -> Array:
        """Sums for y - offset as sums for y less this state's offset."""
        sums = flat.reshape(self.folds, -1)
        P, by = self.degree, offset - (self.offset or 0.0)
        cross = sums[:, 2 * P + 1 : 3 * P + 2]
        sums[:, -2] += by * (2 * cross[:, 0] + by * sums[:, 0])
        cross += by * sums[:, : P + 1]
        return sums

    def sums(self) -> Array:
        """(folds, 3P + 4) of all rows so far, for y less the offset and `subtracted`."""
        state = self.fresh()
        state._sums, state.offset = self._sums.copy(), self.offset
        if len(self._buffer):
            state._add(self._buffer.peek(), self.rows - len(self._buffer))
        return state._sums.totals().reshape(self.folds, -1)

    def grams(self) -> list[ChebyshevSums]:
        """The sums of each fold, ready to solve."""
        return [ChebyshevSums(sums) for sums in self.sums()]

    def finish(self) -> PolynomialPath:
        """The fits of every degree to the rows of all folds."""
        gram = ChebyshevSums.joined(self.grams())
        if not gram.rows:
            raise _check.InputError("there were no rows to fit")
        subtracted = self._subtracted
        path = PolynomialPath(gram, subtracted, self.domain)
        path.coefficients[:, 0] += self.offset or 0.0
        return path
