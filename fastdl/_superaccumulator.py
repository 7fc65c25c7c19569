"""Exact sums of floats, which do not depend on the order and grouping of the terms.

A superaccumulator (Kulisch, "Computer arithmetic and validity", 2013): a sum is a long integer times a power of two, in
digits of 32 bits. Each digit is kept in an int64, so that carries are passed on only when it is nearly full; there are
as many digits as the terms so far span, usually three to five.
"""

from __future__ import annotations

import numpy as np

from fastdl._typing import Array

_DIGIT = 32
_MASK = np.int64((1 << _DIGIT) - 1)
_LEAST = -1126  # the exponent of digit 0: below the last bit of the smallest float
_FULL = 1 << 28  # terms that can be added between two passes of carries, each below 2^34
_BUFFER = 1 << 12  # numbers that are collected, and then added at once


class Superaccumulator:
    """Exact sums of `count` columns of floats; infinities and NaN give infinity or NaN, as ordinary sums do."""

    def __init__(self, count: int):
        self._digits = np.zeros((0, count), np.int64)
        self._first = 0  # the number of the first digit
        self._terms = 0  # added since the last pass of carries
        self._beyond = np.zeros(count)  # the sums of the terms that are not finite
        self._buffer: list[Array] = []

    def add(self, rows: Array) -> None:
        """Add rows of `count` floats; they are not copied, and must not change."""
        self._buffer.append(rows)
        if sum(map(np.size, self._buffer)) >= _BUFFER:
            self._add_buffered()

    def _add_buffered(self) -> None:
        if not self._buffer:
            return
        rows = self._buffer[0] if len(self._buffer) == 1 else np.concatenate(self._buffer)
        self._buffer = []
        finite = np.isfinite(rows)
        if not finite.all():
            with np.errstate(invalid="ignore"):
                self._beyond = self._beyond + np.where(finite, 0, rows).sum(axis=0)
            rows = np.where(finite, rows, 0)
        fraction, exponent = np.frexp(rows)
        whole = np.ldexp(fraction, 53).astype(np.int64)
        at, shift = np.divmod(exponent - (53 + _LEAST), _DIGIT)  # 0 counts as of the exponent of 1
        start, stop = int(at.min(initial=1 << 20)), int(at.max(initial=-1))
        if stop < 0:
            return
        low, high = (whole & _MASK) << shift, (whole >> _DIGIT) << shift
        parts = (low & _MASK, (low >> _DIGIT) + (high & _MASK), high >> _DIGIT)
        self._make_room(start, stop + 3, len(rows))
        for digit in range(start, stop + 1):
            here = at == digit
            for k, part in enumerate(parts, start=digit - self._first):
                self._digits[k] += (part if start == stop else np.where(here, part, 0)).sum(axis=0)

    def merge(self, other: Superaccumulator) -> None:
        """Add the sums of another."""
        other._add_buffered()
        with np.errstate(invalid="ignore"):
            self._beyond = self._beyond + other._beyond
        if len(other._digits):
            self._make_room(other._first, other._first + len(other._digits), other._terms + 1)
            at = other._first - self._first
            self._digits[at : at + len(other._digits)] += other._digits

    def copy(self) -> Superaccumulator:
        """An independent copy of the sums."""
        other = Superaccumulator(len(self._beyond))
        other.merge(self)
        return other

    def totals(self) -> Array:
        """The sums as floats, to within a unit in the last place; their bits depend on the exact sum alone."""
        self._add_buffered()
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            return self._rounded() + self._beyond

    def _rounded(self) -> Array:
        digits = self._digits.copy()
        _carry(digits)
        negative = digits[-1:].sum(axis=0) < 0
        digits[:, negative] *= -1  # from a complement to sign and magnitude
        _carry(digits)
        count, width = digits.shape
        top = np.where(digits.any(axis=0), count - 1 - (digits[::-1] != 0).argmax(axis=0), 0) if count else 0
        total = np.zeros(width)
        for k, digit in enumerate(digits):
            total += np.ldexp(digit.astype(np.float64), _DIGIT * (k - top))
        return np.ldexp(np.where(negative, -total, total), _DIGIT * (self._first + top) + _LEAST)

    def _make_room(self, start: int, stop: int, terms: int) -> None:
        """Make sure there are digits from `start` to `stop` - 1, with room for the carries of this many terms."""
        if not len(self._digits):
            self._first = start
        self._reserve(start, stop)
        if self._terms + terms > _FULL:
            self._reserve(start, self._first + len(self._digits) + 1)
            _carry(self._digits)
            self._terms = 0
        self._terms += terms

    def _reserve(self, start: int, stop: int) -> None:
        below, above = max(0, self._first - start), max(0, stop - self._first - len(self._digits))
        if below or above:
            self._digits = np.pad(self._digits, ((below, above), (0, 0)))
            self._first -= below


def _carry(digits: Array) -> None:
    """Bring all digits but the last back to 32 bits."""
    for k in range(len(digits) - 1):
        digits[k + 1] += digits[k] >> _DIGIT
        digits[k] &= _MASK
