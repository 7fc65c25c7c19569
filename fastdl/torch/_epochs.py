"""What the data sets share: the epoch that all workers see, and draws that follow from seed, epoch and index alone."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from fastdl import _check
from fastdl._typing import Array

torch = _check.extra("torch", "torch", "fastdl.torch")
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_LOW = np.uint64((1 << 32) - 1)


def row_numbers(indices: Any, count: int) -> Array:
    """The numbers of items, int64 (B,), negative ones counted from the end; IndexError for what there is not."""
    x = np.asarray(indices).reshape(-1)
    if x.dtype.kind not in "iu":
        try:  # Python's own integers of any size, or nothing at all
            given = [operator.index(value) for value in (x if x.dtype.kind == "O" else x[:0])]
        except TypeError:
            given = []
        if len(given) < len(x):
            raise _check.InputTypeError(f"an index must be an integer, got {x[0]!r}")
        x = np.array(given, object if given else np.int64)
    outside = (x < -count) | (x >= count)
    if outside.any():
        raise IndexError(f"index must be between {-count} and {count - 1}, got {x[outside][0]}")
    x = x.astype(np.int64)
    return np.where(x < 0, x + count, x)


class Epochs:
    """An epoch in shared memory: workers that live on (persistent_workers=True) see what the main process sets."""

    def __init__(self) -> None:
        self._epoch: Any = torch.zeros(1, dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The pass that the draws belong to."""
        return self._epoch.item()

    def set_epoch(self, epoch: int) -> None:
        """Draw anew: call it before each pass, as of a distributed sampler."""
        self._epoch[0] = _check.integer("epoch", epoch, 0, 2**62)


class Draws:
    """Numbers that depend on a seed, an epoch and an index alone: counters through SplitMix64.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. A generator of NumPy's for
    each item takes longer to set up than the item's window to read.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._of: tuple[int, tuple[int, int]] = (-1, (0, 0))

    def _starts(self, epoch: int) -> tuple[int, int]:
        known, starts = self._of
        if known != epoch:
            first, second = np.random.SeedSequence([self.seed, epoch]).generate_state(2, np.uint64).tolist()
            starts = (first, second)
            self._of = (epoch, starts)
        return starts

    def integers(self, epoch: int, indices: Array, count: int) -> Array:
        """One of 0 ... count - 1 for each item, int64; each with the same probability but for count / 2^64."""
        z = self._mixed(self._starts(epoch)[0], indices)
        if count >= 1 << 32:
            return np.array([(value * count) >> 64 for value in z.tolist()], np.int64)
        half, times = np.uint64(32), np.uint64(count)  # the upper 64 bits of the product, by halves of z
        upper = (z >> half) * times + (((z & _LOW) * times) >> half)
        return (upper >> half).astype(np.int64)

    def uniform(self, epoch: int, indices: Array) -> Array:
        """Two numbers in [0, 1) for each item: (2, B) float64."""
        return np.stack([self._mixed(start, indices) / 2.0**64 for start in self._starts(epoch)])

    @staticmethod
    def _mixed(start: int, indices: Array) -> Array:
        """64 bits for each item."""
        z = np.uint64(start) + indices.astype(np.uint64) * np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
        return z ^ (z >> np.uint64(31))
