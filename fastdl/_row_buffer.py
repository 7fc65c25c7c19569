"""Rows that come in chunks and leave in whole blocks, so that no sum depends on where the chunks were cut."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
#: Arrays of one length, one of them for each column; None where a chunk has no weights, say.
Columns = tuple[Any, ...]


class Waiting:
    """Rows that do not fill a block yet; `fill` is what a column holds for the rows of a chunk that lacks it."""

    def __init__(self, fill: tuple[Any, ...]):
        self.fill = fill
        self.parts: list[Columns] = []

    def __len__(self) -> int:
        return sum(len(rows[0]) for rows in self.parts)

    def take(self, rows: Columns, block: int) -> list[Columns]:
        """Whole blocks, as many at once as lie in one chunk; the rows that are left wait, as copies."""
        whole, have = [], len(self)
        if have and have + len(rows[0]) >= block:
            self.parts.append(cut(rows, slice(0, block - have)))
            whole.append(self.rest())
            rows, have = cut(rows, slice(block - have, None)), 0
        if not have and len(rows[0]) >= block:
            end = len(rows[0]) // block * block
            whole.append(cut(rows, slice(0, end)))
            rows = cut(rows, slice(end, None))
        if len(rows[0]):
            self.parts.append(tuple(None if a is None else a.copy() for a in rows))
        return whole

    def joined(self) -> Columns:
        """The rows that wait; there is one at least."""
        return joined(self.parts, self.fill)

    def rest(self) -> Columns:
        """The rows that wait, which then do no more."""
        rows, self.parts = self.joined(), []
        return rows


def cut(rows: Columns, which: Any) -> Columns:
    """The rows that a slice or a mask names."""
    return tuple(None if a is None else a[which] for a in rows)


def joined(chunks: list[Columns], fill: tuple[Any, ...]) -> Columns:
    """The rows of all chunks as one."""
    if len(chunks) == 1:
        return chunks[0]
    sizes = [len(rows[0]) for rows in chunks]
    return tuple(_column(parts, sizes, value) for parts, value in zip(zip(*chunks), fill))


def _column(parts: tuple[Any, ...], sizes: list[int], value: Any) -> Array | None:
    if all(a is None for a in parts):
        return None
    return np.concatenate([np.full(n, value) if a is None else a for a, n in zip(parts, sizes)])
