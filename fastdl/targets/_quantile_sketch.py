"""The values of a stream in ascending order: all of them, or a weighted sketch of bounded size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastdl._typing import Array


class SortedValues(NamedTuple):
    """Values in ascending order; their weights, the number of values each stands for (None: 1); minimum and maximum."""

    values: Array
    weights: Array | None
    low: float
    high: float


class ValueSample:
    """The values of a stream: all of them, or with `limit` a sketch in buffers of `limit` values.

    Munro and Paterson's scheme: a value in a buffer of level l stands for 2^l values. When there are two full buffers
    of a level, they are merged and every second value goes one level up: the odd ones and the even ones in turn, so
    that errors cancel. The odd ones raise ranks by at most 2^l, the even ones lower them; in all the error is at most
    N log2(N / limit) / (2 limit).
    """

    def __init__(self, limit: int | None):
        self.limit = limit
        self.count, self.low, self.high = 0, np.inf, -np.inf
        self.dtype: np.dtype | None = None
        self._buffer: list[Array] = []
        self._levels: list[Array | None] = []
        self._odd: list[int] = []
        self._raised = self._lowered = 0  # bounds of the error of any rank, in either direction

    def add(self, values: Array, low: float, high: float, *, copy: bool = True) -> None:
        """Take in finite values from `low` to `high`; `copy` may be False if nobody changes them before `sorted`."""
        if not len(values):
            return
        self._seen(values.dtype, len(values), low, high)
        if self.limit is None:
            self._buffer.append(values.copy() if copy else values)
        else:
            self._fill_buffer(values)

    def _seen(self, dtype: np.dtype, count: int, low: float, high: float) -> None:
        self.dtype = dtype if self.dtype is None else np.result_type(self.dtype, dtype)
        self.count, self.low, self.high = self.count + count, min(self.low, low), max(self.high, high)

    def _fill_buffer(self, values: Array) -> None:
        assert self.limit is not None
        have = sum(map(len, self._buffer))
        while have + len(values) >= self.limit:
            cut = self.limit - have
            self._push(0, np.sort(np.concatenate([*self._buffer, values[:cut]])))
            self._buffer, have, values = [], 0, values[cut:]
        if len(values):
            self._buffer.append(values.copy())

    def _push(self, level: int, buffer: Array) -> None:
        while len(self._levels) <= level:
            self._levels.append(None)
            self._odd.append(0)
        there = self._levels[level]
        if there is None:
            self._levels[level] = buffer
            return
        both = np.sort(np.concatenate([there, buffer]), kind="stable")
        kept = both[self._odd[level] :: 2]
        if self._odd[level]:
            self._lowered += 1 << level
        else:
            self._raised += 1 << level
        self._levels[level], self._odd[level] = None, 1 - self._odd[level]
        self._push(level + 1, kept)

    @property
    def rank_error(self) -> int:
        """The largest possible error of a rank, the number of values up to some x."""
        return max(self._raised, self._lowered)

    def frozen(self, *, copy: bool) -> ValueSample:
        """A snapshot of the state, which later values do not change; with its own copy of the values if `copy`."""
        state = ValueSample(self.limit)
        state.count, state.low, state.high, state.dtype = self.count, self.low, self.high, self.dtype
        state._buffer = [values.copy() for values in self._buffer] if copy else list(self._buffer)
        state._levels = list(self._levels)
        return state

    def merge(self, other: ValueSample) -> None:
        """Take in the values of another."""
        if not other.count:
            return
        assert other.dtype is not None
        self._seen(other.dtype, other.count, other.low, other.high)
        self._raised, self._lowered = self._raised + other._raised, self._lowered + other._lowered
        for level, buffer in enumerate(other._levels):
            if buffer is not None:
                self._push(level, buffer)
        for values in other._buffer:
            if self.limit is None:
                self._buffer.append(values)
            else:
                self._fill_buffer(values)

    def sorted(self) -> SortedValues:
        """The values, or the weighted sketch of them, in ascending order."""
        levels = [(1 << i, buffer) for i, buffer in enumerate(self._levels) if buffer is not None]
        parts = [*self._buffer, *(buffer for _, buffer in levels)]
        if not levels:
            return SortedValues(
                np.sort(parts[0] if len(parts) == 1 else np.concatenate(parts)), None, self.low, self.high
            )
        buffered = sum(map(len, self._buffer))
        weights = np.repeat([1, *(w for w, _ in levels)], [buffered, *(len(b) for _, b in levels)])
        values = np.concatenate(parts)
        order = np.argsort(values, kind="stable")
        return SortedValues(values[order], weights[order], self.low, self.high)
