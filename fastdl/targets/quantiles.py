"""Quantiles of a stream larger than memory, with a certain bound of the error."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl import _check
from fastdl._state_bytes import StateBytes
from fastdl._typing import Array, ArrayLike
from fastdl.targets._bin_edges import quantile
from fastdl.targets._quantile_sketch import SortedValues, ValueSample


class QuantileSketch(StateBytes):
    """A sketch of a stream of numbers that gives quantiles and ranks, with a certain bound of their error.

    Parameters
    ----------
    size : int
        The number of values in a buffer. Up to `size` - 1 values are all kept, and quantiles are those of np.quantile.

    Attributes
    ----------
    count : int
        The number of values seen.
    min_, max_ : float
        The exact minimum and maximum.
    rank_error : int
        The largest possible error of a rank: not an estimate but a bound, added up whenever values are dropped. It is 0
        while all values are kept.

    Raises
    ------
    InputError
        For values that are not finite, naming the index in the stream, and for a question before any value.

    Notes
    -----
    Munro and Paterson's scheme. Full buffers are sorted; when a level has two, every second value of both goes one
    level up, where it stands for twice as many. The odd and the even ones are taken in turn, not at random as in KLL,
    so that errors cancel and the bound is certain: `rank_error` is at most N (log2(N / size) + 2) / (4 size), and at
    most twice that for merged states. For N = 10^9 and size = 65536 that is 0.006 % of N, in log2(N / size) + 2
    buffers: 8 MB. There are no random numbers: the same values in the same order give the same bits, whatever the
    chunks. Merged states may answer differently from one that saw all values, each within its own `rank_error`.

    References
    ----------
    Munro and Paterson, "Selection and sorting with limited storage", Theoretical Computer Science 12, 1980.
    Karnin, Lang and Liberty, "Optimal quantile approximation in streams", FOCS 2016: KLL.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdl
    >>> sketch = fastdl.QuantileSketch(64)
    >>> for chunk in np.arange(10_000.0).reshape(10, 1000):
    ...     _ = sketch.update(chunk)
    >>> sketch.quantile([0, 0.5, 1]), sketch.rank_error
    (array([   0., 5031., 9999.]), 287)
    >>> int(sketch.rank(2500.0)), sketch.count
    (2560, 10000)
    """

    def __init__(self, size: int = 4096):
        self.size = _check.integer("size", size, 2)
        self._sample = ValueSample(self.size)
        self._sorted: tuple[SortedValues, Array] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_sorted": None}

    @property
    def count(self) -> int:
        """The number of values seen."""
        return self._sample.count

    @property
    def min_(self) -> float:
        """The smallest value."""
        return self._some().low

    @property
    def max_(self) -> float:
        """The largest value."""
        return self._some().high

    @property
    def rank_error(self) -> int:
        """The largest possible error of a rank."""
        return self._sample.rank_error

    def fresh(self) -> QuantileSketch:
        """An empty state with the same settings."""
        return QuantileSketch(self.size)

    def update(self, chunk: ArrayLike) -> QuantileSketch:
        """Take in numbers of any shape; returns itself."""
        y = _check.floats("values", chunk).reshape(-1)
        if len(y):
            low, high = float(y.min()), float(y.max())
            if not (np.isfinite(low) and np.isfinite(high)):  # min and max of NaN are NaN
                at = int(np.flatnonzero(~np.isfinite(y))[0])
                raise _check.InputError(f"values must be finite, got {y[at]} at index {self.count + at}")
            self._sample.add(y, low, high)
            self._sorted = None
        return self

    def merge(self, other: QuantileSketch) -> QuantileSketch:
        """Take in the values another state of the same `size` saw; returns itself."""
        if not isinstance(other, QuantileSketch) or other.size != self.size:
            got = f"size {other.size}" if isinstance(other, QuantileSketch) else type(other).__name__
            raise _check.InputError(f"other must be a QuantileSketch of size {self.size}, got {got}")
        self._sample.merge(other._sample)
        self._sorted = None
        return self

    def finish(self) -> QuantileSketch:
        """The state itself, which can answer at any time."""
        self._some()
        return self

    def quantile(self, q: ArrayLike) -> Array:
        """Quantiles, float64 of q's shape.

        Parameters
        ----------
        q : array_like of floats in [0, 1]
            0 and 1 give the exact minimum and maximum. For any other q the rank of the result is off by at most
            `rank_error` + 1.
        """
        wanted = _check.array("q", q, ("f", "i", "u")).astype(np.float64, copy=False)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() <= 1):
            raise _check.InputError(f"q must be between 0 and 1, got {wanted.min()} to {wanted.max()}")
        sample, _ = self._ready()
        found = quantile(sample, np.concatenate([[0.0], wanted.reshape(-1), [1.0]]))[1:-1]
        found = np.where(wanted.reshape(-1) == 0, sample.low, np.where(wanted.reshape(-1) == 1, sample.high, found))
        return found.reshape(wanted.shape)

    def rank(self, x: ArrayLike) -> Array:
        """The number of values that are x or less, int64 of x's shape; off by at most `rank_error`."""
        wanted = _check.array("x", x, ("f", "i", "u"))
        sample, upto = self._ready()
        found = upto[np.searchsorted(sample.values, wanted, side="right")]
        return np.where(wanted < sample.low, 0, np.where(wanted >= sample.high, self.count, found))[()]

    def _ready(self) -> tuple[SortedValues, Array]:
        """The sorted sketch, and the running sums of its weights."""
        if self._sorted is None:
            sample = self._some().sorted()
            weights = np.ones(len(sample.values), np.int64) if sample.weights is None else sample.weights
            self._sorted = sample, np.concatenate([[0], np.cumsum(weights)])
        return self._sorted

    def _some(self) -> ValueSample:
        if not self.count:
            raise _check.InputError("the QuantileSketch has seen no values")
        return self._sample
