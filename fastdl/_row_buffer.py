"""A buffer that turns chunks of any size into blocks of one size, so that no sum depends on where chunks end."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastdl._typing import Array

#: Arrays of one length, one of them for each column; None where a chunk has no weights, say.
Columns = tuple[Any, ...]


class RowBuffer:
    """The rows of a stream that do not fill a block yet.

    `fill` has the default of each column, for rows of chunks that came without it.
    """

    def __init__(self, fill: tuple[Any, ...]):
        self.fill = fill
        self.parts: list[Columns] = []

    def __len__(self) -> int:
        return sum(len(rows[0]) for rows in self.parts)

    def push(self, rows: Columns, block: int) -> list[Columns]:
        """Take rows in; returns the whole blocks there are now, as many at once as lie in one chunk.

        The rows that are left are kept as copies, so that the caller may reuse its chunk.
        """
        whole, have = [], len(self)
        if have and have + len(rows[0]) >= block:
            self.parts.append(select_rows(rows, slice(0, block - have)))
            whole.append(self.drain())
            rows, have = select_rows(rows, slice(block - have, None)), 0
        if not have and len(rows[0]) >= block:
            end = len(rows[0]) // block * block
            whole.append(select_rows(rows, slice(0, end)))
            rows = select_rows(rows, slice(end, None))
        if len(rows[0]):
            self.parts.append(tuple(None if a is None else a.copy() for a in rows))
        return whole

    def peek(self) -> Columns:
        """The rows kept, which must be at least one."""
        return join_rows(self.parts, self.fill)

    def drain(self) -> Columns:
        """The rows kept, at least one; the buffer is empty afterwards."""
        rows, self.parts = self.peek(), []
        return rows


def select_rows(rows: Columns, which: slice | Array) -> Columns:
    """The rows that a slice or a mask names."""
    return tuple(None if a is None else a[which] for a in rows)


def join_rows(chunks: list[Columns], fill: tuple[Any, ...]) -> Columns:
    """The rows of all chunks as one."""
    if len(chunks) == 1:
        return chunks[0]
    sizes = [len(rows[0]) for rows in chunks]
    return tuple(_column(parts, sizes, value) for parts, value in zip(zip(*chunks), fill))


def _column(parts: tuple[Any, ...], sizes: list[int], value: Any) -> Array | None:
    if all(a is None for a in parts):
        return None
    return np.concatenate([np.full(n, value) if a is None else a for a, n in zip(parts, sizes)])
