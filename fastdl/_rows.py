"""The rows of a fit, for as many passes as a method needs: arrays in memory, or chunks of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from fastdl import _check, _dask, _threads, streaming
from fastdl._row_buffer import RowBuffer, join_rows, select_rows
from fastdl._typing import Array, ArrayLike, RowsLike

Block = tuple[Array, Array, Array | None]

_FILL = (None, None, 1.0)
_AT_ONCE = 16  # blocks for each thread, whose results are kept until all are done
_BYTES = 1 << 20  # of X in a block: as float64 it stays in the second-level cache
_MOST = 8 << 20  # where columns are many, more rows for each of them: their Gram matrix costs little beside the rows
_TALL = 8


class Rows:
    """X, y and weights in blocks of float64, whose borders depend on the number of columns alone.

    Given are arrays, Dask collections, or with y = None chunks (X, y) or (X, y, sample_weight): a list of them, another
    iterable that can be gone through again, or a function that returns an iterator. Rows of weight 0 are left out. A
    value that is not finite, or a negative weight, is an error that names its row, raised by the first pass; and its
    column, by the name that `table` has for it where X was read from one.
    """

    def __init__(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        table: RowsLike | None = None,
    ):
        self._again = source(X, y, sample_weight)
        self.in_memory = y is not None and not _dask.is_lazy(X)
        first = _dask.compute_chunk(next(iter(self._again()), None))
        if first is None:
            raise _check.InputError("there were no chunks: the number of columns is not known")
        if table is None and self.in_memory:
            table = X
        elif table is None and isinstance(first, (tuple, list)) and len(first):
            table = first[0]
        self.names = _check.column_names(table)  # of the columns, where the table has them
        first = _chunk(first)[0]
        self.columns, self.dtype = first.shape[1], first.dtype
        row = 8 * max(1, self.columns)
        self.block = max(64, _BYTES // row // 64 * 64, min(_TALL * self.columns, _MOST // row) // 64 * 64)
        self._seen = False  # whether one pass has checked the values

    def blocks(self) -> Iterator[Block]:
        """Every row once, `block` rows at a time; the last block may be shorter. Weights are None or above 0."""
        start = 0
        for rows in self._cut():
            yield self._ready(rows, start)
            start += len(rows[0])
        self._seen = True

    def total(
        self, work: Callable[[Array, Array, Array | None], Array], threads: int | None = 1, *, raw: bool = False
    ) -> Array | None:
        """The sum of work(X, y, s) over the blocks, added in their order; None where there are no rows."""
        total: Array | None = None

        def add(part: Array) -> None:
            nonlocal total
            total = part if total is None else total + part

        self.each(work, add, threads, raw=raw)
        return total

    def each(
        self, work: Callable[..., Any], take: Callable[[Any], Any], threads: int | None = 1, *, raw: bool = False
    ) -> None:
        """take(work(X, y, s)) for every block that has rows: the work on `threads` threads, the taking in order.

        With `raw`, X is float32 where it was given so, and X and y are not checked: sums that hold each value, like a
        Gram matrix, are finite only where all values are, which the caller then notes by `all_are_finite`.
        """
        threads = _threads.count(threads)

        def step(numbered: tuple[int, Block]) -> Any:
            X, y, s = self._ready(numbered[1], numbered[0] * self.block, raw)
            return work(X, y, s) if len(X) else None

        def unless_empty(result: Any) -> None:
            if result is not None:
                take(result)

        numbered = enumerate(self._cut())
        if threads > 1 and not self.in_memory:  # the next chunks are read while others are worked on
            streaming.run(numbered, step, unless_empty, executor=_threads.thread_pool(), in_flight=threads)
        while some := list(islice(numbered, _AT_ONCE * threads)):
            for result in _threads.share(len(some), threads, lambda k, some=some: step(some[k])):  # type: ignore[misc]
                unless_empty(result)
        self._seen |= not raw

    def all_are_finite(self) -> None:
        """A pass over raw rows has found that all values are finite."""
        self._seen = True

    def gathered(self) -> Block:
        """All rows as one block, which must fit in memory."""
        return join_blocks(self.blocks(), self.columns)

    def numbers(self) -> Array:
        """The indices, among all given rows, of the rows of `blocks`, which leave out those of weight 0."""
        kept: list[Array] = []
        start = 0
        for _, y, s in self._cut():
            kept.append(start + (np.arange(len(y)) if s is None else np.flatnonzero(s)))
            start += len(y)
        return np.concatenate(kept) if kept else np.zeros(0, np.intp)

    def chunks(self) -> Iterator[Block]:
        """The chunks as they are given, unchecked; rows in memory are one."""
        return (_chunk(chunk, self.columns) for chunk in self._again())

    def _cut(self) -> Iterator[Block]:
        """The chunks, not yet checked, cut and joined to blocks."""
        buffer = RowBuffer(_FILL)
        for chunk in self.chunks():
            # Rows in memory are one chunk: its end, which is shorter than a block, needs no copy.
            for rows in [chunk] if self.in_memory else buffer.push(chunk, self.block):
                for start in range(0, len(rows[0]), self.block):
                    yield select_rows(rows, slice(start, start + self.block))
        if len(buffer):
            yield buffer.drain()

    def _ready(self, rows: Block, start: int, raw: bool = False) -> Block:
        """As float64, checked, without rows of weight 0; `start` is the number of the first row. Raw: see `each`."""
        single = raw and rows[0].dtype == np.float32
        X, y = _check.contiguous(rows[0], np.float32 if single else np.float64), _check.contiguous(rows[1], np.float64)
        s = None if rows[2] is None else _check.contiguous(rows[2], np.float64)
        kept: Array | None = None
        if s is not None:
            if not (self._seen or (len(s) and s.min() >= 0 and s.max() < np.inf)):
                where = np.arange(start, start + len(y))
                _refuse("sample_weight", s, (s >= 0) & (s < np.inf), "finite and not negative", where)
            keep = s != 0
            if not keep.all():
                kept = np.flatnonzero(keep)
                X, y, s = X[kept], y[kept], s[kept]
        if not (self._seen or raw):
            where = start + (np.arange(len(y)) if kept is None else kept)
            for name, a in (("X", X), ("y", y)):
                with np.errstate(over="ignore", invalid="ignore"):
                    fine = np.isfinite(a.sum())
                if not fine:
                    _refuse_value(name, a, where, self.names if a is X else None)
        return X, y, s


def sample_rows(rows: Rows, share: float, seed: int) -> Rows:
    """At least this share of the rows: one by chance of each so many that follow each other."""
    many, chance = max(1, int(1 / share)), np.random.Generator(np.random.Philox(seed))
    some, start, drawn, ahead = [], 0, 0, np.zeros(0, np.intp)
    for X, y, s in rows.chunks():
        end = start + len(y)
        first = np.arange(drawn * many, end, many)
        drawn += len(first)
        ahead = np.concatenate([ahead, first + (chance.random(len(first)) * many).astype(np.intp)])
        reached = int(np.searchsorted(ahead, end))
        here, ahead, start = ahead[:reached] - start, ahead[reached:], end
        some.append((X[here], y[here], None if s is None else s[here]))
    return Rows(some)


def join_blocks(blocks: Iterable[Block], columns: int) -> Block:
    """All blocks as one."""
    return join_rows(list(blocks) or [(np.empty((0, columns)), np.empty(0), None)], _FILL)


def source(X: RowsLike, y: ArrayLike | None, sample_weight: ArrayLike | None) -> Callable[[], Iterable[Any]]:
    """A function that returns an iterable of the chunks, as often as it is called."""
    if _dask.is_lazy(X):
        chunks = _dask.row_chunks(X, y, sample_weight)
        return lambda: chunks
    if y is not None:
        chunk = _chunk((X, y, sample_weight))
        return lambda: [chunk]
    if sample_weight is not None:
        raise _check.InputError("sample_weight of chunks must be in the chunks: (X, y, sample_weight)")
    if callable(X):
        return X
    if isinstance(X, np.ndarray) or not isinstance(X, Iterable):
        raise _check.InputTypeError(f"without y, X must be chunks of (X, y), got {type(X).__name__}")
    if iter(X) is X:
        raise _check.InputTypeError(
            "chunks are gone through several times: give a list of them, or a function that returns an iterator, "
            f"not a {type(X).__name__}"
        )
    return lambda: X


def _chunk(chunk: Any, columns: int | None = None) -> Block:
    """(X, y, sample_weight or None) as arrays whose shapes fit together."""
    chunk = _dask.compute_chunk(chunk)
    if not isinstance(chunk, (tuple, list)) or len(chunk) not in (2, 3):
        raise _check.InputTypeError(f"a chunk must be (X, y) or (X, y, sample_weight), got {type(chunk).__name__}")
    X, y = _check.asarray("X", chunk[0]), _check.asarray("y", chunk[1])
    X = X[:, None] if X.ndim == 1 else X
    s = None if len(chunk) == 2 or chunk[2] is None else _check.asarray("sample_weight", chunk[2])
    for name, a, ndim in (("X", X, 2), ("y", y, 1), ("sample_weight", s, 1)):
        if a is None:
            continue
        _check.dtype(name, a.dtype, ("f", "i", "u", "b"))
        if a.ndim != ndim:
            raise _check.InputError(f"{name} must have {ndim} dimension(s), got shape {a.shape}")
    _check.same_length(X=X, y=y, sample_weight=s)
    if columns is not None and X.shape[1] != columns:
        raise _check.InputError(f"X must have {columns} columns in every chunk, got shape {X.shape}")
    return X, y, s


def _refuse(name: str, a: Array, fine: Array, wanted: str, where: Array) -> None:
    if not fine.all():
        k = int(np.flatnonzero(~fine)[0])
        raise _check.InputError(f"{name} must be {wanted}, got {a[k]} in row {where[k]}")


def _refuse_value(name: str, a: Array, where: Array, names: list[str] | None) -> None:
    """Name the first value that is not finite, its row, and its column where there are several."""
    bad = np.argwhere(~np.isfinite(a))
    if not len(bad):
        return
    place = tuple(int(i) for i in bad[0])
    column = "" if a.ndim == 1 else f", column {place[1] if names is None else repr(names[place[1]])}"
    raise _check.InputError(f"{name} must be finite, got {a[place]} in row {where[place[0]]}{column}")
