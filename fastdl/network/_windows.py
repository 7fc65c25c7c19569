"""Windows of scaled training rows: as many rows at a time as `max_bytes` allows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastdl import _check
from fastdl._rows import Rows
from fastdl.network._parameters import ParameterLayout, TrainingRows
from fastdl.network._scaling import Scaling


class TrainingWindows:
    """Iterates over the training rows, scaled, `window` of them at a time."""

    def __init__(self, units: Scaling, layout: ParameterLayout, window: int):
        self.units, self.layout, self.window = units, layout, min(window, units.count)
        self._room = self.room(self.window)
        self._all: TrainingRows | None = None

    def lengths(self) -> list[int]:
        """The number of rows of each window."""
        n = self.units.count
        return [min(self.window, n - i) for i in range(0, n, self.window)]

    def room(self, n: int) -> TrainingRows:
        """Arrays for n rows."""
        wide, dtype = int(self.layout.sizes[0]), self.layout.dtype
        weights = np.empty(n, dtype) if self.units.weighted else None
        return np.zeros((n, wide), dtype), np.empty(n, dtype), weights

    def __iter__(self) -> Iterator[TrainingRows]:
        if self._all is not None:
            yield self._all
            return
        room, have = self._room, 0
        for X, y, s in self.units.parts():
            start = 0
            while start < len(y):
                n = min(len(y) - start, self.window - have)
                cut = slice(start, start + n)
                self.units.apply(X[cut], y[cut], None if s is None else s[cut], _cut(room, slice(have, have + n)))
                start, have = start + n, have + n
                if have == self.window:
                    if have == self.units.count:
                        self._all = room
                    yield room
                    have = 0
        if have:
            yield _cut(room, slice(0, have))

    def held(self, valid: Rows | None) -> TrainingRows:
        """The validation rows, all in memory: those held out, or those given."""
        try:
            parts = [p for p in (self.units.parts(True) if valid is None else valid.blocks()) if len(p[1])]
        except _check.InputError as error:
            raise _check.InputError(f"valid: {error}") from None
        if not parts:
            raise _check.InputError("valid must have at least one row with a weight above 0, got none")
        room, start = self.room(sum(len(p[1]) for p in parts)), 0
        if room[2] is None and any(p[2] is not None for p in parts):
            room = (*room[:2], np.empty(len(room[1]), room[1].dtype))
        for X, y, s in parts:
            self.units.apply(X, y, s, _cut(room, slice(start, start := start + len(y))))
        return room


def _cut(rows: TrainingRows, s: slice) -> TrainingRows:
    return rows[0][s], rows[1][s], None if rows[2] is None else rows[2][s]
