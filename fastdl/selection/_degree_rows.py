"""The rows from which a degree is chosen, with the fold of each, read in as many passes as the method needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._row_buffer import select_rows
from fastdl._rows import source
from fastdl._typing import ArrayLike, RowsLike
from fastdl.selection._row_blocks import checked_chunk
from fastdl.selection.polynomial import interval
from fastdl.selection.polynomial_stats import PolynomialStats
from fastdl.selection.splits import Split


class FoldedPoints:
    """x, y and weights, from arrays or chunks; their domain, number, and folds."""

    def __init__(
        self,
        x: RowsLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        domain: tuple[float, float] | None,
        n: int | None,
        threads: int | None,
    ):
        self._again: Callable[[], Iterable[Any]]
        if y is None:
            self._again = source(x, None, sample_weight)
            self.n = -1 if n is None else _check.integer("n", n, 1)
        else:
            rows = checked_chunk((x, y, sample_weight))[:3]
            self._again, self.n = (lambda: [rows]), len(rows[0])
        self.domain = None if domain is None else interval(domain)
        self.passes, self.threads = 0, threads
        if self.n < 0 or self.domain is None:
            self._measure()

    def _measure(self) -> None:
        low, high, n = np.inf, -np.inf, 0
        for x, y, s, _ in self._checked(0):
            kept = x if s is None else x[s != 0]
            if len(kept):
                least, most = float(kept.min()), float(kept.max())
                if not (np.isfinite(least) and np.isfinite(most)):
                    PolynomialStats._refuse((x, y, s, None), n)
                low, high = min(low, least), max(high, most)
            n += len(x)
        self.n = n
        if low > high:
            raise _check.InputError("there are no rows of weight above 0")
        if self.domain is None:
            wide = (high - low) or max(abs(low), 1.0)
            self.domain = (low, high) if high > low else (low - wide, high + wide)

    def given_folds(self, folds: ArrayLike) -> None:
        """Use the folds that the user gives for each row; -1 stands for the test part."""
        folds = _check.array("folds", folds, ("i", "u"), 1)
        if len(folds) != self.n:
            raise _check.InputError(f"folds must have one number for each of {self.n} rows, got {len(folds)}")
        if not self.n:
            raise _check.InputError("folds of no rows part nothing: there must be rows")
        if folds.min() < -1 or folds.max() < 1:
            raise _check.InputError(f"folds must be -1, or 0 to 1 or more, got {folds.min()} to {folds.max()}")
        self.count = int(folds.max()) + 1
        codes = np.where(folds < 0, self.count, folds).astype(np.int32)
        self._folds = lambda start, stop: codes[start:stop]

    def split_by(self, split: Split, count: int) -> None:
        """Use the first `count` parts of a split as the folds; the rest is the test part."""
        if split.n != self.n:
            raise _check.InputError(f"folds must be of {self.n} rows, got folds of {split.n}")
        self.count = count
        self._folds = lambda start, stop: split._range(start, stop, np.int32, None, self.threads)

    def chunks(self) -> Iterator[tuple[Any, ...]]:
        """(x, y, s, folds), where fold K is the test part."""
        yield from self._checked(self.n)

    def _checked(self, expected: int) -> Iterator[tuple[Any, ...]]:
        self.passes += 1
        start = 0
        for chunk in self._again():
            rows = checked_chunk(chunk, start)
            for first in range(0, len(rows[0]), 1 << 22):  # so that the array of folds stays small
                x, y, s, _ = select_rows(rows, slice(first, first + (1 << 22)))
                stop = start + len(x)
                if expected and stop > expected:
                    raise _check.InputError(f"there are more rows than n = {expected}")
                yield x, y, s, self._folds(start, stop) if expected else None
                start = stop
        if start < expected:
            raise _check.InputError(f"there are only {start} rows, but n = {expected}")
