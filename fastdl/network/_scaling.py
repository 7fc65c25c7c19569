"""Columns and targets in units of their spread, so that a training does not depend on the user's units."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl._typing import Array
from fastdl.network._parameters import ParameterLayout, TrainingRows, generator

_SAMPLE = 1 << 16  # targets whose quartiles are taken for those of all


class ColumnSpread:
    """The mean and standard deviation of columns, summed about their first row in units of the first block's range.

    So squares neither overflow nor underflow, and an offset costs no digits.
    """

    total = 0.0

    def update(self, a: Array, s: Array | None) -> None:
        """Take in rows."""
        if not self.total:
            self.origin, width = a[0], np.max(a, axis=0) - np.min(a, axis=0)
            self.width = np.where((width > 0) & np.isfinite(_inverse(width)), width, 1.0)
            self.first, self.second = np.zeros(len(width)), np.zeros(len(width))
        u = a - self.origin
        u *= _inverse(self.width)
        weighted = u if s is None else s[:, None] * u
        # Sums of arrays, not BLAS, whose order of summation depends on the processor.
        self.total += float(len(u) if s is None else s.sum())
        self.first += weighted.sum(axis=0)
        u *= weighted
        self.second += u.sum(axis=0)

    def finish(self) -> tuple[Array, Array]:
        """(mean, standard deviation) of each column."""
        mean = self.first / self.total
        spread = np.sqrt(np.maximum(self.second / self.total - mean * mean, 0))
        return self.origin + self.width * mean, self.width * spread


class ThinnedSample:
    """An even sample of a stream of numbers: every 1st, 2nd, 4th, ... one, so that about 65,000 are kept."""

    def __init__(self) -> None:
        self.kept, self.step, self.seen = np.empty(0), 1, 0

    def update(self, y: Array) -> None:
        """Take in numbers."""
        self.kept = np.concatenate([self.kept, y[-self.seen % self.step :: self.step]])
        self.seen += len(y)
        while len(self.kept) > 2 * _SAMPLE:
            self.kept, self.step = self.kept[::2].copy(), 2 * self.step


class Scaling:
    """The shift and spread of every column and of y, which make the fit independent of their units.

    Those of y are taken from its "mean" or its "median"; or y is "a class" and not scaled. `valid` is the share of the
    rows to hold out.
    """

    def __init__(self, rows: Rows, valid: float | None, target: str, seed: int):
        self.rows, self.held = rows, None
        if valid is not None:
            n = sum(len(y) for _, y, _ in rows.blocks())
            out = round(valid * n)
            if n and not 0 < out < n:
                raise _check.InputError(f"valid must leave rows on both sides, got {valid} of {n} rows")
            self.held = np.zeros(n, bool)
            self.held[generator(seed, 1).permutation(n)[:out]] = True
        x_moments, y_moments = ColumnSpread(), ColumnSpread()
        sample = ThinnedSample()
        self.count, self.weighted = 0, False
        for X, y, s in self.parts():
            if len(y):
                x_moments.update(X, s)
                y_moments.update(y[:, None], s)
                self.count += len(y)
                self.weighted |= s is not None
                if target == "median":
                    sample.update(y)
        if not self.count:
            raise _check.InputError("there must be at least one row with a weight above 0, got none")
        self.weight = x_moments.total / self.count
        self.mean, spread = x_moments.finish()
        self.centre, self.spread = (float(a[0]) for a in y_moments.finish())
        if target == "a class":
            self.centre, self.spread = 0.0, 1.0
        if target == "median":
            low, centre, high = np.quantile(sample.kept, [0.25, 0.5, 0.75])
            if high > low:
                self.centre, self.spread = float(centre), float(high - low) / 1.35
        self.inverse, self.y_inverse = _inverse(spread), float(_inverse(np.array([self.spread]))[0])

    def parts(self, inside: bool = False) -> Iterator[TrainingRows]:
        """The blocks of the rows to train on, or of those held out."""
        start = 0
        for X, y, s in self.rows.blocks():
            if self.held is None:
                yield X, y, s
            else:
                keep = self.held[start : start + len(y)] == inside
                start += len(y)
                yield X[keep], y[keep], None if s is None else s[keep]

    def each(self, work: Callable[..., Any], take: Callable[[Any], Any], threads: int, inside: bool = False) -> None:
        """take(work(X, y, s)) for the blocks of `parts`, in their order; on threads where no rows are held out."""
        if self.held is None:
            self.rows.each(work, take, threads)
        else:
            for part in self.parts(inside):
                take(work(*part))

    def apply(self, X: Array, y: Array, s: Array | None, to: TrainingRows) -> None:
        """Write scaled rows to the arrays of `to`."""
        u = X - self.mean
        np.multiply(u, self.inverse, out=to[0][:, : X.shape[1]], casting="same_kind")
        to[1][:] = (y - self.centre) * self.y_inverse
        if to[2] is not None:
            to[2][:] = 1.0 if s is None else s / self.weight

    def to_users_units(self, layout: ParameterLayout, flat: Array) -> tuple[list[Array], list[Array]]:
        """Weights and biases, float64, for X and y in the user's units."""
        weights, biases = ([np.array(a, float) for a in part] for part in layout.views(flat))
        weights[0] *= self.inverse[:, None]
        biases[0] -= (self.mean[:, None] * weights[0]).sum(axis=0)
        weights[-1] *= self.spread
        biases[-1] = biases[-1] * self.spread + self.centre
        return weights, biases


def _inverse(spread: Array) -> Array:
    with np.errstate(divide="ignore", over="ignore"):
        inverse = 1 / spread
    return np.where(np.isfinite(inverse), inverse, 0.0)
