"""Helpers of the datasets: an epoch that all workers see, and random numbers of a seed, an epoch and an index."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from fastdl import _check
from fastdl._typing import Array, ArrayLike

if TYPE_CHECKING:
    import torch
else:
    torch = _check.extra("torch", "torch", "fastdl.torch")
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_LOW = np.uint64((1 << 32) - 1)


def row_numbers(indices: ArrayLike, count: int) -> Array:
    """Indices of items as int64 (B,), with negative ones counted from the end; IndexError for one out of range."""
    x = np.asarray(indices).reshape(-1)
    if x.dtype.kind not in "iu":
        try:  # Python integers beyond 64 bits, or an empty list, whose dtype is float64
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
    """An epoch in shared memory: persistent workers see the value that the main process sets."""

    def __init__(self) -> None:
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The number of the pass over the data, by which random draws differ."""
        return int(self._epoch.item())

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch before each pass over the data, as for `torch.utils.data.DistributedSampler`."""
        self._epoch[0] = _check.integer("epoch", epoch, 0, 2**62)


class Draws:
    """Random numbers that depend only on a seed, an epoch and an index: SplitMix64 of a counter.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. Setting up one of NumPy's
    generators for each item would take longer than reading the item's window.
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
        """A number from 0 to count - 1 for each item, int64; their probabilities differ by count / 2^64 at most."""
        z = self._mixed(self._starts(epoch)[0], indices)
        if count >= 1 << 32:
            return np.array([(value * count) >> 64 for value in z.tolist()], np.int64)
        half, times = np.uint64(32), np.uint64(count)  # the upper 64 bits of z * count, from 32-bit halves of z
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
