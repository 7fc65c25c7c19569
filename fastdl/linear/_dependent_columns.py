"""Lower bounds where a fit left out columns: nearly dependent columns can lower the minimum, exactly dependent cannot.

A temperature in Celsius and the same in Fahrenheit, rounded, span one direction more than either alone: the rounding
errors of the second column. No model gains from it with weights that float64 can represent, but a lower bound must hold
for all real weights. So the bound is taken from a second fit, in which those remainders are columns of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.errors import InputError
from fastdl.linear import _exact_sums as exact_sums
from fastdl.linear._coordinates import Coordinates, power_of_two
from fastdl.linear.result import Certificate

PRIMES = ((1 << 31) - 1, (1 << 31) - 19)  # products of residues fit in 64 bits
_FIRST_EXPONENT = -1130  # below that of the least float's last bit
#: Relative to the terms: by sums of twice the precision (2^-104), remainders above this have nine digits (2^-30).
_SMALLEST_REMAINDER = 2.0**-74
_REMAINDER_ERROR = 1e-9  # relative error of a bound from remainders of nine digits


#: A lower bound of the loss of rows, and the rank of their columns.
Bound = Callable[[Rows], tuple[float, int]]


def bound_all_columns(certificate: Certificate, coordinates: Coordinates, bound: Bound) -> Certificate:
    """The certificate with a lower bound that holds for models of all columns, those left out by the fit included."""
    whole = coordinates.rows.columns + bool(coordinates.intercept)
    if not certificate.lower > 0 or coordinates.rank == whole:
        return certificate
    lower = _remainder_bound(coordinates, bound)
    if lower >= certificate.lower:
        return certificate
    return Certificate.of(certificate.upper, lower, "dual" if lower > 0 else "bound")


def _remainder_bound(coordinates: Coordinates, bound: Bound) -> float:
    """A lower bound of models of all columns; infinity where those left out depend on the others exactly."""
    rows, intercept, threads = coordinates.rows, coordinates.intercept, coordinates.threads
    kept = np.arange(rows.columns) if coordinates.kept is None else coordinates.kept
    left = np.setdiff1d(np.arange(rows.columns), kept)
    if not len(left):
        return float("inf")
    left = left[_adds_to_span(rows, intercept, kept, left)]
    if not len(left):
        return float("inf")
    try:
        remainders = [_Remainder(rows, kept, int(j), intercept, threads) for j in left]
        if not all(remainder.is_known() for remainder in remainders):
            return 0.0

        def blocks() -> Iterator[tuple[Array, Array, Array | None]]:
            for X, y, s in rows.blocks():
                yield np.column_stack([X[:, kept], *(remainder.of(X) for remainder in remainders)]), y, s

        lower, rank = bound(Rows(blocks))
    except InputError:  # remainders out of the range of float64
        return 0.0
    if rank != len(kept) + len(left) + bool(intercept):
        return 0.0
    return max(0.0, lower) * (1 - _REMAINDER_ERROR)


class _Remainder:
    """The residual of column j in its least squares fit by the columns kept, in sums of twice the precision."""

    def __init__(self, rows: Rows, kept: Array, j: int, intercept: bool, threads: int | None):
        self.rows, self.kept, self.j, self.models, self.scale = rows, kept, j, [], 1.0
        for _ in range(2):  # the second fit corrects the rounding errors of the first
            coordinates = Coordinates(Rows(self._as_target), intercept, threads)
            self.models.append(coordinates.model(coordinates.least_squares))
        largest = max((float(np.abs(self.of(X)).max(initial=0)) for X, _, _ in rows.blocks()), default=0.0)
        self.scale = float(power_of_two(np.array(largest)))
        self.largest = largest

    def _as_target(self) -> Iterator[tuple[Array, Array, Array | None]]:
        for X, _, s in self.rows.blocks():
            yield np.ascontiguousarray(X[:, self.kept]), self.of(X), s

    def of(self, X: Array) -> Array:
        """The remainder in the rows of a block."""
        some = X[:, self.kept]
        high, low = X[:, self.j], np.zeros(len(X))
        for w, b in self.models:
            high, rest = exact_sums.residual_pairs(some, high, w, b)
            low = low + rest
        return (high + low) * self.scale

    def is_known(self) -> bool:
        """Whether the remainder is far enough above the rounding errors of its sums to have nine digits."""
        w, b = self.models[0]
        terms = 0.0
        for X, _, _ in self.rows.blocks():
            size = np.abs(X[:, self.j]) + np.abs(X[:, self.kept]) @ np.abs(w) + abs(b)
            terms = max(terms, float(size.max(initial=0)))
        return self.largest > _SMALLEST_REMAINDER * terms


def _adds_to_span(rows: Rows, intercept: bool, kept: Array, left: Array) -> Array:
    """For each column left out, whether it is linearly independent, exactly, of those kept and those left out before.

    Floats are integers times powers of two, so the rank can be found by elimination modulo a prime. That can only come
    out too small, by chance once in 2^31 matrices: two primes make it once in 10^18.
    """
    found = np.zeros(len(left), bool)
    for prime in PRIMES:
        found |= Elimination(prime, bool(intercept), kept, left).run(rows)
    return found


class Elimination:
    """Row reduction of [1, kept, left] modulo a prime; it holds as many rows as are independent."""

    def __init__(self, prime: int, ones: bool, kept: Array, left: Array):
        self.prime, self.ones, self.columns = prime, ones, np.concatenate([kept, left])
        self.left = len(left)
        self.width = int(ones) + len(self.columns)
        self.basis = np.zeros((0, self.width), np.uint64)  # reduced: each pivot's column is 0 in all other rows
        self.pivots: list[int] = []
        exponents = range(_FIRST_EXPONENT, 1030)
        self.powers = np.array([pow(2, exponent, prime) for exponent in exponents], np.uint64)

    def run(self, rows: Rows) -> Array:
        """For each column left out, whether it has a pivot."""
        for k, (X, _, _) in enumerate(rows.blocks()):
            A = self.residues(X)
            if k == 0:
                for row in A[: 2 * self.width]:
                    self._insert(row)
            while (wrong := self._first_outside_span(A)) is not None:
                self._insert(A[wrong])
            if self._has_pivot().all():
                break
        return self._has_pivot()

    def _has_pivot(self) -> Array:
        return np.isin(np.arange(self.width - self.left, self.width), self.pivots)

    def residues(self, X: Array) -> Array:
        """[1, kept, left] of a block modulo the prime."""
        fraction, exponent = np.frexp(X[:, self.columns])
        mantissa = np.mod((fraction * 2.0**53).astype(np.int64), self.prime).astype(np.uint64)
        A = mantissa * self.powers[exponent - 53 - _FIRST_EXPONENT] % np.uint64(self.prime)
        return np.column_stack([np.ones((len(A), int(self.ones)), np.uint64), A])

    def _insert(self, row: Array) -> None:
        """Add a row to the basis, unless it is in its span."""
        p = np.uint64(self.prime)
        if self.pivots:
            row = (row + ((p - row[self.pivots])[:, None] * self.basis % p).sum(axis=0)) % p
        if not row.any():
            return
        pivot = int(np.flatnonzero(row)[0])
        row = row * np.uint64(pow(int(row[pivot]), -1, self.prime)) % p
        basis = (self.basis + (p - self.basis[:, pivot : pivot + 1]) * row) % p
        self.basis = np.concatenate([basis, row[None]])
        self.pivots.append(pivot)

    def _first_outside_span(self, A: Array) -> int | None:
        """The first row that is not in the span of the basis; None where all are."""
        p = np.uint64(self.prime)
        for column in np.setdiff1d(np.arange(self.width), self.pivots):
            # In a row of the span this column is the sum of the pivot columns times the column's values in the basis.
            expected = np.zeros(len(A), np.uint64)
            for pivot, known in zip(self.pivots, self.basis[:, column]):
                if known:
                    expected = (expected + A[:, pivot] * known) % p
            off = np.flatnonzero(expected != A[:, column])
            if len(off):
                return int(off[0])
        return None
